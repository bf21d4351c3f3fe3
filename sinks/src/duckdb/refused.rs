//! Rejects of a commit: looked up and written in bulk, so that rejecting costs about as much as storing.

use super::fault::Cause;
use super::stage::{append, temporary};
use crate::Commit;
use crate::columns::{Columns, text, times};
use crate::rejects::{self, Group, KEPT_MAX, Omitted, Stored};
use arrow::array::{StringArray, UInt64Array};
use duckdb::{Connection, Row};
use model::reject::Reject;
use model::time::TimeMs;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Two texts, by which rows are looked up.
type Pair<'a> = (&'a str, &'a str);

pub(super) fn write(connection: &Connection, commit: &Commit) -> Result<(), Cause> {
    delete_settled(connection, commit)?;
    if commit.rejects.is_empty() {
        return Ok(());
    }
    let rejects = rejects::each_once(&commit.rejects);
    let stored = stored(connection, &rejects)?;
    let changes = rejects::changes(&rejects, stored, KEPT_MAX);
    delete(connection, "rejects", "place", &pairs(&changes.removed))?;
    append(connection, "rejects", &changes.written, reject_columns)?;
    let omitted: Vec<(&Group, &Omitted)> = changes.omitted.iter().collect();
    count(connection, &omitted, commit.committed_at)
}

fn pairs(of: &[(String, String)]) -> Vec<Pair<'_>> {
    of.iter().map(|(source, value)| (&**source, &**value)).collect()
}

/// Deletes obsolete rejects.
fn delete_settled(connection: &Connection, commit: &Commit) -> Result<(), Cause> {
    let (parts, rewound, places) = (pairs(&commit.restarted), pairs(&commit.rewound), pairs(&commit.settled));
    for table in ["rejects", "rejects_omitted"] {
        delete(connection, table, "part", &parts)?;
        delete_where(connection, table, "part", &rewound, "stored.reason = 'far_future'")?;
    }
    delete(connection, "rejects", "place", &places)?;
    if places.is_empty() {
        return Ok(());
    }
    stage_pairs(connection, "part", &rejects::parts_of(&commit.settled))?;
    let changed = rejects::without_settled(&commit.settled, &omitted(connection)?);
    count(connection, &changed.iter().collect::<Vec<_>>(), commit.committed_at)
}

/// Deletes the rows of `table` that have one of these sources and values of `column`.
fn delete(connection: &Connection, table: &str, column: &'static str, pairs: &[Pair<'_>]) -> Result<(), Cause> {
    delete_where(connection, table, column, pairs, "true")
}

fn delete_where(
    connection: &Connection,
    table: &str,
    column: &'static str,
    pairs: &[Pair<'_>],
    condition: &'static str,
) -> Result<(), Cause> {
    if pairs.is_empty() {
        return Ok(());
    }
    stage_pairs(connection, column, pairs)?;
    // sql: identifiers only; the condition is a constant
    connection.execute_batch(&format!(
        "DELETE FROM {table} AS stored USING staged_pairs AS staged
         WHERE stored.source = staged.source AND stored.{column} = staged.{column} AND {condition}"
    ))?;
    Ok(())
}

fn stage_pairs(connection: &Connection, column: &'static str, pairs: &[Pair<'_>]) -> Result<(), Cause> {
    // sql: identifiers only
    temporary(connection, "staged_pairs", &format!("SELECT source, {column} FROM rejects"))?;
    append(connection, "staged_pairs", pairs, |chunk| {
        vec![
            ("source", text(chunk.iter().map(|(source, _)| *source))),
            (column, text(chunk.iter().map(|(_, value)| *value))),
        ]
    })
}

