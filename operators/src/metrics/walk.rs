//! The walk over the evaluated instants with hysteresis.
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
use super::shown::Told;
use model::pattern::{PatternKey, PatternState};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// How many times the false-discovery rate the q-value of a confirmed relation may reach before it is withdrawn.
const HELD_RATE: f64 = 2.0;

/// Rows of one instant, of all shards.
#[derive(Debug, Default)]
pub(super) struct InstantRows(BTreeMap<MetricScanRow, i64>);

impl InstantRows {
    /// Takes a row in or out.
    pub(super) fn apply(&mut self, row: MetricScanRow, diff: i64) {
        match self.0.entry(row) {
            Entry::Vacant(entry) => {
                entry.insert(diff);
            }
            Entry::Occupied(entry) if *entry.get() == -diff => {
                entry.remove();
            }
            Entry::Occupied(mut entry) => *entry.get_mut() += diff,
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is the present one.
    pub(super) fn is_current(&self) -> bool {
        self.tested().any(|row| row.current)
    }

    /// What each shard tested.
    pub(super) fn tested(&self) -> impl Iterator<Item = &TestedRow> {
        // they come first in the order of rows
        self.0.keys().map_while(|row| if let MetricScanRow::Tested(row) = row { Some(row) } else { None })
    }

    fn pairs(&self) -> impl Iterator<Item = &PairRow> {
        self.0.keys().filter_map(|row| if let MetricScanRow::Pair(row) = row { Some(&**row) } else { None })
    }

    fn missing(&self) -> impl Iterator<Item = &MissingRow> {
        self.0.keys().filter_map(|row| if let MetricScanRow::Missing(row) = row { Some(&**row) } else { None })
    }

    /// Pairs tested, of all shards.
    pub(super) fn pairs_tested(&self) -> u64 {
        self.tested().map(|row| row.pairs).sum()
    }
}

/// State of the walk for one direction.
#[derive(Clone, Default)]
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
}

/// A walk up to some instant, of all directions.
#[derive(Clone, Default)]
pub(super) struct Walked<'a> {
    walks: BTreeMap<Direction<'a>, Walk<'a>>,
    /// Of each pair, its rows at the instants so far.
    histories: BTreeMap<Direction<'a>, Vec<&'a PairRow>>,
}

impl<'a> Walked<'a> {
    /// One instant further.
    pub(super) fn step(&mut self, instant: &'a InstantRows, params: &MetricParams) {
        let Walked { walks, histories } = self;
        let held = walks.iter().filter(|(_, walk)| walk.confirmed).map(|(direction, _)| *direction).collect();
        let mut found = Vec::new();
        for row in instant.pairs() {
            let history = histories.entry((&row.first, &row.second)).or_default();
            history.push(row);
            found.push(relations(history, params));
        }
        let mut judged = judge(found, instant.pairs_tested(), &held, params);
        for (direction, walk) in walks.iter_mut() {
            if !judged.contains_key(direction) {
                walk.step(None, params);
            }
        }
        while let Some((direction, row)) = judged.pop_first() {
            walks.entry(direction).or_default().step(Some(row), params);
        }
    }

    /// What is said of each pattern at the latest instant.
    pub(super) fn told(&self, latest: &'a InstantRows, params: &MetricParams) -> BTreeMap<PatternKey, Told> {
        let missing: BTreeMap<Direction<'a>, &MissingRow> = latest
            .missing()
            .flat_map(|row| [((&row.first, &row.second), row), ((&row.second, &row.first), row)])
            .collect();
        let told = self.walks.iter().filter_map(|(direction, walk)| walk.told(missing.get(direction).copied(), params));
        told.map(|told| (told.finding.correlation.key.clone(), told)).collect()
    }
}

impl<'a> Walk<'a> {
    /// One instant further; `judged` is absent where nothing could be computed, or was ever worth it.
    fn step(&mut self, judged: Option<Judged<'a>>, params: &MetricParams) {
        self.was_confirmed |= self.confirmed;
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

    fn told(&self, missing: Option<&MissingRow>, params: &MetricParams) -> Option<Told> {
        let state = match (self.confirmed, self.was_confirmed, self.present) {
            (true, _, _) => PatternState::Confirmed,
            (false, true, _) => PatternState::Withdrawn,
            (false, false, true) => PatternState::Candidate,
            (false, false, false) => return None,
        };
        let shown = self.shown.as_ref()?;
        let why = match state {
            PatternState::Confirmed => None,
            _ if !self.seen => Some(not_observed(missing, params)),
            _ => Some(reason(&shown.relation, shown.explained.as_deref(), self.present, shown.bar, params)),
        };
        // what an earlier instant was sure of says nothing about the latest
        let q = if self.seen { shown.q } else { 1.0 };
        let shown = Shown { relation: shown.relation, q, explained: shown.explained.clone(), state, reason: why };
        let finding = finding(shown, &self.first?, &self.last?, params);
        Some(Told { finding, is_seen: self.seen, is_present: self.present })
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
