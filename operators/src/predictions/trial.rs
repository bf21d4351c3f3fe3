//! Whether a pattern may predict on a day: its floor, and what became of its earlier cases.

use crate::events::row::{Case, Frequency, Outcome};
use libm::{exp, log, log1p};
use model::time::{MINUTE_MS, TimeMs};

/// A pattern predicts if its probability is at least this …
pub const PROBABILITY_MIN: f64 = 0.25;
/// … and at least this many times its chance level.
pub const CHANCE_TIMES: f64 = 2.0;
/// Evidence against a pattern from which on it is muted.
pub const EVIDENCE_AGAINST: f64 = 20.0;
/// By which share of half of the stated probability a pattern may come true that has stopped being true.
const SHARES: [f64; 4] = [0.0, 0.125, 0.25, 0.5];

/// Why a pattern does not predict on a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Muted {
    /// It comes true too seldom.
    BelowFloor {
        /// Its probability.
        probability: f64,
        /// The least for it.
        floor: f64,
    },
    /// It has stopped being true.
    Stopped {
        /// Cases by which that is known.
        cases: u32,
        /// Those of them that came true.
        hits: u32,
    },
}

/// The probability that the target follows the next source: Jeffreys' estimate `(k + 1/2) / (n + 1)`.
///
/// ```
/// use coral_operators::events::row::Frequency;
/// use coral_operators::predictions::trial::probability;
/// use model::real::Real;
/// let frequency = Frequency { window_min: (130, 140), passed: 6, hits: 6, chance: Real(0.01) };
/// assert!((probability(&frequency) - 6.5 / 7.0).abs() < 1e-12);
/// ```
pub fn probability(frequency: &Frequency) -> f64 {
    (frequency.hits as f64 + 0.5) / (frequency.passed as f64 + 1.0)
}

/// A case that was decided, with the probability that its day stated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// Stated.
    pub probability: f64,
    /// Whether the target came.
    pub is_hit: bool,
}

/// The case as it counts at `instant`; `None` if it was not decided by then.
pub fn tried(case: &Case, frequency: &Frequency, lateness_ms: i64, instant: TimeMs) -> Option<Tried> {
    let expires_at = case.source_at + i64::from(frequency.window_min.1) * MINUTE_MS + lateness_ms;
    let is_hit = match case.outcome {
        Outcome::Hit { at, .. } if at < instant => true,
        Outcome::Miss if expires_at <= instant => false,
        _ => return None,
    };
    Some(Tried { probability: probability(frequency), is_hit })
}

/// Why a pattern of this frequency does not predict, after these cases (by time); `None` if it does.
///
/// With `q` half of the stated probability of a case, and a share `s`, a hit multiplies the evidence by `s` and a miss by
/// `(1 - s q) / (1 - q)`. While cases come true with a probability of at least `q`, each factor has mean at most 1. So the
/// product over the cases from any one on is an e-value, and so is the mean over shares and over the case from which on
/// the pattern may have stopped. The probability that it reaches 20 on a day is at most 5 % (Markov).
///
/// ```
/// use coral_operators::events::row::Frequency;
/// use coral_operators::predictions::trial::{Muted, Tried, muted};
/// use model::real::Real;
/// let frequency = Frequency { window_min: (130, 140), passed: 9, hits: 8, chance: Real(0.01) };
/// let (hit, miss) = (Tried { probability: 0.85, is_hit: true }, Tried { probability: 0.85, is_hit: false });
/// assert_eq!(muted(&frequency, &[miss; 8]), None);
/// assert_eq!(muted(&frequency, &[miss; 9]), Some(Muted::Stopped { cases: 9, hits: 0 }));
/// // what was true for long needs two more
/// let cases = |misses: usize| [vec![hit; 10], vec![miss; misses]].concat();
/// assert_eq!(muted(&frequency, &cases(10)), None);
/// assert_eq!(muted(&frequency, &cases(11)), Some(Muted::Stopped { cases: 11, hits: 0 }));
/// ```
pub fn muted(frequency: &Frequency, cases: &[Tried]) -> Option<Muted> {
    let (probability, floor) = (probability(frequency), PROBABILITY_MIN.max(CHANCE_TIMES * frequency.chance.0));
    if probability < floor {
        return Some(Muted::BelowFloor { probability, floor });
    }
    let mut logs = [0.0; SHARES.len()];
    let (mut sum, mut best, mut hits, mut stopped) = (0.0, 0.0, 0, (0, 0));
    for (count, case) in (1..).zip(cases.iter().rev()) {
        let q = case.probability / 2.0;
        for (log_product, share) in logs.iter_mut().zip(SHARES) {
            *log_product += if case.is_hit { log(share) } else { log1p(-share * q) - log1p(-q) };
        }
        hits += u32::from(case.is_hit);
        let since_here = logs.iter().map(|log_product| exp(*log_product)).sum::<f64>() / SHARES.len() as f64;
        sum += since_here;
        if since_here > best {
            (best, stopped) = (since_here, (count, hits));
        }
    }
    let (cases, hits, evidence) = (stopped.0, stopped.1, sum / cases.len() as f64);
    (evidence >= EVIDENCE_AGAINST).then_some(Muted::Stopped { cases, hits })
}

impl Muted {
    /// The reason as a text.
    pub fn reason(self) -> String {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        match self {
            Muted::BelowFloor { probability, floor } => {
                format!("comes true in {} of cases, below its floor of {}", percent(probability), percent(floor))
            }
            Muted::Stopped { cases, hits } => format!("no longer true: {hits} of the last {cases} cases came true"),
        }
    }
}
