//! Counts of what was found, and tables of them.

use super::rules::Pair;
use std::collections::BTreeSet;

/// Pairs that were reported, the right ones among them, and those that were planted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub found: u64,
    pub right: u64,
    pub planted: u64,
}

impl Found {
    pub fn add(&mut self, found: &BTreeSet<Pair>, truth: &BTreeSet<Pair>) {
        self.found += found.len() as u64;
        self.right += found.intersection(truth).count() as u64;
        self.planted += truth.len() as u64;
    }
}

/// Wilson's interval of a share, 95 %.
pub fn interval(part: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (n, share, z) = (all as f64, part as f64 / all as f64, 1.96);
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// `1.2 %`; a dash for nothing of nothing.
pub fn percent(part: u64, all: u64) -> String {
    if all == 0 { "–".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / all as f64) }
}

/// A quantile of sorted values.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// A table in Markdown.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let body: String = rows.iter().map(|row| line(row)).collect();
    format!("\n{}|{}\n{body}", line(&head), "---|".repeat(head.len()))
}
