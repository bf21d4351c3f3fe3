//! The walk over instants: which patterns are candidates, confirmed, or withdrawn.
//!
//! At each instant e-BH gives q-values over all pairs that all shards tested there. A pattern is confirmed where its
//! confidence `1 - q` reaches `1 - fdr` with enough occurrences on enough days. It stays confirmed until its confidence
//! falls below `1 - 2 fdr` or its occurrences below the minimum; then it is withdrawn. Only the instants within the
//! horizon count, so the verdict depends on rows and on `now`, not on when it is evaluated.
//!
//! A pair of whole colonies follows from a pair of their services if the more specific pair has at least as much
//! evidence, or if confirmed ones cover nearly all of its occurrences. It then names that pair and is never confirmed
//! in addition.

use crate::events::ebh::q_values;
use crate::events::finding::{Judgement, finding, pattern_key};
use crate::events::levels::{is_general, is_more_specific};
use crate::events::params::EventParams;
use crate::events::reason::{Bar, reason};
use crate::events::row::{InstantTotals, Match, PairScan, ScanRow};
use crate::tested::Tested;
use libm::log;
use model::event::EventTypeKey;
use model::pattern::{Finding, PatternState};
use model::real::Real;
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

type PairKey = (EventTypeKey, EventTypeKey);

/// Share of its occurrences that confirmed, more specific pairs must cover for a pair to follow from them.
const COVERED_MIN: f64 = 0.8;

/// What all shards say about one instant.
#[derive(Clone, Debug, Default)]
struct InstantRows {
    totals: BTreeSet<InstantTotals>,
    pairs: BTreeMap<PairKey, BTreeSet<PairScan>>,
    /// q-value and occurrences of each pair; as of the last refresh.
    judged: BTreeMap<PairKey, Judged>,
}

#[derive(Clone, Copy, Debug)]
struct Judged {
    q_value: f64,
    occurrences: u32,
    days: u32,
}

/// Turns the scan rows of all shards into findings. Give it all rows of a tick at once: q-values need all pairs.
///
/// ```
/// use coral_operators::events::row::{InstantTotals, PairScan, ScanRow};
/// use coral_operators::events::{EventParams, EventVerdict};
/// use coral_operators::tested::{Supply, Tested};
/// use model::time::TimeMs;
/// let supply = Supply { seen: 9, usable: 8, colonies: 4 };
/// let totals =
///     InstantTotals { instant: TimeMs(0), current: true, shard: 0, eligible_pairs: 56, weight_total: 56, supply };
/// let mut verdict = EventVerdict::new(EventParams::default());
/// // pairs were tested, none had evidence
/// assert!(verdict.apply(vec![(ScanRow::Totals(totals), 1)]).is_empty());
/// assert_eq!(verdict.tested(), Tested { pairs: 56, supply });
/// ```
#[derive(Clone, Debug)]
pub struct EventVerdict {
    params: EventParams,
    instants: BTreeMap<TimeMs, InstantRows>,
    findings: BTreeMap<PairKey, Finding>,
}

impl EventVerdict {
    /// Without rows.
    pub fn new(params: EventParams) -> EventVerdict {
        EventVerdict { params, instants: BTreeMap::new(), findings: BTreeMap::new() }
    }

    /// Applies changes of scan rows and returns the changes of findings, sorted.
    pub fn apply(&mut self, changes: Vec<(ScanRow, i64)>) -> Vec<(Finding, i64)> {
        let mut touched = BTreeSet::new();
        // retractions first: one pair may have an old and a new row
        for insert in [false, true] {
            for (row, _) in changes.iter().filter(|(_, diff)| (*diff > 0) == insert) {
                touched.insert(self.change(row, insert));
            }
        }
        for instant in touched {
            if let Some(rows) = self.instants.get_mut(&instant) {
                rows.judge();
                if rows.totals.is_empty() && rows.pairs.is_empty() {
                    self.instants.remove(&instant);
                }
            }
        }
        let fresh = self.walk();
        let mut out: Vec<(Finding, i64)> = Vec::new();
        for (pair, old) in &self.findings {
            if fresh.get(pair) != Some(old) {
                out.push((old.clone(), -1));
            }
        }
        for (pair, new) in &fresh {
            if self.findings.get(pair) != Some(new) {
                out.push((new.clone(), 1));
            }
        }
        self.findings = fresh;
        out.sort_unstable();
        out
    }

    /// What was tested at the current instant: ordered pairs.
    pub fn tested(&self) -> Tested {
        self.current().map_or(Tested::default(), InstantRows::tested)
    }

    fn current(&self) -> Option<&InstantRows> {
        self.instants.values().rev().find(|rows| rows.totals.iter().any(|totals| totals.current))
    }

    fn change(&mut self, row: &ScanRow, insert: bool) -> TimeMs {
        match row {
            ScanRow::Totals(totals) => {
                let rows = self.instants.entry(totals.instant).or_default();
                if insert {
                    rows.totals.insert(totals.clone())
                } else {
                    rows.totals.remove(totals)
                };
                totals.instant
            }
            ScanRow::Pair(pair) => {
                let rows = self.instants.entry(pair.instant).or_default();
                let key = (pair.source.clone(), pair.target.clone());
                let same_pair = rows.pairs.entry(key.clone()).or_default();
                if insert {
                    same_pair.insert(pair.clone())
                } else {
                    same_pair.remove(pair)
                };
                if same_pair.is_empty() {
                    rows.pairs.remove(&key);
                }
                pair.instant
            }
        }
    }

