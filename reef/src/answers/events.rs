//! Events of a range of time, the newest first.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Scope};
use super::names;
use super::part::{Listed, Part};
use super::range::{Range, RangeQuestion};
use super::refusal::{AnswerError, Refusal};
use model::event::{Event, Severity};
use serde::{Deserialize, Serialize};
use sinks::{Span, StoreReader};
use std::collections::BTreeSet;

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;
/// Most events of a list.
const ROWS_MAX: usize = 200_000;

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsQuestion {
    /// Whose.
    #[serde(default)]
    pub filter: Filter,
    /// Of these types; empty for all.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// At least this bad.
    pub severity: Option<String>,
    /// When.
    #[serde(default)]
    pub range: RangeQuestion,
    /// Which part of the list.
    #[serde(default)]
    pub part: Part,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// The events.
    pub events: Listed<EventLine>,
    /// The range that was looked through; `None` where nothing has been received.
    pub range: Option<Range>,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventLine {
    /// Its row.
    pub event: Event,
    /// Whether it came later than the allowed lateness, so that it is not correlated.
    pub is_late: bool,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown or too much.
pub async fn events(question: &EventsQuestion, reader: &dyn StoreReader, scope: &Scope) -> Result<Events, AnswerError> {
    events_up_to(ROWS_MAX, question, reader, scope).await
}

/// The same of at most `rows_max` events.
pub(super) async fn events_up_to(
    rows_max: usize,
    question: &EventsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Events, AnswerError> {
    names::check_list(&question.event_types, "event_types")?;
    let event_types: BTreeSet<&str> = question.event_types.iter().map(String::as_str).collect();
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let least = match &question.severity {
        None => Severity::Info,
        Some(word) => Severity::of_word(word).ok_or_else(|| {
            if let Err(refusal) = names::check(word) {
                return refusal.at("severity");
            }
            let message = format!("no event has the severity {word:?}");
            Refusal::invalid(message, "one of: info, warning, error, critical").at("severity")
        })?,
    };
    let completeness =
        Completeness::of(&fleet, |id, colony| filter.takes_colony(id, &colony.application_name, &colony.environment));
    let range = question.range.resolved(&fleet)?;
    let mut found: Vec<EventLine> = Vec::new();
    if let Some(Range { from, to }) = range {
        let span = Span { from, to: Some(to), with_late: true };
        let mut after: Option<Event> = None;
        loop {
            let page = reader.events_in(span, after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.row.clone());
            for stored in page {
                let event = &stored.row;
                let (application, environment) = fleet.identity(&event.colony_id);
                let is_wanted = !event.withdrawn
                    && event.severity >= least
                    && filter.takes_colony(&event.colony_id, application, environment)
                    && filter.takes_service(&event.service_id)
                    && (event_types.is_empty() || event_types.contains(event.event_type.as_str()));
                if is_wanted && found.len() == rows_max {
                    return Err(question.range.too_many("events", rows_max).into());
                }
                if is_wanted {
                    found.push(EventLine { is_late: !stored.on_time, event: stored.row });
                }
            }
        }
        found.reverse();
    }
    Ok(Events { events: question.part.of(found)?, range, completeness })
}
