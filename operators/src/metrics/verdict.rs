//! `MetricVerdict`: from the rows of all shards to findings. The walk over the evaluated instants with hysteresis.
//!
//! At each instant a direction has the evidence of that instant's window and of all earlier ones that do not overlap.
//! It becomes a candidate where |r| reaches the threshold and stays one down to threshold - hysteresis. It is confirmed if
//! it is a candidate, passes the configured false-discovery rate (twice that rate if it was confirmed at the previous
//! instant), is the stronger of its two directions, and nothing else explains it. What is confirmed stays present until
//! a window contradicts it: |r| at its lag is below threshold - hysteresis by more than three standard errors. It is
//! withdrawn if it was confirmed at an earlier instant of the walk and no longer is.

use super::causes::{Direction, Judged, direction, third_series, without_direction};
use super::evidence::contradicts;
use super::fdr::Family;
use super::finding::{Shown, finding, pattern_key, series_ref};
use super::params::MetricParams;
use super::reason::{Bar, not_observed, reason};
use super::relation::{Relation, relations};
use super::row::{MetricScanRow, MissingRow, PairRow, TestedRow};
use crate::tested::Tested;
use model::pattern::{Finding, PatternKey, PatternState};
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

/// How many times the false-discovery rate the q-value of a confirmed relation may reach before it is withdrawn.
const HELD_RATE: f64 = 2.0;

/// Rows of one instant.
#[derive(Debug, Default)]
struct Instant {
    current: bool,
    rows: BTreeMap<MetricScanRow, i64>,
}

impl Instant {
    fn tested(&self) -> impl Iterator<Item = &TestedRow> {
        self.rows.keys().filter_map(|row| if let MetricScanRow::Tested(row) = row { Some(row) } else { None })
    }

    fn pairs(&self) -> impl Iterator<Item = &PairRow> {
        self.rows.keys().filter_map(|row| if let MetricScanRow::Pair(row) = row { Some(&**row) } else { None })
    }

    fn missing(&self) -> impl Iterator<Item = &MissingRow> {
        self.rows.keys().filter_map(|row| if let MetricScanRow::Missing(row) = row { Some(&**row) } else { None })
    }

    fn pairs_tested(&self) -> u64 {
        self.tested().map(|row| row.pairs).sum()
    }
}

