//! Counts of verdicts, and tables of them.

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

/// A table in Markdown.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let body: String = rows.iter().map(|row| line(row)).collect();
    format!("\n{}{rule}{body}", line(&head))
}
