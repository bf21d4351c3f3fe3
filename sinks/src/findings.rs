//! The findings store: keeps patterns and counts but no rows, for what-if runs.

use crate::closing::Closing;
use crate::commit::Commit;
use crate::error::SinkError;
use crate::outcome::Outcome;
use crate::resolve::{self, Seen};
use crate::rollup::Summary;
use crate::schema::DerivedTable;
use crate::store::{AmendedEvent, Span, StoreReader, StoreWriter, Totals, Watermarks};
use crate::stored::StoredRow;
use crate::transfer::{Cursor, Page};
use async_trait::async_trait;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence, Finding};
use model::position::Positions;
use model::reject::RejectReason;
use model::rows::RollupKey;
use model::time::TimeMs;
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Patterns with their evidence, and row counts. Its memory is bounded by that of the engine, which has the same
/// patterns: rows, summaries, topology and positions are counted or dropped.
///
/// It fulfils the part of the store contract that concerns findings. A run cannot restart from it: it has no rows to
/// rebuild windows, no watermarks and no positions.
#[derive(Debug, Default)]
pub struct FindingsStore {
    reader: FindingsReader,
}

#[derive(Clone, Debug, Default)]
struct FindingsReader {
    kept: Arc<Mutex<Findings>>,
    closing: Closing,
}

#[derive(Debug, Default)]
struct Findings {
    findings: BTreeMap<String, Finding>,
    rejects: BTreeMap<RejectReason, u64>,
    late: u64,
}

impl FindingsStore {
    /// An empty store.
    pub fn new() -> FindingsStore {
        FindingsStore::default()
    }
}

impl Drop for FindingsStore {
    fn drop(&mut self) {
        self.reader.closing.close();
    }
}

impl FindingsReader {
    fn lock(&self) -> MutexGuard<'_, Findings> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, doing: &str) -> Result<MutexGuard<'_, Findings>, SinkError> {
        self.closing.check("memory", doing)?;
        Ok(self.lock())
    }
}

