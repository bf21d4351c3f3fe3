//! Every path of this machine gives the bits of a plain sum, for any input whatever.

use super::histories::{Noise, history, paths};
use crate::dots::{Word, accumulate, source_words};
use crate::{NoPath, Path, VARIABLE, each_pair};
use proptest::prelude::*;
use std::process::Command;

fn slow<const STRIDE: usize>(source: &[Word], targets: &[Vec<Word>], lags: usize, before: &[i32]) -> Vec<i32> {
    let mut out = before.to_vec();
    for (t, words) in targets.iter().enumerate() {
        for lag in 0..lags {
            let mut sum = i64::from(before[t * lags + lag]);
            for (s, y) in words.iter().enumerate() {
                let x = source[lag + STRIDE * s];
                sum += i64::from(x.low()) * i64::from(y.low()) + i64::from(x.high()) * i64::from(y.high());
            }
            // modulo 2^32
            out[t * lags + lag] = sum as i32;
        }
    }
    out
}

fn word(noise: &mut Noise) -> Word {
    let mut half = || match noise.next() {
        low if low < -0.9 => i16::MIN,
        high if high > 0.9 => i16::MAX,
        between => (between * 32_768.0) as i16,
    };
    Word::new(half(), half())
}

fn check<const STRIDE: usize>(lags: usize, steps: usize, count: usize, seed: u64) {
    let mut noise = Noise(seed);
    let source: Vec<Word> = (0..source_words(lags, steps, STRIDE)).map(|_| word(&mut noise)).collect();
    let targets: Vec<Vec<Word>> = (0..count).map(|_| (0..steps).map(|_| word(&mut noise)).collect()).collect();
    let before: Vec<i32> = (0..count * lags).map(|_| (noise.next() * 2e9) as i32).collect();
    let expected = slow::<STRIDE>(&source, &targets, lags, &before);
    let slices: Vec<&[Word]> = targets.iter().map(Vec::as_slice).collect();
    for path in paths() {
        let mut out = before.clone();
        accumulate::<STRIDE>(path, &source, &slices, lags, &mut out);
        assert_eq!(out, expected, "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Extreme halves, sums that run over 32 bits, any number of lags, steps and targets.
    #[test]
    fn all_paths_give_the_bits_of_the_plain_sum(
        lags in 1..300_usize, steps in 0..60_usize, count in 1..10_usize, seed in any::<u64>(),
    ) {
        check::<1>(lags, steps, count, seed);
        check::<2>(lags, steps, count, seed);
    }

    /// The whole way, floats included: what a path finds has the bits of what the others find.
    #[test]
    fn all_paths_find_the_same_bits(history in history(8..150, 0..40)) {
        let series = history.series();
        let found = |path: Path| {
            let mut out = Vec::new();
            each_pair(path, &series, &series, history.points_min(), |i, j, pair| {
                let (best, evaluated) = pair.best();
                let bits = |r: f64| r.to_bits();
                let bounds = pair.lags().map(|lag| pair.bounds(lag).map(|(low, high)| (bits(low), bits(high))));
                out.push((i, j, best.map(|cell| (cell.lag, bits(cell.r))), evaluated, bounds.collect::<Vec<_>>()));
            });
            out
        };
        let portable = found(Path::PORTABLE);
        for path in paths() {
            prop_assert_eq!(&found(path), &portable, "{}", path);
        }
    }
}

#[test]
fn the_variable_forces_a_path() {
    let chosen = Path::chosen().unwrap();
    match std::env::var(VARIABLE) {
        Ok(name) if !name.is_empty() => assert_eq!(chosen.name(), name),
        _ => assert_eq!(Some(&chosen), Path::all().last()),
    }
    for path in Path::all() {
        assert_eq!(Path::named(path.name()), Ok(path));
    }
}

/// The tests of the whole once more in a process of their own for each path, as a machine without the others runs them.
#[test]
fn with_any_path_forced_the_tests_of_the_whole_pass() {
    if std::env::var_os(VARIABLE).is_some_and(|name| !name.is_empty()) {
        // this is such a process
        return;
    }
    for path in Path::all() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.env(VARIABLE, path.name()).args(["tests::", "--test-threads=1"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("the_variable_forces_a_path ... ok"), "{path}:\n{text}");
    }
}

#[test]
fn a_path_that_is_not_there_is_refused_with_what_to_do() {
    let unknown = Path::named("sse9").unwrap_err();
    assert_eq!(unknown.to_string(), "no kernel path is called `sse9`: use portable, avx2 or avx512vnni");
    let absent = NoPath::Absent("avx2").to_string();
    assert!(absent.ends_with("use portable or unset CORAL_KERNELS_PATH"), "{absent}");
}

#[test]
#[should_panic(expected = "too short")]
fn a_source_that_is_too_short_is_refused() {
    let source = vec![Word::default(); source_words(65, 3, 2) - 1];
    accumulate::<2>(Path::PORTABLE, &source, &[&[Word::default(); 3]], 65, &mut [0; 65]);
}
