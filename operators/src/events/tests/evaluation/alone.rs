//! Event types that have nothing to do with one another: when their events happen.

use fixtures::random::Random;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

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
    /// Every half hour at a minute of its own, to three minutes, and one a day at any time.
    HalfHourlyJobs = 10,
    /// From one a day to eleven.
    Ramp = 11,
    /// About two bursts on each weekday, from 9 to 17 o'clock.
    WeekdayBursts = 12,
    /// Every day at a time of its own from 9 to 17 o'clock, to five minutes.
    TightHabits = 13,
}

/// Those of the mixture.
pub const ALONE: [Alone; 8] = [
    Alone::Poisson,
    Alone::WorkingHours,
    Alone::Bursts,
    Alone::Rare,
    Alone::HourlyJobs,
    Alone::DailyJobs,
    Alone::DailyHabits,
    Alone::Weekly,
];

impl Alone {
    /// The times of one event type.
    pub fn times(self, random: &mut Random, days: i64) -> Vec<i64> {
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
                    times.extend(burst(random, parent));
                }
            }
            Alone::WeekdayBursts => {
                for day in (0..days).filter(|day| day % 7 < 5) {
                    for parent in poisson(random, 6.3, 8 * HOUR_MS) {
                        times.extend(burst(random, day * DAY_MS + 9 * HOUR_MS + parent));
                    }
                }
            }
            Alone::Ramp => {
                times = poisson(random, 11.0, span_ms);
                times.retain(|at| random.chance((1.0 + 10.0 * *at as f64 / span_ms as f64) / 11.0));
            }
            Alone::HourlyJobs => {
                let minute = random.below(60) as i64;
                for hour in 0..days * 24 {
                    if !random.chance(0.05) {
                        times.push(hour * HOUR_MS + minute * MINUTE_MS + random.below(60_000) as i64);
                    }
                }
            }
            Alone::HalfHourlyJobs => {
                let minute = random.between(0.0, 30.0);
                for half_hour in 0..days * 48 {
                    if !random.chance(0.05) {
                        let after_ms = random.normal(minute, 3.0) * MINUTE_MS as f64;
                        times.push(half_hour * 30 * MINUTE_MS + after_ms as i64);
                    }
                }
                times.extend(poisson(random, 1.0, span_ms));
            }
            Alone::DailyJobs | Alone::DailyHabits | Alone::TightHabits => {
                let (deviation_min, hours) = match self {
                    Alone::DailyJobs => (3.0, (1.0, 23.0)),
                    Alone::DailyHabits => (15.0, (1.0, 23.0)),
                    _ => (5.0, (9.0, 17.0)),
                };
                let minute = random.between(60.0 * hours.0, 60.0 * hours.1);
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

/// One to six times within half an hour.
fn burst(random: &mut Random, parent: i64) -> Vec<i64> {
    let children = 1 + random.below(6);
    (0..children).map(|_| parent + random.below(30 * MINUTE_MS as u64) as i64).collect()
}

/// Times at this rate a day, independent of one another.
pub fn poisson(random: &mut Random, rate: f64, span_ms: i64) -> Vec<i64> {
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
