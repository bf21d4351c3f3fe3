//! Encodes a row as a message: the record of files as JSON, or the wire's message.

use super::decode::Encoding;
use model::colony::identity_from_id;
use model::event::Event;
use model::metric::MetricPoint;
use model::real::Real;
use prost::Message as _;
use proto::convert::{event_to_wire, metric_to_wire};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct EventRecord<'a> {
    event_id: &'a str,
    colony_id: &'a str,
    application_name: &'a str,
    environment: &'a str,
    timestamp: String,
    event_type: &'a str,
    service_id: &'a str,
    severity: &'a str,
    description: &'a str,
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_zero")]
    version: u64,
    #[serde(skip_serializing_if = "is_false")]
    withdrawn: bool,
}

#[derive(Serialize)]
struct MetricRecord<'a> {
    colony_id: &'a str,
    application_name: &'a str,
    environment: &'a str,
    service_id: &'a str,
    metric_name: &'a str,
    timestamp: String,
    p50: Option<Real>,
    p95: Option<Real>,
    p99: Option<Real>,
    mean: Option<Real>,
    max: Option<Real>,
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_seconds: Option<u32>,
    #[serde(skip_serializing_if = "is_zero")]
    version: u64,
}

fn is_zero(version: &u64) -> bool {
    *version == 0
}

fn is_false(withdrawn: &bool) -> bool {
    !*withdrawn
}

/// Writes an event into `out`, which is emptied first.
pub(super) fn event(row: &Event, encoding: Encoding, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    match encoding {
        Encoding::Protobuf => event_to_wire(row).encode(out).map_err(|error| error.to_string()),
        Encoding::Json => {
            let record = EventRecord {
                event_id: &row.event_id,
                colony_id: &row.colony_id,
                application_name: &row.application_name,
                environment: &row.environment,
                timestamp: row.timestamp.to_string(),
                event_type: &row.event_type,
                service_id: &row.service_id,
                severity: row.severity.as_str(),
                description: &row.description,
                metadata: &row.metadata,
                version: row.version,
                withdrawn: row.withdrawn,
            };
            serde_json::to_writer(out, &record).map_err(|error| error.to_string())
        }
    }
}

/// Writes a metric bucket into `out`, which is emptied first.
pub(super) fn metric(row: &MetricPoint, encoding: Encoding, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    match encoding {
        Encoding::Protobuf => metric_to_wire(row).encode(out).map_err(|error| error.to_string()),
        Encoding::Json => {
            let names = row.series.names();
            let record = MetricRecord {
                colony_id: names.colony_id,
                application_name: names.application_name,
                environment: names.environment,
                service_id: names.service_id,
                metric_name: names.metric_name,
                timestamp: row.timestamp.to_string(),
                p50: row.p50,
                p95: row.p95,
                p99: row.p99,
                mean: row.mean,
                max: row.max,
                count: row.count,
                interval_seconds: names.interval_seconds,
                version: row.version,
            };
            serde_json::to_writer(out, &record).map_err(|error| error.to_string())
        }
    }
}

/// Application and environment, if they cannot be restored from the message's key.
pub(super) fn beside_the_key<'a>(
    colony_id: &str,
    application: &'a str,
    environment: &'a str,
) -> Option<(&'a str, &'a str)> {
    let (from_id, environment_from_id) = identity_from_id(colony_id);
    (application != from_id || environment != environment_from_id).then_some((application, environment))
}
