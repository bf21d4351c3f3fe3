//! Notes of a run about its inputs: those that could not be read, those without new rows, and corrections in rows.

use crate::output::Style;
use crate::text::{count, counted};
use sources::InputReport;
use std::collections::BTreeMap;

/// Most lines of one kind; all are in the JSON.
const LINES_MAX: usize = 8;

/// Label and text of each line there is to print.
pub(super) fn lines(inputs: &InputReport, style: Style) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for failed in inputs.failed.iter().take(LINES_MAX) {
        lines.push(("unread", format!("{} {}", style.yellow(&failed.input), failed.problem)));
    }
    let more = inputs.failed_inputs.saturating_sub(LINES_MAX as u64);
    if more > 0 {
        lines.push(("", format!("and {} that could not be read (all: --json)", counted(more, "more input"))));
    }
    if inputs.unchanged_files > 0 {
        let files = counted(inputs.unchanged_files, "file");
        lines.push(("unchanged", format!("{files} since they were read: nothing new in them")));
    }
    lines.extend(greatest(&inputs.refused_by_series, "series", |series, rows| {
        format!("{series}: {} refused", counted(rows, "row"))
    }));
    lines.extend(greatest(&inputs.notes, "noted", |note, rows| format!("{} kept: {note}", counted(rows, "row"))));
    lines
}

/// The entries with the most rows, and how many more there are.
fn greatest(
    counts: &BTreeMap<String, u64>,
    label: &'static str,
    text: impl Fn(&str, u64) -> String,
) -> Vec<(&'static str, String)> {
    let mut entries: Vec<(&String, u64)> = counts.iter().map(|(name, rows)| (name, *rows)).collect();
    entries.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut lines: Vec<(&'static str, String)> =
        entries.iter().take(LINES_MAX).map(|(name, rows)| (label, text(name, *rows))).collect();
    let more = entries.len().saturating_sub(LINES_MAX) as u64;
    if more > 0 {
        lines.push(("", format!("and {} more (all: --json)", count(more))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use sources::{FailedInput, FailureClass};

    #[test]
    fn inputs_that_were_not_read_and_rows_that_were_corrected_are_reported() {
        let mut inputs = InputReport { unchanged_files: 2, ..InputReport::default() };
        assert!(lines(&InputReport::default(), Style::PLAIN).is_empty());
        for number in 0..LINES_MAX + 3 {
            let (input, problem) = (format!("m-{number}.csv"), "is cut off".to_owned());
            inputs.add_failed(FailedInput { input, class: FailureClass::Format, problem });
        }
        inputs.add_note("severity \"P9\" is not known");
        for _ in 0..300 {
            inputs.add_refused("shop/api/latency");
        }
        inputs.add_refused("shop/api/errors");
        let lines = lines(&inputs, Style::PLAIN);
        let text: Vec<String> = lines.iter().map(|(label, text)| format!("{label}|{text}")).collect();
        assert_eq!(text[0], "unread|m-0.csv is cut off");
        assert_eq!(text[LINES_MAX], "|and 3 more inputs that could not be read (all: --json)");
        assert_eq!(
            text[LINES_MAX + 1..],
            [
                "unchanged|2 files since they were read: nothing new in them",
                "series|shop/api/latency: 300 rows refused",
                "series|shop/api/errors: 1 row refused",
                "noted|1 row kept: severity \"P9\" is not known",
            ]
        );
    }
}
