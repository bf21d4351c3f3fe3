//! One deployment: what it was, what followed it, and how the same version did elsewhere.

use super::completeness::Completeness;
use super::fleet::{Fleet, Scope};
use super::names;
use super::page;
use super::refusal::{AnswerError, Refusal};
use super::timeline::{self, DeploymentLine};
use crate::impact::Impact;
use crate::impact::verdict::{Circumstances, Watched, judge};
use crate::impact::windows::{Moment, Series};
use crate::printable::printable;
use model::event::{Event, Severity};
use model::meaning::Meaning;
use model::pattern::{PatternState, SignalKind};
use model::time::{HOUR_MS, MINUTE_MS, format_duration_ms};
use model::version::Version;
use serde::{Deserialize, Serialize};
use sinks::{SinkError, Span, StoreReader};
use std::collections::{BTreeMap, BTreeSet};

/// How long after a deployment events of its colony count as what followed it.
const AFTER_MS: i64 = HOUR_MS;
/// Events read at once.
const PAGE_ROWS: usize = 5_000;
/// Most metrics of the text.
const CHANGES_MAX: usize = 12;
/// A metric that moves by less is called stable, in percent.
const STABLE_PERCENT: f64 = 2.0;
/// Most incidents of an answer.
const INCIDENTS_MAX: usize = 20;
/// Event types that are incidents whatever their severity.
const INCIDENT_TYPES: [&str; 6] = ["error_spike", "latency_spike", "crash", "alert", "oom", "oom_kill"];

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
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// What a deployment did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeploymentImpact {
    /// The metrics of the service, and the verdict.
    #[serde(flatten)]
    pub metrics: Impact,
    /// What happened afterwards: the members of confirmed patterns first, then by time.
    pub incidents: Vec<Incident>,
    /// How many there are in all.
    pub incidents_total: usize,
}

/// Something that happened after a deployment and may belong to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// The event.
    pub event_id: String,
    /// Its colony.
    pub colony_id: String,
    /// Its service.
    pub service_id: String,
    /// Its type.
    pub event_type: String,
    /// When it happened; RFC 3339.
    pub occurred_at: String,
    /// From the start of the deployment.
    pub seconds_after: i64,
    /// Its own text.
    pub description: String,
    /// The score of the confirmed pattern that joins both; none where only the time does.
    pub correlation_score: Option<f64>,
    /// That pattern.
    pub correlation_id: Option<String>,
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
    let line = find(&question.id, &lines)?;
    let incidents = incidents(&line, reader).await?;
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
    let until = line.end.unwrap_or(line.start) + AFTER_MS;
    let overlapping: Vec<DeploymentLine> = lines
        .iter()
        .filter(|other| {
            let other_until = other.end.unwrap_or(other.start) + AFTER_MS;
            other.colony_id == line.colony_id
                && other.deployment_id != line.deployment_id
                && other.kind != "rollback"
                && other.start <= until
                && line.start <= other_until
        })
        .cloned()
        .collect();
    let completeness = Completeness::of(&fleet, |id, _| id == line.colony_id);
    let metrics = impact_on(&line, (lines.as_slice(), overlapping.as_slice()), &fleet, reader).await?;
    let incidents_total = incidents.len();
    Ok(Deployment {
        summary: summary(&line, &metrics, incidents_total),
        recommendation: recommendation(&line, &incidents, &similar, &overlapping),
        impact: DeploymentImpact {
            metrics,
            incidents: incidents.into_iter().take(INCIDENTS_MAX).collect(),
            incidents_total,
        },
        deployment: line,
        similar,
        overlapping,
        completeness,
    })
}

