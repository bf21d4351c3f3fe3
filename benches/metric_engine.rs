//! The metric engine beside the plain one: `cargo bench -p coral-operators --bench metric_engine -- [series,…] [plain] [minutes] [gaps]`.
//!
//! Measures one instant from scratch, live minutes, and two days through all operators of metric pairs. `plain`: up to
//! how many series the plain engine is measured as well, and compared. `gaps`: share of the samples that are missing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use coral_operators::metrics::memory::{Amount, MetricMemory};
use coral_operators::metrics::{Align, MetricParams, MetricScan, MetricScanRow, MetricVerdict, Sample};
use coral_operators::reference::plain::PlainScan;
use coral_operators::shard::Shard;
use model::metric::MetricPoint;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::sync::Barrier;
use std::time::Instant;
use stopwatch::{machine, stopwatch};

/// A midnight.
const MIDNIGHT: i64 = 1_704_844_800_000;
/// Minutes of window and longest lag.
const SCRATCH: usize = 1440 + 240;
const WORKERS: usize = 2;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let arg = |n: usize, default: &str| args.get(n).map_or(default, String::as_str).to_owned();
    let counts: Vec<usize> = arg(0, "100,200,400").split(',').filter_map(|n| n.parse().ok()).collect();
    let plain_max: usize = arg(1, "400").parse().unwrap();
    let minutes: usize = arg(2, "60").parse().unwrap();
    let gaps: f64 = arg(3, "0").parse().unwrap();
    println!("{}", machine());
    println!("cargo bench -p coral-operators --bench metric_engine -- {}", args.join(" "));
    let params = MetricParams::default();
    println!("W = 1440, L = 240 both ways, |r| >= {}, {gaps} of the samples missing", params.threshold);
    for count in counts {
        println!("\nN = {count}");
        scratch(count, count <= plain_max, gaps);
        live(count, minutes, gaps);
        two_days(count, count <= plain_max, gaps);
    }
}

fn scratch(count: usize, with_plain: bool, gaps: f64) {
    let fleet = Fleet::new(count, SCRATCH, gaps);
    let samples = fleet.between(0, SCRATCH);
    let (params, now) = (MetricParams::default(), fleet.at(SCRATCH - 1));
    let mut scan = MetricScan::new(params, Shard::WHOLE);
    scan.apply(samples.iter().copied());
    let took = stopwatch(&[]);
    let rows = scan.scan(now);
    let engine = took().cpu_s;
    let followed = rows.iter().filter(|(row, _)| matches!(row, MetricScanRow::Pair(_))).count();
    print!("  one instant from scratch      {engine:>9.2} s   {} pairs, {followed} followed", tested(&rows));
    if with_plain {
        let mut scan = PlainScan::new(params, Shard::WHOLE);
        scan.apply(samples);
        let took = stopwatch(&[]);
        let expected = scan.scan(now);
        let plain = took().cpu_s;
        print!("   plain {plain:>8.2} s   {:>6.1} x", plain / engine);
        assert_eq!(tested(&rows), tested(&expected));
        assert_eq!(rows.len(), expected.len());
    }
    println!();
}

/// Pairs tested at all instants.
fn tested(rows: &[(MetricScanRow, i64)]) -> u64 {
    let of_row = |(row, _): &(MetricScanRow, i64)| if let MetricScanRow::Tested(row) = row { row.pairs } else { 0 };
    rows.iter().map(of_row).sum()
}

