//! Bounds: how much joins, unnestings, windows and values of subqueries may make of rows.
//!
//! The engine counts the memory of what sorts, joins and groups keep. It counts neither a batch that a join or an unnesting
//! makes, which may be thousands of times larger than the rows that it is made of, nor what a window keeps. A node below each
//! of these looks at the rows on their way and fails the statement before the memory is taken.

use super::sizes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::fmt;
use std::sync::Arc;
use tokio_stream::StreamExt;

/// Rows of a batch that the engine makes.
pub(super) const BATCH_ROWS: usize = 2_048;
/// Longest row that is joined, in bytes: a batch of a join has [`BATCH_ROWS`] of them.
const JOINED_BYTES_MAX: usize = 64 << 10;
/// Most bytes that an unnesting makes of a batch.
const UNNESTED_BYTES_MAX: usize = 64 << 20;
/// What a batch takes beside its values while it is kept.
const BATCH_BYTES: usize = 256;
/// What a window makes of each row for a value of fixed size.
const FIXED_BYTES: usize = 16;
/// The same for another value, at least: a short text may stand in the statement.
const VARYING_BYTES_MIN: usize = 128;

/// Puts a node that counts below each of them.
#[derive(Debug)]
pub(super) struct CountRows;

impl PhysicalOptimizerRule for CountRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let bounded = |node: Arc<dyn ExecutionPlan>| {
            let children: Vec<Arc<dyn ExecutionPlan>> = node.children().into_iter().map(Arc::clone).collect();
            let bounds: Vec<Option<Bound>> = match node.name() {
                // the first one is kept until all rows of the other have passed
                name if name.contains("Join") => vec![Some(Bound::Kept), Some(Bound::Passing)],
                name if name.contains("Unnest") => vec![Some(unnested(&node))],
                name if name.contains("WindowAgg") => vec![Some(windowed(&node, &children))],
                // values for each row of the first one
                name if name.contains("ScalarSubquery") => {
                    let values = std::iter::repeat_n(Some(Bound::Passing), children.len().saturating_sub(1));
                    std::iter::once(None).chain(values).collect()
                }
                _ => return Ok(Transformed::no(node)),
            };
            let counted = |(input, bound)| match bound {
                Some(bound) => Arc::new(CountedExec { input, bound }) as Arc<dyn ExecutionPlan>,
                None => input,
            };
            let children = children.into_iter().zip(bounds).map(counted).collect();
            Ok(Transformed::yes(node.with_new_children(children)?))
        };
        plan.transform_up(bounded).data()
    }

    fn name(&self) -> &str {
        "count_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A window adds its columns to those of its rows.
fn windowed(node: &Arc<dyn ExecutionPlan>, children: &[Arc<dyn ExecutionPlan>]) -> Bound {
    let known = children.first().map_or(0, |input| input.schema().fields().len());
    let schema = node.schema();
    let added = schema.fields().iter().skip(known);
    let (fixed, varying): (Vec<_>, Vec<_>) = added.partition(|field| is_fixed(field.data_type()));
    Bound::Windowed { fixed: fixed.len(), varying: varying.len() }
}

/// An unnesting repeats each row for the items of its lists.
fn unnested(node: &Arc<dyn ExecutionPlan>) -> Bound {
    let lists = node.downcast_ref::<UnnestExec>().map(UnnestExec::list_column_indices).unwrap_or_default();
    Bound::Unnested(lists.iter().map(|list| list.index_in_input_schema).collect())
}

/// Whether each value takes the same.
pub(super) fn is_fixed(data_type: &DataType) -> bool {
    data_type.primitive_width().is_some() || matches!(data_type, DataType::Boolean | DataType::Null)
}

/// What is counted of the rows that pass.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bound {
    /// Each is repeated by a join, which keeps all of them.
    Kept,
    /// Each is repeated by a join.
    Passing,
    /// Each is repeated for the items of its lists, which are at these places.
    Unnested(Vec<usize>),
    /// All are kept by a window, which adds values to each.
    Windowed { fixed: usize, varying: usize },
}

/// The node.
#[derive(Debug)]
struct CountedExec {
    input: Arc<dyn ExecutionPlan>,
    bound: Bound,
}

impl DisplayAs for CountedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountedExec")
    }
}

