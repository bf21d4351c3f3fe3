//! The metric engine beside the plain one:
//! `cargo bench -p coral-operators --bench metric_engine -- [series,…] [plain] [minutes] [gaps] [parts,…] [MiB]`.
//!
//! `plain`: up to how many series the plain engine is measured as well, and compared. `minutes`: how many live ones.
//! `gaps`: share of the samples that are missing. `MiB`: what metric pairs may keep in memory; beyond that they are
//! computed tile by tile. The parts:
//!
//! | part | measures |
//! |---|---|
//! | `scratch` | one closed instant from scratch, on one worker beside the plain engine, and on two |
//! | `live` | live minutes after five days, on two workers |
//! | `days` | two days through all operators of metric pairs |
//! | `workers` | one closed instant with one worker, two workers, and two processes of one worker |
//! | `month` | thirty days, each closed day once, on two workers, without reading and storing |
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod fleet;
mod stopwatch;

use coral_operators::metrics::memory::{Amount, MetricMemory};
use coral_operators::metrics::{Align, MetricParams, MetricScan, MetricScanRow, MetricVerdict};
use coral_operators::reference::plain::PlainScan;
use coral_operators::shard::Shard;
use fleet::{Fleet, SCRATCH};
use model::metric::MetricPoint;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::Instant;
use stopwatch::{machine, stopwatch};

const WORKERS: usize = 2;
/// Minutes of a day.
const DAY: usize = 1440;
/// Samples are handed over in pieces of so many minutes.
const PIECE: usize = 60;
/// The argument of a process that works for another one.
const SHARE: &str = "share";

/// What is measured.
#[derive(Clone, Copy)]
struct Settings {
    count: usize,
    with_plain: bool,
    minutes: usize,
    gaps: f64,
    params: MetricParams,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if args.first().is_some_and(|arg| arg == SHARE) {
        return share(&args[1..]);
    }
    let arg = |n: usize, default: &str| args.get(n).map_or(default, String::as_str).to_owned();
    let counts: Vec<usize> = arg(0, "100,200,400").split(',').filter_map(|n| n.parse().ok()).collect();
    let plain_max: usize = arg(1, "400").parse().unwrap();
    let minutes: usize = arg(2, "60").parse().unwrap();
    let gaps: f64 = arg(3, "0").parse().unwrap();
    let parts = arg(4, "scratch,live,days");
    let params = params_of(arg(5, "0").parse().unwrap());
    println!("{}", machine());
    println!("cargo bench -p coral-operators --bench metric_engine -- {}", args.join(" "));
    println!("W = 1440, L = 240 both ways, |r| >= {}, {gaps} of the samples missing", params.threshold);
    for count in counts {
        println!("\nN = {count}");
        let settings = Settings { count, with_plain: count <= plain_max, minutes, gaps, params };
        for part in parts.split(',') {
            match part {
                "scratch" => scratch(settings),
                "live" => live(settings),
                "days" => two_days(settings),
                "workers" => workers(settings),
                "month" => month(settings),
                other => panic!("no part is called {other}"),
            }
        }
    }
}

/// With so much memory for what is kept; 0 for any.
fn params_of(mib: u64) -> MetricParams {
    let bytes = if mib == 0 { u64::MAX } else { mib << 20 };
    let params = MetricParams::default();
    MetricParams { room: MetricMemory::new(params, WORKERS, 1).room(bytes), ..params }
}

/// A scan that has seen some minutes.
fn fed(fleet: &Fleet, params: MetricParams, shard: Shard, minutes: usize) -> MetricScan {
    let mut scan = MetricScan::new(params, shard);
    for from in (0..minutes).step_by(PIECE) {
        scan.apply(fleet.between(from, (from + PIECE).min(minutes)));
    }
    scan
}

