//! Which decoded rows are acceptable. Decoding is the only step that may fail; what passes here is total downstream.

use crate::event::Event;
use crate::metric::MetricPoint;
use crate::reject::RejectReason;
use crate::time::{DAY_MS, TimeMs};

/// Longest id or name (colony, service, metric, event type, event id), in bytes.
pub const NAME_BYTES_MAX: usize = 16 * 1024;
/// Longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Longest metadata, keys and values together, in bytes.
pub const METADATA_BYTES_MAX: usize = 256 * 1024;
/// How far a timestamp may lie after the reader's clock: clock skew, not a wrong unit.
pub const FUTURE_SKEW_MS_MAX: i64 = DAY_MS;
/// Timestamps before 1990 are unit errors (seconds read as milliseconds land in January 1970).
pub const TIMESTAMP_MIN: TimeMs = TimeMs(631_152_000_000);

/// Why one row is not acceptable: the class, and the words for it.
pub type Fault = (RejectReason, String);

fn check_name(field: &str, value: &str) -> Result<(), Fault> {
    if value.trim().is_empty() {
        return Err((RejectReason::MissingField, format!("{field} is missing or empty")));
    }
    if value.len() > NAME_BYTES_MAX {
        let detail = format!("{field} has {} bytes, the limit is {NAME_BYTES_MAX}", value.len());
        return Err((RejectReason::Oversized, detail));
    }
    Ok(())
}

fn check_time(timestamp: TimeMs, now: TimeMs) -> Result<(), Fault> {
    if timestamp < TIMESTAMP_MIN {
        return Err((RejectReason::BadTimestamp, format!("timestamp {timestamp} is before 1990; wrong unit?")));
    }
    if timestamp > now + FUTURE_SKEW_MS_MAX {
        let detail = format!("timestamp {timestamp} is more than one day after the reader's clock {now}");
        return Err((RejectReason::FarFuture, detail));
    }
    Ok(())
}

/// Checks an event against the limits above. `now` is the reader's clock.
pub fn check_event(event: &Event, now: TimeMs) -> Result<(), Fault> {
    check_name("colony_id", &event.colony_id)?;
    check_name("event_id", &event.event_id)?;
    check_name("event_type", &event.event_type)?;
    check_name("service_id", &event.service_id)?;
    check_time(event.timestamp, now)?;
    if event.description.len() > DESCRIPTION_BYTES_MAX {
        let detail = format!("description has {} bytes, the limit is {DESCRIPTION_BYTES_MAX}", event.description.len());
        return Err((RejectReason::Oversized, detail));
    }
    let metadata_bytes: usize = event.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if metadata_bytes > METADATA_BYTES_MAX {
        let detail = format!("metadata has {metadata_bytes} bytes, the limit is {METADATA_BYTES_MAX}");
        return Err((RejectReason::Oversized, detail));
    }
    Ok(())
}

/// Checks a metric summary: names, time, finite statistics, p50 <= p95 <= p99 <= max where present.
pub fn check_metric(point: &MetricPoint, now: TimeMs) -> Result<(), Fault> {
    check_name("colony_id", &point.series.colony_id)?;
    check_name("service_id", &point.series.service_id)?;
    check_name("metric_name", &point.series.metric_name)?;
    check_time(point.timestamp, now)?;
    let statistics =
        [("p50", point.p50), ("p95", point.p95), ("p99", point.p99), ("max", point.max), ("mean", point.mean)];
    for (name, value) in statistics {
        if let Some(value) = value
            && !value.0.is_finite()
        {
            return Err((RejectReason::NotFinite, format!("{name} is {}", value.0)));
        }
    }
    if statistics.iter().all(|(_, value)| value.is_none()) {
        return Err((RejectReason::MissingField, "none of p50, p95, p99, mean, max is present".to_owned()));
    }
    let mut before: Option<(&str, f64)> = None;
    for (name, value) in statistics[..4].iter().filter_map(|(name, value)| value.map(|v| (*name, v.0))) {
        if let Some((lower_name, lower)) = before.filter(|(_, lower)| *lower > value) {
            let detail = format!("{lower_name} = {lower} is greater than {name} = {value}");
            return Err((RejectReason::PercentilesOutOfOrder, detail));
        }
        before = Some((name, value));
    }
    if point.interval_seconds == Some(0) {
        return Err((RejectReason::BadValue, "interval_seconds is 0".to_owned()));
    }
    Ok(())
}
