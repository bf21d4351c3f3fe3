//! Reports as plain text: counts, each pattern as a sentence with its numbers, the reason for an empty report, the
//! rows.

mod diff;
pub(crate) mod pattern;
mod traced;
mod why;

use crate::printable::printable;
use crate::report::{PatternLine, Report};
pub use diff::diff;
pub use pattern::line;
use pattern::{block, folded};
pub use traced::traced;

/// What the words in a pattern's second line mean.
const LEGEND: &str = "score: how far the share of sources that are followed lies above chance, 0 to 1. r: the correlation of two metrics.\n\
                      confidence: 1 less the share of chance findings among patterns at least this good; confirmed from\n\
                      1 - correlation.false_discovery_rate on. lag: the usual one, and its range.\n";

/// The report for a terminal: ends with a line break, has no colours. Candidates that something simpler explains are
/// counted only.
pub fn report(report: &Report) -> String {
    render(report, false)
}

/// The same, explained candidates and withdrawn patterns listed too.
pub fn full_report(report: &Report) -> String {
    render(report, true)
}

fn render(report: &Report, everything: bool) -> String {
    let candidates: Vec<&PatternLine> = report
        .candidates
        .iter()
        .filter(|line| everything || line.explained_by.is_none() && line.part_of.is_none())
        .collect();
    let mut text = headline(report) + &as_of(report);
    if !report.confirmed.is_empty() {
        text.push('\n');
        report.confirmed.iter().for_each(|line| text.push_str(&block(line)));
    }
    if !candidates.is_empty() {
        text.push_str("\nCandidates, not beyond chance so far:\n\n");
        candidates.iter().for_each(|line| text.push_str(&block(line)));
    }
    if everything && !report.withdrawn.is_empty() {
        text.push_str("\nWithdrawn, once confirmed and no longer beyond chance:\n\n");
        report.withdrawn.iter().for_each(|line| text.push_str(&block(line)));
    }
    text.push_str(&the_rest(report, candidates.len() as u64, everything));
    if report.confirmed.is_empty() {
        text.push_str(&format!("\n{}\n", why::why_empty(report)));
    }
    if !report.confirmed.is_empty() || !candidates.is_empty() {
        text.push_str(&format!("\n{LEGEND}"));
        text.push_str("The rows behind a pattern: coral-pipeline show <its id, or the beginning of it> <reef.toml>\n");
    }
    text.push_str(&format!("\n{}\n", totals_line(report)));
    text.push_str(&format!("Stored in {}\n", printable(&report.store)));
    text
}

/// How sure the whole is, in one line.
fn headline(report: &Report) -> String {
    let explained: u64 = report.explained.values().sum();
    let open = report.counts.candidates.saturating_sub(explained);
    let candidates = match open {
        0 => String::new(),
        1 => "; 1 candidate is not beyond chance yet".to_owned(),
        many => format!("; {many} candidates are not beyond chance yet"),
    };
    match report.counts.confirmed {
        0 => format!("No pattern is confirmed{candidates}.\n"),
        1 => format!("1 pattern is confirmed{candidates}.\n"),
        many => format!("{many} patterns are confirmed{candidates}.\n"),
    }
}

/// As of when the patterns hold, where that is not the newest row.
fn as_of(report: &Report) -> String {
    let times = [("events", report.as_of.events), ("metrics", report.as_of.metrics)];
    let times = times.into_iter().filter_map(|(what, time)| Some(format!("{} ({what})", time?)));
    let times = times.collect::<Vec<_>>().join(" and ");
    if report.as_of.is_behind {
        format!("As of {times}: newer rows are stored and not evaluated yet.\n")
    } else {
        String::new()
    }
}

/// Candidates that are not listed: weaker ones, and explained ones by what explains them.
fn the_rest(report: &Report, listed: u64, everything: bool) -> String {
    let explained: u64 = if everything { 0 } else { report.explained.values().sum() };
    let weaker = report.counts.candidates.saturating_sub(explained).saturating_sub(listed);
    let mut text = String::new();
    if weaker > 0 {
        text.push_str(&format!("\n{weaker} more candidates are weaker (coral-pipeline report --all)\n"));
    }
    if explained > 0 && !everything {
        text.push('\n');
        for (kind, count) in &report.explained {
            text.push_str(&format!("{count} more {} (coral-pipeline report --all)\n", folded(kind)));
        }
    }
    text
}

fn totals_line(report: &Report) -> String {
    let totals = &report.totals;
    let counted = |number: u64, thing: &str| format!("{number} {thing}{}", if number == 1 { "" } else { "s" });
    let colonies = match totals.colonies.len() {
        0 => String::new(),
        1 => " of 1 colony".to_owned(),
        many => format!(" of {many} colonies"),
    };
    let mut parts = vec![
        counted(totals.rows_of("federated_events"), "event"),
        counted(totals.rows_of("federated_metrics"), "metric row") + &colonies,
        format!("{} late", totals.late),
    ];
    let refused: u64 = totals.rejects.values().sum();
    let reasons: Vec<String> = totals.rejects.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    parts.push(if refused == 0 {
        "0 refused".to_owned()
    } else {
        format!("{refused} refused ({})", reasons.join(", "))
    });
    if report.counts.withdrawn > 0 {
        parts.push(format!("{} withdrawn (report --all)", counted(report.counts.withdrawn, "pattern")));
    }
    parts.join(", ")
}
