//! Lagged coefficients per second of the kernels, on each path, compared with the plain engine's scan of the same
//! pairs: `cargo bench -p coral-operators --bench lagged_correlation -- [series] [rounds]`.
//!
//! A coefficient is Pearson's r of one ordered pair at one lag over the whole window, from scratch. Measured in processor time of
//! one thread, and the fastest round counts: what else the machine does can only slow a round down.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use coral_operators::metrics::grid::{Kept, Track};
use coral_operators::metrics::series::Prepared;
use coral_operators::metrics::{MetricParams, params::STEPS_MS};
use coral_operators::reference::plain::lags::{PlainSeries, Workspace, correlate_lags};
use kernels::dots::{Word, accumulate, peak, source_words};
use kernels::{Path, Series, each_pair};
use model::series::SeriesId;
use std::hint::black_box;
use stopwatch::{machine, stopwatch};

const WINDOW: usize = 1440;
const LAG_MAX: usize = 240;
const SLOTS: usize = WINDOW + LAG_MAX;
/// Processor time of a round, at least; it is counted in hundredths of a second.
const ROUND_S: f64 = 0.3;
/// Slots by which sums slide at once.
const SLIDE: usize = 16;
/// What a thread reads and writes to measure memory: far more than the caches.
const MEMORY_BYTES: usize = 512 << 20;
/// Number of series for the plain engine: enough to measure, few enough to be fast.
const PLAIN: usize = 12;

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let (count, rounds) = (args.next().unwrap_or(120_usize).max(2 * PLAIN), args.next().unwrap_or(5_usize).max(1));
    println!("{}, of which 1 is used", machine());
    println!("cargo bench -p coral-operators --bench lagged_correlation -- {count} {rounds}");
    println!("N = {count}, W = {WINDOW}, L = {LAG_MAX}, best of {rounds} rounds");
    println!(
        "M/s: million coefficients a second; f64: cells of a pair, of {}, that were evaluated again",
        2 * LAG_MAX + 1
    );
    kernel_alone(rounds);
    in_memory(rounds);
    for (what, gaps) in [("complete series", 0.0), ("2 % of the slots missing, one by one", 0.02)] {
        pairs(what, gaps, count, rounds);
    }
}

/// Seconds of processor time that `work` takes, in the fastest round. A round repeats it for long enough to be measured.
fn fastest(rounds: usize, mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let took = stopwatch(&[]);
        for repeats in 1.. {
            work();
            let cpu_s = took().cpu_s;
            if cpu_s >= ROUND_S {
                return cpu_s / f64::from(repeats);
            }
        }
        unreachable!("a round ends")
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}

fn kernel_alone(rounds: usize) {
    let (lags, steps) = (LAG_MAX + 1, WINDOW / 2);
    let words = |count: usize, seed: usize| -> Vec<Word> {
        (0..count).map(|i| Word::new((i * seed % 1221) as i16, -((i * seed % 1103) as i16))).collect()
    };
    let source = words(source_words(lags, steps, 2), 7919);
    let targets: Vec<Vec<Word>> = (0..4).map(|t| words(steps, 104_729 + 2 * t)).collect();
    let targets: Vec<&[Word]> = targets.iter().map(Vec::as_slice).collect();
    let slides: Vec<&[Word]> = targets.iter().map(|words| &words[..SLIDE]).collect();
    let mut sums = vec![0; targets.len() * lags];
    let calls = 50;
    println!("\nthe integer kernel alone: sums from scratch, and sums moved on by a slot, {SLIDE} slots at once");
    for path in Path::all() {
        let seconds = fastest(rounds, || {
            for _ in 0..calls {
                accumulate::<2>(path, black_box(&source), &targets, lags, black_box(&mut sums));
            }
        });
        let coefficients = (calls * targets.len() * lags) as f64 / seconds;
        let slid = fastest(rounds, || {
            for _ in 0..calls * steps / SLIDE {
                accumulate::<1>(path, black_box(&source), black_box(&slides), lags, black_box(&mut sums));
            }
        });
        let slid = (calls * steps / SLIDE * SLIDE * slides.len() * lags) as f64 / slid;
        let mut multiplied = 0;
        let most = fastest(rounds, || multiplied = black_box(peak(path, 20_000_000, black_box(3))).0);
        let (products, most) = (coefficients * WINDOW as f64 / 1e9, multiplied as f64 / most / 1e9);
        println!(
            "  {:<11} {:>8.1} M/s   {products:>6.1} G products a second, {:.2} of {most:.1} in registers alone   \
             moved on {:>8.1} M/s",
            path.name(),
            coefficients / 1e6,
            products / most,
            slid / 1e6
        );
    }
}