fn scratch(settings: Settings) {
    let Settings { count, with_plain, gaps, params, .. } = settings;
    let fleet = Fleet::new(count, SCRATCH, gaps);
    let now = fleet.at(SCRATCH - 1);
    let mut scan = fed(&fleet, params, Shard::WHOLE, SCRATCH);
    let took = stopwatch(&[]);
    let rows = scan.scan(now);
    let engine = took().cpu_s;
    let followed = rows.iter().filter(|(row, _)| matches!(row, MetricScanRow::Pair(_))).count();
    print!(
        "  one instant from scratch      {engine:>9.2} s   {:.1} M coefficients a second, {} pairs, {followed} followed{}",
        tested(&rows) as f64 * 481.0 / engine / 1e6,
        tested(&rows),
        if scan.is_streaming() { ", tile by tile" } else { "" }
    );
    if with_plain {
        let mut scan = PlainScan::new(params, Shard::WHOLE);
        scan.apply(fleet.between(0, SCRATCH));
        let took = stopwatch(&[]);
        let expected = scan.scan(now);
        let plain = took().cpu_s;
        print!("   plain {plain:>8.2} s   {:>6.1} x", plain / engine);
        assert_eq!(tested(&rows), tested(&expected));
        assert_eq!(rows.len(), expected.len());
    }
    println!();
    drop((scan, rows));
    let (seconds, is_streaming) = together(&fleet, params, WORKERS);
    println!(
        "  … by {WORKERS} workers               {seconds:>9.2} s   {} MiB at most{}",
        most_mib(),
        if is_streaming { ", tile by tile" } else { "" }
    );
}

/// Pairs tested at all instants.
fn tested(rows: &[(MetricScanRow, i64)]) -> u64 {
    let of_row = |(row, _): &(MetricScanRow, i64)| if let MetricScanRow::Tested(row) = row { row.pairs } else { 0 };
    rows.iter().map(of_row).sum()
}

