//! Generated histories: series that have nothing to do with one another, of every kind, and planted relations.

use super::super::{Random, START, key, point};
use crate::metrics::Sample;
use model::real::Real;
use model::series::SeriesId;
use model::time::{MINUTE_MS, TimeMs};

/// Minutes.
pub const DAY: usize = 1_440;

/// How the values of a series come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// White noise.
    White,
    /// AR(1) with this memory in hundredths.
    Ar(u8),
    /// A random walk.
    Walk,
    /// A daily and a weekly cycle that all share, each with a phase and noise of its own.
    Cycle,
    /// Noise with rare, great values.
    Spikes,
    /// A rate that is high for minutes, at times of its own.
    Bursts,
    /// A level that changes a few times a day.
    Shifts,
    /// A gauge that grows to its limit and stays there.
    Saturating,
    /// A counter that starts over at times of its own.
    Counter,
}

/// All of them, as histories without a relation.
pub const NULLS: [Kind; 11] = [
    Kind::White,
    Kind::Ar(50),
    Kind::Ar(90),
    Kind::Ar(99),
    Kind::Walk,
    Kind::Cycle,
    Kind::Spikes,
    Kind::Bursts,
    Kind::Shifts,
    Kind::Saturating,
    Kind::Counter,
];

/// Those on which relations are planted.
pub const BASES: [Kind; 4] = [Kind::White, Kind::Ar(50), Kind::Ar(90), Kind::Ar(99)];
/// The coefficients that are planted, and the lags in minutes.
pub const COEFFICIENTS: [f64; 6] = [0.5, 0.7, 0.8, 0.85, 0.9, 0.95];
pub const LAGS: [usize; 4] = [0, 7, 60, 240];

impl Kind {
    pub fn name(self) -> String {
        match self {
            Kind::White => "white noise".to_owned(),
            Kind::Ar(memory) => format!("AR(.{memory})"),
            Kind::Walk => "random walk".to_owned(),
            Kind::Cycle => "daily and weekly cycle".to_owned(),
            Kind::Spikes => "noise with spikes".to_owned(),
            Kind::Bursts => "bursts".to_owned(),
            Kind::Shifts => "shifts of the level".to_owned(),
            Kind::Saturating => "a gauge at its limit".to_owned(),
            Kind::Counter => "a counter that starts over".to_owned(),
        }
    }

    /// A series of this kind.
    pub fn series(self, random: &mut Random, minutes: usize) -> Vec<f64> {
        match self {
            Kind::White => (0..minutes).map(|_| random.normal()).collect(),
            Kind::Ar(memory) => random.ar(minutes, f64::from(memory) / 100.0),
            Kind::Walk => summed((0..minutes).map(|_| random.normal()).collect()),
            Kind::Cycle => {
                let phase = random.uniform() * 0.5;
                let wave = |minute: usize, days: f64| {
                    (std::f64::consts::TAU * minute as f64 / (days * DAY as f64) + phase).sin()
                };
                let value = |minute: usize| 4.0 * wave(minute, 1.0) + 2.0 * wave(minute, 7.0) + random.normal();
                (0..minutes).map(value).collect()
            }
            Kind::Spikes => {
                let spike = |random: &mut Random| if random.chance(0.003) { 300.0 } else { 0.0 };
                (0..minutes).map(|_| random.normal() + spike(random)).collect()
            }
            Kind::Bursts => {
                let mut left = 0;
                let value = |_| {
                    left = if left == 0 && random.chance(0.01) { 5 + random.below(25) } else { left.saturating_sub(1) };
                    if left > 0 { 8.0 + 2.0 * random.normal() } else { random.normal().abs() }
                };
                (0..minutes).map(value).collect()
            }
            Kind::Shifts => {
                let mut level = 0.0;
                let value = |_| {
                    level = if random.chance(0.003) { 10.0 * random.normal() } else { level };
                    level + random.normal()
                };
                (0..minutes).map(value).collect()
            }
            Kind::Saturating => {
                let slope = 0.002 + 0.004 * random.uniform();
                let mut used = random.uniform();
                let value = |_| {
                    used = if used >= 1.0 && random.chance(0.004) {
                        0.0
                    } else {
                        (used + slope * random.uniform()).min(1.0)
                    };
                    100.0 * used + random.normal()
                };
                (0..minutes).map(value).collect()
            }
            Kind::Counter => {
                let mut count = 0.0;
                let value = |_| {
                    count = if random.chance(0.002) { 0.0 } else { count + 10.0 + 3.0 * random.normal() };
                    count
                };
                (0..minutes).map(value).collect()
            }
        }
    }
}

