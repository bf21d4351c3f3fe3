//! Ranges of time: which rows a question is about, bounded, ending with the newest row unless it says otherwise.

use super::fleet::{Fleet, KnownColony};
use super::refusal::Refusal;
use model::time::{DAY_MS, TimeMs, format_duration_ms};
use serde::{Deserialize, Serialize};

/// The range when none is given.
pub const RANGE_MS: i64 = DAY_MS;
/// The longest range.
pub const RANGE_MAX_MS: i64 = 31 * DAY_MS;

/// First time that a question may name: 1970.
pub const TIME_MIN: TimeMs = TimeMs(0);
/// Last time that a question may name, in 2262: stores count up to nanoseconds in 64 bits.
pub const TIME_MAX: TimeMs = TimeMs(9_223_372_036_854);

/// Refuses a time `as_of` that stores cannot hold.
///
/// # Errors
/// A time before 1970 or after 2262.
pub fn check_as_of(at: Option<TimeMs>) -> Result<(), Refusal> {
    match at.filter(|at| !(TIME_MIN..=TIME_MAX).contains(at)) {
        Some(at) => {
            let message = format!("the time {at} is out of range");
            Err(Refusal::invalid(message, "give one from 1970 to 2262").at("as_of"))
        }
        None => Ok(()),
    }
}

/// A range as a question names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeQuestion {
    /// First instant; without it `window_ms` before the end.
    pub from: Option<TimeMs>,
    /// First instant after the range; without it the range ends with the newest row.
    pub to: Option<TimeMs>,
    /// In place of `from`: so long before now, which is after the newest row.
    #[serde(default)]
    pub from_ago_ms: Option<i64>,
    /// In place of `to`: so long before now.
    #[serde(default)]
    pub to_ago_ms: Option<i64>,
    /// Its length where it has no first instant.
    pub window_ms: Option<i64>,
}

/// A range: `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// First instant.
    pub from: TimeMs,
    /// First instant after it.
    pub to: TimeMs,
}

impl Range {
    /// The same from a whole multiple of `step_ms` since 1970 to another.
    pub fn widened(self, step_ms: i64) -> Range {
        Range { from: self.from.floor_to(step_ms), to: (self.to - 1).floor_to(step_ms) + step_ms }
    }
}

impl RangeQuestion {
    /// The field that sets the length of the range, as the RPC calls it; `None` where none was sent.
    pub fn field(&self) -> Option<&'static str> {
        match (self.from, self.window_ms) {
            (Some(_), _) => Some("start_time"),
            (None, Some(_)) => Some("time_window"),
            (None, None) => None,
        }
    }

    /// The same with the end of an earlier answer, if there is one: with it the now of that answer.
    pub fn ending(self, to: Option<TimeMs>) -> RangeQuestion {
        let now = to.filter(|_| self.to.is_none()).map(|to| to.0.saturating_add(self.to_ago_ms.unwrap_or(0)));
        let from_ago_ms = self.from_ago_ms.filter(|_| self.from.is_none());
        let from = now.zip(from_ago_ms).map(|(now, ago_ms)| TimeMs(now.saturating_sub(ago_ms)));
        RangeQuestion {
            from: self.from.or(from.map(|from| from.clamp(TIME_MIN, TIME_MAX))),
            to: to.or(self.to),
            ..self
        }
    }

    /// Why there is no answer where more than `rows_max` of `what` are wanted.
    pub fn too_many(&self, what: &str, rows_max: usize) -> Refusal {
        let hint = "ask for a shorter time_window, or for fewer colonies, services or names";
        let refusal = Refusal::invalid(format!("more than {rows_max} {what} of the range are wanted"), hint);
        match self.field() {
            Some(field) => refusal.at(field),
            None => refusal,
        }
    }

    /// The range that is meant; `None` where nothing has been received, so that there is no newest row.
    ///
    /// # Errors
    /// When it is empty or too long, or a time of it is before 1970 or after 2262.
    pub fn resolved(&self, fleet: &Fleet) -> Result<Option<Range>, Refusal> {
        let now = fleet.colonies.values().filter_map(KnownColony::newest_row).max().map(|newest| newest + 1);
        let ago = |ms: i64| now.map(|now| TimeMs(now.0.saturating_sub(ms)).clamp(TIME_MIN, TIME_MAX));
        for (time, field) in [(self.from, "start_time"), (self.to, "end_time")] {
            if let Some(time) = time.filter(|time| !(TIME_MIN..=TIME_MAX).contains(time)) {
                let message = format!("the time {time} is out of range");
                return Err(Refusal::invalid(message, "give one from 1970 to 2262").at(field));
            }
        }
        let window_ms = self.window_ms.unwrap_or(RANGE_MS);
        let from = self.from.or_else(|| self.from_ago_ms.and_then(ago));
        if from.is_none() && window_ms <= 0 {
            return Err(Refusal::invalid("the range is empty", "the usual ones are 1h, 24h and 7d").at("time_window"));
        }
        if from.is_none() && window_ms > RANGE_MAX_MS {
            return Err(too_long(window_ms).at("time_window"));
        }
        let Some(to) = self.to.or_else(|| ago(self.to_ago_ms.unwrap_or(0))) else { return Ok(None) };
        let from = from.unwrap_or((to - window_ms).max(TIME_MIN));
        if from >= to {
            let message = format!("the range {from} to {to} is empty");
            let is_start = self.from.is_some() || self.from_ago_ms.is_some();
            let field = if is_start { "start_time" } else { "end_time" };
            return Err(Refusal::invalid(message, "start before the end").at(field));
        }
        let length_ms = to - from;
        if length_ms > RANGE_MAX_MS {
            return Err(too_long(length_ms).at("start_time"));
        }
        Ok(Some(Range { from, to }))
    }
}

fn too_long(length_ms: i64) -> Refusal {
    let hint = format!("ask for at most {}, part by part", format_duration_ms(RANGE_MAX_MS));
    Refusal::invalid(format!("the range is {} long", format_duration_ms(length_ms)), hint)
}
