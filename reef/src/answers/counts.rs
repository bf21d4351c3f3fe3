//! Events of a range counted by colony, service and type: what happened, without the rows.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Scope};
use super::range::{Range, RangeQuestion};
use super::refusal::AnswerError;
use model::event::{Event, Severity};
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use sinks::{Span, StoreReader};
use std::collections::BTreeMap;

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;
/// Most events that are counted.
const ROWS_MAX: usize = 500_000;

/// Which events are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountsQuestion {
    /// Whose; the service is not used.
    pub filter: Filter,
    /// At least this bad.
    pub least: Severity,
    /// When.
    pub range: RangeQuestion,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// By colony, service and type.
    pub counts: Vec<EventCount>,
    /// The range; `None` where nothing has been received.
    pub range: Option<Range>,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// Events on time of one colony, service and type.
#[derive(Clone, Debug, PartialEq)]
pub struct EventCount {
    /// The colony.
    pub colony_id: String,
    /// The service.
    pub service_id: String,
    /// The type.
    pub event_type: String,
    /// The worst of them.
    pub severity: Severity,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: TimeMs,
    /// The last of them.
    pub last: TimeMs,
    /// The text of the last one that has one.
    pub description: String,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a range with too many events.
pub async fn counts(question: &CountsQuestion, reader: &dyn StoreReader, scope: &Scope) -> Result<Counts, AnswerError> {
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let completeness =
        Completeness::of(&fleet, |id, colony| filter.takes_colony(id, &colony.application_name, &colony.environment));
    let Some(range) = question.range.resolved(&fleet)? else {
        return Ok(Counts { counts: Vec::new(), range: None, completeness });
    };
    let span = Span { from: range.from, to: Some(range.to), with_late: false };
    let mut counted: BTreeMap<(String, String, String), EventCount> = BTreeMap::new();
    let (mut after, mut read): (Option<Event>, usize) = (None, 0);
    loop {
        let page = reader.events_in(span, after.as_ref(), PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.row.clone());
        read += page.len();
        if read > ROWS_MAX {
            return Err(question.range.too_many("events", ROWS_MAX).into());
        }
        for event in page.into_iter().map(|stored| stored.row) {
            let (application, environment) = fleet.identity(&event.colony_id);
            if event.withdrawn
                || event.severity < question.least
                || !filter.takes_colony(&event.colony_id, application, environment)
            {
                continue;
            }
            let key = (event.colony_id.clone(), event.service_id.clone(), event.event_type.clone());
            counted.entry(key).and_modify(|count| count.add(&event)).or_insert_with(|| EventCount::of(&event));
        }
    }
    Ok(Counts { counts: counted.into_values().collect(), range: Some(range), completeness })
}

impl EventCount {
    fn of(event: &Event) -> EventCount {
        EventCount {
            colony_id: event.colony_id.clone(),
            service_id: event.service_id.clone(),
            event_type: event.event_type.clone(),
            severity: event.severity,
            count: 1,
            first: event.timestamp,
            last: event.timestamp,
            description: event.description.clone(),
        }
    }

    /// Events come in the order of time.
    fn add(&mut self, event: &Event) {
        self.count += 1;
        self.severity = self.severity.max(event.severity);
        self.last = event.timestamp;
        if !event.description.is_empty() {
            self.description.clone_from(&event.description);
        }
    }
}