    /// The findings of the pairs with a row at the current instant.
    fn walk(&self) -> BTreeMap<PairKey, Finding> {
        let Some(current) = self.current() else { return BTreeMap::new() };
        let bar = Bar {
            weight_total: current.weight_total(),
            declared: current.judged.values().filter(|one| one.q_value <= self.params.false_discovery_rate).count(),
        };
        let states: BTreeMap<&PairKey, PatternState> = current.pairs.keys().map(|key| (key, self.state(key))).collect();
        let judged = current.pairs.iter().filter_map(|(key, scans)| {
            let (one, pair) = (current.judged.get(key)?, scans.first()?);
            let part_of = follows_from(key, pair, current, &states);
            let state = if part_of.is_some() { PatternState::Candidate } else { states[key] };
            // a candidate must be eligible by itself; a confirmed pattern is shown as long as any of its rows remain
            let has_evidence = pair.log_e.0 >= 0.0 && one.occurrences >= self.params.min_occurrences;
            if state == PatternState::Candidate && !has_evidence {
                return None;
            }
            let why = match (&part_of, state) {
                (Some(_), _) => Some("follows from a more specific pattern".to_owned()),
                (None, PatternState::Confirmed) => None,
                (None, _) => Some(reason(pair, pair.detail.as_ref()?, bar, &self.params)),
            };
            let part_of = part_of.map(|(source, target)| pattern_key(source, target).correlation_id());
            let judgement = Judgement { q_value: one.q_value, state, reason: why, part_of };
            Some((key.clone(), finding(pair, judgement)?))
        });
        judged.collect()
    }

    /// The state of a pair after all instants in order.
    fn state(&self, key: &PairKey) -> PatternState {
        let rate = self.params.false_discovery_rate;
        let mut state = PatternState::Candidate;
        for rows in self.instants.values() {
            let judged = rows.judged.get(key);
            let holds = |limit: f64| {
                judged.is_some_and(|one| {
                    one.q_value <= limit
                        && one.occurrences >= self.params.min_occurrences
                        && one.days >= self.params.min_days
                })
            };
            state = match state {
                PatternState::Confirmed if holds(2.0 * rate) => PatternState::Confirmed,
                _ if holds(rate) => PatternState::Confirmed,
                PatternState::Confirmed => PatternState::Withdrawn,
                other => other,
            };
        }
        state
    }
}

impl InstantRows {
    fn tested(&self) -> Tested {
        let supply = self.totals.iter().map(|totals| totals.supply).max().unwrap_or_default();
        Tested { pairs: self.totals.iter().map(|totals| totals.eligible_pairs).sum(), supply }
    }

    fn weight_total(&self) -> u64 {
        self.totals.iter().map(|totals| totals.weight_total).sum()
    }

    /// Recomputes the q-values.
    fn judge(&mut self) {
        let mut ranked: Vec<(&PairKey, &PairScan)> =
            self.pairs.iter().filter_map(|(key, scans)| Some((key, scans.first()?))).collect();
        let weighted = |pair: &PairScan| Real(pair.log_e.0 + log(f64::from(pair.weight)));
        ranked.sort_by(|a, b| weighted(b.1).cmp(&weighted(a.1)).then_with(|| a.0.cmp(b.0)));
        let log_weighted: Vec<f64> = ranked.iter().map(|(_, pair)| weighted(pair).0).collect();
        let q_values = q_values(&log_weighted, self.weight_total());
        self.judged = ranked
            .into_iter()
            .zip(q_values)
            .map(|((key, pair), q_value)| {
                (key.clone(), Judged { q_value, occurrences: pair.occurrences, days: pair.days })
            })
            .collect();
    }
}

/// The more specific pair that a pair of whole colonies follows from, if there is one.
fn follows_from<'a>(
    key: &PairKey,
    pair: &PairScan,
    current: &'a InstantRows,
    states: &BTreeMap<&PairKey, PatternState>,
) -> Option<&'a PairKey> {
    if !is_general(&key.0) && !is_general(&key.1) {
        return None;
    }
    let is_confirmed = |one: &PairKey| states.get(one) == Some(&PatternState::Confirmed);
    let specific: Vec<(&PairKey, &PairScan)> = current
        .pairs
        .iter()
        .filter(|(other, _)| is_more_specific(other, key))
        .filter_map(|(other, scans)| Some((other, scans.first()?)))
        .collect();
    let (best, best_pair) = specific.iter().max_by(|a, b| a.1.log_e.cmp(&b.1.log_e).then_with(|| b.0.cmp(a.0)))?;
    if best_pair.log_e >= pair.log_e && (is_confirmed(best) || !is_confirmed(key)) {
        return Some(best);
    }
    let confirmed: Vec<&(&PairKey, &PairScan)> = specific.iter().filter(|(other, _)| is_confirmed(other)).collect();
    let strongest = confirmed.iter().max_by(|a, b| a.1.log_e.cmp(&b.1.log_e).then_with(|| b.0.cmp(a.0)))?;
    let covered: BTreeSet<(&str, &str)> = confirmed
        .iter()
        .filter_map(|(_, pair)| pair.detail.as_ref())
        .flat_map(|detail| event_ids(&detail.matches))
        .collect();
    let own = &pair.detail.as_ref()?.matches;
    let shared = event_ids(own).filter(|ids| covered.contains(ids)).count();
    (shared as f64 >= COVERED_MIN * own.len() as f64).then_some(strongest.0)
}

fn event_ids(matches: &[Match]) -> impl Iterator<Item = (&str, &str)> {
    matches.iter().map(|one| (one.source_event_id.as_str(), one.target_event_id.as_str()))
}