/// Live minutes after the profile is known, on two workers, each in a thread of its own.
fn live(count: usize, minutes: usize, gaps: f64) {
    let before = 5 * 1440 + 300;
    let fleet = Fleet::new(count, before + minutes, gaps);
    let barrier = Barrier::new(WORKERS);
    let work = |index: usize| {
        let shard = Shard { index, peers: WORKERS };
        let mut scan = MetricScan::new(MetricParams::default(), shard);
        scan.apply(fleet.between(0, before));
        barrier.wait();
        let started = Instant::now();
        let mut rows = vec![scan.scan(fleet.at(before - 1))];
        let first = started.elapsed().as_secs_f64();
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
        (first, took, rows, screened, used_mib())
    };
    let shares: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS).map(|index| scope.spawn(move || work(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let first = shares.iter().map(|share| share.0).fold(0.0, f64::max);
    let mut slowest: Vec<f64> =
        (0..minutes).map(|minute| shares.iter().map(|share| share.1[minute]).fold(0.0, f64::max)).collect();
    let halves: Vec<f64> = shares.iter().map(|share| share.1.iter().sum::<f64>() / minutes as f64).collect();
    slowest.sort_by(f64::total_cmp);
    let (memory, series) = (MetricMemory::new(MetricParams::default(), WORKERS, 1), count as u64);
    let (prepared, rows) = (series * memory.prepared_of(Some(60)), series * (before + minutes) as u64);
    let planned = memory.bytes(Amount { series, usable: series, prepared, rows }) >> 20;
    let part = |share: f64| slowest[((minutes as f64 * share).ceil() as usize).clamp(1, minutes) - 1] * 1e3;
    println!(
        "  live, {WORKERS} workers               p50 {:>7.1} ms   p99 {:>7.1} ms   most {:>7.1} ms   means {:.0} and {:.0} ms   \
         {} pairs screened a minute   the first evaluation {first:.2} s   {} MiB, planned {planned} MiB",
        part(0.5),
        part(0.99),
        part(1.0),
        halves[0] * 1e3,
        halves[1] * 1e3,
        shares.iter().map(|share| share.3).sum::<u64>() / minutes as u64,
        shares[0].4
    );
    let mut verdict = MetricVerdict::new(MetricParams::default());
    let mut shares: Vec<_> = shares.into_iter().map(|share| share.2.into_iter()).collect();
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

/// Two days through alignment, scan and verdict.
fn two_days(count: usize, with_plain: bool, gaps: f64) {
    let fleet = Fleet::new(count, 2 * 1440, gaps);
    let points: Vec<(MetricPoint, i64)> = fleet.points().into_iter().map(|point| (point, 1)).collect();
    let (params, now) = (MetricParams::default(), fleet.at(2 * 1440 - 1));
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

fn used_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

/// Series that follow a few factors, each with a delay and noise of its own, as the services of a few colonies do.
struct Fleet {
    ids: Vec<SeriesId>,
    names: Vec<[String; 3]>,
    values: Vec<Vec<f64>>,
    start: i64,
}

impl Fleet {
    /// The last of `minutes` ends a day where there is no profile yet, as one closed instant does.
    fn new(count: usize, minutes: usize, gaps: f64) -> Fleet {
        let mut random = Random(count as u64);
        // eight series follow each factor closely
        let factors: Vec<Vec<f64>> = (0..count.div_ceil(32)).map(|_| random.slow(minutes + 240, 0.9)).collect();
        let metrics = ["latency_ms", "requests_per_minute", "memory_bytes", "queue_length", "error_ratio"];
        // neighbours in number follow one factor and are in different colonies
        let colonies = count.div_ceil(10);
        let names = |n: usize| {
            [format!("colony-{:03}", n % colonies), format!("service-{}", n / colonies), metrics[n % 5].to_owned()]
        };
        let names: Vec<[String; 3]> = (0..count).map(names).collect();
        let values = (0..count).map(|n| random.series(n, minutes, &factors, gaps)).collect();
        let ids = names.iter().map(|names| SeriesId::of(names_of(names))).collect();
        Fleet { ids, names, values, start: MIDNIGHT + DAY_MS - (minutes.min(SCRATCH) as i64) * MINUTE_MS }
    }

    fn at(&self, minute: usize) -> TimeMs {
        TimeMs(self.start + minute as i64 * MINUTE_MS)
    }

    fn between(&self, from: usize, to: usize) -> Vec<(Sample, i64)> {
        let of_minute = |minute: usize| {
            let at = self.at(minute);
            let seen = self.ids.iter().zip(&self.values).filter(move |(_, values)| !values[minute].is_nan());
            seen.map(move |(id, values)| (Sample { series: *id, at, value: Real(values[minute]), weight: 1 }, 1))
        };
        (from..to).flat_map(of_minute).collect()
    }

    fn points(&self) -> Vec<MetricPoint> {
        let of_series = |(names, values): (&[String; 3], &Vec<f64>)| {
            let series = SeriesId::of(names_of(names));
            let seen = values.iter().enumerate().filter(|(_, value)| !value.is_nan());
            let point = |(minute, value): (usize, &f64)| {
                let (timestamp, mean) = (self.at(minute), Some(Real(*value)));
                MetricPoint { series, timestamp, mean, count: Some(1), ..MetricPoint::default() }
            };
            seen.map(point).collect::<Vec<_>>()
        };
        self.names.iter().zip(&self.values).flat_map(of_series).collect()
    }
}

fn names_of(names: &[String; 3]) -> SeriesRef<'_> {
    let [colony_id, service_id, metric_name] = names;
    SeriesRef { colony_id, service_id, metric_name, interval_seconds: Some(60), ..SeriesRef::default() }
}

struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, of variance 1.
    fn normal(&mut self) -> f64 {
        ((0..6).map(|_| self.uniform()).sum::<f64>() - 3.0) * std::f64::consts::SQRT_2
    }

    fn slow(&mut self, length: usize, memory: f64) -> Vec<f64> {
        let (mut x, fresh) = (self.normal(), (1.0 - memory * memory).sqrt());
        let next = || {
            x = memory * x + fresh * self.normal();
            x
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn series(&mut self, number: usize, minutes: usize, factors: &[Vec<f64>], gaps: f64) -> Vec<f64> {
        let factor = &factors[number / 32 % factors.len()];
        let (lag, memory) = ((self.uniform() * 120.0) as usize, [0.0, 0.5, 0.9, 0.95][number / 7 % 4]);
        let noise = self.slow(minutes, memory);
        // a quarter of the series follows closely, the others mostly do something else
        let (of_factor, of_day, of_noise) = match number % 32 {
            0..8 => (1.0, 0.1, 0.3),
            8..20 => (0.4, 0.0, 1.0),
            20..28 => (0.1, 0.6, 1.0),
            _ => (0.0, 0.0, 1.0),
        };
        let base = 10f64.powf(self.uniform() * 4.0);
        let value = |minute: usize| {
            let day = (std::f64::consts::TAU * minute as f64 / 1440.0).sin();
            let spike = if number % 32 == 31 && self.uniform() < 0.001 { 30.0 } else { 0.0 };
            let value = of_factor * factor[minute + 240 - lag] + of_day * day + of_noise * noise[minute] + spike;
            if self.uniform() < gaps { f64::NAN } else { base + value }
        };
        (0..minutes).map(value).collect()
    }
}
