//! Reads the store. External values are always bound.

use super::fault::Cause;
use super::fleet::time;
use super::rows::{ReadRow, selection};
use super::select::select;
use crate::columns::ReportedRow;
use crate::patterns;
use crate::schema::Schema;
use crate::slices::SliceWidth;
use crate::store::{Span, Totals, Watermarks};
use crate::stored::StoredRow;
use duckdb::types::Value;
use duckdb::{Connection, Row, params};
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::time::TimeMs;
use model::topology::ColonyStatus;
use std::collections::BTreeMap;

pub(super) fn positions(connection: &Connection) -> Result<BTreeMap<String, Positions>, Cause> {
    let mut sources: BTreeMap<String, Positions> = BTreeMap::new();
    each(connection, "SELECT source, part, position FROM source_positions", params![], |row| {
        sources.entry(row.get(0)?).or_default().0.insert(row.get(1)?, row.get(2)?);
        Ok(())
    })?;
    Ok(sources)
}

pub(super) fn watermarks(connection: &Connection) -> Result<Watermarks, Cause> {
    let marks = |table: &str| -> Result<BTreeMap<String, TimeMs>, Cause> {
        // sql: identifiers only
        let sql = format!("SELECT colony_id, epoch_ms(max(timestamp)) FROM {table} WHERE NOT late GROUP BY colony_id");
        let mut marks = BTreeMap::new();
        each(connection, &sql, params![], |row| {
            marks.insert(row.get(0)?, TimeMs(row.get(1)?));
            Ok(())
        })?;
        Ok(marks)
    };
    Ok(Watermarks { events: marks(Event::TABLE)?, metrics: marks(MetricPoint::TABLE)? })
}

/// The order of pages and the values of a row in it.
pub(super) trait PagedRow: ReadRow {
    const ORDER: &'static str;
    fn timestamp(&self) -> TimeMs;
    fn place(&self) -> Vec<Value>;
}

impl PagedRow for Event {
    const ORDER: &'static str = "timestamp, colony_id, event_id";
    fn timestamp(&self) -> TimeMs {
        self.timestamp
    }
    fn place(&self) -> Vec<Value> {
        vec![time(self.timestamp), self.colony_id.clone().into(), self.event_id.clone().into()]
    }
}

impl PagedRow for MetricPoint {
    const ORDER: &'static str =
        "timestamp, colony_id, service_id, metric_name, interval_seconds, application_name, environment";
    fn timestamp(&self) -> TimeMs {
        self.timestamp
    }
    fn place(&self) -> Vec<Value> {
        let names = self.series.names();
        let text = |text: &str| Value::Text(text.to_owned());
        vec![
            time(self.timestamp),
            text(names.colony_id),
            text(names.service_id),
            text(names.metric_name),
            Value::UInt(names.interval_seconds.unwrap_or(0)),
            text(names.application_name),
            text(names.environment),
        ]
    }
}

/// A page of rows, as [`crate::StoreReader::events_in`] and [`crate::StoreReader::metrics_in`].
pub(super) fn page<R: PagedRow>(
    connection: &Connection,
    width: &SliceWidth,
    (span, after): (Span, Option<&R>),
    limit: usize,
) -> Result<Vec<StoredRow<R>>, Cause> {
    let mut after = after;
    let mut from = after.map_or(span.from, |row| span.from.max(row.timestamp()));
    loop {
        let slice_ms = width.get();
        let end = TimeMs(from.0.saturating_add(slice_ms));
        let end = span.to.map_or(end, |to| to.min(end));
        let rows = slice(connection, Span { from, to: Some(end), ..span }, after, limit)?;
        let spanned_ms = rows.last().map_or(0, |last| last.row.timestamp() - from);
        width.learn((slice_ms, spanned_ms), rows.len(), limit);
        if !rows.is_empty() {
            return Ok(rows);
        }
        // nothing in it: on to the next row there is
        let Some(next) = next_time::<R>(connection, Span { from: end, ..span })? else { return Ok(rows) };
        (from, after) = (next, None);
    }
}

fn slice<R: PagedRow>(
    connection: &Connection,
    span: Span,
    after: Option<&R>,
    limit: usize,
) -> Result<Vec<StoredRow<R>>, Cause> {
    let (mut conditions, mut values) = conditions(span);
    if let Some(place) = after.map(PagedRow::place) {
        let marks = vec!["?"; place.len()].join(", ");
        conditions.push_str(&format!(" AND ({}) > ({marks})", R::ORDER));
        values.extend(place);
    }
    values.push(Value::BigInt(i64::try_from(limit).unwrap_or(i64::MAX)));
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM {} AS stored WHERE {conditions} ORDER BY {} LIMIT ?",
        selection::<R>("stored"),
        rows_of::<R>(span),
        R::ORDER
    );
    let mut rows = Vec::new();
    each(connection, &sql, duckdb::params_from_iter(values), |row| {
        rows.push(R::read(row, 0)?);
        Ok(())
    })?;
    Ok(rows)
}

