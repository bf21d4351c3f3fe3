//! Tests of metric pairs: planted relations and nulls, the oracle, real data.
#![allow(clippy::unwrap_used)]

mod engine;
mod evaluation;
mod planted;
mod property;
mod real;
mod screen;
mod steady;
mod verdict;

use super::{Align, MetricParams, MetricScan, MetricVerdict};
use crate::calls::Call;
use crate::shard::Shard;
use model::metric::{MetricPoint, SeriesKey};
use model::pattern::Finding;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::TimeMs;
use std::collections::BTreeMap;

/// SplitMix64: the same numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A stationary AR(1) of unit variance.
    pub fn ar(&mut self, n: usize, phi: f64) -> Vec<f64> {
        let mut x = self.normal();
        let step = (1.0 - phi * phi).sqrt();
        std::iter::repeat_with(|| {
            x = phi * x + step * self.normal();
            x
        })
        .take(n)
        .collect()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// A midnight, 2024-01-10.
pub const START: i64 = 1_704_844_800_000;

pub fn key(colony: &str, metric: &str) -> SeriesKey {
    SeriesKey { colony_id: colony.into(), service_id: "api".into(), metric_name: metric.into() }
}

pub fn point(series: &SeriesKey, at_ms: i64, value: f64, interval: Option<u32>) -> MetricPoint {
    let SeriesKey { colony_id, service_id, metric_name } = series;
    let names = SeriesRef {
        colony_id,
        application_name: colony_id,
        environment: "production",
        service_id,
        metric_name,
        interval_seconds: interval,
    };
    MetricPoint { count: Some(10), ..fixtures::point(names, TimeMs(at_ms), value) }
}

/// One point per minute from `START`.
pub fn minutely(series: &SeriesKey, values: &[f64]) -> Vec<MetricPoint> {
    values.iter().enumerate().map(|(i, v)| point(series, START + i as i64 * 60_000, *v, Some(60))).collect()
}

/// The operators of one run, as the dataflow connects them.
pub struct Run {
    align: Align,
    scans: Vec<MetricScan>,
    verdict: MetricVerdict,
    findings: BTreeMap<Finding, i64>,
}

impl Run {
    pub fn new(params: MetricParams, peers: usize) -> Run {
        let scans = (0..peers).map(|index| MetricScan::new(params, Shard { index, peers })).collect();
        Run { align: Align::default(), scans, verdict: MetricVerdict::new(params), findings: BTreeMap::new() }
    }

    pub fn apply(&mut self, changes: Vec<(MetricPoint, i64)>) {
        let samples = self.align.apply(changes);
        for scan in &mut self.scans {
            scan.apply(samples.clone());
        }
    }

    pub fn apply_calls(&mut self, calls: &[Call]) {
        for scan in &mut self.scans {
            scan.apply_calls(calls.iter().map(|call| (call.clone(), 1)).collect());
        }
    }

    pub fn forget_before(&mut self, time: TimeMs) {
        self.align.forget_before(time);
        for scan in &mut self.scans {
            scan.forget_before(time);
        }
    }

    pub fn look(&mut self, now: TimeMs) {
        // shards report in any order: the last first
        let rows = self.scans.iter_mut().rev().flat_map(|scan| scan.scan(now)).collect();
        for (finding, diff) in self.verdict.apply(rows) {
            let count = self.findings.entry(finding).or_insert(0);
            *count += diff;
            assert!((0..=1).contains(count), "a finding is in once or not at all");
        }
        self.findings.retain(|_, count| *count != 0);
    }

    pub fn findings(&self) -> Vec<Finding> {
        self.findings.keys().cloned().collect()
    }

    pub fn tested(&self) -> u64 {
        self.verdict.tested().pairs
    }
}

/// Everything at once, one shard.
pub fn run(points: Vec<MetricPoint>, params: MetricParams) -> Run {
    let now = points.iter().map(|p| p.timestamp).max().unwrap();
    run_until(points, params, now)
}

/// The same, seen from `now`.
pub fn run_until(points: Vec<MetricPoint>, params: MetricParams, now: TimeMs) -> Run {
    let mut run = Run::new(params, 1);
    run.apply(points.into_iter().map(|p| (p, 1)).collect());
    run.look(now);
    run
}
