//! Series: the metric buckets of a range that are wanted, summed by step.

use super::fleet::{Fleet, Narrowed};
use super::range::{RANGE_MAX_MS, Range};
use model::metric::MetricPoint;
use model::time::{HOUR_MS, MINUTE_MS, TimeMs};
use serde::Serialize;
use sinks::{MetricFilter, SinkError, Span, StoreReader};
use std::collections::{BTreeMap, BTreeSet};

/// Rows read at once.
const PAGE_ROWS: usize = 50_000;
/// Longest time whose buckets are read at once to say what there is.
const NAMED_MAX_MS: i64 = 6 * HOUR_MS;

/// Colony, service and metric.
pub(super) type Key = [String; 3];

/// The buckets of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PointSum {
    /// Samples, where the buckets say.
    pub samples: u64,
    /// Stored buckets.
    pub buckets: u32,
    /// Mean of the buckets' p95 (of their mean where they have none), weighted by samples.
    pub value: Option<f64>,
    /// Lowest of the buckets' values.
    pub low: Option<f64>,
    /// Highest of them.
    pub high: Option<f64>,
    /// Greatest sample.
    pub max: Option<f64>,
    weight: f64,
}

impl PointSum {
    fn add(&mut self, point: &MetricPoint) {
        self.buckets += 1;
        self.samples = self.samples.saturating_add(point.count.unwrap_or(0));
        if let Some(value) = point.value().filter(|value| value.is_finite()) {
            let weight = point.count.unwrap_or(1).max(1) as f64;
            let sum = self.value.unwrap_or(0.0) * self.weight + value * weight;
            self.weight += weight;
            self.value = Some(sum / self.weight);
            self.low = self.low.into_iter().chain([value]).reduce(f64::min);
            self.high = self.high.into_iter().chain([value]).reduce(f64::max);
        }
        let greatest = point.max.map(|max| max.0).filter(|max| max.is_finite());
        self.max = self.max.into_iter().chain(greatest).reduce(f64::max);
    }
}

/// Which buckets are wanted.
pub(super) struct Wanted<'a> {
    pub fleet: &'a Fleet,
    /// Whose.
    pub filter: &'a Narrowed,
    /// Of which metrics; empty for all.
    pub metric_names: BTreeSet<&'a str>,
    /// Only series after this one.
    pub after: Option<&'a Key>,
    /// Length of a point.
    pub step_ms: i64,
    /// Most of them.
    pub rows_max: usize,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// The points of each series.
    pub series: BTreeMap<Key, BTreeMap<TimeMs, PointSum>>,
    /// Metrics of the services that are wanted.
    pub metric_names: BTreeSet<String>,
    /// Services of the colonies that are wanted.
    pub services: BTreeSet<String>,
    rows: usize,
}

