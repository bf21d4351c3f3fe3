//! Generated histories: event types that have nothing to do with one another, and planted relations.

use super::super::support::stamp;
use super::rules::Pair;
use crate::events::EventStamp;
use fixtures::random::Random;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs};

/// A Monday.
const START: TimeMs = TimeMs(19_009 * DAY_MS);
const TYPES: [&str; 2] = ["alert", "deploy"];
/// Planted relations of a history.
pub const RELATIONS: usize = 12;

/// Stretches of the weather that all types share.
const WEATHER_MS: i64 = 2 * HOUR_MS;
/// The share of bad ones, and events a day in fair and in bad weather: six on average.
const BAD_WEATHER: f64 = 1.0 / 6.0;
const WEATHER_RATES: [f64; 2] = [3.0, 21.0];
/// With hourly jobs a history is no longer than this: they have so many events that more days take many times as long.
const HOURLY_DAYS_MAX: i64 = 14;

/// How long a history is, and of how many colonies, without those of planted relations.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub colonies: usize,
    pub days: i64,
}

/// How the events of a type come about that has nothing to do with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
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
const ALONE: [Alone; 8] = [
    Alone::Poisson,
    Alone::WorkingHours,
    Alone::Bursts,
    Alone::Rare,
    Alone::HourlyJobs,
    Alone::DailyJobs,
    Alone::DailyHabits,
    Alone::Weekly,
];

/// Histories without a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Null {
    /// All types are alike.
    Each(Alone),
    /// One type of each colony has six events a day, the other about one in three days.
    FrequentAndRare,
    /// All types have more events in some stretches of two hours, the same for all.
    Weather,
}

/// All of them.
pub const NULLS: [Null; 10] = [
    Null::Each(Alone::Poisson),
    Null::Each(Alone::WorkingHours),
    Null::Each(Alone::Bursts),
    Null::Each(Alone::Rare),
    Null::FrequentAndRare,
    Null::Weather,
    Null::Each(Alone::HourlyJobs),
    Null::Each(Alone::DailyJobs),
    Null::Each(Alone::DailyHabits),
    Null::Each(Alone::Weekly),
];

impl Null {
    pub fn name(self) -> &'static str {
        match self {
            Null::Each(Alone::Poisson) => "Poisson, 6 a day",
            Null::Each(Alone::WorkingHours) => "working hours, 6 a day",
            Null::Each(Alone::Bursts) => "bursts",
            Null::Each(Alone::Rare) => "rare, .3 a day",
            Null::FrequentAndRare => "rare targets and few sources: 6 and .3 a day",
            Null::Weather => "weather of two hours, shared by all",
            Null::Each(Alone::HourlyJobs) => "hourly jobs",
            Null::Each(Alone::DailyJobs) => "daily jobs, to 3 minutes",
            Null::Each(Alone::DailyHabits) => "daily habits, to 15 minutes",
            Null::Each(Alone::Weekly) => "weekly, to 15 minutes",
        }
    }

    /// How long a history of this kind is, where it may be so long.
    pub fn days(self, days: i64) -> i64 {
        if self == Null::Each(Alone::HourlyJobs) { days.min(HOURLY_DAYS_MAX) } else { days }
    }

    /// Whether its types have nothing in common.
    pub fn is_independent(self) -> bool {
        self != Null::Weather
    }

    fn number(self) -> u64 {
        match self {
            Null::Each(alone) => alone as u64,
            Null::FrequentAndRare => ALONE.len() as u64,
            Null::Weather => ALONE.len() as u64 + 1,
        }
    }
}

impl Alone {
    /// The times of one event type.
    fn times(self, random: &mut Random, days: i64) -> Vec<i64> {
        let span_ms = days * DAY_MS;
        let mut times = Vec::new();
        match self {
            Alone::Poisson => times = poisson(random, 6.0, span_ms),
            Alone::Rare => times = poisson(random, 0.3, span_ms),
            Alone::WorkingHours => {
                for day in (0..days).filter(|day| day % 7 < 5) {
                    let of_day = poisson(random, 18.0, 8 * HOUR_MS);
                    times.extend(of_day.into_iter().map(|at| day * DAY_MS + 9 * HOUR_MS + at));
                }
            }
            Alone::Bursts => {
                for parent in poisson(random, 1.5, span_ms) {
                    let children = 1 + random.below(6);
                    times.extend((0..children).map(|_| parent + random.below(30 * MINUTE_MS as u64) as i64));
                }
            }
            Alone::HourlyJobs => {
                let minute = random.below(60) as i64;
                for hour in 0..days * 24 {
                    if !random.chance(0.05) {
                        times.push(hour * HOUR_MS + minute * MINUTE_MS + random.below(60_000) as i64);
                    }
                }
            }
            Alone::DailyJobs | Alone::DailyHabits => {
                let deviation_min = if self == Alone::DailyJobs { 3.0 } else { 15.0 };
                let minute = random.between(60.0, 1_380.0);
                for day in 0..days {
                    times.push(day * DAY_MS + (random.normal(minute, deviation_min) * MINUTE_MS as f64) as i64);
                }
            }
            Alone::Weekly => {
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

/// The stretches of the weather, each a share of all: whether it is bad.
fn weather(random: &mut Random, days: i64) -> Vec<bool> {
    (0..days * DAY_MS / WEATHER_MS).map(|_| random.chance(BAD_WEATHER)).collect()
}

/// Times at the rates of the weather.
fn in_weather(random: &mut Random, weather: &[bool]) -> Vec<i64> {
    let mut times = Vec::new();
    for (begin, is_bad) in (0_i64..).step_by(WEATHER_MS as usize).zip(weather) {
        let of_stretch = poisson(random, WEATHER_RATES[usize::from(*is_bad)], WEATHER_MS);
        times.extend(of_stretch.into_iter().map(|at| begin + at));
    }
    times
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

    /// At least 20 sources, of which at least half are followed, to within two minutes, among at most six other targets a
    /// day.
    pub fn are_clear(self) -> bool {
        let [share, sources, deviation, rate] = self.0;
        share >= 1 && sources >= 2 && deviation <= 1 && rate <= 2
    }

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

/// Colonies with two types each.
pub fn null(kind: Null, seed: u64, extent: Extent) -> History {
    let days = kind.days(extent.days);
    let mut random = Random(seed.wrapping_mul(1_000_003) ^ kind.number());
    let shared = if kind == Null::Weather { weather(&mut random, days) } else { Vec::new() };
    let mut history = History::new(days);
    for colony in 0..extent.colonies {
        for (place, event_type) in TYPES.into_iter().enumerate() {
            let times = match kind {
                Null::Each(alone) => alone.times(&mut random, days),
                Null::FrequentAndRare => [Alone::Poisson, Alone::Rare][place].times(&mut random, days),
                Null::Weather => in_weather(&mut random, &shared),
            };
            history.add(&format!("c{colony}"), event_type, &times);
        }
    }
    history
}

/// Colonies with two types each of any kind, and relations between two further colonies each. Over seeds the relations go
/// through all values of each property alike.
pub fn mixture(seed: u64, extent: Extent) -> History {
    let mut random = Random(seed.wrapping_mul(7_919) ^ 0x5eed);
    let mut history = History::new(extent.days);
    for colony in 0..extent.colonies {
        for event_type in TYPES {
            let alone = ALONE[random.below(ALONE.len() as u64) as usize];
            history.add(&format!("c{colony}"), event_type, &alone.times(&mut random, extent.days));
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
