//! Counts of verdicts, and their shares.

use crate::impact::Verdict;

/// How often each verdict was given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub success: u32,
    pub degraded: u32,
    pub failed: u32,
    pub pending: u32,
}

impl Tally {
    pub fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Success => self.success += 1,
            Verdict::Degraded => self.degraded += 1,
            Verdict::Failed => self.failed += 1,
            Verdict::Pending => self.pending += 1,
        }
    }

    pub fn total(self) -> u32 {
        self.success + self.degraded + self.failed + self.pending
    }

    /// Share that is called degraded or failed.
    pub fn bad_share(self) -> f64 {
        share(self.degraded + self.failed, self.total())
    }
}

pub fn is_bad(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Degraded | Verdict::Failed)
}

pub fn share(part: u32, all: u32) -> f64 {
    f64::from(part) / f64::from(all.max(1))
}

/// `1.2 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