impl Wanted<'_> {
    /// The series of a range; `None` if more buckets than the most are wanted. Other buckets do not count, and where a
    /// colony, a service or a metric is named the store reads no others.
    pub async fn read(&self, range: Range, reader: &dyn StoreReader) -> Result<Option<Found>, SinkError> {
        let mut colonies = self.filter.colonies(self.fleet);
        if let Some(colonies) = &mut colonies {
            colonies.retain(|id| self.after.is_none_or(|after| after[0] <= *id));
        }
        let service = self.filter.service().map(str::to_owned);
        let metric_names = self.metric_names.iter().map(|name| (*name).to_owned()).collect();
        let filter = MetricFilter { colonies, service, metric_names };
        let mut found = Found::default();
        let is_whole = each(&filter, range, reader, &mut |point| self.add(point, &mut found)).await?;
        Ok(is_whole.then_some(found))
    }

    /// The newest metrics and services of a range, whichever of them are wanted: to say what there is instead of one that is
    /// not known. If the service that is wanted has a bucket, it is among them.
    pub async fn named(&self, range: Range, reader: &dyn StoreReader) -> Result<Found, SinkError> {
        let colonies = self.filter.colonies(self.fleet);
        let service = self.filter.service().map(str::to_owned);
        let mut found = Found::default();
        let of_service = MetricFilter { colonies: colonies.clone(), service, ..MetricFilter::default() };
        self.note_newest(&of_service, range, reader, &mut found).await?;
        if of_service.service.is_some() && found.services.is_empty() {
            let of_colonies = MetricFilter { colonies, ..MetricFilter::default() };
            self.note_newest(&of_colonies, range, reader, &mut found).await?;
        }
        Ok(found)
    }

    /// Notes what the newest buckets of a range are of: those of the last hour, or of the last hours that have any.
    async fn note_newest(
        &self,
        filter: &MetricFilter,
        range: Range,
        reader: &dyn StoreReader,
        found: &mut Found,
    ) -> Result<(), SinkError> {
        // of one service a long time has few buckets
        let slice_max_ms = if filter.service.is_some() { RANGE_MAX_MS } else { NAMED_MAX_MS };
        let (mut end, mut slice_ms) = (range.to, HOUR_MS);
        while range.from < end {
            let begin = range.from.max(end - slice_ms);
            let points = reader.metrics_where(filter, begin, end).await?;
            if !points.is_empty() {
                for point in &points {
                    self.note(point, found);
                }
                break;
            }
            (end, slice_ms) = (begin, (slice_ms * 2).min(slice_max_ms));
        }
        Ok(())
    }

    /// Adds a bucket if it is wanted; `false` if it is one too many.
    fn add(&self, point: &MetricPoint, found: &mut Found) -> bool {
        if !self.note(point, found) {
            return true;
        }
        let names = point.series.names();
        if !self.metric_names.is_empty() && !self.metric_names.contains(names.metric_name) {
            return true;
        }
        let key = [names.colony_id, names.service_id, names.metric_name].map(str::to_owned);
        if self.after.is_some_and(|after| key <= *after) {
            return true;
        }
        found.rows += 1;
        let at = point.timestamp.floor_to(self.step_ms);
        found.series.entry(key).or_default().entry(at).or_default().add(point);
        found.rows <= self.rows_max
    }

    /// Notes which service and metric a bucket is of; whether its colony and its service are wanted.
    fn note(&self, point: &MetricPoint, found: &mut Found) -> bool {
        let names = point.series.names();
        let (application, environment) = self.fleet.identity(names.colony_id);
        if !self.filter.takes_colony(names.colony_id, application, environment) {
            return false;
        }
        if !found.services.contains(names.service_id) {
            found.services.insert(names.service_id.to_owned());
        }
        if !self.filter.takes_service(names.service_id) {
            return false;
        }
        if !found.metric_names.contains(names.metric_name) {
            found.metric_names.insert(names.metric_name.to_owned());
        }
        true
    }
}

/// Takes each bucket that the filter takes, until one is one too many; whether none was.
async fn each(
    filter: &MetricFilter,
    range: Range,
    reader: &dyn StoreReader,
    take: &mut (dyn FnMut(&MetricPoint) -> bool + Send),
) -> Result<bool, SinkError> {
    if *filter == MetricFilter::default() {
        return each_of_all(range, reader, take).await;
    }
    let (mut begin, mut slice_ms) = (range.from, HOUR_MS);
    while begin < range.to {
        let end = range.to.min(begin + slice_ms);
        let points = reader.metrics_where(filter, begin, end).await?;
        // about a page at once
        if points.len() > PAGE_ROWS {
            slice_ms = (slice_ms / 2).max(MINUTE_MS);
        } else if points.len() < PAGE_ROWS / 4 {
            slice_ms = (slice_ms * 2).min(RANGE_MAX_MS);
        }
        if !points.iter().all(&mut *take) {
            return Ok(false);
        }
        begin = end;
    }
    Ok(true)
}

async fn each_of_all(
    range: Range,
    reader: &dyn StoreReader,
    take: &mut (dyn FnMut(&MetricPoint) -> bool + Send),
) -> Result<bool, SinkError> {
    let span = Span { from: range.from, to: Some(range.to), with_late: true };
    let mut after: Option<MetricPoint> = None;
    loop {
        let page = reader.metrics_in(span, after.as_ref(), PAGE_ROWS).await?;
        let Some(last) = page.last() else { return Ok(true) };
        after = Some(last.row);
        if !page.iter().all(|stored| take(&stored.row)) {
            return Ok(false);
        }
    }
}
