//! Pages of events and metric buckets in the order of time.
//!
//! The tables are sorted by colony or series, so a page in time order is a scan. It is bounded by reading one slice of
//! time at once, with about a page of rows: a slice grows if it has few rows and shrinks if it is full.

use super::fault::Fault;
use super::rows::{ReadRow, late_selection, selection};
use super::server::Server;
use crate::slices::SliceWidth;
use crate::store::Span;
use crate::stored::StoredRow;
use clickhouse::query::Query;
use model::event::Event;
use model::metric::MetricPoint;
use model::time::TimeMs;
use serde::Deserialize;

/// Beyond every time that a `DateTime64` of milliseconds can hold: 2299-12-31.
const TIME_MAX_MS: i64 = 10_413_705_600_000;

/// The order of pages and the values of a row in it.
pub(super) trait PagedRow: ReadRow {
    const ORDER: &'static str;
    /// The same columns as bound values.
    const PLACE: &'static str;
    fn timestamp(&self) -> TimeMs;
    fn bind(&self, query: Query) -> Query;
}

impl PagedRow for Event {
    const ORDER: &'static str = "timestamp, colony_id, event_id";
    const PLACE: &'static str = "fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {colony:String}, {event:String}";
    fn timestamp(&self) -> TimeMs {
        self.timestamp
    }
    fn bind(&self, query: Query) -> Query {
        query.param("at", self.timestamp.0).param("colony", &self.colony_id).param("event", &self.event_id)
    }
}

impl PagedRow for MetricPoint {
    const ORDER: &'static str =
        "timestamp, colony_id, service_id, metric_name, interval_seconds, application_name, environment";
    const PLACE: &'static str = "fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {colony:String}, {service:String}, \
                                 {metric:String}, {interval:UInt32}, {application:String}, {environment:String}";
    fn timestamp(&self) -> TimeMs {
        self.timestamp
    }
    fn bind(&self, query: Query) -> Query {
        let names = self.series.names();
        query
            .param("at", self.timestamp.0)
            .param("colony", names.colony_id)
            .param("service", names.service_id)
            .param("metric", names.metric_name)
            .param("interval", names.interval_seconds.unwrap_or(0))
            .param("application", names.application_name)
            .param("environment", names.environment)
    }
}

/// A page of rows, as [`crate::StoreReader::events_in`] and [`crate::StoreReader::metrics_in`].
pub(super) async fn page<R: PagedRow>(
    server: &Server,
    width: &SliceWidth,
    (span, after): (Span, Option<&R>),
    limit: usize,
) -> Result<Vec<StoredRow<R>>, Fault> {
    let mut after = after;
    let mut begin = after.map_or(span.from, |row| span.from.max(row.timestamp()));
    loop {
        let slice_ms = width.get();
        let end = begin + slice_ms;
        let end = span.to.map_or(end, |to| to.min(end));
        let rows = slice(server, span, begin..end, after, limit).await?;
        let spanned_ms = rows.last().map_or(0, |last| last.row.timestamp() - begin);
        width.learn((slice_ms, spanned_ms), rows.len(), limit);
        if !rows.is_empty() {
            return Ok(rows);
        }
        // nothing in it: on to the next row there is
        let Some(next) = next_time::<R>(server, span, end).await? else { return Ok(rows) };
        (begin, after) = (next, None);
    }
}

async fn slice<R: PagedRow>(
    server: &Server,
    span: Span,
    times: std::ops::Range<TimeMs>,
    after: Option<&R>,
    limit: usize,
) -> Result<Vec<StoredRow<R>>, Fault> {
    let beyond = match after {
        // sql: identifiers only
        Some(_) => format!("WHERE ({}) > ({})", R::ORDER, R::PLACE),
        None => String::new(),
    };
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM ({}) {beyond} ORDER BY {} LIMIT {{limit:UInt64}}",
        [R::KEY, R::CONTENT, R::OWN].concat().join(", "),
        rows_of::<R>(span),
        R::ORDER
    );
    let mut query = server
        .query(&sql)
        .param("begin", times.start.0)
        .param("end", times.end.0)
        .param("limit", u64::try_from(limit).unwrap_or(u64::MAX));
    if let Some(row) = after {
        query = row.bind(query);
    }
    server.rows::<R::Answer>(query).await?.into_iter().map(R::read).collect()
}

/// The rows of a slice of time, from `begin` to `end`: with late copies, each row by its late copy, if there is one.
pub(super) fn rows_of<R: PagedRow>(span: Span) -> String {
    const SLICE: &str = "timestamp >= fromUnixTimestamp64Milli({begin:Int64}, 'UTC')
           AND timestamp < fromUnixTimestamp64Milli({end:Int64}, 'UTC')";
    let (table, columns) = (R::TABLE, selection::<R>());
    if !span.with_late {
        // sql: identifiers only
        return format!("SELECT {columns} FROM {table} FINAL WHERE {SLICE} AND NOT late");
    }
    let (late_table, keys, late_columns) = (R::LATE_TABLE, R::KEY.join(", "), late_selection::<R>());
    // sql: identifiers only
    format!(
        "SELECT {columns} FROM {table} FINAL
         WHERE {SLICE} AND ({keys}) GLOBAL NOT IN (SELECT {keys} FROM {late_table} FINAL)
         UNION ALL
         SELECT {late_columns} FROM {late_table} FINAL WHERE {SLICE}"
    )
}

#[derive(clickhouse::Row, Deserialize)]
struct NextAnswer {
    rows: u64,
    next_ms: i64,
}

/// The first time from `begin` on at which the span may have a row.
async fn next_time<R: PagedRow>(server: &Server, span: Span, begin: TimeMs) -> Result<Option<TimeMs>, Fault> {
    let (table, late_table) = (R::TABLE, R::LATE_TABLE);
    let rows = match span.with_late {
        false => format!("SELECT timestamp FROM {table} WHERE NOT late"), // sql: identifiers only
        true => format!("SELECT timestamp FROM {table} UNION ALL SELECT timestamp FROM {late_table}"), // sql: identifiers only
    };
    let before = if span.to.is_some() { " AND timestamp < fromUnixTimestamp64Milli({to:Int64}, 'UTC')" } else { "" };
    // sql: identifiers only
    let sql = format!(
        "SELECT count() AS rows, toUnixTimestamp64Milli(min(timestamp)) AS next_ms FROM ({rows})
         WHERE timestamp >= fromUnixTimestamp64Milli({{begin:Int64}}, 'UTC'){before}"
    );
    let mut query = server.query(&sql).param("begin", begin.0);
    if let Some(to) = span.to {
        query = query.param("to", to.0);
    }
    let answer = server.rows::<NextAnswer>(query).await?;
    Ok(answer.first().filter(|row| row.rows > 0).map(|row| TimeMs(row.next_ms)))
}

#[derive(clickhouse::Row, Deserialize)]
struct CountAnswer {
    rows: u64,
}

/// How many rows `span` has.
pub(super) async fn count<R: PagedRow>(server: &Server, span: Span) -> Result<u64, Fault> {
    // sql: identifiers only
    let sql = format!("SELECT count() AS rows FROM ({})", rows_of::<R>(span));
    let end = span.to.map_or(TIME_MAX_MS, |to| to.0);
    let query = server.query(&sql).param("begin", span.from.0).param("end", end);
    Ok(server.rows::<CountAnswer>(query).await?.first().map_or(0, |row| row.rows))
}
