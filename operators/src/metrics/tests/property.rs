//! The operators against the oracle: any order, repeats, corrections, gaps, batch sizes, and shards.

use super::*;
use crate::metrics::MetricPairs;
use crate::reference::metrics::findings as expected;
use model::time::DAY_MS;
use proptest::prelude::*;

const QUARTER: i64 = 900_000;

/// Three services, each under two numbers.
fn service(number: usize) -> String {
    ["api", "cart", "pay"][number % 3].to_owned()
}

/// A fleet of a few days on coarse grids, with everything that can be wrong with it, and the set that remains.
struct Scenario {
    changes: Vec<(MetricPoint, i64)>,
    points: Vec<MetricPoint>,
    calls: Vec<Call>,
    now: TimeMs,
    params: MetricParams,
}

fn scenario(seed: u64) -> Scenario {
    let mut random = Random(seed);
    let slots = 96 * (1 + random.below(5)) + random.below(96);
    let drivers: Vec<Vec<f64>> = [0.0, 0.8].iter().map(|phi| random.ar(slots + 8, *phi)).collect();
    let names = ["requests_per_minute", "latency_ms", "memory_bytes"];
    let mut points = Vec::new();
    for index in 0..5 + random.below(5) {
        let colony = random.below(5);
        let metric = format!("{}_{}", names[random.below(3)], index / 3);
        let series = SeriesKey { service_id: service(colony % 3), ..key(&format!("c{colony}"), &metric) };
        let (driver, lag) = (random.below(2), random.below(5));
        let (noise, sign) = (random.uniform() * 0.5, if random.chance(0.3) { -1.0 } else { 1.0 });
        // relations that come and go: from some slot on the series is noise alone
        let ends = if random.chance(0.2) { random.below(slots) } else { slots };
        let kind = random.below(14);
        let interval = [Some(900), None, Some(900), Some(300)][random.below(4)];
        let gaps = if random.chance(0.5) { random.uniform() * 0.25 } else { 0.0 };
        let mut sum = 0.0;
        for slot in 0..slots {
            sum += random.normal();
            let daily = (std::f64::consts::TAU * slot as f64 / 96.0).sin();
            let driven = if slot < ends { drivers[driver][slot + 5 - lag] } else { 0.0 };
            let base = sign * driven + noise * random.normal();
            let value = match kind {
                0 => sum,
                1 => 5.0 * daily + base,
                2 => 7.5,
                // comes before and after what follows the driver
                4 => {
                    1e6 + 0.7 * (drivers[driver][slot + 1] + drivers[driver][slot + 5]) + 0.2 * noise * random.normal()
                }
                3 if random.chance(0.03) => 1000.0 * drivers[0][slot],
                _ => 1e6 + base,
            };
            let at = START + slot as i64 * QUARTER;
            let buckets = if interval == Some(300) { 3 } else { 1 };
            for bucket in 0..buckets {
                if random.chance(gaps) {
                    continue;
                }
                let mut row = point(&series, at + bucket * 300_000, value + 0.01 * bucket as f64, interval);
                row.count = Some(1 + random.below(5) as u64);
                if random.chance(0.02) {
                    // an open bucket, later closed with more samples
                    points.push(MetricPoint { count: Some(0), mean: Some(Real(value - 3.0)), ..row });
                }
                points.push(row);
            }
        }
    }
    points.sort();
    points.dedup();
    let now = points.iter().map(|p| p.timestamp).max().unwrap();
    let mut changes: Vec<(MetricPoint, i64)> = points.iter().cloned().map(|p| (p, 1)).collect();
    for _ in 0..points.len() / 20 {
        let row = points[random.below(points.len())];
        // rows that come and go again: another value of the bucket, or the same row twice
        let other = MetricPoint { mean: Some(Real(random.normal())), count: Some(99), ..row };
        changes.push((other, 1));
        changes.push((other, -1));
    }
    random.shuffle(&mut changes);
    // some of them were last seen before the look-back
    let call = |random: &mut Random| Call {
        colony_id: format!("c{}", random.below(5)),
        from_service: service(random.below(3)),
        to_service: service(3 + random.below(3)),
        seen_at: now - random.below(16) as i64 * DAY_MS,
    };
    let calls: Vec<Call> = (0..random.below(6)).map(|_| call(&mut random)).collect();
    let params = MetricParams {
        max_lag_ms: 4 * QUARTER,
        threshold: 0.6,
        pairs: if random.chance(0.2) { MetricPairs::SameMetric } else { MetricPairs::All },
        ..MetricParams::default()
    };
    Scenario { changes, points, calls, now, params }
}

