//! Mixtures of two families: a planted relation among types without one, each relation in a history of its own.

use super::alone::Alone;
use super::histories::{History, Null, Shared};
use super::rules::Pair;
use fixtures::random::Random;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// Types without a relation beside the two of the planted one: 29 other pairs for each planted pair.
const OTHERS: usize = 4;
const DAYS: i64 = 30;

/// What the types are like, and how long after their sources targets come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Kinds that the definition was chosen on, and normal lags.
    First,
    /// Kinds that were added afterwards, and lognormal lags.
    Second,
}

/// A history with one planted relation.
pub struct Mixture {
    pub history: History,
    pub pair: Pair,
    pub lag_s: f64,
    /// The place in [`Family::SHARES`] of the share of sources that are followed.
    pub share: usize,
}

impl Family {
    pub const ALL: [Family; 2] = [Family::First, Family::Second];
    pub const SHARES: [f64; 3] = [0.4, 0.6, 0.8];

    pub fn name(self) -> &'static str {
        match self {
            Family::First => "first family, normal lags",
            Family::Second => "second family, lognormal lags",
        }
    }

    /// What a type is like that has nothing to do with the relation.
    fn others(self) -> [Null; 6] {
        match self {
            Family::First => [
                Null::Each(Alone::Poisson),
                Null::Each(Alone::WorkingHours),
                Null::Each(Alone::Bursts),
                Null::Each(Alone::Rare),
                Null::Each(Alone::HourlyJobs),
                Null::Weather,
            ],
            Family::Second => [
                Null::Each(Alone::Weekly),
                Null::Each(Alone::WeekdayBursts),
                Null::Each(Alone::Ramp),
                Null::Each(Alone::Rare),
                Null::Each(Alone::HalfHourlyJobs),
                Null::Incidents,
            ],
        }
    }

    /// How the targets come about that follow no source.
    fn targets(self) -> [Alone; 3] {
        match self {
            Family::First => [Alone::Poisson, Alone::WorkingHours, Alone::Rare],
            Family::Second => [Alone::WeekdayBursts, Alone::Ramp, Alone::Rare],
        }
    }

    /// The median lag, and one lag, in minutes.
    fn lag(self, random: &mut Random, median: f64, spread: f64) -> f64 {
        let lag = match self {
            Family::First => random.normal(median, 10.0 * spread),
            Family::Second => median * (random.normal(0.0, 0.1 * spread)).exp(),
        };
        lag.max(0.1)
    }
}

/// A relation of 20 to 60 sources in 30 days. A type that has very many events has them in the first days only.
pub fn mixture_of(family: Family, seed: u64) -> Mixture {
    let mut random = Random(seed.wrapping_mul(15_485_863) ^ (0xfa_0000 + family as u64));
    let mut history = History::new(DAYS);
    let shared = Shared::of_each(&mut random, DAYS);
    for other in 0..OTHERS {
        let kinds = family.others();
        let kind = kinds[random.below(kinds.len() as u64) as usize];
        let times = shared.times((kind, 0), &mut random, kind.days(DAYS));
        history.add(&format!("c{other}"), "alert", &times);
    }
    let kinds = family.targets();
    let kind = kinds[random.below(kinds.len() as u64) as usize];
    let mut targets = kind.times(&mut random, DAYS);
    let share = random.below(Family::SHARES.len() as u64) as usize;
    let (median, spread) = (random.between(5.0, 180.0), random.between(0.1, 1.0));
    let mut sources = Vec::new();
    for _ in 0..20 + random.below(41) {
        let at = random.below((DAYS * DAY_MS - 5 * HOUR_MS) as u64) as i64;
        sources.push(at);
        if random.chance(Family::SHARES[share]) {
            targets.push(at + (family.lag(&mut random, median, spread) * MINUTE_MS as f64) as i64);
        }
    }
    history.add("source", "deploy", &sources);
    history.add("target", "error_spike", &targets);
    let pair = ("source deploy".to_owned(), "target error_spike".to_owned());
    Mixture { history, pair, lag_s: median * 60.0, share }
}
