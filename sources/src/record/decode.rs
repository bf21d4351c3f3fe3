//! Decodes a record's cells to a checked row: the common decoder of files, import and all JSON records.

use super::cells::{flag, number, optional_text, text, timestamp, whole, word};
use super::fields::{Cell, Field, Record};
use super::{Notes, RowKind};
use model::check::{Fault, METADATA_BYTES_MAX, check_event, check_interval, check_numbers, check_series, fit_metadata};
use model::colony::identity_in_id;
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::series::{SeriesCache, SeriesId, SeriesRef};
use model::time::TimeMs;
use std::borrow::Cow;

/// Decodes and checks a metric row. `now` is the reader's clock; `known` are the series of the rows before.
pub(crate) fn decode_metric(record: &impl Record, now: TimeMs, known: &mut SeriesCache) -> Result<MetricPoint, Fault> {
    let colony_id = text(record, Field::ColonyId)?;
    let stated = stated_identity(record)?;
    let (application_name, environment) = or_of_id((&stated.0, &stated.1), &colony_id);
    let (service_id, metric_name) = (text(record, Field::ServiceId)?, text(record, Field::MetricName)?);
    let timestamp = timestamp(record, now)?;
    let interval_seconds = whole(record, Field::IntervalSeconds, u64::from(u32::MAX))?.map(|seconds| seconds as u32);
    let point = MetricPoint {
        series: SeriesId::default(),
        timestamp,
        version: whole(record, Field::Version, u64::MAX)?.unwrap_or(0),
        // what the wire holds
        count: whole(record, Field::Count, i64::MAX as u64)?,
        mean: number(record, Field::Mean)?,
        p50: number(record, Field::P50)?,
        p95: number(record, Field::P95)?,
        p99: number(record, Field::P99)?,
        max: number(record, Field::Max)?,
    };
    let names = SeriesRef {
        colony_id: &colony_id,
        application_name,
        environment,
        service_id: &service_id,
        metric_name: &metric_name,
        interval_seconds,
    };
    // names that were accepted before are so again
    let Some(series) = known.find(names) else {
        check_series(names)?;
        check_numbers(&point, now)?;
        check_interval(names)?;
        return Ok(MetricPoint { series: known.keep(names), ..point });
    };
    check_numbers(&point, now)?;
    Ok(MetricPoint { series, ..point })
}

/// Decodes and checks an event. `now` is the reader's clock. Secondary data never causes a reject: an unknown severity
/// and unusual metadata are kept as far as possible, and noted.
pub(crate) fn decode_event(record: &impl Record, now: TimeMs, notes: &mut Notes) -> Result<Event, Fault> {
    let owned = |field| text(record, field).map(Cow::into_owned);
    let colony_id = owned(Field::ColonyId)?;
    let stated = stated_identity(record)?;
    let (application_name, environment) = or_of_id((&stated.0, &stated.1), &colony_id);
    let (application_name, environment) = (application_name.to_owned(), environment.to_owned());
    let mut metadata = record.metadata(notes);
    let (severity, unknown) = Severity::read(&word(record, Field::Severity), &mut metadata);
    notes.extend(unknown);
    if fit_metadata(&mut metadata) > 0 {
        notes.push(format!("metadata of more than {METADATA_BYTES_MAX} bytes: its longest values were omitted"));
    }
    let event = Event {
        colony_id,
        event_id: owned(Field::EventId)?,
        version: whole(record, Field::Version, u64::MAX)?.unwrap_or(0),
        withdrawn: flag(record, Field::Withdrawn)?,
        application_name,
        environment,
        timestamp: timestamp(record, now)?,
        event_type: owned(Field::EventType)?,
        service_id: owned(Field::ServiceId)?,
        severity,
        description: optional_text(record, Field::Description)?.into_owned(),
        metadata,
    };
    check_event(&event, now)?;
    Ok(event)
}

/// The colony a record speaks about, when that much of it can be read.
pub(crate) fn colony_of(record: &impl Record) -> Option<String> {
    text(record, Field::ColonyId).ok().filter(|id| !id.is_empty()).map(Cow::into_owned)
}

/// The metric series a record speaks about, `colony/service/metric`, when that much of it can be read.
pub(crate) fn series_of(record: &impl Record) -> Option<String> {
    let [colony, service, metric] = [Field::ColonyId, Field::ServiceId, Field::MetricName]
        .map(|field| text(record, field).ok().filter(|text| !text.is_empty()));
    Some(format!("{}/{}/{}", colony?, service?, metric?))
}

/// Whether a record looks like a row: it has an owner, a name and a time.
pub(crate) fn looks_like_row(kind: RowKind, record: &impl Record, now: TimeMs) -> bool {
    let names: &[Field] = match kind {
        RowKind::Metrics => &[Field::ColonyId, Field::ServiceId, Field::MetricName],
        RowKind::Events => &[Field::ColonyId, Field::EventId, Field::EventType, Field::ServiceId],
    };
    let has_name = |field: &Field| matches!(record.cell(*field), Cell::Text(text) if !text.is_empty());
    // a rejected time, for example without a zone, still looks like a time
    let has_digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count() >= 8;
    let has_time = match record.cell(Field::Timestamp) {
        Cell::Text(text) => has_digits(text) || timestamp(record, now).is_ok(),
        _ => false,
    };
    names.iter().all(has_name) && has_time
}

/// Application and environment as the record states them; empty where it does not.
fn stated_identity(record: &impl Record) -> Result<(Cow<'_, str>, Cow<'_, str>), Fault> {
    Ok((optional_text(record, Field::ApplicationName)?, optional_text(record, Field::Environment)?))
}

/// Application and environment: the record's own if it has them, otherwise from the colony id.
fn or_of_id<'a>(stated: (&'a str, &'a str), colony_id: &'a str) -> (&'a str, &'a str) {
    let (application, environment) = stated;
    if !application.is_empty() && !environment.is_empty() {
        return stated;
    }
    let of_id = identity_in_id(colony_id);
    (
        if application.is_empty() { of_id.0 } else { application },
        if environment.is_empty() { of_id.1 } else { environment },
    )
}
