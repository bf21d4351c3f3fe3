//! Reads the store. External values are always bound.

use super::fault::Fault;
use super::memory::Kind;
use super::pages;
use super::select::{read, selected};
use super::server::Server;
use crate::columns::ReportedRow;
use crate::overview::{self, Named};
use crate::patterns;
use crate::store::{Span, Totals, Watermarks};
use model::colony::ColonyIdentity;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(clickhouse::Row, Deserialize)]
struct PositionAnswer {
    source: String,
    part: String,
    position: String,
}

pub(super) async fn positions(server: &Server) -> Result<BTreeMap<String, Positions>, Fault> {
    let mut sources: BTreeMap<String, Positions> = BTreeMap::new();
    let sql = "SELECT source, part, position FROM source_positions FINAL";
    for row in server.rows::<PositionAnswer>(server.query(sql)).await? {
        sources.entry(row.source).or_default().0.insert(row.part, row.position);
    }
    Ok(sources)
}

#[derive(clickhouse::Row, Deserialize)]
struct MarkAnswer {
    colony_id: String,
    kind: String,
    newest_ms: i64,
}

/// Newest times of complete commits: rows of an interrupted commit do not count.
pub(super) async fn watermarks(server: &Server) -> Result<Watermarks, Fault> {
    let mut marks = Watermarks::default();
    let sql = "SELECT colony_id, kind, toUnixTimestamp64Milli(max(newest)) AS newest_ms FROM watermarks GROUP BY ALL";
    for row in server.rows::<MarkAnswer>(server.query(sql)).await? {
        if row.kind == Kind::Event.as_str() {
            marks.events.insert(row.colony_id, TimeMs(row.newest_ms));
        } else if row.kind == Kind::Metric.as_str() {
            marks.metrics.insert(row.colony_id, TimeMs(row.newest_ms));
        }
    }
    Ok(marks)
}

#[derive(clickhouse::Row, Deserialize)]
struct NamedAnswer {
    colony_id: String,
    application_name: String,
    environment: String,
    kind: String,
    newest_ms: i64,
}

/// As the newest rows of complete commits state them.
pub(super) async fn identities(server: &Server) -> Result<BTreeMap<String, ColonyIdentity>, Fault> {
    let sql = "SELECT colony_id, application_name, environment, kind, toUnixTimestamp64Milli(max(newest)) AS newest_ms
               FROM watermarks GROUP BY ALL";
    let rows = server.rows::<NamedAnswer>(server.query(sql)).await?.into_iter();
    let on_time = rows.filter(|row| [Kind::Event.as_str(), Kind::Metric.as_str()].contains(&row.kind.as_str()));
    let named = on_time.map(|row| Named {
        is_of_bucket: row.kind == Kind::Metric.as_str(),
        newest: TimeMs(row.newest_ms),
        identity: (row.colony_id, row.application_name, row.environment),
    });
    Ok(overview::identities(named.collect()))
}

/// Events and metric buckets of `span`.
pub(super) async fn count(server: &Server, span: Span) -> Result<(u64, u64), Fault> {
    Ok((pages::count::<Event>(server, span).await?, pages::count::<MetricPoint>(server, span).await?))
}

pub(super) async fn correlations(server: &Server) -> Result<Vec<Correlation>, Fault> {
    let table = patterns::correlations();
    let page = read(server, table, selected(server, table, "ORDER BY stored.correlation_id")).await?;
    Ok(patterns::read_correlations(&page)?.into_iter().map(|(correlation, ..)| correlation).collect())
}

#[derive(clickhouse::Row, Deserialize)]
struct IdAnswer {
    correlation_id: String,
}

/// A commit writes evidence and links before the correlation and takes them back after it, so that a cut may leave
/// either without one.
pub(super) async fn published(server: &Server) -> Result<Vec<String>, Fault> {
    let sql = "SELECT DISTINCT correlation_id FROM (
                 SELECT correlation_id FROM correlations FINAL
                 UNION ALL SELECT correlation_id FROM correlation_evidence FINAL
                 UNION ALL SELECT correlation_id FROM event_correlations FINAL)
               ORDER BY correlation_id";
    Ok(server.rows::<IdAnswer>(server.query(sql)).await?.into_iter().map(|row| row.correlation_id).collect())
}

