//! Implements the store contract: a writing thread, and reading threads.

use super::config::DuckDbConfig;
use super::fault::{Cause, explain};
use super::readers::{CONNECTIONS, Readers};
use super::scans::Scans;
use super::session::{Mode, Session, connect};
use super::worker::Worker;
use super::{fleet, newer, newest, overview, prune, reader, transfer, values, writer};
use crate::commit::Commit;
use crate::error::SinkError;
use crate::outcome::Outcome;
use crate::resolve::Seen;
use crate::retention::{Pruned, Retention};
use crate::rollup::Summary;
use crate::scan::{Scan, Scanned};
use crate::schema::{DerivedTable, Schema, Table};
use crate::slices::SliceWidths;
use crate::store::{AmendedEvent, MetricFilter, Span, StoreAdmin, StoreReader, StoreWriter, Totals, Watermarks};
use crate::stored::StoredRow;
use crate::transfer::{Cursor, Page};
use crate::values::{SeriesValues, ValuesOf};
use async_trait::async_trait;
use duckdb::Connection;
use model::colony::ColonyIdentity;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::rows::RollupKey;
use model::time::TimeMs;
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store in a DuckDB file, open to write.
pub struct DuckDbStore {
    // dropped first: while a reader has a connection, the file stays open
    reader: DuckDbReader,
    pub(super) writer: Worker<Session>,
}

/// Reads a store in a DuckDB file. Clones share two connections.
#[derive(Clone)]
pub struct DuckDbReader {
    readers: Arc<Readers>,
    scans: Scans,
    path: Arc<Path>,
    schema: Schema,
    widths: Arc<SliceWidths>,
}

impl DuckDbStore {
    /// Opens the file, creating it and its folder if missing, and migrates its schema.
    ///
    /// # Errors
    /// [`Busy`](crate::error::FaultClass::Busy) when another process has the file open,
    /// [`Stop`](crate::error::FaultClass::Stop) when it is not a DuckDB database, when a newer program wrote it, or when
    /// it cannot be created.
    pub async fn open(config: DuckDbConfig) -> Result<DuckDbStore, SinkError> {
        let (name, path) = (name(&config), config.path.as_path().into());
        let schema = config.schema;
        let open = move || Session::open(&config);
        let writer = Worker::start(Arc::clone(&name), vec![open], Session::close).await?;
        let more = |session: &mut Session| more_connections(&session.connection, CONNECTIONS);
        let connections = writer.call("cannot open a second connection", more).await?;
        let readers = Arc::new(Readers::start(name, connections).await?);
        Ok(DuckDbStore {
            reader: DuckDbReader { readers, scans: Scans::default(), path, schema, widths: Arc::default() },
            writer,
        })
    }

    /// The store's name, for people: `DuckDB .coral/my-infrastructure.duckdb`.
    pub fn name(&self) -> &str {
        self.writer.name()
    }

    async fn close_both(&self) -> Result<(), SinkError> {
        // the writer's last checkpoint needs the file for itself
        self.reader.scans.close().await;
        let readers = self.reader.readers.close().await;
        self.writer.close().await.and(readers)
    }
}

impl Drop for DuckDbStore {
    fn drop(&mut self) {
        self.reader.scans.close_blocking();
        self.reader.readers.close_blocking();
    }
}

impl DuckDbReader {
    /// Opens the file for reading: it is never changed, not even by a restart's clean-up, and several processes may read
    /// it at the same time. The last clone that is dropped closes it.
    ///
    /// # Errors
    /// [`Busy`](crate::error::FaultClass::Busy) when another process has the file open for writing,
    /// [`Stop`](crate::error::FaultClass::Stop) when it does not exist, when it is not a DuckDB database, or when its
    /// tables are of another version.
    pub async fn open(config: DuckDbConfig) -> Result<DuckDbReader, SinkError> {
        let (name, path, schema) = (name(&config), config.path.as_path().into(), config.schema);
        let open = move || {
            let first = connect(&config, Mode::Read)?;
            let mut connections = more_connections(&first, CONNECTIONS - 1)?;
            connections.push(first);
            Ok(connections)
        };
        let opened = tokio::task::spawn_blocking(open).await;
        let opened = opened.unwrap_or_else(|_| Err("the thread ended".into()));
        let connections = opened.map_err(|cause| explain(&name, "cannot open the store", cause))?;
        let readers = Arc::new(Readers::start(name, connections).await?);
        Ok(DuckDbReader { readers, scans: Scans::default(), path, schema, widths: Arc::default() })
    }
}

