//! Retention: when the store deletes expired rows; never so long that a tick waits for it.

use std::time::Duration;
use tokio::time::Instant;

/// Time between two passes over the store.
const PASS_EVERY: Duration = Duration::from_secs(600);
/// Time between two slices of one pass, in which ticks are committed.
const SLICE_EVERY: Duration = Duration::from_millis(200);

/// When the next slice is due.
#[derive(Debug)]
pub struct RetentionPace {
    due_at: Instant,
}

impl RetentionPace {
    /// The first pass begins a while after the start: a run that restores has other things to do.
    pub fn new(now: Instant) -> RetentionPace {
        RetentionPace { due_at: now + PASS_EVERY }
    }

    /// When the next slice is due.
    pub fn due_at(&self) -> Instant {
        self.due_at
    }

    /// Whether one is due.
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.due_at
    }

    /// A slice ended; `is_partial`: the pass continues.
    pub fn pruned(&mut self, now: Instant, is_partial: bool) {
        self.due_at = now + if is_partial { SLICE_EVERY } else { PASS_EVERY };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_each_other_and_passes_rest() {
        let start = Instant::now();
        let mut pace = RetentionPace::new(start);
        assert!(!pace.is_due(start));
        let due = start + PASS_EVERY;
        assert!(pace.is_due(due));
        pace.pruned(due, true);
        assert!(!pace.is_due(due) && pace.is_due(due + SLICE_EVERY));
        pace.pruned(due, false);
        assert_eq!(pace.due_at(), due + PASS_EVERY);
    }
}