/// The first time in `span` at which it may have a row.
fn next_time<R: PagedRow>(connection: &Connection, span: Span) -> Result<Option<TimeMs>, Cause> {
    let mut next: Option<i64> = None;
    // the tables themselves: a join with names, or without late copies, would cost more than a slice without rows
    let tables: &[&str] = if span.with_late { &[R::STORED, R::LATE_TABLE] } else { &[R::STORED] };
    for table in tables {
        let (conditions, values) = conditions(span);
        // sql: identifiers only
        let sql = format!("SELECT epoch_ms(min(timestamp)) FROM {table} WHERE {conditions}");
        let time: Option<i64> = connection.query_row(&sql, duckdb::params_from_iter(values), |row| row.get(0))?;
        next = next.into_iter().chain(time).min();
    }
    Ok(next.map(TimeMs))
}

/// Where the rows of a span are: with late copies, each row by its late copy, if there is one.
pub(super) fn rows_of<R: ReportedRow>(span: Span) -> String {
    let (table, late_table) = (R::TABLE, R::LATE_TABLE);
    if !span.with_late {
        return table.to_owned();
    }
    let (keys, columns) = (R::KEY.join(", "), [R::KEY, R::CONTENT].concat().join(", "));
    // sql: identifiers only
    format!(
        "(SELECT {columns} FROM {table} ANTI JOIN {late_table} USING ({keys}) UNION ALL SELECT {columns} FROM {late_table})"
    )
}

/// The rows of a span: a condition with its values.
fn conditions(span: Span) -> (String, Vec<Value>) {
    let mut values = vec![time(span.from)];
    let mut conditions = "timestamp >= ?".to_owned();
    if let Some(to) = span.to {
        values.push(time(to));
        conditions.push_str(" AND timestamp < ?");
    }
    if !span.with_late {
        conditions.push_str(" AND NOT late");
    }
    (conditions, values)
}

/// Events and metric buckets of `span`.
pub(super) fn count(connection: &Connection, span: Span) -> Result<(u64, u64), Cause> {
    let count = |rows: String| -> Result<u64, Cause> {
        let (conditions, values) = conditions(span);
        // sql: identifiers only
        let sql = format!("SELECT count(*) FROM {rows} WHERE {conditions}");
        let rows: i64 = connection.query_row(&sql, duckdb::params_from_iter(values), |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    };
    Ok((count(rows_of::<Event>(span))?, count(rows_of::<MetricPoint>(span))?))
}

pub(super) fn correlations(connection: &Connection) -> Result<Vec<Correlation>, Cause> {
    let page = select(connection, patterns::correlations(), "ORDER BY correlation_id", Vec::new())?;
    Ok(patterns::read_correlations(&page)?.into_iter().map(|(correlation, ..)| correlation).collect())
}

pub(super) fn evidence(connection: &Connection, correlation_id: &str) -> Result<Vec<Evidence>, Cause> {
    let values = vec![Value::Text(correlation_id.to_owned())];
    let page = select(connection, patterns::evidence(), "WHERE correlation_id = ?", values)?;
    let mut evidence = patterns::read_evidence(&page);
    evidence.sort();
    Ok(evidence)
}

pub(super) fn colony_status(connection: &Connection) -> Result<Vec<ColonyStatus>, Cause> {
    let sql = "SELECT colony_id, application_name, environment, health, total_services, healthy_services,
                      degraded_services, unhealthy_services, agent_count, epoch_ms(last_success_at),
                      epoch_ms(complete_to), last_error
               FROM colony_status ORDER BY colony_id";
    let mut colonies = Vec::new();
    each(connection, sql, params![], |row| {
        colonies.push(ColonyStatus {
            colony_id: row.get(0)?,
            application_name: row.get(1)?,
            environment: row.get(2)?,
            health: row.get(3)?,
            total_services: row.get(4)?,
            healthy_services: row.get(5)?,
            degraded_services: row.get(6)?,
            unhealthy_services: row.get(7)?,
            agent_count: row.get(8)?,
            last_success_at: row.get::<_, Option<i64>>(9)?.map(TimeMs),
            complete_to: row.get::<_, Option<i64>>(10)?.map(TimeMs),
            last_error: row.get(11)?,
        });
        Ok(())
    })?;
    Ok(colonies)
}

pub(super) fn totals(connection: &Connection, schema: Schema) -> Result<Totals, Cause> {
    let mut totals = Totals::default();
    for table in schema.tables().map(|table| table.name) {
        // sql: identifiers only
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        totals.rows.insert(table.to_owned(), rows.unsigned_abs());
    }
    let sql = "SELECT reason, sum(rows)::BIGINT FROM (SELECT reason, count(*) AS rows FROM rejects GROUP BY reason
                 UNION ALL SELECT reason, omitted FROM rejects_omitted) GROUP BY reason";
    each(connection, sql, params![], |row| {
        totals.rejects.insert(row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs());
        Ok(())
    })?;
    for table in [MetricPoint::TABLE, Event::TABLE, MetricPoint::LATE_TABLE, Event::LATE_TABLE] {
        // sql: identifiers only
        let sql = format!("SELECT count(*) FROM {table} WHERE late");
        totals.late += connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs();
    }
    Ok(totals)
}

/// Runs a query and passes its rows on.
fn each(
    connection: &Connection,
    sql: &str,
    values: impl duckdb::Params,
    mut take: impl FnMut(&Row<'_>) -> Result<(), Cause>,
) -> Result<(), Cause> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}
