//! Expected: a prediction in one sentence.

use crate::predicted::{PredictionLine, PredictionOutcome};
use crate::printable::printable;
use model::pattern::ANY_SERVICE;
use model::time::TimeMs;
use serde::Serialize;

/// A prediction and its sentence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// In one sentence.
    pub summary: String,
    /// Its row.
    #[serde(flatten)]
    pub line: PredictionLine,
}

impl Told {
    /// With its sentence.
    pub(crate) fn of(line: PredictionLine) -> Told {
        Told { summary: summary(&line), line }
    }
}

/// `production`, or the colony where its environment is unknown.
fn place<'a>(environment: &'a str, colony_id: &'a str) -> &'a str {
    if environment.is_empty() { colony_id } else { environment }
}

/// `checkout`, or the application where the pattern is one of whole colonies.
fn service<'a>(service_id: &'a str, application: &'a str, colony_id: &'a str) -> &'a str {
    match service_id {
        ANY_SERVICE if application.is_empty() => colony_id,
        ANY_SERVICE => application,
        service_id => service_id,
    }
}

fn target(line: &PredictionLine) -> String {
    let service = service(&line.target_service, &line.target_application, &line.target_colony_id);
    let place = place(&line.target_environment, &line.target_colony_id);
    printable(&format!("{} in {place} {service}", line.target_signal.replace('_', " ")))
}

fn source(line: &PredictionLine) -> String {
    let service = service(&line.source_service, &line.source_application, &line.source_colony_id);
    let place = place(&line.source_environment, &line.source_colony_id);
    printable(&format!("{} of {service} in {place}", line.source_signal.replace('_', " ")))
}

/// Source and target of its pattern.
pub(super) fn description(line: &PredictionLine) -> String {
    format!("{} -> {}", source(line), target(line))
}

/// `2024-11-13` and `14:05`.
fn day_and_clock(time: TimeMs) -> (String, String) {
    let text = time.to_string();
    let (day, rest) = text.split_once('T').unwrap_or((&text, ""));
    (day.to_owned(), rest.chars().take(5).collect())
}

/// The expected interval; the day of its end only where it is another one.
fn interval(line: &PredictionLine) -> (String, String) {
    let ((day, from), (last_day, to)) = (day_and_clock(line.times.from), day_and_clock(line.times.to));
    let to = if last_day == day { to } else { format!("{last_day} {to}") };
    (format!("{day} {from}"), to)
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn summary(line: &PredictionLine) -> String {
    let (from, to) = interval(line);
    let (target, source, id) = (target(line), source(line), &line.correlation_id);
    let probability = percent(line.probability);
    let at = day_and_clock(line.times.issued);
    let at = if from.starts_with(&at.0) { at.1 } else { format!("{} {}", at.0, at.1) };
    let because = format!("because of {source} at {at} ({id})");
    let came = |at: Option<TimeMs>| at.map_or(String::new(), |at| format!(" at {}", day_and_clock(at).1));
    match line.outcome {
        PredictionOutcome::Open => {
            format!("{target} expected between {from} and {to} UTC, {probability}, {because}")
        }
        PredictionOutcome::Hit => format!(
            "{target} came{}, expected between {from} and {to} UTC, {probability}, {because}",
            came(line.times.resolved)
        ),
        PredictionOutcome::Miss => {
            format!("{target} did not come between {from} and {to} UTC, {probability}, {because}")
        }
        PredictionOutcome::Void => format!(
            "{target} between {from} and {to} UTC: nothing was heard of {}, {because}",
            printable(&line.target_colony_id)
        ),
    }
}
