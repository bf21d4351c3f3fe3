//! Parquet: read row group by row group, column by column, by its physical types; each cell is checked separately.
//!
//! | file | owns |
//! |---|---|
//! | `kinds` | what a column holds, by its physical and logical type, and which field it may be |
//! | `values` | the values of one column for a few rows, as cells |
//! | `nested` | metadata that is a map, a struct or a list |
//!
//! Any bytes that are UTF-8 count as text: older writers omit the annotation, and one bad value costs one row. The
//! number of rows read at once depends on their length, so that a chunk is bounded in bytes. A value shared by many
//! rows is stored once.

mod kinds;
mod nested;
mod values;

use super::chunk::{CHUNK_BYTES_MAX, Collector};
use super::input::Input;
use super::position::FilePosition;
use crate::guard::guarded;
use crate::record::Notes;
use crate::record::fields::{Cell, Field, Naming, Record, metadata_of_cell};
use ::parquet::basic::Compression;
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use kinds::Kind;
use model::reject::RAW_CHARS_MAX;
use nested::Nested;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use values::{ColumnReader, Values};

/// The most rows that are read at once.
const ROWS_AT_ONCE_MAX: u64 = 1_024;
/// The fewest.
const ROWS_AT_ONCE_MIN: u64 = 8;

/// The column of a field: the field, its number, and its type.
type Leaf = (Field, usize, Kind);

pub(crate) struct ParquetReader {
    input: Arc<File>,
    file: SerializedFileReader<File>,
    /// By field: the column and its type.
    leaves: Vec<Leaf>,
    /// The root column of nested metadata.
    nested_root: Option<usize>,
    /// The row group that is open, and its columns.
    group: usize,
    open: Option<Group>,
    rows: Rows,
    rows_in_all: u64,
    position: FilePosition,
}

/// A row group that is being read.
struct Group {
    columns: Vec<(Field, ColumnReader)>,
    nested: Option<Nested>,
    rows_left: u64,
    rows_at_once: u64,
}

/// Rows that were read and not all taken.
#[derive(Default)]
struct Rows {
    columns: [Option<Values>; Field::ALL.len()],
    nested: Option<nested::Rows>,
    count: usize,
    next: usize,
}

impl ParquetReader {
    /// Opens the file at `from`; row groups before it are not read. `require` returns what is missing from a set of
    /// columns, if anything. The error is one of the whole file.
    pub(crate) fn open(
        input: &Input,
        from: FilePosition,
        require: impl Fn(&dyn Fn(Field) -> bool) -> Result<(), String>,
    ) -> Result<ParquetReader, String> {
        let handle = input.file.try_clone().map_err(|cause| cause.to_string())?;
        let file = SerializedFileReader::new(handle).map_err(|cause| cause.to_string())?;
        let (leaves, nested_root) = columns_of(file.metadata())?;
        require(&|field| {
            leaves.iter().any(|(leaf, _, _)| *leaf == field) || nested_root.is_some() && field == Field::Metadata
        })?;
        check_codecs(file.metadata(), &leaves)?;
        let groups = file.metadata().row_groups();
        let rows_in_all = groups.iter().map(|group| u64::try_from(group.num_rows()).unwrap_or_default()).sum();
        let (mut group, mut before) = (0, 0);
        while let Some(rows) = groups.get(group).map(|group| u64::try_from(group.num_rows()).unwrap_or_default())
            && before + rows <= from.rows
        {
            before += rows;
            group += 1;
        }
        let skip = from.rows - before.min(from.rows);
        let (rows, open) = (Rows::default(), None);
        let input = input.file.clone();
        let mut reader =
            ParquetReader { input, file, leaves, nested_root, group, open, rows, rows_in_all, position: from };
        if skip > 0 {
            reader.open_group(skip)?;
        }
        Ok(reader)
    }

    /// Reads up to one chunk of rows; returns the position.
    pub(crate) fn fill(&mut self, out: &mut Collector) -> Result<FilePosition, String> {
        while !out.is_full() && self.position.rows < self.rows_in_all {
            if self.rows.next == self.rows.count {
                self.read_rows(out)?;
            }
            let record = ParquetRecord { rows: &self.rows, row: self.rows.next };
            let number = self.position.rows + 1;
            out.take(&record, || format!(" row {number}"), || record.shown());
            self.rows.next += 1;
            self.position.rows += 1;
        }
        self.position.lines = self.position.rows;
        // the share of rows approximates the share of bytes; the full length is reported at the end only
        let length = self.position.file.len_bytes;
        let share = u128::from(length) * u128::from(self.position.rows) / u128::from(self.rows_in_all.max(1));
        self.position.is_done = self.position.rows >= self.rows_in_all;
        self.position.bytes = if self.position.is_done { length } else { (share as u64).min(length.saturating_sub(1)) };
        Ok(self.position.clone())
    }