/// The deployment that `id` names.
fn find(id: &str, lines: &[DeploymentLine]) -> Result<DeploymentLine, Refusal> {
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

/// What the deployment did to the metrics of its service.
async fn impact_on(
    line: &DeploymentLine,
    (lines, overlapping): (&[DeploymentLine], &[DeploymentLine]),
    fleet: &Fleet,
    reader: &dyn StoreReader,
) -> Result<Impact, SinkError> {
    let moment = Moment { start: line.start, end: line.end.unwrap_or(line.start) };
    let sibling = sibling_of(line, lines, fleet);
    let colonies: Vec<String> = [Some(line.colony_id.clone()), sibling.clone()].into_iter().flatten().collect();
    let mut all: BTreeMap<(String, String, String), Series> = BTreeMap::new();
    for span in moment.spans() {
        for point in reader.metrics_of(&colonies, span.start, span.end).await? {
            let names = point.series.names();
            let is_of_service = line.service_id.is_empty() || names.service_id == line.service_id;
            if let Some(value) = point.value().filter(|value| value.is_finite() && is_of_service) {
                let key = (names.colony_id.to_owned(), names.service_id.to_owned(), names.metric_name.to_owned());
                all.entry(key).or_default().insert(point.timestamp, value);
            }
        }
    }
    let of_sibling =
        |service: &String, metric: &String| all.get(&(sibling.clone()?, service.clone(), metric.clone())).cloned();
    let own = all.iter().filter(|((colony, ..), _)| *colony == line.colony_id);
    let watched: Vec<Watched> = own
        .map(|((_, service, metric), series)| Watched {
            service_id: service.clone(),
            metric_name: metric.clone(),
            series: series.clone(),
            sibling: of_sibling(service, metric),
        })
        .collect();
    let newest = fleet.colonies.get(&line.colony_id).and_then(|colony| colony.newest_metric);
    let circumstances = Circumstances {
        moment,
        is_running: line.end.is_none(),
        went_wrong: match line.status.as_str() {
            "failed" => Some("failed"),
            "rolled_back" => Some("was rolled back"),
            _ => None,
        },
        // another service of the colony is watched by its own metrics
        overlaps: overlapping
            .iter()
            .filter(|other| other.service_id == line.service_id)
            .map(|other| other.deployment_id.clone())
            .collect(),
        // a bucket ends a minute or more after its time
        known_to: newest.filter(|_| !watched.is_empty()).map(|newest| newest + MINUTE_MS),
    };
    Ok(judge(&circumstances, &watched))
}

/// Another environment of the application in which the service was not deployed around that time.
fn sibling_of(line: &DeploymentLine, lines: &[DeploymentLine], fleet: &Fleet) -> Option<String> {
    let (from, to) = (line.start - AFTER_MS, line.end.unwrap_or(line.start) + AFTER_MS);
    let is_quiet = |id: &String| {
        !lines.iter().any(|other| {
            let other_to = other.end.unwrap_or(other.start) + AFTER_MS;
            other.colony_id == *id && other.start - AFTER_MS <= to && other_to >= from
        })
    };
    let others = fleet.colonies.iter().filter(|(id, colony)| {
        **id != line.colony_id
            && colony.application_name == line.application_name
            && colony.environment != line.environment
            && colony.newest_metric.is_some()
    });
    others.map(|(id, _)| id).find(|id| is_quiet(id)).cloned()
}

/// What followed a deployment: targets of confirmed patterns, and incidents of its colony.
async fn incidents(line: &DeploymentLine, reader: &dyn StoreReader) -> Result<Vec<Incident>, SinkError> {
    let linked = linked(line, reader).await?;
    let until = line.end.unwrap_or(line.start) + AFTER_MS;
    let last = linked.values().map(|link| link.at).max().unwrap_or(until).max(until);
    let span = Span { from: line.start, to: Some(last + 1), with_late: true };
    let mut found = Vec::new();
    let mut after: Option<Event> = None;
    loop {
        let page = reader.events_in(span, after.as_ref(), PAGE_ROWS).await?;
        let Some(end) = page.last() else { break };
        after = Some(end.row.clone());
        for event in page.into_iter().map(|stored| stored.row).filter(|event| !event.withdrawn) {
            let link = linked.get(&(event.colony_id.clone(), event.event_id.clone()));
            let is_incident =
                event.severity >= Severity::Warning || INCIDENT_TYPES.contains(&event.event_type.as_str());
            let is_near = event.colony_id == line.colony_id && event.timestamp <= until && is_incident;
            if (is_near || link.is_some()) && !line.reported_by.contains(&event.event_id) {
                found.push(incident(event, line, link));
            }
        }
    }
    found.sort_by(|a, b| {
        let rank = |incident: &Incident| (incident.correlation_id.is_none(), incident.seconds_after);
        rank(a).cmp(&rank(b)).then_with(|| a.event_id.cmp(&b.event_id))
    });
    Ok(found)
}

/// An event that a confirmed pattern joins with a deployment.
struct Link {
    at: model::time::TimeMs,
    score: f64,
    correlation_id: String,
}

/// By colony and event; of several patterns the one with the best score.
async fn linked(
    line: &DeploymentLine,
    reader: &dyn StoreReader,
) -> Result<BTreeMap<(String, String), Link>, SinkError> {
    let mut links: BTreeMap<(String, String), Link> = BTreeMap::new();
    for row in reader.correlations().await? {
        let (source, target) = (&row.key.source, &row.key.target);
        let is_of_deployment = row.state == PatternState::Confirmed
            && source.kind == SignalKind::Event
            && target.kind == SignalKind::Event
            && source.colony_id == line.colony_id;
        if !is_of_deployment {
            continue;
        }
        let id = row.key.correlation_id();
        for evidence in reader.evidence(&id).await? {
            if !line.reported_by.contains(&evidence.source_ref) {
                continue;
            }
            let link =
                Link { at: evidence.target_timestamp, score: row.correlation_score.0, correlation_id: id.clone() };
            let key = (target.colony_id.clone(), evidence.target_ref);
            if links.get(&key).is_none_or(|known| known.score < link.score) {
                links.insert(key, link);
            }
        }
    }
    Ok(links)
}

fn incident(event: Event, line: &DeploymentLine, link: Option<&Link>) -> Incident {
    Incident {
        seconds_after: (event.timestamp - line.start) / 1_000,
        occurred_at: event.timestamp.to_string(),
        event_id: event.event_id,
        colony_id: event.colony_id,
        service_id: event.service_id,
        event_type: event.event_type,
        description: event.description,
        correlation_score: link.map(|link| link.score),
        correlation_id: link.map(|link| link.correlation_id.clone()),
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

fn summary(line: &DeploymentLine, metrics: &Impact, incidents: usize) -> String {
    let status = format!("{}: {}", metrics.verdict.as_str(), metrics.verdict_reason);
    let followed = match incidents {
        0 => "no incident followed within an hour".to_owned(),
        1 => "1 incident followed".to_owned(),
        many => format!("{many} incidents followed"),
    };
    format!("{} in {} is {status}; {followed}", name_of(line), place_of(line))
}

fn place_of(line: &DeploymentLine) -> &str {
    if line.environment.is_empty() { &line.colony_id } else { &line.environment }
}

fn recommendation(
    line: &DeploymentLine,
    incidents: &[Incident],
    similar: &[DeploymentLine],
    overlapping: &[DeploymentLine],
) -> String {
    let mut advice = Vec::new();
    if let Some(pattern) = incidents.iter().find_map(|incident| incident.correlation_id.as_ref()) {
        advice.push(format!("A confirmed pattern joins it with what followed: coral reef correlation {pattern}."));
    } else if !incidents.is_empty() && !overlapping.is_empty() {
        advice.push("Other deployments of this colony overlap with it: what followed may belong to either.".to_owned());
    } else if !incidents.is_empty() {
        advice.push("Look at what followed; no pattern joins it with the deployment so far.".to_owned());
    }
    let trouble: Vec<&str> = similar
        .iter()
        .filter(|other| other.start <= line.start && ["failed", "rolled_back"].contains(&other.status.as_str()))
        .map(place_of)
        .collect();
    if let Some(place) = trouble.first() {
        advice.push(format!("The same version was not kept in {place} before."));
    }
    if line.status == "running" {
        advice.push("No end has been reported: ask the tool that started it.".to_owned());
    }
    if advice.is_empty() { "Nothing to do.".to_owned() } else { advice.join(" ") }
}

/// Metric by metric, the worst first.
fn changes(impact: &Impact) -> String {
    if impact.changes.is_empty() {
        return "  no metric of the service is known before and after it\n".to_owned();
    }
    let mut text = String::new();
    for one in impact.changes.iter().take(CHANGES_MAX) {
        let unit = Meaning::of(&one.metric_name).unit;
        let (before, after) = (unit.shown(one.before_value), unit.shown(one.after_value));
        let percent =
            one.percent_change.map_or(String::new(), |percent| format!(", {}", page::signed_percent(percent)));
        let way = if one.change > 0.0 { "increase" } else { "decrease" };
        let both = format!("({before} → {after}{percent})");
        let told = match one.significance {
            "critical" => format!("✗ {{}}: Large {way} {both}"),
            "warning" => format!("⚠ {{}}: {} {both}", page::capital(way)),
            "info" => format!("⚠ {{}}: Slight {way} {both}"),
            _ if one.percent_change.is_some_and(|percent| percent.abs() < STABLE_PERCENT) => {
                format!("✓ {{}}: Stable ({after})")
            }
            _ => format!("✓ {{}}: No significant change {both}"),
        };
        text.push_str(&format!("  {}\n", printable(&told.replacen("{}", &page::capital(&one.metric_name), 1))));
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
        let mut text = format!("Analyzing deployment: {} ({})\n", printable(&name_of(line)), printable(place_of(line)));
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
        text.push_str("\nRelated incidents:\n");
        if impact.incidents.is_empty() {
            text.push_str("  none within an hour\n");
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
            let what = format!("{} {}{place} ({after} after deploy, {score})", incident.event_type, incident.event_id);
            text.push_str(&format!("  - {}\n", printable(&what)));
        }
        if impact.incidents_total > impact.incidents.len() {
            text.push_str(&format!("  - and {} more\n", impact.incidents_total - impact.incidents.len()));
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
            "\nRecommendation:\n  {}\n\n{}\n",
            printable(&self.recommendation),
            self.completeness.line()
        ));
        text
    }
}
