//! Implements the store contract: a writing session, and a reader beside it.

use super::config::ClickHouseConfig;
use super::fault::Fault;
use super::pages::page;
use super::server::Server;
use super::session::Session;
use super::{keep, newest, open, overview, reader, scans, transfer, values, writer};
use crate::closing::Closing;
use crate::commit::Commit;
use crate::error::SinkError;
use crate::outcome::Outcome;
use crate::resolve::Seen;
use crate::rollup::Summary;
use crate::scan::{Scan, Scanned};
use crate::schema::{DerivedTable, Table};
use crate::slices::SliceWidths;
use crate::store::{AmendedEvent, MetricFilter, Span, StoreAdmin, StoreReader, StoreWriter, Totals, Watermarks};
use crate::stored::StoredRow;
use crate::transfer::{Cursor, Page};
use crate::values::{SeriesValues, ValuesOf};
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

/// A store in a ClickHouse database, with the right to write to it.
pub struct ClickHouseStore {
    session: Session,
    reader: ClickHouseReader,
}

/// Reads a store in a ClickHouse database; holds no lease. Clones share connections.
#[derive(Clone)]
pub struct ClickHouseReader {
    server: Server,
    name: Arc<str>,
    widths: Arc<SliceWidths>,
    closing: Closing,
}

impl ClickHouseStore {
    /// Connects to the server to write, migrates the schema and sets the TTLs. The database must exist.
    ///
    /// # Errors
    /// [`Stop`](crate::error::FaultClass::Stop) when the server refuses the user, lacks the database, when a newer
    /// program wrote it, or another process writes to it; [`Retry`](crate::error::FaultClass::Retry) when it cannot be reached.
    pub async fn open(config: ClickHouseConfig) -> Result<ClickHouseStore, SinkError> {
        let name = config.name();
        let session = open::to_write(config).await.map_err(|fault| fault.during("cannot open the store", &name))?;
        let reader = ClickHouseReader::of(session.server.clone(), name);
        Ok(ClickHouseStore { session, reader })
    }

    /// The store's name, for people: `ClickHouse localhost:8123, database reef, user default`.
    pub fn name(&self) -> &str {
        &self.reader.name
    }
}

impl Drop for ClickHouseStore {
    fn drop(&mut self) {
        self.reader.closing.close();
    }
}

impl ClickHouseReader {
    /// Connects to read, and changes nothing: the tables must have this version.
    ///
    /// # Errors
    /// As [`ClickHouseStore::open`], and when an older or newer program wrote the database.
    pub async fn open(config: ClickHouseConfig) -> Result<ClickHouseReader, SinkError> {
        let name = config.name();
        let opened = open::to_read(config).await;
        let server = opened.map_err(|fault| fault.during("cannot open the store to read it", &name))?;
        Ok(ClickHouseReader::of(server, name))
    }

    fn of(server: Server, name: String) -> ClickHouseReader {
        ClickHouseReader { server, name: name.into(), widths: Arc::default(), closing: Closing::default() }
    }

    /// Waits for a response; `doing` names the operation in case of an error.
    async fn ask<T>(&self, doing: &str, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, SinkError> {
        self.closing.check(&self.name, doing)?;
        answer.await.map_err(|fault| fault.during(doing, &self.name))
    }
}

#[async_trait]
impl StoreWriter for ClickHouseStore {
    fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::new(self.reader.clone())
    }

    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError> {
        let answer = writer::commit(&mut self.session, commit).await;
        answer.map_err(|fault| fault.during(format!("cannot commit tick {}", commit.tick), self.name()))
    }

    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        let answer = keep::newer_events(&self.session.server, events).await;
        answer.map_err(|fault| fault.during("cannot look up amended events", self.name()))
    }

    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        let answer = keep::amended_events(&self.session.server, limit).await;
        answer.map_err(|fault| fault.during("cannot list amended events", self.name()))
    }

    /// Everything is written; another process may write at once.
    async fn close(mut self: Box<Self>) -> Result<(), SinkError> {
        self.reader.closing.close();
        self.session.close().await;
        Ok(())
    }
}

#[async_trait]
impl StoreReader for ClickHouseReader {
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError> {
        self.ask("cannot read source positions", reader::positions(&self.server)).await
    }

    async fn watermarks(&self) -> Result<Watermarks, SinkError> {
        self.ask("cannot read watermarks", reader::watermarks(&self.server)).await
    }

    async fn identities(&self) -> Result<BTreeMap<String, ColonyIdentity>, SinkError> {
        self.ask("cannot read the names of colonies", reader::identities(&self.server)).await
    }