    /// Opens the row group at hand and moves over its first `skip` rows.
    fn open_group(&mut self, skip: u64) -> Result<(), String> {
        let group = self.file.get_row_group(self.group).map_err(|cause| cause.to_string())?;
        let metadata = group.metadata();
        let rows = u64::try_from(metadata.num_rows()).unwrap_or_default();
        let bytes: i64 = self.leaves.iter().map(|(_, leaf, _)| metadata.column(*leaf).uncompressed_size()).sum();
        let row_bytes = u64::try_from(bytes).unwrap_or_default() / rows.max(1) + 1;
        let rows_at_once = (CHUNK_BYTES_MAX as u64 / row_bytes).clamp(ROWS_AT_ONCE_MIN, ROWS_AT_ONCE_MAX);
        let mut columns = Vec::with_capacity(self.leaves.len());
        for (field, leaf, kind) in &self.leaves {
            let named = |cause| format!("column {} of row group {} cannot be read: {cause}", field.name(), self.group);
            let mut reader = group.get_column_reader(*leaf).map_err(named).map(|it| ColumnReader::new(it, *kind))?;
            reader.skip(skip as usize).map_err(named)?;
            columns.push((*field, reader));
        }
        let nested = self.nested_root.map(|root| Nested::new(root, self.group, skip as usize, rows_at_once as usize));
        self.open = Some(Group { columns, nested, rows_left: rows - skip.min(rows), rows_at_once });
        self.group += 1;
        Ok(())
    }

    /// Reads the next rows.
    fn read_rows(&mut self, out: &mut Collector) -> Result<(), String> {
        while self.open.as_ref().is_none_or(|group| group.rows_left == 0) {
            if self.group >= self.file.num_row_groups() {
                return Err(format!("ends after {} of {} rows", self.position.rows, self.rows_in_all));
            }
            self.open_group(0)?;
        }
        let Some(group) = &mut self.open else { return Ok(()) };
        let count = group.rows_at_once.min(group.rows_left) as usize;
        let mut rows = Rows { count, ..Rows::default() };
        for (field, column) in &mut group.columns {
            let first = self.position.rows + 1;
            let named = |cause| format!("column {} cannot be read from row {first} on: {cause}", field.name());
            rows.columns[*field as usize] = Some(column.read(count).map_err(named)?);
        }
        if let Some(nested) = &mut group.nested {
            // the arrow reader may panic on input that the other columns survive
            let read = guarded(|| nested.read(count, &self.input)).and_then(|read| read);
            match read {
                Ok(read) => rows.nested = Some(read),
                Err(problem) => {
                    out.note(&format!("metadata of the rest of a row group was omitted: {problem}"));
                    group.nested = None;
                }
            }
        }
        group.rows_left -= count as u64;
        self.rows = rows;
        Ok(())
    }
}

/// The columns that hold known fields, and the root column of metadata that is nested.
fn columns_of(metadata: &ParquetMetaData) -> Result<(Vec<Leaf>, Option<usize>), String> {
    let schema = metadata.file_metadata().schema_descr();
    let mut naming = Naming::default();
    let mut roots: BTreeMap<usize, Field> = BTreeMap::new();
    for (root, column) in schema.root_schema().get_fields().iter().enumerate() {
        if let Some(field) = naming.field(column.name()) {
            roots.retain(|_, known| *known != field);
            roots.insert(root, field);
        }
    }
    let (mut leaves, mut nested_root) = (Vec::new(), None);
    for leaf in 0..schema.num_columns() {
        let root = schema.get_column_root_idx(leaf);
        let Some(field) = roots.get(&root).copied() else { continue };
        let column = schema.column(leaf);
        if column.path().parts().len() == 1 && column.max_rep_level() == 0 {
            leaves.push((field, leaf, Kind::of(field, &column)?));
        } else if field == Field::Metadata {
            nested_root = Some(root);
        } else {
            return Err(format!("column {} is nested, which it cannot be", field.name()));
        }
    }
    Ok((leaves, nested_root))
}

/// A codec that is not built in is named before anything is read.
fn check_codecs(metadata: &ParquetMetaData, leaves: &[Leaf]) -> Result<(), String> {
    for group in metadata.row_groups() {
        for (field, leaf, _) in leaves {
            if group.column(*leaf).compression() == Compression::LZO {
                let name = field.name();
                return Err(format!(
                    "column {name} is compressed with LZO, which this program does not read: write it with zstd, snappy, gzip or lz4"
                ));
            }
        }
    }
    Ok(())
}

struct ParquetRecord<'a> {
    rows: &'a Rows,
    row: usize,
}

impl ParquetRecord<'_> {
    /// The row as text, for a reject.
    fn shown(&self) -> String {
        let short = |text: &str| -> String { text.chars().take(RAW_CHARS_MAX).collect() };
        let mut parts = Vec::new();
        for field in Field::ALL {
            match self.cell(field) {
                Cell::Missing => {}
                Cell::Int(number) => parts.push(format!("{}={number}", field.name())),
                Cell::Uint(number) => parts.push(format!("{}={number}", field.name())),
                Cell::Float(number) => parts.push(format!("{}={number}", field.name())),
                Cell::Text(text) => parts.push(format!("{}={:?}", field.name(), short(text))),
                Cell::Bool(yes) => parts.push(format!("{}={yes}", field.name())),
                Cell::Unusable(what) => parts.push(format!("{}=({what})", field.name())),
            }
        }
        parts.join(" ")
    }
}

impl Record for ParquetRecord<'_> {
    fn cell(&self, field: Field) -> Cell<'_> {
        self.rows.columns[field as usize].as_ref().map_or(Cell::Missing, |column| column.cell(self.row))
    }

    fn metadata(&self, notes: &mut Notes) -> BTreeMap<String, String> {
        match &self.rows.nested {
            Some(nested) => nested.metadata(self.row, notes),
            None => metadata_of_cell(self.cell(Field::Metadata), notes),
        }
    }
}
