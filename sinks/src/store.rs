//! The contract of a store: a writer, readers beside it, administration.
//!
//! The contract of every store (checked by `compliance`):
//! 1. **One tick, one commit.** [`StoreWriter::commit`] writes all of a [`Commit`] or nothing. A store without
//!    transactions writes positions last, and a retry of the commit completes an interrupted one.
//! 2. **Idempotent.** Writing the same commit again changes no row (run-time columns excepted).
//! 3. An error is one of three ([`crate::error::FaultClass`]): retry, reject the row, stop. A missing table or a full disk
//!    is never a reject.
//! 4. Text from outside is always a bound value, never part of a statement.
//! 5. Positions become visible with the rows they stand for, never before.
//! 6. **Readers never wait for the writer, nor it for them.** A result includes every commit that had completed before
//!    the request, and of the running one either nothing or everything; in a store without transactions possibly its
//!    first steps.
//! 7. Once the writer is closed or dropped, its readers return an error that says so.

use crate::commit::Commit;
use crate::error::{FaultClass, SinkError};
use crate::outcome::Outcome;
use crate::overview::{self, Named};
use crate::resolve::Seen;
use crate::retention::{Pruned, Retention};
use crate::rollup::Summary;
use crate::scan::{Scan, Scanned};
use crate::schema::{DerivedTable, Table};
use crate::stored::StoredRow;
use crate::transfer::{Cursor, Page};
use crate::values::{self, SeriesValues, ValuesOf};
use async_trait::async_trait;
use model::colony::ColonyIdentity;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::rows::RollupKey;
use model::time::TimeMs;
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The writer. A store has one at a time.
#[async_trait]
pub trait StoreWriter: Send {
    /// A reader of the same store; see [`StoreReader`].
    fn reader(&self) -> Arc<dyn StoreReader>;

    /// Writes a tick; returns which of its rows were not applied.
    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError>;

    /// The stored events on time that are amended (`version` above 0) or withdrawn and share their identity with one of
    /// `events`: an engine that has forgotten them needs them before it sees an older copy.
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError>;

    /// All such events; `None` if there are more than `limit`, or the store cannot list them. A run that knows them queries
    /// few of them: a query waits for the commit in progress.
    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        let _ = limit;
        Ok(None)
    }

    /// Deletes expired rows, as many as possible without delaying a commit; called again while the result is partial. A
    /// store whose server deletes rows itself does nothing.
    async fn prune(&mut self, retention: &Retention, now: TimeMs) -> Result<Pruned, SinkError> {
        let _ = (retention, now);
        Ok(Pruned::default())
    }

    /// Flushes memory and releases the store, its readers included. Dropping it does the same, but can only log a
    /// failure.
    async fn close(self: Box<Self>) -> Result<(), SinkError>;
}

/// The source name under which a run commits the event times that its patterns are as of; its parts are `events` and
/// `metrics`, each an RFC 3339 time.
pub const EVALUATED_NAME: &str = "evaluated";

/// Rows that are read at once of a store that does not filter by itself.
const FILTERED_PAGE_ROWS: usize = 50_000;

/// Rows of one instant that are read for the identity of a colony.
const INSTANT_ROWS_MAX: usize = 100_000;

/// Reads the store, also while a run commits. Cheap to share: pass clones of the `Arc`.
#[async_trait]
pub trait StoreReader: Send + Sync {
    /// Positions of every source, by source name.
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError>;

    /// Greatest timestamp of stored rows on time, per colony. It falls if an event is amended to an earlier time; the
    /// state of a gate is committed with the positions.
    async fn watermarks(&self) -> Result<Watermarks, SinkError>;

    /// Application and environment of each colony, as its newest row on time states them: a metric bucket before an event,
    /// and of several names at that time the greatest. A colony without rows on time is absent.
    async fn identities(&self) -> Result<BTreeMap<String, ColonyIdentity>, SinkError> {
        let Watermarks { events, metrics } = self.watermarks().await?;
        let at = |time: TimeMs| Span { from: time, to: Some(time + 1), with_late: false };
        let mut named = Vec::new();
        for (colony_id, newest) in events {
            let rows = self.events_in(at(newest), None, INSTANT_ROWS_MAX).await?.into_iter().map(|stored| stored.row);
            named.extend(rows.filter(|row| row.colony_id == colony_id).map(|row| Named::of_event(&row)));
        }
        for (colony_id, newest) in metrics {
            let rows = self.metrics_in(at(newest), None, INSTANT_ROWS_MAX).await?.into_iter().map(|stored| stored.row);
            let rows = rows.filter(|row| row.series.series().key.colony_id == colony_id);
            named.extend(rows.map(|row| Named::of_bucket(&row)));
        }
        Ok(overview::identities(named))
    }