/// State of the walk for one direction.
#[derive(Default)]
struct Walk<'a> {
    present: bool,
    confirmed: bool,
    was_confirmed: bool,
    first: Option<Relation<'a>>,
    last: Option<Relation<'a>>,
    /// The latest, whether or not it is present.
    shown: Option<Judged<'a>>,
    /// Whether that is of the latest instant.
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
    /// assert_eq!(verdict.tested().pairs, 0);
    /// ```
    pub fn apply(&mut self, changes: Vec<(MetricScanRow, i64)>) -> Vec<(Finding, i64)> {
        if changes.is_empty() {
            return Vec::new();
        }
        for (row, diff) in changes {
            let instant = self.instants.entry(row.at()).or_default();
            let count = instant.rows.entry(row.clone()).or_insert(0);
            *count += diff;
            if *count == 0 {
                instant.rows.remove(&row);
            }
        }
        self.instants.retain(|_, instant| !instant.rows.is_empty());
        for instant in self.instants.values_mut() {
            let current = instant.tested().any(|row| row.current);
            instant.current = current;
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

    /// What the last evaluation tested: pairs of series at the instant with most of them, and what there is now.
    pub fn tested(&self) -> Tested {
        let current = self.instants.values().rfind(|instant| instant.current);
        let supply = current.and_then(|instant| instant.tested().map(|row| row.supply).max());
        let pairs = self.instants.values().map(Instant::pairs_tested).max().unwrap_or(0);
        Tested { pairs, supply: supply.unwrap_or_default() }
    }

    fn walk(&self) -> BTreeMap<PatternKey, Finding> {
        let mut walks: BTreeMap<Direction<'_>, Walk<'_>> = BTreeMap::new();
        let mut histories: BTreeMap<Direction<'_>, Vec<&PairRow>> = BTreeMap::new();
        for instant in self.instants.values() {
            let held = walks.iter().filter(|(_, walk)| walk.confirmed).map(|(direction, _)| *direction).collect();
            let mut found = Vec::new();
            for row in instant.pairs() {
                let history = histories.entry((&row.first, &row.second)).or_default();
                history.push(row);
                found.push(relations(history, &self.params));
            }
            let mut judged = judge(found, instant.pairs_tested(), &held, &self.params);
            for (direction, walk) in &mut walks {
                if !judged.contains_key(direction) {
                    walk.step(None, instant.current, &self.params);
                }
            }
            while let Some((direction, row)) = judged.pop_first() {
                walks.entry(direction).or_default().step(Some(row), instant.current, &self.params);
            }
        }
        let missing: BTreeMap<Direction<'_>, &MissingRow> = self
            .instants
            .values()
            .flat_map(Instant::missing)
            .flat_map(|row| [((&row.first, &row.second), row), ((&row.second, &row.first), row)])
            .collect();
        let findings = walks
            .into_iter()
            .filter_map(|(direction, walk)| walk.finding(missing.get(&direction).copied(), &self.params));
        findings.map(|finding| (finding.correlation.key.clone(), finding)).collect()
    }
}

/// q-values and explanations of all relations of an instant, given pair by pair. `held`: what was confirmed at the
/// instant before.
fn judge<'a>(
    pairs: Vec<Vec<Relation<'a>>>,
    tested: u64,
    held: &BTreeSet<Direction<'a>>,
    params: &MetricParams,
) -> BTreeMap<Direction<'a>, Judged<'a>> {
    let of_pair = |pair: &Vec<Relation<'_>>| pair.iter().map(|r| r.evidence.p_value()).reduce(f64::min);
    let family = Family::new(pairs.iter().filter_map(of_pair).collect(), usize::try_from(tested).unwrap_or(usize::MAX));
    let bar = Bar { tested: family.tests(), declared: family.declared(params.false_discovery_rate) };
    let mut judged: BTreeMap<Direction<'a>, Judged<'a>> = BTreeMap::new();
    for pair in &pairs {
        for relation in pair {
            let stronger = pair.iter().find(|other| other.is_stronger_than(relation));
            let explained = match stronger {
                Some(other) => Some(format!("mirror:{}", pattern_key(other).correlation_id())),
                None => relation.explained.map(|why| why.as_str().to_owned()),
            };
            let q = family.q_value(relation.evidence.p_value());
            let allowed = if held.contains(&direction(relation)) { HELD_RATE } else { 1.0 };
            let sure = q <= allowed * params.false_discovery_rate;
            judged.insert(direction(relation), Judged { relation: *relation, q, sure, explained, bar });
        }
    }
    for direction in without_direction(&judged) {
        if let Some(judged) = judged.get_mut(&direction) {
            judged.explained = Some("co_moving".to_owned());
        }
    }
    for (direction, cause) in third_series(&judged) {
        if let Some(judged) = judged.get_mut(&direction) {
            judged.explained = Some(format!("{}:{}", cause.role, series_ref(cause.series)));
        }
    }
    judged
}

impl<'a> Walk<'a> {
    /// One instant further; `judged` is absent where nothing could be computed, or was ever worth it.
    fn step(&mut self, judged: Option<Judged<'a>>, current: bool, params: &MetricParams) {
        self.was_confirmed |= self.confirmed;
        self.current = current;
        let enter = if self.present { params.leave() } else { params.threshold };
        let here = judged.as_ref().map(|j| j.relation).filter(|relation| {
            relation.strongest >= enter || (self.confirmed && !contradicts(relation.window, params.leave()))
        });
        if here.is_some() && !self.present {
            self.first = here;
        }
        self.present = here.is_some();
        self.last = here.or(self.last);
        self.confirmed = self.present && judged.as_ref().is_some_and(Judged::believed);
        self.seen = judged.is_some();
        self.shown = judged.or(self.shown.take());
    }

    fn finding(self, missing: Option<&MissingRow>, params: &MetricParams) -> Option<Finding> {
        // a direction without a row at a later instant was last stepped before the current one: it no longer exists
        let (present, confirmed) = (self.present && self.current, self.confirmed && self.current);
        let was_confirmed = self.was_confirmed || (self.confirmed && !self.current);
        let state = match (confirmed, was_confirmed, present) {
            (true, _, _) => PatternState::Confirmed,
            (false, true, _) => PatternState::Withdrawn,
            (false, false, true) => PatternState::Candidate,
            (false, false, false) => return None,
        };
        let shown = self.shown?;
        let seen = self.seen && self.current;
        let why = match state {
            PatternState::Confirmed => None,
            _ if !seen => Some(not_observed(missing, params)),
            _ => Some(reason(&shown.relation, shown.explained.as_deref(), present, shown.bar, params)),
        };
        // what an earlier instant was sure of says nothing about the present
        let q = if seen { shown.q } else { 1.0 };
        let shown = Shown { relation: shown.relation, q, explained: shown.explained, state, reason: why };
        Some(finding(shown, &self.first?, &self.last?, params))
    }
}