fn check(seed: u64) -> usize {
    let Scenario { changes, points, calls, now, params } = scenario(seed);
    let mut whole = Run::new(params, 1);
    whole.apply_calls(&calls);
    whole.apply(changes.clone());
    whole.look(now);

    // small steps, three shards, looks at any time in between
    let mut random = Random(seed ^ 0xabcd);
    let mut steps = Run::new(params, 3);
    let mut rest = changes.as_slice();
    let mut calls_left = calls.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(rest.len().min(1 + random.below(rest.len().max(8))));
        steps.apply(batch.to_vec());
        if let Some((call, later)) = calls_left.split_last() {
            steps.apply_calls(std::slice::from_ref(call));
            calls_left = later;
        }
        if random.chance(0.5) {
            steps.look(TimeMs(START + random.below((now.0 - START) as usize + 1) as i64));
        }
        rest = later;
    }
    steps.apply_calls(&calls);
    steps.look(now);
    steps.forget_before(now - params.keep_ms());
    steps.look(now);
    assert_eq!(whole.findings(), steps.findings(), "seed {seed}: steps and shards");
    assert_eq!(whole.tested(), steps.tested());

    let (tested, oracle) = expected(&points, &calls.iter().cloned().collect(), &params, now);
    assert_eq!(whole.tested(), tested, "seed {seed}: pairs tested");
    let found = whole.findings();
    let summary: Vec<_> = found.iter().map(|f| (f.correlation.key.to_owned(), f.correlation.coefficient)).collect();
    assert_eq!(found.len(), oracle.len(), "seed {seed}: {summary:?} against {oracle:?}");
    for (finding, want) in found.iter().zip(&oracle) {
        let got = &finding.correlation;
        assert_eq!(got.key, want.key, "seed {seed}");
        let discrete = (got.state, &got.explained_by, &got.correlation_type, got.lag_seconds, got.sample_count);
        let wanted = (want.state, &want.explained_by, &want.correlation_type, want.lag_seconds, want.points);
        assert_eq!(discrete, wanted, "seed {seed}: {:?}", want.key);
        let times = (got.source_timestamp, got.target_timestamp, got.first_observed, got.last_observed);
        assert_eq!((got.lag_low_seconds, got.lag_high_seconds), want.lag_range_seconds, "seed {seed}: {:?}", want.key);
        let wanted = (want.source_timestamp, want.target_timestamp, want.first_observed, want.last_observed);
        assert_eq!(times, wanted, "seed {seed}: {:?}", want.key);
        assert!((got.coefficient.0 - want.coefficient).abs() < 1e-9, "seed {seed}: {got:?} {want:?}");
        assert!((got.q_value.0 - want.q_value).abs() < 1e-9, "seed {seed}: {got:?} {want:?}");
        assert_eq!(got.correlation_score.0, got.coefficient.0.abs());
        assert_eq!(got.confidence.0, 1.0 - got.q_value.0);
    }
    found.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn equals_the_oracle_for_any_history(seed in any::<u64>()) {
        check(seed);
    }
}

#[test]
fn fixed_histories_hold_findings_of_every_kind() {
    let held: usize = (0..24).map(check).sum();
    assert!(held >= 24, "the scenarios hold only {held} relations");
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..24 {
        let Scenario { points, now, params, .. } = scenario(seed);
        for finding in run_until(points, params, now).findings() {
            let why = finding.correlation.explained_by.unwrap_or_default();
            seen.insert((finding.correlation.state.as_str(), why.split(':').next().unwrap_or_default().to_owned()));
        }
    }
    for wanted in ["", "mirror", "few_points", "daily_cycle", "common_cause", "co_moving"] {
        assert!(seen.iter().any(|(_, why)| why == wanted), "{wanted:?} not among {seen:?}");
    }
    for wanted in ["candidate", "confirmed", "withdrawn"] {
        assert!(seen.iter().any(|(state, _)| *state == wanted), "{wanted:?} not among {seen:?}");
    }
}

#[test]
fn forgetting_keeps_memory_bounded_and_results_unchanged() {
    let params = MetricParams { max_lag_ms: 4 * QUARTER, ..MetricParams::default() };
    let mut random = Random(3);
    let mut run = Run::new(params, 1);
    let mut most = 0;
    for day in 0..40 {
        let values = random.ar(96, 0.5);
        let rows = values.iter().enumerate().flat_map(|(slot, v)| {
            let at = START + day * 86_400_000 + slot as i64 * QUARTER;
            [point(&key("a", "m"), at, *v, Some(900)), point(&key("b", "m"), at, -v, Some(900))]
        });
        let rows: Vec<_> = rows.collect();
        let now = rows.last().unwrap().timestamp;
        run.apply(rows.into_iter().map(|r| (r, 1)).collect());
        run.look(now);
        let before = run.findings();
        run.forget_before(now - params.keep_ms());
        run.look(now);
        assert_eq!(run.findings(), before);
        assert_eq!(before.len(), 1);
        most = most.max(run.scans[0].len());
    }
    assert!(most <= 2 * 96 * 13, "{most} samples held");
}
