//! A session's cache of the store's state, to avoid queries: newest rows, colonies of environments, versions.

use super::fault::Fault;
use super::server::Server;
use crate::columns::ReportedRow;
use crate::hours::HourSums;
use foldhash::fast::RandomState as FastHash;
use model::event::Event;
use model::metric::MetricPoint;
use model::series::SeriesId;
use model::time::TimeMs;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Colony, application, environment, service, metric, interval in seconds.
pub(super) type Series = (&'static str, &'static str, &'static str, &'static str, &'static str, u32);

/// Maximum number of cached series; above it all are forgotten and queried again.
const SERIES_MAX: usize = 500_000;

/// Which rows a colony's newest time is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Event,
    Metric,
    LateMetric,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Metric => "metric",
            Kind::LateMetric => "late_metric",
        }
    }
}

/// Colony, application, environment and kind.
pub(super) type MarkKey = (String, String, String, Kind);

/// See the module.
#[derive(Default)]
pub(super) struct Memory {
    /// Buckets of a series after this time are not stored, in ms.
    newest: HashMap<SeriesId, i64, FastHash>,
    /// Newest time of complete commits, in ms.
    pub(super) marks: BTreeMap<MarkKey, i64>,
    /// Application and environment to the colonies that have metrics in it.
    pub(super) colonies: BTreeMap<(String, String), BTreeSet<String>>,
    /// Sums of the hours that this session has written.
    pub(super) hours: HourSums,
    /// Whether a late copy may be stored.
    pub(super) has_late_copies: bool,
    /// Greatest version of complete commits.
    pub(super) newest_version: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct MarkRow {
    colony_id: String,
    application_name: String,
    environment: String,
    kind: String,
    newest_ms: i64,
}

#[derive(clickhouse::Row, Deserialize)]
struct NewestRow {
    has_any: bool,
    newest_ms: i64,
}

#[derive(clickhouse::Row, Deserialize)]
struct VersionRow {
    version: u64,
}

impl Memory {
    pub(super) async fn load(server: &Server) -> Result<Memory, Fault> {
        let mut memory = Memory::default();
        let sql =
            "SELECT colony_id, application_name, environment, kind, toUnixTimestamp64Milli(max(newest)) AS newest_ms
                   FROM watermarks GROUP BY ALL";
        for row in server.rows::<MarkRow>(server.query(sql)).await? {
            let known =
                [Kind::Event, Kind::Metric, Kind::LateMetric].into_iter().find(|kind| kind.as_str() == row.kind);
            let kind = known.ok_or_else(|| crate::columns::unknown("kind", &row.kind))?;
            memory.marks.insert((row.colony_id, row.application_name, row.environment, kind), row.newest_ms);
        }
        let marks = memory.marks.clone();
        memory.note_colonies(&marks);
        // also rows of an interrupted commit, which no watermark covers
        let sql =
            "SELECT count() > 0 AS has_any, toUnixTimestamp64Milli(max(timestamp)) AS newest_ms FROM federated_metrics";
        let newest = server.rows::<NewestRow>(server.query(sql)).await?.into_iter().next();
        memory.hours.begin(newest.filter(|row| row.has_any).map(|row| TimeMs(row.newest_ms)));
        memory.has_late_copies = late_copies_exist(server).await?;
        let sql = "SELECT max(ingest_version) AS version
                   FROM (SELECT ingest_version FROM watermarks UNION ALL SELECT ingest_version FROM source_positions)";
        memory.newest_version =
            server.rows::<VersionRow>(server.query(sql)).await?.first().map_or(0, |row| row.version);
        Ok(memory)
    }

    /// Notes which colonies have metrics in an environment.
    pub(super) fn note_colonies(&mut self, marks: &BTreeMap<MarkKey, i64>) {
        for (colony, application, environment, kind) in marks.keys() {
            if *kind != Kind::Event {
                let environment = (application.clone(), environment.clone());
                self.colonies.entry(environment).or_default().insert(colony.clone());
            }
        }
    }

    /// Forgets the state of stored buckets: rows were written without notice.
    pub(super) fn forget_buckets(&mut self) {
        self.newest.clear();
        self.hours = HourSums::default();
    }

    /// The time after which nothing is stored of a series; `None` when that is not known.
    pub(super) fn newest(&self, series: SeriesId) -> Option<i64> {
        self.newest.get(&series).copied()
    }

    /// Remembers that nothing is stored after `newest_ms`.
    pub(super) fn remember(&mut self, series: SeriesId, newest_ms: i64) {
        if self.newest.len() >= SERIES_MAX && !self.newest.contains_key(&series) {
            self.newest.clear();
        }
        let newest = self.newest.entry(series).or_insert(newest_ms);
        *newest = (*newest).max(newest_ms);
    }
}

impl Memory {
    /// Records a newer bucket of a series; a series forgotten in the meantime is queried again.
    pub(super) fn raise(&mut self, series: SeriesId, newest_ms: i64) {
        if let Some(newest) = self.newest.get_mut(&series) {
            *newest = (*newest).max(newest_ms);
        }
    }
}

/// The names of a series as the server is asked for them.
pub(super) fn named(series: SeriesId) -> Series {
    let names = series.series().names();
    (
        names.colony_id,
        names.application_name,
        names.environment,
        names.service_id,
        names.metric_name,
        names.interval_seconds.unwrap_or(0),
    )
}

#[derive(clickhouse::Row, Deserialize)]
struct CountAnswer {
    copies: u64,
}

/// Whether any late copy is stored.
async fn late_copies_exist(server: &Server) -> Result<bool, Fault> {
    for table in [MetricPoint::LATE_TABLE, Event::LATE_TABLE] {
        // sql: identifiers only
        let sql = format!("SELECT count() AS copies FROM {table}");
        if server.rows::<CountAnswer>(server.query(&sql)).await?.iter().any(|answer| answer.copies > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
