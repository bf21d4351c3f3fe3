//! Generated histories: event types that have nothing to do with one another, and planted relations.

use super::super::support::stamp;
use super::rules::Pair;
use crate::events::EventStamp;
use fixtures::random::Random;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs};

/// A Monday.
const START: TimeMs = TimeMs(19_009 * DAY_MS);
const COLONIES: usize = 10;
const TYPES: [&str; 2] = ["alert", "deploy"];
/// Planted relations of a history.
const RELATIONS: usize = 12;

/// How the events of a history without a relation come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Null {
    /// Six a day at any time.
    Poisson,
    /// Six on each weekday, from 9 to 17 o'clock.
    WorkingHours,
    /// One or two bursts a day.
    Bursts,
    /// About one in three days.
    Rare,
    /// Every hour at a minute of its own.
    HourlyJobs,
    /// Every day at a time of its own, to three minutes.
    DailyJobs,
    /// Every day around a time of its own, to a quarter of an hour.
    DailyHabits,
    /// Every week at two times of its own.
    Weekly,
}

/// All of them.
pub const NULLS: [Null; 8] = [
    Null::Poisson,
    Null::WorkingHours,
    Null::Bursts,
    Null::Rare,
    Null::HourlyJobs,
    Null::DailyJobs,
    Null::DailyHabits,
    Null::Weekly,
];

impl Null {
    pub fn name(self) -> &'static str {
        match self {
            Null::Poisson => "Poisson, 6 a day",
            Null::WorkingHours => "working hours, 6 a day",
            Null::Bursts => "bursts",
            Null::Rare => "rare, .3 a day",
            Null::HourlyJobs => "hourly jobs",
            Null::DailyJobs => "daily jobs, to 3 minutes",
            Null::DailyHabits => "daily habits, to 15 minutes",
            Null::Weekly => "weekly, to 15 minutes",
        }
    }

    /// The times of one event type.
    fn times(self, random: &mut Random, days: i64) -> Vec<i64> {
        let span_ms = days * DAY_MS;
        let mut times = Vec::new();
        match self {
            Null::Poisson => times = poisson(random, 6.0, span_ms),
            Null::Rare => times = poisson(random, 0.3, span_ms),
            Null::WorkingHours => {
                for day in (0..days).filter(|day| day % 7 < 5) {
                    let of_day = poisson(random, 18.0, 8 * HOUR_MS);
                    times.extend(of_day.into_iter().map(|at| day * DAY_MS + 9 * HOUR_MS + at));
                }
            }
            Null::Bursts => {
                for parent in poisson(random, 1.5, span_ms) {
                    let children = 1 + random.below(6);
                    times.extend((0..children).map(|_| parent + random.below(30 * MINUTE_MS as u64) as i64));
                }
            }
            Null::HourlyJobs => {
                let minute = random.below(60) as i64;
                for hour in 0..days * 24 {
                    if !random.chance(0.05) {
                        times.push(hour * HOUR_MS + minute * MINUTE_MS + random.below(60_000) as i64);
                    }
                }
            }
            Null::DailyJobs | Null::DailyHabits => {
                let deviation_min = if self == Null::DailyJobs { 3.0 } else { 15.0 };
                let minute = random.between(60.0, 1_380.0);
                for day in 0..days {
                    times.push(day * DAY_MS + (random.normal(minute, deviation_min) * MINUTE_MS as f64) as i64);
                }
            }
            Null::Weekly => {
                for _ in 0..2 {
                    let (day, minute) = (random.below(7) as i64, random.between(60.0, 1_380.0));
                    for week in (0..).take_while(|week| week * 7 + day < days) {
                        let at = (random.normal(minute, 15.0) * MINUTE_MS as f64) as i64;
                        times.push((week * 7 + day) * DAY_MS + at);
                    }
                }
            }
        }
        times.retain(|at| (0..span_ms).contains(at));
        times
    }
}

/// Times at this rate a day, independent of one another.
fn poisson(random: &mut Random, rate: f64, span_ms: i64) -> Vec<i64> {
    let mean_ms = DAY_MS as f64 / rate;
    let mut times = Vec::new();
    let mut at = 0.0;
    loop {
        at -= mean_ms * random.unit().max(1e-12).ln();
        if at >= span_ms as f64 {
            return times;
        }
        times.push(at as i64);
    }
}

