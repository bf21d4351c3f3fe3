//! Pace: when a tick is cut and when it evaluates. This changes only when findings are seen, not the findings.

use std::time::Duration;
use tokio::time::Instant;

/// Minimum time between two evaluations.
const EVALUATE_GAP_MIN: Duration = Duration::from_secs(1);
/// Evaluations may take at most one part in about this many of the time.
const EVALUATE_SHARE: u32 = 4;

/// Limits the share of time spent on evaluations, so that rows are still read.
#[derive(Debug)]
pub struct EvaluatePace {
    share: u32,
    due_at: Instant,
    is_dirty: bool,
    is_running: bool,
}

impl EvaluatePace {
    /// Due at once, as soon as there is something to evaluate.
    pub fn new(now: Instant) -> EvaluatePace {
        EvaluatePace::with_share(now, EVALUATE_SHARE)
    }

    /// The same for work that may take one part in `share` of the time.
    pub fn with_share(now: Instant, share: u32) -> EvaluatePace {
        EvaluatePace { share, due_at: now, is_dirty: false, is_running: false }
    }

    /// Rows came in that no evaluation has seen.
    pub fn mark_dirty(&mut self) {
        self.is_dirty = true;
    }

    /// When the next evaluation is due; `None` when nothing has changed, or while one is running.
    pub fn due_at(&self) -> Option<Instant> {
        (self.is_dirty && !self.is_running).then_some(self.due_at)
    }

    /// Whether one is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due_at().is_some_and(|due_at| now >= due_at)
    }

    /// An evaluation of all rows so far has been asked for.
    pub fn asked(&mut self) {
        self.is_dirty = false;
        self.is_running = true;
    }

    /// An evaluation ended `now` and took this long.
    pub fn evaluated(&mut self, now: Instant, took: Duration) {
        self.is_running = false;
        self.due_at = now + EVALUATE_GAP_MIN.max(took * self.share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_evaluation_waits_longer_for_the_next_one() {
        let start = Instant::now();
        let mut pace = EvaluatePace::new(start);
        assert!(!pace.is_due(start), "nothing to evaluate yet");
        pace.mark_dirty();
        assert!(pace.is_due(start));
        pace.asked();
        pace.mark_dirty();
        assert!(!pace.is_due(start), "one at a time");
        pace.evaluated(start, Duration::from_secs(10));
        assert!(!pace.is_due(start + Duration::from_secs(39)));
        assert!(pace.is_due(start + Duration::from_secs(40)));
    }
}
