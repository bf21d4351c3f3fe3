//! Metric pairs from scratch: from the set of all points to the findings, slowly and without any state.
//!
//! Written from the definitions (methods 1.1, 3.1, 3.2; DESIGN 3.5; the module docs of `metrics`), not from the operators:
//! every correlation is two plain passes over pairs of values that are looked up by time, every guard is recomputed for
//! every lag that needs it, and nothing is shared between pairs or instants. Only parameters, row types and the name rules are.

use crate::metrics::MetricParams;
use crate::metrics::kinds::{is_demand, is_latency};
use crate::reference::statistics::{Slots, drift_time, p_of, paired, pearson};
use model::metric::{MetricPoint, SeriesKey};
use model::pattern::{PatternKey, PatternState, Signal, SignalKind};
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;
const GRID: [i64; 4] = [MINUTE, 5 * MINUTE, 15 * MINUTE, 60 * MINUTE];

/// The parts of a finding that a pair is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Source and target.
    pub key: PatternKey,
    /// State at the end of the walk.
    pub state: PatternState,
    /// Other explanation.
    pub explained_by: Option<String>,
    /// `latency_correlation` or `metric_correlation`.
    pub correlation_type: String,
    /// Best lag.
    pub lag_seconds: i32,
    /// Lags about as good.
    pub lag_range_seconds: (i32, i32),
    /// Points compared.
    pub points: u64,
    /// Start of the source's window.
    pub source_timestamp: TimeMs,
    /// Start of the target's window.
    pub target_timestamp: TimeMs,
    /// Start of the source's window where the candidate was first seen.
    pub first_observed: TimeMs,
    /// The slot where it was last seen.
    pub last_observed: TimeMs,
    /// r.
    pub coefficient: f64,
    /// q.
    pub q_value: f64,
}

/// The winning rows: series, interval, time to (value, weight).
type Winners = BTreeMap<SeriesKey, BTreeMap<Option<u32>, BTreeMap<i64, (f64, f64)>>>;

fn winners(points: &[MetricPoint]) -> Winners {
    let mut best: BTreeMap<(SeriesKey, Option<u32>, i64), &MetricPoint> = BTreeMap::new();
    for point in points {
        let place =
            best.entry((point.series.key.clone(), point.series.interval_seconds, point.timestamp.0)).or_insert(point);
        if (point.rank(), point) > (place.rank(), *place) {
            *place = point;
        }
    }
    let mut out = Winners::new();
    for ((series, interval, at), point) in best {
        if let Some(value) = point.value() {
            let weight = point.count.unwrap_or(1).max(1) as f64;
            out.entry(series).or_default().entry(interval).or_default().insert(at, (value, weight));
        }
    }
    out
}

/// One series at one instant on one grid, without any of the guards' preparations.
struct View {
    key: SeriesKey,
    /// All slots of profile, lag and window.
    raw: Slots,
    clamped: Slots,
    adjusted: Option<Slots>,
}

