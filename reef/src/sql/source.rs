//! Source: something that sends rows, as a leaf of a plan. `EXPLAIN` shows what is left to it.

use super::bounds::BATCH_ROWS;
use super::reads::Counted;
use crate::guarded::Guarded;
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Batches between a source and the plan above it.
const BATCHES_MAX: usize = 2;

/// Something that sends rows.
#[async_trait]
pub(super) trait RowSource: fmt::Debug + Send + Sync {
    /// The table, as a statement names it.
    fn table(&self) -> String;

    /// What is left to it.
    fn pushed(&self) -> String;

    /// Sends all rows, until that says that no more are wanted. What it starts ends when this is dropped.
    async fn send(&self, rows: &Rows) -> Result<()>;
}

/// Where rows are sent.
pub(super) struct Rows {
    to: mpsc::Sender<Result<RecordBatch>>,
    count: Arc<AtomicU64>,
    counted: Counted,
}

impl Rows {
    /// Sends a batch, in parts of usual size; `false` when no more are wanted.
    pub(super) async fn batch(&self, rows: RecordBatch) -> bool {
        self.count.fetch_add(rows.num_rows() as u64, Ordering::Relaxed);
        for first in (0..rows.num_rows()).step_by(BATCH_ROWS) {
            let part = rows.slice(first, BATCH_ROWS.min(rows.num_rows() - first));
            if self.to.send(Ok(part)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// What is to be known about the answer.
    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }
}

/// The leaf.
#[derive(Debug)]
pub(super) struct SourceExec {
    source: Arc<dyn RowSource>,
    properties: Arc<PlanProperties>,
    counted: Counted,
}

impl SourceExec {
    /// A leaf whose batches have these columns.
    pub(super) fn new(source: Arc<dyn RowSource>, schema: SchemaRef, counted: Counted) -> SourceExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        SourceExec { source, properties: Arc::new(properties), counted }
    }
}

impl DisplayAs for SourceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceExec: table={}, {}", self.source.table(), self.source.pushed())
    }
}

impl ExecutionPlan for SourceExec {
    fn name(&self) -> &str {
        "SourceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition > 0 {
            return Err(DataFusionError::Internal(format!("{} has one part", self.source.table())));
        }
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema(), BATCHES_MAX);
        let count = self.counted.begin(&self.source.table(), &self.source.pushed());
        let rows = Rows { to: builder.tx(), count, counted: self.counted.clone() };
        let source = Arc::clone(&self.source);
        builder.spawn(Guarded::new(async move { source.send(&rows).await }));
        Ok(builder.build())
    }
}
