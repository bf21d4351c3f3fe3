//! Limits: questions of one caller in an hour, questions at once, tokens and cost in a day.

use super::journal::Record;
use model::time::{DAY_MS, HOUR_MS, TimeMs};
use std::collections::{BTreeMap, VecDeque};
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

/// An estimate that is counted until it is known what was used. Where that stays unknown, it remains.
pub(super) struct Reserved<'a> {
    limits: &'a Limits,
    tokens: u64,
    cost_micros: u64,
    day: TimeMs,
}

impl Reserved<'_> {
    /// Counts what was used instead.
    pub fn settle(self, tokens: u64, cost_micros: u64) {
        let mut state = self.limits.state();
        // the counts of another day do not have the estimate
        if state.day == self.day {
            state.tokens = state.tokens.saturating_sub(self.tokens).saturating_add(tokens);
            state.cost_micros = state.cost_micros.saturating_sub(self.cost_micros).saturating_add(cost_micros);
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
                self.spend(tokens, record.cost_micros.unwrap_or(0), now);
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

    /// Why no model may be asked today; none where one may.
    pub fn spent(&self, now: TimeMs) -> Option<String> {
        let mut state = self.state();
        state.renew(now);
        if self.most.tokens_per_day.is_some_and(|most| state.tokens >= most) {
            return Some("the tokens of today are used up (ai.limits.tokens_per_day)".to_owned());
        }
        let is_spent = self.most.cost_micros_per_day.is_some_and(|most| state.cost_micros >= most);
        is_spent.then(|| "the money of today is spent (ai.limits.cost_cents_per_day)".to_owned())
    }

    /// Whether the money of a day is limited.
    pub fn has_cost(&self) -> bool {
        self.most.cost_micros_per_day.is_some()
    }

    /// Counts an estimate before a model is asked, or says why none may be: questions at once see what the others may use.
    pub fn reserve(&self, tokens: u64, cost_micros: u64, now: TimeMs) -> Result<Reserved<'_>, String> {
        match self.spent(now) {
            Some(reason) => Err(reason),
            None => {
                self.spend(tokens, cost_micros, now);
                Ok(Reserved { limits: self, tokens, cost_micros, day: now.floor_to(DAY_MS) })
            }
        }
    }

    /// Counts what a model was given and wrote.
    fn spend(&self, tokens: u64, cost_micros: u64, now: TimeMs) {
        let mut state = self.state();
        state.renew(now);
        state.tokens = state.tokens.saturating_add(tokens);
        state.cost_micros = state.cost_micros.saturating_add(cost_micros);
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

    #[test]
    fn tokens_and_cost_are_counted_by_day() {
        let limits = Limits::of(MOST);
        let (noon, tomorrow) = (TimeMs(DAY_MS / 2), TimeMs(DAY_MS));
        assert_eq!(limits.spent(noon), None);
        limits.spend(999, 0, noon);
        assert_eq!(limits.spent(noon), None);
        limits.spend(1, 0, noon);
        assert!(limits.spent(noon).unwrap().contains("tokens_per_day"));
        assert_eq!(limits.spent(tomorrow), None);
        limits.spend(0, 2_000_000, tomorrow);
        assert!(limits.spent(tomorrow).unwrap().contains("cost_cents_per_day"));
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
        assert_eq!(limits.spent(noon), None, "495 tokens of today");
        drop(limits.turn("a", noon).unwrap());
        assert!(limits.turn("a", noon).is_err() && limits.turn("b", noon).is_ok());
        let full = Limits::of(MOST);
        full.resume(&[record(noon - 1, 1_000)], noon);
        assert!(full.spent(noon).unwrap().contains("tokens_per_day"));
    }

    #[test]
    fn what_may_be_used_counts_until_it_is_known() {
        let limits = Limits::of(MOST);
        let noon = TimeMs(DAY_MS / 2);
        let first = limits.reserve(1_200, 0, noon).unwrap();
        assert!(limits.reserve(1, 0, noon).is_err(), "the other question may use it all");
        first.settle(300, 0);
        let _dropped = limits.reserve(700, 0, noon).unwrap();
        assert!(limits.reserve(1, 0, noon).is_err(), "what a dropped question used is unknown");
    }
}