#[async_trait]
impl StoreWriter for FindingsStore {
    fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::new(self.reader.clone())
    }

    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError> {
        let mut kept = self.reader.lock();
        for correlation_id in &commit.removed {
            kept.findings.remove(correlation_id);
        }
        for finding in &commit.findings {
            let mut finding = finding.clone();
            finding.evidence.sort();
            kept.findings.insert(finding.correlation.key.correlation_id(), finding);
        }
        for reject in &commit.rejects {
            *kept.rejects.entry(reject.reason).or_default() += 1;
        }
        kept.late += commit.late.len() as u64;
        // it has no rows from which others could differ
        Ok(Outcome::default())
    }

    /// None: it holds no events, and recorded input has every event once, in its newest version.
    async fn newer_events(&mut self, _: &[Event]) -> Result<Vec<Event>, SinkError> {
        Ok(Vec::new())
    }

    async fn amended_events(&mut self, _: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        Ok(Some(Vec::new()))
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[async_trait]
impl StoreReader for FindingsReader {
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError> {
        Ok(BTreeMap::new())
    }

    async fn watermarks(&self) -> Result<Watermarks, SinkError> {
        Ok(Watermarks::default())
    }

    async fn events_in(&self, _: Span, _: Option<&Event>, _: usize) -> Result<Vec<StoredRow<Event>>, SinkError> {
        Ok(Vec::new())
    }

    async fn event_types(&self) -> Result<Vec<String>, SinkError> {
        Ok(Vec::new())
    }

    async fn service_names(&self) -> Result<Vec<String>, SinkError> {
        Ok(Vec::new())
    }

    async fn events_of(&self, _: &[String], _: Option<&Event>, _: usize) -> Result<Vec<Event>, SinkError> {
        Ok(Vec::new())
    }

    async fn metrics_in(
        &self,
        _: Span,
        _: Option<&MetricPoint>,
        _: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        Ok(Vec::new())
    }

    async fn count_in(&self, _: Span) -> Result<(u64, u64), SinkError> {
        Ok((0, 0))
    }

    async fn metrics_of(&self, _: &[String], _: TimeMs, _: TimeMs) -> Result<Vec<MetricPoint>, SinkError> {
        Ok(Vec::new())
    }

    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError> {
        let kept = self.open("cannot read correlations")?;
        Ok(kept.findings.values().map(|finding| finding.correlation.clone()).collect())
    }

    async fn evidence(&self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        let kept = self.open("cannot read evidence")?;
        Ok(kept.findings.get(correlation_id).map(|finding| finding.evidence.clone()).unwrap_or_default())
    }

    async fn rows_of(&self, table: &'static DerivedTable, _: Option<&Cursor>, _: usize) -> Result<Page, SinkError> {
        Ok(Page::empty(&table.table))
    }

    async fn rows_with(
        &self,
        table: &'static DerivedTable,
        _: (&'static str, &[String]),
        _: Option<&Cursor>,
        _: usize,
    ) -> Result<Page, SinkError> {
        Ok(Page::empty(&table.table))
    }

    async fn newest_of(&self, table: &'static DerivedTable, _: Option<&Cursor>, _: usize) -> Result<Page, SinkError> {
        Ok(Page::empty(&table.table))
    }

    async fn count_of(&self, _: &'static DerivedTable, _: u64) -> Result<u64, SinkError> {
        Ok(0)
    }

    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError> {
        Ok(Vec::new())
    }

    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError> {
        Ok(Vec::new())
    }

    async fn hours(&self, _: TimeMs, _: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError> {
        Ok(Vec::new())
    }

    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError> {
        Ok(Vec::new())
    }

    /// Rows by table are those that it holds: correlations, their evidence and links.
    async fn totals(&self) -> Result<Totals, SinkError> {
        let kept = self.open("cannot count rows")?;
        let evidence: usize = kept.findings.values().map(|finding| finding.evidence.len()).sum();
        let links: usize = kept.findings.values().map(|finding| resolve::event_links(finding).len()).sum();
        let counts =
            [("correlations", kept.findings.len()), ("correlation_evidence", evidence), ("event_correlations", links)];
        Ok(Totals {
            rows: counts.into_iter().map(|(table, rows)| (table.to_owned(), rows as u64)).collect(),
            rejects: kept.rejects.iter().map(|(reason, rows)| (reason.as_str().to_owned(), *rows)).collect(),
            late: kept.late,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compliance::rows::{START, bucket, event, finding};
    use crate::compliance::{self, OnTime, commit_of};
    use crate::memory::MemoryStore;
    use model::rows::Rows;

    #[tokio::test]
    async fn findings_are_kept_as_the_reference_keeps_them() {
        compliance::findings_as_the_reference(&mut FindingsStore::new(), &mut MemoryStore::new()).await;
    }

    #[tokio::test]
    async fn no_row_is_kept() {
        let mut store = FindingsStore::new();
        let rows = Rows { events: vec![event("e", 0)], metrics: vec![bucket("svc", 0)].into(), ..Rows::default() };
        let mut commit = commit_of(1, rows);
        std::sync::Arc::make_mut(&mut commit.late).events.push(event("late", 0));
        commit.findings.push(finding("a", 0.7, &[("e", "f")]));
        commit.positions.push(("files".into(), Positions::default()));
        store.commit(&commit).await.unwrap();
        assert!(store.reader().events_since(START, None, 9).await.unwrap().is_empty());
        assert!(store.reader().metrics_since(START, None, 9).await.unwrap().is_empty());
        assert!(store.reader().positions().await.unwrap().is_empty());
        assert_eq!(store.reader().watermarks().await.unwrap(), Default::default());
        let totals = store.reader().totals().await.unwrap();
        assert_eq!((totals.rows["correlations"], totals.rows["correlation_evidence"], totals.late), (1, 1, 1));
    }
}
