//! One deployment: what it was, what followed it, and how the same version did elsewhere.

use super::advice::Known;
use super::completeness::Completeness;
use super::fleet::{Fleet, Scope};
use super::incidents::{Followed, followed};
use super::names;
use super::page;
use super::refusal::{AnswerError, Refusal};
use super::supports::also_worse_in;
use super::timeline::{self, DeploymentLine};
use super::watch::{impact_on, overlapping, siblings_of};
use crate::impact::Impact;
use crate::printable::printable;
use model::meaning::Family;
use model::time::{TimeMs, format_duration_ms};
use model::version::Version;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::collections::BTreeSet;

pub use super::incidents::Incident;

/// Most metrics of the text.
const CHANGES_MAX: usize = 12;
/// A metric that moves by less is called stable, in percent.
const STABLE_PERCENT: f64 = 2.0;
/// Most incidents of an answer.
const INCIDENTS_MAX: usize = 20;

/// Which deployment is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentQuestion {
    /// Its id, what a tool calls it, an event that reports it, or the beginning of one of these.
    pub id: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deployment {
    /// In one sentence.
    pub summary: String,
    /// The deployment.
    pub deployment: DeploymentLine,
    /// What it did to its service.
    pub impact: DeploymentImpact,
    /// The same version of the same service in other colonies, the newest first.
    pub similar: Vec<DeploymentLine>,
    /// Other deployments of the colony that began before what followed this one was over.
    pub overlapping: Vec<DeploymentLine>,
    /// What could be done.
    pub recommendation: String,
    /// What the answer is complete to: its colony, the one whose change its verdict subtracts, those with the same version,
    /// and those in which patterns expect what follows.
    pub completeness: Completeness,
}

/// What a deployment did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeploymentImpact {
    /// The metrics of the service, and the verdict.
    #[serde(flatten)]
    pub metrics: Impact,
    /// Colonies in which this version made its worst metric worse, this one first; empty where it made none worse.
    pub also_worse_in: Vec<String>,
    /// What happened afterwards: the members of confirmed patterns first, then by time.
    pub incidents: Vec<Incident>,
    /// How many there are in all.
    pub incidents_total: usize,
    /// Up to when events of its colony are known and were read, at most an hour after its end; RFC 3339.
    pub incidents_known_to: String,
    /// Whether that is the whole hour after its end.
    pub incidents_complete: bool,
    #[serde(skip)]
    known_to: TimeMs,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and an id that names none or several deployments.
pub async fn deployment(
    question: &DeploymentQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Deployment, AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let mut lines = timeline::read(reader).await?;
    lines.iter_mut().for_each(|line| line.identify(fleet.identity(&line.colony_id)));
    let line = find(&question.id, &lines).map_err(|refusal| refusal.at("deployment_id"))?;
    let similar: Vec<DeploymentLine> = lines
        .iter()
        .filter(|other| {
            other.colony_id != line.colony_id
                && other.service_id == line.service_id
                && other.application_name == line.application_name
                && !line.to_version.is_empty()
                && Version::are_same(&other.to_version, &line.to_version)
        })
        .cloned()
        .collect();
    let overlapping = overlapping(&line, &lines);
    let metrics = impact_on(&line, &lines, (&fleet, scope), reader).await?;
    let also_worse_in = also_worse_in(&line, &metrics, &similar, &scope.metrics, reader).await?;
    let followed = followed(&line, &lines, &fleet, reader).await?;
    let siblings = siblings_of([&line], &lines, &fleet);
    let completeness = Completeness::of(&fleet, |id, _| {
        id == line.colony_id
            || siblings.contains(id)
            || similar.iter().any(|other| other.colony_id == id)
            || followed.expected_in.contains(id)
    });
    let known = Known {
        line: &line,
        impact: &metrics,
        incidents: &followed.incidents,
        similar: &similar,
        overlapping: &overlapping,
    };
    Ok(Deployment {
        summary: summary(&line, &metrics, &followed),
        recommendation: known.advice(),
        impact: DeploymentImpact {
            metrics,
            also_worse_in,
            incidents_total: followed.incidents.len(),
            incidents: followed.incidents.into_iter().take(INCIDENTS_MAX).collect(),
            incidents_known_to: followed.known_to.to_string(),
            incidents_complete: followed.is_whole,
            known_to: followed.known_to,
        },
        deployment: line,
        similar,
        overlapping,
        completeness,
    })
}

