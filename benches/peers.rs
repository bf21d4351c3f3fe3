//! The question that `cargo xtask bench peers` puts to other programs: which pairs of series reach |r| at any lag in the
//! last day. Writes the series and its own answer for `benches/peers.py`, which asks the others and prints the ratios:
//! `cargo bench -p coral-operators --bench peers -- FOLDER [series]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

#[allow(dead_code, reason = "of it only the name of the machine is needed")]
mod stopwatch;

use kernels::dots::{Word, accumulate, source_words};
use kernels::{Path, Series, Side, each_pair};
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;
use stopwatch::machine;

const WINDOW: usize = 1440;
const LAG_MAX: usize = 240;
const SLOTS: usize = WINDOW + LAG_MAX;
const LEAST: f64 = 0.8;
/// Series of which each with the next one is a pair that all programs answer.
const SAMPLE: usize = 8;
/// How long something is repeated, at least.
const ROUND_S: f64 = 0.5;
/// Slots by which sums slide at once.
const SLIDE: usize = 16;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let Some(folder) = args.first().map(std::path::PathBuf::from) else {
        // `cargo test --benches` and the like start it without arguments
        println!("peers: say where to write: cargo bench -p coral-operators --bench peers -- FOLDER [series]");
        return;
    };
    let count: usize = args.get(1).map_or(50, |count| count.parse().unwrap());
    assert!(count > SAMPLE, "at least {} series", SAMPLE + 1);
    let values = series(count);
    let bytes: Vec<u8> = values.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.join("series.f64"), bytes).unwrap();

    let path = Path::chosen().unwrap();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (alone, found) = fastest(|| answer(path, &values, 1));
    let (together, again) = fastest(|| answer(path, &values, threads));
    assert_eq!(found, again, "threads change no answer");
    let slid = slide(path);
    let mut sample = String::new();
    for (number, r) in best_of_sample(path, &values).into_iter().enumerate() {
        write!(sample, "{}{r}", if number == 0 { "" } else { ", " }).unwrap();
    }
    let ours = format!(
        "{{\"machine\": {:?}, \"path\": \"{path}\", \"threads\": {threads}, \"series\": {count}, \"window\": {WINDOW}, \
         \"lag_max\": {LAG_MAX}, \"least\": {LEAST}, \"pairs_found\": {found}, \"seconds_one_thread\": {alone}, \
         \"seconds\": {together}, \"slid_per_second\": {slid}, \"sample\": [{sample}]}}\n",
        machine()
    );
    std::fs::write(folder.join("ours.json"), &ours).unwrap();
    print!("{ours}");
}

/// Seconds of the fastest of some rounds, and what the work gives.
fn fastest<T>(mut work: impl FnMut() -> T) -> (f64, T) {
    let (began, mut least) = (Instant::now(), f64::INFINITY);
    loop {
        let started = Instant::now();
        let given = black_box(work());
        least = least.min(started.elapsed().as_secs_f64());
        if began.elapsed().as_secs_f64() >= ROUND_S {
            return (least, given);
        }
    }
}

/// Pairs that reach the threshold at any lag, both ways, from the values on.
fn answer(path: Path, values: &[Vec<f64>], threads: usize) -> usize {
    let series: Vec<Series> = values.iter().map(|values| Series::new(path, values, WINDOW).unwrap()).collect();
    // a triangle: threads take every so many rows, so that each has long and short ones
    let share = |thread: usize| {
        let mut found = 0;
        for left in (thread..series.len()).step_by(threads) {
            let (lefts, rights) = (&series[left..=left], &series[left + 1..]);
            each_pair(path, lefts, rights, WINDOW * 4 / 5, |_, _, pair| {
                found += usize::from(pair.best_of(Side::Both, LEAST).is_some_and(|best| best.r.abs() >= LEAST));
            });
        }
        found
    };
    if threads == 1 {
        return share(0);
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}

/// The greatest r of some pairs over all lags at which the first leads.
fn best_of_sample(path: Path, values: &[Vec<f64>]) -> Vec<f64> {
    let of_pair = |pair: &[Vec<f64>]| {
        let series = [&pair[0], &pair[1]].map(|values| Series::new(path, values, WINDOW).unwrap());
        let mut best = f64::NEG_INFINITY;
        each_pair(path, &series[..1], &series[1..], WINDOW * 4 / 5, |_, _, pair| {
            let forward = (0..=LAG_MAX as i64).filter_map(|lag| pair.r(lag));
            best = forward.fold(best, f64::max);
        });
        best
    };
    values.windows(2).take(SAMPLE).map(of_pair).collect()
}

/// Sums of products per second when all lags of four pairs are moved on by a slot: of the kernel alone, on one thread.
fn slide(path: Path) -> f64 {
    let lags = LAG_MAX + 1;
    let words = |count: usize, seed: usize| -> Vec<Word> {
        (0..count).map(|i| Word::new((i * seed % 1221) as i16, -((i * seed % 1103) as i16))).collect()
    };
    let source = words(source_words(lags, SLIDE, 1), 7919);
    let targets: Vec<Vec<Word>> = (0..4).map(|t| words(SLIDE, 104_729 + 2 * t)).collect();
    let targets: Vec<&[Word]> = targets.iter().map(Vec::as_slice).collect();
    let mut sums = vec![0; targets.len() * lags];
    let calls = 10_000;
    let (seconds, ()) = fastest(|| {
        for _ in 0..calls {
            accumulate::<1>(path, black_box(&source), black_box(&targets), lags, black_box(&mut sums));
        }
    });
    (calls * SLIDE * targets.len() * lags) as f64 / seconds
}

/// Series that follow a few factors with delays and noise of their own.
fn series(count: usize) -> Vec<Vec<f64>> {
    let mut state = 1_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut normal = move || (0..6).map(|_| uniform()).sum::<f64>() - 3.0;
    let factors: Vec<Vec<f64>> = (0..5).map(|_| (0..SLOTS + LAG_MAX).map(|_| normal()).collect()).collect();
    let one = |number: usize| {
        let (factor, lag) = (&factors[number % 5], number * 37 % LAG_MAX);
        let noise = if number.is_multiple_of(3) { 0.5 } else { 2.0 };
        (0..SLOTS).map(|slot| factor[slot + LAG_MAX - lag] + noise * normal()).collect()
    };
    (0..count).map(one).collect()
}
