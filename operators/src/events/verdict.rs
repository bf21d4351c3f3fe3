//! The walk over instants: which patterns are candidates, confirmed, or withdrawn.
//!
//! At each instant e-BH gives q-values over all pairs that all shards tested there. A pattern is confirmed where its
//! confidence `1 - q` reaches `1 - fdr` with enough occurrences. It stays so until its confidence falls below
//! `1 - 2 fdr` or its occurrences below the least number; then it is withdrawn. Only the instants within the horizon
//! count, so the verdict depends on rows and on `now`, not on when anybody looked.

use crate::events::ebh::q_values;
use crate::events::finding::finding;
use crate::events::params::EventParams;
use crate::events::row::{InstantTotals, PairScan, ScanRow};
use model::event::EventTypeKey;
use model::pattern::{Finding, PatternState};
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

type PairKey = (EventTypeKey, EventTypeKey);

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
}

/// Turns the scan rows of all shards into findings. Give it all rows of a tick at once: q-values need all pairs.
///
/// ```
/// use coral_operators::events::row::{InstantTotals, PairScan, ScanRow};
/// use coral_operators::events::{EventParams, EventVerdict};
/// use model::time::TimeMs;
/// let totals = InstantTotals { instant: TimeMs(0), current: true, shard: 0, eligible_pairs: 56 };
/// let mut verdict = EventVerdict::new(EventParams::default());
/// // pairs were tested, none had evidence
/// assert!(verdict.apply(vec![(ScanRow::Totals(totals), 1)]).is_empty());
/// assert_eq!(verdict.pairs_tested(), 56);
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
        // what is taken back first: one pair may have an old and a new row
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

    /// How many ordered pairs were tested at the current instant.
    pub fn pairs_tested(&self) -> u64 {
        self.current().map_or(0, InstantRows::pairs_tested)
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
        current
            .pairs
            .iter()
            .filter_map(|(key, scans)| {
                let judged = current.judged.get(key)?;
                let state = self.state(key);
                // a candidate must stand on its own; what was confirmed is shown as long as anything of it is left
                let pair = scans.first()?;
                let has_evidence = pair.log_e.0 >= 0.0 && judged.occurrences >= self.params.min_occurrences;
                if state == PatternState::Candidate && !has_evidence {
                    return None;
                }
                Some((key.clone(), finding(pair, judged.q_value, state)?))
            })
            .collect()
    }

    /// The state of a pair after all instants in order.
    fn state(&self, key: &PairKey) -> PatternState {
        let rate = self.params.false_discovery_rate;
        let mut state = PatternState::Candidate;
        for rows in self.instants.values() {
            let judged = rows.judged.get(key);
            let holds = |limit: f64| {
                judged.is_some_and(|one| one.q_value <= limit && one.occurrences >= self.params.min_occurrences)
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
    fn pairs_tested(&self) -> u64 {
        self.totals.iter().map(|totals| totals.eligible_pairs).sum()
    }

    /// Computes the q-values anew.
    fn judge(&mut self) {
        let mut ranked: Vec<(&PairKey, &PairScan)> =
            self.pairs.iter().filter_map(|(key, scans)| Some((key, scans.first()?))).collect();
        ranked.sort_by(|a, b| b.1.log_e.cmp(&a.1.log_e).then_with(|| a.0.cmp(b.0)));
        let log_e: Vec<f64> = ranked.iter().map(|(_, pair)| pair.log_e.0).collect();
        let q_values = q_values(&log_e, self.pairs_tested());
        self.judged = ranked
            .into_iter()
            .zip(q_values)
            .map(|((key, pair), q_value)| (key.clone(), Judged { q_value, occurrences: pair.occurrences }))
            .collect();
    }
}
