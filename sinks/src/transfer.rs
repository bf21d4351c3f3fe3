//! Whole tables in and out of a store, for a reef that moves from one store to another.
//!
//! A page of a table is a record batch with the same column names and types in every store: times are milliseconds,
//! numbers keep their width, texts are texts. So two stores can be compared row for row without knowing each other.

use crate::SinkError;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, UInt32Type, UInt64Type};
use async_trait::async_trait;
use model::position::Positions;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

use Kind::{I32, I64, Real, Text, Texts, Time, Truth, U32, U64};

/// What a column holds, whatever the store calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A list of texts.
    Texts,
    /// Milliseconds since 1970 UTC.
    Time,
    /// A float.
    Real,
    /// A whole number.
    I32,
    /// A whole number.
    I64,
    /// A count.
    U32,
    /// A count.
    U64,
    /// Yes or no.
    Truth,
}

impl Kind {
    /// How a page holds it.
    pub fn data_type(self) -> DataType {
        match self {
            Text => DataType::Utf8,
            Texts => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            Time | I64 => DataType::Int64,
            Real => DataType::Float64,
            I32 => DataType::Int32,
            U32 => DataType::UInt32,
            U64 => DataType::UInt64,
            Truth => DataType::Boolean,
        }
    }
}

/// A table as every store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// How many of the first columns are its identity. Pages are in their order. None of them is ever null.
    pub key: usize,
    /// All columns.
    pub columns: &'static [(&'static str, Kind)],
}

/// Every table that moves, in an order in which a reader of the target never sees a row before what it refers to.
#[rustfmt::skip]
pub const TABLES: &[Table] = &[
    Table { name: "federated_metrics", key: 7, columns: &[
        ("timestamp", Time), ("colony_id", Text), ("service_id", Text), ("metric_name", Text), ("interval_seconds", U32),
        ("application_name", Text), ("environment", Text), ("p50", Real), ("p95", Real), ("p99", Real), ("mean", Real),
        ("max_value", Real), ("sample_count", U64), ("version", U64), ("late", Truth),
    ] },
    Table { name: "federated_events", key: 3, columns: &[
        ("timestamp", Time), ("colony_id", Text), ("event_id", Text), ("application_name", Text), ("environment", Text),
        ("event_type", Text), ("service_id", Text), ("severity", Text), ("description", Text), ("metadata", Text),
        ("correlation_group", Text), ("correlation_score", Real), ("version", U64), ("late", Truth), ("withdrawn", Truth),
    ] },
    Table { name: "late_metric_copies", key: 7, columns: &[
        ("timestamp", Time), ("colony_id", Text), ("service_id", Text), ("metric_name", Text), ("interval_seconds", U32),
        ("application_name", Text), ("environment", Text), ("p50", Real), ("p95", Real), ("p99", Real), ("mean", Real),
        ("max_value", Real), ("sample_count", U64), ("version", U64), ("late", Truth),
    ] },
    Table { name: "late_event_copies", key: 3, columns: &[
        ("timestamp", Time), ("colony_id", Text), ("event_id", Text), ("application_name", Text), ("environment", Text),
        ("event_type", Text), ("service_id", Text), ("severity", Text), ("description", Text), ("metadata", Text),
        ("version", U64), ("late", Truth), ("withdrawn", Truth),
    ] },
    Table { name: "env_metric_summary", key: 4, columns: &[
        ("hour", Time), ("application_name", Text), ("environment", Text), ("metric_name", Text), ("mean_p95", Real),
        ("max_value", Real), ("total_samples", U64), ("points", U64),
    ] },
    Table { name: "correlation_evidence", key: 6, columns: &[
        ("correlation_id", Text), ("source_ref", Text), ("target_ref", Text), ("source_timestamp", Time),
        ("target_timestamp", Time), ("lag_ms", I64), ("weight", Real),
    ] },
    Table { name: "event_correlations", key: 4, columns: &[
        ("correlation_id", Text), ("colony_id", Text), ("event_id", Text), ("role", Text), ("score", Real),
    ] },
    Table { name: "correlations", key: 1, columns: &[
        ("correlation_id", Text), ("correlation_type", Text), ("source_colony_id", Text), ("source_service", Text),
        ("source_timestamp", Time), ("target_colony_id", Text), ("target_service", Text), ("target_timestamp", Time),
        ("correlation_score", Real), ("confidence", Real), ("lag_seconds", I32), ("pattern_description", Text),
        ("occurrence_count", U32), ("first_observed", Time), ("last_observed", Time), ("source_kind", Text),
        ("target_kind", Text), ("source_signal", Text), ("target_signal", Text), ("source_application", Text),
        ("source_environment", Text), ("target_application", Text), ("target_environment", Text), ("state", Text),
        ("coefficient", Real), ("e_value", Real), ("q_value", Real), ("lag_low_seconds", I32), ("lag_high_seconds", I32),
        ("sample_count", U64), ("explained_by", Text), ("reason", Text), ("chance_level", Real), ("effective_points", Real),
        ("judged_coefficient", Real), ("part_of", Text), ("open_count", U32), ("open_until", Time), ("revision", U64),
        ("updated_at", Time),
    ] },
    Table { name: "deployment_timeline", key: 2, columns: &[
        ("colony_id", Text), ("deployment_id", Text), ("application_name", Text), ("environment", Text),
        ("service_id", Text), ("from_version", Text), ("to_version", Text), ("started_at", Time), ("completed_at", Time),
        ("status", Text), ("impact_score", Real), ("issues_detected", Texts), ("related_events", Texts),
    ] },
    Table { name: "predictions", key: 1, columns: &[
        ("prediction_id", Text), ("correlation_id", Text), ("source_colony_id", Text), ("source_event_id", Text),
        ("target_colony_id", Text), ("target_service", Text), ("target_signal", Text), ("issued_at", Time),
        ("expected_from", Time), ("expected_to", Time), ("expires_at", Time), ("probability", Real), ("outcome", Text),
        ("matched_event_id", Text), ("resolved_at", Time),
    ] },
    Table { name: "service_nodes", key: 2, columns: &[
        ("colony_id", Text), ("service_id", Text), ("name", Text), ("version", Text), ("status", Text),
        ("first_seen_at", Time), ("last_seen_at", Time),
    ] },
    Table { name: "service_edges", key: 4, columns: &[
        ("colony_id", Text), ("from_service", Text), ("to_service", Text), ("protocol", Text), ("request_count", U64),
        ("first_seen_at", Time), ("last_seen_at", Time),
    ] },
    Table { name: "colony_status", key: 1, columns: &[
        ("colony_id", Text), ("application_name", Text), ("environment", Text), ("health", Text),
        ("total_services", U32), ("healthy_services", U32), ("degraded_services", U32), ("unhealthy_services", U32),
        ("agent_count", U32), ("last_success_at", Time), ("complete_to", Time), ("last_error", Text), ("updated_at", Time),
    ] },
    Table { name: "rejects", key: 2, columns: &[
        ("source", Text), ("place", Text), ("colony_id", Text), ("reason", Text), ("detail", Text), ("raw", Text),
        ("rejected_at", Time), ("part", Text),
    ] },
    Table { name: "rejects_omitted", key: 3, columns: &[
        ("source", Text), ("part", Text), ("reason", Text), ("omitted", U64), ("counted_to", Text), ("updated_at", Time),
    ] },
    Table { name: "source_positions", key: 2, columns: &[
        ("source", Text), ("part", Text), ("position", Text), ("updated_at", Time),
    ] },
];