fn summed(mut steps: Vec<f64>) -> Vec<f64> {
    let mut sum = 0.0;
    for step in &mut steps {
        sum += *step;
        *step = sum;
    }
    steps
}

/// A relation that was planted: the target follows the source after the lag, with this coefficient.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    pub source: usize,
    pub target: usize,
    pub lag: usize,
    pub r: f64,
    pub base: Kind,
}

/// Series, each of a colony of its own, and what is true of them.
pub struct History {
    /// A value a minute; NaN where there is none.
    pub series: Vec<Vec<f64>>,
    pub planted: Vec<Planted>,
    ids: Vec<SeriesId>,
}

impl History {
    pub fn new(series: Vec<Vec<f64>>, planted: Vec<Planted>) -> History {
        let id = |number: usize| point(&key(&format!("c{number:02}"), "gauge"), START, 0.0, Some(60)).series;
        let ids = (0..series.len()).map(id).collect();
        History { series, planted, ids }
    }

    pub fn minutes(&self) -> usize {
        self.series.first().map_or(0, Vec::len)
    }

    /// The sample of a series in a minute, where there is one.
    pub fn sample(&self, series: usize, minute: usize) -> Option<Sample> {
        let value = self.series[series][minute];
        let sample = Sample { series: self.ids[series], at: at(minute), value: Real(value), weight: 1 };
        (!value.is_nan()).then_some(sample)
    }

    /// All samples of these minutes.
    pub fn samples(&self, minutes: std::ops::Range<usize>) -> Vec<(Sample, i64)> {
        let of_minute = |minute: usize| (0..self.series.len()).filter_map(move |series| self.sample(series, minute));
        minutes.flat_map(of_minute).map(|sample| (sample, 1)).collect()
    }

    /// The number of the series of a colony.
    pub fn number(colony_id: &str) -> usize {
        colony_id.trim_start_matches('c').parse().unwrap()
    }
}

/// The time of a minute.
pub fn at(minute: usize) -> TimeMs {
    TimeMs(START + minute as i64 * MINUTE_MS)
}

/// Series of one kind without a relation.
pub fn null(kind: Kind, seed: u64, series: usize, days: usize) -> History {
    let number = NULLS.iter().position(|other| *other == kind).unwrap_or_default() as u64;
    let mut random = Random(seed.wrapping_mul(1_000_003) ^ number << 40);
    History::new((0..series).map(|_| kind.series(&mut random, days * DAY)).collect(), Vec::new())
}

/// Relations of every coefficient and lag on any base, half of them negative, each between two series of its own; and as
/// many series of any kind that have nothing to do with anything.
pub fn mixture(seed: u64, days: usize) -> History {
    let mut random = Random(seed.wrapping_mul(7_919) ^ 0x5eed);
    let (mut series, mut planted) = (Vec::new(), Vec::new());
    for r in COEFFICIENTS {
        for lag in LAGS {
            let base = BASES[random.below(BASES.len())];
            let r = if random.chance(0.5) { -r } else { r };
            let (source, target) = follower(&mut random, base, lag, r, days * DAY);
            planted.push(Planted { source: series.len(), target: series.len() + 1, lag, r, base });
            series.extend([source, target]);
        }
    }
    for _ in 0..planted.len() {
        let kind = NULLS[random.below(NULLS.len())];
        series.push(kind.series(&mut random, days * DAY));
    }
    History::new(series, planted)
}

/// A series of a base, and one that follows it: `r` times its value `lag` minutes ago and a series of the same base.
pub fn follower(random: &mut Random, base: Kind, lag: usize, r: f64, minutes: usize) -> (Vec<f64>, Vec<f64>) {
    let driver = base.series(random, minutes + lag);
    let noise = base.series(random, minutes);
    let spread = (1.0 - r * r).sqrt();
    let target = noise.iter().zip(&driver).map(|(noise, driven)| r * driven + spread * noise).collect();
    (driver[lag..].to_vec(), target)
}
