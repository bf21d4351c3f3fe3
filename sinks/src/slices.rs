//! How wide a slice of time is read at once, so that a page of rows costs about a page and not all rows beyond it.
//!
//! Tables are stored by series, or in the order of arrival: the rows of a page lie apart, and `ORDER BY … LIMIT` alone reads
//! every row after the page before. So a page is read from a slice of time, which grows when it brings little and shrinks
//! when it is full.

use model::time::HOUR_MS;
use std::sync::atomic::{AtomicI64, Ordering};

/// Width of the first slice.
const FIRST_MS: i64 = 6 * HOUR_MS;
/// A slice is not made narrower than this: one instant may hold more than a page.
const MIN_MS: i64 = 1_000;
/// Nor wider than this.
const MAX_MS: i64 = 365 * 24 * HOUR_MS;
/// A page that is asked for with fewer rows is a look at the first ones: it says nothing of how dense they are.
const PAGE_ROWS_MIN: usize = 100;

/// Width of the slice that holds about a page of rows, as the last pages have shown. A hint, shared by all clones of a
/// reader.
#[derive(Debug)]
pub(crate) struct SliceWidth(AtomicI64);

/// One for each kind of row: a page of events spans another time than one of buckets.
#[derive(Debug, Default)]
pub(crate) struct SliceWidths {
    pub(crate) events: SliceWidth,
    pub(crate) metrics: SliceWidth,
}

impl Default for SliceWidth {
    fn default() -> Self {
        SliceWidth(AtomicI64::new(FIRST_MS))
    }
}

impl SliceWidth {
    /// In milliseconds.
    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from a slice of `width_ms` that has given `rows` of a page of at most `limit`; they span `spanned_ms` of it.
    pub(crate) fn learn(&self, (width_ms, spanned_ms): (i64, i64), rows: usize, limit: usize) {
        if limit < PAGE_ROWS_MIN {
            return;
        }
        let next = match rows {
            // the next page has about as many rows in the same time
            full if full >= limit => spanned_ms.saturating_mul(2).clamp(MIN_MS, width_ms.max(MIN_MS)),
            few if few < limit / 2 => width_ms.saturating_mul(2).min(MAX_MS),
            _ => width_ms,
        };
        self.0.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_the_density_of_rows_within_bounds() {
        let width = SliceWidth::default();
        width.learn((FIRST_MS, 60_000), 1_000, 1_000);
        assert_eq!(width.get(), 120_000, "twice what a page took");
        width.learn((120_000, 110_000), 700, 1_000);
        assert_eq!(width.get(), 120_000, "about a page");
        width.learn((120_000, 110_000), 1_000, 1_000);
        assert_eq!(width.get(), 120_000, "no wider than a slice that was full");
        width.learn((120_000, 0), 400, 1_000);
        assert_eq!(width.get(), 240_000);
        width.learn((MIN_MS, 0), 1_000, 1_000);
        assert_eq!(width.get(), MIN_MS);
        width.learn((MAX_MS, 0), 0, 1_000);
        assert_eq!(width.get(), MAX_MS);
        width.learn((MAX_MS, 0), 1, 1);
        assert_eq!(width.get(), MAX_MS, "one row says nothing");
    }
}