/// Which values a planted relation has, by number: share that is followed, sources, spread of the lag, other targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes(pub [usize; 4]);

impl Axes {
    pub const NAMES: [&'static str; 4] = ["share followed", "sources", "deviation of the lag", "other targets a day"];
    pub const VALUES: usize = 4;
    const SHARES: [f64; 4] = [0.3, 0.5, 0.7, 0.9];
    const SOURCES: [usize; 4] = [5, 10, 20, 50];
    const DEVIATIONS_S: [f64; 4] = [10.0, 120.0, 900.0, 3_600.0];
    const RATES: [f64; 4] = [0.2, 1.0, 6.0, 40.0];

    pub fn label(axis: usize, value: usize) -> String {
        match axis {
            0 => format!("{}", Axes::SHARES[value]),
            1 => format!("{}", Axes::SOURCES[value]),
            2 => ["10 s", "2 min", "15 min", "60 min"][value].to_owned(),
            _ => format!("{}", Axes::RATES[value]),
        }
    }
}

/// A relation that was planted.
pub struct Planted {
    pub pair: Pair,
    pub lag_s: f64,
    pub axes: Axes,
}

/// Events and what is true of them.
pub struct History {
    pub events: Vec<EventStamp>,
    pub planted: Vec<Planted>,
    pub days: i64,
    pub end: TimeMs,
}

impl History {
    fn new(days: i64) -> History {
        History { events: Vec::new(), planted: Vec::new(), days, end: START + days * DAY_MS }
    }

    fn add(&mut self, colony: &str, event_type: &str, times: &[i64]) {
        for at in times {
            let id = format!("{colony}-{event_type}-{}", self.events.len());
            self.events.push(stamp(colony, event_type, START + *at, &id));
        }
    }
}

/// Ten colonies with two types each, all of one kind.
pub fn null(kind: Null, seed: u64, days: i64) -> History {
    let mut random = Random(seed.wrapping_mul(1_000_003) ^ kind as u64);
    let mut history = History::new(days);
    for colony in 0..COLONIES {
        for event_type in TYPES {
            history.add(&format!("c{colony}"), event_type, &kind.times(&mut random, days));
        }
    }
    history
}

/// Ten colonies with two types each of any kind, and relations between two colonies each. Over seeds the relations go
/// through all values of each property alike.
pub fn mixture(seed: u64, days: i64) -> History {
    let mut random = Random(seed.wrapping_mul(7_919) ^ 0x5eed);
    let mut history = History::new(days);
    for colony in 0..COLONIES {
        for event_type in TYPES {
            let kind = NULLS[random.below(NULLS.len() as u64) as usize];
            history.add(&format!("c{colony}"), event_type, &kind.times(&mut random, days));
        }
    }
    for number in 0..RELATIONS {
        plant(&mut history, &mut random, number);
    }
    history
}

fn plant(history: &mut History, random: &mut Random, number: usize) {
    let axes = Axes(std::array::from_fn(|_| random.below(Axes::VALUES as u64) as usize));
    let [share, sources, deviation, rate] = axes.0;
    let (deviation_s, span_ms) = (Axes::DEVIATIONS_S[deviation], history.days * DAY_MS);
    // so far from both ends of the range that the law of the lag is whole
    let (low_s, high_s) = ((2.5 * deviation_s).max(60.0), 4.0 * 3_600.0 - 1.5 * deviation_s - 600.0);
    let lag_s = random.between(low_s.min(high_s), high_s);
    let mut source_times = Vec::new();
    let mut target_times = poisson(random, Axes::RATES[rate], span_ms);
    for _ in 0..Axes::SOURCES[sources] {
        let at = random.below((span_ms - 5 * HOUR_MS) as u64) as i64;
        source_times.push(at);
        if random.chance(Axes::SHARES[share]) {
            let lag_s = random.normal(lag_s, deviation_s).max(1.0);
            target_times.push(at + (lag_s * SECOND_MS as f64) as i64);
        }
    }
    target_times.retain(|at| *at < span_ms);
    let (source, target) = (format!("s{number}"), format!("t{number}"));
    history.add(&source, "deploy", &source_times);
    history.add(&target, "error_spike", &target_times);
    let pair = (format!("{source} deploy"), format!("{target} error_spike"));
    history.planted.push(Planted { pair, lag_s, axes });
}
