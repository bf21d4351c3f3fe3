//! From a record's cells to a checked row: the one decoder of files, of import and of JSON records wherever they come from.

use super::cells::{flag, number, optional_text, text, timestamp, whole, word};
use super::fields::{Cell, Field, Record};
use super::{Notes, RowKind};
use model::check::{Fault, METADATA_BYTES_MAX, check_event, check_metric, fit_metadata};
use model::colony::identity_from_id;
use model::event::{Event, Severity};
use model::metric::{MetricPoint, SeriesKey};
use model::time::TimeMs;

/// Decodes and checks a metric row. `now` is the reader's clock.
pub(crate) fn decode_metric(record: &impl Record, now: TimeMs) -> Result<MetricPoint, Fault> {
    let colony_id = text(record, Field::ColonyId)?;
    let (application_name, environment) = identity(record, &colony_id)?;
    let point = MetricPoint {
        series: SeriesKey {
            colony_id,
            service_id: text(record, Field::ServiceId)?,
            metric_name: text(record, Field::MetricName)?,
        },
        timestamp: timestamp(record, now)?,
        interval_seconds: whole(record, Field::IntervalSeconds, u64::from(u32::MAX))?.map(|seconds| seconds as u32),
        version: whole(record, Field::Version, u64::MAX)?.unwrap_or(0),
        // what the wire holds
        count: whole(record, Field::Count, i64::MAX as u64)?,
        mean: number(record, Field::Mean)?,
        p50: number(record, Field::P50)?,
        p95: number(record, Field::P95)?,
        p99: number(record, Field::P99)?,
        max: number(record, Field::Max)?,
        application_name,
        environment,
    };
    check_metric(&point, now)?;
    Ok(point)
}

/// Decodes and checks an event. `now` is the reader's clock. What is beside the point of an event never costs the event:
/// an unknown severity and odd metadata are kept as far as they go, and noted.
pub(crate) fn decode_event(record: &impl Record, now: TimeMs, notes: &mut Notes) -> Result<Event, Fault> {
    let colony_id = text(record, Field::ColonyId)?;
    let (application_name, environment) = identity(record, &colony_id)?;
    let mut metadata = record.metadata(notes);
    let (severity, unknown) = Severity::read(&word(record, Field::Severity), &mut metadata);
    notes.extend(unknown);
    if fit_metadata(&mut metadata) > 0 {
        notes.push(format!("metadata of more than {METADATA_BYTES_MAX} bytes: its longest values were left out"));
    }
    let event = Event {
        colony_id,
        event_id: text(record, Field::EventId)?,
        version: whole(record, Field::Version, u64::MAX)?.unwrap_or(0),
        withdrawn: flag(record, Field::Withdrawn)?,
        application_name,
        environment,
        timestamp: timestamp(record, now)?,
        event_type: text(record, Field::EventType)?,
        service_id: text(record, Field::ServiceId)?,
        severity,
        description: optional_text(record, Field::Description)?,
        metadata,
    };
    check_event(&event, now)?;
    Ok(event)
}

/// The colony a record speaks about, when that much of it can be read.
pub(crate) fn colony_of(record: &impl Record) -> Option<String> {
    text(record, Field::ColonyId).ok().filter(|id| !id.is_empty())
}

/// The metric series a record speaks about, `colony/service/metric`, when that much of it can be read.
pub(crate) fn series_of(record: &impl Record) -> Option<String> {
    let [colony, service, metric] = [Field::ColonyId, Field::ServiceId, Field::MetricName]
        .map(|field| text(record, field).ok().filter(|text| !text.is_empty()));
    Some(format!("{}/{}/{}", colony?, service?, metric?))
}

/// Whether a record is a row by its looks: it says whose it is, what it is and when.
pub(crate) fn looks_like_row(kind: RowKind, record: &impl Record, now: TimeMs) -> bool {
    let names: &[Field] = match kind {
        RowKind::Metrics => &[Field::ColonyId, Field::ServiceId, Field::MetricName],
        RowKind::Events => &[Field::ColonyId, Field::EventId, Field::EventType, Field::ServiceId],
    };
    let has_name = |field: &Field| matches!(record.cell(*field), Cell::Text(text) if !text.is_empty());
    // a time that is refused, for want of a zone for example, is a time by its looks
    let has_digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count() >= 8;
    let has_time = match record.cell(Field::Timestamp) {
        Cell::Text(text) => has_digits(text) || timestamp(record, now).is_ok(),
        _ => false,
    };
    names.iter().all(has_name) && has_time
}

/// Application and environment: the record's own where it has them, else what the colony id says.
fn identity(record: &impl Record, colony_id: &str) -> Result<(String, String), Fault> {
    let application = optional_text(record, Field::ApplicationName)?;
    let environment = optional_text(record, Field::Environment)?;
    if !application.is_empty() && !environment.is_empty() {
        return Ok((application, environment));
    }
    let (from_id, environment_from_id) = identity_from_id(colony_id);
    let application = if application.is_empty() { from_id } else { application };
    let environment = if environment.is_empty() { environment_from_id } else { environment };
    Ok((application, environment))
}
