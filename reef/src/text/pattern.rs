//! One pattern as text: the sentence first, then its numbers, then source and target.

use crate::printable::{printable, shortened, wrapped};
use crate::report::PatternLine;
use model::pattern::PatternState;
use model::time::{SECOND_MS, format_duration_ms};

/// Widest line, in characters, where ids and reasons allow.
pub(super) const COLUMNS_MAX: usize = 120;
/// Where everything but the state starts.
pub(super) const INDENT: usize = 11;
/// Most lines of a sentence.
const SENTENCE_LINES_MAX: usize = 4;
/// ` -> ` or ` <> `.
const ARROW_COLUMNS: usize = 4;
/// Widest end of a pattern: two of them, the arrow and the indentation fill a line.
const END_COLUMNS_MAX: usize = (COLUMNS_MAX - INDENT - ARROW_COLUMNS) / 2;

/// A pattern as lines, each with its line break.
pub(crate) fn block(line: &PatternLine) -> String {
    let mut text = String::new();
    let sentence = wrapped(&line.pattern_description, COLUMNS_MAX - INDENT, SENTENCE_LINES_MAX);
    for (number, part) in sentence.iter().enumerate() {
        let state = if number == 0 { line.state } else { "" };
        text.push_str(&format!("{state:<INDENT$}{part}\n"));
    }
    text.push_str(&format!("{:INDENT$}{}\n", "", numbers(line)));
    text.push_str(&format!("{:INDENT$}{}\n", "", ends(line)));
    if let Some(open) = still_open(line) {
        text.push_str(&format!("{:INDENT$}{open}\n", ""));
    }
    let why = line.reason.as_ref().filter(|_| line.state != PatternState::Confirmed.as_str());
    let because = match &line.explained_by {
        Some(explanation) => Some(explained(explanation)),
        None => why.map(|why| format!("not confirmed: {}", printable(why))),
    };
    for part in because.iter().flat_map(|because| wrapped(because, COLUMNS_MAX - INDENT, SENTENCE_LINES_MAX)) {
        text.push_str(&format!("{:INDENT$}{part}\n", ""));
    }
    text
}

/// The cases at the end of the data, for which it is too early to say.
fn still_open(line: &PatternLine) -> Option<String> {
    let until = line.open_until.as_ref()?;
    match line.open_count {
        0 => None,
        1 => Some(format!("1 more case is still open: it counts as followed or not by {until}")),
        many => {
            Some(format!("{many} more cases are still open: each counts as followed or not by {until} at the latest"))
        }
    }
}

/// A pattern on one line.
pub fn line(line: &PatternLine) -> String {
    let sentence = shortened(&line.pattern_description, COLUMNS_MAX * SENTENCE_LINES_MAX);
    format!("{sentence} · {} · {}", ends(line), numbers(line))
}

/// `lag 2h15m (2h10m to 2h19m) · score 0.90 · confidence 0.9700 · 12 times · c-…`.
fn numbers(line: &PatternLine) -> String {
    let count = match line.source_kind {
        "metric" => format!("{} points", line.occurrence_count),
        _ if line.occurrence_count == 1 => "1 time".to_owned(),
        _ => format!("{} times", line.occurrence_count),
    };
    let confidence = confidence(line.confidence);
    format!("lag {} · {} · confidence {confidence} · {count} · {}", lag(line), score(line), line.correlation_id)
}

fn lag(line: &PatternLine) -> String {
    let (low, high) = (line.lag_low_seconds, line.lag_high_seconds);
    if low < 0 && high > 0 && line.lag_seconds != 0 {
        let before = duration(low.saturating_neg());
        return format!("{}, unsure: from {before} before to {} after", duration(line.lag_seconds), duration(high));
    }
    format!("{} ({} to {})", duration(line.lag_seconds), duration(low), duration(high))
}

pub(crate) fn duration(seconds: i32) -> String {
    format_duration_ms(i64::from(seconds) * SECOND_MS)
}

/// The certainty factor of an event pattern; r with its sign of a metric pair.
pub(super) fn score(line: &PatternLine) -> String {
    match line.source_kind {
        "metric" => format!("r={:.2}", line.coefficient),
        _ => format!("score {:.2}", line.correlation_score),
    }
}

/// Never rounded up to certainty.
pub(crate) fn confidence(confidence: f64) -> String {
    if confidence > 0.9999 { ">0.9999".to_owned() } else { format!("{confidence:.4}") }
}

/// What leads to what, on one line.
pub(super) fn ends(line: &PatternLine) -> String {
    // a lag of zero means that the two move together, not which one leads
    let arrow = if line.lag_seconds == 0 { "<>" } else { "->" };
    let source = end(
        &line.source_colony_id,
        &line.source_application,
        &line.source_environment,
        &line.source_service,
        &line.source_signal,
    );
    let target = end(
        &line.target_colony_id,
        &line.target_application,
        &line.target_environment,
        &line.target_service,
        &line.target_signal,
    );
    format!("{source} {arrow} {target}")
}

/// `application/environment/service/signal`; missing parts are replaced by the colony's id.
fn end(colony_id: &str, application: &str, environment: &str, service: &str, signal: &str) -> String {
    let place = match (application, environment) {
        ("", _) => colony_id.to_owned(),
        (application, "") => application.to_owned(),
        (application, environment) => format!("{application}/{environment}"),
    };
    shortened(&format!("{place}/{service}/{signal}"), END_COLUMNS_MAX)
}

/// What explains a pattern away, as a sentence.
pub(crate) fn explained(explanation: &str) -> String {
    let (kind, what) = explanation.split_once(':').unwrap_or((explanation, ""));
    match (kind, what) {
        ("daily_cycle", _) => "explained by: both follow the daily cycle".to_owned(),
        ("common_cause", "shared_load") => "explained by: a load that all of them share".to_owned(),
        ("common_cause", cause) => format!("explained by: both follow {}", printable(cause)),
        ("mediator", middle) => format!("explained by: {}, by which one reaches the other", printable(middle)),
        ("mirror", other) => format!("explained by: {} read backwards", printable(other)),
        ("few_points", _) => "explained by: a few extreme points, or one part of the window".to_owned(),
        ("co_moving", _) => "explained by: it is as strong the other way, so it has no direction".to_owned(),
        _ => format!("explained by: {}", printable(explanation)),
    }
}

/// How the candidates with one kind of explanation are counted in a single line: `15 more …`.
pub(super) fn folded(kind: &str) -> String {
    match kind {
        "daily_cycle" => "move together with the daily cycle".to_owned(),
        "common_cause" => "follow a cause that both ends share".to_owned(),
        "mediator" => "reach their end by a third one that is listed".to_owned(),
        "mirror" => "are the reverse reading of another pattern".to_owned(),
        "few_points" => "rest on a few extreme points or on one part of the window".to_owned(),
        "co_moving" => "are as strong the other way, without a direction".to_owned(),
        "part_of" => "follow from a pattern that is listed".to_owned(),
        other => format!("are explained by {}", printable(other)),
    }
}