pub(super) async fn evidence(server: &Server, correlation_id: &str) -> Result<Vec<Evidence>, Fault> {
    let sql = "SELECT revision AS number FROM correlations FINAL WHERE correlation_id = {id:String}";
    if server.rows::<NumberAnswer>(server.query(sql).param("id", correlation_id)).await?.is_empty() {
        return Ok(Vec::new());
    }
    let table = patterns::evidence();
    let query = selected(server, table, "WHERE stored.correlation_id = {id:String}").param("id", correlation_id);
    let mut evidence = patterns::read_evidence(&read(server, table, query).await?);
    evidence.sort();
    Ok(evidence)
}

#[derive(clickhouse::Row, Deserialize)]
struct ColonyAnswer {
    colony_id: String,
    application_name: String,
    environment: String,
    health: String,
    total_services: u32,
    healthy_services: u32,
    degraded_services: u32,
    unhealthy_services: u32,
    agent_count: Option<u32>,
    last_success_at: Option<i64>,
    complete_to: Option<i64>,
    last_error: String,
}

pub(super) async fn colony_status(server: &Server) -> Result<Vec<ColonyStatus>, Fault> {
    let sql = "SELECT colony_id, application_name, environment, health, total_services, healthy_services,
                      degraded_services, unhealthy_services, agent_count, last_success_at, complete_to, last_error
               FROM colony_status FINAL ORDER BY colony_id";
    let rows = server.rows::<ColonyAnswer>(server.query(sql)).await?;
    let read = |row: ColonyAnswer| ColonyStatus {
        colony_id: row.colony_id,
        application_name: row.application_name,
        environment: row.environment,
        health: row.health,
        total_services: row.total_services,
        healthy_services: row.healthy_services,
        degraded_services: row.degraded_services,
        unhealthy_services: row.unhealthy_services,
        agent_count: row.agent_count,
        last_success_at: row.last_success_at.map(TimeMs),
        complete_to: row.complete_to.map(TimeMs),
        last_error: row.last_error,
    };
    Ok(rows.into_iter().map(read).collect())
}

#[derive(clickhouse::Row, Deserialize)]
struct NumberAnswer {
    number: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct ReasonAnswer {
    reason: String,
    number: u64,
}

/// Rows of each table.
pub(super) async fn rows_of_tables(server: &Server) -> Result<BTreeMap<String, u64>, Fault> {
    let mut rows = BTreeMap::new();
    for table in server.config.schema.tables().map(|table| table.name) {
        // sql: identifiers only
        let sql = format!("SELECT count() AS number FROM {table} FINAL");
        rows.insert(table.to_owned(), number(server, &sql).await?);
    }
    Ok(rows)
}

pub(super) async fn totals(server: &Server) -> Result<Totals, Fault> {
    let mut totals = Totals { rows: rows_of_tables(server).await?, ..Totals::default() };
    let sql = "SELECT reason, sum(rows) AS number FROM (
                 SELECT reason, count() AS rows FROM rejects FINAL GROUP BY reason
                 UNION ALL SELECT reason, omitted AS rows FROM rejects_omitted FINAL)
               GROUP BY reason";
    for row in server.rows::<ReasonAnswer>(server.query(sql)).await? {
        totals.rejects.insert(row.reason, row.number);
    }
    for table in [MetricPoint::TABLE, Event::TABLE, MetricPoint::LATE_TABLE, Event::LATE_TABLE] {
        // sql: identifiers only
        let sql = format!("SELECT countIf(late) AS number FROM {table} FINAL");
        totals.late += number(server, &sql).await?;
    }
    Ok(totals)
}

async fn number(server: &Server, sql: &str) -> Result<u64, Fault> {
    Ok(server.rows::<NumberAnswer>(server.query(sql)).await?.first().map_or(0, |row| row.number))
}
