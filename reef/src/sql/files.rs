//! Files: `files('name.parquet')`, a Parquet file in a folder that the configuration allows.

use super::bounds::BATCH_ROWS;
use super::reads::Counted;
use super::source::{RowSource, Rows, SourceExec};
use crate::guarded::within;
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fmt::Display;
use std::fs::File;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The function's name.
pub(super) const FILES: &str = "files";

/// The function.
#[derive(Debug)]
pub(super) struct Files {
    folders: Arc<Vec<PathBuf>>,
    counted: Counted,
}

impl Files {
    pub(super) fn new(folders: Arc<Vec<PathBuf>>, counted: Counted) -> Files {
        Files { folders, counted }
    }

    /// The file of this name in one of the folders; links are followed and have to stay in it.
    fn find(&self, name: &str) -> Result<PathBuf> {
        let found = self.folders.iter().find_map(|folder| {
            let folder = folder.canonicalize().ok()?;
            let path = folder.join(name).canonicalize().ok()?;
            (path.starts_with(&folder) && path.is_file()).then_some(path)
        });
        let missing = || DataFusionError::Plan(format!("no folder of api.sql_files has a file {name:?}"));
        let path = found.ok_or_else(missing)?;
        match path.extension().is_some_and(|extension| extension == "parquet") {
            true => Ok(path),
            false => Err(DataFusionError::Plan(format!("{name:?} is no Parquet file: its name ends differently"))),
        }
    }
}

impl TableFunctionImpl for Files {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let name = match args.exprs() {
            [Expr::Literal(ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name)), _)] => name.clone(),
            _ => return Err(DataFusionError::Plan("files takes one name: files('name.parquet')".to_owned())),
        };
        let path = self.find(&name)?;
        let schema = opened(&path)?.schema().clone();
        Ok(Arc::new(FileTable { name, path, schema, counted: self.counted.clone() }))
    }
}

fn opened(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(unreadable)?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)
}

fn unreadable(error: impl Display) -> DataFusionError {
    DataFusionError::Execution(format!("the file is not readable: {error}"))
}

/// A file as a table.
#[derive(Debug)]
struct FileTable {
    name: String,
    path: PathBuf,
    schema: SchemaRef,
    counted: Counted,
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let source = FileRows { name: self.name.clone(), path: self.path.clone(), whole: self.schema(), columns };
        Ok(Arc::new(SourceExec::new(Arc::new(source), schema, self.counted.clone())))
    }
}

/// The rows of a file.
#[derive(Debug)]
struct FileRows {
    name: String,
    path: PathBuf,
    whole: SchemaRef,
    columns: Vec<usize>,
}

#[async_trait]
impl RowSource for FileRows {
    fn table(&self) -> String {
        format!("files('{}')", self.name)
    }

    fn pushed(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|place| self.whole.field(*place).name().as_str()).collect();
        format!("columns=[{}]", names.join(", "))
    }

    async fn send(&self, rows: &Rows) -> Result<()> {
        let (sender, mut batches) = mpsc::channel(2);
        let (path, columns) = (self.path.clone(), self.columns.clone());
        // ends when no more batches are wanted
        let reading = tokio::task::spawn_blocking(move || within(|| read(&path, &columns, &sender)));
        while let Some(batch) = batches.recv().await {
            if !rows.batch(batch).await {
                break;
            }
        }
        drop(batches);
        joined(reading).await
    }
}

/// How reading has ended. A panic of it is that of the statement.
async fn joined(reading: JoinHandle<Result<()>>) -> Result<()> {
    let error = match reading.await {
        Ok(ended) => return ended,
        Err(error) => error,
    };
    match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(error) => Err(unreadable(error)),
    }
}

fn read(path: &Path, columns: &[usize], sender: &mpsc::Sender<RecordBatch>) -> Result<()> {
    let builder = opened(path)?;
    let mut sorted = columns.to_vec();
    sorted.sort_unstable();
    let mask = ProjectionMask::roots(builder.parquet_schema(), sorted.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(unreadable)?;
    // a file gives columns in its own order
    let order: Vec<usize> = columns.iter().filter_map(|column| sorted.binary_search(column).ok()).collect();
    for batch in reader {
        let batch = batch.map_err(unreadable)?.project(&order)?;
        if sender.blocking_send(batch).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{JoinSet, spawn_blocking};

    #[tokio::test]
    async fn a_panic_of_the_reader_is_that_of_the_statement() {
        let panics = || -> Result<()> { panic!("planted") };
        let mut statements = JoinSet::new();
        statements.spawn(async move { joined(spawn_blocking(panics)).await });
        assert!(statements.join_next().await.is_some_and(|ended| ended.is_err_and(|error| error.is_panic())));
        assert!(joined(spawn_blocking(|| Err(unreadable("planted")))).await.is_err());
        assert!(joined(spawn_blocking(|| Ok(()))).await.is_ok());
    }
}
