//! After a change: the bound from a few numbers of each series against the definition at every lag.

use super::histories::Noise;
use crate::exact::pearson;
use crate::{Change, Path, Series, each_pair};

const WINDOW: usize = 240;
const LAG_MAX: usize = 12;
const TAIL: usize = 3;
const SLOTS: usize = WINDOW + LAG_MAX;
/// As the engine asks for: four fifths of the window.
const POINTS_MIN: usize = 192;

/// Long histories: smooth and rough ones that follow each other more or less, some with missing slots or a spike.
fn long(seed: u64, count: usize, slots: usize) -> Vec<Vec<f64>> {
    let mut noise = Noise(seed);
    let common: Vec<f64> = (0..slots + 20).map(|_| noise.next()).collect();
    let one = |number: usize| {
        let mut slow = 0.0;
        let weight = (noise.next() + 1.0) / 2.0;
        let mut values: Vec<f64> = (0..slots)
            .map(|slot| {
                slow = 0.9 * slow + 0.4 * noise.next();
                weight * common[slot + 20 - number % 15] + (1.0 - weight) * slow
            })
            .collect();
        for value in &mut values {
            if number % 3 == 1 && noise.next() > 0.96 {
                *value = f64::NAN;
            }
        }
        if number % 5 == 2 {
            values[((noise.next() + 1.0) / 2.0 * slots as f64) as usize] += 10.0;
        }
        values
    };
    (0..count).map(one).collect()
}

/// The root of the greatest sum of squares over `length` slots that end `lag` slots before `end`, for any lag, in scales.
fn most(values: &[f64], end: usize, length: usize, centre: f64, scale: f64) -> f64 {
    let at_lag = |lag: usize| {
        let slots = &values[end - lag - length..end - lag];
        slots.iter().filter(|v| !v.is_nan()).map(|v| ((v - centre) / scale).powi(2)).sum::<f64>()
    };
    (0..=LAG_MAX).map(at_lag).fold(0.0, f64::max).sqrt() * (1.0 + 1e-6)
}

fn greatest(x: &[f64], y: &[f64], end: usize) -> Option<f64> {
    let mut greatest: f64 = 0.0;
    for (source, target) in [(x, y), (y, x)] {
        for lag in 0..=LAG_MAX {
            let target = &target[end - WINDOW..end];
            let (r, n) = pearson(&source[end - lag - WINDOW..end - lag], target)?;
            if n < POINTS_MIN {
                return None;
            }
            greatest = greatest.max(r.abs());
        }
    }
    Some(greatest)
}

#[test]
fn what_has_changed_moves_r_by_no_more_than_the_bound() {
    let path = Path::chosen().unwrap();
    let (mut bounded, mut narrow) = (0, 0);
    for seed in 0..40 {
        let mut noise = Noise(seed ^ 0x55);
        let before = long(seed, 6, SLOTS + 60);
        let (then, age) = (SLOTS + 20, 1 + (seed as usize * 7) % 24);
        let now = then + age;
        // the newest slots are filled in and amended later
        let mut after = before.clone();
        for values in &mut after {
            for value in &mut values[then - TAIL..then] {
                *value = noise.next();
            }
        }
        let centred: Vec<(f64, f64, Vec<f64>)> = before
            .iter()
            .map(|values| {
                let seen = || values[then - SLOTS..then].iter().filter(|v| !v.is_nan());
                let n = seen().count() as f64;
                let mean = seen().sum::<f64>() / n;
                let scale = (seen().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
                (mean, scale, values[then - SLOTS..then].iter().map(|v| v - mean).collect())
            })
            .collect();
        let series: Vec<Series> =
            centred.iter().map(|(.., values)| Series::new(path, values, WINDOW).unwrap()).collect();
        let change = |n: usize| {
            let (mean, scale, _) = &centred[n];
            let left = most(&before[n], then - WINDOW + age, age, *mean, *scale);
            let tail = most(&before[n], then, TAIL, *mean, *scale);
            let come = most(&after[n], now, age + TAIL, *mean, *scale);
            Change { gone: left.hypot(tail) as f32 * 1.000_001, come: come as f32 * 1.000_001 }
        };
        each_pair(path, &series, &series, POINTS_MIN, |i, j, pair| {
            if i == j {
                return;
            }
            let Some(footing) = pair.footing([centred[i].1, centred[j].1]) else { return };
            let at_first = greatest(&before[i], &before[j], then).unwrap();
            assert!(f64::from(footing.reach) >= at_first);
            let bound = footing.after(change(i), change(j), (age + TAIL) as u32, POINTS_MIN as u32);
            if bound.is_finite() {
                bounded += 1;
                narrow += usize::from(f64::from(bound) < at_first + 0.4);
                let really = greatest(&after[i], &after[j], now).expect("r is defined at every lag");
                assert!(really <= f64::from(bound), "seed {seed}, {i} and {j}: {really}, not at most {bound}");
            }
        });
    }
    assert!(bounded > 500 && narrow > 200, "{bounded} bounds, {narrow} of use");
}
