//! Limits of the search for event patterns, and how much history it needs.

use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// How long before a span the first onset must be for the span to count as observed from its start.
pub(crate) const QUIET_MS: i64 = 7 * DAY_MS;

/// Parameters of the search.
#[derive(Clone, Debug, PartialEq)]
pub struct EventParams {
    /// Longest lag from source to target; used in whole minutes, at least one.
    pub max_lag_ms: i64,
    /// History used for a pattern, and how long ago it may have been confirmed.
    pub horizon_ms: i64,
    /// Fewest matched occurrences of a reported pattern.
    pub min_occurrences: u32,
    /// Fewest days (UTC) on which the sources of these occurrences must lie for the pattern to be confirmed.
    pub min_days: u32,
    /// Share of chance findings that is tolerated among the confirmed.
    pub false_discovery_rate: f64,
    /// The current instant moves on in steps of this length; it is the first step after the newest event.
    pub interval_ms: i64,
    /// An event this long or longer after the previous one of its type starts a new episode.
    pub burst_gap_ms: i64,
    /// A run of events without a gap that has lasted this long has a further onset in each cell of a grid of this step.
    pub episode_cap_ms: i64,
    /// How much later than the events around it an event may arrive.
    pub lateness_ms: i64,
}

impl Default for EventParams {
    fn default() -> EventParams {
        EventParams {
            max_lag_ms: 4 * HOUR_MS,
            horizon_ms: 30 * DAY_MS,
            min_occurrences: 3,
            min_days: 3,
            false_discovery_rate: 0.05,
            interval_ms: 5 * MINUTE_MS,
            burst_gap_ms: 5 * MINUTE_MS,
            episode_cap_ms: 4 * HOUR_MS,
            lateness_ms: 10 * MINUTE_MS,
        }
    }
}

impl EventParams {
    /// Rows older than `now` minus this cannot change a result.
    ///
    /// The walk starts a horizon ago, its first span reaches one more horizon back to a midnight (one day), the
    /// question whether the fleet was observed then looks 7 days further, and one day is left for the
    /// episodes at that edge.
    ///
    /// ```
    /// use coral_operators::events::EventParams;
    /// use model::time::DAY_MS;
    /// assert_eq!(EventParams::default().keep_ms(), 69 * DAY_MS);
    /// ```
    pub fn keep_ms(&self) -> i64 {
        2 * self.horizon_ms + DAY_MS + QUIET_MS + DAY_MS
    }

    /// Longest lag in whole minutes.
    pub(crate) fn max_lag_min(&self) -> u32 {
        u32::try_from((self.max_lag_ms / MINUTE_MS).max(1)).unwrap_or(u32::MAX)
    }
}
