//! Finds the stored copies of rows by their identity.

use super::fault::Cause;
use super::rows::{ReadRow, selection};
use super::stage::{append, temporary};
use crate::columns::{Columns, ReportedRow};
use crate::stored::StoredRow;
use arrow::array::UInt32Array;
use duckdb::Connection;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Most runs of neighbouring rows that are read one by one: a query takes about a millisecond.
const RUNS_MAX: usize = 64;

/// Copies in `table`, by place in `rows`.
pub(super) fn look_up<R: ReadRow>(
    connection: &Connection,
    table: &str,
    rows: &[StoredRow<&R>],
) -> Result<HashMap<usize, StoredRow<R>>, Cause> {
    stage_keys(connection, rows)?;
    let keys = R::KEY.join(", ");
    if R::HAS_LONG_TEXTS {
        // a join reads the content of 2,048 rows at once, on each thread, if any of them has a copy
        let places = places(connection, &format!("{table} AS stored JOIN staged_keys USING ({keys})"))?;
        let runs = runs(&places);
        if runs.len() <= RUNS_MAX {
            return read_runs(connection, table, &places, &runs);
        }
    }
    let columns = selection::<R>("stored");
    // sql: identifiers only
    let sql = format!("SELECT place, {columns} FROM {table} AS stored JOIN staged_keys USING ({keys})");
    let mut stored = HashMap::new();
    read(connection, &sql, |place, row| {
        stored.insert(usize::try_from(place)?, row);
        Ok(())
    })?;
    Ok(stored)
}

/// Row id and place of each copy, by row id.
fn places(connection: &Connection, joined: &str) -> Result<Vec<(i64, usize)>, Cause> {
    // sql: identifiers only
    let mut statement = connection.prepare(&format!("SELECT stored.rowid, place FROM {joined} ORDER BY 1"))?;
    let mut found = statement.query([])?;
    let mut places = Vec::new();
    while let Some(row) = found.next()? {
        places.push((row.get(0)?, row.get::<_, u32>(1)? as usize));
    }
    Ok(places)
}

/// Runs of adjacent row ids.
fn runs(places: &[(i64, usize)]) -> Vec<RangeInclusive<i64>> {
    let chunks = places.chunk_by(|(before, _), (next, _)| next - before <= 1);
    chunks.filter_map(|run| Some(run.first()?.0..=run.last()?.0)).collect()
}

fn read_runs<R: ReadRow>(
    connection: &Connection,
    table: &str,
    places: &[(i64, usize)],
    runs: &[RangeInclusive<i64>],
) -> Result<HashMap<usize, StoredRow<R>>, Cause> {
    let place_of: HashMap<i64, usize> = places.iter().copied().collect();
    let mut stored = HashMap::new();
    for run in runs {
        let (first, last) = (run.start(), run.end());
        // sql: identifiers only, and row ids: as parameters they would not bound what is read
        let sql = format!(
            "SELECT rowid, {} FROM {table} AS stored WHERE rowid BETWEEN {first} AND {last}",
            selection::<R>("stored")
        );
        read(connection, &sql, |id, row| {
            stored.extend(place_of.get(&id).map(|place| (*place, row)));
            Ok(())
        })?;
    }
    Ok(stored)
}

/// Passes on what a query finds: a number, and the row after it.
fn read<R: ReadRow>(
    connection: &Connection,
    sql: &str,
    mut take: impl FnMut(i64, StoredRow<R>) -> Result<(), Cause>,
) -> Result<(), Cause> {
    let mut statement = connection.prepare(sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        take(row.get(0)?, R::read(row, 1)?)?;
    }
    Ok(())
}

/// The identities of `rows` as a temporary table.
pub(super) fn stage_keys<R: ReportedRow>(connection: &Connection, rows: &[StoredRow<&R>]) -> Result<(), Cause> {
    let keys = R::KEY.join(", ");
    // sql: identifiers only
    temporary(connection, "staged_keys", &format!("SELECT {keys}, 0::UINTEGER AS place FROM {}", R::TABLE))?;
    let placed: Vec<(u32, StoredRow<&R>)> = (0..).zip(rows.iter().copied()).collect();
    append(connection, "staged_keys", &placed, |chunk| {
        let held: Vec<StoredRow<&R>> = chunk.iter().map(|(_, row)| *row).collect();
        let mut columns: Columns = R::columns(&held);
        columns.retain(|(name, _)| R::KEY.contains(name));
        columns.push(("place", Arc::new(chunk.iter().map(|(place, _)| Some(*place)).collect::<UInt32Array>())));
        columns
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::StoreWriter;
    use crate::compliance::commit_of;
    use crate::compliance::rows::event;
    use crate::duckdb::{DuckDbConfig, DuckDbStore};
    use model::event::Event;
    use model::rows::Rows;

    /// Few events with a stored copy, far apart in a table of long texts.
    #[tokio::test]
    async fn amendments_among_long_texts_need_little_memory() {
        const ROWS: usize = 4_200;
        let folder = tempfile::tempdir().unwrap();
        let config = DuckDbConfig::at(folder.path().join("reef.duckdb"));
        let memory_limit_bytes = Some(192 << 20);
        let mut store =
            DuckDbStore::open(DuckDbConfig { memory_limit_bytes, threads: Some(2), ..config }).await.unwrap();
        let text = "x".repeat(60_000);
        let long = |number: usize, version: u64| {
            let number_text = format!("e{number}");
            Event { description: format!("{number} {version} {text}"), version, ..event(&number_text, 0) }
        };
        for first in (0..ROWS).step_by(200) {
            let events = (first..first + 200).map(|number| long(number, 0)).collect();
            store.commit(&commit_of(first as u64, Rows { events, ..Rows::default() })).await.unwrap();
        }
        let amended: Vec<Event> = (0..ROWS).step_by(300).map(|number| long(number, 1)).collect();
        store.commit(&commit_of(ROWS as u64, Rows { events: amended.clone(), ..Rows::default() })).await.unwrap();
        let asked: Vec<Event> = (0..ROWS).step_by(100).map(|number| long(number, 0)).collect();
        assert!(asked.len() <= RUNS_MAX);
        let mut expected = amended;
        expected.sort();
        assert!(store.newer_events(&asked).await.unwrap() == expected, "other events");
    }

    #[test]
    fn runs_are_of_adjacent_row_ids() {
        let places: Vec<(i64, usize)> = [2, 3, 4, 7, 9, 10].into_iter().zip(0..).collect();
        assert_eq!(runs(&places), [2..=4, 7..=7, 9..=10]);
        assert_eq!(runs(&[]), []);
    }
}
