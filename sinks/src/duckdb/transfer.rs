//! Reads and writes whole tables of a DuckDB file.

use super::fault::Cause;
use super::fleet::{time, write_position};
use super::keep::{insert_staged, make_stage};
use super::select::select;
use super::series::name_staged;
use super::session::Session;
use super::stage::append_batch;
use crate::columns::{Columns, ReportedRow, times};
use crate::schema::{Kind, Table};
use crate::transfer::{Cursor, Page};
use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use duckdb::types::Value;
use model::event::Event;
use model::metric::MetricPoint;
use model::position::Positions;
use model::time::TimeMs;
use std::sync::Arc;

pub(super) fn export(
    connection: &Connection,
    table: &'static Table,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Cause> {
    export_with(connection, table, None, after, limit)
}

/// The same of the rows that have one of these texts in a column.
pub(super) fn export_with(
    connection: &Connection,
    table: &'static Table,
    texts: Option<(&'static str, Vec<String>)>,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Cause> {
    let key = table.key_columns().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut values = after.map(|cursor| key_values(table, cursor)).transpose()?.unwrap_or_default();
    let mut beyond = "TRUE".to_owned();
    if let Some(first) = values.first().cloned() {
        // the first column lets DuckDB skip earlier rows, the row comparison is exact
        let marks = vec!["?"; values.len()].join(", ");
        beyond = format!("{} >= ? AND ({key}) > ({marks})", table.columns[0].0);
        values.insert(0, first);
    }
    let mut with = String::new();
    if let Some((column, texts)) = texts {
        if texts.is_empty() {
            return Ok(Page::empty(table));
        }
        with = format!("AND {column} IN ({})", vec!["?"; texts.len()].join(", "));
        values.extend(texts.into_iter().map(Value::Text));
    }
    values.push(Value::BigInt(i64::try_from(limit).unwrap_or(i64::MAX)));
    let own = if table.name == "source_positions" { "AND NOT starts_with(source, 'copy:')" } else { "" };
    select(connection, table, &format!("WHERE {beyond} {own} {with} ORDER BY {key} LIMIT ?"), values)
}

/// The values of a cursor, to be bound.
pub(super) fn key_values(table: &Table, cursor: &Cursor) -> Result<Vec<Value>, Cause> {
    let values: Vec<serde_json::Value> = serde_json::from_str(&cursor.0)?;
    let value = |(value, (name, kind)): (&serde_json::Value, &(&str, Kind))| {
        match (kind, value) {
            (Kind::Time, number) => number.as_i64().map(|ms| time(TimeMs(ms))),
            (Kind::Real, number) => number.as_f64().map(Value::Double),
            (Kind::U32 | Kind::U64, number) => number.as_u64().map(Value::UBigInt),
            (Kind::I32 | Kind::I64, number) => number.as_i64().map(Value::BigInt),
            (_, text) => text.as_str().map(|text| Value::Text(text.to_owned())),
        }
        .ok_or_else(|| Cause::from(format!("the stored progress of {} has no {name}", table.name)))
    };
    values.iter().zip(table.key_columns()).map(value).collect()
}

pub(super) fn import(session: &mut Session, page: &Page, source: &str, progress: &Positions) -> Result<(), Cause> {
    let table = page.table();
    let columns: Columns = table
        .columns
        .iter()
        .zip(page.rows.columns())
        .map(|((name, kind), column)| (*name, if *kind == Kind::Time { micros(column) } else { Arc::clone(column) }))
        .collect();
    let (mut columns, now) = (columns, session.clock.now());
    let is_reported =
        [MetricPoint::TABLE, Event::TABLE, MetricPoint::LATE_TABLE, Event::LATE_TABLE].contains(&table.name);
    if is_reported || session.schema.derived(table.name).is_some() {
        // it is stored here now
        columns.push(("stored_at", times(std::iter::repeat_n(now, page.len()))));
    }
    let rows =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))?;
    // regardless of the result: rows outside the session's cache are written
    session.series.forget();
    let transaction = session.connection.transaction()?;
    if table.name == MetricPoint::TABLE {
        make_stage::<MetricPoint>(&transaction)?;
        append_batch(&transaction, "staged_rows", &rows)?;
        name_staged(&transaction)?;
        insert_staged::<MetricPoint>(&transaction)?;
    } else {
        append_batch(&transaction, table.name, &rows)?;
    }
    for (part, position) in &progress.0 {
        write_position(&transaction, source, part, position, now)?;
    }
    transaction.commit()?;
    session.hours = crate::hours::HourSums::default();
    session.has_late_copies = true;
    Ok(())
}

