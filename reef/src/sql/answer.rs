//! Answer: the rows of a statement, and what is to be known about them.

use super::catalog::stored_tables;
use super::error::{SqlError, not_written};
use super::reads::{Note, Read};
use crate::answers::Completeness;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;

/// Colonies whose stored rows are behind, named one by one.
const NAMED_MAX: usize = 20;

/// The answer to a statement.
#[derive(Clone, Debug)]
pub struct SqlAnswer {
    /// Its rows.
    pub table: Table,
    /// Whether more rows exist than the limit allowed.
    pub truncated: bool,
    /// What is to be known, in order.
    pub notes: Vec<Note>,
    /// What was read, by table.
    pub reads: Vec<Read>,
    /// What the store is complete to.
    pub completeness: Completeness,
}

/// Notes of the colonies that are not current, where their stored rows were read.
pub(super) fn behind(completeness: &Completeness, reads: &[Read]) -> Vec<Note> {
    if !reads.iter().any(|read| stored_tables().any(|table| table.name == read.table)) {
        return Vec::new();
    }
    let note = |message: String, colony_id: &str| Note {
        code: "colony_not_current".to_owned(),
        message,
        colony_id: colony_id.to_owned(),
    };
    let behind: Vec<_> = completeness.colonies.iter().filter(|colony| colony.state != "current").collect();
    let named = behind.iter().take(NAMED_MAX).map(|colony| {
        let (id, state, reason) = (&colony.colony_id, colony.state.replace('_', " "), &colony.reason);
        note(format!("the stored rows of colony {id} are not current: {state} ({reason})"), id)
    });
    let rest = behind.len().saturating_sub(NAMED_MAX);
    let further = (rest > 0).then(|| note(format!("the stored rows of {rest} further colonies are not current"), ""));
    named.chain(further).collect()
}

/// Rows with named columns.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
}

impl Table {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names and types of the columns.
    pub fn columns(&self) -> Vec<(String, String)> {
        self.schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
    }

    /// As a stream of Arrow's interprocess format.
    ///
    /// # Errors
    /// When a column has a type that the format does not have.
    pub fn to_arrow(&self) -> Result<Vec<u8>, SqlError> {
        let mut writer = StreamWriter::try_new(Vec::new(), &self.schema).map_err(not_written)?;
        for batch in &self.batches {
            writer.write(batch).map_err(not_written)?;
        }
        writer.finish().map_err(not_written)?;
        writer.into_inner().map_err(not_written)
    }

    /// The rows of such a stream.
    ///
    /// # Errors
    /// When it is none.
    pub fn of_arrow(bytes: &[u8]) -> Result<Table, SqlError> {
        let reader = StreamReader::try_new(bytes, None).map_err(not_written)?;
        let schema = reader.schema();
        Ok(Table { schema, batches: reader.collect::<Result<Vec<_>, _>>().map_err(not_written)? })
    }
}
