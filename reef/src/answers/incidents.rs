//! Incidents: what happened after a deployment and may belong to it.

use super::derived_events;
use super::fleet::Fleet;
use super::timeline::DeploymentLine;
use crate::impact::line::AFTER_MS;
use crate::impact::related;
use model::event::Event;
use model::pattern::{Evidence, PatternState, SignalKind};
use model::time::TimeMs;
use serde::Serialize;
use sinks::{SinkError, Span, StoreReader};
use std::collections::{BTreeMap, BTreeSet};

/// Events read at once.
const PAGE_ROWS: usize = 5_000;
/// Most events, of all colonies, that are read for an answer.
const EVENTS_MAX: usize = 50_000;
/// Most events of confirmed patterns that are looked up, the best patterns first.
const LINKS_MAX: usize = 50;

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
    /// Whether no event says so but a metric of the service shows it.
    pub derived: bool,
    /// The score of the confirmed pattern that joins both; none where only the time does.
    pub correlation_score: Option<f64>,
    /// That pattern.
    pub correlation_id: Option<String>,
}

/// What followed a deployment.
pub(super) struct Followed {
    /// Members of confirmed patterns first, then by time.
    pub incidents: Vec<Incident>,
    /// Up to when events of its colony are known and were read, at most an hour after its end.
    pub known_to: TimeMs,
    /// Whether that is the whole hour.
    pub is_whole: bool,
    /// The colonies in which confirmed patterns expect what follows: without their rows it is not seen.
    pub expected_in: BTreeSet<String>,
}

/// Targets of confirmed patterns, and incidents of the colony within an hour.
pub(super) async fn followed(
    line: &DeploymentLine,
    lines: &[DeploymentLine],
    fleet: &Fleet,
    reader: &dyn StoreReader,
) -> Result<Followed, SinkError> {
    let until = line.end.unwrap_or(line.start) + AFTER_MS;
    let (links, expected_in) = linked(line, lines, reader).await?;
    let (mut incidents, read_to) = near(line, until, reader).await?;
    incidents.retain(|found| !links.contains_key(&(found.colony_id.clone(), found.event_id.clone())));
    incidents.extend(looked_up(line, &links, reader).await?);
    incidents.extend(shown(line, until, (&incidents, &links), reader).await?);
    incidents.sort_by(|a, b| {
        let rank = |incident: &Incident| (incident.correlation_id.is_none(), incident.seconds_after);
        rank(a).cmp(&rank(b)).then_with(|| a.event_id.cmp(&b.event_id))
    });
    let complete_to = fleet.colonies.get(&line.colony_id).and_then(|colony| colony.complete_to());
    let known_to = complete_to.unwrap_or(line.start).max(line.start).min(read_to).min(until);
    Ok(Followed { incidents, known_to, is_whole: known_to == until && line.end.is_some(), expected_in })
}

/// What metrics of the colony show up to `until`, where its service does not say it itself.
async fn shown(
    line: &DeploymentLine,
    until: TimeMs,
    (told, links): (&[Incident], &Links),
    reader: &dyn StoreReader,
) -> Result<Vec<Incident>, SinkError> {
    let events = derived_events::read(reader, &line.colony_id, line.start..=until).await?;
    let is_told = |event: &Event| {
        told.iter().any(|one| {
            (&one.colony_id, &one.service_id, &one.event_type)
                == (&event.colony_id, &event.service_id, &event.event_type)
        })
    };
    let is_linked = |event: &Event| links.contains_key(&(event.colony_id.clone(), event.event_id.clone()));
    let untold = events.into_iter().filter(|event| !is_linked(event) && !is_told(event));
    Ok(untold.map(|event| incident(event, line, None)).collect())
}

/// Incidents of the colony up to `until`, and up to when events were read.
async fn near(
    line: &DeploymentLine,
    until: TimeMs,
    reader: &dyn StoreReader,
) -> Result<(Vec<Incident>, TimeMs), SinkError> {
    let span = Span { from: line.start, to: Some(until + 1), with_late: true };
    let mut found = Vec::new();
    let mut after: Option<Event> = None;
    for _ in 0..EVENTS_MAX / PAGE_ROWS {
        let page = reader.events_in(span, after.as_ref(), PAGE_ROWS).await?;
        let Some(end) = page.last() else { return Ok((found, until)) };
        after = Some(end.row.clone());
        let events = page.into_iter().map(|stored| stored.row);
        found.extend(events.filter(|event| is_incident(event, line)).map(|event| incident(event, line, None)));
    }
    Ok((found, after.map_or(until, |last| last.timestamp)))
}