/// Milliseconds as DuckDB's timestamps.
fn micros(column: &ArrayRef) -> ArrayRef {
    let times = column.as_primitive::<Int64Type>();
    Arc::new(times.iter().map(|ms| ms.map(|ms| ms.saturating_mul(1_000))).collect::<TimestampMicrosecondArray>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{DuckDbConfig, DuckDbStore};
    use super::*;
    use crate::compliance::OnTime;
    use crate::compliance::rows::{START, bucket, event, finding};
    use crate::schema::Schema;
    use crate::store::{StoreAdmin, StoreWriter};
    use crate::transfer::Tally;
    use model::rows::Rows;

    async fn opened(folder: &tempfile::TempDir, name: &str) -> DuckDbStore {
        DuckDbStore::open(DuckDbConfig::at(folder.path().join(name))).await.unwrap()
    }

    async fn tally(store: &mut DuckDbStore, table: &'static Table, page_rows: usize) -> Tally {
        let (mut tally, mut after) = (Tally::default(), None);
        loop {
            let page = store.export(table, after.as_ref(), page_rows).await.unwrap();
            tally.add(page.tally());
            after = page.end();
            if after.is_none() {
                return tally;
            }
        }
    }

    #[tokio::test]
    async fn the_tables_that_move_are_those_of_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(&folder, "a").await;
        let job = |session: &mut Session| {
            let mut statement = session.connection.prepare(
                "SELECT table_name || '.' || column_name FROM information_schema.columns
                 WHERE table_name NOT IN ('schema_version', 'store_owner', 'metric_series', 'metric_buckets',
                                          'prediction_scores') AND column_name <> 'stored_at' ORDER BY 1",
            )?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            Ok(names)
        };
        let stored = store.writer.call("list columns", job).await.unwrap();
        let mut moved: Vec<String> = Schema::default()
            .tables()
            .flat_map(|table| table.columns.iter().map(|(column, _)| format!("{}.{column}", table.name)))
            .collect();
        moved.sort();
        assert_eq!(moved, stored);
    }

    #[tokio::test]
    async fn every_table_arrives_whole_in_pages_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, mut b) = (opened(&folder, "a").await, opened(&folder, "b").await);
        let rows = Rows {
            events: (0..23).map(|n| event(&format!("e{n}'\";"), n)).collect(),
            metrics: (0..40)
                .map(|n| {
                    let point = bucket(["api", "web", "db'\";"][n as usize % 3], n * 60_000);
                    let series = point.series.with(|series| series.interval_seconds = (n % 5 > 0).then_some(60));
                    MetricPoint { series, ..point }
                })
                .collect(),
            ..Rows::default()
        };
        let commit = crate::Commit {
            late: Rows { events: vec![event("late", 9)], ..Rows::default() }.into(),
            findings: vec![finding("a", 0.5, &[("e1'\";", "e2'\";"), ("e3'\";", "e4'\";")])],
            positions: vec![("files".into(), Positions([("e.csv".into(), "7".into())].into()))],
            ..crate::compliance::commit_of(1, rows)
        };
        a.commit(&commit).await.unwrap();
        let job = |session: &mut Session| {
            Ok(session.connection.execute_batch(
                "INSERT INTO deployment_timeline VALUES ('c', 'd', 'app', 'prod', 's', '1', '2', now(), NULL, 'running',
                 0.5, ['slow', 'it''s'], [], 'deployment', ['e'], [], 'success', 'nothing got worse', 60, now());",
            )?)
        };
        a.writer.call("add a deployment", job).await.unwrap();
        let tables: Vec<&'static Table> = Schema::default().tables().collect();
        for table in &tables {
            let mut after = None;
            loop {
                let page = a.export(table, after.as_ref(), 7).await.unwrap();
                after = page.end();
                let progress = Positions([(table.name.to_owned(), "x".to_owned())].into());
                b.import(page, "copy:test", progress).await.unwrap();
                if after.is_none() {
                    break;
                }
            }
            let expected = tally(&mut a, table, 1_000).await;
            assert_eq!(tally(&mut b, table, 3).await, expected, "{}", table.name);
        }
        assert_eq!(tally(&mut b, tables[0], 9).await.rows, 40);
        let sql = "SELECT count(*) || ' ' || count(DISTINCT series_id) FROM metric_series";
        let job =
            move |session: &mut Session| Ok(session.connection.query_row(sql, [], |row| row.get::<_, String>(0))?);
        assert_eq!(b.writer.call("count series", job).await.unwrap(), "6 6");
        assert_eq!(b.copy_progress("copy:test").await.unwrap().0.len(), tables.len());
        b.forget_copy("copy:test").await.unwrap();
        assert!(b.copy_progress("copy:test").await.unwrap().0.is_empty());
        assert_eq!(
            b.reader().events_since(START, None, 100).await.unwrap(),
            a.reader().events_since(START, None, 100).await.unwrap()
        );
    }
}
