//! Which decoded rows are acceptable. Decoding is the only step that may fail; everything downstream is total.

use crate::event::Event;
use crate::instant::likely_unit;
use crate::metric::MetricPoint;
use crate::reject::RejectReason;
use crate::series::SeriesRef;
pub use crate::time::TIMESTAMP_MIN;
use crate::time::{DAY_MS, TimeMs};
use std::collections::BTreeMap;

/// Longest id or name (colony, service, metric, event type, event id), in bytes.
pub const NAME_BYTES_MAX: usize = 16 * 1024;
/// All names of a row together, application and environment included, in bytes: what a store can look up at once.
pub const NAMES_BYTES_MAX: usize = 48 * 1024;
/// Longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Longest metadata, keys and values together, in bytes.
pub const METADATA_BYTES_MAX: usize = 256 * 1024;
/// How far a timestamp may be ahead of the reader's clock: clock skew is allowed, a wrong unit is not.
pub const FUTURE_SKEW_MS_MAX: i64 = DAY_MS;

/// Largest difference between statistics that counts as rounding, as a fraction of the greater one.
const ROUNDING_MAX: f64 = 1e-6;

/// Why a row is not acceptable: the class and the message.
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

fn check_names(names: [&str; 5]) -> Result<(), Fault> {
    let bytes: usize = names.iter().map(|name| name.len()).sum();
    if bytes > NAMES_BYTES_MAX {
        let detail = format!("ids and names have {bytes} bytes together, the limit is {NAMES_BYTES_MAX}");
        return Err((RejectReason::Oversized, detail));
    }
    Ok(())
}

fn check_time(timestamp: TimeMs, now: TimeMs) -> Result<(), Fault> {
    let is_possible = (TIMESTAMP_MIN..=now + FUTURE_SKEW_MS_MAX).contains(&timestamp);
    if let Some((unit, time)) = (!is_possible).then(|| likely_unit(timestamp.0, now)).flatten() {
        let number = timestamp.0;
        let detail = format!(
            "timestamp {number} is no time in milliseconds since 1970; in {unit}, the likely unit, it is {time}"
        );
        return Err((RejectReason::BadTimestamp, detail));
    }
    if timestamp < TIMESTAMP_MIN {
        return Err((RejectReason::BadTimestamp, format!("timestamp {timestamp} is before 1990; wrong unit?")));
    }
    if timestamp > now + FUTURE_SKEW_MS_MAX {
        let detail = format!("timestamp {timestamp} is more than one day after the reader's clock {now}");
        return Err((RejectReason::FarFuture, detail));
    }
    Ok(())
}

/// The time of a row rejected as [`RejectReason::FarFuture`], parsed from the message above.
pub fn far_future_time(detail: &str) -> Option<TimeMs> {
    let (time, _) = detail.strip_prefix("timestamp ")?.split_once(' ')?;
    TimeMs::parse_rfc3339(time)
}

/// Checks an event against the limits above. `now` is the reader's clock.
pub fn check_event(event: &Event, now: TimeMs) -> Result<(), Fault> {
    check_name("colony_id", &event.colony_id)?;
    check_name("event_id", &event.event_id)?;
    check_name("event_type", &event.event_type)?;
    check_name("service_id", &event.service_id)?;
    let Event { colony_id, event_id, application_name, environment, service_id, .. } = event;
    check_names([colony_id, event_id, application_name, environment, service_id])?;
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

/// Whether `lower` exceeds `value` by more than the rounding of writers, single precision included.
fn is_above(lower: f64, value: f64) -> bool {
    lower - value > ROUNDING_MAX * lower.abs().max(value.abs())
}

/// Checks a metric summary: names, time, finite statistics, p50 <= p95 <= p99 <= max where present.
pub fn check_metric(point: &MetricPoint, now: TimeMs) -> Result<(), Fault> {
    let names = point.series.names();
    check_series(names)?;
    check_numbers(point, now)?;
    check_interval(names)
}

/// Checks the names of a series.
pub fn check_series(names: SeriesRef<'_>) -> Result<(), Fault> {
    let SeriesRef { colony_id, application_name, environment, service_id, metric_name, .. } = names;
    check_name("colony_id", colony_id)?;
    check_name("service_id", service_id)?;
    check_name("metric_name", metric_name)?;
    check_names([colony_id, application_name, environment, service_id, metric_name])
}

/// Checks the length of a bucket.
pub fn check_interval(names: SeriesRef<'_>) -> Result<(), Fault> {
    match names.interval_seconds {
        Some(0) => Err((RejectReason::BadValue, "interval_seconds is 0".to_owned())),
        _ => Ok(()),
    }
}

/// Checks everything of a bucket but its series.
pub fn check_numbers(point: &MetricPoint, now: TimeMs) -> Result<(), Fault> {
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
        if let Some((lower_name, lower)) = before.filter(|(_, lower)| is_above(*lower, value)) {
            let detail = format!("{lower_name} = {lower} is greater than {name} = {value}");
            return Err((RejectReason::PercentilesOutOfOrder, detail));
        }
        before = Some((name, before.map_or(value, |(_, lower)| value.max(lower))));
    }
    Ok(())
}