fn view(key: &SeriesKey, track: &BTreeMap<i64, (f64, f64)>, params: &MetricParams, step: i64, at: i64) -> Option<View> {
    let (window, lag_max, end) = (params.window_ms / step, params.max_lag_ms / step, at.div_euclid(step));
    let first = end - window - lag_max - 3 * DAY / step + 1;
    let mut sums: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (time, (value, weight)) in track.range(first * step..=at) {
        let place = sums.entry(time.div_euclid(step)).or_default();
        place.0 += value * weight;
        place.1 += weight;
    }
    let all: Slots = sums.into_iter().map(|(slot, (sum, weight))| (slot, sum / weight)).collect();
    let seen: Vec<f64> = all.range(end - window - lag_max + 1..).map(|(_, v)| *v).collect();
    if (seen.len() as f64) < (0.8 * window as f64).max(8.0) {
        return None;
    }
    // r does not depend on where zero is; sums do
    let mean = seen.iter().sum::<f64>() / seen.len() as f64;
    let largest = seen.iter().map(|v| v.abs()).fold(0.0, f64::max);
    if seen.iter().all(|v| (v - mean).abs() <= 1e-12 * largest) {
        return None;
    }
    let raw: Slots = all.iter().map(|(slot, v)| (*slot, v - mean)).collect();
    let mut sorted: Vec<f64> = seen.iter().map(|v| v - mean).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let centre = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
    let mut distances: Vec<f64> = sorted.iter().map(|v| (v - centre).abs()).collect();
    distances.sort_by(f64::total_cmp);
    let at_share = |share: f64| distances[(share * n as f64).ceil() as usize - 1];
    let sigma = [(0.5, 0.6744897501960817), (0.75, 1.150349380376008), (0.9, 1.6448536269514722)]
        .into_iter()
        .map(|(share, z)| at_share(share) / z)
        .find(|sigma| *sigma > 0.0)
        .unwrap_or(0.0);
    let clamped: Slots =
        raw.iter().map(|(slot, v)| (*slot, v.max(centre - 6.0 * sigma).min(centre + 6.0 * sigma))).collect();
    let day = DAY / step;
    let adjusted: Slots = clamped
        .range(end - window - lag_max + 1..)
        .filter_map(|(slot, v)| {
            let before: Vec<f64> = (1..=3).filter_map(|k| clamped.get(&(slot - k * day)).copied()).collect();
            (!before.is_empty()).then(|| (*slot, v - before.iter().sum::<f64>() / before.len() as f64))
        })
        .collect();
    let covered = adjusted.range(end - window + 1..).count() as f64 >= (0.8 * window as f64).max(8.0);
    let clamped = clamped.range(end - window - lag_max + 1..).map(|(s, v)| (*s, *v)).collect();
    let raw = raw.range(end - window - lag_max + 1..).map(|(s, v)| (*s, *v)).collect();
    Some(View { key: key.clone(), raw, clamped, adjusted: covered.then_some(adjusted) })
}

/// Which interval of a series is used at an instant, and its step.
fn used(
    tracks: &BTreeMap<Option<u32>, BTreeMap<i64, (f64, f64)>>,
    params: &MetricParams,
    at: i64,
) -> Option<(i64, Option<u32>)> {
    let range = params.window_ms + params.max_lag_ms + 3 * DAY + 60 * MINUTE;
    let mut found: Vec<(i64, bool, Option<u32>, bool)> = Vec::new();
    for (interval, track) in tracks {
        let times: Vec<i64> = track.keys().copied().filter(|t| *t > at - range && *t <= at).collect();
        let step = match interval {
            Some(seconds) => GRID.into_iter().find(|s| *s >= i64::from(*seconds) * 1000),
            None => {
                let mut gaps: Vec<i64> = times.iter().skip(1).zip(&times).map(|(b, a)| b - a).collect();
                gaps.sort_unstable();
                gaps.get(gaps.len().saturating_sub(1) / 2).and_then(|g| GRID.into_iter().find(|s| s * 5 / 4 >= *g))
            }
        };
        if let (Some(step), false) = (step, times.is_empty()) {
            let (window, end) = (params.window_ms / step, at.div_euclid(step));
            let slots: BTreeSet<i64> = times.iter().map(|t| t.div_euclid(step)).filter(|s| *s > end - window).collect();
            found.push((step, interval.is_none(), *interval, slots.len() as f64 >= 0.8 * window as f64));
        }
    }
    found.sort();
    let chosen = found.iter().find(|c| c.3).or(found.first())?;
    Some((chosen.0, chosen.2))
}

/// One direction at one instant.
#[derive(Clone)]
struct Row {
    source: SeriesKey,
    target: SeriesKey,
    step: i64,
    lag: i64,
    range: (i64, i64),
    r: f64,
    points: u64,
    p: f64,
    effective: f64,
    q: f64,
    sure: bool,
    from: i64,
    to: i64,
    mirror: bool,
    explained: Option<String>,
}

struct Look<'a> {
    params: &'a MetricParams,
    step: i64,
    end: i64,
    window: i64,
    lag_max: i64,
}

