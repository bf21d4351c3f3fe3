//! `MetricVerdict`: from the rows of all shards to findings. The false-discovery rate, common causes, and the walk with
//! hysteresis over the evaluated instants.
//!
//! State at an instant depends on |r| there and on the state at the instant before: a direction becomes a candidate at
//! the threshold and stays one down to threshold - hysteresis. It is confirmed if it is a candidate, passes the
//! configured false-discovery rate (twice that rate if it was confirmed at the previous instant), is the stronger of
//! its two directions, and nothing else explains it. It is withdrawn if it was confirmed at an earlier instant of the
//! walk and no longer is.

use super::fdr::Family;
use super::kinds::is_latency;
use super::params::MetricParams;
use super::reason::{Bar, reason};
use super::row::{FoundRow, MetricScanRow};
use model::metric::SeriesKey;
use model::pattern::{Correlation, Evidence, Finding, PatternKey, PatternState, Signal, SignalKind};
use model::real::Real;
use model::time::{TimeMs, format_duration_ms};
use std::collections::{BTreeMap, BTreeSet};

/// A p-value below this is published as 1 / this: the reciprocal stays finite.
const P_VALUE_MIN: f64 = 1e-300;
/// Tolerance for the lags of two relations to add up to that of a third, in steps of the coarsest of their grids.
const LAG_SLACK_STEPS: i64 = 2;
/// How many times the false-discovery rate the q-value of a confirmed relation may reach before it is withdrawn.
const HELD_RATE: f64 = 2.0;

/// Rows of one instant.
#[derive(Debug, Default)]
struct Instant {
    current: bool,
    rows: BTreeMap<MetricScanRow, i64>,
}

/// A row with what the instant as a whole says about it.
struct Judged<'a> {
    row: &'a FoundRow,
    q: f64,
    /// Whether q is low enough to confirm it or, where it was confirmed, to keep it so.
    sure: bool,
    explained: Option<String>,
    bar: Bar,
}

impl Judged<'_> {
    /// Would be confirmed, as far as is known yet.
    fn believed(&self) -> bool {
        self.sure && self.explained.is_none()
    }
}

type Direction<'a> = (&'a SeriesKey, &'a SeriesKey);

/// State of the walk for one direction.
#[derive(Default)]
struct Walk<'a> {
    present: bool,
    confirmed: bool,
    was_confirmed: bool,
    first: Option<&'a FoundRow>,
    last: Option<&'a FoundRow>,
    /// The latest row, with or without the threshold.
    shown: Option<Judged<'a>>,
    /// Whether that row is of the latest instant.
    seen: bool,
    current: bool,
}

/// The rows of all shards and the findings last emitted.
#[derive(Debug)]
pub struct MetricVerdict {
    params: MetricParams,
    instants: BTreeMap<TimeMs, Instant>,
    findings: BTreeMap<PatternKey, Finding>,
}

impl MetricVerdict {
    /// A verdict without rows.
    pub fn new(params: MetricParams) -> MetricVerdict {
        MetricVerdict { params, instants: BTreeMap::new(), findings: BTreeMap::new() }
    }

    /// Takes rows in and out, of any shard and in any order, and returns how the findings change.
    ///
    /// ```
    /// use coral_operators::metrics::{MetricParams, MetricScan, MetricVerdict};
    /// use coral_operators::shard::Shard;
    /// use model::time::TimeMs;
    /// let params = MetricParams::default();
    /// let mut verdict = MetricVerdict::new(params);
    /// let rows = MetricScan::new(params, Shard::WHOLE).scan(TimeMs(1_700_000_000_000));
    /// assert!(verdict.apply(rows).is_empty());
    /// assert_eq!(verdict.pairs_tested(), 0);
    /// ```
    pub fn apply(&mut self, changes: Vec<(MetricScanRow, i64)>) -> Vec<(Finding, i64)> {
        if changes.is_empty() {
            return Vec::new();
        }
        for (row, diff) in changes {
            let at = match &row {
                MetricScanRow::Tested { at, .. } => *at,
                MetricScanRow::Found(found) => found.at,
            };
            let instant = self.instants.entry(at).or_default();
            let count = instant.rows.entry(row.clone()).or_insert(0);
            *count += diff;
            if *count == 0 {
                instant.rows.remove(&row);
            }
        }
        self.instants.retain(|_, instant| !instant.rows.is_empty());
        for instant in self.instants.values_mut() {
            instant.current = instant.rows.keys().any(|row| matches!(row, MetricScanRow::Tested { current: true, .. }));
        }
        let new = self.walk();
        let mut out = Vec::new();
        for (key, finding) in &self.findings {
            if new.get(key) != Some(finding) {
                out.push((finding.clone(), -1));
            }
        }
        for (key, finding) in &new {
            if self.findings.get(key) != Some(finding) {
                out.push((finding.clone(), 1));
            }
        }
        self.findings = new;
        out
    }

