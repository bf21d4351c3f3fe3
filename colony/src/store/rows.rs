//! The stored form of rows.

use crate::summarize::Interval;
use model::event::{Event, Severity};
use model::statistics::Statistics;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One row of `metric_summaries`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRow {
    /// Start of the bucket.
    pub timestamp: TimeMs,
    /// Service.
    pub service_id: String,
    /// Metric.
    pub metric_name: String,
    /// Length of the bucket.
    pub interval: Interval,
    /// Its statistics.
    pub statistics: Statistics,
}

/// One row of `events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Position in the order of storing.
    pub id: i64,
    /// When it happened.
    pub timestamp: TimeMs,
    /// Service.
    pub service_id: String,
    /// Kind of event.
    pub event_type: String,
    /// Everything else.
    pub details: EventDetails,
}

/// The JSON in `events.details`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDetails {
    /// Unique within the colony.
    pub event_id: String,
    /// How bad it is.
    #[serde(default)]
    pub severity: Severity,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Further details.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Newer content of the same event has a higher version.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub version: u64,
    /// The event is withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl EventDetails {
    /// The details of an event.
    pub fn of(event: &Event) -> EventDetails {
        EventDetails {
            event_id: event.event_id.clone(),
            severity: event.severity,
            description: event.description.clone(),
            metadata: event.metadata.clone(),
            version: event.version,
            withdrawn: event.withdrawn,
        }
    }

    /// Reads the column. A row written by another program keeps its text as description, and is identified by its
    /// position.
    pub(super) fn parse(text: Option<&str>, id: i64) -> EventDetails {
        let text = text.unwrap_or_default();
        serde_json::from_str(text).unwrap_or_else(|_| EventDetails {
            event_id: format!("row-{id}"),
            severity: Severity::Info,
            description: text.to_owned(),
            metadata: BTreeMap::new(),
            version: 0,
            withdrawn: false,
        })
    }
}

/// One row of `services`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRow {
    /// Service.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Application.
    pub app_id: String,
    /// Running version; may be empty.
    pub version: String,
    /// The agent that reports it.
    pub agent_id: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When the agent saw it last.
    pub last_seen: TimeMs,
    /// How it does.
    pub status: super::ServiceStatus,
}

/// One row of `service_connections`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    /// Caller.
    pub from_service: String,
    /// Called service.
    pub to_service: String,
    /// Protocol.
    pub protocol: String,
    /// When it was first seen.
    pub first_observed: TimeMs,
    /// When it was last seen.
    pub last_observed: TimeMs,
    /// Requests so far.
    pub connection_count: i64,
}
