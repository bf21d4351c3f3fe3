//! Reports and differences as plain text. Each pattern has two lines: its numbers, and below them what leads to what.

use crate::diff::{PatternChange, PatternDiff};
use crate::report::{PatternLine, Report};
use model::time::{SECOND_MS, format_duration_ms};

/// Widest line, in characters, where ids and reasons allow.
const COLUMNS_MAX: usize = 120;
/// Where the second line of a pattern starts.
const INDENT: usize = 11;
/// ` -> ` or ` <> `.
const ARROW_COLUMNS: usize = 4;
/// Widest end of a pattern: two of them, the arrow and the indentation fill a line.
const END_COLUMNS_MAX: usize = (COLUMNS_MAX - INDENT - ARROW_COLUMNS) / 2;
/// Widest reason in `EXPLAINED BY`.
const REASON_COLUMNS_MAX: usize = 29;

pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    if report.confirmed.is_empty() {
        text.push_str("No pattern is confirmed.\n");
    } else {
        text.push_str(&format!("Confirmed patterns: {}\n\n", report.counts.confirmed));
        text.push_str(&table(&report.confirmed));
    }
    if !report.candidates.is_empty() {
        let shown = report.candidates.len();
        text.push_str(&format!(
            "\nCandidates, not beyond chance so far: {}{}\n\n",
            report.counts.candidates,
            if (shown as u64) < report.counts.candidates { format!(", the best {shown}") } else { String::new() }
        ));
        text.push_str(&table(&report.candidates));
    }
    if report.confirmed.is_empty() {
        text.push_str(&format!("\n{}\n", why_empty(report)));
    }
    text.push_str(&format!("\n{}\n", totals_line(report)));
    text.push_str(&format!("Stored in {}\n", printable(&report.store)));
    text
}

pub(crate) fn render_diff(diff: &PatternDiff, most: usize) -> String {
    let counts = &diff.counts;
    if diff.is_empty() {
        return format!("Patterns: nothing differs, {} unchanged\n", counts.unchanged);
    }
    let mut text = format!(
        "Patterns: {} gained, {} lost, {} changed, {} unchanged; confirmed: {} more, {} no longer\n",
        counts.gained, counts.lost, counts.changed, counts.unchanged, counts.gained_confirmed, counts.lost_confirmed
    );
    let heading = |word: &str, number: usize| match number > most {
        true => format!("\n{word}: {number}, the best {most} (all: --json)\n"),
        false => format!("\n{word}: {number}\n"),
    };
    for (word, lines) in [("gained", &diff.gained), ("lost", &diff.lost)] {
        if !lines.is_empty() {
            text.push_str(&heading(word, lines.len()));
            text.push_str(&table(&lines[..lines.len().min(most)]));
        }
    }
    if !diff.changed.is_empty() {
        text.push_str(&heading("changed", diff.changed.len()));
        for change in diff.changed.iter().take(most) {
            let line = &change.after;
            let arrow = if line.lag_seconds == 0 { "<>" } else { "->" };
            text.push_str(&format!("{} {arrow} {}\n", source(line), target(line)));
            text.push_str(&format!("{:INDENT$}{}\n", "", changes(change)));
        }
    }
    text
}

/// `state candidate -> confirmed, confidence 0.8000 -> 0.9700`: what differs, as it is shown elsewhere.
fn changes(change: &PatternChange) -> String {
    let PatternChange { before, after, .. } = change;
    let reason = |line: &PatternLine| line.explained_by.as_deref().map_or("-".to_owned(), printable);
    let times = |line: &PatternLine| line.occurrence_count.to_string();
    let shown = [
        ("state", before.state.to_owned(), after.state.to_owned()),
        ("lag", duration(before.lag_seconds), duration(after.lag_seconds)),
        ("from", duration(before.lag_low_seconds), duration(after.lag_low_seconds)),
        ("to", duration(before.lag_high_seconds), duration(after.lag_high_seconds)),
        ("score", score(before), score(after)),
        ("confidence", confidence(before.confidence), confidence(after.confidence)),
        ("times", times(before), times(after)),
        ("explained by", reason(before), reason(after)),
    ];
    let parts: Vec<String> = shown
        .into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| format!("{name} {before} -> {after}"))
        .collect();
    match parts.is_empty() {
        true => format!("{} in digits not shown", change.columns.join(", ")),
        false => parts.join(", "),
    }
}

