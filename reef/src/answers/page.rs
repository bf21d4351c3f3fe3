//! Text of answers: times, tables, capital letters.

use super::part;
use crate::printable::printable;
use model::time::TimeMs;
use model::version::{Version, VersionKind};

/// Digits of a hash that are shown.
const HASH_DIGITS: usize = 12;

/// `2024-11-13 14:30:00 UTC`.
pub fn time(time: TimeMs) -> String {
    let text = time.to_string();
    let whole = text.split('.').next().unwrap_or_default();
    format!("{} UTC", whole.replace('T', " "))
}

/// Rows as lines, columns as wide as their widest cell, with an indentation of two. The last column is not padded.
pub fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str("  ");
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `production` as `Production`.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// A value of a metric with as many digits as say something.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1_000.0 || value.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 3,
        _ => return format!("{value:.3e}"),
    };
    format!("{value:.digits$}")
}

/// How to get the rest of a list.
pub fn more(cursor: &str) -> String {
    format!("\nMore: --cursor {cursor}, or --limit up to {}\n", part::LIMIT_MAX)
}

/// `+40.0%`.
pub fn signed_percent(percent: f64) -> String {
    format!("{percent:+.1}%")
}

/// A version for a table: of a hash the first digits, as tools show it.
pub fn short_version(version: &str) -> String {
    match Version::read(version) {
        Some(Version { kind: VersionKind::Hash, text }) => text.chars().take(HASH_DIGITS).collect(),
        _ => version.to_owned(),
    }
}

/// What is shown for an empty text.
pub fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}