impl Look<'_> {
    fn r(&self, x: &View, y: &View, lag: i64) -> Option<f64> {
        let pairs = paired(&x.raw, &y.raw, self.end, self.window, lag);
        if (pairs.len() as f64) < (0.8 * self.window as f64).max(8.0) { None } else { pearson(&pairs) }
    }

    fn judge(&self, x: &View, y: &View, lag: i64) -> (f64, Option<f64>, f64) {
        let mut levels = (&x.clamped, &y.clamped);
        let mut adjusted_r = None;
        if let (Some(ax), Some(ay)) = (&x.adjusted, &y.adjusted) {
            let pairs = paired(ax, ay, self.end, self.window, lag);
            if pairs.len() as f64 >= (0.8 * self.window as f64).max(8.0) && pearson(&pairs).is_some() {
                levels = (ax, ay);
                adjusted_r = pearson(&pairs);
            }
        }
        let drifts = |v: &Slots| drift_time(v, self.end, self.window) > self.window as f64 / 10.0;
        let differences = |v: &Slots| -> Slots {
            v.iter().filter_map(|(slot, value)| Some((*slot, value - v.get(&(slot - 1))?))).collect()
        };
        let (a, b) = if drifts(levels.0) || drifts(levels.1) {
            (differences(levels.0), differences(levels.1))
        } else {
            (levels.0.clone(), levels.1.clone())
        };
        let pairs = paired(&a, &b, self.end, self.window, lag);
        let lags = (2 * self.lag_max + 1) as f64;
        let (p, effective) =
            pearson(&pairs).map_or((1.0, 3.0), |r| p_of(r, &a, &b, pairs.len(), self.end, self.window, lags));
        (p, adjusted_r, effective)
    }

    fn few(&self, x: &View, y: &View, lag: i64, r: f64) -> bool {
        let sign = r.signum();
        let clamped: Vec<(f64, f64)> = paired(&x.clamped, &y.clamped, self.end, self.window, lag);
        if pearson(&clamped).map_or(0.0, |c| c * sign) < 0.7 {
            return true;
        }
        let mut rest = paired(&x.raw, &y.raw, self.end, self.window, lag);
        let n = rest.len() as f64;
        let (mx, my) = (rest.iter().map(|p| p.0).sum::<f64>() / n, rest.iter().map(|p| p.1).sum::<f64>() / n);
        for _ in 0..3 {
            let mut largest = 0;
            for (i, p) in rest.iter().enumerate() {
                if ((p.0 - mx) * (p.1 - my)).abs() > ((rest[largest].0 - mx) * (rest[largest].1 - my)).abs() {
                    largest = i;
                }
            }
            rest.remove(largest);
        }
        if pearson(&rest).map_or(0.0, |c| c * sign) < 0.7 {
            return true;
        }
        let start = self.end - self.window + 1;
        let seen = (0..4).filter(|part| {
            let (low, high) = (start + part * self.window / 4, start + (part + 1) * self.window / 4);
            let pairs: Vec<(f64, f64)> =
                (low..high).filter_map(|slot| Some((*x.clamped.get(&(slot - lag))?, *y.clamped.get(&slot)?))).collect();
            pearson(&pairs).is_some_and(|part_r| part_r * sign >= 0.5)
        });
        seen.count() < 2
    }

    /// Mean of the standardised demand of all colonies outside the pair.
    fn mode(&self, views: &[View], x: &SeriesKey, y: &SeriesKey) -> Option<Slots> {
        let mut sums: Slots = Slots::new();
        let mut counts: BTreeMap<i64, f64> = BTreeMap::new();
        let mut colonies = BTreeSet::new();
        for view in views.iter().filter(|v| is_demand(&v.key.metric_name)) {
            if view.key.colony_id == x.colony_id || view.key.colony_id == y.colony_id {
                continue;
            }
            let inside: Vec<f64> = view.clamped.range(self.end - self.window + 1..).map(|(_, v)| *v).collect();
            let mean = inside.iter().sum::<f64>() / inside.len() as f64;
            let sigma = (inside.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / inside.len() as f64).sqrt();
            if sigma.is_nan() || sigma <= 0.0 {
                continue;
            }
            colonies.insert(&view.key.colony_id);
            for (slot, value) in &view.clamped {
                *sums.entry(*slot).or_default() += (value - mean) / sigma;
                *counts.entry(*slot).or_default() += 1.0;
            }
        }
        (colonies.len() >= 2).then(|| sums.into_iter().map(|(slot, sum)| (slot, sum / counts[&slot])).collect())
    }

    fn shared_load(&self, views: &[View], x: &View, y: &View, lag: i64, range: (i64, i64)) -> bool {
        let simultaneous = lag <= 1 || (range.0 <= 0 && range.1 >= 0);
        let Some(mode) = (if simultaneous { self.mode(views, &x.key, &y.key) } else { None }) else { return false };
        let follow = |view: &View, shift: i64| -> Option<(f64, f64)> {
            let pairs: Vec<(f64, f64)> = paired(&view.clamped, &mode, self.end - shift, self.window, 0);
            let r = pearson(&pairs)?;
            Some((r.abs(), p_of(r, &view.clamped, &mode, pairs.len(), self.end, self.window, 1.0).0))
        };
        let (Some(fx), Some(fy)) = (follow(x, lag), follow(y, 0)) else { return false };
        let clamped = pearson(&paired(&x.clamped, &y.clamped, self.end, self.window, lag)).unwrap_or(0.0).abs();
        let demand = is_demand(&x.key.metric_name) && is_demand(&y.key.metric_name);
        fx.0.min(fy.0) >= clamped || (demand && fx.0.min(fy.0) >= 0.3 && fx.1.max(fy.1) <= 0.001)
    }

    /// Both directions of a pair; the first number is the pair's p-value.
    fn pair(&self, views: &[View], a: &View, b: &View) -> Option<(f64, Vec<Row>)> {
        let at = |lag: i64| if lag >= 0 { self.r(a, b, lag) } else { self.r(b, a, -lag) };
        let curve: BTreeMap<i64, f64> =
            (-self.lag_max..=self.lag_max).filter_map(|lag| Some((lag, at(lag)?))).collect();
        let best = |lags: Vec<i64>| -> Option<i64> {
            let known: Vec<i64> = lags.into_iter().filter(|lag| curve.contains_key(lag)).collect();
            let top = known.iter().map(|lag| curve[lag].abs()).reduce(f64::max)?;
            known.into_iter().filter(|l| curve[l].abs() >= top - 1e-9).min_by_key(|l| (l.abs(), *l < 0))
        };
        let main = best((-self.lag_max..=self.lag_max).collect())?;
        let mut rows = Vec::new();
        let p = self.row(views, a, b, main, &curve, false, &mut rows);
        if curve[&main].abs() >= self.params.threshold - self.params.hysteresis {
            let way = if main > 0 { -1 } else { 1 };
            let way = if main == 0 { -1 } else { way };
            if let Some(lag) = best((1..=self.lag_max).map(|l| l * way).collect())
                && curve[&lag].abs() >= self.params.threshold - self.params.hysteresis
                && curve.get(&(lag - way)).is_none_or(|nearer| curve[&lag].abs() >= nearer.abs())
            {
                let own = self.row(views, a, b, lag, &curve, true, &mut rows);
                rows[1].p = own.max(p);
            }
        }
        Some((p, rows))
    }

    #[allow(clippy::too_many_arguments)]
    fn row(
        &self,
        views: &[View],
        a: &View,
        b: &View,
        signed: i64,
        curve: &BTreeMap<i64, f64>,
        mirror: bool,
        rows: &mut Vec<Row>,
    ) -> f64 {
        let (x, y, lag) = if signed >= 0 { (a, b, signed) } else { (b, a, -signed) };
        let r = curve[&signed];
        let (p, adjusted, effective) = self.judge(x, y, lag);
        if r.abs() >= self.params.threshold - self.params.hysteresis {
            // the lags on either side before the first that falls too far below the peak
            let good = |l: &i64| curve.get(l).is_some_and(|other| other.abs() > r.abs() - 1.0 / effective.sqrt());
            let low = (-self.lag_max..signed).rev().take_while(good).last().unwrap_or(signed);
            let high = (signed + 1..=self.lag_max).take_while(good).last().unwrap_or(signed);
            let range = if signed >= 0 { (low, high) } else { (-high, -low) };
            let explained = if self.few(x, y, lag, r) {
                Some("few_points".to_owned())
            } else if adjusted.is_some_and(|adjusted| adjusted * r.signum() < 0.7) {
                Some("daily_cycle".to_owned())
            } else if self.shared_load(views, x, y, lag, range) {
                Some("common_cause:shared_load".to_owned())
            } else {
                None
            };
            rows.push(Row {
                source: x.key.clone(),
                target: y.key.clone(),
                step: self.step,
                lag: lag * self.step,
                range: (range.0 * self.step, range.1 * self.step),
                r,
                points: paired(&x.raw, &y.raw, self.end, self.window, lag).len() as u64,
                p,
                effective,
                q: 1.0,
                sure: false,
                from: (self.end - self.window + 1) * self.step,
                to: self.end * self.step,
                mirror,
                explained,
            });
        }
        p
    }
}