/// Seconds that one closed instant takes several workers, each in a thread of its own, and whether it went tile by tile.
fn together(fleet: &Fleet, params: MetricParams, peers: usize) -> (f64, bool) {
    let barrier = Barrier::new(peers);
    let work = |index: usize| {
        let mut scan = fed(fleet, params, Shard { index, peers }, SCRATCH);
        barrier.wait();
        let started = Instant::now();
        scan.scan(fleet.at(SCRATCH - 1));
        (started.elapsed().as_secs_f64(), scan.is_streaming())
    };
    let took: Vec<(f64, bool)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..peers).map(|index| scope.spawn(move || work(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    (took.iter().map(|one| one.0).fold(0.0, f64::max), took[0].1)
}

fn workers(settings: Settings) {
    let Settings { count, gaps, params, .. } = settings;
    let fleet = Fleet::new(count, SCRATCH, gaps);
    let fastest = |measure: &dyn Fn() -> f64| (0..3).map(|_| measure()).fold(f64::INFINITY, f64::min);
    let one = fastest(&|| together(&fleet, params, 1).0);
    let two = fastest(&|| together(&fleet, params, WORKERS).0);
    drop(fleet);
    let apart = fastest(&|| processes(count, gaps));
    println!(
        "  1 worker {one:.2} s, {WORKERS} workers {two:.2} s: {:.2} x; {WORKERS} processes of 1 worker {apart:.2} s: {:.2} x those \
         {WORKERS} workers (best of 3)",
        one / two,
        two / apart
    );
}

/// Seconds that one closed instant takes as many processes of one worker as there are workers otherwise.
fn processes(count: usize, gaps: f64) -> f64 {
    let start = |index: usize| {
        let args = [SHARE.to_owned(), index.to_string(), count.to_string(), gaps.to_string()];
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut children: Vec<Child> = (0..WORKERS).map(start).collect();
    let mut lines: Vec<_> = children.iter_mut().map(|child| BufReader::new(child.stdout.take().unwrap())).collect();
    let mut said = String::new();
    for line in &mut lines {
        // it is ready
        line.read_line(&mut said).unwrap();
    }
    children.iter_mut().for_each(|child| child.stdin.take().unwrap().write_all(b"go\n").unwrap());
    let seconds = lines.iter_mut().map(|line| {
        let mut said = String::new();
        line.read_line(&mut said).unwrap();
        said.trim().parse::<f64>().unwrap()
    });
    let most = seconds.fold(0.0, f64::max);
    children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    most
}

/// The part of [`processes`] that one of them does.
fn share(args: &[String]) {
    let (index, count, gaps) = (args[0].parse().unwrap(), args[1].parse().unwrap(), args[2].parse().unwrap());
    let fleet = Fleet::new(count, SCRATCH, gaps);
    let mut scan = fed(&fleet, params_of(0), Shard { index, peers: WORKERS }, SCRATCH);
    println!("ready");
    std::io::stdin().lines().next().unwrap().unwrap();
    let started = Instant::now();
    scan.scan(fleet.at(SCRATCH - 1));
    println!("{}", started.elapsed().as_secs_f64());
}

/// What a worker has done live.
struct Lived {
    first_s: f64,
    took: Vec<f64>,
    rows: Vec<Vec<(MetricScanRow, i64)>>,
    screened: u64,
    is_streaming: bool,
    mib: u64,
}

/// Live minutes after the profile is known, on two workers, each in a thread of its own.
fn live(settings: Settings) {
    let Settings { count, minutes, gaps, params, .. } = settings;
    let before = 5 * DAY + 300;
    let fleet = Fleet::new(count, before + minutes, gaps);
    let barrier = Barrier::new(WORKERS);
    let work = |index: usize| {
        let mut scan = fed(&fleet, params, Shard { index, peers: WORKERS }, before);
        barrier.wait();
        let started = Instant::now();
        let mut rows = vec![scan.scan(fleet.at(before - 1))];
        let first_s = started.elapsed().as_secs_f64();
        let (mut took, mut screened) = (Vec::new(), 0);
        for minute in before..before + minutes {
            let samples = fleet.between(minute, minute + 1);
            barrier.wait();
            let started = Instant::now();
            scan.apply(samples);
            let changes = scan.scan(fleet.at(minute));
            took.push(started.elapsed().as_secs_f64());
            screened += scan.screened();
            rows.push(changes);
        }
        barrier.wait();
        Lived { first_s, took, rows, screened, is_streaming: scan.is_streaming(), mib: used_mib() }
    };
    let shares: Vec<Lived> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS).map(|index| scope.spawn(move || work(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let first = shares.iter().map(|share| share.first_s).fold(0.0, f64::max);
    let mut slowest: Vec<f64> =
        (0..minutes).map(|minute| shares.iter().map(|share| share.took[minute]).fold(0.0, f64::max)).collect();
    let halves: Vec<f64> = shares.iter().map(|share| share.took.iter().sum::<f64>() / minutes as f64).collect();
    slowest.sort_by(f64::total_cmp);
    let (memory, series) = (MetricMemory::new(params, WORKERS, 1), count as u64);
    let (prepared, rows) = (series * memory.prepared_of(Some(60)), series * (before + minutes) as u64);
    let planned = memory.bytes(Amount { series, usable: series, prepared, rows, resent: 0 }) >> 20;
    let part = |share: f64| slowest[((minutes as f64 * share).ceil() as usize).clamp(1, minutes) - 1] * 1e3;
    println!(
        "  live, {WORKERS} workers               p50 {:>7.1} ms   p99 {:>7.1} ms   most {:>7.1} ms   means {:.0} and {:.0} ms   \
         {} pairs screened a minute   the first evaluation {first:.2} s   {} MiB, {} at most, of which {} are the \
         bench's own series; planned {planned}, rows of intake included{}",
        part(0.5),
        part(0.99),
        part(1.0),
        halves[0] * 1e3,
        halves[1] * 1e3,
        shares.iter().map(|share| share.screened).sum::<u64>() / minutes as u64,
        shares[0].mib,
        most_mib(),
        (count * (before + minutes) * 8) >> 20,
        if shares[0].is_streaming { "; tile by tile" } else { "" }
    );
    verdicts(shares, minutes);
}

fn verdicts(shares: Vec<Lived>, minutes: usize) {
    let mut verdict = MetricVerdict::new(MetricParams::default());
    let mut shares: Vec<_> = shares.into_iter().map(|share| share.rows.into_iter()).collect();
    let mut took = Vec::new();
    for _ in 0..=minutes {
        let changes = shares.iter_mut().flat_map(|share| share.next().unwrap()).collect();
        let watch = stopwatch(&[]);
        verdict.apply(changes);
        took.push(watch().wall_s * 1e3);
    }
    took.remove(0);
    took.sort_by(f64::total_cmp);
    println!("  the verdict of a minute       p50 {:>7.1} ms   most {:>7.1} ms", took[minutes / 2], took[minutes - 1]);
}

/// Thirty days, each closed day once.
fn month(settings: Settings) {
    let Settings { count, gaps, params, .. } = settings;
    const DAYS: usize = 30;
    let fleet = Fleet::new(count, DAYS * DAY, gaps);
    // where the first midnight is among the minutes
    let first = DAY - fleet.minutes_before_midnight();
    let ends: Vec<usize> =
        (0..DAYS).map(|day| first + day * DAY).filter(|end| *end <= DAYS * DAY && *end > 0).collect();
    let barrier = Barrier::new(WORKERS);
    let work = |index: usize| {
        let mut scan = MetricScan::new(params, Shard { index, peers: WORKERS });
        let (mut rows, mut from, mut scanned) = (Vec::new(), 0, 0.0);
        barrier.wait();
        let started = Instant::now();
        for end in &ends {
            for piece in (from..*end).step_by(PIECE) {
                scan.apply(fleet.between(piece, (piece + PIECE).min(*end)));
            }
            from = *end;
            let now = fleet.at(end - 1);
            scan.forget_before(now - params.keep_ms());
            let scan_started = Instant::now();
            rows.push(scan.scan(now));
            scanned += scan_started.elapsed().as_secs_f64();
        }
        (started.elapsed().as_secs_f64(), scanned, rows)
    };
    let shares: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS).map(|index| scope.spawn(move || work(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all = shares.iter().map(|share| share.0).fold(0.0, f64::max);
    let scanned = shares.iter().map(|share| share.1).fold(0.0, f64::max);
    let took = Instant::now();
    let mut verdict = MetricVerdict::new(params);
    let mut shares: Vec<_> = shares.into_iter().map(|share| share.2.into_iter()).collect();
    for _ in &ends {
        verdict.apply(shares.iter_mut().flat_map(|share| share.next().unwrap()).collect());
    }
    println!(
        "  {} closed days, {WORKERS} workers   {:>9.1} s   (scans {scanned:.1}, verdicts {:.1}), {} MiB at most",
        ends.len(),
        all + took.elapsed().as_secs_f64(),
        took.elapsed().as_secs_f64(),
        most_mib()
    );
}

/// Two days through alignment, scan and verdict.
fn two_days(settings: Settings) {
    let Settings { count, with_plain, gaps, params, .. } = settings;
    let fleet = Fleet::new(count, 2 * DAY, gaps);
    let points: Vec<(MetricPoint, i64)> = fleet.points().into_iter().map(|point| (point, 1)).collect();
    let now = fleet.at(2 * DAY - 1);
    let took = stopwatch(&[]);
    let samples = Align::default().apply(points);
    let aligned = took().cpu_s;
    let mut scan = MetricScan::new(params, Shard::WHOLE);
    scan.apply(samples.iter().copied());
    let rows = scan.scan(now);
    let scanned = took().cpu_s;
    let found = MetricVerdict::new(params).apply(rows).len();
    let engine = took().cpu_s;
    print!(
        "  two days, all operators       {engine:>9.2} s   (aligned {aligned:.2}, verdict {:.2}), {found} findings",
        engine - scanned
    );
    if with_plain {
        let mut scan = PlainScan::new(params, Shard::WHOLE);
        let took = stopwatch(&[]);
        scan.apply(samples);
        let expected = MetricVerdict::new(params).apply(scan.scan(now)).len();
        let plain = took().cpu_s + aligned;
        print!("   plain {plain:>8.2} s   {:>6.1} x", plain / engine);
        assert_eq!(found, expected);
    }
    println!();
}

/// A figure of the kernel about this process, in MiB.
fn mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

fn used_mib() -> u64 {
    mib("VmRSS:")
}

fn most_mib() -> u64 {
    mib("VmHWM:")
}
