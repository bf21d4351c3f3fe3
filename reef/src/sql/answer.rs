//! Answer: the rows of a statement, and what is to be known about them.

use super::error::{SqlError, not_written};
use super::reads::{Note, Read};
use crate::answers::Completeness;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;

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
