//! One metric pair at one instant, from scratch: which samples count, what a series looks like from there, and the pair at
//! every lag.

use crate::calls::Call;
use crate::metrics::MetricParams;
use crate::metrics::kinds::is_demand;
use crate::reference::statistics::{
    Slots, differences, drift_time, effective_of, kurtosis, p_of, paired, pearson, scale,
};
use model::metric::{MetricPoint, SeriesKey};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
pub(super) const GRID: [i64; 4] = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR];

/// The winning rows: series, interval, time to (value, weight).
pub(super) type Winners = BTreeMap<SeriesKey, BTreeMap<Option<u32>, BTreeMap<i64, (f64, f64)>>>;

pub(super) fn winners(points: &[MetricPoint]) -> Winners {
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
pub(super) struct View {
    pub(super) key: SeriesKey,
    /// All slots of profile, lag and window.
    raw: Slots,
    clamped: Slots,
    adjusted: Option<Slots>,
}

pub(super) fn view(
    key: &SeriesKey,
    track: &BTreeMap<i64, (f64, f64)>,
    params: &MetricParams,
    step: i64,
    at: i64,
) -> Option<View> {
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
    let (centre, sigma) = scale(seen.iter().map(|v| v - mean));
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
pub(super) fn used(
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

/// A pair at one instant: at every lag at which it can be computed, and its peaks.
pub(super) struct Pair {
    pub(super) at: i64,
    pub(super) step: i64,
    pub(super) curve: BTreeMap<i64, f64>,
    pub(super) peaks: Vec<Peak>,
}

/// Lags in ascending order, positive where the first series leads.
#[derive(Clone, Copy)]
pub(super) struct Peak {
    pub(super) lag: i64,
    pub(super) range: (i64, i64),
    pub(super) near: (i64, i64),
}

/// A pair at one lag in one window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) r: f64,
    pub(super) points: u64,
    pub(super) level: (f64, f64),
    pub(super) differences: (f64, f64),
    pub(super) drifts: bool,
    pub(super) explained: Option<String>,
    pub(super) peak: Option<(i64, i64)>,
}

pub(super) struct Look<'a> {
    params: &'a MetricParams,
    calls: &'a BTreeSet<Call>,
    step: i64,
    end: i64,
    window: i64,
    lag_max: i64,
}

impl Look<'_> {
    /// `calls`: those that count.
    pub(super) fn at<'a>(params: &'a MetricParams, calls: &'a BTreeSet<Call>, step: i64, at: i64) -> Look<'a> {
        let (end, window, lag_max) = (at.div_euclid(step), params.window_ms / step, params.max_lag_ms / step);
        Look { params, calls, step, end, window, lag_max }
    }

    fn leave(&self) -> f64 {
        self.params.threshold - self.params.hysteresis
    }

    fn needed(&self) -> f64 {
        (0.8 * self.window as f64).max(8.0)
    }

    fn r(&self, x: &View, y: &View, lag: i64) -> Option<f64> {
        let pairs = paired(&x.raw, &y.raw, self.end, self.window, lag);
        if (pairs.len() as f64) < self.needed() { None } else { pearson(&pairs) }
    }

    /// Coefficient and effective points.
    fn worth(&self, x: &Slots, y: &Slots, lag: i64) -> (f64, f64) {
        let pairs = paired(x, y, self.end, self.window, lag);
        let spread = |values: &Slots| kurtosis(values, self.end, self.window);
        let share = (3.0 / (spread(x) * spread(y)).sqrt()).min(1.0);
        let effective = || (effective_of(x, y, pairs.len(), self.end, self.window) * share).max(3.0);
        pearson(&pairs).map_or((0.0, 3.0), |r| (r, effective()))
    }

    fn window(&self, views: &[View], x: &View, y: &View, lag: i64, simultaneous: bool) -> Option<Window> {
        let r = self.r(x, y, lag)?;
        let mut levels = (&x.clamped, &y.clamped);
        let mut adjusted_r = None;
        if let (Some(ax), Some(ay)) = (&x.adjusted, &y.adjusted) {
            let pairs = paired(ax, ay, self.end, self.window, lag);
            if pairs.len() as f64 >= self.needed() && pearson(&pairs).is_some() {
                levels = (ax, ay);
                adjusted_r = pearson(&pairs);
            }
        }
        let drifts = |v: &Slots| drift_time(v, self.end, self.window) > self.window as f64 / 10.0;
        let explained = if r.abs() < self.leave() {
            None
        } else if self.few(x, y, lag, r) {
            Some("few_points".to_owned())
        } else if adjusted_r.is_some_and(|adjusted| adjusted * r.signum() < 0.7) {
            Some("daily_cycle".to_owned())
        } else if simultaneous && self.shared_load(views, x, y, lag) {
            Some("common_cause:shared_load".to_owned())
        } else {
            None
        };
        Some(Window {
            r,
            points: paired(&x.raw, &y.raw, self.end, self.window, lag).len() as u64,
            level: self.worth(levels.0, levels.1, lag),
            differences: self.worth(&differences(levels.0), &differences(levels.1), lag),
            drifts: drifts(levels.0) || drifts(levels.1),
            explained,
            peak: None,
        })
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

    /// Whether the topology of one of the two colonies shows a call between services of these names.
    fn calls_link(&self, x: &SeriesKey, y: &SeriesKey) -> bool {
        self.calls.iter().any(|call| {
            let is_of_them = call.colony_id == x.colony_id || call.colony_id == y.colony_id;
            let (from, to) = (&call.from_service, &call.to_service);
            let ends = (&x.service_id, &y.service_id);
            is_of_them && (ends == (from, to) || ends == (to, from))
        })
    }

    fn shared_load(&self, views: &[View], x: &View, y: &View, lag: i64) -> bool {
        let Some(mode) = self.mode(views, &x.key, &y.key) else { return false };
        let follow = |view: &View, shift: i64| -> Option<(f64, f64)> {
            let pairs: Vec<(f64, f64)> = paired(&view.clamped, &mode, self.end - shift, self.window, 0);
            let r = pearson(&pairs)?;
            Some((r.abs(), p_of(r, effective_of(&view.clamped, &mode, pairs.len(), self.end, self.window))))
        };
        let (Some(fx), Some(fy)) = (follow(x, lag), follow(y, 0)) else { return false };
        let clamped = pearson(&paired(&x.clamped, &y.clamped, self.end, self.window, lag)).unwrap_or(0.0).abs();
        let demand = is_demand(&x.key.metric_name) && is_demand(&y.key.metric_name);
        let both_follow = fx.0.min(fy.0) >= 0.3 && fx.1.max(fy.1) <= 0.001;
        fx.0.min(fy.0) >= clamped || (demand && both_follow && !self.calls_link(&x.key, &y.key))
    }

    /// The pair at every lag; `None` if there is none.
    pub(super) fn pair(&self, views: &[View], a: &View, b: &View, at: i64) -> Option<Pair> {
        let r_at = |lag: i64| if lag >= 0 { self.r(a, b, lag) } else { self.r(b, a, -lag) };
        let curve: BTreeMap<i64, f64> =
            (-self.lag_max..=self.lag_max).filter_map(|lag| Some((lag, r_at(lag)?))).collect();
        let best = |lags: Vec<i64>| -> Option<i64> {
            let known: Vec<i64> = lags.into_iter().filter(|lag| curve.contains_key(lag)).collect();
            let top = known.iter().map(|lag| curve[lag].abs()).reduce(f64::max)?;
            known.into_iter().filter(|l| curve[l].abs() >= top - 1e-9).min_by_key(|l| (l.abs(), *l < 0))
        };
        let peak = |lag: i64| {
            let within = |slack: f64| {
                // the lags on either side before the first that falls too far below the peak
                let good = |l: &i64| curve.get(l).is_some_and(|other| other.abs() > curve[&lag].abs() - slack);
                let low = (-self.lag_max..lag).rev().take_while(good).last().unwrap_or(lag);
                (low, (lag + 1..=self.lag_max).take_while(good).last().unwrap_or(lag))
            };
            let window = self.signed(views, a, b, lag, false)?;
            let effective = if window.drifts { window.differences.1 } else { window.level.1 };
            Some(Peak { lag, range: within(1.0 / effective.sqrt()), near: within(0.01) })
        };
        let main = best((-self.lag_max..=self.lag_max).collect())?;
        let mut peaks = Vec::new();
        if curve[&main].abs() >= self.leave() {
            peaks.extend(peak(main));
            let way = if main > 0 { -1 } else { 1 };
            let way = if main == 0 { -1 } else { way };
            if let Some(lag) = best((1..=self.lag_max).map(|l| l * way).collect())
                && curve[&lag].abs() >= self.leave()
                && curve.get(&(lag - way)).is_none_or(|nearer| curve[&lag].abs() >= nearer.abs())
            {
                peaks.extend(peak(lag));
            }
        }
        Some(Pair { at, step: self.step, curve, peaks })
    }

    /// The pair at a lag that is negative where the second leads.
    pub(super) fn signed(&self, views: &[View], a: &View, b: &View, lag: i64, simultaneous: bool) -> Option<Window> {
        let (x, y) = if lag >= 0 { (a, b) } else { (b, a) };
        self.window(views, x, y, lag.abs(), simultaneous)
    }
}
