//! Notes of a run about clocks and retention: rows ahead of the machine's clock, and deleted rows.

use crate::exit::{Exit, Failure};
use crate::text::{count, counted};
use pipelines::deferred::DeferredRows;
use pipelines::progress::Outside;
use pipelines::progress::RunSummary;
use std::path::Path;

/// Rows that wait for the clock, and when they are read again.
pub(super) fn held_text(held: &DeferredRows) -> String {
    let DeferredRows { rows, first, last, clock, read_again_from, .. } = held;
    format!(
        "{} more than a day after this machine's clock, {clock}: they say {first} to {last}. The first run after \
         {read_again_from} reads them again",
        counted(*rows, "row"),
    )
}

/// Rows that went because their retention was over.
pub(super) fn deleted_text(summary: &RunSummary) -> Option<String> {
    let tables: Vec<String> =
        summary.deleted.iter().map(|(table, rows)| format!("{} of {table}", count(*rows))).collect();
    (!tables.is_empty()).then(|| format!("{}: beyond storage.retention", tables.join(", ")))
}

/// Stored rows that no pattern rests on, and why.
pub(super) fn outside_texts(summary: &RunSummary) -> Vec<String> {
    let kinds = [("event", summary.outside.events), ("metric row", summary.outside.metrics)];
    let mut texts = Vec::new();
    for (kind, outside) in kinds {
        let Some(Outside { now, since, newer, older }) = outside else { continue };
        if newer > 0 {
            texts.push(format!(
                "{} a day or more after {now}, the time of the patterns: the other colonies have not reached it yet, \
                 or a clock is wrong",
                counted(newer, kind)
            ));
        }
        if let Some(older) = older.filter(|older| *older > 0) {
            texts.push(format!(
                "{} older than the look-back of the patterns, which begins {since}",
                counted(older, kind)
            ));
        }
    }
    texts
}

/// A run that met more rows after the machine's clock than rows it could take: it is the clock that is wrong.
pub(super) fn wrong_clock(summary: &RunSummary, config: &Path) -> Option<Failure> {
    let held = summary.held.filter(|held| held.met > summary.progress.events + summary.progress.metrics)?;
    let hint = format!(
        "if the clock of this machine is wrong, set it and start again: coral-pipeline run {}; nothing is lost. If it is \
         right, the times in the rows are wrong: look at their unit and zone (table rejects, reason far_future)",
        config.display()
    );
    Some(Failure::new(Exit::Failed, "clock_behind", format!("not accepted: {}", held_text(&held))).hint(hint))
}
