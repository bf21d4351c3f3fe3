//! A derived event: what a metric of a service shows, and since when.

use super::kinds::Kind;
use crate::events::EventStamp;
use crate::events::levels::service_of;
use model::derived::{DerivedRow, Value};
use model::event::EventTypeKey;
use model::real::Real;
use model::series::SeriesRef;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};

/// The table of derived events.
pub const TABLE: &str = "derived_events";

/// What a metric shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DerivedEvent {
    /// What it shows.
    pub kind: Kind,
    /// Colony.
    pub colony_id: String,
    /// Service.
    pub service_id: String,
    /// Metric.
    pub metric_name: String,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony.
    pub environment: String,
    /// The start of the cell in which it began.
    pub since: TimeMs,
    /// The value then.
    pub value: Real,
    /// The usual value at this time of day, if it is known.
    pub usual: Option<Real>,
}

impl DerivedEvent {
    /// What the series shows since then.
    pub fn new(kind: Kind, names: SeriesRef<'_>, since: TimeMs, value: f64, usual: Option<f64>) -> DerivedEvent {
        DerivedEvent {
            kind,
            colony_id: names.colony_id.to_owned(),
            service_id: names.service_id.to_owned(),
            metric_name: names.metric_name.to_owned(),
            application_name: names.application_name.to_owned(),
            environment: names.environment.to_owned(),
            since,
            value: Real(value),
            usual: usual.map(Real),
        }
    }

    /// What patterns need of it.
    pub fn stamp(&self) -> EventStamp {
        EventStamp {
            key: EventTypeKey {
                colony_id: self.colony_id.clone(),
                service_id: service_of(&self.service_id),
                event_type: self.kind.as_str().to_owned(),
            },
            at: self.since,
            event_id: self.event_id(),
            application_name: self.application_name.clone(),
            environment: self.environment.clone(),
        }
    }

    /// The row of the table: columns as `sinks/src/schema.rs` lists them.
    pub fn row(&self) -> DerivedRow {
        let text = |text: &str| Value::Text(text.to_owned());
        DerivedRow {
            table: TABLE.to_owned(),
            key: vec![text(&self.colony_id), text(&self.event_id())],
            content: vec![
                text(&self.application_name),
                text(&self.environment),
                Value::Time(self.since),
                text(self.kind.as_str()),
                text(&self.service_id),
                text(&self.metric_name),
                Value::Real(self.value),
                self.usual.map_or(Value::Null, Value::Real),
            ],
        }
    }

    /// What a stored row says; `None` if it is not a row of this version of the table.
    pub fn of_row(row: &[Value]) -> Option<DerivedEvent> {
        let text = |place: usize| match row.get(place) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let real = |place: usize| match row.get(place) {
            Some(Value::Real(real)) => Some(*real),
            _ => None,
        };
        let Some(Value::Time(since)) = row.get(4) else { return None };
        Some(DerivedEvent {
            kind: Kind::of_name(&text(5)?)?,
            colony_id: text(0)?,
            service_id: text(6)?,
            metric_name: text(7)?,
            application_name: text(2)?,
            environment: text(3)?,
            since: *since,
            value: real(8)?,
            usual: real(9),
        })
    }

    /// Its identity in its colony.
    ///
    /// ```
    /// use coral_operators::derived_events::{DerivedEvent, Kind};
    /// use model::{series::SeriesRef, time::TimeMs};
    /// let names = SeriesRef { colony_id: "shop", service_id: "api", metric_name: "latency_ms", ..SeriesRef::default() };
    /// let event = DerivedEvent::new(Kind::LatencySpike, names, TimeMs(600_000), 250.0, Some(100.0));
    /// assert_eq!(event.event_id(), "derived:latency_spike:api:latency_ms:600000");
    /// let row = event.row();
    /// assert_eq!(DerivedEvent::of_row(&[row.key, row.content].concat()), Some(event));
    /// ```
    pub fn event_id(&self) -> String {
        format!("derived:{}:{}:{}:{}", self.kind.as_str(), self.service_id, self.metric_name, self.since.0)
    }
}