    /// Pairs of series that the last evaluation tested: the maximum over its instants.
    pub fn pairs_tested(&self) -> u64 {
        self.instants.values().map(|instant| p_values(instant).len() as u64).max().unwrap_or(0)
    }

    fn walk(&self) -> BTreeMap<PatternKey, Finding> {
        let mut walks: BTreeMap<Direction<'_>, Walk<'_>> = BTreeMap::new();
        for instant in self.instants.values() {
            let held = walks.iter().filter(|(_, walk)| walk.confirmed).map(|(direction, _)| *direction).collect();
            let mut judged = judge(instant, &held, &self.params);
            for (direction, walk) in &mut walks {
                if !judged.contains_key(direction) {
                    walk.step(None, instant.current, &self.params);
                }
            }
            while let Some((direction, row)) = judged.pop_first() {
                walks.entry(direction).or_default().step(Some(row), instant.current, &self.params);
            }
        }
        let findings = walks.into_values().filter_map(|walk| walk.finding(&self.params));
        findings.map(|finding| (finding.correlation.key.clone(), finding)).collect()
    }
}

fn p_values(instant: &Instant) -> Vec<f64> {
    let tested = instant.rows.keys().filter_map(|row| match row {
        MetricScanRow::Tested { p_values, .. } => Some(p_values),
        MetricScanRow::Found(_) => None,
    });
    tested.flatten().map(|p| p.0).collect()
}

/// q-values and explanations of all rows of an instant. `held`: what was confirmed at the instant before.
fn judge<'a>(
    instant: &'a Instant,
    held: &BTreeSet<Direction<'a>>,
    params: &MetricParams,
) -> BTreeMap<Direction<'a>, Judged<'a>> {
    let family = Family::new(p_values(instant));
    let bar = Bar { tested: family.len(), declared: family.declared(params.false_discovery_rate) };
    let mut judged: BTreeMap<Direction<'a>, Judged<'a>> = BTreeMap::new();
    for row in instant.rows.keys() {
        let MetricScanRow::Found(row) = row else { continue };
        let explained = if row.mirror {
            Some(format!("mirror:{}", pattern_key(&row.target, &row.source).correlation_id()))
        } else {
            row.explained.map(|why| why.as_str().to_owned())
        };
        let q = family.q_value(row.p_value.0);
        let allowed = if held.contains(&(&row.source, &row.target)) { HELD_RATE } else { 1.0 };
        let sure = q <= allowed * params.false_discovery_rate;
        judged.insert((&row.source, &row.target), Judged { row, q, sure, explained, bar });
    }
    for direction in without_direction(&judged) {
        if let Some(judged) = judged.get_mut(&direction) {
            judged.explained = Some("co_moving".to_owned());
        }
    }
    let causes = common_causes(&judged);
    for (direction, cause) in causes {
        if let Some(judged) = judged.get_mut(&direction) {
            judged.explained = Some(format!("{}:{}", cause.role, series_ref(cause.series)));
        }
    }
    judged
}

/// Relations that would be confirmed but also exist in reverse: the reverse has its own peak, and |r| is not greater by
/// more than `2 / sqrt(effective points)` (methods, section 3.2). Two slow series that both drift look like this. A
/// relation at lag 0 claims no direction.
fn without_direction<'a>(judged: &BTreeMap<Direction<'a>, Judged<'a>>) -> Vec<Direction<'a>> {
    let runs_both_ways = |row: &FoundRow| {
        let mirror = judged.get(&(&row.target, &row.source)).filter(|other| other.row.mirror);
        let margin = 2.0 / row.effective_points.0.sqrt();
        mirror.is_some_and(|mirror| row.coefficient.0.abs() - mirror.row.coefficient.0.abs() <= margin)
    };
    let believed = judged.values().filter(|j| j.believed());
    believed.filter(|j| j.row.lag_ms > 0 && runs_both_ways(j.row)).map(|j| (&j.row.source, &j.row.target)).collect()
}

