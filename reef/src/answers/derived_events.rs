//! Derived events as the store has them: what metrics show by themselves.

use model::derived::Value;
use model::event::{Event, Severity};
use model::meaning::Meaning;
use model::time::TimeMs;
use sinks::schema::{DERIVED, DerivedTable};
use sinks::transfer::Cursor;
use sinks::{SinkError, StoreReader};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The beginning of their ids.
pub(super) const ID_PREFIX: &str = "derived:";
/// Rows read at once.
const PAGE_ROWS: usize = 10_000;

/// The derived events of a colony in a span, as events marked `derived`.
pub(super) async fn read(
    reader: &dyn StoreReader,
    colony_id: &str,
    span: RangeInclusive<TimeMs>,
) -> Result<Vec<Event>, SinkError> {
    let table = DERIVED.iter().find(|derived| derived.table.name == "derived_events");
    let table = table.unwrap_or_else(|| unreachable!("the schema has a table of derived events"));
    // rows are in the order of their colony
    let (mut events, mut after) = (Vec::new(), Some(Cursor::of_texts(&[colony_id, ""])));
    loop {
        let page = reader.rows_of(table, after.as_ref(), PAGE_ROWS).await?;
        let all: Vec<Event> = page.rows().iter().map(|row| event(table, row)).collect();
        let is_over = all.last().is_none_or(|last| last.colony_id != colony_id);
        events.extend(all.into_iter().filter(|one| one.colony_id == colony_id && span.contains(&one.timestamp)));
        after = page.end();
        if is_over {
            return Ok(events);
        }
    }
}

/// Whether an event comes from a metric.
pub(super) fn is_derived(event: &Event) -> bool {
    event.metadata.get("derived").is_some_and(|derived| derived == "true") && event.event_id.starts_with(ID_PREFIX)
}

fn event(table: &DerivedTable, row: &[Value]) -> Event {
    let value = |name: &str| {
        let place = table.table.columns.iter().position(|(column, _)| *column == name);
        place.and_then(|place| row.get(place))
    };
    let text = |name: &str| if let Some(Value::Text(text)) = value(name) { text.clone() } else { String::new() };
    let real = |name: &str| if let Some(Value::Real(real)) = value(name) { Some(real.0) } else { None };
    let metric = text("metric_name");
    let unit = Meaning::of(&metric).unit;
    let usual = real("usual").map_or(String::new(), |usual| format!(", usually {}", unit.shown(usual)));
    Event {
        colony_id: text("colony_id"),
        event_id: text("event_id"),
        version: 0,
        withdrawn: false,
        application_name: text("application_name"),
        environment: text("environment"),
        timestamp: if let Some(Value::Time(time)) = value("timestamp") { *time } else { TimeMs(0) },
        event_type: text("event_type"),
        service_id: text("service_id"),
        severity: Severity::Warning,
        description: format!("{metric} is {}{usual}", unit.shown(real("value").unwrap_or(0.0))),
        metadata: BTreeMap::from([("derived".to_owned(), "true".to_owned()), ("metric_name".to_owned(), metric)]),
    }
}