fn key(source: &SeriesKey, target: &SeriesKey) -> PatternKey {
    let signal = |key: &SeriesKey| Signal {
        kind: SignalKind::Metric,
        colony_id: key.colony_id.clone(),
        service_id: key.service_id.clone(),
        name: key.metric_name.clone(),
    };
    PatternKey { source: signal(source), target: signal(target) }
}

/// Source and target of what was confirmed at an instant.
type Held = BTreeSet<(SeriesKey, SeriesKey)>;

/// All rows of an instant, with q-values and explanations, and the number of pairs tested. Patterns confirmed at the
/// previous instant may have twice the q-value.
fn rows_at(winners: &Winners, params: &MetricParams, held: &Held, at: i64) -> (usize, Vec<Row>) {
    let natives: BTreeMap<&SeriesKey, (i64, Option<u32>)> =
        winners.iter().filter_map(|(series, tracks)| Some((series, used(tracks, params, at)?))).collect();
    let (mut rows, mut p_values) = (Vec::new(), Vec::new());
    for step in GRID {
        let views: Vec<View> = natives
            .iter()
            .filter(|(_, (native, _))| *native <= step)
            .filter_map(|(series, (_, interval))| view(series, &winners[*series][interval], params, step, at))
            .collect();
        let look = Look {
            params,
            step,
            end: at.div_euclid(step),
            window: params.window_ms / step,
            lag_max: params.max_lag_ms / step,
        };
        for (i, a) in views.iter().enumerate() {
            for b in &views[i + 1..] {
                let coarser = natives[&a.key].0.max(natives[&b.key].0);
                if coarser == step
                    && params.compares(&a.key, &b.key)
                    && let Some((p, found)) = look.pair(&views, a, b)
                {
                    p_values.push(p);
                    rows.extend(found);
                }
            }
        }
    }
    // Benjamini-Hochberg, by its definition: of all cut-offs at or above p, the best bound
    let m = p_values.len() as f64;
    let bound = |cut: f64| m * cut / p_values.iter().filter(|p| **p <= cut).count().max(1) as f64;
    for row in &mut rows {
        let cuts = p_values.iter().copied().filter(|p| *p >= row.p).chain([row.p]);
        row.q = cuts.map(bound).fold(1.0, f64::min);
        let kept = held.contains(&(row.source.clone(), row.target.clone()));
        row.sure = row.q <= params.false_discovery_rate * if kept { 2.0 } else { 1.0 };
        if row.mirror {
            row.explained = Some(format!("mirror:{}", key(&row.target, &row.source).correlation_id()));
        }
    }
    explain_no_direction(&mut rows);
    explain_triangles(&mut rows);
    (p_values.len(), rows)
}