/// One undirected relation seen from one of its ends.
#[derive(Clone, Copy)]
struct Edge<'a> {
    other: &'a SeriesKey,
    row: &'a FoundRow,
    /// From this end to the other, ms.
    lag_ms: i64,
}

/// A third series that explains a relation.
#[derive(Clone, Copy)]
struct Cause<'a> {
    series: &'a SeriesKey,
    /// `mediator` if it is between source and target in time, otherwise `common_cause`.
    role: &'static str,
}

/// Which relations a third series explains. In a triangle of relations between three colonies whose lags add up, the
/// weakest follows from the other two: if z drives x and y, r(x,y) = r(x,z) r(z,y) is below both. (The data-processing
/// rule of network inference; given z, r falls to at most r / (1 + r).) Only relations that would be confirmed count.
fn common_causes<'a>(judged: &BTreeMap<Direction<'a>, Judged<'a>>) -> BTreeMap<Direction<'a>, Cause<'a>> {
    let mut edges: BTreeMap<&SeriesKey, BTreeMap<&SeriesKey, Edge<'_>>> = BTreeMap::new();
    let believed: Vec<&Judged<'a>> = judged.values().filter(|j| j.believed()).collect();
    for Judged { row, .. } in &believed {
        let forth = Edge { other: &row.target, row, lag_ms: row.lag_ms };
        let back = Edge { other: &row.source, row, lag_ms: -row.lag_ms };
        edges.entry(&row.source).or_default().insert(&row.target, forth);
        edges.entry(&row.target).or_default().insert(&row.source, back);
    }
    // a total order, so that exactly one relation of a triangle is the weakest
    let strength = |row: &'a FoundRow| (Real(row.coefficient.0.abs()), &row.source, &row.target);
    let mut causes = BTreeMap::new();
    for Judged { row, .. } in &believed {
        let (Some(of_source), Some(of_target)) = (edges.get(&row.source), edges.get(&row.target)) else { continue };
        let mut best: Option<(Real, Cause<'a>)> = None;
        for (third, first) in of_source {
            let Some(second) = of_target.get(*third) else { continue };
            if third.colony_id == row.source.colony_id || third.colony_id == row.target.colony_id {
                continue;
            }
            let step_ms = row.step_ms.max(first.row.step_ms).max(second.row.step_ms);
            let adds_up = (first.lag_ms - second.lag_ms - row.lag_ms).abs() <= LAG_SLACK_STEPS * step_ms;
            let weakest = strength(row) < strength(first.row) && strength(row) < strength(second.row);
            let weaker_leg = Real(first.row.coefficient.0.abs().min(second.row.coefficient.0.abs()));
            if adds_up && weakest && best.is_none_or(|(leg, _)| weaker_leg > leg) {
                let between = first.lag_ms > 0 && second.lag_ms < 0;
                let role = if between { "mediator" } else { "common_cause" };
                best = Some((weaker_leg, Cause { series: first.other, role }));
            }
        }
        if let Some((_, cause)) = best {
            causes.insert((&row.source, &row.target), cause);
        }
    }
    causes
}

impl<'a> Walk<'a> {
    /// One instant further; `judged` is absent when |r| is below the leave threshold or nothing could be computed.
    fn step(&mut self, judged: Option<Judged<'a>>, current: bool, params: &MetricParams) {
        self.was_confirmed |= self.confirmed;
        self.current = current;
        let enter = if self.present { params.leave() } else { params.threshold };
        let row = judged.as_ref().map(|j| j.row).filter(|row| row.coefficient.0.abs() >= enter);
        if row.is_some() && !self.present {
            self.first = row;
        }
        self.present = row.is_some();
        self.last = row.or(self.last);
        self.confirmed = self.present && judged.as_ref().is_some_and(Judged::believed);
        self.seen = judged.is_some();
        self.shown = judged.or(self.shown.take());
    }

