//! Parquet: rows as a file, with the types that they have.

use crate::sql::Table;
use parquet::arrow::ArrowWriter;
use std::io::{self, Write};

impl Table {
    /// Writes the rows as a Parquet file.
    ///
    /// # Errors
    /// When a column has a type that Parquet does not have, or the file cannot be written.
    pub fn write_parquet(&self, to: impl Write + Send) -> io::Result<()> {
        let mut writer = ArrowWriter::try_new(to, self.schema.clone(), None).map_err(io::Error::other)?;
        for batch in &self.batches {
            writer.write(batch).map_err(io::Error::other)?;
        }
        writer.close().map_err(io::Error::other)?;
        Ok(())
    }
}
