//! Generated histories: event types that have nothing to do with one another, and planted relations.

use super::super::support::stamp;
use super::alone::{ALONE, Alone, poisson};
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
/// With hourly jobs a history is no longer than this, and with half-hourly ones than that: they have so many events that
/// more days take many times as long.
const HOURLY_DAYS_MAX: i64 = 14;
const HALF_HOURLY_DAYS_MAX: i64 = 7;
/// How long an incident is that all types share.
const INCIDENT_MS: i64 = 45 * MINUTE_MS;
/// Parts that the script breaks, and its rounds.
const PARTS: i64 = 12;
const ROUNDS: i64 = 12;
const ROUND_MS: i64 = 30 * MINUTE_MS;

/// How long a history is, and of how many colonies, without those of planted relations.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub colonies: usize,
    pub days: i64,
}

/// Histories without a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Null {
    /// All types are alike.
    Each(Alone),
    /// One type of each colony has six events a day, the other about one in three days.
    FrequentAndRare,
    /// All types have more events in some stretches of two hours, the same for all.
    Weather,
    /// All types have more events in incidents of 45 minutes, the same for all.
    Incidents,
    /// Each two colonies are environments of one application: their pairs weigh ten times as much.
    Environments,
    /// A script sets off alerts in one order, in rounds of half an hour, at some time of each of so many days.
    Script { days: i64 },
    /// Half of the colonies have flurries of events, the other half about one event a day.
    Flurries,
}

/// All of them.
pub const NULLS: [Null; 19] = [
    Null::Each(Alone::Poisson),
    Null::Each(Alone::WorkingHours),
    Null::Each(Alone::Bursts),
    Null::Each(Alone::WeekdayBursts),
    Null::Each(Alone::Rare),
    Null::Each(Alone::Ramp),
    Null::FrequentAndRare,
    Null::Flurries,
    Null::Environments,
    Null::Weather,
    Null::Incidents,
    Null::Each(Alone::HourlyJobs),
    Null::Each(Alone::HalfHourlyJobs),
    Null::Each(Alone::DailyJobs),
    Null::Each(Alone::DailyHabits),
    Null::Each(Alone::TightHabits),
    Null::Each(Alone::Weekly),
    Null::Script { days: 2 },
    Null::Script { days: 5 },
];

impl Null {
    pub fn name(self) -> String {
        let name = match self {
            Null::Each(Alone::Poisson) => "Poisson, 6 a day",
            Null::Each(Alone::WorkingHours) => "working hours, 6 a day",
            Null::Each(Alone::Bursts) => "bursts",
            Null::Each(Alone::WeekdayBursts) => "bursts in working hours",
            Null::Each(Alone::Rare) => "rare, .3 a day",
            Null::Each(Alone::Ramp) => "from 1 to 11 a day",
            Null::FrequentAndRare => "rare targets and few sources: 6 and .3 a day",
            Null::Flurries => "flurries of about 7 beside 1 a day",
            Null::Environments => "two environments of each application, 6 a day",
            Null::Weather => "weather of two hours, shared by all",
            Null::Incidents => "incidents of 45 minutes, shared by all",
            Null::Each(Alone::HourlyJobs) => "hourly jobs",
            Null::Each(Alone::HalfHourlyJobs) => "half-hourly jobs, to 3 minutes",
            Null::Each(Alone::DailyJobs) => "daily jobs, to 3 minutes",
            Null::Each(Alone::DailyHabits) => "daily habits, to 15 minutes",
            Null::Each(Alone::TightHabits) => "daily habits in working hours, to 5 minutes",
            Null::Each(Alone::Weekly) => "weekly, to 15 minutes",
            Null::Script { days } => return format!("a script on {days} days, from round to round"),
        };
        name.to_owned()
    }

    /// How long a history of this kind is, where others have this length.
    pub fn days(self, days: i64) -> i64 {
        match self {
            Null::Each(Alone::HourlyJobs) => days.min(HOURLY_DAYS_MAX),
            Null::Each(Alone::HalfHourlyJobs) => days.min(HALF_HOURLY_DAYS_MAX),
            Null::Each(Alone::TightHabits) => 7,
            Null::Flurries => 6,
            Null::Script { days } => days,
            _ => days,
        }
    }

    /// Whether its types have nothing in common.
    pub fn is_independent(self) -> bool {
        self != Null::Weather && self != Null::Incidents
    }

    /// Confirmed pairs with this lag or a shorter one are right: inside a round one alert may well cause another.
    pub fn right_up_to_s(self) -> Option<i32> {
        matches!(self, Null::Script { .. }).then_some(15 * 60)
    }