fn table(lines: &[PatternLine]) -> String {
    let ends: Vec<(String, String)> = lines.iter().map(|line| (source(line), target(line))).collect();
    let source_columns = ends.iter().map(|(source, _)| source.chars().count()).max().unwrap_or(0);
    let mut text = format!(
        "{:<9}  {:<26}  {:>7}  {:>10}  {:>5}  {:<22}  {}\n",
        "STATE", "LAG", "SCORE", "CONFIDENCE", "TIMES", "ID", "EXPLAINED BY"
    );
    for (line, (source, target)) in lines.iter().zip(ends) {
        let reason = line.explained_by.as_deref().map_or("-".to_owned(), |why| shortened(why, REASON_COLUMNS_MAX));
        text.push_str(&format!(
            "{:<9}  {:<26}  {:>7}  {:>10}  {:>5}  {:<22}  {}\n",
            line.state,
            lag(line),
            score(line),
            confidence(line.confidence),
            line.occurrence_count,
            line.correlation_id,
            reason
        ));
        // a lag of nothing says that the two move together, not which one leads
        let arrow = if line.lag_seconds == 0 { "<>" } else { "->" };
        text.push_str(&format!("{:INDENT$}{source:<source_columns$} {arrow} {target}\n", ""));
    }
    text
}

fn lag(line: &PatternLine) -> String {
    let (low, high) = (duration(line.lag_low_seconds), duration(line.lag_high_seconds));
    format!("{} ({low} to {high})", duration(line.lag_seconds))
}

fn duration(seconds: i32) -> String {
    format_duration_ms(i64::from(seconds) * SECOND_MS)
}

/// The certainty factor of an event pattern; r with its sign of a metric pair.
fn score(line: &PatternLine) -> String {
    match line.source_kind {
        "metric" => format!("r={:.2}", line.coefficient),
        _ => format!("{:.2}", line.correlation_score),
    }
}

/// Never rounded up to certainty.
fn confidence(confidence: f64) -> String {
    if confidence > 0.9999 { ">0.9999".to_owned() } else { format!("{confidence:.4}") }
}

fn source(line: &PatternLine) -> String {
    end(
        &line.source_colony_id,
        &line.source_application,
        &line.source_environment,
        &line.source_service,
        &line.source_signal,
    )
}

fn target(line: &PatternLine) -> String {
    end(
        &line.target_colony_id,
        &line.target_application,
        &line.target_environment,
        &line.target_service,
        &line.target_signal,
    )
}

/// `application/environment/service/signal`; the colony's id stands in for what it does not say.
fn end(colony_id: &str, application: &str, environment: &str, service: &str, signal: &str) -> String {
    let place = match (application, environment) {
        ("", _) => colony_id.to_owned(),
        (application, "") => application.to_owned(),
        (application, environment) => format!("{application}/{environment}"),
    };
    shortened(&format!("{place}/{service}/{signal}"), END_COLUMNS_MAX)
}

/// `text` without control characters, at most `columns_max` characters, cut in the middle: both ends of a name matter.
fn shortened(text: &str, columns_max: usize) -> String {
    let characters: Vec<char> = printable(text).chars().collect();
    if characters.len() <= columns_max {
        return characters.into_iter().collect();
    }
    let kept = columns_max.saturating_sub(1);
    let tail = kept / 2;
    let head: String = characters[..kept - tail].iter().collect();
    let tail: String = characters[characters.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}

/// Names come from outside: what would move the cursor or colour the terminal is shown as `·`.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// Why nothing is confirmed, and what to do about it.
fn why_empty(report: &Report) -> String {
    let rows = |table: &str| report.totals.rows.get(table).copied().unwrap_or(0);
    let refused: u64 = report.totals.rejects.values().sum();
    if rows("federated_events") + rows("federated_metrics") == 0 {
        return if refused > 0 {
            format!(
                "Every row read was refused ({refused} in all). Look at the reasons: SELECT reason, place, detail FROM \
                 rejects;"
            )
        } else {
            "The store holds no events and no metrics. Check that the sources name files or colonies that have data: \
             coral-pipeline validate <reef.toml>"
                .to_owned()
        };
    }
    if report.counts.candidates == 0 {
        return "Nothing repeated often enough to be a candidate. Patterns need at least two colonies and some \
                repetition (`min_occurrences`) within the longest lag (`max_lag`): read more history, or widen these."
            .to_owned();
    }
    "What repeats is not yet distinguishable from chance. More history decides it; a wider `false_discovery_rate` shows \
     more at the price of more false patterns."
        .to_owned()
}

fn totals_line(report: &Report) -> String {
    let rows = |table: &str| report.totals.rows.get(table).copied().unwrap_or(0);
    let mut parts = vec![
        format!("{} events", rows("federated_events")),
        format!("{} metric rows", rows("federated_metrics")),
        format!("{} late", report.totals.late),
    ];
    let refused: u64 = report.totals.rejects.values().sum();
    let reasons: Vec<String> =
        report.totals.rejects.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    parts.push(if refused == 0 {
        "0 refused".to_owned()
    } else {
        format!("{refused} refused ({})", reasons.join(", "))
    });
    if report.counts.withdrawn > 0 {
        parts.push(format!("{} patterns withdrawn", report.counts.withdrawn));
    }
    parts.join(", ")
}
