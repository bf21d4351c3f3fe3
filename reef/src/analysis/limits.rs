//! Limits: questions of one caller in an hour, questions at once, tokens and cost in a day.

use super::journal::Record;
use model::time::{DAY_MS, HOUR_MS, TimeMs};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Callers that are remembered; the ones that asked longest ago are forgotten first.
const CALLERS_MAX: usize = 10_000;
/// When to ask again where others are being answered.
const BUSY: Duration = Duration::from_secs(2);

/// How much may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Questions of one caller in an hour.
    pub per_hour: u32,
    /// Questions that are answered at once.
    pub at_once: u32,
    /// Tokens of models in a day (UTC); none for any number.
    pub tokens_per_day: Option<u64>,
    /// What they may cost in a day, in millionths of a US dollar.
    pub cost_micros_per_day: Option<u64>,
}

/// What has been asked.
pub(super) struct Limits {
    most: Most,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When each caller asked, within the last hour.
    asked: BTreeMap<String, VecDeque<TimeMs>>,
    running: u32,
    /// The day of the counts below.
    day: TimeMs,
    tokens: u64,
    cost_micros: u64,
}

/// A question that is being answered.
pub(super) struct Turn(Arc<Mutex<State>>);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = locked(&self.0);
        state.running = state.running.saturating_sub(1);
    }
}

/// What each of a question's tries may use, counted until it is known what was used. Where that stays unknown, it remains.
pub(super) struct Reserved<'a> {
    limits: &'a Limits,
    /// Of one try.
    one: Use,
    /// Tries that are counted.
    tries: AtomicU64,
    /// Whether the first of them has begun.
    has_begun: AtomicBool,
    day: TimeMs,
}

/// What a model is given and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub tokens: u64,
    /// In millionths of a US dollar.
    pub cost_micros: u64,
}

impl Reserved<'_> {
    /// Whether one more try may begin; it is counted then.
    pub fn begin(&self) -> bool {
        // the first one is counted since it was reserved
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            return true;
        }
        let mut state = self.limits.state();
        if state.day == self.day {
            if state.full(self.limits.most, self.one).is_some() {
                return false;
            }
            state.spend(self.one);
            self.tries.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Counts what was used instead.
    pub fn settle(self, used: Use) {
        let mut state = self.limits.state();
        // the counts of another day do not have the estimate
        if state.day == self.day {
            let tries = self.tries.load(Ordering::Relaxed);
            state.tokens = state.tokens.saturating_sub(self.one.tokens.saturating_mul(tries));
            state.cost_micros = state.cost_micros.saturating_sub(self.one.cost_micros.saturating_mul(tries));
            state.spend(used);
        }
    }
}

impl Limits {
    pub fn of(most: Most) -> Limits {
        Limits { most, state: Arc::default() }
    }

    /// From when on what was asked counts: an hour, and the day (UTC).
    pub fn counted_from(now: TimeMs) -> TimeMs {
        now.floor_to(DAY_MS).min(now - HOUR_MS)
    }

