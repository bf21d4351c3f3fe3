//! A report: what one event says about a deployment of a service.

use super::words::{Phase, act_of};
use model::event::Event;
use model::time::TimeMs;
use model::version::{Version, folded, named};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one event says. Reports are ordered by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Report {
    /// When it was said.
    pub at: TimeMs,
    /// The event.
    pub event_id: String,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony.
    pub environment: String,
    /// What it says.
    pub phase: Phase,
    /// The version before is put back.
    pub is_rollback: bool,
    /// What the reporting tool calls the deployment.
    pub reference: Option<String>,
    /// The version before.
    pub from: Option<Version>,
    /// The new version.
    pub to: Option<Version>,
    /// How long it took, if the event says.
    pub duration_ms: Option<i64>,
}

/// Metadata fields that identify a deployment, in lower case without separators, best first.
const REFERENCE_FIELDS: [&str; 11] = [
    "deploymentid",
    "deployid",
    "releaseid",
    "rolloutid",
    "changeid",
    "pipelineid",
    "pipelinerunid",
    "workflowrunid",
    "runid",
    "buildid",
    "jobid",
];

/// Longest deployment whose duration is believed.
const DURATION_MS_MAX: i64 = 24 * 3_600_000;

impl Report {
    /// What `event` says about a deployment, if anything.
    pub fn of(event: &Event) -> Option<Report> {
        let act = act_of(event)?;
        let versions = named(&event.metadata, &event.description);
        let fields: BTreeMap<String, &str> =
            event.metadata.iter().map(|(name, value)| (folded(name), value.as_str())).collect();
        let reference = REFERENCE_FIELDS.iter().find_map(|name| fields.get(*name));
        let reference = reference.map(|value| value.trim()).filter(|value| !value.is_empty());
        Some(Report {
            at: event.timestamp,
            event_id: event.event_id.clone(),
            application_name: event.application_name.clone(),
            environment: event.environment.clone(),
            phase: act.phase,
            is_rollback: act.is_rollback,
            reference: reference.map(str::to_owned),
            from: versions.from,
            to: versions.to,
            duration_ms: duration_ms(&fields).filter(|duration| (0..=DURATION_MS_MAX).contains(duration)),
        })
    }

    /// When the deployment began, as far as this report says.
    pub fn began_at(&self) -> TimeMs {
        match (self.phase, self.duration_ms) {
            (Phase::Started, _) | (_, None) => self.at,
            (_, Some(duration_ms)) => self.at - duration_ms,
        }
    }
}

fn duration_ms(fields: &BTreeMap<String, &str>) -> Option<i64> {
    let number = |names: &[&str], unit_ms: f64| {
        let value = names.iter().find_map(|name| fields.get(*name)?.trim().parse::<f64>().ok())?;
        value.is_finite().then_some((value * unit_ms) as i64)
    };
    number(&["durationms", "durationmillis", "elapsedms"], 1.0)
        .or_else(|| number(&["durationseconds", "durations", "durationsec", "elapsedseconds"], 1_000.0))
        .or_else(|| number(&["durationminutes", "durationmin"], 60_000.0))
        .or_else(|| {
            let text = fields.get("duration")?.trim();
            text.parse::<f64>().ok().map(|seconds| (seconds * 1_000.0) as i64).or_else(|| spelled_ms(text))
        })
}

/// `1h2m3s`, `90s`, `4 min`.
fn spelled_ms(text: &str) -> Option<i64> {
    let mut total = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1.0,
            "s" | "sec" | "secs" | "second" | "seconds" => 1e3,
            "m" | "min" | "mins" | "minute" | "minutes" => 6e4,
            "h" | "hr" | "hour" | "hours" => 3.6e6,
            _ => return None,
        };
        total += number * unit_ms;
        rest = rest[letters..].trim_start();
    }
    (total > 0.0).then_some(total as i64)
}
