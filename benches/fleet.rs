//! Generated series for measurements of the metric engine: a few factors that a part of them follows, in several colonies.

use coral_operators::metrics::Sample;
use model::metric::MetricPoint;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};

/// A midnight.
const MIDNIGHT: i64 = 1_704_844_800_000;
/// Minutes of window and longest lag.
pub const SCRATCH: usize = 1440 + 240;

/// Series that follow a few factors, each with a delay and noise of its own, as the services of a few colonies do.
pub struct Fleet {
    ids: Vec<SeriesId>,
    names: Vec<[String; 3]>,
    values: Vec<Vec<f64>>,
    start: i64,
}

impl Fleet {
    /// The last of `minutes` ends a day where there is no profile yet, as one closed instant does.
    pub fn new(count: usize, minutes: usize, gaps: f64) -> Fleet {
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

    pub fn at(&self, minute: usize) -> TimeMs {
        TimeMs(self.start + minute as i64 * MINUTE_MS)
    }

    /// Minutes from the last midnight to the first of the minutes.
    pub fn minutes_before_midnight(&self) -> usize {
        (self.start.rem_euclid(DAY_MS) / MINUTE_MS) as usize
    }

    pub fn between(&self, from: usize, to: usize) -> Vec<(Sample, i64)> {
        let of_minute = |minute: usize| {
            let at = self.at(minute);
            let seen = self.ids.iter().zip(&self.values).filter(move |(_, values)| !values[minute].is_nan());
            seen.map(move |(id, values)| (Sample { series: *id, at, value: Real(values[minute]), weight: 1 }, 1))
        };
        (from..to).flat_map(of_minute).collect()
    }

    pub fn points(&self) -> Vec<MetricPoint> {
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
