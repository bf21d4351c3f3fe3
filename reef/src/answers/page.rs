//! Text of answers: times, tables, capital letters.

use super::part;
use crate::printable::printable;
use model::time::{DAY_MS, HOUR_MS, TimeMs, format_duration_ms};
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

/// `error_rate` as `Error rate`.
pub fn title(name: &str) -> String {
    capital(&name.replace('_', " "))
}

/// `24h`, `36h30m`, `7d`: up to two days in hours, as people ask for it.
pub fn window(length_ms: i64) -> String {
    let hours = length_ms / HOUR_MS;
    match length_ms % HOUR_MS {
        _ if !(HOUR_MS..=2 * DAY_MS).contains(&length_ms) => format_duration_ms(length_ms),
        0 => format!("{hours}h"),
        rest => format!("{hours}h{}", format_duration_ms(rest)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE_MS;

    #[test]
    fn windows_of_two_days_and_less_are_in_hours() {
        let of = |hours: i64, minutes: i64| window(hours * HOUR_MS + minutes * MINUTE_MS);
        assert_eq!([of(1, 0), of(24, 0), of(36, 30), of(48, 0)], ["1h", "24h", "36h30m", "48h"]);
        assert_eq!([of(0, 20), of(49, 0), of(168, 0)], ["20m", "2d1h", "7d"]);
    }

    #[test]
    fn names_of_metrics_are_titles() {
        assert_eq!(["error_rate", "db.pool.utilization"].map(title), ["Error rate", "Db.pool.utilization"]);
    }
}
