//! Reads and writes whole tables of a ClickHouse database.

use super::fault::Fault;
use super::insert::insert;
use super::memory::{Kind as MarkKind, MarkKey};
use super::rows::{texts, versions};
use super::select::{read, selected};
use super::server::Server;
use super::session::Session;
use super::{fleet, reader};
use crate::columns::{Columns, times};
use crate::schema::{Kind, Table};
use crate::transfer::{Cursor, Page};
use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use clickhouse::query::Query;
use model::position::Positions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tables that are paged in their order on disk, which reads each row once. The others are small.
const ORDERS: &[(&str, &[&str])] = &[
    (
        "federated_metrics",
        &["colony_id", "application_name", "environment", "service_id", "metric_name", "interval_seconds", "timestamp"],
    ),
    ("federated_events", &["colony_id", "event_id"]),
    ("env_metric_summary", &["application_name", "environment", "metric_name", "hour"]),
];

fn order(table: &'static Table) -> Vec<&'static str> {
    match ORDERS.iter().find(|(name, _)| *name == table.name) {
        Some((_, order)) => order.to_vec(),
        None => table.key_columns().iter().map(|(name, _)| *name).collect(),
    }
}

pub(super) async fn export(
    server: &Server,
    table: &'static Table,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Fault> {
    export_with(server, table, None, after, limit).await
}

/// The same of the rows that have one of these texts in a column.
pub(super) async fn export_with(
    server: &Server,
    table: &'static Table,
    texts: Option<(&'static str, &[String])>,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Fault> {
    if texts.is_some_and(|(_, texts)| texts.is_empty()) {
        return Ok(Page::empty(table));
    }
    let order = order(table);
    let key = order.iter().map(|name| format!("stored.{name}")).collect::<Vec<_>>().join(", ");
    let kinds: Vec<Kind> = order.iter().map(|name| table.kind(name)).collect();
    let mut conditions = Vec::new();
    if after.is_some() {
        let marks: Vec<String> = kinds.iter().enumerate().map(|(place, kind)| mark(place, *kind)).collect();
        // the first column lets the server skip earlier rows, the row comparison is exact
        conditions.push(format!("stored.{} >= {}", order[0], marks[0]));
        conditions.push(format!("({key}) > ({})", marks.join(", ")));
    }
    if table.name == "source_positions" {
        conditions.push("NOT startsWith(stored.source, 'copy:')".to_owned());
    }
    if let Some((column, _)) = texts {
        // sql: identifiers only
        conditions.push(format!("stored.{column} IN {{with:Array(String)}}"));
    }
    let conditions = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let which = format!("{conditions} ORDER BY {key} LIMIT {{limit:UInt64}}");
    let mut query = selected(server, table, &which).param("limit", u64::try_from(limit).unwrap_or(u64::MAX));
    if let Some((_, texts)) = texts {
        query = query.param("with", texts);
    }
    if let Some(cursor) = after {
        query = bind(query, table, &kinds, cursor)?;
    }
    Ok(read(server, table, query).await?.ordered_by(&order))
}

/// A bound value for comparison with a column of this kind.
pub(super) fn mark(place: usize, kind: Kind) -> String {
    match kind {
        Kind::Time => format!("fromUnixTimestamp64Milli({{k{place}:Int64}}, 'UTC')"),
        Kind::Real => format!("{{k{place}:Float64}}"),
        Kind::I32 | Kind::I64 => format!("{{k{place}:Int64}}"),
        Kind::U32 | Kind::U64 => format!("{{k{place}:UInt64}}"),
        Kind::Text | Kind::Texts | Kind::Truth => format!("{{k{place}:String}}"),
    }
}

/// Binds the values of a cursor.
pub(super) fn bind(mut query: Query, table: &Table, kinds: &[Kind], cursor: &Cursor) -> Result<Query, Fault> {
    let unusable = || {
        let cause = format!("the stored progress of {} is not of this program", table.name);
        Fault::stop("restart the copy, into an empty database", cause)
    };
    let values: Vec<serde_json::Value> = serde_json::from_str(&cursor.0).map_err(|_| unusable())?;
    if values.len() != kinds.len() {
        return Err(unusable());
    }
    for (place, (value, kind)) in values.iter().zip(kinds).enumerate() {
        let name = format!("k{place}");
        query = match kind {
            Kind::Time | Kind::I32 | Kind::I64 => query.param(&name, value.as_i64().ok_or_else(unusable)?),
            Kind::U32 | Kind::U64 => query.param(&name, value.as_u64().ok_or_else(unusable)?),
            Kind::Real => query.param(&name, value.as_f64().ok_or_else(unusable)?),
            Kind::Text | Kind::Texts | Kind::Truth => query.param(&name, value.as_str().ok_or_else(unusable)?),
        };
    }
    Ok(query)
}

/// Rows first, positions after them: a page that is written again replaces itself.
pub(super) async fn import(
    session: &mut Session,
    page: &Page,
    source: &str,
    progress: &Positions,
) -> Result<(), Fault> {
    let table = page.table();
    let version = session.next_version();
    let columns: Vec<(&'static str, ArrayRef)> = table
        .columns
        .iter()
        .zip(page.rows.columns())
        .map(|((name, kind), column)| (*name, if *kind == Kind::Time { micros(column) } else { Arc::clone(column) }))
        .collect();
    let places: Vec<usize> = (0..page.len()).collect();
    insert(session, table.name, &places, |chunk| {
        let (first, rows) = (chunk.first().copied().unwrap_or(0), chunk.len());
        let mut chunk_columns: Columns =
            columns.iter().map(|(name, column)| (*name, column.slice(first, rows))).collect();
        chunk_columns.extend(versions(chunk.iter().map(|_| (version, false))));
        chunk_columns
    })
    .await?;
    session.memory.has_late_copies = true;
    session.memory.forget_buckets();
    fleet::write_watermarks(session, newest(page)).await?;
    write_progress(session, source, &progress.0, false).await
}

/// Milliseconds as timestamps.
fn micros(column: &ArrayRef) -> ArrayRef {
    let times = column.as_primitive::<Int64Type>();
    Arc::new(times.iter().map(|ms| ms.map(|ms| ms.saturating_mul(1_000))).collect::<TimestampMicrosecondArray>())
}

/// The newest time per colony of reported rows, as [`super::writer`] keeps it.
fn newest(page: &Page) -> BTreeMap<MarkKey, i64> {
    let mut newest: BTreeMap<MarkKey, i64> = BTreeMap::new();
    let is_event = match page.table().name {
        "federated_events" => true,
        "federated_metrics" => false,
        _ => return newest,
    };
    let column = |name: &str| page.rows.column_by_name(name);
    let (Some(colony), Some(application), Some(environment), Some(time), Some(late)) =
        (column("colony_id"), column("application_name"), column("environment"), column("timestamp"), column("late"))
    else {
        return newest;
    };
    for row in 0..page.len() {
        let kind = match (is_event, late.as_boolean().value(row)) {
            (true, true) => continue,
            (true, false) => MarkKind::Event,
            (false, false) => MarkKind::Metric,
            (false, true) => MarkKind::LateMetric,
        };
        let text = |column: &ArrayRef| column.as_string::<i32>().value(row).to_owned();
        let at = time.as_primitive::<Int64Type>().value(row);
        let stored = newest.entry((text(colony), text(application), text(environment), kind)).or_insert(at);
        *stored = (*stored).max(at);
    }
    newest
}

async fn write_progress(
    session: &mut Session,
    source: &str,
    parts: &BTreeMap<String, String>,
    is_removed: bool,
) -> Result<(), Fault> {
    let rows: Vec<(&String, &String)> = parts.iter().collect();
    let (version, now) = (session.next_version(), session.server.config.clock.now());
    insert(session, "source_positions", &rows, |rows| {
        let mut columns = vec![
            ("source", texts(rows, |_| source)),
            ("part", texts(rows, |row| row.0)),
            ("position", texts(rows, |row| row.1)),
            ("updated_at", times(rows.iter().map(|_| now))),
        ];
        columns.extend(versions(rows.iter().map(|_| (version, is_removed))));
        columns
    })
    .await
}

pub(super) async fn forget_progress(session: &mut Session, source: &str) -> Result<(), Fault> {
    let parts = reader::positions(&session.server).await?.remove(source).unwrap_or_default();
    write_progress(session, source, &parts.0, true).await
}
