//! JSON: rows as lists of values, and as lines of objects.

use super::cells;
use crate::sql::{SqlError, Table};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

impl Table {
    /// Each row as a list of values, in the order of the columns.
    pub fn json_rows(&self) -> Vec<Vec<Value>> {
        let mut rows = Vec::with_capacity(self.len());
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                rows.push(batch.columns().iter().map(|column| cells::json(column, row)).collect());
            }
        }
        rows
    }

    /// Each row as an object on its line.
    ///
    /// # Errors
    /// When several columns have one name: an object has one value for it.
    pub fn ndjson(&self) -> Result<String, SqlError> {
        let names: Vec<&String> = self.schema.fields().iter().map(|field| field.name()).collect();
        let mut seen = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(**name)) {
            let message =
                format!("several columns are named {name:?}, and a line of NDJSON has one value for each name");
            return Err(SqlError::refused(
                message,
                "give columns of one name aliases: SELECT a.id AS a_id, b.id AS b_id",
            ));
        }
        let mut text = String::new();
        for row in self.json_rows() {
            let object: Map<String, Value> = names.iter().map(|name| (*name).clone()).zip(row).collect();
            text.push_str(&Value::Object(object).to_string());
            text.push('\n');
        }
        Ok(text)
    }
}
