//! One pattern and the rows behind it, as plain text.

use super::pattern::{INDENT, block};
use crate::printable::shortened;
use crate::show::Traced;
use model::time::format_duration_ms;

/// Most rows in the text.
const ROWS_SHOWN_MAX: usize = 50;
/// Widest reference in the text.
const REFERENCE_COLUMNS_MAX: usize = 32;
/// A pattern and the rows behind it, for a terminal: ends with a line break, has no colours.
pub fn traced(traced: &Traced) -> String {
    let mut text = block(&traced.pattern);
    if let Some(record) = traced.predicted.sentence() {
        text.push_str(&format!("{:INDENT$}{record}\n", ""));
    }
    let shown = traced.evidence.len().min(ROWS_SHOWN_MAX);
    text.push_str(&match traced.evidence.len() {
        0 => "\nNo rows behind it are stored.\n".to_owned(),
        number if number > shown => format!("\nThe last {shown} of {number} rows behind it (all: --json):\n\n"),
        _ => "\nThe rows behind it:\n\n".to_owned(),
    });
    for row in &traced.evidence[traced.evidence.len() - shown..] {
        let reference = |text: &str| shortened(text, REFERENCE_COLUMNS_MAX);
        text.push_str(&format!(
            "  {}  {:<REFERENCE_COLUMNS_MAX$}  {:>8} later: {}\n",
            row.source_timestamp,
            reference(&row.source_ref),
            format_duration_ms(row.lag_ms),
            reference(&row.target_ref)
        ));
    }
    text
}
