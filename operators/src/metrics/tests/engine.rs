//! The engine against the plain one, look by look, over histories that are gappy, late, amended and withdrawn.

use super::*;
use crate::metrics::memory::{Amount, MetricMemory};
use crate::metrics::params::Room;
use crate::metrics::row::{LagWindow, MetricScanRow, PairRow, Worth};
use crate::metrics::{MetricPairs, Sample};
use crate::reference::plain::PlainScan;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Greatest difference of coefficients.
const NEAR: f64 = 1e-9;

/// The rows that a scan has out.
#[derive(Default)]
struct Rows(BTreeMap<MetricScanRow, i64>);

impl Rows {
    fn apply(&mut self, changes: Vec<(MetricScanRow, i64)>) {
        for (row, diff) in changes {
            let count = self.0.entry(row).or_insert(0);
            *count += diff;
            assert!((0..=1).contains(count), "a row is in once or not at all");
        }
        self.0.retain(|_, count| *count != 0);
    }
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= NEAR * other.abs().max(1.0)
}

fn worth_is_near(one: Worth, other: Worth) -> bool {
    is_near(one.coefficient.0, other.coefficient.0) && is_near(one.effective_points.0, other.effective_points.0)
}

fn is_same_window(one: &LagWindow, other: &LagWindow) -> bool {
    (one.lag_ms, one.peak, one.points) == (other.lag_ms, other.peak, other.points)
        && (one.drifts, one.explained) == (other.drifts, other.explained)
        && is_near(one.coefficient.0, other.coefficient.0)
        && worth_is_near(one.level, other.level)
        && worth_is_near(one.differences, other.differences)
}

fn is_same_pair(one: &PairRow, other: &PairRow) -> bool {
    let frame = |row: &PairRow| PairRow { lags: Vec::new(), ..row.clone() };
    frame(one) == frame(other)
        && one.lags.len() == other.lags.len()
        && one.lags.iter().zip(&other.lags).all(|(one, other)| is_same_window(one, other))
}

/// Compares all rows; those of what was tested as sums over the shards.
fn assert_same(engine: &[Rows], plain: &Rows, there: &str) {
    let mut expected: Vec<&MetricScanRow> = plain.0.keys().collect();
    let mut found: Vec<&MetricScanRow> = engine.iter().flat_map(|rows| rows.0.keys()).collect();
    let tested = |rows: &[&MetricScanRow]| {
        let mut sums = BTreeMap::new();
        for row in rows {
            if let MetricScanRow::Tested(row) = row {
                *sums.entry((row.at, row.current, row.supply)).or_insert(0) += row.pairs;
            }
        }
        sums
    };
    assert_eq!(tested(&found), tested(&expected), "{there}: what was tested");
    let of_pair = |row: &&MetricScanRow| !matches!(row, MetricScanRow::Tested(_));
    expected.retain(of_pair);
    found.retain(of_pair);
    let ends = |row: &MetricScanRow| match row {
        MetricScanRow::Pair(row) => (row.at, 0, row.first.clone(), row.second.clone()),
        MetricScanRow::Missing(row) => (row.at, 1, row.first.clone(), row.second.clone()),
        MetricScanRow::Tested(_) => unreachable!("left out above"),
    };
    found.sort_by_key(|row| ends(row));
    expected.sort_by_key(|row| ends(row));
    let of = |rows: &[&MetricScanRow]| rows.iter().map(|row| ends(row)).collect::<Vec<_>>();
    assert_eq!(of(&found), of(&expected), "{there}: pairs");
    for (one, other) in found.iter().zip(&expected) {
        let is_same = match (one, other) {
            (MetricScanRow::Pair(one), MetricScanRow::Pair(other)) => is_same_pair(one, other),
            _ => one == other,
        };
        assert!(is_same, "{there}: {one:#?}\n{other:#?}");
    }
}

/// One series of a history.
struct Source {
    key: SeriesKey,
    /// Of the samples.
    step_ms: i64,
    interval: Option<u32>,
    kind: usize,
    follows: (usize, usize),
    noise: f64,
    gaps: f64,
    /// From which sample to which it exists.
    life: (usize, usize),
    offset: f64,
    slow: f64,
}

