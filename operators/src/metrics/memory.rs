//! What metric pairs take of memory in one process, known before any of it is taken.
//!
//! Planned are the rows that are kept (once as rows, and once as samples on each worker), what a worker prepares of each
//! series at an instant, and what it keeps of each pair. The figures are upper estimates of what is allocated, made from
//! the sizes of the types; how many pairs are followed depends on the data, and is taken from generated fleets.

use super::align::ROW_BYTES;
use super::bounds::{PAIR_BYTES, SERIES_BYTES};
use super::grid::SAMPLE_BYTES;
use super::params::{MetricParams, PROFILE_DAYS};
use model::time::{DAY_MS, MINUTE_MS, SECOND_MS};

/// Of all pairs one in so many is followed; `docs/evaluation/metrics.md` has 1 in 50 to 1 in 214.
const PAIRS_PER_FOLLOWED: u64 = 100;
/// A followed pair at all instants: what was measured, its rows, and the same rows in the verdict.
const FOLLOWED_BYTES: u64 = 16 << 10;
/// Slices of window and lag that a series is prepared as, in f64: raw, clamped, without profile, their differences.
const SLICES: u64 = 4;

/// The memory of metric pairs in a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricMemory {
    params: MetricParams,
    workers: u64,
    processes: u64,
}

/// What there is of series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Series.
    pub series: u64,
    /// Rows of them that are kept at once.
    pub rows: u64,
}

impl MetricMemory {
    /// With so many workers in each of so many processes.
    pub fn new(params: MetricParams, workers: usize, processes: usize) -> MetricMemory {
        MetricMemory { params, workers: workers.max(1) as u64, processes: processes.max(1) as u64 }
    }

    /// Rows of a series that are kept once it is as old as the look-back. Without a stated interval it is a minute.
    pub fn rows_of(&self, interval_seconds: Option<u32>) -> u64 {
        let step_ms = interval_seconds.map_or(MINUTE_MS, |seconds| i64::from(seconds.max(1)) * SECOND_MS);
        (self.params.keep_ms() / step_ms) as u64
    }

    /// Bytes that an amount takes.
    ///
    /// ```
    /// use coral_operators::metrics::memory::{Amount, MetricMemory};
    /// use coral_operators::metrics::MetricParams;
    /// let memory = MetricMemory::new(MetricParams::default(), 2, 1);
    /// let a_week_of = |series: u64| memory.bytes(Amount { series, rows: series * 10_080 });
    /// assert!(a_week_of(100) > 100 << 20 && a_week_of(100) < 1 << 30);
    /// ```
    pub fn bytes(&self, Amount { series, rows }: Amount) -> u64 {
        let pairs = series.saturating_mul(series.saturating_sub(1)) / 2;
        let of_rows = rows.saturating_mul(ROW_BYTES / self.processes + SAMPLE_BYTES * self.workers);
        let of_series = series.saturating_mul(self.prepared_bytes() * self.workers);
        // each worker has a place for every pair
        let of_pairs = pairs.saturating_mul(PAIR_BYTES * self.workers);
        let followed = (pairs / PAIRS_PER_FOLLOWED).saturating_mul(FOLLOWED_BYTES) / self.processes;
        of_rows.saturating_add(of_series).saturating_add(of_pairs).saturating_add(followed)
    }

    /// How many series of this interval fit into so many bytes, each as old as the look-back.
    ///
    /// ```
    /// use coral_operators::metrics::memory::{Amount, MetricMemory};
    /// use coral_operators::metrics::MetricParams;
    /// let memory = MetricMemory::new(MetricParams::default(), 2, 1);
    /// let (minutes, quarters) = (memory.fits(1 << 30, Some(60)), memory.fits(1 << 30, Some(900)));
    /// assert!(minutes > 0 && quarters > 3 * minutes);
    /// let rows = |series: u64| series * memory.rows_of(Some(60));
    /// assert!(memory.bytes(Amount { series: minutes, rows: rows(minutes) }) <= 1 << 30);
    /// assert!(memory.bytes(Amount { series: minutes + 1, rows: rows(minutes + 1) }) > 1 << 30);
    /// ```
    pub fn fits(&self, bytes: u64, interval_seconds: Option<u32>) -> u64 {
        self.fits_with(bytes, self.rows_of(interval_seconds))
    }

    /// The same for series with so many rows each.
    pub fn fits_with(&self, bytes: u64, rows_each: u64) -> u64 {
        let is_within = |series: u64| self.bytes(Amount { series, rows: series.saturating_mul(rows_each) }) <= bytes;
        // the first number of series that is too many lies in low + 1 ..= high
        let (mut low, mut high) = (0, 1);
        while is_within(high) && high < 1 << 32 {
            (low, high) = (high, 2 * high);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if is_within(middle) { low = middle } else { high = middle }
        }
        low
    }

    /// A series at one instant, with its slots as of the present one, for f64 and for the integer kernels.
    fn prepared_bytes(&self) -> u64 {
        let slots = (self.params.window_slots(MINUTE_MS) + self.params.lag_slots(MINUTE_MS)) as u64;
        let profile = (PROFILE_DAYS * DAY_MS / MINUTE_MS) as u64;
        let lags = self.params.lag_slots(MINUTE_MS) as u64 + 1;
        let as_values = 8 * (2 * (profile + slots) + SLICES * slots);
        // values, mask, words and running sums of a slot, and the sums of the window at each lag: `Series::bytes`
        let as_integers = 36 * slots + 45 * lags;
        as_values + as_integers + SERIES_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::{Path, Series};

    #[test]
    fn the_kernels_take_no_more_than_is_planned_for_them() {
        let memory = MetricMemory::new(MetricParams::default(), 1, 1);
        let values: Vec<f64> = (0..1_680).map(|slot| f64::from(slot % 37)).collect();
        let series = Series::new(Path::PORTABLE, &values, 1_440).unwrap();
        let slots = 1_680;
        let values = 8 * (2 * (3 * 1_440 + slots) + SLICES * slots);
        assert!(series.bytes() as u64 <= memory.prepared_bytes() - values - SERIES_BYTES, "{}", series.bytes());
    }

    #[test]
    fn workers_hold_samples_each_and_processes_divide_rows() {
        let bytes = |workers: usize, processes: usize| {
            let memory = MetricMemory::new(MetricParams::default(), workers, processes);
            memory.bytes(Amount { series: 10, rows: 100_000 })
        };
        assert!(bytes(2, 1) > bytes(1, 1) && bytes(4, 1) > bytes(2, 1));
        assert!(bytes(1, 2) < bytes(1, 1));
        let none = MetricMemory::new(MetricParams::default(), 2, 1);
        assert_eq!((none.bytes(Amount::default()), none.fits(0, None)), (0, 0));
        // twelve days and some hours
        assert_eq!((none.rows_of(Some(3_600)), none.rows_of(None)), (293, 293 * 60));
    }
}