    /// Events of `span`, in pages: rows strictly after `after` in `(timestamp, colony_id, event_id)` order, at most
    /// `limit`. An empty page is the end. Each event comes once: with late copies by its late copy, if there is one.
    /// [`pages`](crate::pages()) reads all of them.
    async fn events_in(
        &self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Event>>, SinkError>;

    /// The types that stored events on time have, in order.
    async fn event_types(&self) -> Result<Vec<String>, SinkError>;

    /// The services that stored events and metric buckets name, late ones included, in order.
    async fn service_names(&self) -> Result<Vec<String>, SinkError>;

    /// Events on time of these types, in pages as above.
    async fn events_of(&self, types: &[String], after: Option<&Event>, limit: usize) -> Result<Vec<Event>, SinkError>;

    /// Metric buckets of `span`, in pages as above, in `(timestamp, series, interval)` order.
    async fn metrics_in(
        &self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError>;

    /// Metric buckets of these colonies whose time is in `from..to`, by time; late ones too, and each by its late copy, if
    /// there is one.
    async fn metrics_of(&self, colonies: &[String], from: TimeMs, to: TimeMs) -> Result<Vec<MetricPoint>, SinkError>;

    /// The same of the buckets that a filter takes: the store reads no others, so that one series of a large fleet costs
    /// about itself.
    async fn metrics_where(
        &self,
        filter: &MetricFilter,
        from: TimeMs,
        to: TimeMs,
    ) -> Result<Vec<MetricPoint>, SinkError> {
        if let Some(colonies) = &filter.colonies {
            let mut rows = self.metrics_of(colonies, from, to).await?;
            rows.retain(|row| filter.takes(row));
            return Ok(rows);
        }
        let span = Span { from, to: Some(to), with_late: true };
        let (mut wanted, mut after): (Vec<MetricPoint>, Option<MetricPoint>) = (Vec::new(), None);
        loop {
            let page = self.metrics_in(span, after.as_ref(), FILTERED_PAGE_ROWS).await?;
            let Some(last) = page.last() else { return Ok(wanted) };
            after = Some(last.row);
            wanted.extend(page.iter().map(|stored| stored.row).filter(|row| filter.takes(row)));
        }
    }

    /// The values of such buckets alone, of some services at some hours, by the names of their series.
    async fn values_of(&self, wanted: &ValuesOf) -> Result<Vec<SeriesValues>, SinkError> {
        let colonies: Vec<String> = wanted.colonies.iter().cloned().collect();
        let mut points = Vec::new();
        for span in wanted.spans() {
            points.append(&mut self.metrics_of(&colonies, span.start, span.end).await?);
        }
        Ok(values::of_points(points, wanted))
    }

    /// How many events and metric buckets `span` has.
    async fn count_in(&self, span: Span) -> Result<(u64, u64), SinkError>;

    /// All live correlations, by id.
    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError>;

    /// Ids of all live correlations, and of those with evidence or links left by an interrupted commit.
    async fn published(&self) -> Result<Vec<String>, SinkError> {
        Ok(self.correlations().await?.iter().map(|correlation| correlation.key.correlation_id()).collect())
    }

    /// The rows behind a correlation, sorted; empty if it does not exist.
    async fn evidence(&self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError>;

    /// The last known state of every colony, by id.
    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError>;

    /// All services as they were last seen, by colony and id.
    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError>;

    /// All calls between services as they were last seen, by colony and ends.
    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError>;

    /// Summaries of the hours that begin in `from..to`, by hour, application, environment and metric.
    async fn hours(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError>;

    /// Rows of a derived table beyond `after` in the order of its key, at most `limit`. An empty page is the end.
    async fn rows_of(
        &self,
        table: &'static DerivedTable,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError>;

    /// The same of the rows that have one of these texts in a column; some thousand texts at most.
    async fn rows_with(
        &self,
        table: &'static DerivedTable,
        texts: (&'static str, &[String]),
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError>;

    /// The rows of a derived table before `before` in the order of its key, the greatest key first, at most `limit`.
    /// Fewer are the begin of the table. What is read depends on `limit`, and not on how many rows there are.
    async fn newest_of(
        &self,
        table: &'static DerivedTable,
        before: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError>;

    /// How many rows a derived table has; `most` stands for more as well, and no more are counted.
    async fn count_of(&self, table: &'static DerivedTable, most: u64) -> Result<u64, SinkError>;

    /// Rows of a table that fulfil conditions, in no order, all of one moment. The scan ends when the batches are dropped.
    /// A store without tables refuses.
    async fn scan(&self, scan: Scan) -> Result<Scanned, SinkError> {
        Err(SinkError {
            class: FaultClass::Stop,
            doing: format!("cannot read {}", scan.table.name),
            store: "a store in memory".to_owned(),
            hint: "it has no tables for SQL: ask a reef that stores its rows in DuckDB or ClickHouse".to_owned(),
            cause: None,
        })
    }

    /// The same. A store that is a server ends the scan by itself soon after this time, in case it does not notice that the
    /// batches were dropped.
    async fn scan_within(&self, scan: Scan, _limit: Option<Duration>) -> Result<Scanned, SinkError> {
        self.scan(scan).await
    }

    /// Row counts per table and rejects per reason, for the summary of a run.
    async fn totals(&self) -> Result<Totals, SinkError>;

    /// Bytes that the store takes on its disk; `None` if it cannot say.
    async fn size_bytes(&self) -> Result<Option<u64>, SinkError> {
        Ok(None)
    }
}

/// Reads and writes whole tables of a store that no run uses. Opening a store for it migrates its schema.
#[async_trait]
pub trait StoreAdmin: Send {
    /// Its location, for display and identification.
    fn name(&self) -> &str;

    /// Its tables, in an order in which a reader of the target never sees a row before what it refers to.
    fn tables(&self) -> Vec<&'static Table>;

    /// Rows of all its tables.
    async fn rows(&mut self) -> Result<u64, SinkError>;

    /// Rows of `table` beyond `after`, at most `limit`. An empty page is the end.
    async fn export(&mut self, table: &'static Table, after: Option<&Cursor>, limit: usize) -> Result<Page, SinkError>;

    /// Writes a page of new rows and the progress of the copy `source`, in one write. Repeating a page after a failure
    /// changes nothing.
    async fn import(&mut self, page: Page, source: &str, progress: Positions) -> Result<(), SinkError>;

    /// Progress of the copy `source` into this store, by table; empty if none is in progress.
    async fn copy_progress(&mut self, source: &str) -> Result<Positions, SinkError>;

    /// Forgets the progress of the copy `source`: it is complete.
    async fn forget_copy(&mut self, source: &str) -> Result<(), SinkError>;

    /// Flushes memory and releases the store.
    async fn close(self: Box<Self>) -> Result<(), SinkError>;
}

/// A stored event on time that is amended or withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AmendedEvent {
    /// Its colony.
    pub colony_id: String,
    /// Its id.
    pub event_id: String,
    /// The time of the stored copy.
    pub timestamp: TimeMs,
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

    /// Whether a row of this time is included.
    pub fn takes(&self, timestamp: TimeMs, on_time: bool) -> bool {
        timestamp >= self.from && self.to.is_none_or(|to| timestamp < to) && (on_time || self.with_late)
    }
}

/// Which metric buckets are wanted. Names as the store has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricFilter {
    /// Of these colonies; `None` for all.
    pub colonies: Option<Vec<String>>,
    /// Of this service; `None` for all.
    pub service: Option<String>,
    /// Of these metrics; empty for all.
    pub metric_names: Vec<String>,
}

impl MetricFilter {
    /// Whether a bucket is wanted.
    pub fn takes(&self, point: &MetricPoint) -> bool {
        let names = point.series.names();
        let is_one = |wanted: &[String], name: &str| wanted.iter().any(|wanted| wanted == name);
        self.colonies.as_ref().is_none_or(|colonies| is_one(colonies, names.colony_id))
            && self.service.as_ref().is_none_or(|service| service == names.service_id)
            && (self.metric_names.is_empty() || is_one(&self.metric_names, names.metric_name))
    }

    /// The columns that are limited, and to which values.
    pub(crate) fn columns(&self) -> Vec<(&'static str, Vec<String>)> {
        let metric_names = Some(&self.metric_names).filter(|names| !names.is_empty()).cloned();
        let service = self.service.clone().map(|service| vec![service]);
        [("colony_id", self.colonies.clone()), ("service_id", service), ("metric_name", metric_names)]
            .into_iter()
            .filter_map(|(column, values)| Some((column, values?)))
            .collect()
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