/// A relation that also exists in reverse has no reliable direction.
fn explain_no_direction(rows: &mut [Row]) {
    let mirrors: Vec<Row> = rows.iter().filter(|row| row.mirror).cloned().collect();
    for row in rows.iter_mut() {
        let believed = !row.mirror && row.explained.is_none() && row.sure;
        let other = mirrors.iter().find(|m| (&m.target, &m.source) == (&row.source, &row.target));
        if believed && row.lag > 0 && other.is_some_and(|m| row.r.abs() - m.r.abs() <= 2.0 / row.effective.sqrt()) {
            row.explained = Some("co_moving".to_owned());
        }
    }
}

fn explain_triangles(rows: &mut [Row]) {
    let believed: Vec<Row> = rows.iter().filter(|r| r.explained.is_none() && r.sure).cloned().collect();
    // lag from u to v, and strength
    let between = |u: &SeriesKey, v: &SeriesKey| {
        believed.iter().find_map(|r| {
            if (&r.source, &r.target) == (u, v) {
                Some((r.lag, r))
            } else if (&r.source, &r.target) == (v, u) {
                Some((-r.lag, r))
            } else {
                None
            }
        })
    };
    let stronger = |a: &Row, b: &Row| {
        a.r.abs().total_cmp(&b.r.abs()).then_with(|| (&a.source, &a.target).cmp(&(&b.source, &b.target))).is_gt()
    };
    let ends: BTreeSet<&SeriesKey> = believed.iter().flat_map(|r| [&r.source, &r.target]).collect();
    for row in rows.iter_mut() {
        if !believed.iter().any(|b| (&b.source, &b.target) == (&row.source, &row.target)) {
            continue;
        }
        let mut best: Option<(f64, &SeriesKey)> = None;
        for third in &ends {
            if [&row.source.colony_id, &row.target.colony_id].contains(&&third.colony_id) {
                continue;
            }
            let (Some((first, a)), Some((second, b))) = (between(&row.source, third), between(third, &row.target))
            else {
                continue;
            };
            let slack = 2 * row.step.max(a.step).max(b.step);
            let leg = a.r.abs().min(b.r.abs());
            let fits = (first + second - row.lag).abs() <= slack && stronger(a, row) && stronger(b, row);
            if fits && best.is_none_or(|(other, _)| leg > other) {
                best = Some((leg, third));
            }
        }
        if let Some((_, z)) = best {
            let leg = |u: &SeriesKey, v: &SeriesKey| between(u, v).map_or(0, |(lag, _)| lag);
            let is_between = leg(&row.source, z) > 0 && leg(z, &row.target) > 0;
            let role = if is_between { "mediator" } else { "common_cause" };
            row.explained = Some(format!("{role}:{}/{}/{}", z.colony_id, z.service_id, z.metric_name));
        }
    }
}