/// The names of all tables: those whose rows are counted.
pub fn table_names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|table| table.name)
}

impl Table {
    /// The columns of its identity.
    pub fn key_columns(&self) -> &'static [(&'static str, Kind)] {
        &self.columns[..self.key]
    }

    /// What a column holds.
    pub(crate) fn kind(&self, column: &str) -> Kind {
        self.columns.iter().find(|(name, _)| *name == column).map_or(Text, |(_, kind)| *kind)
    }

    /// The columns of a page.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|(name, kind)| Field::new(*name, kind.data_type(), true)).collect();
        Arc::new(Schema::new(fields))
    }
}

/// Rows of one table, in an order of the store's choice that tells all rows apart.
#[derive(Clone, Debug)]
pub struct Page {
    table: &'static Table,
    pub(crate) rows: RecordBatch,
    /// The columns by which the page is ordered, and which its end is told by.
    order: Vec<usize>,
}

/// Where a page ends: what its last row is ordered by, as a JSON list; may be stored as text. Only the store that gave it
/// can use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Page {
    /// A page of `table`, its columns brought to the types that pages have.
    ///
    /// # Errors
    /// When a column is missing or cannot be brought to its type.
    pub(crate) fn new(table: &'static Table, rows: RecordBatch) -> Result<Page, arrow::error::ArrowError> {
        let schema = table.schema();
        let column = |field: &Arc<Field>| -> Result<ArrayRef, arrow::error::ArrowError> {
            let index = rows.schema().index_of(field.name())?;
            arrow::compute::cast(rows.column(index), field.data_type())
        };
        let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        Ok(Page { table, rows: RecordBatch::try_new(schema, columns)?, order: (0..table.key).collect() })
    }

    /// The same page, when the store pages this table in another order than that of its key.
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
        let key: Vec<Value> = self.order.iter().map(|column| self.value(*column, last)).collect();
        Some(Cursor(Value::Array(key).to_string()))
    }

    /// Count and checksum of the rows.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for row in 0..self.len() {
            let values: Vec<Value> = (0..self.table.columns.len()).map(|column| self.value(column, row)).collect();
            let digest = Sha256::digest(Value::Array(values).to_string().as_bytes());
            let mut first = [0; 8];
            first.copy_from_slice(&digest[..8]);
            tally.rows += 1;
            tally.checksum = tally.checksum.wrapping_add(u64::from_be_bytes(first));
        }
        tally
    }

    /// One value, as text that is the same whichever store it came from.
    fn value(&self, column: usize, row: usize) -> Value {
        let array = self.rows.column(column);
        if array.is_null(row) {
            return Value::Null;
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

/// A store whose tables can be moved.
#[async_trait]
pub trait Transfer: Send {
    /// Where it is, for people and to recognise it again.
    fn name(&self) -> &str;

    /// Rows of `table` beyond `after`, at most `limit`. An empty page is the end.
    async fn export(&mut self, table: &'static Table, after: Option<&Cursor>, limit: usize) -> Result<Page, SinkError>;

    /// Writes a page whose rows the store does not hold yet, and with it how far the copy `source` is. A page that is
    /// written again after a failure changes nothing.
    async fn import(&mut self, page: Page, source: &str, progress: Positions) -> Result<(), SinkError>;

    /// How far the copy `source` into this store has come, by table; nothing when there is none under way.
    async fn progress(&mut self, source: &str) -> Result<Positions, SinkError>;

    /// Forgets the progress of the copy `source`: it is complete.
    async fn forget_progress(&mut self, source: &str) -> Result<(), SinkError>;

    /// Writes what is held back and lets go of the store.
    async fn close(self: Box<Self>) -> Result<(), SinkError>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
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
