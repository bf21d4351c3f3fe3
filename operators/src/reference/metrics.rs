//! Metric pairs from scratch: from the set of all points to the findings, slowly and without any state.
//!
//! Written from the definitions (methods 1.1, 3.1, 3.2; DESIGN 3.5; the module docs of `metrics`), not from the operators:
//! every correlation is two plain passes over pairs of values that are looked up by time, every guard is recomputed for
//! every lag that needs it, and nothing is shared between pairs or instants. Only parameters, row types and the name rules are.

use crate::calls::Call;
use crate::metrics::MetricParams;
use crate::metrics::kinds::is_latency;
use crate::reference::metric_pair::{
    DAY, GRID, HOUR, Look, MINUTE, Pair, Peak, View, Window, Winners, used, view, winners,
};
use crate::reference::statistics::log_mixture;
use model::metric::{MetricPoint, SeriesKey};
use model::pattern::{PatternKey, PatternState, Signal, SignalKind};
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

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

/// One direction at one instant, after all windows.
#[derive(Clone, Debug)]
struct Row {
    source: SeriesKey,
    target: SeriesKey,
    step: i64,
    lag: i64,
    range: (i64, i64),
    mean: f64,
    window: Window,
    strongest: f64,
    e: f64,
    effective: f64,
    q: f64,
    sure: bool,
    from: i64,
    to: i64,
    mirror: bool,
    explained: Option<String>,
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

/// Two series in the order of names.
type Ends = (SeriesKey, SeriesKey);

/// All series on all grids at one instant, and all pairs that can be computed.
struct Sight {
    at: i64,
    views: BTreeMap<i64, Vec<View>>,
    pairs: BTreeMap<Ends, Pair>,
}

fn sight(winners: &Winners, calls: &BTreeSet<Call>, params: &MetricParams, at: i64) -> Sight {
    let natives: BTreeMap<&SeriesKey, (i64, Option<u32>)> =
        winners.iter().filter_map(|(series, tracks)| Some((series, used(tracks, params, at)?))).collect();
    let mut sight = Sight { at, views: BTreeMap::new(), pairs: BTreeMap::new() };
    for step in GRID {
        let views: Vec<View> = natives
            .iter()
            .filter(|(_, (native, _))| *native <= step)
            .filter_map(|(series, (_, interval))| view(series, &winners[*series][interval], params, step, at))
            .collect();
        let look = Look::at(params, calls, step, at);
        for (i, a) in views.iter().enumerate() {
            for b in &views[i + 1..] {
                let coarser = natives[&a.key].0.max(natives[&b.key].0);
                if coarser == step
                    && params.compares(&a.key, &b.key)
                    && let Some(pair) = look.pair(&views, a, b, at)
                {
                    sight.pairs.insert((a.key.clone(), b.key.clone()), pair);
                }
            }
        }
        sight.views.insert(step, views);
    }
    sight
}

/// A pair at all instants on the grid of the latest, at all lags at which it is followed: `(instant, lag)`.
fn follow(
    sights: &[Sight],
    calls: &BTreeSet<Call>,
    ends: &Ends,
    params: &MetricParams,
) -> BTreeMap<(i64, i64), Window> {
    let all: Vec<&Pair> = sights.iter().filter_map(|sight| sight.pairs.get(ends)).collect();
    let Some(step) = all.last().map(|pair| pair.step) else { return BTreeMap::new() };
    let on_grid: Vec<&Pair> = all.into_iter().filter(|pair| pair.step == step).collect();
    let stands = |lag: i64, peak: &Peak| (lag >= 0) == (peak.lag >= 0) && peak.near.0 <= lag && lag <= peak.near.1;
    let mut followed: Vec<Peak> = Vec::new();
    for peak in on_grid.iter().flat_map(|pair| &pair.peaks) {
        if !followed.iter().any(|known| stands(known.lag, peak)) {
            followed.push(*peak);
        }
    }
    let mut out = BTreeMap::new();
    for pair in on_grid {
        let look = Look::at(params, calls, step, pair.at);
        let Some(sight) = sights.iter().find(|sight| sight.at == pair.at) else { continue };
        let views = &sight.views[&step];
        let find = |key: &SeriesKey| views.iter().find(|view| view.key == *key);
        let (Some(first), Some(second)) = (find(&ends.0), find(&ends.1)) else { continue };
        for one in &followed {
            let simultaneous = one.lag.abs() <= 1 || (one.range.0 <= 0 && one.range.1 >= 0);
            if !pair.curve.contains_key(&one.lag) {
                continue;
            }
            if let Some(mut window) = look.signed(views, first, second, one.lag, simultaneous) {
                let peak = pair.peaks.iter().find(|peak| stands(one.lag, peak));
                window.peak = peak.map(|p| if one.lag >= 0 { p.range } else { (-p.range.1, -p.range.0) });
                out.insert((pair.at, one.lag), window);
            }
        }
    }
    out
}

/// Both directions of a pair as seen from one instant.
fn directions(
    ends: &Ends,
    step: i64,
    windows: &BTreeMap<(i64, i64), Window>,
    params: &MetricParams,
    at: i64,
) -> Vec<Row> {
    let instants: BTreeSet<i64> = windows.keys().map(|(instant, _)| *instant).filter(|t| *t <= at).collect();
    if !instants.contains(&at) {
        return Vec::new();
    }
    let mut separate = vec![at];
    for instant in instants.iter().rev() {
        if *instant <= separate[separate.len() - 1] - params.window_ms {
            separate.push(*instant);
        }
    }
    let (window_slots, lag_max) = (params.window_ms / step, params.max_lag_ms / step);
    let leave = params.threshold - params.hysteresis;
    let mut rows = Vec::new();
    for forward in [true, false] {
        let lags: Vec<i64> = windows
            .keys()
            .filter(|(instant, lag)| *instant == at && (*lag >= 0) == forward)
            .map(|(_, lag)| *lag)
            .filter(|lag| instants.iter().any(|t| windows.get(&(*t, *lag)).is_some_and(|w| w.peak.is_some())))
            .collect();
        let at_lag = |lag: i64| -> Vec<&Window> { separate.iter().filter_map(|t| windows.get(&(*t, lag))).collect() };
        let mean = |lag: i64| at_lag(lag).iter().map(|w| w.r).sum::<f64>() / at_lag(lag).len() as f64;
        let Some(top) = lags.iter().map(|lag| mean(*lag).abs()).reduce(f64::max) else { continue };
        let Some(lag) = lags.iter().copied().filter(|l| mean(*l).abs() >= top - 1e-9).min_by_key(|l| l.abs()) else {
            continue;
        };
        let all = at_lag(lag);
        let levels: Vec<(f64, f64)> = all.iter().filter(|w| !w.drifts).map(|w| w.level).collect();
        let changes: Vec<(f64, f64)> = all.iter().map(|w| w.differences).collect();
        let (one, two) = (log_mixture(&levels), log_mixture(&changes));
        let mean_e = one.max(two) + ((one - one.max(two)).exp() / 2.0 + (two - one.max(two)).exp() / 2.0).ln();
        let kind = if one >= two { &levels } else { &changes };
        let strong: Vec<&&Window> = all.iter().filter(|w| w.r.abs() >= leave).collect();
        let reasons: Vec<String> = strong.iter().filter_map(|w| w.explained.clone()).collect();
        let range = instants.iter().rev().find_map(|t| windows.get(&(*t, lag))?.peak).unwrap_or((lag.abs(), lag.abs()));
        let (source, target) = if forward { (&ends.0, &ends.1) } else { (&ends.1, &ends.0) };
        rows.push(Row {
            source: source.clone(),
            target: target.clone(),
            step,
            lag: lag.abs() * step,
            range: (range.0 * step, range.1 * step),
            mean: mean(lag),
            window: windows[&(at, lag)].clone(),
            strongest: lags.iter().map(|l| windows[&(at, *l)].r.abs()).fold(0.0, f64::max),
            e: mean_e - ((2 * lag_max + 1) as f64).ln(),
            effective: kind.iter().map(|(_, effective)| effective - 3.0).sum::<f64>() + 3.0,
            q: 1.0,
            sure: false,
            from: (at.div_euclid(step) - window_slots + 1) * step,
            to: at.div_euclid(step) * step,
            mirror: false,
            explained: if 2 * reasons.len() >= strong.len() { reasons.first().cloned() } else { None },
        });
    }
    if let [first, second] = &mut rows[..] {
        let (one, two) = (first.mean.abs(), second.mean.abs());
        let first_wins = if (one - two).abs() > 1e-9 { one > two } else { first.lag <= second.lag };
        if first_wins { second.mirror = true } else { first.mirror = true }
    }
    rows
}

/// All rows of an instant, with q-values and explanations. Patterns confirmed at the previous instant may have twice the
/// q-value.
fn rows_at(pairs: Vec<Vec<Row>>, tested: usize, params: &MetricParams, held: &Held) -> Vec<Row> {
    // e-BH, by its definition: of all cut-offs at or above 1 / E, the best bound
    let chance = |row: &Row| (-row.e).exp().min(1.0);
    let of_pairs: Vec<f64> = pairs.iter().filter_map(|rows| rows.iter().map(chance).reduce(f64::min)).collect();
    let bound = |cut: f64| tested as f64 * cut / of_pairs.iter().filter(|p| **p <= cut).count().max(1) as f64;
    let mut rows: Vec<Row> = pairs.into_iter().flatten().collect();
    for row in &mut rows {
        let p = chance(row);
        let cuts = of_pairs.iter().copied().filter(|other| *other >= p).chain([p]);
        row.q = cuts.map(bound).fold(1.0, f64::min);
        let kept = held.contains(&(row.source.clone(), row.target.clone()));
        row.sure = row.q <= params.false_discovery_rate * if kept { 2.0 } else { 1.0 };
        if row.mirror {
            row.explained = Some(format!("mirror:{}", key(&row.target, &row.source).correlation_id()));
        }
    }
    explain_no_direction(&mut rows);
    explain_triangles(&mut rows);
    rows
}

/// A relation that also exists in reverse has no reliable direction.
fn explain_no_direction(rows: &mut [Row]) {
    let mirrors: Vec<Row> = rows.iter().filter(|row| row.mirror).cloned().collect();
    for row in rows.iter_mut() {
        let believed = !row.mirror && row.explained.is_none() && row.sure;
        let other = mirrors.iter().find(|m| (&m.target, &m.source) == (&row.source, &row.target));
        if believed && row.lag > 0 && other.is_some_and(|m| row.mean.abs() - m.mean.abs() <= 2.0 / row.effective.sqrt())
        {
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
        a.mean.abs().total_cmp(&b.mean.abs()).then_with(|| (&a.source, &a.target).cmp(&(&b.source, &b.target))).is_gt()
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
            let leg = a.mean.abs().min(b.mean.abs());
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

/// The last millisecond of the hour that is over at a present instant.
fn last_hour(present: i64) -> i64 {
    (present + 1).div_euclid(HOUR) * HOUR - 1
}

/// Expected findings of the operators for all points up to `now` and for calls: the findings by key, and the maximum number
/// of pairs tested at one instant.
pub fn findings(
    points: &[MetricPoint],
    calls: &BTreeSet<Call>,
    params: &MetricParams,
    now: TimeMs,
) -> (u64, Vec<Expected>) {
    let calls = &calls.iter().filter(|call| call.seen_at >= now - params.keep_ms()).cloned().collect();
    let winners = winners(points);
    let present = now.0.div_euclid(MINUTE) * MINUTE + MINUTE - 1;
    let mut days: Vec<i64> =
        (0..8).map(|day| present.div_euclid(DAY) * DAY - day * DAY - 1).filter(|t| *t >= present - 7 * DAY).collect();
    days.reverse();
    let hour = last_hour(present);
    let looks: BTreeSet<i64> = days.iter().copied().chain([hour, present]).collect();
    let sights: Vec<Sight> = looks.iter().map(|at| sight(&winners, calls, params, *at)).collect();
    let all_ends: BTreeSet<&Ends> = sights.iter().flat_map(|sight| sight.pairs.keys()).collect();
    let followed: BTreeMap<&Ends, BTreeMap<(i64, i64), Window>> =
        all_ends.into_iter().map(|ends| (ends, follow(&sights, calls, ends, params))).collect();
    // what is said at the end of a walk over days and one instant more
    let said = |last: i64| {
        let walked: BTreeSet<i64> = days.iter().copied().filter(|day| *day < last).chain([last]).collect();
        let sights: Vec<&Sight> = sights.iter().filter(|sight| walked.contains(&sight.at)).collect();
        walk(&sights, &followed, params)
    };
    let (then, now) = (if hour == present { Vec::new() } else { said(hour) }, said(present));
    let shown = |now: Said| {
        let same = then.iter().find(|then| says_the_same(then, &now));
        same.map_or_else(|| now.expected.clone(), |then| then.expected.clone())
    };
    let out = now.into_iter().map(shown).collect();
    let tested = sights.iter().map(|sight| sight.pairs.len() as u64).max().unwrap_or(0);
    (tested, out)
}

/// A finding at the end of a walk: whether the pair could be computed there, and whether |r| was great enough.
struct Said {
    expected: Expected,
    here: bool,
    inside: bool,
}

fn says_the_same(one: &Said, other: &Said) -> bool {
    let verdict = |said: &Said| {
        let Expected { key, state, explained_by, lag_seconds, .. } = said.expected.clone();
        (key, state, explained_by, lag_seconds, said.here, said.inside)
    };
    verdict(one) == verdict(other)
}

/// The walk over some instants.
fn walk(
    sights: &[&Sight],
    followed: &BTreeMap<&Ends, BTreeMap<(i64, i64), Window>>,
    params: &MetricParams,
) -> Vec<Said> {
    let leave = params.threshold - params.hysteresis;
    // what a confirmed relation must fall below to be no longer present
    let contradicted = |row: &Row| {
        let missing = leave.atanh() - row.window.r.abs().min(1.0 - 1e-15).atanh();
        missing > 3.0 / (row.window.level.1 - 3.0).sqrt()
    };
    let walked: BTreeSet<i64> = sights.iter().map(|sight| sight.at).collect();
    let (mut inside, mut held) = (Held::new(), Held::new());
    let mut by_instant: Vec<Vec<Row>> = Vec::new();
    for sight in sights {
        let pairs = followed.iter().filter_map(|(ends, windows)| {
            let step = sight.pairs.get(*ends)?.step;
            let windows = windows.iter().filter(|((at, _), _)| walked.contains(at));
            Some(directions(ends, step, &windows.map(|(at, w)| (*at, w.clone())).collect(), params, sight.at))
        });
        let rows = rows_at(pairs.collect(), sight.pairs.len(), params, &held);
        let ends = |row: &Row| (row.source.clone(), row.target.clone());
        let is_inside = |row: &&Row| {
            let bound = if inside.contains(&ends(row)) { leave } else { params.threshold };
            row.strongest >= bound || (held.contains(&ends(row)) && !contradicted(row))
        };
        let within: Vec<&Row> = rows.iter().filter(is_inside).collect();
        held = within.iter().filter(|row| row.sure && row.explained.is_none()).map(|row| ends(row)).collect();
        inside = within.into_iter().map(ends).collect();
        by_instant.push(rows);
    }
    let directions: BTreeSet<(SeriesKey, SeriesKey)> =
        by_instant.iter().flatten().map(|r| (r.source.clone(), r.target.clone())).collect();
    let mut out = Vec::new();
    for (source, target) in directions {
        let (mut inside, mut confirmed, mut ever, mut here) = (false, false, false, false);
        let (mut first, mut last, mut shown) = (None, None, None);
        for rows in &by_instant {
            let row = rows.iter().find(|r| (&r.source, &r.target) == (&source, &target));
            ever |= confirmed;
            let bound = if inside { leave } else { params.threshold };
            let now_inside = row.is_some_and(|r| r.strongest >= bound || (confirmed && !contradicted(r)));
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
            let expected = Expected {
                key: key(&source, &target),
                state,
                explained_by: row.explained.clone(),
                correlation_type: if latency { "latency_correlation" } else { "metric_correlation" }.to_owned(),
                lag_seconds: (row.lag / 1000) as i32,
                lag_range_seconds: ((row.range.0 / 1000) as i32, (row.range.1 / 1000) as i32),
                points: row.window.points,
                source_timestamp: TimeMs(row.from - row.lag),
                target_timestamp: TimeMs(row.from),
                first_observed: TimeMs(first.from - first.lag),
                last_observed: TimeMs(last.to),
                coefficient: row.window.r,
                q_value: if here { row.q } else { 1.0 },
            };
            out.push(Said { expected, here, inside });
        }
    }
    out
}
