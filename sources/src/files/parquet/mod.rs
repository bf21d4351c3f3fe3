//! Parquet: read row group by row group through the arrow reader, columns by name, common types accepted.

use super::chunk::{CHUNK_ROWS_MAX, Collector};
use super::column::Column;
use super::decode::metadata_from_text;
use super::position::FilePosition;
use super::record::{Cell, Field, Record};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use arrow::array::RecordBatch;
use model::check::Fault;
use model::reject::RejectReason;
use std::collections::BTreeMap;
use std::fs::File;

pub(crate) struct ParquetReader {
    batches: ParquetRecordBatchReader,
    rows_in_all: u64,
    position: FilePosition,
}

impl ParquetReader {
    /// Opens the file at `from`; row groups that lie before it are not read. `require` says what is missing from a set
    /// of columns, if anything. The error says what is wrong with the file as a whole.
    pub(crate) fn open(
        file: File,
        from: FilePosition,
        require: impl Fn(&dyn Fn(Field) -> bool) -> Result<(), String>,
    ) -> Result<ParquetReader, String> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|cause| cause.to_string())?;
        let schema = builder.schema().clone();
        require(&|field| schema.column_with_name(field.name()).is_some())?;
        for field in Field::ALL {
            if let Some((_, column)) = schema.column_with_name(field.name()) {
                Column::check_type(field, column.data_type())?;
            }
        }
        let wanted = schema.fields().iter().enumerate().filter(|(_, column)| is_known(column.name()));
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.map(|(index, _)| index));
        let rows_in_all = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
        let skip = usize::try_from(from.rows).map_err(|_| "more rows than this machine can count".to_owned())?;
        let batches = builder
            .with_projection(mask)
            .with_batch_size(CHUNK_ROWS_MAX)
            .with_offset(skip)
            .build()
            .map_err(|cause| cause.to_string())?;
        Ok(ParquetReader { batches, rows_in_all, position: from })
    }

    /// Reads the next batch of rows; returns where it stands.
    pub(crate) fn fill(&mut self, out: &mut Collector) -> Result<FilePosition, String> {
        let length = self.position.file.len_bytes;
        let Some(batch) = self.batches.next() else {
            if self.position.rows < self.rows_in_all {
                return Err(format!("ends after {} of {} rows", self.position.rows, self.rows_in_all));
            }
            self.position.bytes = length;
            return Ok(self.position);
        };
        let batch = batch.map_err(|cause| cause.to_string())?;
        let columns = Columns::of(&batch)?;
        for row in 0..batch.num_rows() {
            let number = self.position.rows + row as u64 + 1;
            let record = ParquetRecord { columns: &columns, row };
            out.take(&record, || format!(" row {number}"), || record.shown());
        }
        self.position.rows += batch.num_rows() as u64;
        self.position.lines = self.position.rows;
        // the share of rows done stands for the share of bytes; the whole length is kept for the very end
        let share = u128::from(length) * u128::from(self.position.rows) / u128::from(self.rows_in_all.max(1));
        let is_last = self.position.rows >= self.rows_in_all;
        self.position.bytes = if is_last { length } else { (share as u64).min(length.saturating_sub(1)) };
        Ok(self.position)
    }
}

fn is_known(name: &str) -> bool {
    Field::ALL.iter().any(|field| field.name() == name)
}

/// The known columns of one batch.
struct Columns([Option<Column>; Field::ALL.len()]);

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Columns, String> {
        let mut columns = [const { None }; Field::ALL.len()];
        for field in Field::ALL {
            if let Some(array) = batch.column_by_name(field.name()) {
                columns[field as usize] = Some(Column::new(field, array)?);
            }
        }
        Ok(Columns(columns))
    }
}

struct ParquetRecord<'a> {
    columns: &'a Columns,
    row: usize,
}

impl ParquetRecord<'_> {
    /// The row as text, for a reject.
    fn shown(&self) -> String {
        let mut parts = Vec::new();
        for field in Field::ALL {
            match self.cell(field) {
                Cell::Missing => {}
                Cell::Int(number) => parts.push(format!("{}={number}", field.name())),
                Cell::Float(number) => parts.push(format!("{}={number}", field.name())),
                Cell::Text(text) => parts.push(format!("{}={text:?}", field.name())),
                Cell::Bool(yes) => parts.push(format!("{}={yes}", field.name())),
                Cell::Unusable(what) => parts.push(format!("{}=({what})", field.name())),
            }
        }
        parts.join(" ")
    }
}

impl Record for ParquetRecord<'_> {
    fn cell(&self, field: Field) -> Cell<'_> {
        self.columns.0[field as usize].as_ref().map_or(Cell::Missing, |column| column.cell(self.row))
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, Fault> {
        match &self.columns.0[Field::Metadata as usize] {
            None => Ok(BTreeMap::new()),
            Some(Column::Nested(array)) => {
                super::column::nested_metadata(array, self.row).map_err(|problem| (RejectReason::BadValue, problem))
            }
            Some(column) => match column.cell(self.row) {
                Cell::Text(json) => metadata_from_text(json),
                _ => Ok(BTreeMap::new()),
            },
        }
    }
}
