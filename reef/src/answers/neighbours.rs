//! Neighbours of a service: those that it calls or that call it, and those that a confirmed pattern joins with it.

use crate::impact::windows::Moment;
use model::event::Event;
use model::pattern::{ANY_SERVICE, Correlation, PatternState, SignalKind};
use model::real::Real;
use serde::Serialize;
use sinks::{SinkError, Span, StoreReader};
use std::collections::BTreeSet;

/// Events read at once.
const PAGE_ROWS: usize = 5_000;
/// Most pages that are read.
const PAGES_MAX: usize = 10;

/// Where an effect begins.
pub(super) struct Start {
    pub id: String,
    pub colony_id: String,
    pub service_id: String,
    pub moment: Moment,
    /// Colony and id of the events that it is, or that report it.
    pub events: Vec<(String, String)>,
}

/// How a neighbour is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// It calls the service.
    CallsIt,
    /// The service calls it.
    CalledByIt,
    /// A confirmed pattern begins at the service and ends there.
    Pattern,
}

/// A service that may be affected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Neighbour {
    pub relation: Relation,
    pub colony_id: String,
    pub service_id: String,
    pub lag_seconds: i64,
    pub correlation_id: Option<String>,
    /// The score of the pattern.
    pub correlation_score: Option<Real>,
    /// The event type or metric at the end of the pattern.
    pub target: String,
    /// Events that followed by the pattern.
    pub events: Vec<String>,
}

/// Those by calls first.
pub(super) async fn neighbours(start: &Start, reader: &dyn StoreReader) -> Result<Vec<Neighbour>, SinkError> {
    let mut found = BTreeSet::new();
    for call in
        reader.calls().await?.into_iter().map(|call| call.latest).filter(|call| call.colony_id == start.colony_id)
    {
        let ends = [
            (Relation::CallsIt, &call.to_service, &call.from_service),
            (Relation::CalledByIt, &call.from_service, &call.to_service),
        ];
        for (relation, own, other) in ends {
            if *own == start.service_id && *other != start.service_id {
                found.insert(Neighbour {
                    relation,
                    colony_id: start.colony_id.clone(),
                    service_id: other.clone(),
                    lag_seconds: 0,
                    correlation_id: None,
                    correlation_score: None,
                    target: String::new(),
                    events: Vec::new(),
                });
            }
        }
    }
    let types = types(start, reader).await?;
    let mut rows = reader.correlations().await?;
    rows.retain(|row| begins_at(start, &types, row));
    for row in rows {
        let (id, target) = (row.key.correlation_id(), &row.key.target);
        let followed = reader.evidence(&id).await?.into_iter().filter(|evidence| {
            evidence.is_match()
                && row.key.source.kind == SignalKind::Event
                && start.events.iter().any(|(_, event)| *event == evidence.source_ref)
        });
        let events: BTreeSet<String> = followed.map(|evidence| evidence.target_ref).collect();
        found.insert(Neighbour {
            relation: Relation::Pattern,
            colony_id: target.colony_id.clone(),
            // what holds for a whole colony is judged by all of its services
            service_id: if target.service_id == ANY_SERVICE { String::new() } else { target.service_id.clone() },
            lag_seconds: i64::from(row.lag_seconds),
            correlation_id: Some(id),
            correlation_score: Some(row.correlation_score),
            target: target.name.clone(),
            events: if target.kind == SignalKind::Event { events.into_iter().collect() } else { Vec::new() },
        });
    }
    Ok(found.into_iter().collect())
}

/// The types of the events of the start.
async fn types(start: &Start, reader: &dyn StoreReader) -> Result<BTreeSet<String>, SinkError> {
    let span = Span { from: start.moment.start, to: Some(start.moment.end + 1), with_late: true };
    let (mut types, mut after): (BTreeSet<String>, Option<Event>) = (BTreeSet::new(), None);
    for _ in 0..PAGES_MAX {
        let page = reader.events_in(span, after.as_ref(), PAGE_ROWS).await?;
        after = page.last().map(|last| last.row.clone());
        let is_own =
            |event: &Event| start.events.iter().any(|(colony, id)| *colony == event.colony_id && *id == event.event_id);
        types.extend(page.into_iter().map(|stored| stored.row).filter(is_own).map(|event| event.event_type));
        if after.is_none() {
            break;
        }
    }
    Ok(types)
}

fn begins_at(start: &Start, types: &BTreeSet<String>, row: &Correlation) -> bool {
    let (source, target) = (&row.key.source, &row.key.target);
    let is_of_service = source.service_id == start.service_id || source.service_id == ANY_SERVICE;
    let is_elsewhere = target.colony_id != start.colony_id || target.service_id != start.service_id;
    row.state == PatternState::Confirmed
        && source.colony_id == start.colony_id
        && is_of_service
        && is_elsewhere
        && (source.kind == SignalKind::Metric || types.contains(&source.name))
}
