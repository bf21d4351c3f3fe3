//! Ranges of time: which rows a question is about, bounded, ending with the newest row unless it says otherwise.

use super::fleet::{Fleet, KnownColony};
use super::refusal::Refusal;
use model::time::{DAY_MS, TimeMs, format_duration_ms};
use serde::{Deserialize, Serialize};

/// The range when none is given.
pub const RANGE_MS: i64 = DAY_MS;
/// The longest range.
pub const RANGE_MAX_MS: i64 = 31 * DAY_MS;

/// A range as a question names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeQuestion {
    /// First instant; without it `window_ms` before the end.
    pub from: Option<TimeMs>,
    /// First instant after the range; without it the range ends with the newest row.
    pub to: Option<TimeMs>,
    /// Its length where it has no first instant.
    pub window_ms: Option<i64>,
}

/// A range: `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First instant.
    pub from: TimeMs,
    /// First instant after it.
    pub to: TimeMs,
}

impl RangeQuestion {
    /// The range that is meant; `None` where nothing has been received, so that there is no newest row.
    ///
    /// # Errors
    /// When it is empty, or too long.
    pub fn resolved(&self, fleet: &Fleet) -> Result<Option<Range>, Refusal> {
        let newest = || fleet.colonies.values().filter_map(KnownColony::newest_row).max().map(|newest| newest + 1);
        let Some(to) = self.to.or_else(newest) else { return Ok(None) };
        let from = self.from.unwrap_or(TimeMs(to.0.saturating_sub(self.window_ms.unwrap_or(RANGE_MS))));
        if from >= to {
            let message = format!("the range {from} to {to} is empty");
            return Err(Refusal::invalid(message, "start before the end").at("start_time"));
        }
        // any 64 bits can be sent
        let length_ms = to.0.saturating_sub(from.0);
        if length_ms > RANGE_MAX_MS {
            let message = format!("the range is {} long", format_duration_ms(length_ms));
            let hint = format!("ask for at most {}, part by part", format_duration_ms(RANGE_MAX_MS));
            return Err(Refusal::invalid(message, hint).at("start_time"));
        }
        Ok(Some(Range { from, to }))
    }
}
