//! The screen dismisses nothing that counts: bounds, thresholds and best lags against the definition at every lag.

use super::histories::{History, history, paths};
use crate::exact::pearson;
use crate::quantise::{ENERGY_UNIT, quantise};
use crate::{MARGIN, Path, Refused, Series, TIE, WINDOW_MAX, each_pair, level_max};
use proptest::prelude::*;

/// r at a signed lag, from the definition and the values themselves.
fn slow(history: &History, a: usize, b: usize, lag: i64) -> Option<(f64, usize)> {
    let (source, target) = if lag >= 0 { (a, b) } else { (b, a) };
    let (x, y) = (&history.values[source], &history.values[target]);
    let (end, steps) = (x.len(), lag.unsigned_abs() as usize);
    let slice = &x[end - steps - history.window..end - steps];
    pearson(slice, &y[end - history.window..]).filter(|(_, n)| *n >= history.points_min())
}

fn check(history: &History, least: f64) {
    let path = Path::chosen().unwrap();
    let series = history.series(path);
    each_pair(path, &series, &series, history.points_min(), |i, j, pair| {
        let curve: Vec<(i64, Option<(f64, usize)>)> = pair.lags().map(|lag| (lag, slow(history, i, j, lag))).collect();
        for (lag, expected) in &curve {
            let cell = pair.cell(*lag);
            assert_eq!(cell.map(|cell| (cell.r.to_bits(), cell.points)), expected.map(|(r, n)| (r.to_bits(), n)));
            let Some((r, _)) = expected else { continue };
            let (low, high) = pair.bounds(*lag).expect("a correlation that is defined is never dismissed as undefined");
            assert!(low <= *r && *r <= high, "series {i} and {j}, lag {lag}: {r} is outside {low}..{high}");
            let fast = pair.r(*lag).expect("both ways of evaluation agree on what is defined");
            assert!((fast - r).abs() <= 1e-11, "series {i} and {j}, lag {lag}: {fast} and {r}");
        }
        let mut reaching = Vec::new();
        pair.reaching(least, &mut reaching);
        let found: Vec<i64> = reaching.iter().map(|(lag, _)| *lag).collect();
        let strong = curve.iter().filter(|(_, r)| r.is_some_and(|(r, _)| r.abs() >= least)).map(|(lag, _)| *lag);
        assert_eq!(found, strong.collect::<Vec<_>>(), "series {i} and {j}");

        let best = pair.best();
        let greatest = curve.iter().filter_map(|(_, r)| Some(r.as_ref()?.0.abs())).reduce(f64::max);
        assert_eq!(best.is_some(), greatest.is_some(), "series {i} and {j}");
        if let (Some(best), Some(greatest)) = (best, greatest) {
            let nearly = |slack: f64| {
                curve.iter().find(|(_, r)| r.is_some_and(|(r, _)| r.abs() >= greatest - slack)).map(|(lag, _)| *lag)
            };
            // rounding may decide only between lags whose distance from the greatest is the tie itself
            let allowed = [nearly(TIE * (1.0 - 1e-3)), nearly(TIE * (1.0 + 1e-3))];
            assert!(allowed.contains(&Some(best.lag)), "series {i} and {j}: {best:?}, not {allowed:?}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_counts_is_dismissed(history in history(3..200, 0..30), least in 0.0..1.0_f64) {
        check(&history, least);
    }

    #[test]
    fn levels_are_as_near_as_they_say(history in history(3..80, 0..20)) {
        let max = level_max(history.window);
        for values in &history.values {
            let quantised = quantise(values, max);
            let seen: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
            let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let (centre, step) = (least / 2.0 + greatest / 2.0, (greatest / 2.0 - least / 2.0) / f64::from(max));
            for ((value, level), energy) in values.iter().zip(&quantised.levels).zip(&quantised.energies) {
                prop_assert!(i32::from(*level).abs() <= i32::from(max));
                if value.is_nan() {
                    prop_assert_eq!((*level, *energy), (0, 0));
                } else if step.is_normal() {
                    let error = (value - centre) / step - f64::from(*level);
                    prop_assert!(error.abs() <= 0.5 + 1e-9);
                    prop_assert!(error * error <= *energy as f64 * ENERGY_UNIT);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    /// A day of minutes with four hours of lag: the levels' own sizes, sums close to 2^31.
    #[test]
    fn nothing_that_counts_is_dismissed_at_full_size(history in history(1440..1441, 240..241)) {
        check(&history, 0.75);
    }
}

#[test]
fn the_greatest_sums_fit() {
    for window in [1, 2, 3, 96, 1440, 2051, 10_080, WINDOW_MAX] {
        let max = i64::from(level_max(window));
        assert!(max >= 127 && max * max * window as i64 <= i64::from(i32::MAX), "{window} slots: {max}");
    }
}

/// A day against itself and its mirror image, all levels at both ends: the sums are the greatest there are.
#[test]
fn levels_at_both_ends_of_the_range_do_not_run_over() {
    let values: Vec<f64> = (0..1680).map(|slot| if slot % 2 == 0 { 1.0 } else { -1.0 }).collect();
    for path in paths() {
        let series = [Series::new(path, &values, 1440).unwrap()];
        each_pair(path, &series, &series, 1152, |_, _, pair| {
            for (lag, sign) in [(0, 1.0), (1, -1.0), (-240, 1.0)] {
                let (low, high) = pair.bounds(lag).unwrap();
                assert!((low - sign).abs() < 0.1 && (high - sign).abs() < 0.1, "{path}, lag {lag}: {low}..{high}");
                assert_eq!(pair.cell(lag).map(|cell| cell.r.round()), Some(sign));
            }
        });
    }
}

#[test]
fn the_bound_is_small_enough_to_be_of_use() {
    let mut noise = super::histories::Noise(7);
    let values: Vec<Vec<f64>> = (0..2).map(|_| (0..1680).map(|_| noise.next()).collect()).collect();
    let series: Vec<Series> = values.iter().map(|values| Series::new(Path::PORTABLE, values, 1440).unwrap()).collect();
    each_pair(Path::PORTABLE, &series[..1], &series[1..], 1152, |_, _, pair| {
        let widest = pair.lags().filter_map(|lag| pair.bounds(lag)).map(|(low, high)| high - low).fold(0.0, f64::max);
        assert!(widest > MARGIN && widest < 0.01, "{widest}");
        let mut cells = Vec::new();
        assert_eq!((pair.reaching(0.75, &mut cells), cells.len()), (0, 0), "no cell of two noises needs f64");
    });
}

#[test]
fn what_cannot_be_prepared_is_refused_with_its_reason() {
    assert_eq!(Series::new(Path::PORTABLE, &[1.0, 2.0], 0).err(), Some(Refused::Window { window: 0, values: 2 }));
    let refused = Series::new(Path::PORTABLE, &[1.0, f64::NEG_INFINITY], 2).unwrap_err();
    assert_eq!(refused.to_string(), "the value of slot 1 is infinite: leave it out as NaN");
    let long = vec![0.0; WINDOW_MAX + 1];
    assert!(Series::new(Path::PORTABLE, &long, WINDOW_MAX + 1).unwrap_err().to_string().contains("1 to 131072 slots"));
}

#[test]
fn without_a_value_nothing_is_defined() {
    let series = [f64::NAN, 2.5].map(|value| Series::new(Path::PORTABLE, &[value; 20], 16).unwrap());
    each_pair(Path::PORTABLE, &series, &series, 3, |_, _, pair| {
        assert_eq!(pair.best(), None);
        assert!(pair.lags().all(|lag| pair.bounds(lag).is_none()));
    });
}
