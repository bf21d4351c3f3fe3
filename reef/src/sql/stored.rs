//! Stored: the tables of the store as tables of a statement.

use super::filters::condition;
use super::reads::Counted;
use super::source::{RowSource, Rows, SourceExec};
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use sinks::StoreReader;
use sinks::scan::Scan;
use sinks::schema::Table;
use std::fmt;
use std::sync::Arc;

/// A table of the store.
pub(super) struct StoredTable {
    table: &'static Table,
    schema: SchemaRef,
    reader: Arc<dyn StoreReader>,
    counted: Counted,
}

impl StoredTable {
    pub(super) fn new(table: &'static Table, reader: Arc<dyn StoreReader>, counted: Counted) -> StoredTable {
        StoredTable { table, schema: table.scanned_schema(), reader, counted }
    }

    pub(super) fn table(&self) -> &'static Table {
        self.table
    }

    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// The rows of a scan of it; `shown` are its conditions for people.
    pub(super) fn rows(&self, scan: Scan, shown: String) -> StoredRows {
        StoredRows { scan, shown, kept: None, reader: Arc::clone(&self.reader) }
    }
}

impl fmt::Debug for StoredTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTable").field("table", &self.table.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for StoredTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match condition(filter, self.table) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.table.columns.len()).collect());
        let exact = |filter: &Expr| {
            let unclaimed = || DataFusionError::Internal(format!("{filter} was never said to be exact"));
            condition(filter, self.table).ok_or_else(unclaimed)
        };
        let conditions = filters.iter().map(exact).collect::<Result<Vec<_>>>()?;
        let scan = Scan {
            table: self.table,
            columns,
            conditions,
            aggregates: Vec::new(),
            limit: limit.map(|limit| limit as u64),
        };
        let schema = scan.schema();
        let source = self.rows(scan, shown(filters));
        Ok(Arc::new(SourceExec::new(Arc::new(source), schema, self.counted.clone())))
    }
}

/// Conditions for people.
pub(super) fn shown(filters: &[Expr]) -> String {
    filters.iter().map(|filter| filter.human_display().to_string()).collect::<Vec<_>>().join(" AND ")
}

/// The rows of a scan.
#[derive(Clone)]
pub(super) struct StoredRows {
    scan: Scan,
    shown: String,
    /// Which columns of a batch are wanted, where not all are.
    kept: Option<Vec<usize>>,
    reader: Arc<dyn StoreReader>,
}

impl StoredRows {
    /// The same with these columns of its batches only.
    pub(super) fn keeping(self, columns: Vec<usize>) -> StoredRows {
        StoredRows { kept: Some(columns), ..self }
    }
}

impl fmt::Debug for StoredRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRows").field("scan", &self.scan).finish_non_exhaustive()
    }
}

#[async_trait]
impl RowSource for StoredRows {
    fn table(&self) -> String {
        self.scan.table.name.to_owned()
    }

    fn pushed(&self) -> String {
        let names: Vec<&str> = self.scan.columns.iter().map(|place| self.scan.table.columns[*place].0).collect();
        let mut text = match self.scan.aggregates.as_slice() {
            [] => format!("columns=[{}]", names.join(", ")),
            aggregates => {
                let aggregates: Vec<String> = aggregates.iter().map(|it| it.shown(self.scan.table)).collect();
                format!("groups=[{}], aggregates=[{}]", names.join(", "), aggregates.join(", "))
            }
        };
        if !self.shown.is_empty() {
            text.push_str(&format!(", where=[{}]", self.shown));
        }
        if let Some(limit) = self.scan.limit {
            text.push_str(&format!(", limit={limit}"));
        }
        text
    }

    async fn send(&self, rows: &Rows) -> Result<()> {
        let external = |error| DataFusionError::External(Box::new(error));
        let left = rows.counted().time_left();
        let mut scanned = self.reader.scan_within(self.scan.clone(), left).await.map_err(external)?;
        while let Some(batch) = scanned.next().await {
            let mut batch = batch.map_err(external)?;
            if let Some(columns) = &self.kept {
                batch = batch.project(columns)?;
            }
            if !rows.batch(batch).await {
                break;
            }
        }
        Ok(())
    }
}
