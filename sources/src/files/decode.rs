//! From a record's cells to a checked row: the one decoder of files (and of JSON records wherever they come from).

use super::record::{Cell, Field, Record};
use model::check::{Fault, check_event, check_metric};
use model::colony::identity_from_id;
use model::event::{Event, Severity};
use model::metric::{MetricPoint, SeriesKey};
use model::real::Real;
use model::reject::RejectReason;
use model::time::TimeMs;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Largest integer that a float holds exactly; counts beyond it are refused rather than rounded.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Decodes and checks a metric row. `now` is the reader's clock.
pub(crate) fn decode_metric(record: &impl Record, now: TimeMs) -> Result<MetricPoint, Fault> {
    let colony_id = text(record, Field::ColonyId)?;
    let (application_name, environment) = identity(record, &colony_id)?;
    let interval = whole(record, Field::IntervalSeconds)?;
    let point = MetricPoint {
        series: SeriesKey {
            colony_id,
            service_id: text(record, Field::ServiceId)?,
            metric_name: text(record, Field::MetricName)?,
        },
        timestamp: timestamp(record)?,
        interval_seconds: interval
            .map(|seconds| u32::try_from(seconds).map_err(|_| bad_value(Field::IntervalSeconds, "is too large")))
            .transpose()?,
        count: whole(record, Field::Count)?,
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

/// Decodes and checks an event. `now` is the reader's clock.
pub(crate) fn decode_event(record: &impl Record, now: TimeMs) -> Result<Event, Fault> {
    let colony_id = text(record, Field::ColonyId)?;
    let (application_name, environment) = identity(record, &colony_id)?;
    let event = Event {
        colony_id,
        event_id: text(record, Field::EventId)?,
        version: whole(record, Field::Version)?.unwrap_or(0),
        withdrawn: flag(record, Field::Withdrawn)?,
        application_name,
        environment,
        timestamp: timestamp(record)?,
        event_type: text(record, Field::EventType)?,
        service_id: text(record, Field::ServiceId)?,
        severity: severity(record)?,
        description: text(record, Field::Description)?,
        metadata: record.metadata()?,
    };
    check_event(&event, now)?;
    Ok(event)
}

/// The colony a record speaks about, when that much of it can be read.
pub(crate) fn colony_of(record: &impl Record) -> Option<String> {
    text(record, Field::ColonyId).ok().filter(|id| !id.is_empty())
}

/// Metadata from a JSON object: strings as they are, other values as compact JSON, nulls left out.
pub(crate) fn metadata_from_object(object: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    object.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

/// Metadata from the text of a JSON object, as CSV and parquet columns hold it.
pub(crate) fn metadata_from_text(json: &str) -> Result<BTreeMap<String, String>, Fault> {
    if json.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    match serde_json::from_str::<Option<Map<String, Value>>>(json) {
        Ok(object) => Ok(object.map(|object| metadata_from_object(&object)).unwrap_or_default()),
        Err(cause) => Err(bad_value(Field::Metadata, &format!("is not a JSON object: {cause}"))),
    }
}

fn bad_value(field: Field, problem: &str) -> Fault {
    (RejectReason::BadValue, format!("{} {problem}", field.name()))
}

/// Missing text is empty; the checks of the model say which fields may be.
fn text(record: &impl Record, field: Field) -> Result<String, Fault> {
    match record.cell(field) {
        Cell::Missing => Ok(String::new()),
        Cell::Text(text) => Ok(text.to_owned()),
        Cell::Int(number) => Ok(number.to_string()),
        Cell::Float(number) => Err(bad_value(field, &format!("is the number {number}, expected text"))),
        Cell::Bool(_) => Err(bad_value(field, "is a boolean, expected text")),
        Cell::Unusable(what) => Err(bad_value(field, &format!("is {what}, expected text"))),
    }
}

fn number(record: &impl Record, field: Field) -> Result<Option<Real>, Fault> {
    match record.cell(field) {
        Cell::Missing => Ok(None),
        Cell::Int(number) => Ok(Some(Real(number as f64))),
        Cell::Float(number) => Ok(Some(Real(number))),
        Cell::Text(text) => match text.trim() {
            "" => Ok(None),
            trimmed => match trimmed.parse::<f64>() {
                Ok(number) => Ok(Some(Real(number))),
                Err(_) => Err(bad_value(field, &format!("is {trimmed:?}, expected a number"))),
            },
        },
        Cell::Bool(_) => Err(bad_value(field, "is a boolean, expected a number")),
        Cell::Unusable(what) => Err(bad_value(field, &format!("is {what}, expected a number"))),
    }
}

/// True or false; false when missing. CSV knows only text, and some writers only 0 and 1.
fn flag(record: &impl Record, field: Field) -> Result<bool, Fault> {
    let refused = |what: &str| Err(bad_value(field, &format!("is {what}, expected true or false")));
    match record.cell(field) {
        Cell::Missing => Ok(false),
        Cell::Bool(yes) => Ok(yes),
        Cell::Int(number @ (0 | 1)) => Ok(number == 1),
        Cell::Int(number) => refused(&number.to_string()),
        Cell::Float(number) => refused(&number.to_string()),
        Cell::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "" | "false" | "0" => Ok(false),
            "true" | "1" => Ok(true),
            _ => refused(&format!("{text:?}")),
        },
        Cell::Unusable(what) => refused(what),
    }
}

/// A whole number of at least 0. Floats count when they are whole: columns with nulls often come as floats.
fn whole(record: &impl Record, field: Field) -> Result<Option<u64>, Fault> {
    if let Cell::Int(number) = record.cell(field) {
        return u64::try_from(number).map(Some).map_err(|_| bad_value(field, &format!("is {number}, below 0")));
    }
    match number(record, field)? {
        None => Ok(None),
        Some(Real(value)) if (0.0..=EXACT_INTEGER_MAX).contains(&value) && value.fract() == 0.0 => {
            Ok(Some(value as u64))
        }
        Some(Real(value)) => Err(bad_value(field, &format!("is {value}, expected a whole number of at least 0"))),
    }
}

fn timestamp(record: &impl Record) -> Result<TimeMs, Fault> {
    let unreadable = |what: &str| {
        let detail = format!("timestamp is {what}, expected RFC 3339 text or whole milliseconds since 1970");
        Err((RejectReason::BadTimestamp, detail))
    };
    match record.cell(Field::Timestamp) {
        Cell::Missing => Err((RejectReason::MissingField, "timestamp is missing".to_owned())),
        Cell::Int(ms) => Ok(TimeMs(ms)),
        Cell::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT_INTEGER_MAX => Ok(TimeMs(number as i64)),
        Cell::Float(number) => unreadable(&number.to_string()),
        Cell::Text(text) => match TimeMs::parse_rfc3339(text).or_else(|| text.trim().parse().ok().map(TimeMs)) {
            Some(time) => Ok(time),
            None => unreadable(&format!("{text:?}")),
        },
        Cell::Bool(_) => unreadable("a boolean"),
        Cell::Unusable(what) => unreadable(what),
    }
}

fn severity(record: &impl Record) -> Result<Severity, Fault> {
    let name = text(record, Field::Severity)?.trim().to_ascii_lowercase();
    if name.is_empty() {
        return Ok(Severity::default());
    }
    name.parse()
        .map_err(|()| bad_value(Field::Severity, &format!("is {name:?}, expected info, warning, error or critical")))
}

/// Application and environment: the record's own where it has them, else what the colony id says.
fn identity(record: &impl Record, colony_id: &str) -> Result<(String, String), Fault> {
    let application = text(record, Field::ApplicationName)?;
    let environment = text(record, Field::Environment)?;
    if !application.is_empty() && !environment.is_empty() {
        return Ok((application, environment));
    }
    let (from_id, environment_from_id) = identity_from_id(colony_id);
    let application = if application.is_empty() { from_id } else { application };
    let environment = if environment.is_empty() { environment_from_id } else { environment };
    Ok((application, environment))
}
