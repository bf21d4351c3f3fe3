//! Metadata of a parquet file that is a map, a struct or a list: read through arrow, beside the other columns.

use crate::record::Notes;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

/// The nested column of one row group.
pub(super) struct Nested {
    root: usize,
    group: usize,
    skip: usize,
    rows_at_once: usize,
    batches: Option<ParquetRecordBatchReader>,
}

/// The nested values of some rows.
pub(super) struct Rows(ArrayRef);

impl Nested {
    pub(super) fn new(root: usize, group: usize, skip: usize, rows_at_once: usize) -> Nested {
        Nested { root, group, skip, rows_at_once, batches: None }
    }

    /// Reads the next `count` rows, the same number as of the other columns.
    pub(super) fn read(&mut self, count: usize, input: &Arc<File>) -> Result<Rows, String> {
        if self.batches.is_none() {
            self.batches = Some(self.open(input)?);
        }
        let Some(batch) = self.batches.as_mut().and_then(Iterator::next) else {
            return Err("it ends before the other columns".to_owned());
        };
        let batch = batch.map_err(|cause| cause.to_string())?;
        if batch.num_rows() != count || batch.num_columns() != 1 {
            return Err(format!("{} rows beside {count} of the other columns", batch.num_rows()));
        }
        Ok(Rows(batch.column(0).clone()))
    }

    fn open(&self, input: &Arc<File>) -> Result<ParquetRecordBatchReader, String> {
        let file = input.try_clone().map_err(|cause| cause.to_string())?;
        let metadata =
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|cause| cause.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let mask = ProjectionMask::roots(builder.parquet_schema(), [self.root]);
        builder
            .with_projection(mask)
            .with_row_groups(vec![self.group])
            .with_offset(self.skip)
            .with_batch_size(self.rows_at_once)
            .build()
            .map_err(|cause| cause.to_string())
    }
}

impl Rows {
    /// The metadata of a row: text unchanged, other values as arrow prints them, nulls omitted.
    pub(super) fn metadata(&self, row: usize, notes: &mut Notes) -> BTreeMap<String, String> {
        let array = &self.0;
        let mut metadata = BTreeMap::new();
        if array.is_null(row) {
            return metadata;
        }
        match array.data_type() {
            DataType::Struct(fields) => {
                for (field, values) in fields.iter().zip(array.as_struct().columns()) {
                    if let Some(value) = shown(values, row, notes) {
                        metadata.insert(field.name().clone(), value);
                    }
                }
            }
            DataType::Map(..) => {
                let entries = array.as_map().value(row);
                let (keys, values) = (entries.column(0), entries.column(1));
                for index in 0..entries.len() {
                    if let (Some(key), Some(value)) = (shown(keys, index, notes), shown(values, index, notes)) {
                        metadata.insert(key, value);
                    }
                }
            }
            _ => {
                notes.push("metadata is a list, not an object: stored unchanged under the key \"metadata\"".to_owned());
                metadata.extend(shown(array, row, notes).map(|value| ("metadata".to_owned(), value)));
            }
        }
        metadata
    }
}

fn shown(values: &ArrayRef, index: usize, notes: &mut Notes) -> Option<String> {
    if values.is_null(index) {
        return None;
    }
    // text without the annotation
    let bytes = match values.data_type() {
        DataType::Binary => Some(values.as_binary::<i32>().value(index)),
        DataType::LargeBinary => Some(values.as_binary::<i64>().value(index)),
        _ => None,
    };
    if let Some(bytes) = bytes {
        return Some(String::from_utf8_lossy(bytes).into_owned());
    }
    let options = FormatOptions::default();
    let text = ArrayFormatter::try_new(values, &options).and_then(|formatter| formatter.value(index).try_to_string());
    text.map_err(|cause| notes.push(format!("a metadata value cannot be shown and was omitted: {cause}"))).ok()
}
