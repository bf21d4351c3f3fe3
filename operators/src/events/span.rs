//! The instants of the walk over event time, and the span observed at each.
//!
//! Closed instants are on a fixed grid, so that the walk does not depend on when it is evaluated; the last instant is
//! the current one.

use crate::events::params::{EventParams, QUIET_MS};
use model::time::{DAY_MS, TimeMs};

/// The observed span of an instant: `[origin, instant)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// A midnight (UTC).
    pub origin: TimeMs,
    /// First moment that is not observed.
    pub instant: TimeMs,
}

impl Span {
    /// Length.
    pub fn length_ms(self) -> i64 {
        self.instant - self.origin
    }

    /// Positions of the part of rising `times` that is observed.
    pub fn observed_range(self, times: &[i64]) -> std::ops::Range<usize> {
        times.partition_point(|at| *at < self.origin.0)..times.partition_point(|at| *at < self.instant.0)
    }
}

/// Distance of closed instants: whole days, about thirty to the horizon.
pub fn step_ms(horizon_ms: i64) -> i64 {
    let thirty_days_ms = 30 * DAY_MS;
    (horizon_ms + thirty_days_ms - 1).div_euclid(thirty_days_ms).max(1) * DAY_MS
}

/// The closed instants and, last, the current one, when `now` is the greatest event time: it is the first step of the
/// interval after `now`, so that the newest event is observed.
///
/// ```
/// use coral_operators::events::{EventParams, span};
/// use model::time::{DAY_MS, TimeMs};
/// let params = EventParams { horizon_ms: 2 * DAY_MS, ..EventParams::default() };
/// let now = TimeMs(10 * DAY_MS + 400_000);
/// assert_eq!(span::instants(&params, now), [TimeMs(9 * DAY_MS), TimeMs(10 * DAY_MS), TimeMs(10 * DAY_MS + 600_000)]);
/// ```
pub fn instants(params: &EventParams, now: TimeMs) -> Vec<TimeMs> {
    let interval_ms = params.interval_ms.max(1);
    let current = now.floor_to(interval_ms) + interval_ms;
    let step = step_ms(params.horizon_ms);
    let mut instants = Vec::new();
    let mut instant = (current - params.horizon_ms).floor_to(step) + step;
    while instant < current {
        instants.push(instant);
        instant = instant + step;
    }
    instants.push(current);
    instants
}

/// From when on onsets can decide where the span at `instant` begins.
pub fn origin_search_start(params: &EventParams, instant: TimeMs) -> TimeMs {
    (instant - params.horizon_ms).floor_to(DAY_MS) - QUIET_MS
}

/// The span at `instant`, given the first onset of any type at or after [`origin_search_start`] and before `instant`.
///
/// It begins at the midnight before the horizon, or before the first onset if the fleet is younger. A fleet that was
/// silent for the 7 days before the horizon counts as younger, so that the result needs only a bounded past.
pub fn span_at(params: &EventParams, instant: TimeMs, first_onset: Option<TimeMs>) -> Option<Span> {
    let first = first_onset?;
    Some(Span { origin: first.max(instant - params.horizon_ms).floor_to(DAY_MS), instant })
}