/// Sums of all lags that are kept in memory and moved on by a slot, beside what the memory itself can do.
fn in_memory(rounds: usize) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (lags, path) = (LAG_MAX + 1, Path::all().pop().unwrap());
    let words = |count: usize| -> Vec<Word> { (0..count).map(|i| Word::new((i % 1221) as i16, 7)).collect() };
    let (source, targets) = (words(source_words(lags, 1, 1)), words(4));
    let targets: Vec<&[Word]> = targets.chunks(1).collect();
    let of_call = targets.len() * lags;
    let slide = |sums: &mut Vec<i32>| {
        sums.chunks_exact_mut(of_call).for_each(|sums| accumulate::<1>(path, &source, &targets, lags, sums));
    };
    let calls = MEMORY_BYTES / size_of::<i32>() / of_call;
    let moved = side_by_side(threads, rounds, || vec![0_i32; calls * of_call], slide);
    let cells = (threads * calls * of_call) as f64 / moved;
    let length = MEMORY_BYTES / 3 / size_of::<f64>();
    let new = || (vec![0.0_f64; length], vec![1.0_f64; length], vec![2.0_f64; length]);
    let triad = |(a, b, c): &mut (Vec<f64>, Vec<f64>, Vec<f64>)| {
        a.iter_mut().zip(b.iter().zip(c.iter())).for_each(|(a, (b, c))| *a = b + 3.0 * c);
    };
    let triad = (threads * length * 3 * size_of::<f64>()) as f64 / side_by_side(threads, rounds, new, triad);
    let bytes = cells * 2.0 * size_of::<i32>() as f64;
    println!(
        "\nsums of all lags in memory, moved on by one slot, {threads} threads: {:.1} M/s, {:.1} GB/s read and written, {:.2} of \
         the triad's {:.1} GB/s ({path}); the engine keeps no such sums, but 20 bytes a pair",
        cells / 1e6,
        bytes / 1e9,
        bytes / triad,
        triad / 1e9
    );
}

/// Seconds of the fastest round in which as many threads do the same, each with something of its own.
fn side_by_side<T: Send>(threads: usize, rounds: usize, new: impl Fn() -> T, work: impl Fn(&mut T) + Sync) -> f64 {
    let mut own: Vec<T> = (0..threads).map(|_| new()).collect();
    let round = |_| {
        let (started, work) = (std::time::Instant::now(), &work);
        std::thread::scope(|scope| own.iter_mut().for_each(|own| drop(scope.spawn(move || work(black_box(own))))));
        started.elapsed().as_secs_f64()
    };
    (0..rounds + 1).map(round).fold(f64::INFINITY, f64::min)
}

