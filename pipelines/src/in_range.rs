//! In range: a recorded source of which only the rows of a range of event time pass; the others are counted.

use crate::replay::TimeRange;
use crate::replay::ledger::Entry;
use async_trait::async_trait;
use sources::{Batch, Source, SourceError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Wraps a source of recorded rows. Its positions are kept under the name of the replay, so that they never move those
/// of the live run.
pub struct InRange {
    inner: Box<dyn Source>,
    entry: Entry,
    outside: Arc<AtomicU64>,
}

impl InRange {
    /// Lets rows of the entry's range through; the others are added to `outside`.
    pub fn new(inner: Box<dyn Source>, entry: Entry, outside: Arc<AtomicU64>) -> InRange {
        InRange { inner, entry, outside }
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
        let TimeRange { from, to } = self.entry.range();
        let before = batch.rows.len();
        batch.rows.events.retain(|row| from <= row.timestamp && row.timestamp < to);
        batch.rows.metrics.retain(|row| from <= row.timestamp && row.timestamp < to);
        self.outside.fetch_add((before - batch.rows.len()) as u64, Ordering::Relaxed);
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