/// Expected findings of the operators for all points up to `now`: the findings by key, and the maximum number of pairs
/// tested at one instant.
pub fn findings(points: &[MetricPoint], params: &MetricParams, now: TimeMs) -> (u64, Vec<Expected>) {
    let winners = winners(points);
    let present = now.0.div_euclid(MINUTE) * MINUTE + MINUTE - 1;
    let mut looks: Vec<i64> =
        (0..8).map(|day| present.div_euclid(DAY) * DAY - day * DAY - 1).filter(|t| *t >= present - 7 * DAY).collect();
    looks.reverse();
    looks.push(present);
    let (mut inside, mut held) = (Held::new(), Held::new());
    let mut by_instant: Vec<(usize, Vec<Row>)> = Vec::new();
    for at in looks {
        let (tested, rows) = rows_at(&winners, params, &held, at);
        let ends = |row: &Row| (row.source.clone(), row.target.clone());
        let slack = |row: &Row| if inside.contains(&ends(row)) { params.hysteresis } else { 0.0 };
        let within: Vec<&Row> = rows.iter().filter(|row| row.r.abs() >= params.threshold - slack(row)).collect();
        held = within.iter().filter(|row| row.sure && row.explained.is_none()).map(|row| ends(row)).collect();
        inside = within.into_iter().map(ends).collect();
        by_instant.push((tested, rows));
    }
    let directions: BTreeSet<(SeriesKey, SeriesKey)> =
        by_instant.iter().flat_map(|(_, rows)| rows).map(|r| (r.source.clone(), r.target.clone())).collect();
    let mut out = Vec::new();
    for (source, target) in directions {
        let (mut inside, mut confirmed, mut ever, mut here) = (false, false, false, false);
        let (mut first, mut last, mut shown) = (None, None, None);
        for (_, rows) in &by_instant {
            let row = rows.iter().find(|r| (&r.source, &r.target) == (&source, &target));
            ever |= confirmed;
            let bound = if inside { params.threshold - params.hysteresis } else { params.threshold };
            let now_inside = row.is_some_and(|r| r.r.abs() >= bound);
            if now_inside && !inside {
                first = row;
            }
            inside = now_inside;
            last = if inside { row } else { last };
            confirmed = inside && row.is_some_and(|r| r.explained.is_none() && r.sure);
            shown = row.or(shown);
            here = row.is_some();
        }
        let state = match (confirmed, ever, inside) {
            (true, _, _) => PatternState::Confirmed,
            (_, true, _) => PatternState::Withdrawn,
            (_, _, true) => PatternState::Candidate,
            _ => continue,
        };
        if let (Some(row), Some(first), Some(last)) = (shown, first, last) {
            let latency = is_latency(&source.metric_name) && is_latency(&target.metric_name);
            out.push(Expected {
                key: key(&source, &target),
                state,
                explained_by: row.explained.clone(),
                correlation_type: if latency { "latency_correlation" } else { "metric_correlation" }.to_owned(),
                lag_seconds: (row.lag / 1000) as i32,
                lag_range_seconds: ((row.range.0 / 1000) as i32, (row.range.1 / 1000) as i32),
                points: row.points,
                source_timestamp: TimeMs(row.from - row.lag),
                target_timestamp: TimeMs(row.from),
                first_observed: TimeMs(first.from - first.lag),
                last_observed: TimeMs(last.to),
                coefficient: row.r,
                q_value: if here { row.q } else { 1.0 },
            });
        }
    }
    let tested = by_instant.iter().map(|(n, _)| *n as u64).max().unwrap_or(0);
    (tested, out)
}