    fn finding(self, params: &MetricParams) -> Option<Finding> {
        // a direction without a row at a later instant was last stepped before the current one: it no longer exists
        let (present, confirmed) = (self.present && self.current, self.confirmed && self.current);
        let was_confirmed = self.was_confirmed || (self.confirmed && !self.current);
        let state = match (confirmed, was_confirmed, present) {
            (true, _, _) => PatternState::Confirmed,
            (false, true, _) => PatternState::Withdrawn,
            (false, false, true) => PatternState::Candidate,
            (false, false, false) => return None,
        };
        let mut shown = self.shown?;
        if !(self.seen && self.current) {
            // what an earlier instant was sure of says nothing about the present
            shown.q = 1.0;
        }
        let why = match state {
            PatternState::Confirmed => None,
            _ if !(self.seen && self.current) => Some("too little is observed at present".to_owned()),
            _ => Some(reason(shown.row, shown.explained.as_deref(), present, shown.bar, params)),
        };
        Some(finding(&shown, state, why, self.first?, self.last?, params))
    }
}

fn signal(key: &SeriesKey) -> Signal {
    Signal {
        kind: SignalKind::Metric,
        colony_id: key.colony_id.clone(),
        service_id: key.service_id.clone(),
        name: key.metric_name.clone(),
    }
}

fn pattern_key(source: &SeriesKey, target: &SeriesKey) -> PatternKey {
    PatternKey { source: signal(source), target: signal(target) }
}

fn series_ref(key: &SeriesKey) -> String {
    format!("{}/{}/{}", key.colony_id, key.service_id, key.metric_name)
}

fn seconds(ms: i64) -> i32 {
    (ms / 1000).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

fn describe(row: &FoundRow, params: &MetricParams) -> String {
    let (source, target) = (&row.source, &row.target);
    let order = if row.lag_ms == 0 {
        "moves at the same time as".to_owned()
    } else {
        format!("comes {} before", format_duration_ms(row.lag_ms))
    };
    format!(
        "{} of {} in {} {order} {} of {} in {}: r = {:.3} over {} ({} points)",
        source.metric_name,
        source.service_id,
        source.colony_id,
        target.metric_name,
        target.service_id,
        target.colony_id,
        row.coefficient.0,
        format_duration_ms(params.window_ms),
        row.points,
    )
}

fn finding(
    shown: &Judged<'_>,
    state: PatternState,
    reason: Option<String>,
    first: &FoundRow,
    last: &FoundRow,
    params: &MetricParams,
) -> Finding {
    let row = shown.row;
    let key = pattern_key(&row.source, &row.target);
    let both_latency = is_latency(&row.source.metric_name) && is_latency(&row.target.metric_name);
    let source_from = row.target_from - row.lag_ms;
    let evidence = Evidence {
        correlation_id: key.correlation_id(),
        source_ref: series_ref(&row.source),
        target_ref: series_ref(&row.target),
        source_timestamp: source_from,
        target_timestamp: row.target_from,
        lag_ms: row.lag_ms,
        weight: Real(1.0),
    };
    let correlation = Correlation {
        key,
        correlation_type: if both_latency { "latency_correlation" } else { "metric_correlation" }.to_owned(),
        source_application: row.source_identity.0.clone(),
        source_environment: row.source_identity.1.clone(),
        target_application: row.target_identity.0.clone(),
        target_environment: row.target_identity.1.clone(),
        source_timestamp: source_from,
        target_timestamp: row.target_from,
        correlation_score: Real(row.coefficient.0.abs()),
        coefficient: row.coefficient,
        confidence: Real(1.0 - shown.q),
        lag_seconds: seconds(row.lag_ms),
        lag_low_seconds: seconds(row.lag_low_ms),
        lag_high_seconds: seconds(row.lag_high_ms),
        pattern_description: describe(row, params),
        occurrence_count: u32::try_from(row.points).unwrap_or(u32::MAX),
        first_observed: first.target_from - first.lag_ms,
        last_observed: last.target_to,
        state,
        e_value: Real(1.0 / row.p_value.0.max(P_VALUE_MIN)),
        q_value: Real(shown.q),
        sample_count: row.points,
        explained_by: shown.explained.clone(),
        reason,
        chance_level: Some(row.p_value),
        effective_points: Some(row.effective_points),
        judged_coefficient: Some(row.judged_coefficient),
        part_of: None,
        open_count: 0,
        open_until: None,
    };
    Finding { correlation, evidence: vec![evidence] }
}
