//! JSON: rows as lists of values, and as lines of objects.

use super::cells;
use crate::sql::Table;
use serde_json::{Map, Value};

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

    /// Each row as an object on its line. Of several columns with one name the last counts.
    pub fn ndjson(&self) -> String {
        let names: Vec<&String> = self.schema.fields().iter().map(|field| field.name()).collect();
        let mut text = String::new();
        for row in self.json_rows() {
            let object: Map<String, Value> = names.iter().map(|name| (*name).clone()).zip(row).collect();
            text.push_str(&Value::Object(object).to_string());
            text.push('\n');
        }
        text
    }
}
