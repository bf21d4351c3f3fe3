//! What metric pairs take of memory in one process, known before any of it is taken.
//!
//! Planned are the rows that are kept (once as rows, and once as samples on each worker), what a worker prepares of each
//! series at an instant, and what it keeps of each pair; or, tile by tile, of two blocks of series and of no pair. The
//! figures are upper estimates of what is allocated, made from the sizes of the types; how many pairs are followed depends
//! on the data, and is taken from generated fleets.

use super::align::ROW_BYTES;
use super::bounds::{PAIR_BYTES, SERIES_BYTES};
use super::grid::{SAMPLE_BYTES, declared_step_ms};
use super::params::{MetricParams, PROFILE_DAYS, Room, STEPS_MS};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// Of all pairs one in so many is followed; `docs/evaluation/metrics.md` has 1 in 50 to 1 in 214.
const PAIRS_PER_FOLLOWED: u64 = 100;
/// A followed pair at all instants: what was measured, its rows, and the same rows in the verdict.
const FOLLOWED_BYTES: u64 = 16 << 10;
/// Slices of window and lag that a series is prepared as, in f64: raw, clamped, without profile, their differences.
const SLICES: u64 = 4;

/// Words that a series has beyond its slots, so that lags can be computed in tiles.
const WORDS_BYTES: u64 = 4 << 10;

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
    /// Those that have enough rows for a correlation.
    pub usable: u64,
    /// What a worker prepares of these, see [`MetricMemory::prepared_of`].
    pub prepared: u64,
    /// Rows of all of them that are kept at once, one of each bucket.
    pub rows: u64,
    /// Further states of these buckets: one that is still open is received again when it has grown.
    pub resent: u64,
}

impl Amount {
    /// The same for another number of series, of which as large a part is usable, with as many rows each.
    fn of(self, series: u64) -> Amount {
        let part = |of_all: u64| u128::from(of_all) * u128::from(series) / u128::from(self.series.max(1));
        let part = |of_all: u64| u64::try_from(part(of_all)).unwrap_or(u64::MAX);
        let (usable, prepared) = (part(self.usable), part(self.prepared));
        Amount { series, usable, prepared, rows: part(self.rows), resent: part(self.resent) }
    }

    /// With so many rows, and as many further states of each bucket as now.
    ///
    /// ```
    /// use coral_operators::metrics::memory::Amount;
    /// let twice = Amount { rows: 10, resent: 20, ..Amount::default() };
    /// assert_eq!(twice.with_rows(30), Amount { rows: 30, resent: 60, ..Amount::default() });
    /// assert_eq!(Amount::default().with_rows(30).resent, 0);
    /// ```
    pub fn with_rows(self, rows: u64) -> Amount {
        let resent = u128::from(self.resent) * u128::from(rows) / u128::from(self.rows.max(1));
        Amount { rows, resent: u64::try_from(resent).unwrap_or(u64::MAX), ..self }
    }
}

impl MetricMemory {
    /// With so many workers in each of so many processes.
    pub fn new(params: MetricParams, workers: usize, processes: usize) -> MetricMemory {
        MetricMemory { params, workers: workers.max(1) as u64, processes: processes.max(1) as u64 }
    }

    /// What may be kept in so many bytes, where the series have buckets of a minute.
    pub fn room(&self, bytes: u64) -> Room {
        Room::of(bytes, self.workers as usize, self.prepared_of(Some(60)))
    }

    /// How long a row is kept.
    pub fn keep_ms(&self) -> i64 {
        self.params.keep_ms()
    }

    /// Lags of a pair whose coarser buckets are this long, both ways. Without a stated interval it is a minute.
    pub fn lags(&self, interval_seconds: Option<u32>) -> u64 {
        let step_ms = interval_seconds.map_or(Some(MINUTE_MS), declared_step_ms).unwrap_or(HOUR_MS);
        2 * self.params.lag_slots(step_ms) as u64 + 1
    }

    /// Workers of all processes.
    pub fn workers_of_all(&self) -> u64 {
        self.workers * self.processes
    }

    /// Rows of a series that are kept once it is as old as the look-back. Without a stated interval it is a minute.
    pub fn rows_of(&self, interval_seconds: Option<u32>) -> u64 {
        let step_ms = interval_seconds.map_or(MINUTE_MS, |seconds| i64::from(seconds.max(1)) * SECOND_MS);
        (self.params.keep_ms() / step_ms) as u64
    }

    /// Rows from which on a series of this interval can be correlated; an unknown interval may be an hour.
    pub fn usable_from(&self, interval_seconds: Option<u32>) -> u64 {
        let step_ms = interval_seconds.map_or(Some(HOUR_MS), declared_step_ms);
        step_ms.map_or(u64::MAX, |step_ms| MetricParams::points_needed(self.params.window_slots(step_ms)) as u64)
    }