/// The deployment that `id` names.
pub(super) fn find(id: &str, lines: &[DeploymentLine]) -> Result<DeploymentLine, Refusal> {
    let id = id.trim();
    let names = |line: &DeploymentLine| {
        // an id is one in its colony only
        let whole = format!("{}/{}", line.colony_id, line.deployment_id);
        [vec![line.deployment_id.clone(), whole], line.reported_as.clone(), line.reported_by.clone()].concat()
    };
    let exact: Vec<&DeploymentLine> = lines.iter().filter(|line| names(line).iter().any(|name| name == id)).collect();
    let begins = || lines.iter().filter(|line| names(line).iter().any(|name| name.starts_with(id))).collect();
    let found = if exact.is_empty() && !id.is_empty() { begins() } else { exact };
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            names::check(id)?;
            let known: BTreeSet<String> = lines.iter().flat_map(names).collect();
            let near = names::near_hint("deployment", &id.to_lowercase(), &known);
            Err(Refusal::not_found(
                format!("there is no deployment {id:?}"),
                format!("{near}; list them: coral reef deployments"),
            ))
        }
        several => {
            let places: Vec<String> = several
                .iter()
                .take(6)
                .map(|line| format!("{}/{} ({})", line.colony_id, line.deployment_id, line.service_id))
                .collect();
            Err(Refusal::ambiguous(
                format!("several deployments are named {id:?}"),
                format!("one of: {}", places.join(", ")),
            ))
        }
    }
}

/// `my-shop-v2.1.0`, as far as it is known.
fn name_of(line: &DeploymentLine) -> String {
    let what = if line.service_id.is_empty() { &line.application_name } else { &line.service_id };
    match line.to_version.as_str() {
        "" => what.clone(),
        version => format!("{what} {version}"),
    }
}

fn summary(line: &DeploymentLine, metrics: &Impact, followed: &Followed) -> String {
    let status = format!("{}: {}", metrics.verdict.as_str(), metrics.verdict_reason);
    let followed = match followed.incidents.len() {
        0 if followed.is_whole => "no incident followed within an hour".to_owned(),
        0 => format!("no incident followed up to {}", page::time(followed.known_to)),
        1 => "1 incident followed".to_owned(),
        many => format!("{many} incidents followed"),
    };
    format!("{} in {} is {status}; {followed}", name_of(line), line.place())
}

/// Metric by metric, the worst first.
fn changes(impact: &Impact) -> String {
    if impact.changes.is_empty() {
        return "  no metric of the service is known before and after it\n".to_owned();
    }
    let mut text = String::new();
    for one in impact.changes.iter().take(CHANGES_MAX) {
        let unit = one.meaning.unit;
        let (before, after) = (unit.shown(one.before_value), unit.shown(one.after_value));
        let percent =
            one.percent_change.map_or(String::new(), |percent| format!(", {}", page::signed_percent(percent)));
        let way = if one.change > 0.0 { "increase" } else { "decrease" };
        let what = if one.meaning.family == Family::Latency { "p95: " } else { "" };
        let both = format!("({what}{before} → {after}{percent})");
        let told = match one.significance {
            "critical" => format!("✗ {{}}: Large {way} {both}"),
            "warning" => format!("⚠ {{}}: {} {both}", page::capital(way)),
            "info" => format!("⚠ {{}}: Slight {way} {both}"),
            _ if one.percent_change.is_some_and(|percent| percent.abs() < STABLE_PERCENT) => {
                format!("✓ {{}}: Stable ({after})")
            }
            _ => format!("✓ {{}}: No significant change {both}"),
        };
        text.push_str(&format!("  {}\n", printable(&told.replacen("{}", &page::title(&one.metric_name), 1))));
    }
    if impact.changes.len() > CHANGES_MAX {
        text.push_str(&format!("  and {} more\n", impact.changes.len() - CHANGES_MAX));
    }
    text
}