/// Makes metadata fit [`METADATA_BYTES_MAX`]: the longest values are dropped, because secondary data must not cause a
/// reject. Returns how many were dropped.
pub fn fit_metadata(metadata: &mut BTreeMap<String, String>) -> usize {
    let size = |(key, value): (&String, &String)| key.len() + value.len();
    let mut bytes: usize = metadata.iter().map(size).sum();
    let mut left_out = 0;
    while bytes > METADATA_BYTES_MAX {
        let Some(longest) = metadata.iter().max_by_key(|entry| size(*entry)).map(|(key, _)| key.clone()) else { break };
        if let Some((key, value)) = metadata.remove_entry(&longest) {
            bytes -= key.len() + value.len();
            left_out += 1;
        }
    }
    left_out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::real::Real;
    use crate::series::SeriesId;

    const NOW: TimeMs = TimeMs(1_700_000_000_000);

    fn point(p50: f64, p95: f64, max: f64) -> MetricPoint {
        let (colony_id, service_id, metric_name) = ("x", "x", "x");
        MetricPoint {
            series: SeriesId::of(SeriesRef { colony_id, service_id, metric_name, ..SeriesRef::default() }),
            timestamp: TimeMs(1_672_770_000_000),
            p50: Some(Real(p50)),
            p95: Some(Real(p95)),
            max: Some(Real(max)),
            ..MetricPoint::default()
        }
    }

    #[test]
    fn rounding_is_no_disorder() {
        assert_eq!(check_metric(&point(0.300_000_000_000_000_04, 0.3, 0.3), NOW), Ok(()));
        assert_eq!(check_metric(&point(f64::from(0.3_f32), 0.3, 0.3), NOW), Ok(()));
        assert_eq!(check_metric(&point(-0.3, f64::from(-0.3_f32), 0.0), NOW), Ok(()));
        let reason = |point| check_metric(&point, NOW).unwrap_err().0;
        assert_eq!(reason(point(0.3001, 0.3, 0.3)), RejectReason::PercentilesOutOfOrder);
        assert_eq!(reason(point(1e-9, 0.0, 0.3)), RejectReason::PercentilesOutOfOrder);
        // small steps do not add up to a large one
        assert_eq!(reason(point(1.0, 1.0 - 9e-7, 1.0 - 1.8e-6)), RejectReason::PercentilesOutOfOrder);
    }

    #[test]
    fn a_wrong_unit_is_named() {
        for (number, unit) in [(1_672_772_778, "seconds"), (1_672_772_778_000_000, "microseconds")] {
            let (reason, detail) = check_time(TimeMs(number), NOW).unwrap_err();
            assert_eq!(reason, RejectReason::BadTimestamp);
            assert!(
                detail.contains(&format!("in {unit}, the likely unit, it is 2023-01-03T19:06:18.000Z")),
                "{detail}"
            );
        }
        assert_eq!(check_time(NOW + 2 * DAY_MS, NOW).unwrap_err().0, RejectReason::FarFuture);
        assert_eq!(check_time(TimeMs(17), NOW).unwrap_err().0, RejectReason::BadTimestamp);
    }

    #[test]
    fn metadata_gives_up_its_longest_values() {
        let entry = |key: &str, bytes: usize| (key.to_owned(), "x".repeat(bytes));
        let mut metadata =
            BTreeMap::from([entry("a", 10), entry("b", METADATA_BYTES_MAX), entry("c", METADATA_BYTES_MAX - 20)]);
        assert_eq!(fit_metadata(&mut metadata), 1);
        assert_eq!(metadata.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(fit_metadata(&mut metadata), 0);
    }

    #[test]
    fn the_words_about_a_time_ahead_tell_that_time() {
        let (now, ahead) = (TimeMs(1_700_000_000_000), TimeMs(1_700_900_000_123));
        let (reason, detail) = check_time(ahead, now).unwrap_err();
        assert_eq!((reason, far_future_time(&detail)), (RejectReason::FarFuture, Some(ahead)));
        assert_eq!(far_future_time("colony_id is missing or empty"), None);
    }
}