impl Source {
    fn new(random: &mut Random, number: usize, steps: &[i64], lag_max: usize, length: usize) -> Source {
        let names = ["requests_per_minute", "latency_ms", "memory_bytes"];
        let key = key(&format!("c{}", random.below(5)), &format!("{}_{number}", names[random.below(3)]));
        let step_ms = steps[random.below(steps.len())];
        let interval = [Some((step_ms / 1000) as u32), Some((step_ms / 1000) as u32), None][random.below(3)];
        let life = match random.below(8) {
            0 => (random.below(length), length),
            1 => (0, random.below(length)),
            _ => (0, length),
        };
        Source {
            key,
            step_ms,
            interval,
            kind: random.below(12),
            follows: (random.below(2), random.below(lag_max + 1)),
            noise: random.uniform() * 0.8,
            gaps: if random.chance(0.4) { random.uniform() * 0.2 } else { 0.0 },
            life,
            offset: [0.0, 0.0, 1000.0, -1e6][random.below(4)],
            slow: 0.0,
        }
    }

    /// The value at a time, given the factors by slot.
    fn value(&mut self, random: &mut Random, factors: &[Vec<f64>], slot: usize, step_ms: i64) -> f64 {
        let fresh = random.normal();
        self.slow = 0.98 * self.slow + 0.2 * fresh;
        let (factor, lag) = self.follows;
        let followed = factors[factor][slot + 40 - lag.min(40)] + self.noise * fresh;
        let day = (std::f64::consts::TAU * (slot as i64 * step_ms) as f64 / DAY_MS as f64).sin();
        let value = match self.kind {
            0 => 10.0 * self.slow,
            1 => 3.0 * day + 0.3 * fresh,
            // constant stretches
            2 if (slot / 37).is_multiple_of(2) => 1.0,
            3 if random.chance(0.01) => 200.0,
            // whole numbers: equal values
            4 => (2.0 * followed).round(),
            5 => 7.5,
            // jumps of level
            6 => followed + if (slot / 151).is_multiple_of(2) { 25.0 } else { 0.0 },
            _ => followed,
        };
        self.offset + value
    }
}

/// Compares both engines at each of some looks over a history, minute by minute in part of them. Returns the rows at its
/// end, and whether it was looked at with everything in memory and tile by tile.
fn compare(seed: u64) -> (usize, [bool; 2]) {
    let mut random = Random(seed);
    // the finest grid of the history
    let step_ms = [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS][random.below(3)];
    let steps: Vec<i64> =
        [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS].into_iter().filter(|s| *s >= step_ms).collect();
    let steps = &steps[..random.below(2.min(steps.len())) + 1];
    // short, and as long as it takes for bounds to hold over some slots
    let window = [60, 96, 480][random.below(3)];
    let lag_max = random.below(24);
    let (peers, tile) = (1 + random.below(3), 1 + random.below(5));
    let workers = if random.chance(0.5) { peers } else { 1 };
    let mut params = MetricParams {
        window_ms: window as i64 * step_ms,
        max_lag_ms: lag_max as i64 * step_ms,
        threshold: [0.6, 0.8][random.below(2)],
        pairs: if random.chance(0.2) { MetricPairs::SameMetric } else { MetricPairs::All },
        room: Room { bytes: u64::MAX, workers, tile },
        ..MetricParams::default()
    };
    let length = if window == 480 { 700 + random.below(200) } else { 4 * window + random.below(2 * window) };
    let factors: Vec<Vec<f64>> = [0.3, 0.9].iter().map(|phi| random.ar(length + 80, *phi)).collect();
    let mut sources: Vec<Source> =
        (0..4 + random.below(7)).map(|n| Source::new(&mut random, n, steps, lag_max, length)).collect();
    // room for all, for nothing, or for about half of the samples
    let memory = MetricMemory::new(params, workers, peers / workers);
    let half = sources.iter().fold(Amount::default(), |sum, source| Amount {
        series: sum.series + 1,
        usable: sum.usable + 1,
        prepared: sum.prepared + memory.prepared_of(source.interval),
        rows: sum.rows + (length as i64 * step_ms / source.step_ms) as u64 / 2,
        resent: 0,
    });
    params.room.bytes = [u64::MAX, 0, memory.bytes(half)][random.below(3)];
    let mut engine: Vec<MetricScan> = (0..peers).map(|index| MetricScan::new(params, Shard { index, peers })).collect();
    let mut plain = PlainScan::new(params, Shard::WHOLE);
    let (mut out, mut expected) = ((0..peers).map(|_| Rows::default()).collect::<Vec<_>>(), Rows::default());
    let mut held: BTreeMap<(SeriesId, TimeMs), Sample> = BTreeMap::new();
    let mut late: Vec<(usize, Sample)> = Vec::new();
    let start = START + random.below(96) as i64 * 15 * MINUTE_MS;
    // looks at every slot for a while, then rarely
    let (mut every, mut changes, mut ways) = (1, Vec::new(), [false; 2]);
    for slot in 0..length {
        let at_ms = start + slot as i64 * step_ms;
        for source in &mut sources {
            if at_ms % source.step_ms != 0
                || !(source.life.0..source.life.1).contains(&slot)
                || random.chance(source.gaps)
            {
                continue;
            }
            let value = source.value(&mut random, &factors, slot, step_ms);
            let row = point(&source.key, at_ms, value, source.interval);
            let sample = Sample {
                series: row.series,
                at: TimeMs(at_ms),
                value: Real(value),
                weight: 1 + random.below(3) as u64,
            };
            if random.chance(0.03) {
                late.push((slot + random.below(30), sample));
            } else {
                changes.push((sample, 1));
            }
        }
        changes.extend(late.extract_if(.., |(due, _)| *due <= slot).map(|(_, sample)| (sample, 1)));
        // amended and withdrawn, of any age
        while random.chance(0.15) && !held.is_empty() {
            let from = TimeMs(at_ms - random.below(length) as i64 * step_ms);
            let Some((id, sample)) = held.iter().find(|((_, at), _)| *at >= from).map(|(id, sample)| (*id, *sample))
            else {
                break;
            };
            changes.push((sample, -1));
            held.remove(&id);
            if random.chance(0.7) {
                changes.push((Sample { value: Real(sample.value.0 + random.normal()), ..sample }, 1));
            }
        }
        if random.chance(0.02) {
            every = [1, 1, 7, 40][random.below(4)];
        }
        if slot + 1 < length && (slot < window || !slot.is_multiple_of(every)) {
            continue;
        }
        for (sample, diff) in &changes {
            if *diff > 0 {
                held.insert((sample.series, sample.at), *sample);
            }
        }
        let now = TimeMs(at_ms + random.below(2) as i64 * 30_000);
        plain.apply(changes.iter().copied());
        expected.apply(plain.scan(now));
        for (scan, rows) in engine.iter_mut().zip(&mut out) {
            scan.apply(changes.iter().copied());
            rows.apply(scan.scan(now));
            ways[usize::from(scan.is_streaming())] = true;
        }
        changes.clear();
        assert_same(&out, &expected, &format!("seed {seed}, slot {slot} of {length}"));
        held.retain(|(_, at), _| at.0 > at_ms - params.keep_ms());
    }
    (expected.0.len(), ways)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_gives_what_the_plain_one_gives_at_every_look(seed in any::<u64>()) {
        compare(seed);
    }
}

