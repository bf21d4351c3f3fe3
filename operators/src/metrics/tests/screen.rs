//! The integer kernels against the plain engine: the same correlations, the same best lags, for any history.

use super::*;
use crate::metrics::grid::{Kept, Track};
use crate::metrics::series::Prepared;
use crate::metrics::stats::pearson;
use crate::reference::plain::lags::{PlainSeries, Workspace, correlate, correlate_lags};
use kernels::{Path, Series, each_pair};
use proptest::prelude::*;

const QUARTER: i64 = 900_000;

/// Values as a colony sends them, every quarter of an hour, with typical defects.
fn values(random: &mut Random, common: &[f64], slots: usize) -> Vec<f64> {
    let (lag, noise) = (random.below(12), random.uniform() * 1.5);
    let kind = random.below(7);
    let memory = [0.0, 0.9, 0.99][random.below(3)];
    let own = random.ar(slots, memory);
    let mut sum = 0.0;
    let mut out: Vec<f64> = (0..slots)
        .map(|slot| {
            sum += own[slot];
            match kind {
                0 => own[slot],
                1 => sum,
                2 => (std::f64::consts::TAU * slot as f64 / 96.0).sin() + 0.1 * own[slot],
                // whole numbers: equal values and exact ties
                3 => (2.0 * own[slot]).round(),
                _ => common[slot + 12 - lag] + noise * own[slot],
            }
        })
        .collect();
    for _ in 0..random.below(4) {
        let (from, length) = (random.below(slots), 1 + random.below(slots / 8));
        let span = from..(from + length).min(slots);
        match random.below(7) {
            0 => out[span].fill(f64::NAN),
            1 => out.iter_mut().for_each(|v| *v = if random.chance(0.05) { f64::NAN } else { *v }),
            2 => out[..span.start / 3].fill(f64::NAN),
            3 => out[from] += 50.0,
            4 => {
                let value = out[from];
                out[from..(from + 3 * length).min(slots)].fill(value);
            }
            5 => out.iter_mut().for_each(|v| *v += 1000.0),
            _ => out[from..].iter_mut().for_each(|v| *v -= 20.0),
        }
    }
    out
}

fn prepared(values: &[f64], params: &MetricParams) -> Option<Prepared> {
    let seen = values.iter().enumerate().filter(|(_, value)| !value.is_nan());
    let kept = |value: &f64| Kept { value: *value, weight: 1, series: SeriesId::default() };
    let track: Track = seen.map(|(slot, value)| (START + slot as i64 * QUARTER, kept(value))).collect();
    Prepared::new(&track, params, QUARTER, START + (values.len() as i64 - 1) * QUARTER)
}

fn agrees(seed: u64) {
    let mut random = Random(seed);
    let window = [24, 96][random.below(2)];
    let params = MetricParams {
        window_ms: window as i64 * QUARTER,
        max_lag_ms: random.below(20) as i64 * QUARTER,
        // every pair is found, so that its best lag shows
        threshold: 0.0,
        hysteresis: 0.0,
        ..MetricParams::default()
    };
    let slots = window + random.below(150);
    let common = random.ar(slots + 12, 0.5);
    let plain: Vec<Prepared> = (0..6).filter_map(|_| prepared(&values(&mut random, &common, slots), &params)).collect();
    let path = Path::chosen().unwrap();
    let series: Vec<Series> = plain.iter().map(|p| Series::new(path, &p.raw, p.window).unwrap()).collect();
    let plain: Vec<PlainSeries> = plain.into_iter().map(PlainSeries::of).collect();
    let points_min = MetricParams::points_needed(window);
    let (mut work, mut forward, mut backward) = (Workspace::default(), Vec::new(), Vec::new());
    each_pair(path, &series, &series, points_min, |i, j, pair| {
        let (a, b) = (&plain[i], &plain[j]);
        correlate_lags(a, b, &mut work, &mut forward);
        correlate_lags(b, a, &mut work, &mut backward);
        for lag in pair.lags() {
            let steps = lag.unsigned_abs() as usize;
            let (curve, source, target) = if lag >= 0 { (&forward, a, b) } else { (&backward, b, a) };
            let (r, there) = (curve[steps], format!("series {i} and {j}, lag {lag}"));
            assert_eq!(pair.r(lag).is_none(), r.is_nan(), "{there}");
            assert!(r.is_nan() || (pair.r(lag).unwrap() - r).abs() <= 1e-9, "{there}: {:?} and {r}", pair.r(lag));
            let (source, target) = (&source.prepared, &target.prepared);
            let defined = pearson(source.window_of(&source.raw, steps), target.window_of(&target.raw, 0));
            let defined = defined.filter(|(_, n)| *n >= points_min).map(|(r, n)| (r.to_bits(), n));
            assert_eq!(pair.cell(lag).map(|cell| (cell.r.to_bits(), cell.points)), defined, "{there}");
        }
        let best = pair.best().and_then(|best| pair.cell(best.lag));
        let best = best.map(|cell| (cell.lag, cell.r.to_bits(), cell.points));
        let expected = correlate(a, b, &params, &mut work).map(|result| {
            let found = &result.peaks[0];
            (found.lag, found.r.to_bits(), found.points)
        });
        assert_eq!(best, expected, "series {i} and {j}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn kernels_find_what_the_plain_engine_finds(seed in any::<u64>()) {
        agrees(seed);
    }
}