fn name(config: &DuckDbConfig) -> Arc<str> {
    format!("DuckDB {}", config.path.display()).into()
}

fn more_connections(connection: &Connection, count: usize) -> Result<Vec<Connection>, Cause> {
    (0..count).map(|_| Ok(connection.try_clone()?)).collect()
}

#[async_trait]
impl StoreWriter for DuckDbStore {
    fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::new(self.reader.clone())
    }

    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError> {
        let doing = format!("cannot commit tick {}", commit.tick);
        let commit = commit.clone();
        self.writer.call(&doing, move |session| writer::commit(session, &commit)).await
    }

    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let events = events.to_vec();
        let job = move |session: &mut Session| match session.has_newer_events {
            true => newer::events(&session.connection, &events),
            false => Ok(Vec::new()),
        };
        self.writer.call("cannot look up amended events", job).await
    }

    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        let job = move |session: &mut Session| match session.has_newer_events {
            true => newer::all(&session.connection, limit),
            false => Ok(Some(Vec::new())),
        };
        self.writer.call("cannot list amended events", job).await
    }

    async fn prune(&mut self, retention: &Retention, now: TimeMs) -> Result<Pruned, SinkError> {
        let retention = *retention;
        let job = move |session: &mut Session| prune::prune(session, &retention, now);
        self.writer.call("cannot delete expired rows", job).await
    }

    /// Writes the log into the file and closes it, so that any DuckDB can read it.
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        self.close_both().await
    }
}

#[async_trait]
impl StoreReader for DuckDbReader {
    async fn positions(&self) -> Result<BTreeMap<String, Positions>, SinkError> {
        self.readers.call("cannot read source positions", reader::positions).await
    }

    async fn watermarks(&self) -> Result<Watermarks, SinkError> {
        self.readers.call("cannot read watermarks", reader::watermarks).await
    }

    async fn identities(&self) -> Result<BTreeMap<String, ColonyIdentity>, SinkError> {
        self.readers.call("cannot read the names of colonies", overview::identities).await
    }