    /// Counts what was asked before this process began, the newest first, each as it was written.
    pub fn resume(&self, records: &[Record], now: TimeMs) {
        let today = now.floor_to(DAY_MS);
        for record in records.iter().rev() {
            let Some(asked) = record.asked().filter(|asked| *asked <= now) else { continue };
            if asked >= today {
                let tokens = u64::from(record.input_tokens) + u64::from(record.output_tokens);
                let mut state = self.state();
                state.renew(now);
                state.spend(Use { tokens, cost_micros: record.cost_micros.unwrap_or(0) });
            }
            if now - asked < HOUR_MS {
                self.state().asked.entry(record.caller.clone()).or_default().push_back(asked);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// A turn for a caller, or which limit it has reached and when to ask again.
    pub fn turn(&self, caller: &str, now: TimeMs) -> Result<Turn, (String, Duration)> {
        let mut state = self.state();
        if state.running >= self.most.at_once {
            let message = format!(
                "{} questions are being answered at once, which is the most (ai.rate_limit.max_concurrent_requests)",
                state.running
            );
            return Err((message, BUSY));
        }
        state.asked.values_mut().for_each(|times| {
            while times.front().is_some_and(|time| now - *time >= HOUR_MS) {
                times.pop_front();
            }
        });
        state.asked.retain(|_, times| !times.is_empty());
        let is_new = !state.asked.contains_key(caller);
        if is_new && state.asked.len() >= CALLERS_MAX {
            let oldest =
                state.asked.iter().min_by_key(|(_, times)| times.back().copied()).map(|(name, _)| name.clone());
            if let Some(name) = oldest {
                state.asked.remove(&name);
            }
        }
        let times = state.asked.entry(caller.to_owned()).or_default();
        if times.len() >= self.most.per_hour as usize {
            let first = times.front().copied().unwrap_or(now);
            let wait_ms = u64::try_from(HOUR_MS - (now - first)).unwrap_or(0);
            let message = format!(
                "{} questions of {caller} in the last hour, which is the most (ai.rate_limit.requests_per_user_per_hour)",
                times.len()
            );
            return Err((message, Duration::from_millis(wait_ms).max(Duration::from_secs(1))));
        }
        times.push_back(now);
        state.running += 1;
        Ok(Turn(Arc::clone(&self.state)))
    }

    /// Whether the money of a day is limited.
    pub fn has_cost(&self) -> bool {
        self.most.cost_micros_per_day.is_some()
    }

    /// Counts what one try may use before a model is asked, or says why none may be: questions at once see what the others
    /// may use, and what is left of the day is enough for it.
    pub fn reserve(&self, one: Use, now: TimeMs) -> Result<Reserved<'_>, String> {
        let mut state = self.state();
        state.renew(now);
        if let Some(reason) = state.full(self.most, one) {
            return Err(reason);
        }
        state.spend(one);
        let (tries, has_begun) = (AtomicU64::new(1), AtomicBool::new(false));
        Ok(Reserved { limits: self, one, tries, has_begun, day: state.day })
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn renew(&mut self, now: TimeMs) {
        let day = now.floor_to(DAY_MS);
        if day != self.day {
            (self.day, self.tokens, self.cost_micros) = (day, 0, 0);
        }
    }

    fn spend(&mut self, used: Use) {
        self.tokens = self.tokens.saturating_add(used.tokens);
        self.cost_micros = self.cost_micros.saturating_add(used.cost_micros);
    }

    /// Why a try that may use so much may not be made today; none where it may.
    fn full(&self, most: Most, one: Use) -> Option<String> {
        let limits = [
            (most.tokens_per_day, self.tokens, one.tokens, "tokens", "ai.limits.tokens_per_day"),
            (most.cost_micros_per_day, self.cost_micros, one.cost_micros, "money", "ai.limits.cost_cents_per_day"),
        ];
        limits.into_iter().find_map(|(most, used, more, what, key)| match most? {
            most if used >= most => Some(format!("today's limit of {what} is used up ({key})")),
            most if more > most - used => {
                Some(format!("what is left of today's limit of {what} may not be enough for a question ({key})"))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MOST: Most =
        Most { per_hour: 100, at_once: 10, tokens_per_day: Some(1_000), cost_micros_per_day: Some(2_000_000) };

    #[test]
    fn the_101st_question_of_one_caller_waits_and_another_caller_does_not() {
        let limits = Limits::of(MOST);
        for second in 0..100 {
            drop(limits.turn("a", TimeMs(second * 1_000)).unwrap());
        }
        let (message, wait) = limits.turn("a", TimeMs(100_000)).err().unwrap();
        assert!(message.contains("requests_per_user_per_hour"), "{message}");
        assert_eq!(wait, Duration::from_secs(3_500));
        assert!(limits.turn("b", TimeMs(100_000)).is_ok());
        // the first one is an hour old
        assert!(limits.turn("a", TimeMs(HOUR_MS)).is_ok());
        assert!(limits.turn("a", TimeMs(HOUR_MS)).is_err());
    }

    #[test]
    fn the_11th_question_at_once_is_refused() {
        let limits = Limits::of(MOST);
        let mut turns: Vec<_> = (0..10).map(|number| limits.turn(&format!("c{number}"), TimeMs(0)).unwrap()).collect();
        assert!(limits.turn("d", TimeMs(0)).is_err());
        turns.pop();
        assert!(limits.turn("d", TimeMs(0)).is_ok());
    }

    fn tokens(tokens: u64) -> Use {
        Use { tokens, cost_micros: 0 }
    }

    #[test]
    fn tokens_and_cost_are_counted_by_day() {
        let limits = Limits::of(MOST);
        let (noon, tomorrow) = (TimeMs(DAY_MS / 2), TimeMs(DAY_MS));
        limits.reserve(tokens(999), noon).unwrap().settle(tokens(999));
        limits.reserve(tokens(1), noon).unwrap().settle(tokens(1));
        assert!(limits.reserve(tokens(0), noon).err().unwrap().contains("used up (ai.limits.tokens_per_day)"));
        let cost = Use { tokens: 0, cost_micros: 2_000_000 };
        limits.reserve(cost, tomorrow).unwrap().settle(cost);
        assert!(limits.reserve(tokens(0), tomorrow).err().unwrap().contains("used up (ai.limits.cost_cents_per_day)"));
    }

    #[test]
    fn no_try_begins_that_could_pass_the_day() {
        let (limits, noon) = (Limits::of(MOST), TimeMs(DAY_MS / 2));
        assert!(limits.reserve(tokens(1_001), noon).err().unwrap().contains("may not be enough"));
        let question = limits.reserve(tokens(400), noon).unwrap();
        assert!(question.begin() && question.begin(), "800 of 1,000");
        assert!(!question.begin() && !question.begin(), "a third try could use 1,200");
        let message = limits.reserve(tokens(201), noon).err().unwrap();
        assert!(message.contains("may not be enough for a question (ai.limits.tokens_per_day)"), "{message}");
        let other = limits.reserve(tokens(200), noon).unwrap();
        // both tries of the first question are settled, the other one remains
        question.settle(tokens(500));
        assert!(limits.reserve(tokens(301), noon).is_err() && other.begin());
        limits.reserve(tokens(300), noon).unwrap().settle(tokens(300));
        assert!(!other.begin(), "all is used up");
        let money = limits.reserve(Use { tokens: 0, cost_micros: 2_000_001 }, TimeMs(DAY_MS));
        assert!(money.err().unwrap().contains("ai.limits.cost_cents_per_day"));
    }

    #[test]
    fn a_restart_does_not_begin_a_new_hour_or_day() {
        let (limits, noon) = (Limits::of(MOST), TimeMs(DAY_MS * 20_000 + DAY_MS / 2));
        let record = |asked: TimeMs, tokens: u32| Record {
            asked_at: asked.to_string(),
            caller: "a".to_owned(),
            input_tokens: tokens,
            cost_micros: Some(10),
            ..Record::default()
        };
        let mut records: Vec<Record> = (1..=99).map(|minute| record(noon - minute * 1_000, 5)).collect();
        records.push(record(noon - DAY_MS, 100_000));
        limits.resume(&records, noon);
        assert!(limits.reserve(tokens(506), noon).is_err(), "495 tokens of today");
        limits.reserve(tokens(505), noon).unwrap().settle(tokens(0));
        drop(limits.turn("a", noon).unwrap());
        assert!(limits.turn("a", noon).is_err() && limits.turn("b", noon).is_ok());
        let full = Limits::of(MOST);
        full.resume(&[record(noon - 1, 1_000)], noon);
        assert!(full.reserve(tokens(1), noon).err().unwrap().contains("tokens_per_day"));
    }

    #[test]
    fn what_may_be_used_counts_until_it_is_known() {
        let limits = Limits::of(MOST);
        let noon = TimeMs(DAY_MS / 2);
        let first = limits.reserve(tokens(1_000), noon).unwrap();
        assert!(limits.reserve(tokens(1), noon).is_err(), "the other question may use it all");
        first.settle(tokens(300));
        let _dropped = limits.reserve(tokens(700), noon).unwrap();
        assert!(limits.reserve(tokens(1), noon).is_err(), "what a dropped question used is unknown");
    }
}