fn stored(connection: &Connection, rejects: &[&Reject]) -> Result<Stored, Cause> {
    let mut stored = Stored::default();
    if !connection.query_row("SELECT EXISTS (FROM rejects) OR EXISTS (FROM rejects_omitted)", [], |row| row.get(0))? {
        return Ok(stored);
    }
    let places: Vec<Pair<'_>> = rejects.iter().map(|reject| (&*reject.source, &*reject.place)).collect();
    stage_pairs(connection, "place", &places)?;
    each(
        connection,
        "SELECT source, place, colony_id, reason, detail, raw, epoch_ms(rejected_at)
         FROM rejects SEMI JOIN staged_pairs USING (source, place)",
        |row| {
            let reject = read(row)?;
            stored.rejects.insert((reject.source.clone(), reject.place.clone()), reject);
            Ok(())
        },
    )?;
    // groups that a reject leaves count as well: they are in the same parts
    let parts: BTreeSet<Pair<'_>> = rejects.iter().map(|reject| (&*reject.source, reject.part())).collect();
    let parts: Vec<Pair<'_>> = parts.into_iter().collect();
    stage_pairs(connection, "part", &parts)?;
    stored.kept = groups(
        connection,
        "SELECT source, part, reason, count(*)::UBIGINT FROM rejects SEMI JOIN staged_pairs USING (source, part)
         GROUP BY ALL",
        |row| Ok(row.get(3)?),
    )?;
    stored.omitted = omitted(connection)?;
    Ok(stored)
}

/// The numbers of the staged parts.
fn omitted(connection: &Connection) -> Result<HashMap<Group, Omitted>, Cause> {
    groups(
        connection,
        "SELECT source, part, reason, omitted, counted_to FROM rejects_omitted
         SEMI JOIN staged_pairs USING (source, part)",
        |row| Ok(Omitted { rows: row.get(3)?, counted_to: row.get(4)? }),
    )
}

fn groups<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T, Cause>,
) -> Result<HashMap<Group, T>, Cause> {
    let mut groups = HashMap::new();
    each(connection, sql, |row| {
        groups.insert((row.get(0)?, row.get(1)?, row.get(2)?), read(row)?);
        Ok(())
    })?;
    Ok(groups)
}

fn each(connection: &Connection, sql: &str, mut take: impl FnMut(&Row<'_>) -> Result<(), Cause>) -> Result<(), Cause> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Reject, Cause> {
    let reason: String = row.get(3)?;
    Ok(Reject {
        source: row.get(0)?,
        place: row.get(1)?,
        colony_id: row.get(2)?,
        reason: rejects::read_reason(&reason)?,
        detail: row.get(4)?,
        raw: row.get(5)?,
        rejected_at: TimeMs(row.get(6)?),
    })
}

fn reject_columns(rows: &[&Reject]) -> Columns {
    vec![
        ("source", text(rows.iter().map(|row| &*row.source))),
        ("place", text(rows.iter().map(|row| &*row.place))),
        ("colony_id", Arc::new(rows.iter().map(|row| row.colony_id.as_deref()).collect::<StringArray>())),
        ("reason", text(rows.iter().map(|row| row.reason.as_str()))),
        ("detail", text(rows.iter().map(|row| &*row.detail))),
        ("raw", text(rows.iter().map(|row| &*row.raw))),
        ("rejected_at", times(rows.iter().map(|row| row.rejected_at))),
        ("part", text(rows.iter().map(|row| row.part()))),
    ]
}

fn count(connection: &Connection, omitted: &[(&Group, &Omitted)], now: TimeMs) -> Result<(), Cause> {
    if omitted.is_empty() {
        return Ok(());
    }
    temporary(connection, "staged_omitted", "SELECT * FROM rejects_omitted")?;
    append(connection, "staged_omitted", omitted, |chunk| {
        vec![
            ("source", text(chunk.iter().map(|((source, ..), _)| &**source))),
            ("part", text(chunk.iter().map(|((_, part, _), _)| &**part))),
            ("reason", text(chunk.iter().map(|((.., reason), _)| &**reason))),
            ("omitted", Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|(_, it)| it.rows)))),
            ("counted_to", text(chunk.iter().map(|(_, it)| &*it.counted_to))),
            ("updated_at", times(chunk.iter().map(|_| now))),
        ]
    })?;
    connection.execute_batch("INSERT OR REPLACE INTO rejects_omitted BY NAME SELECT * FROM staged_omitted")?;
    Ok(())
}
