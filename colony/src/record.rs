//! Checked rows into the store, the same way for agents and imports.

use crate::error::StoreError;
use crate::store::{EventsWritten, MetricRow, Store};
use crate::summarize::{FineWindows, Interval, statistics_of};
use model::check::Fault;
use model::event::Event;
use model::metric::MetricPoint;
use model::reject::RejectReason;
use std::sync::{Mutex, PoisonError};

/// Default length of a bucket: RFD 010's finest.
pub const DEFAULT_INTERVAL_SECONDS: u32 = 300;

/// Writes rows of one colony. There is one per open store: it holds the buckets that are still filling.
#[derive(Debug)]
pub struct Recorder {
    store: Store,
    windows: Mutex<FineWindows>,
}

impl Recorder {
    /// A recorder into `store`.
    pub fn new(store: Store) -> Recorder {
        Recorder { store, windows: Mutex::new(FineWindows::default()) }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores metric points in one transaction. Returns the indexes of points whose interval is too long.
    ///
    /// Points of 5, 15, 60 minutes or a day are stored unchanged; others are aggregated into buckets of the next
    /// coarser interval.
    pub async fn metrics(&self, points: &[MetricPoint]) -> Result<Vec<(usize, Fault)>, StoreError> {
        let mut rows = Vec::with_capacity(points.len());
        let mut refused = Vec::new();
        {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            for (index, point) in points.iter().enumerate() {
                match to_row(&mut windows, point) {
                    Ok(row) => rows.push(row),
                    Err(fault) => refused.push((index, fault)),
                }
            }
        }
        self.store.upsert_metrics(rows).await?;
        Ok(refused)
    }

    /// Stores events in one transaction.
    pub async fn events(&self, events: Vec<Event>) -> Result<EventsWritten, StoreError> {
        self.store.insert_events(events).await
    }
}

fn to_row(windows: &mut FineWindows, point: &MetricPoint) -> Result<MetricRow, Fault> {
    let seconds = point.series.interval_seconds.unwrap_or(DEFAULT_INTERVAL_SECONDS);
    let interval = Interval::at_least(seconds).ok_or_else(|| {
        (RejectReason::BadValue, format!("interval_seconds is {seconds}; a colony keeps buckets of at most one day"))
    })?;
    let (timestamp, statistics) = if seconds == interval.seconds() {
        (point.timestamp, statistics_of(point))
    } else {
        windows.take(point, interval)
    };
    Ok(MetricRow {
        timestamp,
        service_id: point.series.key.service_id.clone(),
        metric_name: point.series.key.metric_name.clone(),
        interval,
        statistics,
    })
}
