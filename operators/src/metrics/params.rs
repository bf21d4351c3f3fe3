//! User settings of metric pairs, and the bounds derived from them.

use model::metric::SeriesKey;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// Number of earlier days in the time-of-day profile that is subtracted from a series.
pub const PROFILE_DAYS: i64 = 3;
/// How long ago the walk with hysteresis starts.
pub const WALK_MS: i64 = 7 * DAY_MS;
/// Share of a window's slots in which both series must have been observed.
pub const COVERAGE_MIN: f64 = 0.8;
/// Minimum number of slots of a correlation, for any window.
pub const POINTS_MIN: usize = 8;
/// A relation passes a check if at least this |r| remains.
pub const STANDS: f64 = 0.7;

/// Which pairs of series are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricPairs {
    /// Every metric with every metric of another colony.
    All,
    /// Only metrics of the same name.
    SameMetric,
}

/// What metric pairs may keep in memory. It decides how they are computed, never what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Most bytes of all workers of a process; beyond them pairs are computed tile by tile.
    pub bytes: u64,
    /// Workers of a process.
    pub workers: usize,
    /// Series of a block: of two blocks at a time a worker has the values in memory.
    pub tile: usize,
}

/// Most series of a block: preparing one is little beside comparing it with so many.
const TILE_MAX: usize = 768;
/// Fewest, also where memory is scarce.
const TILE_MIN: usize = 32;
/// Parts of the memory, of which a block of each worker has one.
const TILE_PARTS: u64 = 16;

impl Room {
    /// Of so many bytes for some workers, of which each prepares so many bytes of a series.
    ///
    /// ```
    /// use coral_operators::metrics::params::Room;
    /// assert_eq!([1 << 20, 2 << 30, u64::MAX].map(|bytes| Room::of(bytes, 2, 400_000).tile), [32, 167, 768]);
    /// ```
    pub fn of(bytes: u64, workers: usize, series_bytes: u64) -> Room {
        let series = bytes / TILE_PARTS / series_bytes.max(1) / workers.max(1) as u64;
        let tile = usize::try_from(series).unwrap_or(usize::MAX).clamp(TILE_MIN, TILE_MAX);
        Room { bytes, workers, tile }
    }
}

impl Default for Room {
    fn default() -> Room {
        Room::of(u64::MAX, 1, 1)
    }
}

/// What a user can set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricParams {
    /// Longest lag, both ways.
    pub max_lag_ms: i64,
    /// Length of the window that is correlated.
    pub window_ms: i64,
    /// |r| at which a pair becomes a candidate.
    pub threshold: f64,
    /// How far below `threshold` it stays one.
    pub hysteresis: f64,
    /// Which pairs are compared.
    pub pairs: MetricPairs,
    /// Share of chance findings accepted among the confirmed pairs.
    pub false_discovery_rate: f64,
    /// The memory there is.
    pub room: Room,
}

impl Default for MetricParams {
    fn default() -> MetricParams {
        MetricParams {
            max_lag_ms: 4 * HOUR_MS,
            window_ms: DAY_MS,
            threshold: 0.8,
            hysteresis: 0.05,
            pairs: MetricPairs::All,
            false_discovery_rate: 0.05,
            room: Room::default(),
        }
    }
}

impl MetricParams {
    /// |r| below which a candidate stops being one.
    pub fn leave(&self) -> f64 {
        self.threshold - self.hysteresis
    }

    /// Range of the samples before an instant: window, lag, the days of the profile, and one coarsest slot.
    pub fn range_ms(&self) -> i64 {
        self.window_ms + self.max_lag_ms + PROFILE_DAYS * DAY_MS + HOUR_MS
    }

    /// How long samples must be kept: older ones change no result.
    ///
    /// ```
    /// use coral_operators::metrics::MetricParams;
    /// assert_eq!(MetricParams::default().keep_ms() / 86_400_000, 12);
    /// ```
    pub fn keep_ms(&self) -> i64 {
        WALK_MS + self.range_ms() + DAY_MS
    }

    /// Slots of the window on a grid of this step.
    pub fn window_slots(&self, step_ms: i64) -> usize {
        usize::try_from(self.window_ms / step_ms).unwrap_or(0)
    }

    /// Whole steps of this grid in the longest lag.
    pub fn lag_slots(&self, step_ms: i64) -> usize {
        usize::try_from(self.max_lag_ms / step_ms).unwrap_or(0)
    }

    /// Minimum number of slots in which both series are observed, of a window of `window` slots.
    pub fn points_needed(window: usize) -> usize {
        ((COVERAGE_MIN * window as f64).ceil() as usize).max(POINTS_MIN)
    }

    /// Whether these two series are compared: different colonies, and equal names if configured.
    pub fn compares(&self, a: &SeriesKey, b: &SeriesKey) -> bool {
        a.colony_id != b.colony_id && (self.pairs == MetricPairs::All || a.metric_name == b.metric_name)
    }
}

/// Steps a grid may have: 1 m, 5 m, 15 m, 1 h.
pub const STEPS_MS: [i64; 4] = [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS];