fn pairs(what: &str, gaps: f64, count: usize, rounds: usize) {
    let plain = series(count, gaps);
    let path = Path::all().pop().unwrap();
    let took = stopwatch(&[]);
    let prepared: Vec<Series> = plain.iter().map(|p| Series::new(path, &p.raw, p.window).unwrap()).collect();
    println!("\n{what}: a series is prepared in {:.2} ms ({path})", took().wall_s * 1e3 / count as f64);
    let points_min = MetricParams::points_needed(WINDOW);
    let (lefts, rights) = prepared.split_at(count / 2);

    let (mut work, mut forward, mut backward) = (Workspace::default(), Vec::new(), Vec::new());
    let plain: Vec<PlainSeries> = plain.into_iter().map(PlainSeries::of).collect();
    let mut greatest = Vec::new();
    let seconds = fastest(rounds.min(3), || {
        greatest.clear();
        for a in &plain[..PLAIN] {
            for b in &plain[count / 2..count / 2 + PLAIN] {
                correlate_lags(a, b, &mut work, &mut forward);
                correlate_lags(b, a, &mut work, &mut backward);
                let curve = forward.iter().chain(&backward[1..]);
                greatest.push(curve.filter(|r| !r.is_nan()).fold(0.0_f64, |best, r| best.max(r.abs())));
            }
        }
    });
    let per_pair = (2 * LAG_MAX + 1) as f64;
    let plain_rate = (PLAIN * PLAIN) as f64 * per_pair / seconds;
    println!("  {:<11} {:>8.2} M/s", "plain scan", plain_rate / 1e6);

    for path in Path::all() {
        let pairs = (lefts.len() * rights.len()) as f64;
        let mut cells = Vec::new();
        let mut evaluated = 0;
        let reaching = fastest(rounds, || {
            cells.clear();
            evaluated = 0;
            each_pair(path, lefts, rights, points_min, |_, _, pair| evaluated += pair.reaching(0.8, &mut cells));
        });
        let (found, reaching_f64) = (cells.len(), evaluated as f64 / pairs);
        let mut agree = true;
        let best = fastest(rounds, || {
            evaluated = 0;
            each_pair(path, lefts, rights, points_min, |i, j, pair| {
                let found = pair.best();
                evaluated += found.map_or(0, |best| best.evaluated);
                if i < PLAIN && j < PLAIN {
                    agree &= (found.map_or(0.0, |best| best.r.abs()) - greatest[i * PLAIN + j]).abs() <= 1e-9;
                }
            });
        });
        assert!(agree, "{path} finds other correlations than the plain scan");
        for (question, seconds, f64_cells) in
            [("all of |r| >= 0.8", reaching, reaching_f64), ("best lag of each pair", best, evaluated as f64 / pairs)]
        {
            let rate = pairs * per_pair / seconds;
            println!(
                "  {:<11} {:>8.1} M/s   {:>6.1} x the plain scan   {f64_cells:>5.1} f64   {question}",
                path.name(),
                rate / 1e6,
                rate / plain_rate
            );
        }
        if path == Path::PORTABLE {
            println!("  ({found} cells reach 0.8; the best lags are those of the plain scan)");
        }
    }
}

/// Series as operations see them: rough and slow, following one another, with a daily cycle, with spikes.
fn series(count: usize, gaps: f64) -> Vec<Prepared> {
    let mut state = 1_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let common: Vec<f64> = (0..SLOTS + 60).map(|_| uniform() - 0.5).collect();
    let step = STEPS_MS[0];
    let one = |number: usize| {
        let (mut slow, mut track) = (0.0, Track::default());
        for slot in 0..SLOTS {
            let fresh = (0..6).map(|_| uniform()).sum::<f64>() - 3.0;
            slow = 0.95 * slow + fresh;
            let value = match number % 6 {
                0 => fresh,
                1 => slow,
                2 => 4.0 * common[slot + 60 - number % 50] + 0.3 * fresh,
                3 => (std::f64::consts::TAU * slot as f64 / 1440.0).sin() + 0.3 * fresh,
                4 => fresh + if uniform() < 0.003 { 40.0 } else { 0.0 },
                _ => (0.5 * slow).exp(),
            };
            if uniform() >= gaps {
                track.insert(slot as i64 * step, Kept { value, weight: 1, series: SeriesId::default() });
            }
        }
        Prepared::new(&track, &MetricParams::default(), step, (SLOTS as i64 - 1) * step).unwrap()
    };
    (0..count).map(one).collect()
}