impl Deployment {
    /// For people.
    pub fn text(&self) -> String {
        let line = &self.deployment;
        let mut text = format!("Analyzing deployment: {} ({})\n", printable(&name_of(line)), printable(line.place()));
        text.push_str(&format!("Started: {}\n", page::time(line.start)));
        text.push_str(&format!("Status: {}\n", page::capital(&line.status.replace('_', " "))));
        let took = line.duration_seconds.filter(|seconds| *seconds > 0);
        if let Some(seconds) = took {
            text.push_str(&format!("Took: {}\n", format_duration_ms(seconds * 1_000)));
        }
        if !line.from_version.is_empty() {
            text.push_str(&format!("Version before: {}\n", printable(&line.from_version)));
        }
        let impact = &self.impact;
        let verdict = format!("{} ({})", impact.metrics.verdict.as_str(), impact.metrics.verdict_reason);
        text.push_str(&format!("Verdict: {}\n\nImpact:\n", printable(&page::capital(&verdict))));
        text.push_str(&changes(&impact.metrics));
        if let (Some(worst), [_, _, ..]) = (impact.metrics.changes.first(), impact.also_worse_in.as_slice()) {
            let (count, colonies) = (impact.also_worse_in.len(), impact.also_worse_in.join(", "));
            let what = format!("{} got worse with this version in {count} colonies: {colonies}", worst.metric_name);
            text.push_str(&format!("  {}\n", printable(&what)));
        }
        text.push_str("\nRelated incidents:\n");
        let known_to = page::time(impact.known_to);
        match (impact.incidents.is_empty(), impact.incidents_complete) {
            (true, true) => text.push_str("  none within an hour\n"),
            (true, false) => {
                text.push_str(&format!("  none up to {known_to}; the hour after it is not complete\n"));
            }
            (false, _) => {}
        }
        for incident in &impact.incidents {
            let after = format_duration_ms(incident.seconds_after * 1_000);
            let score = incident
                .correlation_score
                .map_or("in time only".to_owned(), |score| format!("correlation: {score:.2}"));
            let place = if incident.colony_id == line.colony_id {
                String::new()
            } else {
                format!(" in {}", incident.colony_id)
            };
            // the id of a derived event says nothing that the rest does not
            let name = match incident.derived {
                true => format!("of {}: {}", incident.service_id, incident.description),
                false => incident.event_id.clone(),
            };
            let what = format!("{} {name}{place} ({after} after deploy, {score})", incident.event_type);
            text.push_str(&format!("  - {}\n", printable(&what)));
        }
        if impact.incidents_total > impact.incidents.len() {
            text.push_str(&format!("  - and {} more\n", impact.incidents_total - impact.incidents.len()));
        }
        if !impact.incidents.is_empty() && !impact.incidents_complete {
            text.push_str(&format!("  (up to {known_to}; the hour after it is not complete)\n"));
        }
        for (title, lines) in [
            ("The same version elsewhere", &self.similar),
            ("Overlapping deployments of this colony", &self.overlapping),
        ] {
            if lines.is_empty() {
                continue;
            }
            text.push_str(&format!("\n{title}:\n"));
            let row = |line: &DeploymentLine| {
                vec![
                    page::time(line.start),
                    line.shown_status(),
                    line.colony_id.clone(),
                    line.service_id.clone(),
                    line.shown_versions(),
                ]
            };
            text.push_str(&page::table(&lines.iter().take(6).map(row).collect::<Vec<_>>()));
        }
        text.push_str(&format!(
            "\nRecommendation:\n  {}\n\nIts neighbours: {}\n\n{}\n",
            printable(&self.recommendation),
            printable(&format!("coral reef affected {}/{}", line.colony_id, line.deployment_id)),
            self.completeness.line()
        ));
        text
    }
}