    /// Bytes that an amount takes.
    ///
    /// ```
    /// use coral_operators::metrics::memory::{Amount, MetricMemory};
    /// use coral_operators::metrics::MetricParams;
    /// let memory = MetricMemory::new(MetricParams::default(), 2, 1);
    /// let prepared = |series: u64| series * memory.prepared_of(Some(60));
    /// let a_week_of = |series: u64| {
    ///     let (prepared, rows) = (prepared(series), series * 10_080);
    ///     memory.bytes(Amount { series, usable: series, prepared, rows, resent: 0 })
    /// };
    /// assert!(a_week_of(100) > 100 << 20 && a_week_of(100) < 1 << 30);
    /// ```
    pub fn bytes(&self, Amount { series, usable, prepared, rows, resent }: Amount) -> u64 {
        let pairs_of = |series: u64| series.saturating_mul(series.saturating_sub(1)) / 2;
        let of_rows = rows.saturating_mul(ROW_BYTES / self.processes + SAMPLE_BYTES * self.workers);
        // only where rows are kept: each bucket has one sample
        let of_resent = resent.saturating_mul(ROW_BYTES) / self.processes;
        let of_series = prepared.saturating_mul(self.workers);
        // each worker has a place for every pair
        let of_pairs = pairs_of(series).saturating_mul(PAIR_BYTES * self.workers);
        let followed = (pairs_of(usable) / PAIRS_PER_FOLLOWED).saturating_mul(FOLLOWED_BYTES) / self.processes;
        [of_resent, of_series, of_pairs, followed].into_iter().fold(of_rows, u64::saturating_add)
    }

    /// Bytes that an amount takes where pairs are computed tile by tile: its rows, two blocks of series on each worker, and
    /// the followed pairs.
    ///
    /// ```
    /// use coral_operators::metrics::memory::{Amount, MetricMemory};
    /// use coral_operators::metrics::MetricParams;
    /// let memory = MetricMemory::new(MetricParams::default(), 2, 1);
    /// let prepared = |series: u64| series * memory.prepared_of(Some(60));
    /// let a_day_of = |series: u64| {
    ///     let (prepared, rows) = (prepared(series), series * 1_440);
    ///     Amount { series, usable: series, prepared, rows, resent: 0 }
    /// };
    /// assert_eq!(memory.streamed_bytes(a_day_of(100)), memory.bytes(a_day_of(100)) - 100 * 99 / 2 * 2 * 20);
    /// assert!(memory.streamed_bytes(a_day_of(10_000)) < memory.bytes(a_day_of(10_000)) / 4 * 3);
    /// ```
    pub fn streamed_bytes(&self, Amount { usable, prepared, rows, resent, .. }: Amount) -> u64 {
        let blocks = 2 * self.params.room.tile as u64;
        // `prepared` is that of the usable series: those that have ended, or are too short, have no part in it
        let prepared = if usable > blocks { prepared / usable * blocks } else { prepared };
        self.bytes(Amount { series: 0, usable, prepared, rows, resent })
    }

    /// How many series of this interval fit into so many bytes, each as old as the look-back.
    ///
    /// ```
    /// use coral_operators::metrics::memory::{Amount, MetricMemory};
    /// use coral_operators::metrics::MetricParams;
    /// let memory = MetricMemory::new(MetricParams::default(), 2, 1);
    /// let (minutes, quarters) = (memory.fits(1 << 30, Some(60)), memory.fits(1 << 30, Some(900)));
    /// assert!(minutes > 0 && quarters > 3 * minutes);
    /// let (rows, prepared) = (memory.rows_of(Some(60)), memory.prepared_of(Some(60)));
    /// let of = |n: u64| Amount { series: n, usable: n, prepared: n * prepared, rows: n * rows, resent: 0 };
    /// let bytes = |n: u64| memory.bytes(of(n));
    /// assert!(bytes(minutes) <= 1 << 30 && bytes(minutes + 1) > 1 << 30);
    /// ```
    pub fn fits(&self, bytes: u64, interval_seconds: Option<u32>) -> u64 {
        fits(bytes, self.one_of(interval_seconds), |amount| self.bytes(amount))
    }

    /// The same where pairs are computed tile by tile.
    pub fn fits_streamed(&self, bytes: u64, interval_seconds: Option<u32>) -> u64 {
        self.fits_like(bytes, self.one_of(interval_seconds))
    }

    /// How many series like those of an amount fit at most: tile by tile.
    pub fn fits_like(&self, bytes: u64, amount: Amount) -> u64 {
        fits(bytes, amount, |amount| self.streamed_bytes(amount))
    }

    /// A series as old as the look-back.
    fn one_of(&self, interval_seconds: Option<u32>) -> Amount {
        let (prepared, rows) = (self.prepared_of(interval_seconds), self.rows_of(interval_seconds));
        Amount { series: 1, usable: 1, prepared, rows, resent: 0 }
    }