    async fn events_in(
        &self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Event>>, SinkError> {
        self.ask("cannot read events", page(&self.server, &self.widths.events, (span, after), limit)).await
    }

    async fn event_types(&self) -> Result<Vec<String>, SinkError> {
        self.ask("cannot read the types of events", overview::event_types(&self.server)).await
    }

    async fn service_names(&self) -> Result<Vec<String>, SinkError> {
        self.ask("cannot read the names of services", overview::service_names(&self.server)).await
    }

    async fn events_of(&self, types: &[String], after: Option<&Event>, limit: usize) -> Result<Vec<Event>, SinkError> {
        self.ask("cannot read events", overview::events_of(&self.server, types, after, limit)).await
    }

    async fn metrics_in(
        &self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        self.ask("cannot read metrics", page(&self.server, &self.widths.metrics, (span, after), limit)).await
    }

    async fn metrics_of(&self, colonies: &[String], from: TimeMs, to: TimeMs) -> Result<Vec<MetricPoint>, SinkError> {
        self.ask("cannot read metrics", overview::metrics_of(&self.server, colonies, (from, to))).await
    }

    async fn metrics_where(
        &self,
        filter: &MetricFilter,
        from: TimeMs,
        to: TimeMs,
    ) -> Result<Vec<MetricPoint>, SinkError> {
        self.ask("cannot read metrics", overview::metrics_where(&self.server, filter, (from, to))).await
    }

    async fn values_of(&self, wanted: &ValuesOf) -> Result<Vec<SeriesValues>, SinkError> {
        self.ask("cannot read the values of metrics", values::values_of(&self.server, wanted)).await
    }

    async fn count_in(&self, span: Span) -> Result<(u64, u64), SinkError> {
        self.ask("cannot count rows", reader::count(&self.server, span)).await
    }

    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError> {
        self.ask("cannot read correlations", reader::correlations(&self.server)).await
    }

    async fn published(&self) -> Result<Vec<String>, SinkError> {
        self.ask("cannot read the ids of correlations", reader::published(&self.server)).await
    }

    async fn evidence(&self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        self.ask("cannot read evidence", reader::evidence(&self.server, correlation_id)).await
    }

    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError> {
        self.ask("cannot read the state of colonies", reader::colony_status(&self.server)).await
    }

    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError> {
        self.ask("cannot read services", overview::services(&self.server)).await
    }

    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError> {
        self.ask("cannot read calls between services", overview::calls(&self.server)).await
    }

    async fn hours(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError> {
        self.ask("cannot read hourly summaries", overview::hours(&self.server, from, to)).await
    }

    async fn rows_of(
        &self,
        table: &'static DerivedTable,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        let doing = format!("cannot read {}", table.table.name);
        self.ask(&doing, transfer::export(&self.server, &table.table, after, limit)).await
    }

    async fn rows_with(
        &self,
        table: &'static DerivedTable,
        texts: (&'static str, &[String]),
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        let doing = format!("cannot read {}", table.table.name);
        self.ask(&doing, transfer::export_with(&self.server, &table.table, Some(texts), after, limit)).await
    }

    async fn newest_of(
        &self,
        table: &'static DerivedTable,
        before: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        let doing = format!("cannot read {}", table.table.name);
        self.ask(&doing, newest::newest(&self.server, &table.table, before, limit)).await
    }

    async fn count_of(&self, table: &'static DerivedTable, most: u64) -> Result<u64, SinkError> {
        let doing = format!("cannot count the rows of {}", table.table.name);
        self.ask(&doing, newest::count(&self.server, &table.table, most)).await
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, SinkError> {
        self.scan_within(scan, None).await
    }

    async fn scan_within(&self, scan: Scan, limit: Option<Duration>) -> Result<Scanned, SinkError> {
        self.closing.check(&self.name, &format!("cannot read {}", scan.table.name))?;
        Ok(scans::start((&self.server, limit), (Arc::clone(&self.name), self.closing.clone()), scan))
    }

    async fn totals(&self) -> Result<Totals, SinkError> {
        self.ask("cannot count rows", reader::totals(&self.server)).await
    }
}

#[async_trait]
impl StoreAdmin for ClickHouseStore {
    fn name(&self) -> &str {
        &self.reader.name
    }

    fn tables(&self) -> Vec<&'static Table> {
        self.session.server.config.schema.tables().collect()
    }

    async fn rows(&mut self) -> Result<u64, SinkError> {
        let rows = reader::rows_of_tables(&self.session.server).await;
        let rows = rows.map_err(|fault| fault.during("cannot count rows", &self.reader.name))?;
        Ok(rows.values().sum())
    }

    async fn export(&mut self, table: &'static Table, after: Option<&Cursor>, limit: usize) -> Result<Page, SinkError> {
        let answer = transfer::export(&self.session.server, table, after, limit).await;
        answer.map_err(|fault| fault.during(format!("cannot read {}", table.name), &self.reader.name))
    }

    async fn import(&mut self, page: Page, source: &str, progress: Positions) -> Result<(), SinkError> {
        let doing = format!("cannot write {}", page.table().name);
        let answer = transfer::import(&mut self.session, &page, source, &progress).await;
        answer.map_err(|fault| fault.during(doing, &self.reader.name))
    }

    async fn copy_progress(&mut self, source: &str) -> Result<Positions, SinkError> {
        let positions = reader::positions(&self.session.server).await;
        let mut positions =
            positions.map_err(|fault| fault.during("cannot read the progress of the copy", &self.reader.name))?;
        Ok(positions.remove(source).unwrap_or_default())
    }

    async fn forget_copy(&mut self, source: &str) -> Result<(), SinkError> {
        let answer = transfer::forget_progress(&mut self.session, source).await;
        answer.map_err(|fault| fault.during("cannot end the copy", &self.reader.name))
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        StoreWriter::close(self).await
    }
}
