//! Events of a range of time, the newest first.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Narrowed, Scope};
use super::names;
use super::page;
use super::part::{self, Listed, Part, Place};
use super::range::{Range, RangeQuestion};
use super::refusal::{AnswerError, Refusal};
use super::services;
use crate::printable::shortened;
use model::event::{Event, Severity};
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use sinks::{SinkError, Span, StoreReader};
use std::collections::{BTreeSet, VecDeque};

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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Events {
    /// The events.
    pub events: Listed<EventLine>,
    /// The range that was looked through; `None` where nothing has been received.
    pub range: Option<Range>,
    /// What the answer is complete to.
    pub completeness: Completeness,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventLine {
    /// Its row.
    pub event: Event,
    /// Whether it came later than the allowed lateness, so that it is not correlated.
    pub is_late: bool,
}

/// An event's place in the list: its time, colony and id.
type Key = (TimeMs, String, String);

/// Which events are wanted.
struct Wanted<'a> {
    fleet: &'a Fleet,
    filter: Narrowed,
    /// Empty for all.
    event_types: BTreeSet<&'a str>,
    least: Severity,
    /// Only events that come after this one in the list.
    after: Option<&'a Key>,
}

/// What events of the wanted colonies have.
#[derive(Default)]
struct Seen {
    services: BTreeSet<String>,
    event_types: BTreeSet<String>,
}

/// Characters of a description that the text shows.
const DESCRIPTION_MAX: usize = 120;

impl Events {
    /// For people.
    pub fn text(&self) -> String {
        let Listed { items, total, .. } = &self.events;
        let mut text = match (self.range, *total) {
            (None, _) => "No event has been received.\n".to_owned(),
            (Some(range), 0) => format!("No event from {} to {}.\n", page::time(range.from), page::time(range.to)),
            (Some(range), total) => format!(
                "Events from {} to {} ({} of {total}, the newest first):\n",
                page::time(range.from),
                page::time(range.to),
                items.len(),
            ),
        };
        text.push_str(&page::table(&items.iter().map(EventLine::row).collect::<Vec<_>>()));
        text.push_str(&self.completeness.closing(self.events.next_cursor.as_deref()));
        text
    }
}

impl EventLine {
    fn row(&self) -> Vec<String> {
        let event = &self.event;
        let description = match event.description.is_empty() {
            true => String::new(),
            false => format!("\"{}\"", shortened(&event.description, DESCRIPTION_MAX)),
        };
        vec![
            page::time(event.timestamp),
            event.colony_id.clone(),
            page::or_dash(&event.service_id).to_owned(),
            event.event_type.clone(),
            event.severity.as_str().to_owned(),
            event.event_id.clone(),
            if self.is_late { "late".to_owned() } else { String::new() },
            description,
        ]
    }
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
    let asked = part::asked("events", &EventsQuestion { part: Part::default(), ..question.clone() });
    let (limit, place) = (question.part.reach()?, question.part.place::<Key>(&asked)?);
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let completeness =
        Completeness::of(&fleet, |id, colony| filter.takes_colony(id, &colony.application_name, &colony.environment));
    let range = question.range.ending(place.as_ref().and_then(|place| place.to)).resolved(&fleet)?;
    let wanted = Wanted {
        fleet: &fleet,
        filter,
        event_types: question.event_types.iter().map(String::as_str).collect(),
        least: least(question.severity.as_deref())?,
        after: place.as_ref().map(|place| &place.after),
    };
    let mut seen = Seen::default();
    let (newest, remaining) = match range {
        Some(range) => {
            let found = wanted.newest(&mut seen, (limit, rows_max), range, reader).await?;
            found.ok_or_else(|| question.range.too_many("events", rows_max))?
        }
        None => (Vec::new(), 0),
    };
    if place.is_none() {
        services::observed(&wanted.filter, seen.services, reader).await?;
        have_types(&question.event_types, seen.event_types, reader).await?;
    }
    let to = range.map(|range| range.to);
    let cursor = |line: &EventLine, before: usize| {
        let event = &line.event;
        let after = (event.timestamp, event.colony_id.clone(), event.event_id.clone());
        Place { to, before, after }.cursor(&asked)
    };
    let before = place.as_ref().map_or(0, |place| place.before);
    Ok(Events { events: Listed::of(&question.part, newest, (before, remaining), cursor), range, completeness })
}

/// The least severity that is wanted.
fn least(word: Option<&str>) -> Result<Severity, Refusal> {
    let Some(word) = word else { return Ok(Severity::Info) };
    Severity::of_word(word).ok_or_else(|| {
        if let Err(refusal) = names::check(word) {
            return refusal.at("severity");
        }
        let message = format!("no event has the severity {word:?}");
        Refusal::invalid(message, "one of: info, warning, error, critical").at("severity")
    })
}

/// Fails for a type that no stored event has.
async fn have_types(
    event_types: &[String],
    seen: BTreeSet<String>,
    reader: &dyn StoreReader,
) -> Result<(), AnswerError> {
    if event_types.iter().all(|name| seen.contains(name)) {
        return Ok(());
    }
    let mut known = seen;
    known.extend(reader.event_types().await?);
    let unknown = event_types.iter().enumerate().find(|(_, name)| !known.contains(*name));
    let Some((place, name)) = unknown else { return Ok(()) };
    let hint = names::near_hint("event type", &name.to_lowercase(), &known);
    Err(Refusal::not_found(format!("no event has the type {name:?}"), hint).at(&format!("event_types[{place}]")).into())
}

impl Wanted<'_> {
    /// The newest of the wanted events of a range, the newest first, at most `limit`, and how many are wanted; `None` if
    /// these are more than `rows_max`.
    async fn newest(
        &self,
        seen: &mut Seen,
        (limit, rows_max): (usize, usize),
        range: Range,
        reader: &dyn StoreReader,
    ) -> Result<Option<(Vec<EventLine>, usize)>, SinkError> {
        let to = self.after.map_or(range.to, |after| range.to.min(after.0 + 1));
        let span = Span { from: range.from, to: Some(to), with_late: true };
        let mut newest: VecDeque<EventLine> = VecDeque::new();
        let mut count = 0;
        let mut after: Option<Event> = None;
        loop {
            let page = reader.events_in(span, after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else { return Ok(Some((newest.into_iter().rev().collect(), count))) };
            after = Some(last.row.clone());
            for stored in page.into_iter().filter(|stored| self.takes(&stored.row, seen)) {
                count += 1;
                if count > rows_max {
                    return Ok(None);
                }
                if newest.len() == limit {
                    newest.pop_front();
                }
                newest.push_back(EventLine { is_late: !stored.on_time, event: stored.row });
            }
        }
    }

    fn takes(&self, event: &Event, seen: &mut Seen) -> bool {
        let (application, environment) = self.fleet.identity(&event.colony_id);
        if event.withdrawn || !self.filter.takes_colony(&event.colony_id, application, environment) {
            return false;
        }
        for (names, name) in [(&mut seen.services, &event.service_id), (&mut seen.event_types, &event.event_type)] {
            if !names.contains(name) {
                names.insert(name.clone());
            }
        }
        let key = (event.timestamp, &event.colony_id, &event.event_id);
        event.severity >= self.least
            && self.filter.takes_service(&event.service_id)
            && (self.event_types.is_empty() || self.event_types.contains(event.event_type.as_str()))
            && self.after.is_none_or(|(time, colony_id, id)| key < (*time, colony_id, id))
    }
}
