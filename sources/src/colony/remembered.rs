//! Rows already delivered, as many as memory allows, so that repeats are dropped.

use model::time::TimeMs;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The most rows remembered per colony, about 10 MB; the oldest by timestamp are forgotten first.
pub(crate) const REMEMBERED_ROWS_MAX: usize = 250_000;

pub(crate) struct Remembered {
    rows: BTreeSet<(TimeMs, u64)>,
    rows_max: usize,
    forgotten_before: TimeMs,
}

impl Remembered {
    pub(crate) fn new(rows_max: usize) -> Remembered {
        Remembered { rows: BTreeSet::new(), rows_max, forgotten_before: TimeMs(i64::MIN) }
    }

    /// Whether `row` is new; from now on it is not.
    pub(crate) fn is_new(&mut self, timestamp: TimeMs, row: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        let is_new = self.rows.insert((timestamp, hasher.finish()));
        if self.rows.len() > self.rows_max
            && let Some((oldest, _)) = self.rows.pop_first()
        {
            self.forgotten_before = self.forgotten_before.max(oldest + 1);
        }
        is_new
    }

    /// Rows before this time may have been forgotten.
    pub(crate) fn forgotten_before(&self) -> TimeMs {
        self.forgotten_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_known_and_the_oldest_are_forgotten() {
        let mut remembered = Remembered::new(2);
        assert!(remembered.is_new(TimeMs(10), &"a"));
        assert!(!remembered.is_new(TimeMs(10), &"a"));
        assert!(remembered.is_new(TimeMs(10), &"b"), "same time, other row");
        assert_eq!(remembered.forgotten_before(), TimeMs(i64::MIN));
        assert!(remembered.is_new(TimeMs(20), &"c"));
        assert_eq!(remembered.forgotten_before(), TimeMs(11));
        assert!(!remembered.is_new(TimeMs(20), &"c"));
    }
}
