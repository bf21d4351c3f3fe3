//! The contract of a store: a writer, readers beside it, administration.
//!
//! What every store keeps (checked by `compliance`):
//! 1. **One tick, one commit.** [`StoreWriter::commit`] writes everything of a [`Commit`] or nothing of it. A store without
//!    transactions writes positions last, and a repeat of the commit completes what a cut-off one has left.
//! 2. **Idempotent.** Writing the same commit again changes no row (run-time columns excepted).
//! 3. An error is one of three ([`crate::error::FaultClass`]): retry, reject the row, stop. A missing table or a full disk
//!    is never a reject.
//! 4. Text from outside is always a bound value, never part of a statement.
//! 5. Positions become visible with the rows they stand for, never before.
//! 6. **Readers never wait for the writer, nor it for them.** An answer holds every commit that had ended when it was asked
//!    for, and of the one under way either nothing or everything; of a store without transactions perhaps its first steps.
//! 7. Once the writer is closed or dropped, its readers answer with an error that says so.

use crate::commit::Commit;
use crate::error::SinkError;
use crate::outcome::Outcome;
use crate::resolve::StoredRow;
use crate::retention::{Pruned, Retention};
use crate::schema::{DerivedTable, Table};
use crate::transfer::{Cursor, Page};
use async_trait::async_trait;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The one who writes. A store has one at a time.
#[async_trait]
pub trait StoreWriter: Send {
    /// A reader of the same store; see [`StoreReader`].
    fn reader(&self) -> Arc<dyn StoreReader>;

    /// Writes a tick; says which of its rows were not taken.
    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError>;

    /// The stored events on time that are amended (`version` above 0) or withdrawn and share their identity with one of
    /// `events`: an engine that has forgotten them needs them before it sees an older copy.
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError>;

    /// Whether any such event may be stored. While there is none, no tick need wait for the one before it to ask.
    async fn may_have_newer_events(&mut self) -> Result<bool, SinkError> {
        Ok(true)
    }

    /// Deletes rows beyond their retention, as many as may go without making a commit wait; called again while the answer
    /// is partial. A store whose server deletes by itself has nothing to do.
    async fn prune(&mut self, retention: &Retention, now: TimeMs) -> Result<Pruned, SinkError> {
        let _ = (retention, now);
        Ok(Pruned::default())
    }

    /// Writes what is still in memory only and releases the store, its readers included. Dropping it does the same, but can
    /// only log a failure.
    async fn close(self: Box<Self>) -> Result<(), SinkError>;
}

/// Reads what is stored, also while a run commits. Cheap to share: hand on clones of the `Arc`.
#[async_trait]
pub trait StoreReader: Send + Sync {
    /// Positions of every source, by source name.
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError>;

    /// Greatest timestamp of stored rows on time, per colony. It falls when an event is amended to an earlier time; what a
    /// gate has reached is committed with the positions.
    async fn watermarks(&self) -> Result<Watermarks, SinkError>;

    /// Events of `span`, in pages: rows strictly after `after` in `(timestamp, colony_id, event_id)` order, at most
    /// `limit`. An empty page is the end. Each event comes once: with late copies by its late copy, if there is one.
    /// [`pages`](crate::pages()) reads all of them.
    async fn events_in(
        &self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Event>>, SinkError>;

    /// Metric buckets of `span`, in pages as above, in `(timestamp, series, interval)` order.
    async fn metrics_in(
        &self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError>;

    /// How many events and metric buckets `span` has.
    async fn count_in(&self, span: Span) -> Result<(u64, u64), SinkError>;

    /// All live correlations, by id.
    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError>;

    /// Ids of all live correlations, and of those of which a commit that was cut off has left evidence or links.
    async fn published(&self) -> Result<Vec<String>, SinkError> {
        Ok(self.correlations().await?.iter().map(|correlation| correlation.key.correlation_id()).collect())
    }

    /// The rows behind a correlation, sorted; none when there is no such correlation.
    async fn evidence(&self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError>;

    /// The last known state of every colony, by id.
    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError>;

    /// Rows of a derived table beyond `after` in the order of its key, at most `limit`. An empty page is the end.
    async fn rows_of(
        &self,
        table: &'static DerivedTable,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError>;

    /// Row counts per table and rejects per reason, for the summary of a run.
    async fn totals(&self) -> Result<Totals, SinkError>;
}

/// Moves whole tables in and out of a store that no run uses. Opening a store for it brings its schema up to date.
#[async_trait]
pub trait StoreAdmin: Send {
    /// Where it is, for people and to recognise it again.
    fn name(&self) -> &str;

    /// Its tables, in an order in which a reader of the target never sees a row before what it refers to.
    fn tables(&self) -> Vec<&'static Table>;

    /// Rows of `table` beyond `after`, at most `limit`. An empty page is the end.
    async fn export(&mut self, table: &'static Table, after: Option<&Cursor>, limit: usize) -> Result<Page, SinkError>;

    /// Writes a page whose rows the store does not hold yet, and with it how far the copy `source` is. A page that is
    /// written again after a failure changes nothing.
    async fn import(&mut self, page: Page, source: &str, progress: Positions) -> Result<(), SinkError>;

    /// How far the copy `source` into this store has come, by table; nothing when there is none under way.
    async fn copy_progress(&mut self, source: &str) -> Result<Positions, SinkError>;

    /// Forgets the progress of the copy `source`: it is complete.
    async fn forget_copy(&mut self, source: &str) -> Result<(), SinkError>;

    /// Writes what is still in memory only and releases the store.
    async fn close(self: Box<Self>) -> Result<(), SinkError>;
}

/// Greatest timestamps per colony.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// Of events on time.
    pub events: BTreeMap<String, TimeMs>,
    /// Of metric buckets on time.
    pub metrics: BTreeMap<String, TimeMs>,
}

/// Which stored rows to read: `from <= timestamp < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First timestamp.
    pub from: TimeMs,
    /// First timestamp beyond; `None` for no end.
    pub to: Option<TimeMs>,
    /// Whether late copies count as well: rows marked late, and a row with a late copy by that one, at its own time.
    pub with_late: bool,
}

impl Span {
    /// What an engine's windows are rebuilt from.
    pub fn on_time_since(from: TimeMs) -> Span {
        Span { from, to: None, with_late: false }
    }

    /// Whether a row of this time is wanted.
    pub fn takes(&self, timestamp: TimeMs, on_time: bool) -> bool {
        timestamp >= self.from && self.to.is_none_or(|to| timestamp < to) && (on_time || self.with_late)
    }
}

/// Row counts, for people and for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Table name to rows.
    pub rows: BTreeMap<String, u64>,
    /// Reject reason to rows.
    pub rejects: BTreeMap<String, u64>,
    /// Rows marked late and late copies, events and metrics.
    pub late: u64,
}
