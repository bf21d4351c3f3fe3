//! The ClickHouse store: a database on a server or a cluster, one writer, commits that can be repeated.
//!
//! | file | owns |
//! |---|---|
//! | `config` | server, login, limits |
//! | `version` | what can be known of a store without changing it |
//! | `session` | opening, migrating, statements |
//! | `http` | the HTTP client |
//! | `lease`, `claims`, `process` | who may write |
//! | `owner` | whose database it is |
//! | `ddl` | tables for one server, a replicated database, a cluster |
//! | `retention` | time limits of tables |
//! | `memory` | what a session remembers, so that it need not ask |
//! | `writer` | the order of a commit |
//! | `insert` | Arrow columns into tables; refused rows |
//! | `keep`, `buckets` | events and metric buckets: look up, compare, write the greater copy |
//! | `dictionary` | the texts of metric buckets, each sent once |
//! | `aside` | late copies of rows that are stored on time |
//! | `fleet` | the small tables |
//! | `refused` | refused rows, and the numbers of those that are not kept |
//! | `parts` | how much is asked for at once |
//! | `rollups` | hourly summaries |
//! | `findings`, `links` | correlations, evidence, links to events |
//! | `rows`, `patterns` | rows as the server answers them |
//! | `pages`, `reader` | queries |
//! | `transfer` | whole tables in and out |
//! | `fault` | what ClickHouse's errors mean |
//!
//! Invariants:
//! 1. One process writes to a database at a time: it holds a lease, asks before every insert whether it still does, and
//!    gives every copy of a row a version above all before it.
//! 2. Positions are written last, so what they stand for is there; every step before them can be repeated.
//! 3. No text from outside is part of a statement: values are bound or are columns of an insert.
//! 4. No background merge changes an answer: readers take the greatest version (FINAL).

use crate::{Commit, Held, Outcome, SinkError, Span, Store, Totals};
use async_trait::async_trait;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use session::Session;
use std::collections::BTreeMap;

mod aside;
mod buckets;
mod claims;
mod config;
mod ddl;
mod dictionary;
mod fault;
mod findings;
mod fleet;
mod http;
mod insert;
mod keep;
mod lease;
mod links;
mod memory;
mod owner;
mod pages;
mod parts;
mod patterns;
mod process;
mod reader;
mod refused;
mod retention;
mod rollups;
mod rows;
mod session;
mod transfer;
mod version;
mod writer;

pub use config::{ClickHouseConfig, Password, Retention};
pub use version::{ServerFacts, server_facts};

/// A store in a ClickHouse database.
pub struct ClickHouseStore {
    session: Session,
    name: String,
}

impl ClickHouseStore {
    /// Connects to the server to write, and brings the schema and the time limits up to date. The database must exist.
    ///
    /// # Errors
    /// [`Stop`](crate::error::FaultClass::Stop) when the server refuses the user, lacks the database, when a newer
    /// program wrote it, or another process writes to it; [`Retry`](crate::error::FaultClass::Retry) when it cannot be reached.
    pub async fn open(config: ClickHouseConfig) -> Result<ClickHouseStore, SinkError> {
        let name = config.name();
        match Session::open(config).await {
            Ok(session) => Ok(ClickHouseStore { session, name }),
            Err(fault) => Err(fault.during("cannot open the store", &name)),
        }
    }

    /// Connects to read, and changes nothing: the tables must be those of this version.
    ///
    /// # Errors
    /// As [`open`](ClickHouseStore::open), and when an older or newer program wrote the database.
    pub async fn open_for_reading(config: ClickHouseConfig) -> Result<ClickHouseStore, SinkError> {
        let name = config.name();
        match Session::open_for_reading(config).await {
            Ok(session) => Ok(ClickHouseStore { session, name }),
            Err(fault) => Err(fault.during("cannot open the store to read it", &name)),
        }
    }

    /// The store's name, for people: `ClickHouse localhost:8123, database reef, user default`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last known state of every colony, by id.
    pub async fn colony_status(&mut self) -> Result<Vec<ColonyStatus>, SinkError> {
        let answer = reader::colony_status(&self.session).await;
        answer.map_err(|fault| fault.during("cannot read the state of colonies", &self.name))
    }
}

#[async_trait]
impl Store for ClickHouseStore {
    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError> {
        let answer = writer::commit(&mut self.session, commit).await;
        answer.map_err(|fault| fault.during(format!("cannot commit tick {}", commit.tick), &self.name))
    }

    async fn positions(&mut self) -> Result<BTreeMap<String, Positions>, SinkError> {
        let answer = reader::positions(&self.session).await;
        answer.map_err(|fault| fault.during("cannot read source positions", &self.name))
    }

    async fn watermarks(&mut self) -> Result<(BTreeMap<String, TimeMs>, BTreeMap<String, TimeMs>), SinkError> {
        let of = |kind| reader::watermarks(&self.session, kind);
        Ok((of(memory::Kind::Event), of(memory::Kind::Metric)))
    }

    async fn events_in(
        &mut self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<Held<Event>>, SinkError> {
        let answer = pages::page(&mut self.session, span, after, limit).await;
        answer.map_err(|fault| fault.during("cannot read events", &self.name))
    }

    async fn metrics_in(
        &mut self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<Held<MetricPoint>>, SinkError> {
        let answer = pages::page(&mut self.session, span, after, limit).await;
        answer.map_err(|fault| fault.during("cannot read metrics", &self.name))
    }

    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        let answer = keep::newer_events(&self.session, events).await;
        answer.map_err(|fault| fault.during("cannot look up amended events", &self.name))
    }

    async fn may_have_newer_events(&mut self) -> Result<bool, SinkError> {
        let answer = keep::may_have_newer_events(&self.session).await;
        answer.map_err(|fault| fault.during("cannot look for amended events", &self.name))
    }

    async fn correlations(&mut self) -> Result<Vec<Correlation>, SinkError> {
        let answer = reader::correlations(&self.session).await;
        answer.map_err(|fault| fault.during("cannot read correlations", &self.name))
    }

    async fn published(&mut self) -> Result<Vec<String>, SinkError> {
        let answer = reader::published(&self.session).await;
        answer.map_err(|fault| fault.during("cannot read the ids of correlations", &self.name))
    }

    async fn evidence(&mut self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        let answer = reader::evidence(&self.session, correlation_id).await;
        answer.map_err(|fault| fault.during("cannot read evidence", &self.name))
    }

    async fn totals(&mut self) -> Result<Totals, SinkError> {
        let answer = reader::totals(&self.session).await;
        answer.map_err(|fault| fault.during("cannot count rows", &self.name))
    }

    /// Nothing is held back; another process may write at once.
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        self.session.close().await;
        Ok(())
    }
}