    fn number(self) -> u64 {
        match self {
            Null::Each(alone) => alone as u64,
            Null::FrequentAndRare => 8,
            Null::Weather => 9,
            Null::Incidents => 20,
            Null::Environments => 21,
            Null::Flurries => 22,
            Null::Script { days } => 30 + days.unsigned_abs(),
        }
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
    pub fn new(days: i64) -> History {
        History { events: Vec::new(), planted: Vec::new(), days, end: START + days * DAY_MS }
    }

    pub fn add(&mut self, colony: &str, event_type: &str, times: &[i64]) {
        self.add_of(&format!("app-{colony}"), colony, event_type, times);
    }

    fn add_of(&mut self, application: &str, colony: &str, event_type: &str, times: &[i64]) {
        let span_ms = self.days * DAY_MS;
        for at in times.iter().filter(|at| (0..span_ms).contains(*at)) {
            let id = format!("{colony}-{event_type}-{}", self.events.len());
            let event = stamp(colony, event_type, START + *at, &id);
            self.events.push(EventStamp { application_name: application.to_owned(), ..event });
        }
    }
}

/// A history without a relation; colonies have two types each, apart from scripts and flurries.
pub fn null(kind: Null, seed: u64, extent: Extent) -> History {
    let days = kind.days(extent.days);
    let mut random = Random(seed.wrapping_mul(1_000_003) ^ kind.number());
    let mut history = History::new(days);
    match kind {
        Null::Script { .. } => script(&mut history, &mut random),
        Null::Flurries => flurries(&mut history, &mut random),
        _ => two_types_each(kind, &mut history, &mut random, extent.colonies),
    }
    history
}

fn two_types_each(kind: Null, history: &mut History, random: &mut Random, colonies: usize) {
    let days = history.days;
    let mut shared = Shared::default();
    match kind {
        Null::Weather => shared.weather = weather(random, days),
        Null::Incidents => shared.incidents = incidents(random, days),
        _ => {}
    }
    for colony in 0..colonies {
        for (place, event_type) in TYPES.into_iter().enumerate() {
            let times = shared.times((kind, place), random, days);
            if kind == Null::Environments {
                let application = format!("app{}", colony / 2);
                let colony = format!("{application}-{}", ["staging", "production"][colony % 2]);
                history.add_of(&application, &colony, event_type, &times);
            } else {
                history.add(&format!("c{colony}"), event_type, &times);
            }
        }
    }
}

/// What all types of a history share, where they share anything.
#[derive(Default)]
pub struct Shared {
    weather: Vec<bool>,
    incidents: Vec<i64>,
}

impl Shared {
    /// Of each kind.
    pub fn of_each(random: &mut Random, days: i64) -> Shared {
        let weather = weather(random, days);
        Shared { weather, incidents: incidents(random, days) }
    }

    /// The times of a type of this kind, the first or the second one of its colony.
    pub fn times(&self, (kind, place): (Null, usize), random: &mut Random, days: i64) -> Vec<i64> {
        match kind {
            Null::Each(alone) => alone.times(random, days),
            Null::FrequentAndRare => [Alone::Poisson, Alone::Rare][place].times(random, days),
            Null::Environments => [Alone::Poisson, Alone::WorkingHours][place].times(random, days),
            Null::Weather => in_weather(random, &self.weather),
            Null::Incidents => in_incidents(random, &self.incidents, days),
            Null::Script { .. } | Null::Flurries => panic!("{kind:?} has types of its own"),
        }
    }
}

/// When the incidents of a history begin that all types share.
fn incidents(random: &mut Random, days: i64) -> Vec<i64> {
    poisson(random, 1.5, days * DAY_MS)
}

/// Three events a day, and about two in each incident.
fn in_incidents(random: &mut Random, incidents: &[i64], days: i64) -> Vec<i64> {
    let mut times = poisson(random, 3.0, days * DAY_MS);
    for begin in incidents {
        let of_incident = poisson(random, 64.0, INCIDENT_MS);
        times.extend(of_incident.into_iter().map(|at| begin + at));
    }
    times
}

/// Every round breaks each fourth part, another one each time, and shows at the front of the site.
fn script(history: &mut History, random: &mut Random) {
    let mut alerts: Vec<Vec<i64>> = vec![Vec::new(); PARTS as usize];
    let mut front = Vec::new();
    for day in 0..history.days {
        let start = day * DAY_MS + random.below((DAY_MS - ROUNDS * ROUND_MS) as u64) as i64;
        for round in 0..ROUNDS {
            let begin = start + round * ROUND_MS;
            let mut after = |minutes: f64, deviation: f64| {
                begin + (random.normal(minutes, deviation).max(0.0) * MINUTE_MS as f64) as i64
            };
            for part in (0..PARTS).filter(|part| (round + part) % 4 == 0) {
                alerts[part as usize].push(after(2.2 * part as f64, 0.4));
            }
            front.push(after(1.0, 0.3));
        }
    }
    for (part, times) in alerts.iter().enumerate() {
        history.add(&format!("part{part}"), "alert", times);
    }
    history.add("site", "error_spike", &front);
}

/// Twelve colonies with flurries, each about seven events nine minutes apart, and twelve with about one event a day.
fn flurries(history: &mut History, random: &mut Random) {
    let span_ms = history.days * DAY_MS;
    for colony in 0..12 {
        let mut times = Vec::new();
        for parent in poisson(random, 1.2, span_ms) {
            // a Poisson stream at one event in nine minutes, from its first event on
            let length_ms = 63 * MINUTE_MS;
            times.push(parent);
            times.extend(poisson(random, 160.0, length_ms).into_iter().map(|after| parent + after));
        }
        history.add(&format!("burst{colony}"), "alert", &times);
        history.add(&format!("rare{colony}"), "error_spike", &poisson(random, 1.0, span_ms));
    }
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
