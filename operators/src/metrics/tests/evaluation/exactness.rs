//! The engine beside the plain one, look by look, to the findings: what is missing, what is extra, and how far numbers are
//! apart.

use super::super::Random;
use super::histories::{History, Kind, at, follower};
use crate::metrics::{MetricParams, MetricScan, MetricScanRow, MetricVerdict, Sample};
use crate::reference::plain::PlainScan;
use crate::shard::Shard;
use model::pattern::{Correlation, PatternKey};
use model::real::Real;
use model::time::MINUTE_MS;
use std::collections::BTreeMap;

/// What is done to the samples.
#[derive(Clone, Copy, Debug)]
pub enum Case {
    /// Nothing.
    Complete,
    /// Relations within 0.02 of the threshold.
    NearThreshold,
    /// A tenth is missing, one by one and in blocks.
    Gaps,
    /// Some come late, are amended or are withdrawn.
    Corrected,
}

pub const CASES: [Case; 4] = [Case::Complete, Case::NearThreshold, Case::Gaps, Case::Corrected];

impl Case {
    pub fn name(self) -> &'static str {
        match self {
            Case::Complete => "complete",
            Case::NearThreshold => "planted at 0.8 ± 0.02",
            Case::Gaps => "a tenth missing",
            Case::Corrected => "late, amended, withdrawn",
        }
    }
}

/// How far both are apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apart {
    pub looks: u64,
    pub findings: u64,
    pub missing: u64,
    pub extra: u64,
    /// Findings with another state, explanation, lag or number of points.
    pub other: u64,
    /// Greatest difference of coefficients, and of q-values relative to them.
    pub coefficient: f64,
    pub q_value: f64,
}

/// A verdict and what it has out.
struct Told {
    verdict: MetricVerdict,
    findings: BTreeMap<PatternKey, Correlation>,
}

impl Told {
    fn new(params: MetricParams) -> Told {
        Told { verdict: MetricVerdict::new(params), findings: BTreeMap::new() }
    }

    fn apply(&mut self, rows: Vec<(MetricScanRow, i64)>) {
        let (gone, come): (Vec<_>, Vec<_>) = self.verdict.apply(rows).into_iter().partition(|(_, diff)| *diff < 0);
        for (finding, _) in gone {
            self.findings.remove(&finding.correlation.key);
        }
        for (finding, _) in come {
            self.findings.insert(finding.correlation.key.clone(), finding.correlation);
        }
    }
}

impl Apart {
    fn add(&mut self, engine: &BTreeMap<PatternKey, Correlation>, plain: &BTreeMap<PatternKey, Correlation>) {
        self.looks += 1;
        self.findings += plain.len() as u64;
        self.missing += plain.keys().filter(|key| !engine.contains_key(*key)).count() as u64;
        for (key, row) in engine {
            let Some(expected) = plain.get(key) else {
                self.extra += 1;
                continue;
            };
            let said = |row: &Correlation| (row.state, row.explained_by.clone(), row.lag_seconds, row.sample_count);
            self.other += u64::from(said(row) != said(expected));
            self.coefficient = self.coefficient.max((row.coefficient.0 - expected.coefficient.0).abs());
            let apart = (row.q_value.0 - expected.q_value.0).abs() / expected.q_value.0.max(f64::MIN_POSITIVE);
            self.q_value = self.q_value.max(apart);
        }
    }
}

/// How large a history is: series, minutes, and the last minutes that are followed one by one.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub series: usize,
    pub minutes: usize,
    pub live: usize,
}

/// Adds a history: everything up to its last minutes, then minute by minute.
pub fn compare(case: Case, seed: u64, extent: Extent, params: MetricParams, sum: &mut Apart) {
    let Extent { series, minutes, live } = extent;
    let mut random = Random(seed.wrapping_mul(104_729) ^ case as u64);
    let mut all = Vec::new();
    while all.len() < series {
        let r = match case {
            Case::NearThreshold => 0.8 + 0.04 * (random.uniform() - 0.5),
            _ => [0.6, 0.9, 0.97][random.below(3)],
        };
        let base = [Kind::White, Kind::Ar(50), Kind::Ar(90)][random.below(3)];
        let lag = random.below(params.lag_slots(MINUTE_MS) + 1);
        let (source, target) = follower(&mut random, base, lag, r, minutes);
        all.extend([source, target]);
    }
    if matches!(case, Case::Gaps) {
        for values in &mut all {
            let block = random.below(minutes - minutes / 20);
            values[block..block + minutes / 20].fill(f64::NAN);
            values.iter_mut().for_each(|value| *value = if random.chance(0.05) { f64::NAN } else { *value });
        }
    }
    let history = History::new(all, Vec::new());
    let (mut engine, mut plain) = (MetricScan::new(params, Shard::WHOLE), PlainScan::new(params, Shard::WHOLE));
    let (mut of_engine, mut of_plain) = (Told::new(params), Told::new(params));
    let mut late: Vec<Sample> = Vec::new();
    for minute in minutes - live..minutes {
        let from = if minute == minutes - live { 0 } else { minute };
        let mut changes = history.samples(from..minute + 1);
        if matches!(case, Case::Corrected) {
            changes.extend(late.drain(..).map(|sample| (sample, 1)));
            changes.retain(|(sample, _)| {
                let is_late = sample.at == at(minute) && random.chance(0.1);
                late.extend(is_late.then_some(*sample));
                !is_late
            });
            if from == minute {
                changes.extend(corrections(&history, minute, &mut random));
            }
        }
        engine.apply(changes.iter().copied());
        plain.apply(changes);
        of_engine.apply(engine.scan(at(minute)));
        of_plain.apply(plain.scan(at(minute)));
        sum.add(&of_engine.findings, &of_plain.findings);
    }
}

/// A sample of an earlier minute that is withdrawn or takes another value. None is touched twice.
fn corrections(history: &History, minute: usize, random: &mut Random) -> Vec<(Sample, i64)> {
    let series = minute % history.series.len();
    // not among the newest, which may be late
    let earlier = minute.saturating_sub(40 + 7 * (minute % 60));
    let Some(sample) = history.sample(series, earlier) else { return Vec::new() };
    let amended = Sample { value: Real(sample.value.0 + random.normal()), ..sample };
    let mut changes = vec![(sample, -1)];
    changes.extend(random.chance(0.7).then_some((amended, 1)));
    changes
}
