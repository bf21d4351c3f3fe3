//! Revisions of predictions as rows of their table: what was said of a prediction, since when.

use crate::derived::Row;
use crate::schema::{DERIVED, DerivedTable};
use crate::{SinkError, StoreReader};
use model::derived::Value;
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

/// The table.
pub const PREDICTION_REVISIONS: &str = "prediction_revisions";

/// The table that it is the history of.
const PREDICTIONS: &str = "predictions";

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;

fn described(name: &str) -> &'static DerivedTable {
    let table = DERIVED.iter().find(|derived| derived.table.name == name);
    table.unwrap_or_else(|| unreachable!("the schema has a table {name}"))
}

fn of_column<'a>(table: &DerivedTable, row: &'a [Value], column: &str) -> Option<&'a Value> {
    row.get(table.table.columns.iter().position(|(name, _)| *name == column)?)
}

/// The revision from which on a prediction is what this row of `predictions` says.
pub fn listed(row: &[Value], learnt_at: TimeMs) -> Vec<Value> {
    revision(learnt_at, true, |column| of_column(described(PREDICTIONS), row, column).cloned())
}

/// The revision from which on there is no such prediction.
pub fn removed(prediction_id: &str, learnt_at: TimeMs) -> Vec<Value> {
    revision(learnt_at, false, |column| (column == "prediction_id").then(|| Value::Text(prediction_id.to_owned())))
}

fn revision(learnt_at: TimeMs, is_listed: bool, of_row: impl Fn(&str) -> Option<Value>) -> Vec<Value> {
    let value = |(column, _): &(&str, _)| match *column {
        "learnt_at" => Value::Time(learnt_at),
        "is_listed" => Value::Truth(is_listed),
        column => of_row(column).unwrap_or(Value::Null),
    };
    described(PREDICTION_REVISIONS).table.columns.iter().map(value).collect()
}

/// The rows of `predictions` as the reef knew them at a time.
///
/// # Errors
/// Those of the store.
pub async fn predictions_at(reader: &dyn StoreReader, at: TimeMs) -> Result<Vec<Vec<Value>>, SinkError> {
    let table = described(PREDICTION_REVISIONS);
    let (mut known, mut after) = (BTreeMap::new(), None);
    loop {
        let page = reader.rows_of(table, after.as_ref(), PAGE_ROWS).await?;
        // pages rise in time within a prediction: of several the last one stays
        for row in page.rows() {
            let learnt = of_column(table, &row, "learnt_at");
            if matches!(learnt, Some(Value::Time(learnt)) if *learnt <= at)
                && let Some(Value::Text(id)) = row.first()
            {
                known.insert(id.clone(), row);
            }
        }
        after = page.end();
        if after.is_none() {
            let is_listed = |row: &&Row| of_column(table, row, "is_listed") == Some(&Value::Truth(true));
            return Ok(known.values().filter(is_listed).map(|row| prediction(table, row)).collect());
        }
    }
}

/// The rows of `predictions` that are not what was said last: those of a replay that was cut off, which says what it ends
/// with, and of a version without revisions.
///
/// # Errors
/// Those of the store.
pub async fn unsaid(reader: &dyn StoreReader) -> Result<Vec<Vec<Value>>, SinkError> {
    let said: BTreeSet<Vec<Value>> = predictions_at(reader, TimeMs(i64::MAX)).await?.into_iter().collect();
    let (mut unsaid, mut after) = (Vec::new(), None);
    loop {
        let page = reader.rows_of(described(PREDICTIONS), after.as_ref(), PAGE_ROWS).await?;
        unsaid.extend(page.rows().into_iter().filter(|row| !said.contains(row)));
        after = page.end();
        if after.is_none() {
            return Ok(unsaid);
        }
    }
}

/// The row of `predictions` that a revision holds.
fn prediction(table: &DerivedTable, row: &[Value]) -> Vec<Value> {
    let value = |(column, _): &(&str, _)| of_column(table, row, column).cloned().unwrap_or(Value::Null);
    described(PREDICTIONS).table.columns.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compliance::commit_of;
    use crate::memory::MemoryStore;
    use crate::{Commit, StoreWriter};
    use model::derived::DerivedChange;
    use model::real::Real;
    use model::rows::Rows;

    fn prediction_of(id: &str, outcome: &str) -> Vec<Value> {
        let value = |(column, kind): &(&str, crate::schema::Kind)| match (*column, kind) {
            ("prediction_id", _) => Value::Text(id.to_owned()),
            ("outcome", _) => Value::Text(outcome.to_owned()),
            ("matched_event_id" | "resolved_at", _) => Value::Null,
            (_, crate::schema::Kind::Time) => Value::Time(TimeMs(7)),
            (_, crate::schema::Kind::Real) => Value::Real(Real(0.5)),
            (column, _) => Value::Text(column.to_owned()),
        };
        described(PREDICTIONS).table.columns.iter().map(value).collect()
    }

    #[test]
    fn a_revision_has_every_column_of_a_prediction() {
        let own = &described(PREDICTION_REVISIONS).table;
        for (column, kind) in described(PREDICTIONS).table.columns {
            assert!(own.columns.contains(&(*column, *kind)), "{column}");
        }
        assert_eq!(own.columns.len(), described(PREDICTIONS).table.columns.len() + 2);
    }

    #[tokio::test]
    async fn what_was_known_at_a_time_is_the_last_revision_until_then() {
        let (open, miss, hit) =
            (prediction_of("p-1", "open"), prediction_of("p-1", "miss"), prediction_of("p-1", "hit"));
        let other = prediction_of("p-2", "open");
        let upserts = vec![
            listed(&open, TimeMs(10)),
            listed(&miss, TimeMs(20)),
            listed(&hit, TimeMs(30)),
            listed(&other, TimeMs(20)),
            removed("p-2", TimeMs(40)),
        ];
        let derived = vec![DerivedChange { table: PREDICTION_REVISIONS.to_owned(), upserts, removed: Vec::new() }];
        let mut store = MemoryStore::new();
        store.commit(&Commit { derived, ..commit_of(1, Rows::default()) }).await.unwrap();
        let known = async |at: i64| predictions_at(store.reader().as_ref(), TimeMs(at)).await.unwrap();
        assert!(known(9).await.is_empty());
        assert_eq!(known(19).await, [open]);
        assert_eq!(known(29).await, [miss.clone(), other.clone()]);
        assert_eq!(known(39).await, [hit.clone(), other]);
        assert_eq!(known(i64::MAX).await, std::slice::from_ref(&hit));

        // what is stored and was not said last: another outcome, and one that was never said
        let third = prediction_of("p-3", "open");
        for (number, stored, expected) in [(2, &hit, vec![&third]), (3, &miss, vec![&miss, &third])] {
            let upserts = vec![stored.clone(), third.clone()];
            let derived = vec![DerivedChange { table: PREDICTIONS.to_owned(), upserts, removed: Vec::new() }];
            store.commit(&Commit { derived, ..commit_of(number, Rows::default()) }).await.unwrap();
            assert!(unsaid(store.reader().as_ref()).await.unwrap().iter().eq(expected));
        }
    }
}