impl ExecutionPlan for CountedExec {
    fn name(&self) -> &str {
        "CountedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Arc::new(CountedExec { input, bound: self.bound.clone() })),
            None => Err(DataFusionError::Internal("a node that counts has an input".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let kept = MemoryConsumer::new("counted rows").register(context.memory_pool());
        let mut count = Count { bound: self.bound.clone(), kept, rows: 0, bytes: 0, longest: 0 };
        let input = self.input.execute(partition, context)?;
        let schema = input.schema();
        let counted = input.map(move |batch| -> Result<RecordBatch> {
            let batch = batch?;
            count.add(&batch)?;
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }
}

/// What has passed.
struct Count {
    bound: Bound,
    kept: MemoryReservation,
    rows: usize,
    bytes: usize,
    longest: usize,
}

impl Count {
    /// Counts a batch; an error when a limit is reached.
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let too_much = |what: &str| Err(DataFusionError::ResourcesExhausted(what.to_owned()));
        match &self.bound {
            Bound::Kept | Bound::Passing => {
                let has_texts = batch.schema_ref().fields().iter().any(|field| !is_fixed(field.data_type()));
                if has_texts && sizes::of_rows(batch).into_iter().any(|bytes| bytes > JOINED_BYTES_MAX) {
                    return too_much("a row is too long to be joined");
                }
                // batches without columns count too: a join keeps them one by one
                if self.bound == Bound::Kept { self.kept.try_grow(BATCH_BYTES) } else { Ok(()) }
            }
            Bound::Unnested(lists) => {
                let repeated: Vec<usize> = (0..batch.num_columns()).filter(|place| !lists.contains(place)).collect();
                let lists = batch.project(lists)?;
                let rows = sizes::of_rows(&batch.project(&repeated)?).into_iter().zip(sizes::items_of_rows(&lists));
                let bytes = rows.map(|(bytes, items)| bytes.saturating_mul(items));
                let bytes = bytes.fold(sizes::of(&lists), usize::saturating_add);
                if bytes > UNNESTED_BYTES_MAX { too_much("lists have too many items") } else { Ok(()) }
            }
            Bound::Windowed { fixed, varying } => {
                let rows = sizes::of_rows(batch);
                self.rows = self.rows.saturating_add(rows.len());
                self.longest = rows.iter().copied().fold(self.longest, usize::max);
                self.bytes = rows.into_iter().fold(self.bytes.saturating_add(BATCH_BYTES), usize::saturating_add);
                // a value that is a text may be the longest one in every row
                let of_varying = varying.saturating_mul(self.longest.max(VARYING_BYTES_MIN));
                let of_row = of_varying.saturating_add(fixed.saturating_mul(FIXED_BYTES));
                self.kept.try_resize(self.bytes.saturating_add(self.rows.saturating_mul(of_row)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatchOptions, StringArray};
    use datafusion::arrow::datatypes::{Int64Type, Schema};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};

    fn count(bound: Bound, memory_bytes: usize) -> Count {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(memory_bytes));
        let kept = MemoryConsumer::new("test").register(&pool);
        Count { bound, kept, rows: 0, bytes: 0, longest: 0 }
    }

    fn numbers(rows: usize) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![7; rows]));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn texts(text: &str, rows: usize) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringArray::from(vec![text; rows]));
        RecordBatch::try_from_iter([("t", column)]).unwrap()
    }

    #[test]
    fn rows_that_are_joined_are_short_and_batches_that_are_kept_are_few() {
        let long = "x".repeat(JOINED_BYTES_MAX + 1);
        for bound in [Bound::Kept, Bound::Passing] {
            assert!(count(bound.clone(), 1 << 20).add(&texts("short", 2_000)).is_ok());
            assert!(count(bound, 1 << 20).add(&texts(&long, 1)).is_err());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(2));
        let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
        let mut kept = count(Bound::Kept, 10 * BATCH_BYTES);
        assert!((0..10).all(|_| kept.add(&bare).is_ok()));
        assert!(kept.add(&bare).is_err());
    }

    #[test]
    fn lists_of_many_items_do_not_repeat_long_rows() {
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some((0..20_000).map(Some))]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(10_000)]));
        let alone = RecordBatch::try_from_iter([("l", Arc::clone(&list))]).unwrap();
        let beside = RecordBatch::try_from_iter([("t", text), ("l", list)]).unwrap();
        assert!(count(Bound::Unnested(vec![0]), 0).add(&alone).is_ok());
        assert!(count(Bound::Unnested(vec![1]), 0).add(&beside).is_err());
        assert!(count(Bound::Unnested(Vec::new()), 0).add(&beside).is_ok());
    }

    #[test]
    fn a_window_keeps_its_rows_and_adds_values_to_each() {
        let fixed = || Bound::Windowed { fixed: 1, varying: 0 };
        let varying = || Bound::Windowed { fixed: 0, varying: 1 };
        assert!(count(fixed(), 1 << 20).add(&numbers(20_000)).is_ok());
        assert!(count(fixed(), 1 << 20).add(&numbers(40_000)).is_err());
        // one long text may be the value of every row
        let mut window = count(varying(), 1 << 20);
        assert!(window.add(&texts("short", 1_000)).is_ok());
        assert!(window.add(&texts(&"x".repeat(2_000), 1)).is_err());
    }
}
