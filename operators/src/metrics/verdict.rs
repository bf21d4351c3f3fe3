//! `MetricVerdict`: from the rows of all shards to findings: what the walk over instants says now, and which finding is
//! published.

use super::instants::{ends_day, last_hour};
use super::params::MetricParams;
use super::row::MetricScanRow;
use super::shown::published;
use super::walk::{InstantRows, Walked};
use crate::tested::Tested;
use model::pattern::{Finding, PatternKey};
use model::time::TimeMs;
use std::collections::BTreeMap;

/// The rows of all shards and the findings last emitted.
#[derive(Debug)]
pub struct MetricVerdict {
    params: MetricParams,
    instants: BTreeMap<TimeMs, InstantRows>,
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
            self.instants.entry(row.at()).or_default().apply(row, diff);
        }
        self.instants.retain(|_, instant| !instant.is_empty());
        let new = self.published();
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
        let current = self.instants.values().rfind(|instant| instant.is_current());
        let supply = current.and_then(|instant| instant.tested().map(|row| row.supply).max());
        let pairs = self.instants.values().map(InstantRows::pairs_tested).max().unwrap_or(0);
        Tested { pairs, supply: supply.unwrap_or_default() }
    }

    /// What the walk over the closed days and now says, each as of the end of the last hour where that says the same.
    fn published(&self) -> BTreeMap<PatternKey, Finding> {
        let Some((now, present)) = self.instants.iter().rfind(|(_, instant)| instant.is_current()) else {
            return BTreeMap::new();
        };
        let hour = last_hour(*now);
        let mut days = Walked::default();
        for (at, instant) in &self.instants {
            if at != now && (*at != hour || ends_day(hour)) {
                days.step(instant, &self.params);
            }
        }
        let told = |instant: &InstantRows| {
            let mut walked = days.clone();
            walked.step(instant, &self.params);
            walked.told(instant, &self.params)
        };
        let then = match self.instants.get(&hour).filter(|_| hour != *now) {
            // the last of the days
            Some(instant) if ends_day(hour) => days.told(instant, &self.params),
            Some(instant) => told(instant),
            None => BTreeMap::new(),
        };
        published(then, told(present))
    }
}
