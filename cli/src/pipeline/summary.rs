//! What a run says when it has ended: rows, rejects, patterns, and what was not reached.

use super::input_note;
use super::meter::per_second;
use crate::output::Style;
use crate::text::{count, counted};
use model::time::format_duration_ms;
use pipelines::progress::{Ended, RowOutcome, RunSummary};

/// The numbers of a run that has ended: a heading, then one labelled line for each thing there is to say.
pub fn summary_page(summary: &RunSummary, style: Style) -> String {
    let progress = &summary.progress;
    let ended = match summary.ended {
        Ended::InputFinished => "all input read",
        Ended::Stopped => "stopped and drained; start again to go on from here",
    };
    let mut lines = vec![style.bold(&format!("Run: {ended}")), labelled("rows", &rows_text(summary))];
    if let Some(time) = progress.event_time {
        lines.push(labelled("reached", &format!("event time {time}")));
    }
    lines.push(labelled("ticks", &format!("{} committed, late rows {}", count(progress.ticks), count(progress.late))));
    lines.push(labelled("rejects", &rejects_text(summary)));
    lines.extend(outcome_lines(summary));
    lines.extend(input_note::lines(&summary.inputs, style).iter().map(|(label, text)| labelled(label, text)));
    let tested = counted(summary.event_pairs_tested, "pair");
    lines.push(labelled(
        "tested",
        &format!("{tested} of event types, {} of metrics", count(summary.metric_pairs_tested)),
    ));
    let patterns = format!("{} confirmed, {} candidates", count(progress.confirmed), count(progress.candidates));
    lines.push(labelled("patterns", &patterns));
    lines.push(labelled("stored", &summary.store));
    if progress.colonies.1 > 0 {
        lines.push(labelled("colonies", &format!("{} of {} answering", progress.colonies.0, progress.colonies.1)));
    }
    for (colony_id, error) in &summary.unreachable {
        // the words may be the colony's own: one line, no escape codes
        let error = error.replace(char::is_control, " ");
        lines.push(labelled("", &format!("{} {colony_id}: {error}", style.yellow("unreachable"))));
    }
    lines.join("\n")
}

/// One line of the summary.
fn labelled(label: &str, text: &str) -> String {
    format!("  {label:<8}  {text}")
}

fn rows_text(summary: &RunSummary) -> String {
    let progress = &summary.progress;
    let rows = progress.events + progress.metrics;
    let elapsed_ms = i64::try_from(summary.elapsed_ms).unwrap_or(i64::MAX);
    format!(
        "{} ({} events, {} metrics) in {}, {} rows/s",
        count(rows),
        count(progress.events),
        count(progress.metrics),
        format_duration_ms(elapsed_ms),
        count(per_second(rows, summary.elapsed_ms) as u64)
    )
}

fn rejects_text(summary: &RunSummary) -> String {
    if summary.progress.rejects == 0 {
        return "none".to_owned();
    }
    let reasons: Vec<String> =
        summary.rejects_by_reason.iter().map(|(reason, rows)| format!("{reason} {}", count(*rows))).collect();
    format!("{} ({}); see table rejects", count(summary.progress.rejects), reasons.join(", "))
}

