//! Rollup: which hourly environment summaries a tick's metric rows touch.
//!
//! The sums themselves are the store's, of all stored rows, in the tick's own transaction: so they are right after any
//! repeat or correction, however old the hour, and no state grows here.

use crate::ext::Change;
use model::metric::MetricPoint;
use model::rows::RollupKey;
use std::collections::BTreeSet;

/// The summaries to recompute after these rows were stored; each once.
///
/// ```
/// use coral_operators::rollup::touched_hours;
/// use model::{metric::{MetricPoint, SeriesKey}, time::{HOUR_MS, TimeMs}};
/// let point = |at| MetricPoint {
///     series: SeriesKey { colony_id: "c".into(), service_id: "s".into(), metric_name: "m".into() },
///     timestamp: TimeMs(at), interval_seconds: None, version: 0, count: None, mean: None, p50: None, p95: None,
///     p99: None, max: None, application_name: "shop".into(), environment: "dev".into(),
/// };
/// let hours = touched_hours(vec![(point(1), 1), (point(2), 1), (point(HOUR_MS), 1)]);
/// assert_eq!(hours.len(), 2);
/// ```
pub fn touched_hours(changes: Vec<Change<MetricPoint>>) -> Vec<Change<RollupKey>> {
    let hours: BTreeSet<RollupKey> = changes.iter().map(|(point, _)| RollupKey::of(point)).collect();
    hours.into_iter().map(|hour| (hour, 1)).collect()
}
