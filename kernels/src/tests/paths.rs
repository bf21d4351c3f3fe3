//! Every path of this machine gives the bits of a plain sum, for any input.

use super::histories::{Noise, history, paths};
use crate::dots::{TILE_LAGS, Word, accumulate, source_words};
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
                sum += i64::from(x.low) * i64::from(y.low) + i64::from(x.high) * i64::from(y.high);
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

    /// Sums that slide, by any number of slots at a time, end as those from scratch.
    #[test]
    fn sums_that_slide_are_those_from_scratch(
        window in 1..100_usize, lags in 1..100_usize, blocks in prop::collection::vec(1..20_usize, 1..6), seed in any::<u64>(),
    ) {
        let slots = blocks.iter().sum::<usize>();
        let levels = |seed: u64| -> Vec<i16> {
            let mut noise = Noise(seed);
            (0..slots + window + lags + 2 * TILE_LAGS).map(|_| (noise.next() * 1221.0) as i16).collect()
        };
        // newest first
        let (x, y) = (levels(seed), levels(!seed));
        let source: Vec<Word> = x[window..].iter().zip(&x).map(|(old, new)| Word::new(*new, *old)).collect();
        let target: Vec<Word> = y[window..].iter().zip(&y).map(|(old, new)| Word::new(*new, -*old)).collect();
        let from_scratch = |now: usize| -> Vec<i32> {
            let product = |lag: usize, k: usize| i32::from(x[now + lag + k]) * i32::from(y[now + k]);
            (0..lags).map(|lag| (0..window).map(|k| product(lag, k)).sum()).collect()
        };
        for path in paths() {
            let (mut now, mut sums) = (slots, from_scratch(slots));
            for block in &blocks {
                now -= block;
                accumulate::<1>(path, &source[now..], &[&target[now..now + block]], lags, &mut sums);
                prop_assert_eq!(&sums, &from_scratch(now), "{}", path);
            }
        }
    }

    /// End to end, floats included: all paths give the same bits.
    #[test]
    fn all_paths_find_the_same_bits(history in history(8..150, 0..40)) {
        let found = |path: Path| {
            let (series, mut out) = (history.series(path), Vec::new());
            each_pair(path, &series, &series, history.points_min(), |i, j, pair| {
                let bits = |r: f64| r.to_bits();
                let bounds = pair.lags().map(|lag| pair.bounds(lag).map(|(low, high)| (bits(low), bits(high))));
                let best = pair.best().map(|best| (best.lag, bits(best.r), best.evaluated));
                let fast = pair.lags().map(|lag| pair.r(lag).map(bits)).collect::<Vec<_>>();
                out.push((i, j, best, fast, bounds.collect::<Vec<_>>()));
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

/// Runs all tests again in a separate process for each path, as on a machine without the other paths.
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
