//! What several tests need: stamps, the operators in a row, comparison with the oracle.

use crate::calls::Call;
use crate::events::levels::on_both_levels;
use crate::events::{Episodes, EventParams, EventScan, EventStamp, EventVerdict, Onset};
use crate::heard::Heard;
use crate::predictions::Predictions;
use crate::shard::Shard;
use model::derived::{DerivedRow, Value};
use model::event::EventTypeKey;
use model::pattern::{Evidence, Finding};
use model::real::Real;
use model::time::TimeMs;
use std::collections::BTreeMap;

/// An event of `<colony> <event_type>`.
pub fn stamp(colony: &str, event_type: &str, at: TimeMs, event_id: &str) -> EventStamp {
    EventStamp {
        key: EventTypeKey { colony_id: colony.into(), service_id: "web".into(), event_type: event_type.into() },
        at,
        event_id: event_id.into(),
        application_name: format!("app-{colony}"),
        environment: "production".into(),
    }
}

/// Episodes, the scans of all shards and the verdict, as the dataflow connects them.
pub struct Chain {
    pub episodes: Episodes,
    pub scans: Vec<EventScan>,
    pub verdict: EventVerdict,
    findings: BTreeMap<Finding, i64>,
    predictions: Predictions,
    /// How many pairs and instants the last evaluation looked at for what came after.
    pub followed: usize,
    /// Rows of predictions, by table and key, as a store holds them.
    pub rows: BTreeMap<(String, Vec<Value>), DerivedRow>,
}

impl Chain {
    pub fn new(params: &EventParams, peers: usize) -> Chain {
        Chain {
            episodes: Episodes::new(params.clone()),
            scans: (0..peers).map(|index| EventScan::new(params.clone(), Shard { index, peers })).collect(),
            verdict: EventVerdict::new(params.clone()),
            findings: BTreeMap::new(),
            predictions: Predictions::new(params.clone()),
            followed: 0,
            rows: BTreeMap::new(),
        }
    }

    pub fn apply(&mut self, changes: Vec<(EventStamp, i64)>) {
        let on_both = changes.into_iter().flat_map(|(stamp, diff)| on_both_levels(stamp).map(|stamp| (stamp, diff)));
        let onsets: Vec<(Onset, i64)> = self.episodes.apply(on_both.collect());
        for scan in &mut self.scans {
            scan.apply(onsets.clone());
        }
    }

    pub fn apply_calls(&mut self, calls: impl Iterator<Item = Call>) {
        let changes: Vec<(Call, i64)> = calls.map(|call| (call, 1)).collect();
        for scan in &mut self.scans {
            scan.apply_calls(changes.clone());
        }
    }

    pub fn apply_heard(&mut self, heard: &[Heard]) {
        for scan in &mut self.scans {
            scan.apply_heard(heard.iter().map(|one| (one.clone(), 1)).collect());
        }
    }

    pub fn forget_before(&mut self, limit: TimeMs) {
        self.episodes.forget_before(limit);
        for scan in &mut self.scans {
            scan.forget_before(limit);
        }
    }

    /// Evaluates, and returns all current findings.
    pub fn evaluate(&mut self, now: TimeMs) -> Vec<Finding> {
        let rows = self.scans.iter_mut().flat_map(|scan| scan.scan(now)).collect();
        for (finding, diff) in self.verdict.apply(rows) {
            let count = self.findings.entry(finding.clone()).or_default();
            *count += diff;
            if *count == 0 {
                self.findings.remove(&finding);
            }
        }
        self.followed = self.scans.iter().map(EventScan::followed).sum();
        // what is no longer true first: a row may be replaced
        let mut changes = self.predictions.evaluate(&mut self.verdict, now);
        changes.sort_by_key(|(_, diff)| *diff);
        for (row, diff) in changes {
            let key = (row.table.clone(), row.key.clone());
            if diff > 0 {
                assert_eq!(self.rows.insert(key, row), None);
            } else {
                assert_eq!(self.rows.remove(&key), Some(row));
            }
        }
        assert!(self.findings.values().all(|count| *count == 1), "findings do not cancel: {:?}", self.findings);
        self.findings.keys().cloned().collect()
    }
}

/// Whether two numbers agree to 1e-9, relative to the greater where that is above 1.
pub fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

/// Asserts that findings agree: numbers to 1e-9, everything else exactly.
pub fn assert_same(found: &[Finding], expected: &[Finding]) {
    let by_id = |findings: &[Finding]| -> BTreeMap<String, Finding> {
        findings.iter().map(|finding| (finding.correlation.key.correlation_id(), finding.clone())).collect()
    };
    let (found, expected) = (by_id(found), by_id(expected));
    let ids = |findings: &BTreeMap<String, Finding>| findings.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&expected));
    for (id, found) in &found {
        let mut numbers = found.clone();
        let expected = &expected[id];
        let (a, b) = (&mut numbers.correlation, &expected.correlation);
        for (a, b) in [
            (&mut a.correlation_score, b.correlation_score),
            (&mut a.coefficient, b.coefficient),
            (&mut a.confidence, b.confidence),
            (&mut a.q_value, b.q_value),
            (&mut a.e_value, b.e_value),
        ] {
            assert!(close(a.0, b.0), "{} and {} in {id}: {found:?}", a.0, b.0);
            *a = b;
        }
        if let (Some(a), Some(b)) = (a.chance_level, b.chance_level) {
            assert!(close(a.0, b.0), "{} and {} in {id}: {found:?}", a.0, b.0);
        }
        a.chance_level = b.chance_level;
        assert_same_lags(&numbers, expected);
        assert_eq!(matched(&numbers), matched(expected));
    }
}

/// With the matched pairs only, without their weights in the law of the lag.
fn matched(finding: &Finding) -> Finding {
    let pairs = finding.evidence.iter().filter(|row| row.is_match());
    let evidence = pairs.map(|row| Evidence { lag_weight: Real(0.0), ..row.clone() }).collect();
    Finding { evidence, ..finding.clone() }
}

/// Asserts that pairs have the same weights in the law of the lag; chance levels may differ by rounding.
fn assert_same_lags(found: &Finding, expected: &Finding) {
    let weights = |finding: &Finding| -> BTreeMap<(String, String), f64> {
        let rows = finding.evidence.iter();
        rows.map(|row| ((row.source_ref.clone(), row.target_ref.clone()), row.lag_weight.0)).collect()
    };
    let (found, expected) = (weights(found), weights(expected));
    for pair in found.keys().chain(expected.keys()) {
        let [a, b] = [&found, &expected].map(|weights| weights.get(pair).copied().unwrap_or(0.0));
        assert!((a - b).abs() < 0.01, "{pair:?}: {a} and {b}");
    }
}
