//! Whole tables as pages, for copying a reef from one store to another.
//!
//! A page of a table is a record batch with the same column names and types in every store: times are milliseconds,
//! numbers keep their width, texts are texts. So two stores can be compared row for row without knowing each other.

use crate::schema::Kind::{I32, I64, Real, Text, Texts, Time, Truth, U32, U64};
use crate::schema::Table;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use model::derived::Value;
use model::time::TimeMs;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Rows of one table, in a total order of the store's choice.
#[derive(Clone, Debug)]
pub struct Page {
    table: &'static Table,
    pub(crate) rows: RecordBatch,
    /// The columns of the page's order, which also define its end.
    order: Vec<usize>,
}

/// Where a page ends: what its last row is ordered by, as a JSON list; may be stored as text. Only the store that gave it
/// can use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Cursor {
    /// Before all rows of a derived table whose key begins with these texts, up to an empty one at the end of the key.
    ///
    /// ```
    /// use coral_sinks::transfer::Cursor;
    /// assert_eq!(Cursor::of_texts(&["shop", ""]).0, "[\"shop\",\"\"]");
    /// ```
    pub fn of_texts(key: &[&str]) -> Cursor {
        Cursor(Json::from(key).to_string())
    }
}

impl Page {
    /// A page of `table`, its columns converted to the types of pages.
    ///
    /// # Errors
    /// If a column is missing or cannot be converted to its type.
    pub(crate) fn new(table: &'static Table, rows: RecordBatch) -> Result<Page, arrow::error::ArrowError> {
        let schema = table.schema();
        let column = |field: &Arc<Field>| -> Result<ArrayRef, arrow::error::ArrowError> {
            let index = rows.schema().index_of(field.name())?;
            arrow::compute::cast(rows.column(index), field.data_type())
        };
        let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        Ok(Page { table, rows: RecordBatch::try_new(schema, columns)?, order: (0..table.key).collect() })
    }

    /// A page without rows.
    pub(crate) fn empty(table: &'static Table) -> Page {
        Page { table, rows: RecordBatch::new_empty(table.schema()), order: (0..table.key).collect() }
    }

    /// The same page, if the store pages this table in another order than that of its key.
    pub(crate) fn ordered_by(mut self, columns: &[&str]) -> Page {
        let place = |column: &&str| self.table.columns.iter().position(|(name, _)| name == column);
        self.order = columns.iter().filter_map(place).collect();
        self
    }

    /// Which table.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there is none, which is the end of a table.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the next page begins; `None` for an empty page.
    pub fn end(&self) -> Option<Cursor> {
        let last = self.len().checked_sub(1)?;
        let key: Vec<Json> = self.order.iter().map(|column| self.value(*column, last)).collect();
        Some(Cursor(Json::Array(key).to_string()))
    }

    /// The rows as values.
    pub fn rows(&self) -> Vec<Vec<Value>> {
        let row = |row| (0..self.table.columns.len()).map(|column| self.typed(column, row)).collect();
        (0..self.len()).map(row).collect()
    }

    fn typed(&self, column: usize, row: usize) -> Value {
        let array = self.rows.column(column);
        if array.is_null(row) {
            return Value::Null;
        }
        match self.table.columns[column].1 {
            Text => Value::Text(array.as_string::<i32>().value(row).to_owned()),
            Texts => {
                let items = array.as_list::<i32>().value(row);
                let texts = items.as_string::<i32>().iter().flatten();
                Value::Texts(texts.map(str::to_owned).collect())
            }
            Time => Value::Time(TimeMs(array.as_primitive::<Int64Type>().value(row))),
            I64 => Value::Whole(array.as_primitive::<Int64Type>().value(row)),
            Real => Value::Real(model::real::Real(array.as_primitive::<Float64Type>().value(row))),
            I32 => Value::Whole(array.as_primitive::<Int32Type>().value(row).into()),
            U32 => Value::Count(array.as_primitive::<UInt32Type>().value(row).into()),
            U64 => Value::Count(array.as_primitive::<UInt64Type>().value(row)),
            Truth => Value::Truth(array.as_boolean().value(row)),
        }
    }

    /// Count and checksum of the rows.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for row in 0..self.len() {
            let values: Vec<Json> = (0..self.table.columns.len()).map(|column| self.value(column, row)).collect();
            let digest = Sha256::digest(Json::Array(values).to_string().as_bytes());
            let mut first = [0; 8];
            first.copy_from_slice(&digest[..8]);
            tally.rows += 1;
            tally.checksum = tally.checksum.wrapping_add(u64::from_be_bytes(first));
        }
        tally
    }

    /// One value, as text that is the same for every store.
    fn value(&self, column: usize, row: usize) -> Json {
        let array = self.rows.column(column);
        if array.is_null(row) {
            return Json::Null;
        }
        match self.table.columns[column].1 {
            Text => json!(array.as_string::<i32>().value(row)),
            Texts => {
                let items = array.as_list::<i32>().value(row);
                json!(items.as_string::<i32>().iter().collect::<Vec<_>>())
            }
            Time | I64 => json!(array.as_primitive::<Int64Type>().value(row)),
            Real => json!(array.as_primitive::<Float64Type>().value(row)),
            I32 => json!(array.as_primitive::<Int32Type>().value(row)),
            U32 => json!(array.as_primitive::<UInt32Type>().value(row)),
            U64 => json!(array.as_primitive::<UInt64Type>().value(row)),
            Truth => json!(array.as_boolean().value(row)),
        }
    }
}

/// How many rows, and a checksum that does not depend on their order: the sum of the rows' digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Rows.
    pub rows: u64,
    /// Sum, modulo 2^64, of the first eight bytes of each row's SHA-256.
    pub checksum: u64,
}

impl Tally {
    /// Adds the rows of another page of the same table.
    pub fn add(&mut self, other: Tally) {
        self.rows += other.rows;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schema::TABLES;
    use arrow::array::{Int64Array, StringArray};

    fn positions(parts: &[&str]) -> Page {
        let rows = RecordBatch::try_from_iter([
            ("part", Arc::new(StringArray::from(parts.to_vec())) as ArrayRef),
            ("source", Arc::new(StringArray::from(vec!["s"; parts.len()]))),
            ("position", Arc::new(StringArray::from(vec!["1"; parts.len()]))),
            ("updated_at", Arc::new(Int64Array::from(vec![Some(7); parts.len()]))),
        ]);
        Page::new(TABLES.last().unwrap(), rows.unwrap()).unwrap()
    }

    #[test]
    fn a_tally_depends_on_the_rows_and_not_on_their_order() {
        let mut ab = positions(&["a"]).tally();
        ab.add(positions(&["b"]).tally());
        assert_eq!(ab, positions(&["b", "a"]).tally());
        assert_ne!(ab, positions(&["a", "c"]).tally());
        assert_eq!((ab.rows, positions(&[]).tally()), (2, Tally::default()));
    }

    #[test]
    fn a_page_ends_at_the_key_of_its_last_row() {
        assert_eq!(positions(&["a", "b\"c"]).end(), Some(Cursor(r#"["s","b\"c"]"#.to_owned())));
        assert_eq!(positions(&[]).end(), None);
    }
}
