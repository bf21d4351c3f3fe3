//! In range: filters a recorded source by a range of event time; other rows are counted. An event that was amended to a
//! time outside is excluded with its older copies.

use crate::replay::kafka::Moved;
use crate::replay::ledger::Entry;
use async_trait::async_trait;
use model::time::TimeMs;
use sources::{Batch, Source, SourceError};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counts of all sources of a replay, for display.
#[derive(Debug)]
pub struct Tally {
    outside: AtomicU64,
    reached_ms: AtomicI64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { outside: AtomicU64::new(0), reached_ms: AtomicI64::new(i64::MIN) }
    }
}

impl Tally {
    /// Rows outside the range.
    pub fn outside(&self) -> u64 {
        self.outside.load(Ordering::Relaxed)
    }

    /// Greatest event time of a row inside.
    pub fn reached(&self) -> Option<TimeMs> {
        Some(TimeMs(self.reached_ms.load(Ordering::Relaxed))).filter(|time| time.0 > i64::MIN)
    }
}

/// Wraps a source of recorded rows. Its positions are stored under the replay's name, so that they never move those of
/// the live run.
pub struct InRange {
    inner: Box<dyn Source>,
    entry: Entry,
    moved: Arc<Moved>,
    tally: Arc<Tally>,
}

impl InRange {
    /// Lets rows of the entry's range through; all are counted in `tally`.
    pub fn new(inner: Box<dyn Source>, entry: Entry, moved: Arc<Moved>, tally: Arc<Tally>) -> InRange {
        InRange { inner, entry, moved, tally }
    }
}

#[async_trait]
impl Source for InRange {
    fn name(&self) -> &str {
        self.entry.name()
    }

    /// A recording ends, so that no row of it is late.
    fn is_finite(&self) -> bool {
        true
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        let Some(mut batch) = self.inner.next_batch().await? else { return Ok(None) };
        let range = self.entry.range();
        let before = batch.rows.len();
        batch.rows.events.retain(|row| range.holds(row.timestamp) && !self.moved.supersedes(row));
        batch.rows.metrics.retain(|row| range.holds(row.timestamp()));
        self.tally.outside.fetch_add((before - batch.rows.len()) as u64, Ordering::Relaxed);
        let events = batch.rows.events.iter().map(|row| row.timestamp);
        if let Some(newest) = events.chain(batch.rows.metrics.iter().map(|row| row.timestamp)).max() {
            self.tally.reached_ms.fetch_max(newest.0, Ordering::Relaxed);
        }
        batch.positions = self.entry.kept(self.inner.name(), std::mem::take(&mut batch.positions));
        Ok(Some(batch))
    }

    fn progress_bytes(&self) -> Option<(u64, u64)> {
        self.inner.progress_bytes()
    }

    fn progress_rows(&self) -> Option<(u64, u64)> {
        self.inner.progress_rows()
    }
}
