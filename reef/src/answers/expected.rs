//! Expected: a prediction in one sentence.

use super::page;
use crate::predicted::{PredictionLine, PredictionOutcome};
use crate::printable::printable;
use model::pattern::ANY_SERVICE;
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

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The greatest probability that is shown: never certain.
const SHOWN_MAX: f64 = 0.99;

/// A probability as a percentage.
pub(super) fn probability(share: f64) -> String {
    percent(share.min(SHOWN_MAX))
}

/// Each time is written in full: the command line shows it in the zone of its reader.
fn summary(line: &PredictionLine) -> String {
    let (from, to) = (page::time(line.times.from), page::time(line.times.to));
    let (target, source, id) = (target(line), source(line), &line.correlation_id);
    let probability = probability(line.probability);
    let because = format!("because of {source} at {} ({id})", page::time(line.times.issued));
    match line.outcome {
        PredictionOutcome::Open => {
            format!("{target} expected between {from} and {to}, {probability}, {because}")
        }
        PredictionOutcome::Hit => {
            let came = line.times.resolved.map_or(String::new(), |at| format!(" at {}", page::time(at)));
            format!("{target} came{came}, expected between {from} and {to}, {probability}, {because}")
        }
        PredictionOutcome::Miss => {
            format!("{target} did not come between {from} and {to}, {probability}, {because}")
        }
        PredictionOutcome::Void => format!(
            "{target} between {from} and {to}: nothing was heard of {}, {because}",
            printable(&line.target_colony_id)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_never_certain_and_a_share_of_counts_may_be_all() {
        assert_eq!([0.864, 0.996, 1.0].map(probability), ["86 %", "99 %", "99 %"]);
        assert_eq!(percent(1.0), "100 %");
    }
}