/// Rows that lost against what is stored: a correction that was meant is missed otherwise.
fn outcome_lines(summary: &RunSummary) -> Vec<String> {
    let RowOutcome { not_taken, fewer_samples, reused_ids } = summary.outcome;
    let mut lines = Vec::new();
    if not_taken > 0 {
        let (rows, were) = match not_taken {
            1 => ("1 row differs".to_owned(), "was"),
            rows => (format!("{} rows differ", count(rows)), "were"),
        };
        let fewer = match fewer_samples {
            0 => String::new(),
            of_these => format!(" ({} with fewer samples than the stored bucket)", count(of_these)),
        };
        let text = format!("{rows} from what is stored and {were} not taken{fewer}: a correction needs a higher");
        lines.push(labelled("kept", &text));
        lines.push(labelled("", "`version`, a column with whole numbers (rows without one have 0)"));
    }
    if reused_ids > 0 {
        let (copies, were) = if reused_ids == 1 { ("copy", "was") } else { ("copies", "were") };
        let text = format!(
            "{} {copies} of an event_id with another time {were} taken as amendments: of one id one",
            count(reused_ids)
        );
        lines.push(labelled("same id", &text));
        lines.push(labelled(
            "",
            "event is kept, so an id must name one happening (an alert and the start of its firing)",
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::TimeMs;
    use pipelines::progress::{Phase, Progress};
    use sources::InputReport;
    use std::collections::BTreeMap;

    fn progress() -> Progress {
        Progress {
            phase: Phase::Running,
            events: 1_200_000,
            metrics: 34_567,
            rejects: 2,
            late: 0,
            ticks: 12,
            event_time: Some(TimeMs(1_672_772_778_000)),
            colonies: (0, 0),
            confirmed: 5,
            candidates: 12,
            bytes: Some((43, 120_000_000)),
            rows: None,
        }
    }

    fn summary() -> RunSummary {
        RunSummary {
            ended: Ended::InputFinished,
            progress: progress(),
            rejects_by_reason: BTreeMap::from([("not_finite".to_owned(), 2)]),
            outcome: RowOutcome::default(),
            inputs: InputReport::default(),
            event_pairs_tested: 56,
            metric_pairs_tested: 0,
            unreachable: BTreeMap::new(),
            elapsed_ms: 100_000,
            store: "DuckDB .coral/r.duckdb".to_owned(),
        }
    }

    #[test]
    fn the_end_of_a_run() {
        assert_eq!(
            summary_page(&summary(), Style::PLAIN),
            "Run: all input read\n  \
             rows      1,234,567 (1,200,000 events, 34,567 metrics) in 1m40s, 12,345 rows/s\n  \
             reached   event time 2023-01-03T19:06:18.000Z\n  \
             ticks     12 committed, late rows 0\n  \
             rejects   2 (not_finite 2); see table rejects\n  \
             tested    56 pairs of event types, 0 of metrics\n  \
             patterns  5 confirmed, 12 candidates\n  \
             stored    DuckDB .coral/r.duckdb"
        );
    }

    #[test]
    fn rows_that_were_not_taken_and_ids_that_were_used_again_are_told() {
        let outcome = RowOutcome { not_taken: 6, fewer_samples: 1, reused_ids: 39 };
        let page = summary_page(&RunSummary { outcome, ..summary() }, Style::PLAIN);
        let kept = "\n  kept      6 rows differ from what is stored and were not taken (1 with fewer samples than the stored \
                    bucket): a correction needs a higher\n            `version`, ";
        assert!(page.contains(kept), "{page}");
        assert!(
            page.contains("\n  same id   39 copies of an event_id with another time were taken as amendments"),
            "{page}"
        );
        assert!(!summary_page(&summary(), Style::PLAIN).contains("kept"));
    }

    #[test]
    fn the_end_of_a_run_names_colonies_that_are_lost() {
        let lost = RunSummary {
            progress: Progress { colonies: (1, 2), ..progress() },
            unreachable: BTreeMap::from([("shop".to_owned(), "127.0.0.1:9: no\x1b[2J\nanswer".to_owned())]),
            ..summary()
        };
        let page = summary_page(&lost, Style::PLAIN);
        assert!(
            page.ends_with("\n  colonies  1 of 2 answering\n            unreachable shop: 127.0.0.1:9: no [2J answer"),
            "{page}"
        );
    }

    #[test]
    fn escape_codes_appear_only_in_colour() {
        for style in [Style::PLAIN, Style { colour: true }] {
            assert_eq!(summary_page(&summary(), style).contains('\x1b'), style.colour);
        }
    }
}