fn is_incident(event: &Event, line: &DeploymentLine) -> bool {
    event.colony_id == line.colony_id && related::is_incident(event) && !line.reported_by.contains(&event.event_id)
}

/// An event that a confirmed pattern joins with a deployment.
struct Link {
    at: TimeMs,
    score: f64,
    correlation_id: String,
}

/// By colony and event.
type Links = BTreeMap<(String, String), Link>;

/// The links of the best patterns, of several patterns to an event the one with the best score; and the colonies in which
/// any pattern of the deployments of this service expects something.
async fn linked(
    line: &DeploymentLine,
    lines: &[DeploymentLine],
    reader: &dyn StoreReader,
) -> Result<(Links, BTreeSet<String>), SinkError> {
    let is_of_service =
        |other: &&DeploymentLine| (&other.colony_id, &other.service_id) == (&line.colony_id, &line.service_id);
    let reported: BTreeSet<&String> = lines.iter().filter(is_of_service).flat_map(|one| &one.reported_by).collect();
    let mut rows = reader.correlations().await?;
    rows.retain(|row| {
        let (source, target) = (&row.key.source, &row.key.target);
        row.state == PatternState::Confirmed
            && source.kind == SignalKind::Event
            && target.kind == SignalKind::Event
            && source.colony_id == line.colony_id
    });
    rows.sort_by(|a, b| b.correlation_score.0.total_cmp(&a.correlation_score.0));
    let (mut links, mut expected_in) = (Links::new(), BTreeSet::new());
    for row in rows {
        let id = row.key.correlation_id();
        for evidence in reader.evidence(&id).await?.into_iter().filter(Evidence::is_match) {
            if reported.contains(&evidence.source_ref) {
                expected_in.insert(row.key.target.colony_id.clone());
            }
            let key = (row.key.target.colony_id.clone(), evidence.target_ref);
            let is_own = line.reported_by.contains(&evidence.source_ref) && !line.reported_by.contains(&key.1);
            if is_own && links.len() < LINKS_MAX {
                let (at, score) = (evidence.target_timestamp, row.correlation_score.0);
                links.entry(key).or_insert_with(|| Link { at, score, correlation_id: id.clone() });
            }
        }
    }
    Ok((links, expected_in))
}

/// The events of the links. Lags may be days: each is read at its own time, not all events up to the last one.
async fn looked_up(line: &DeploymentLine, links: &Links, reader: &dyn StoreReader) -> Result<Vec<Incident>, SinkError> {
    let mut found = Vec::new();
    for ((colony_id, event_id), link) in links {
        // patterns hold for rows on time
        let span = Span { from: link.at, to: Some(link.at + 1), with_late: false };
        let events = reader.events_in(span, None, PAGE_ROWS).await?.into_iter().map(|stored| stored.row);
        let is_it = |event: &Event| event.colony_id == *colony_id && event.event_id == *event_id && !event.withdrawn;
        found.extend(events.filter(is_it).map(|event| incident(event, line, Some(link))));
        if event_id.starts_with(derived_events::ID_PREFIX) {
            let events = derived_events::read(reader, colony_id, link.at..=link.at).await?.into_iter();
            found.extend(events.filter(is_it).map(|event| incident(event, line, Some(link))));
        }
    }
    Ok(found)
}

fn incident(event: Event, line: &DeploymentLine, link: Option<&Link>) -> Incident {
    Incident {
        seconds_after: (event.timestamp - line.start) / 1_000,
        occurred_at: event.timestamp.to_string(),
        derived: derived_events::is_derived(&event),
        event_id: event.event_id,
        colony_id: event.colony_id,
        service_id: event.service_id,
        event_type: event.event_type,
        description: event.description,
        correlation_score: link.map(|link| link.score),
        correlation_id: link.map(|link| link.correlation_id.clone()),
    }
}
