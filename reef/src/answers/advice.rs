//! Advice: what could be done about a deployment, the verdict first.

use super::incidents::Incident;
use super::page;
use super::timeline::DeploymentLine;
use crate::impact::windows::LOOKS_MIN;
use crate::impact::{Impact, Verdict};
use model::time::MINUTE_MS;

/// What is known of a deployment.
pub(super) struct Known<'a> {
    pub line: &'a DeploymentLine,
    pub impact: &'a Impact,
    pub incidents: &'a [Incident],
    /// The same version elsewhere.
    pub similar: &'a [DeploymentLine],
    /// Deployments of the colony at about the same time.
    pub overlapping: &'a [DeploymentLine],
}

impl Known<'_> {
    /// One sentence after the other.
    pub fn advice(&self) -> String {
        let sentences: Vec<String> =
            [self.of_verdict(), self.of_incidents(), self.of_similar()].into_iter().flatten().collect();
        if sentences.is_empty() { "Nothing to do.".to_owned() } else { sentences.join(" ") }
    }

    fn of_verdict(&self) -> Option<String> {
        let (line, reason) = (self.line, &self.impact.verdict_reason);
        let last_look = LOOKS_MIN[LOOKS_MIN.len() - 1];
        match (self.impact.verdict, line.status.as_str()) {
            (Verdict::Failed, "failed") => {
                Some("The deployment itself failed: see what its tool says before it is repeated.".to_owned())
            }
            (Verdict::Failed, "rolled_back") => {
                let version = if line.to_version.is_empty() { "this version" } else { line.to_version.as_str() };
                Some(format!("It was put back: find the cause before {version} is deployed again."))
            }
            (Verdict::Failed, _) => Some(format!("Put it back, or fix it now: {reason}.")),
            (Verdict::Degraded, _) => Some(format!("Watch it, and put it back if it does not recover: {reason}.")),
            (Verdict::Pending, "running") => {
                Some("No end has been reported: see what the tool that started it says.".to_owned())
            }
            (Verdict::Pending, _) => Some(format!("Not judged: {reason}.")),
            (Verdict::Success, _) if self.impact.look_minutes.is_some_and(|look| look < last_look) => {
                let until = page::time(line.end.unwrap_or(line.start) + last_look * MINUTE_MS);
                Some(format!("Nothing got worse so far; ask again after {until} for the last look."))
            }
            (Verdict::Success, _) => None,
        }
    }

    fn of_incidents(&self) -> Option<String> {
        if let Some(pattern) = self.incidents.iter().find_map(|incident| incident.correlation_id.as_ref()) {
            Some(format!("A confirmed pattern joins it with what followed: coral reef correlation {pattern}."))
        } else if self.incidents.is_empty() {
            None
        } else if !self.overlapping.is_empty() {
            Some("Other deployments of this colony overlap with it: what followed may belong to either.".to_owned())
        } else {
            Some("Look at what followed; no pattern joins it with the deployment so far.".to_owned())
        }
    }

    fn of_similar(&self) -> Option<String> {
        let is_trouble = |other: &&DeploymentLine| {
            other.start <= self.line.start && ["failed", "rolled_back"].contains(&other.status.as_str())
        };
        let place = self.similar.iter().find(is_trouble)?.place();
        Some(format!("The same version was not kept in {place} before."))
    }
}
