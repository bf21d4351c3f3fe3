//! The DuckDB store: one file, one writer, one transaction per commit.
//!
//! | file | owns |
//! |---|---|
//! | `config` | path and limits |
//! | `version` | the schema version of a file, without changing it |
//! | `session` | the thread with the connection; opening, migrating, closing |
//! | `unfinished` | a file whose making was cut off |
//! | `owner` | whose file it is |
//! | `writer` | the transaction of a commit |
//! | `series` | numbers of metric series, and how far each is stored: what need not be looked up |
//! | `keep` | events and metric buckets: look up, compare, append or update |
//! | `newer` | amended and withdrawn events among given identities |
//! | `fleet` | the small tables |
//! | `refused` | refused rows, and the numbers of those that are not kept |
//! | `rollups` | hourly summaries |
//! | `findings` | correlations, evidence, links to events |
//! | `rows`, `patterns` | rows as Arrow columns, and back |
//! | `stage` | Arrow columns into tables |
//! | `reader` | queries |
//! | `prune` | deletes what is beyond its retention, in short slices |
//! | `transfer` | whole tables in and out |
//! | `fault` | what DuckDB's errors mean |
//!
//! Invariants:
//! 1. Only this thread writes, and one process has the file: identities without a unique index stay unique because
//!    every commit looks them up (test `compliance`).
//! 2. No text from outside is part of a statement: statements are made of constants, values are bound or appended.
//! 3. A failed commit leaves nothing, its temporary tables included.

use crate::retention::{Pruned, Retention};
use crate::{Commit, Held, Outcome, SinkError, Span, Store, Totals};
use async_trait::async_trait;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use session::Worker;
use std::collections::BTreeMap;

mod config;
mod fault;
mod findings;
mod fleet;
mod keep;
mod newer;
mod owner;
mod patterns;
mod prune;
mod reader;
mod refused;
mod rollups;
mod rows;
mod series;
mod session;
mod stage;
mod transfer;
mod unfinished;
mod version;
mod writer;

#[cfg(test)]
mod tests;

pub use config::DuckDbConfig;
pub use owner::NotOurs;
pub use version::stored_version;

/// A store in a DuckDB file.
pub struct DuckDbStore {
    worker: Worker,
}

impl DuckDbStore {
    /// Opens the file, creating it and its folder when missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Stop`](crate::error::FaultClass::Stop) when another process has the file open, when it is not a DuckDB
    /// database, when a newer program wrote it, or when it cannot be created.
    pub async fn open(config: DuckDbConfig) -> Result<DuckDbStore, SinkError> {
        Ok(DuckDbStore { worker: Worker::start(config).await? })
    }

    /// Opens the file for reading: it is never changed, not even by a restart's clean-up, and several processes may read
    /// it at the same time. [`commit`](Store::commit) fails.
    ///
    /// # Errors
    /// [`Stop`](crate::error::FaultClass::Stop) when the file does not exist, when another process has it open for
    /// writing, when it is not a DuckDB database, or when its tables are of another version.
    pub async fn open_for_reading(config: DuckDbConfig) -> Result<DuckDbStore, SinkError> {
        Ok(DuckDbStore { worker: Worker::start_for_reading(config).await? })
    }

    /// A second handle on the same contents that only reads, for reading pages while commits go on.
    ///
    /// # Errors
    /// When the store's thread has ended.
    pub async fn reader(&self) -> Result<DuckDbStore, SinkError> {
        Ok(DuckDbStore { worker: self.worker.reader().await? })
    }

    /// The store's name, for people: `DuckDB .coral/my-infrastructure.duckdb`.
    pub fn name(&self) -> &str {
        self.worker.name()
    }

    /// The last known state of every colony, by id.
    pub async fn colony_status(&mut self) -> Result<Vec<ColonyStatus>, SinkError> {
        self.worker.call("cannot read the state of colonies".into(), |session| reader::colony_status(session)).await
    }
}

#[async_trait]
impl Store for DuckDbStore {
    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError> {
        let doing = format!("cannot commit tick {}", commit.tick);
        let commit = commit.clone();
        self.worker.call(doing, move |session| writer::commit(session, &commit)).await
    }

    async fn positions(&mut self) -> Result<BTreeMap<String, Positions>, SinkError> {
        self.worker.call("cannot read source positions".into(), |session| reader::positions(session)).await
    }

    async fn watermarks(&mut self) -> Result<(BTreeMap<String, TimeMs>, BTreeMap<String, TimeMs>), SinkError> {
        self.worker
            .call("cannot read watermarks".into(), |session| {
                let events = reader::watermarks(session, "federated_events")?;
                Ok((events, reader::watermarks(session, "federated_metrics")?))
            })
            .await
    }

    async fn events_in(
        &mut self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<Held<Event>>, SinkError> {
        let after = after.cloned();
        let job = move |session: &mut _| reader::events(session, span, after.as_ref(), limit);
        self.worker.call("cannot read events".into(), job).await
    }

    async fn metrics_in(
        &mut self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<Held<MetricPoint>>, SinkError> {
        let after = after.cloned();
        let job = move |session: &mut _| reader::metrics(session, span, after.as_ref(), limit);
        self.worker.call("cannot read metrics".into(), job).await
    }

    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let events = events.to_vec();
        let job = move |session: &mut _| newer::events(session, &events);
        self.worker.call("cannot look up amended events".into(), job).await
    }

    async fn may_have_newer_events(&mut self) -> Result<bool, SinkError> {
        self.worker.call("cannot look for amended events".into(), |session| Ok(session.has_newer_events)).await
    }

    async fn count_in(&mut self, span: Span) -> Result<(u64, u64), SinkError> {
        let job = move |session: &mut _| reader::count(session, span);
        self.worker.call("cannot count rows".into(), job).await
    }

    async fn correlations(&mut self) -> Result<Vec<Correlation>, SinkError> {
        self.worker.call("cannot read correlations".into(), |session| reader::correlations(session)).await
    }

    async fn totals(&mut self) -> Result<Totals, SinkError> {
        self.worker.call("cannot count rows".into(), |session| reader::totals(session)).await
    }

    async fn evidence(&mut self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        let id = correlation_id.to_owned();
        self.worker.call("cannot read evidence".into(), move |session| reader::evidence(session, &id)).await
    }

    async fn prune(&mut self, retention: &Retention, now: TimeMs) -> Result<Pruned, SinkError> {
        let retention = *retention;
        let job = move |session: &mut _| prune::prune(session, &retention, now);
        self.worker.call("cannot delete what is too old".into(), job).await
    }

    /// Writes the log into the file and closes it, so that any DuckDB can read it.
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        self.worker.close().await
    }
}