    async fn events_in(
        &self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<StoredRow<Event>>, SinkError> {
        let after = after.cloned();
        let widths = Arc::clone(&self.widths);
        let job =
            move |connection: &Connection| reader::page(connection, &widths.events, (span, after.as_ref()), limit);
        self.readers.call("cannot read events", job).await
    }

    async fn event_types(&self) -> Result<Vec<String>, SinkError> {
        self.readers.call("cannot read the types of events", overview::event_types).await
    }

    async fn service_names(&self) -> Result<Vec<String>, SinkError> {
        self.readers.call("cannot read the names of services", overview::service_names).await
    }

    async fn events_of(&self, types: &[String], after: Option<&Event>, limit: usize) -> Result<Vec<Event>, SinkError> {
        let (types, after) = (types.to_vec(), after.cloned());
        let job = move |connection: &Connection| overview::events_of(connection, &types, after.as_ref(), limit);
        self.readers.call("cannot read events", job).await
    }

    async fn metrics_in(
        &self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<StoredRow<MetricPoint>>, SinkError> {
        let after = after.cloned();
        let widths = Arc::clone(&self.widths);
        let job =
            move |connection: &Connection| reader::page(connection, &widths.metrics, (span, after.as_ref()), limit);
        self.readers.call("cannot read metrics", job).await
    }

    async fn metrics_of(&self, colonies: &[String], from: TimeMs, to: TimeMs) -> Result<Vec<MetricPoint>, SinkError> {
        let colonies = colonies.to_vec();
        let job = move |connection: &Connection| overview::metrics_of(connection, &colonies, (from, to));
        self.readers.call("cannot read metrics", job).await
    }

    async fn metrics_where(
        &self,
        filter: &MetricFilter,
        from: TimeMs,
        to: TimeMs,
    ) -> Result<Vec<MetricPoint>, SinkError> {
        let filter = filter.clone();
        let job = move |connection: &Connection| overview::metrics_where(connection, &filter, (from, to));
        self.readers.call("cannot read metrics", job).await
    }

    async fn values_of(&self, wanted: &ValuesOf) -> Result<Vec<SeriesValues>, SinkError> {
        let wanted = wanted.clone();
        let job = move |connection: &Connection| values::values_of(connection, &wanted);
        self.readers.call("cannot read the values of metrics", job).await
    }

    async fn count_in(&self, span: Span) -> Result<(u64, u64), SinkError> {
        self.readers.call("cannot count rows", move |connection| reader::count(connection, span)).await
    }

    async fn correlations(&self) -> Result<Vec<Correlation>, SinkError> {
        self.readers.call("cannot read correlations", reader::correlations).await
    }

    async fn evidence(&self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        let id = correlation_id.to_owned();
        self.readers.call("cannot read evidence", move |connection| reader::evidence(connection, &id)).await
    }

    async fn colony_status(&self) -> Result<Vec<ColonyStatus>, SinkError> {
        self.readers.call("cannot read the state of colonies", reader::colony_status).await
    }

    async fn services(&self) -> Result<Vec<Seen<ServiceNode>>, SinkError> {
        self.readers.call("cannot read services", overview::services).await
    }

    async fn calls(&self) -> Result<Vec<Seen<ServiceEdge>>, SinkError> {
        self.readers.call("cannot read calls between services", overview::calls).await
    }

    async fn hours(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(RollupKey, Summary)>, SinkError> {
        let job = move |connection: &Connection| overview::hours(connection, from, to);
        self.readers.call("cannot read hourly summaries", job).await
    }

    async fn totals(&self) -> Result<Totals, SinkError> {
        let schema = self.schema;
        self.readers.call("cannot count rows", move |connection| reader::totals(connection, schema)).await
    }

    async fn size_bytes(&self) -> Result<Option<u64>, SinkError> {
        let mut log = self.path.as_os_str().to_owned();
        log.push(".wal");
        let files = [PathBuf::from(&*self.path), PathBuf::from(log)];
        let bytes = files.iter().filter_map(|file| Some(std::fs::metadata(file).ok()?.len()));
        Ok(Some(bytes.sum()))
    }

    async fn rows_of(
        &self,
        table: &'static DerivedTable,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        let after = after.cloned();
        let job = move |connection: &Connection| transfer::export(connection, &table.table, after.as_ref(), limit);
        self.readers.call(&format!("cannot read {}", table.table.name), job).await
    }

    async fn rows_with(
        &self,
        table: &'static DerivedTable,
        (column, texts): (&'static str, &[String]),
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        let (after, with) = (after.cloned(), Some((column, texts.to_vec())));
        let job =
            move |connection: &Connection| transfer::export_with(connection, &table.table, with, after.as_ref(), limit);
        self.readers.call(&format!("cannot read {}", table.table.name), job).await
    }

    async fn newest_of(
        &self,
        table: &'static DerivedTable,
        before: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        let before = before.cloned();
        let job = move |connection: &Connection| newest::newest(connection, &table.table, before.as_ref(), limit);
        self.readers.call(&format!("cannot read {}", table.table.name), job).await
    }

    async fn count_of(&self, table: &'static DerivedTable, most: u64) -> Result<u64, SinkError> {
        let job = move |connection: &Connection| newest::count(connection, &table.table, most);
        self.readers.call(&format!("cannot count the rows of {}", table.table.name), job).await
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, SinkError> {
        let doing = format!("cannot read {}", scan.table.name);
        let connection = self.readers.call(&doing, |connection| Ok(connection.try_clone()?)).await?;
        self.scans.start(self.readers.name().into(), connection, scan)
    }
}

#[async_trait]
impl StoreAdmin for DuckDbStore {
    fn name(&self) -> &str {
        self.writer.name()
    }

    fn tables(&self) -> Vec<&'static Table> {
        self.reader.schema.tables().collect()
    }

    async fn rows(&mut self) -> Result<u64, SinkError> {
        Ok(self.reader.totals().await?.rows.values().sum())
    }

    async fn export(&mut self, table: &'static Table, after: Option<&Cursor>, limit: usize) -> Result<Page, SinkError> {
        let after = after.cloned();
        let job = move |connection: &Connection| transfer::export(connection, table, after.as_ref(), limit);
        self.reader.readers.call(&format!("cannot read {}", table.name), job).await
    }

    async fn import(&mut self, page: Page, source: &str, progress: Positions) -> Result<(), SinkError> {
        let source = source.to_owned();
        let doing = format!("cannot write {}", page.table().name);
        self.writer.call(&doing, move |session| transfer::import(session, &page, &source, &progress)).await
    }

    async fn copy_progress(&mut self, source: &str) -> Result<Positions, SinkError> {
        let source = source.to_owned();
        let job = move |connection: &Connection| Ok(reader::positions(connection)?.remove(&source).unwrap_or_default());
        self.reader.readers.call("cannot read the progress of the copy", job).await
    }

    async fn forget_copy(&mut self, source: &str) -> Result<(), SinkError> {
        let source = source.to_owned();
        let job = move |session: &mut Session| fleet::forget_positions(&session.connection, &source);
        self.writer.call("cannot end the copy", job).await
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        self.close_both().await
    }
}
