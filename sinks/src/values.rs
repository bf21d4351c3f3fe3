//! Values of metric series at some hours: what is read at once where the rows themselves are not needed.

use model::metric::MetricPoint;
use model::series::SeriesId;
use model::time::{HOUR_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Which values are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValuesOf {
    /// Their colonies.
    pub colonies: BTreeSet<String>,
    /// Their services; none for all.
    pub services: BTreeSet<String>,
    /// The starts of their hours.
    pub hours: BTreeSet<TimeMs>,
}

/// The values of a series (see [`MetricPoint::value`]), each time once, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesValues {
    /// Which series.
    pub series: SeriesId,
    /// Start of the bucket, and its value.
    pub values: Vec<(TimeMs, f64)>,
}

impl ValuesOf {
    /// From the first hour to the end of the last.
    pub fn whole(&self) -> Option<Range<TimeMs>> {
        Some(*self.hours.first()?..*self.hours.last()? + HOUR_MS)
    }

    /// The hours, joined where they follow each other.
    pub fn spans(&self) -> Vec<Range<TimeMs>> {
        let mut spans: Vec<Range<TimeMs>> = Vec::new();
        for hour in &self.hours {
            match spans.last_mut() {
                Some(span) if span.end == *hour => span.end = *hour + HOUR_MS,
                _ => spans.push(*hour..*hour + HOUR_MS),
            }
        }
        spans
    }

    /// Whether a bucket is among them.
    fn has(&self, point: &MetricPoint) -> bool {
        let key = &point.series.series().key;
        self.colonies.contains(&key.colony_id)
            && (self.services.is_empty() || self.services.contains(&key.service_id))
            && self.hours.contains(&point.timestamp.floor_to(HOUR_MS))
    }
}

/// The wanted values of buckets, by the names of their series.
pub(crate) fn of_points(points: Vec<MetricPoint>, wanted: &ValuesOf) -> Vec<SeriesValues> {
    replaced(Vec::new(), points, wanted)
}

/// The same after the values of rows on time; a bucket that has a late copy has the value of that copy.
pub(crate) fn replaced(on_time: Vec<SeriesValues>, copies: Vec<MetricPoint>, wanted: &ValuesOf) -> Vec<SeriesValues> {
    let mut of_series: BTreeMap<SeriesId, Vec<(TimeMs, f64)>> =
        on_time.into_iter().map(|one| (one.series, one.values)).collect();
    let mut copied: BTreeMap<SeriesId, BTreeMap<TimeMs, Option<f64>>> = BTreeMap::new();
    for point in copies.into_iter().filter(|point| wanted.has(point)) {
        copied.entry(point.series).or_default().insert(point.timestamp, point.value());
    }
    for (series, copies) in copied {
        let values = of_series.entry(series).or_default();
        values.retain(|(time, _)| !copies.contains_key(time));
        values.extend(copies.into_iter().filter_map(|(time, value)| Some((time, value?))));
        values.sort_unstable_by_key(|(time, _)| *time);
    }
    let in_order = of_series.into_iter().map(|(series, values)| SeriesValues { series, values });
    in_order.filter(|one| !one.values.is_empty()).collect()
}
