//! The summary of a run: rows, rejects, patterns, and unreachable colonies.

use super::clock_note;
use super::input_note;
use super::meter::per_second;
use crate::output::Style;
use crate::text::{count, counted};
use model::time::{HOUR_MS, format_duration_ms};
use pipelines::progress::{Ended, RowOutcome, RunSummary};
use std::path::Path;

/// The numbers of a run of `config` that has ended: a heading, then one labelled line for each thing there is to say.
pub fn summary_page(summary: &RunSummary, config: &Path, style: Style) -> String {
    let progress = &summary.progress;
    let ended = match summary.ended {
        Ended::InputFinished => "all input read",
        Ended::Stopped => "stopped and drained; start again to resume",
    };
    let mut lines = vec![style.bold(&format!("Run: {ended}")), labelled("rows", &rows_text(summary))];
    if let Some(time) = progress.event_time {
        lines.push(labelled("reached", &format!("event time {time}")));
    }
    // the number of ticks is not among them: it depends on the speed of the machine, and the rest only on the rows
    lines.push(labelled("late", &counted(progress.late, "row")));
    lines.extend(backfill_hint(summary, config).map(|hint| labelled("", &hint)));
    lines.push(labelled("rejects", &rejects_text(summary)));
    lines.extend(outcome_lines(summary));
    lines.extend(input_note::lines(&summary.inputs, style).iter().map(|(label, text)| labelled(label, text)));
    lines.extend(summary.held.as_ref().map(|held| labelled("ahead", &clock_note::held_text(held))));
    lines.extend(clock_note::outside_texts(summary).iter().map(|text| labelled("outside", text)));
    lines.extend(clock_note::deleted_text(summary).map(|text| labelled("deleted", &text)));
    let tested = counted(summary.event_pairs_tested, "pair");
    lines.push(labelled(
        "tested",
        &format!("{tested} of event types, {} of metrics", count(summary.metric_pairs_tested)),
    ));
    let patterns = format!("{} confirmed, {} candidates", count(progress.confirmed), count(progress.candidates));
    lines.push(labelled("patterns", &patterns));
    for (place, why) in summary.unconfirmed.iter().enumerate() {
        // names of series are in it: one line, no escape codes
        lines.push(labelled(if place == 0 { "why" } else { "" }, &why.replace(char::is_control, " ")));
    }
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

/// The command that makes late rows count.
pub(super) fn backfill_hint(summary: &RunSummary, config: &Path) -> Option<String> {
    let from = summary.progress.late_from?.floor_to(HOUR_MS);
    let (config, from) = (config.display(), from.to_string().replace(".000Z", "Z"));
    Some(format!("late rows are stored; they count after: coral-pipeline backfill {config} --from {from}"))
}

fn rejects_text(summary: &RunSummary) -> String {
    if summary.progress.rejects == 0 {
        return "none".to_owned();
    }
    let reasons: Vec<String> =
        summary.rejects_by_reason.iter().map(|(reason, rows)| format!("{reason} {}", count(*rows))).collect();
    format!("{} ({}); see table rejects", count(summary.progress.rejects), reasons.join(", "))
}

/// Rows that lost against stored ones: without this note an intended correction would be missed.
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
        let text = format!("{rows} from what is stored and {were} not applied{fewer}: a correction needs a higher");
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
            "event is kept, so an id must name one occurrence (an alert and the start of its firing)",
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::progress_line::tests::progress;
    use model::time::TimeMs;
    use pipelines::deferred::DeferredRows;
    use pipelines::progress::Progress;
    use pipelines::progress::{Outside, OutsideRows};
    use sources::InputReport;
    use std::collections::BTreeMap;

    fn summary() -> RunSummary {
        RunSummary {
            ended: Ended::InputFinished,
            progress: progress(),
            rejects_by_reason: BTreeMap::from([("not_finite".to_owned(), 2)]),
            outcome: RowOutcome::default(),
            inputs: InputReport::default(),
            held: None,
            outside: OutsideRows::default(),
            deleted: BTreeMap::new(),
            event_pairs_tested: 56,
            metric_pairs_tested: 0,
            unconfirmed: Vec::new(),
            unreachable: BTreeMap::new(),
            elapsed_ms: 100_000,
            store: "DuckDB .coral/r.duckdb".to_owned(),
        }
    }

    #[test]
    fn the_end_of_a_run() {
        assert_eq!(
            summary_page(&summary(), Path::new("r.toml"), Style::PLAIN),
            "Run: all input read\n  \
             rows      1,234,567 (1,200,000 events, 34,567 metrics) in 1m40s, 12,345 rows/s\n  \
             reached   event time 2023-01-03T19:06:18.000Z\n  \
             late      0 rows\n  \
             rejects   2 (not_finite 2); see table rejects\n  \
             tested    56 pairs of event types, 0 of metrics\n  \
             patterns  5 confirmed, 12 candidates\n  \
             stored    DuckDB .coral/r.duckdb"
        );
    }

    #[test]
    fn rows_that_were_not_applied_and_ids_that_were_reused_are_reported() {
        let outcome = RowOutcome { not_taken: 6, fewer_samples: 1, reused_ids: 39 };
        let page = summary_page(&RunSummary { outcome, ..summary() }, Path::new("r.toml"), Style::PLAIN);
        let kept = "\n  kept      6 rows differ from what is stored and were not applied (1 with fewer samples than \
                    the stored bucket): a correction needs a higher\n            `version`, ";
        assert!(page.contains(kept), "{page}");
        assert!(
            page.contains("\n  same id   39 copies of an event_id with another time were taken as amendments"),
            "{page}"
        );
        assert!(!summary_page(&summary(), Path::new("r.toml"), Style::PLAIN).contains("kept"));
    }

    #[test]
    fn the_end_of_a_run_names_colonies_that_are_lost() {
        let lost = RunSummary {
            progress: Progress { colonies: (1, 2), ..progress() },
            unreachable: BTreeMap::from([("shop".to_owned(), "127.0.0.1:9: no\x1b[2J\nanswer".to_owned())]),
            ..summary()
        };
        let page = summary_page(&lost, Path::new("r.toml"), Style::PLAIN);
        assert!(
            page.ends_with("\n  colonies  1 of 2 answering\n            unreachable shop: 127.0.0.1:9: no [2J answer"),
            "{page}"
        );
    }

    #[test]
    fn late_rows_come_with_the_command_that_makes_them_count() {
        let late = Progress { late: 35, late_from: Some(TimeMs(1_672_772_778_000)), ..progress() };
        let page = summary_page(&RunSummary { progress: late, ..summary() }, Path::new("r.toml"), Style::PLAIN);
        let line = "\n            late rows are stored; they count after: coral-pipeline backfill r.toml --from \
                    2023-01-03T19:00:00Z\n";
        assert!(page.contains(line), "{page}");
        assert!(!summary_page(&summary(), Path::new("r.toml"), Style::PLAIN).contains("backfill"));
    }

    #[test]
    fn rows_after_the_clock_and_deleted_rows_have_a_line() {
        let at = |day: i64| TimeMs(1_672_704_000_000 + day * 86_400_000);
        let (rows, met) = (40, 40);
        let held = DeferredRows { rows, met, first: at(10), last: at(11), clock: at(0), read_again_from: at(9) };
        let deleted = BTreeMap::from([("federated_events".to_owned(), 1_200)]);
        let page =
            summary_page(&RunSummary { held: Some(held), deleted, ..summary() }, Path::new("r.toml"), Style::PLAIN);
        let lines = "\n  ahead     40 rows more than a day after this machine's clock, 2023-01-03T00:00:00.000Z: they say \
                     2023-01-13T00:00:00.000Z to 2023-01-14T00:00:00.000Z. The first run after 2023-01-12T00:00:00.000Z \
                     reads them again\n  deleted   1,200 of federated_events: beyond storage.retention\n";
        assert!(page.contains(lines), "{page}");
    }

    #[test]
    fn rows_outside_the_look_back_are_reported_with_the_reason() {
        let outside = Outside { now: TimeMs(1_672_704_000_000), since: TimeMs(0), newer: 1, older: Some(70) };
        let rows = OutsideRows { events: Some(outside), metrics: None };
        let page = summary_page(&RunSummary { outside: rows, ..summary() }, Path::new("r.toml"), Style::PLAIN);
        let lines = "\n  outside   1 event a day or more after 2023-01-03T00:00:00.000Z, the time of the patterns: \
                     the other colonies have not reached it yet, or a clock is wrong\n  outside   70 events older \
                     than the \
                     look-back of the patterns, which begins 1970-01-01T00:00:00.000Z\n";
        assert!(page.contains(lines), "{page}");
    }

    #[test]
    fn a_run_that_took_less_than_lay_ahead_of_the_clock_fails() {
        let (first, path) = (TimeMs(1_672_704_000_000), Path::new("r.toml"));
        let held = DeferredRows { rows: 9, met: 9, first, last: first, clock: first, read_again_from: first };
        let of = |events: u64| RunSummary {
            held: Some(held),
            progress: Progress { events, metrics: 0, ..progress() },
            ..summary()
        };
        let failure = clock_note::wrong_clock(&of(8), path).expect("it fails");
        assert_eq!((failure.exit, failure.code), (crate::exit::Exit::Failed, "clock_behind"));
        assert!(clock_note::wrong_clock(&of(9), path).is_none());
        assert!(clock_note::wrong_clock(&summary(), path).is_none());
    }

    #[test]
    fn a_run_that_confirms_nothing_says_why() {
        let unconfirmed = vec!["no pair of event types could be tested".to_owned(), "12 pairs\ntested".to_owned()];
        let page = summary_page(&RunSummary { unconfirmed, ..summary() }, Path::new("r.toml"), Style::PLAIN);
        let lines = "candidates\n  why       no pair of event types could be tested\n            \
                     12 pairs tested\n  stored";
        assert!(page.contains(lines), "{page}");
    }

    #[test]
    fn escape_codes_appear_only_in_colour() {
        for style in [Style::PLAIN, Style { colour: true }] {
            assert_eq!(summary_page(&summary(), Path::new("r.toml"), style).contains('\x1b'), style.colour);
        }
    }
}