    /// A usable series at one instant, with its slots as of the present one, for f64 and for the integer kernels: on its
    /// own grid, and on the coarser ones for those that have these. Without a stated interval it is a minute.
    pub fn prepared_of(&self, interval_seconds: Option<u32>) -> u64 {
        let own_ms = interval_seconds.map_or(Some(MINUTE_MS), declared_step_ms).unwrap_or(i64::MAX);
        STEPS_MS.into_iter().filter(|step_ms| *step_ms >= own_ms).map(|step_ms| self.prepared_on(step_ms)).sum()
    }

    fn prepared_on(&self, step_ms: i64) -> u64 {
        let slots = (self.params.window_slots(step_ms) + self.params.lag_slots(step_ms)) as u64;
        let profile = (PROFILE_DAYS * DAY_MS / step_ms) as u64;
        let lags = self.params.lag_slots(step_ms) as u64 + 1;
        let as_values = 8 * (2 * (profile + slots) + SLICES * slots);
        // values, mask, words and running sums of a slot, and the sums of the window at each lag: `Series::bytes`
        let as_integers = WORDS_BYTES + 32 * slots + 45 * lags;
        as_values + as_integers + SERIES_BYTES
    }
}

/// How many series like those of an amount take at most so many bytes.
fn fits(bytes: u64, amount: Amount, taken: impl Fn(Amount) -> u64) -> u64 {
    let is_within = |series: u64| taken(amount.of(series)) <= bytes;
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

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::{Path, Series};

    #[test]
    fn the_kernels_take_no_more_than_is_planned_for_them() {
        let memory = MetricMemory::new(MetricParams::default(), 1, 1);
        let values: Vec<f64> = (0..1_680).map(|slot| f64::from(slot % 37)).collect();
        let series = Series::new(Path::PORTABLE, &values, 1_440).unwrap();
        let values = 8 * (2 * (3 * 1_440 + 1_680) + SLICES * 1_680);
        let planned = memory.prepared_on(MINUTE_MS) - values - SERIES_BYTES;
        assert!(series.bytes() as u64 <= planned, "{} of {planned}", series.bytes());
    }

    #[test]
    fn workers_hold_samples_each_and_processes_divide_rows() {
        let bytes = |workers: usize, processes: usize| {
            let memory = MetricMemory::new(MetricParams::default(), workers, processes);
            memory.bytes(Amount { series: 10, usable: 10, prepared: 1 << 20, rows: 100_000, resent: 0 })
        };
        assert!(bytes(2, 1) > bytes(1, 1) && bytes(4, 1) > bytes(2, 1));
        assert!(bytes(1, 2) < bytes(1, 1));
        let none = MetricMemory::new(MetricParams::default(), 2, 1);
        assert_eq!((none.bytes(Amount::default()), none.fits(0, None)), (0, 0));
        // twelve days and some hours
        assert_eq!((none.rows_of(Some(3_600)), none.rows_of(None)), (293, 293 * 60));
        assert_eq!([Some(60), None, Some(86_400)].map(|seconds| none.usable_from(seconds)), [1_152, 20, u64::MAX]);
        // what is too short to be correlated takes hardly more than its rows
        let short = Amount { series: 100, rows: 1_000, ..Amount::default() };
        let grown = Amount { resent: 500, ..short };
        let each = (none.bytes(grown) - none.bytes(short)) / 500;
        assert!(each > 50 && each < none.bytes(short) / 1_000, "a state is a row without a sample: {each}");
        let prepared = 100 * none.prepared_of(Some(60));
        assert!(none.bytes(short) < none.bytes(Amount { usable: 100, prepared, ..short }) / 10);
        assert!(none.prepared_of(Some(900)) * 8 < none.prepared_of(Some(60)));
        assert_eq!(none.prepared_of(Some(86_400)), 0);
    }

    #[test]
    fn blocks_of_all_workers_have_their_part_of_the_memory_whatever_the_window() {
        for window_ms in [DAY_MS, 30 * DAY_MS] {
            let memory = MetricMemory::new(MetricParams { window_ms, ..MetricParams::default() }, 2, 1);
            let room = memory.room(8 << 30);
            assert!(room.tile > 32 && room.bytes == 8 << 30 && room.workers == 2, "{room:?}");
            let block = room.tile as u64 * memory.prepared_of(Some(60));
            assert!(2 * block <= room.bytes / 16, "{block} for {window_ms} ms");
        }
    }

    #[test]
    fn series_that_ended_make_the_blocks_of_the_others_no_smaller() {
        let memory = MetricMemory::new(MetricParams::default(), 2, 1);
        let blocks = 2 * MetricParams::default().room.tile as u64;
        for usable in [blocks / 2, 2 * blocks] {
            let prepared = usable * memory.prepared_of(Some(60));
            let few = Amount { series: usable, usable, prepared, ..Amount::default() };
            let many = Amount { series: 1_000_000, ..few };
            assert_eq!(memory.streamed_bytes(many), memory.streamed_bytes(few), "{usable}");
            let of_blocks = usable.min(blocks) * memory.prepared_of(Some(60)) * 2;
            assert!(memory.streamed_bytes(many) >= of_blocks, "{usable}");
        }
    }
}
