//! Derived outputs as every store writes them: checked against the table's description, each key once, as Arrow columns.

use crate::columns::{Columns, micros};
use crate::commit::Commit;
use crate::schema::{DerivedTable, Kind, Schema, Table};
use crate::transfer::{Cursor, Page};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListBuilder, StringArray, StringBuilder,
    TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use model::derived::Value;
use model::real::Real;
use model::time::TimeMs;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row, by the columns of its table.
pub(crate) type Row = Vec<Value>;

/// What a commit changes in one table: by key, the new row, or none where it is removed.
pub(crate) struct Changes {
    pub(crate) table: &'static DerivedTable,
    pub(crate) rows: BTreeMap<Row, Option<Row>>,
}

/// A change that does not fit its table: a bug of the operator that made it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrongChange {
    #[error("there is no derived table {table}: add its description to sinks/src/schema.rs")]
    UnknownTable { table: String },
    #[error("a row of {table} has {found} values instead of {expected}")]
    Length { table: &'static str, found: usize, expected: usize },
    #[error("{table}.{column} cannot hold {value:?}")]
    Value { table: &'static str, column: &'static str, value: Value },
}

impl Changes {
    pub(crate) fn upserts(&self) -> Vec<&Row> {
        self.rows.values().flatten().collect()
    }

    pub(crate) fn removed(&self) -> Vec<&Row> {
        self.rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| key).collect()
    }
}

/// The changes of a commit by table, each key once: of several changes of a row the last one counts, and a row that is
/// both written and removed by one change is written.
pub(crate) fn changes(commit: &Commit, schema: Schema) -> Result<Vec<Changes>, WrongChange> {
    let mut changes: Vec<Changes> = Vec::new();
    for change in &commit.derived {
        let Some(table) = schema.derived.iter().find(|table| table.table.name == change.table) else {
            return Err(WrongChange::UnknownTable { table: change.table.clone() });
        };
        let place = changes.iter().position(|known| known.table.table.name == table.table.name);
        let place = place.unwrap_or_else(|| {
            changes.push(Changes { table, rows: BTreeMap::new() });
            changes.len() - 1
        });
        for key in &change.removed {
            check(table, key, table.table.key)?;
            changes[place].rows.insert(key.clone(), None);
        }
        for row in &change.upserts {
            check(table, row, table.table.columns.len())?;
            changes[place].rows.insert(row[..table.table.key].to_vec(), Some(row.clone()));
        }
    }
    Ok(changes)
}

fn check(table: &'static DerivedTable, values: &Row, expected: usize) -> Result<(), WrongChange> {
    if values.len() != expected {
        return Err(WrongChange::Length { table: table.table.name, found: values.len(), expected });
    }
    for ((column, kind), value) in table.table.columns.iter().zip(values) {
        let fits = match (kind, value) {
            (kind, Value::Null) => *kind != Kind::Texts && !table.is_required(column),
            (Kind::Text, Value::Text(_)) | (Kind::Texts, Value::Texts(_)) => true,
            (Kind::Time, Value::Time(_)) | (Kind::Truth, Value::Truth(_)) => true,
            (Kind::Real, Value::Real(real)) => real.0.is_finite(),
            (Kind::I64, Value::Whole(_)) | (Kind::U64, Value::Count(_)) => true,
            (Kind::I32, Value::Whole(number)) => i32::try_from(*number).is_ok(),
            (Kind::U32, Value::Count(number)) => u32::try_from(*number).is_ok(),
            _ => false,
        };
        if !fits {
            return Err(WrongChange::Value { table: table.table.name, column, value: value.clone() });
        }
    }
    Ok(())
}

/// The columns of rows; of rows that hold fewer values, the first ones. Times as a store takes them.
pub(crate) fn columns(table: &'static Table, rows: &[&Row], count: usize) -> Columns {
    let time = |values: &[Option<i64>]| -> ArrayRef {
        let times = values.iter().map(|ms| ms.map(|ms| micros(TimeMs(ms))));
        Arc::new(times.collect::<TimestampMicrosecondArray>())
    };
    arrays(table, rows, count, time)
}

/// Rows as a page of their table.
pub(crate) fn page(table: &'static Table, rows: &[&Row]) -> Result<Page, ArrowError> {
    let time = |values: &[Option<i64>]| -> ArrayRef { Arc::new(values.iter().copied().collect::<Int64Array>()) };
    let columns = arrays(table, rows, table.columns.len(), time);
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    Page::new(table, RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn arrays(table: &'static Table, rows: &[&Row], count: usize, time: impl Fn(&[Option<i64>]) -> ArrayRef) -> Columns {
    let of_kind = |place: usize, kind: Kind| -> ArrayRef {
        let values = || rows.iter().map(move |row| &row[place]);
        let whole = || values().map(|value| if let Value::Whole(number) = value { Some(*number) } else { None });
        let counts = || values().map(|value| if let Value::Count(number) = value { Some(*number) } else { None });
        match kind {
            Kind::Text => {
                let texts = values().map(|value| if let Value::Text(text) = value { Some(text) } else { None });
                Arc::new(texts.collect::<StringArray>())
            }
            Kind::Texts => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for value in values() {
                    let texts: &[String] = if let Value::Texts(texts) = value { texts } else { &[] };
                    texts.iter().for_each(|text| lists.values().append_value(text));
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }
            Kind::Time => {
                let times = values().map(|value| if let Value::Time(time) = value { Some(time.0) } else { None });
                time(&times.collect::<Vec<_>>())
            }
            Kind::Real => {
                let real =
                    |value: &Value| if let Value::Real(real) = value { Some(Real::unsigned_zero(*real)) } else { None };
                Arc::new(values().map(real).collect::<Float64Array>())
            }
            // checked to fit
            Kind::I32 => Arc::new(whole().map(|it| it.map(|it| it as i32)).collect::<Int32Array>()),
            Kind::U32 => Arc::new(counts().map(|it| it.map(|it| it as u32)).collect::<UInt32Array>()),
            Kind::I64 => Arc::new(whole().collect::<Int64Array>()),
            Kind::U64 => Arc::new(counts().collect::<UInt64Array>()),
            Kind::Truth => {
                let truths = values().map(|value| if let Value::Truth(truth) = value { Some(*truth) } else { None });
                Arc::new(truths.collect::<BooleanArray>())
            }
        }
    };
    table.columns[..count].iter().enumerate().map(|(place, (name, kind))| (*name, of_kind(place, *kind))).collect()
}

/// The key at which a page of the reference store has ended.
pub(crate) fn key_of(table: &'static Table, cursor: &Cursor) -> Option<Row> {
    let values: Vec<serde_json::Value> = serde_json::from_str(&cursor.0).ok()?;
    let value = |(value, (_, kind)): (&serde_json::Value, &(&str, Kind))| match kind {
        Kind::Text => value.as_str().map(|text| Value::Text(text.to_owned())),
        Kind::Time => value.as_i64().map(|ms| Value::Time(TimeMs(ms))),
        Kind::I32 | Kind::I64 => value.as_i64().map(Value::Whole),
        Kind::U32 | Kind::U64 => value.as_u64().map(Value::Count),
        Kind::Real => value.as_f64().map(|real| Value::Real(Real(real))),
        Kind::Truth => value.as_bool().map(Value::Truth),
        Kind::Texts => None,
    };
    values.iter().zip(table.key_columns()).map(value).collect()
}