#[test]
fn fixed_histories_give_the_same_and_hold_relations() {
    let (mut rows, mut both) = (0, 0);
    for (count, ways) in (0..16).map(compare) {
        rows += count;
        both += usize::from(ways == [true, true]);
    }
    assert!(rows > 100, "only {rows} rows at the end of the histories");
    assert!(both > 0, "no history went from one way to the other");
}

#[test]
fn a_minute_screens_a_small_part_of_the_pairs_again() {
    let mut random = Random(7);
    let (count, minutes) = (24, 1440 + 240 + 60);
    let params = MetricParams::default();
    let driver = random.ar(minutes + 10, 0.5);
    let all: Vec<Vec<MetricPoint>> = (0..count)
        .map(|n| {
            let noise = random.ar(minutes, [0.0, 0.5, 0.9][n % 3]);
            let follows = if n < 4 { 4.0 } else { 0.2 };
            let values: Vec<f64> = (0..minutes).map(|t| follows * driver[t + 10 - n % 8] + noise[t]).collect();
            minutely(&key(&format!("c{n}"), "gauge"), &values)
        })
        .collect();
    let sample = |point: &MetricPoint| {
        (Sample { series: point.series, at: point.timestamp, value: point.mean.unwrap(), weight: 1 }, 1)
    };
    let mut scan = MetricScan::new(params, Shard::WHOLE);
    let first = minutes - 60;
    scan.apply(all.iter().flat_map(|points| points[..first].iter().map(sample)).collect::<Vec<_>>());
    let now = |minute: usize| TimeMs(START + minute as i64 * MINUTE_MS);
    scan.scan(now(first - 1));
    let pairs = (count * (count - 1) / 2) as u64;
    assert!(scan.screened() >= pairs, "{} pairs at first", scan.screened());
    let mut screened = 0;
    for minute in first..minutes {
        scan.apply(all.iter().map(|points| sample(&points[minute])).collect::<Vec<_>>());
        scan.scan(now(minute));
        screened += scan.screened();
    }
    let part = screened as f64 / 60.0 / pairs as f64;
    assert!(part < 0.1, "{part} of the pairs in a minute");
    // six follow each other closely: these are screened every minute
    assert!(screened >= 6 * 60, "{screened}");
}
