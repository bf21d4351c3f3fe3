//! Bounds: how much joins, unnestings, windows, expressions and values of subqueries may make of rows.
//!
//! The engine counts the memory of what sorts, joins and groups keep. It counts neither a batch that a join, an
//! unnesting or an expression makes, which may be thousands of times larger than the rows that it is made of, nor what a
//! window or a filter keeps. A node below each of these looks at the rows on their way. It passes fewer of them at once,
//! or fails the statement before the memory is taken.

use super::computed::{Computed, expressions};
use super::limits::JOINED_BYTES_MAX;
use super::sizes::{self, FIXED_BYTES, is_fixed};
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio_stream::Stream;

/// Rows of a batch that the engine makes.
pub(super) const BATCH_ROWS: usize = 2_048;
/// Most bytes that an unnesting makes of a batch.
const UNNESTED_BYTES_MAX: usize = 64 << 20;
/// Most bytes that the expressions of a node make at once.
const COMPUTED_BYTES_MAX: usize = 64 << 20;
/// What a batch takes beside its values while it is kept.
const BATCH_BYTES: usize = 256;
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
                name if name.contains("Join") => {
                    let bytes_max = joined_bytes_max(&node);
                    [true, false].map(|is_kept| Some(Bound::Joined { is_kept, bytes_max })).to_vec()
                }
                name if name.contains("Unnest") => vec![Some(unnested(&node))],
                name if name.contains("WindowAgg") => vec![Some(windowed(&node, &children))],
                // values for each row of the first one
                name if name.contains("ScalarSubquery") => {
                    let value = Bound::Joined { is_kept: false, bytes_max: JOINED_BYTES_MAX };
                    let values = std::iter::repeat_n(Some(value), children.len().saturating_sub(1));
                    std::iter::once(None).chain(values).collect()
                }
                "FilterExec" => vec![filtered(&node, &children)],
                "ProjectionExec" | "SortExec" | "SortExec(TopK)" | "AggregateExec" => {
                    let computed = computed(&node, &children);
                    vec![(!computed.is_little()).then_some(Bound::Computed(computed))]
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
    Bound::Windowed { fixed: fixed.len(), varying: varying.len(), keys: computed(node, children) }
}

/// What a node makes of each row of its input.
fn computed(node: &Arc<dyn ExecutionPlan>, children: &[Arc<dyn ExecutionPlan>]) -> Computed {
    children.first().map_or(Computed::default(), |input| Computed::of(&expressions(node), &input.schema()))
}

/// A filter keeps rows until they make a batch.
fn filtered(node: &Arc<dyn ExecutionPlan>, children: &[Arc<dyn ExecutionPlan>]) -> Option<Bound> {
    let computed = computed(node, children);
    let is_needed = !computed.is_little() || children.iter().any(|input| has_texts(&input.schema()));
    is_needed.then_some(Bound::Filtered(computed))
}

/// Longest row of a join, whose condition makes something of each.
fn joined_bytes_max(node: &Arc<dyn ExecutionPlan>) -> usize {
    let of_hashes = node.downcast_ref::<HashJoinExec>().and_then(HashJoinExec::filter);
    let of_loops = || node.downcast_ref::<NestedLoopJoinExec>().and_then(NestedLoopJoinExec::filter);
    let made = |filter: &JoinFilter| Computed::of(&[Arc::clone(filter.expression())], filter.schema());
    let made = of_hashes.or_else(of_loops).map_or(Computed::default(), made);
    JOINED_BYTES_MAX.saturating_sub(made.bytes) / made.rows.saturating_add(1)
}

/// An unnesting repeats each row for the items of its lists.
fn unnested(node: &Arc<dyn ExecutionPlan>) -> Bound {
    let lists = node.downcast_ref::<UnnestExec>().map(UnnestExec::list_column_indices).unwrap_or_default();
    Bound::Unnested(lists.iter().map(|list| list.index_in_input_schema).collect())
}

fn has_texts(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| !is_fixed(field.data_type()))
}

/// What is counted of the rows that pass.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bound {
    /// Each is repeated by a join, which may keep all of them.
    Joined { is_kept: bool, bytes_max: usize },
    /// Each is repeated for the items of its lists, which are at these places.
    Unnested(Vec<usize>),
    /// All are kept by a window, which adds values to each and computes the keys of each.
    Windowed { fixed: usize, varying: usize, keys: Computed },
    /// Something is made of each.
    Computed(Computed),
    /// Something is made of each by a filter, which keeps as many as a batch has.
    Filtered(Computed),
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
        let count = Count::new(self.bound.clone(), kept);
        let input = self.input.execute(partition, context)?;
        let schema = input.schema();
        let counted = RecordBatchStreamAdapter::new(schema, CountedRows { input, count, waiting: None });
        // a batch that passes in many parts gives way between them
        Ok(make_cooperative(Box::pin(counted)))
    }
}

/// Rows on their way.
struct CountedRows {
    input: SendableRecordBatchStream,
    count: Count,
    /// A batch of which so many rows have passed, and how many of them pass at once.
    waiting: Option<(RecordBatch, usize, usize)>,
}

impl Stream for CountedRows {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (batch, passed, rows) = match self.waiting.take() {
            Some(waiting) => waiting,
            None => match ready!(self.input.as_mut().poll_next(context)) {
                Some(Ok(batch)) => match self.count.add(&batch) {
                    Ok(rows) => (batch, 0, rows),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
                ended => return Poll::Ready(ended),
            },
        };
        if batch.num_rows() <= rows {
            return Poll::Ready(Some(Ok(batch)));
        }
        let end = passed.saturating_add(rows).min(batch.num_rows());
        let part = part(&batch, passed, end);
        if end < batch.num_rows() {
            self.waiting = Some((batch, end, rows));
        }
        Poll::Ready(Some(part))
    }
}

/// A copy of some rows of a batch. What keeps a slice counts the whole of the columns that it shares, for each slice.
fn part(batch: &RecordBatch, from: usize, to: usize) -> Result<RecordBatch> {
    let places = UInt64Array::from_iter_values(from as u64..to as u64);
    let copied = |column: &ArrayRef| -> Result<ArrayRef> {
        let values = take(column, &places, None)?;
        Ok(match values.data_type() {
            // these still point into the texts of all
            DataType::Utf8View => Arc::new(values.as_string_view().gc()) as ArrayRef,
            DataType::BinaryView => Arc::new(values.as_binary_view().gc()) as ArrayRef,
            _ => values,
        })
    };
    let columns = batch.columns().iter().map(copied).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(to - from));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

/// What has passed.
struct Count {
    bound: Bound,
    kept: MemoryReservation,
    rows: usize,
    bytes: usize,
    longest: usize,
    batch: Longest,
}

/// The longest rows so far, at most as many as a batch has.
#[derive(Default)]
struct Longest {
    /// Bytes of each; the shortest of them is on top.
    rows: BinaryHeap<Reverse<usize>>,
    bytes: usize,
}

impl Longest {
    fn add(&mut self, bytes: usize) {
        if self.rows.len() >= BATCH_ROWS {
            match self.rows.peek_mut() {
                Some(mut shortest) if shortest.0 < bytes => {
                    self.bytes = self.bytes.saturating_sub(shortest.0);
                    *shortest = Reverse(bytes);
                }
                _ => return,
            }
        } else {
            self.rows.push(Reverse(bytes));
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Count {
    fn new(bound: Bound, kept: MemoryReservation) -> Count {
        Count { bound, kept, rows: 0, bytes: 0, longest: 0, batch: Longest::default() }
    }

    /// Counts a batch; how many of its rows may pass at once. An error when a limit is reached.
    fn add(&mut self, batch: &RecordBatch) -> Result<usize> {
        match &self.bound {
            Bound::Joined { is_kept, bytes_max } => {
                if longest(batch) > *bytes_max {
                    return too_much("a row is too long to be joined");
                }
                // batches without columns count too: a join keeps them one by one
                if *is_kept {
                    self.kept.try_grow(BATCH_BYTES)?;
                }
            }
            Bound::Unnested(lists) => {
                let repeated: Vec<usize> = (0..batch.num_columns()).filter(|place| !lists.contains(place)).collect();
                let lists = batch.project(lists)?;
                let rows = sizes::of_rows(&batch.project(&repeated)?).into_iter().zip(sizes::items_of_rows(&lists));
                let bytes = rows.map(|(bytes, items)| bytes.saturating_mul(items));
                let bytes = bytes.fold(sizes::of(&lists), usize::saturating_add);
                if bytes > UNNESTED_BYTES_MAX {
                    return too_much("lists have too many items");
                }
            }
            Bound::Windowed { fixed, varying, keys } => {
                let rows = sizes::of_rows(batch);
                self.rows = self.rows.saturating_add(rows.len());
                self.longest = rows.iter().copied().fold(self.longest, usize::max);
                self.bytes = rows.into_iter().fold(self.bytes.saturating_add(BATCH_BYTES), usize::saturating_add);
                // a value that is a text may be the longest one in every row
                let of_varying = varying.saturating_mul(self.longest.max(VARYING_BYTES_MIN));
                let of_fixed = fixed.saturating_mul(FIXED_BYTES);
                let of_row = of_varying.saturating_add(of_fixed).saturating_add(keys.of_row(self.longest));
                self.kept.try_resize(self.bytes.saturating_add(self.rows.saturating_mul(of_row)))?;
            }
            Bound::Computed(made) if made.rows == 0 => return rows_at_once(made.bytes),
            Bound::Computed(made) => return rows_at_once(made.of_row(longest(batch))),
            Bound::Filtered(made) => {
                let rows = sizes::of_rows(batch);
                let longest = rows.iter().copied().max().unwrap_or(0);
                rows.into_iter().for_each(|bytes| self.batch.add(bytes));
                // any of them may match, and no batch of others is longer
                self.kept.try_resize(self.batch.bytes)?;
                return rows_at_once(made.of_row(longest));
            }
        }
        Ok(batch.num_rows())
    }
}

fn too_much<T>(what: &str) -> Result<T> {
    Err(DataFusionError::ResourcesExhausted(what.to_owned()))
}

/// Bytes of the longest row.
fn longest(batch: &RecordBatch) -> usize {
    let schema = batch.schema_ref();
    if has_texts(schema) {
        return sizes::of_rows(batch).into_iter().max().unwrap_or(0);
    }
    schema.fields().iter().map(|field| FIXED_BYTES + field.data_type().primitive_width().unwrap_or(1)).sum()
}

/// How many rows may pass at once, where so many bytes are made of each.
fn rows_at_once(bytes_of_row: usize) -> Result<usize> {
    match COMPUTED_BYTES_MAX / bytes_of_row.max(1) {
        0 => too_much("too long texts are made of a row"),
        rows => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::arrow::array::{Int64Array, ListArray, StringArray, StringViewArray};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};

    fn count(bound: Bound, memory_bytes: usize) -> Count {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(memory_bytes));
        let kept = MemoryConsumer::new("test").register(&pool);
        Count::new(bound, kept)
    }

    fn joined(is_kept: bool) -> Bound {
        Bound::Joined { is_kept, bytes_max: JOINED_BYTES_MAX }
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
        for bound in [joined(true), joined(false)] {
            assert!(count(bound.clone(), 1 << 20).add(&texts("short", 2_000)).is_ok());
            assert!(count(bound, 1 << 20).add(&texts(&long, 1)).is_err());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(2));
        let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
        let mut kept = count(joined(true), 10 * BATCH_BYTES);
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
        let fixed = || Bound::Windowed { fixed: 1, varying: 0, keys: Computed::default() };
        let varying = || Bound::Windowed { fixed: 0, varying: 1, keys: Computed::default() };
        assert!(count(fixed(), 1 << 20).add(&numbers(20_000)).is_ok());
        assert!(count(fixed(), 1 << 20).add(&numbers(40_000)).is_err());
        // one long text may be the value of every row
        let mut window = count(varying(), 1 << 20);
        assert!(window.add(&texts("short", 1_000)).is_ok());
        assert!(window.add(&texts(&"x".repeat(2_000), 1)).is_err());
    }

    #[test]
    fn the_keys_of_a_window_are_counted() {
        let keys = Computed { rows: 3, bytes: 0 };
        let window = |keys| Bound::Windowed { fixed: 1, varying: 0, keys };
        assert!(count(window(Computed::default()), 1 << 20).add(&texts(&"x".repeat(1_000), 500)).is_ok());
        assert!(count(window(keys), 1 << 20).add(&texts(&"x".repeat(1_000), 500)).is_err());
    }

    #[test]
    fn expressions_get_few_rows_at_once_where_they_make_long_texts() {
        let (short, long) = (texts("short", 2_000), texts(&"x".repeat(10_000), 2_000));
        let made = Computed { rows: 10, bytes: 0 };
        assert!(count(Bound::Computed(made), 0).add(&short).unwrap() >= 2_000);
        let rows = count(Bound::Computed(made), 0).add(&long).unwrap();
        assert!((500..1_000).contains(&rows), "{rows} rows of 100 kB are within 64 MiB");
        assert!(count(Bound::Computed(Computed { rows: 10_000, bytes: 0 }), 0).add(&long).is_err());
        // constants are repeated whatever the rows are
        let constants = Bound::Computed(Computed { rows: 0, bytes: 1 << 20 });
        assert_eq!(count(constants, 0).add(&numbers(2_000)).unwrap(), 64);
    }

    #[test]
    fn a_filter_keeps_a_batch_of_the_longest_rows_at_most() {
        let filter = || Bound::Filtered(Computed::default());
        let mut short = count(filter(), 1 << 20);
        assert!((0..50).all(|_| short.add(&texts("short", 2_000)).is_ok()), "what has passed is not kept");
        assert!(count(filter(), 1 << 20).add(&texts(&"x".repeat(1_000), 2_000)).is_err());
        let mut long = count(filter(), 1 << 20);
        assert!(long.add(&texts(&"x".repeat(200_000), 1)).is_ok());
        assert!((0..50).all(|_| long.add(&texts("short", 2_000)).is_ok()), "one long row is kept once");
        assert!((0..5).any(|_| long.add(&texts(&"x".repeat(200_000), 1)).is_err()), "six of them are too much");
    }

    #[test]
    fn the_longest_rows_are_as_many_as_a_batch_has() {
        let mut longest = Longest::default();
        (0..2 * BATCH_ROWS).for_each(|bytes| longest.add(bytes));
        let expected: usize = (BATCH_ROWS..2 * BATCH_ROWS).sum();
        assert_eq!((longest.rows.len(), longest.bytes), (BATCH_ROWS, expected));
        (0..BATCH_ROWS).for_each(|bytes| longest.add(bytes));
        assert_eq!((longest.rows.len(), longest.bytes), (BATCH_ROWS, expected), "shorter ones change nothing");
    }

    #[tokio::test]
    async fn a_batch_passes_in_parts_that_are_the_whole() {
        let (batch, schema) = (numbers(150), numbers(1).schema());
        let batches: [Result<RecordBatch>; 2] = [Ok(batch), Ok(numbers(0))];
        let input = RecordBatchStreamAdapter::new(schema, tokio_stream::iter(batches));
        let made = Bound::Computed(Computed { rows: 0, bytes: 1 << 20 });
        let mut counted = CountedRows { input: Box::pin(input), count: count(made, 0), waiting: None };
        let mut parts = Vec::new();
        while let Some(part) = tokio_stream::StreamExt::next(&mut counted).await {
            parts.push(part.unwrap().num_rows());
        }
        assert_eq!(parts, [64, 64, 22, 0]);
    }

    #[test]
    fn a_part_owns_what_it_has() {
        let rows = 6_400;
        let text = |row: i64| format!("a text that is no part of its view, and that differs: {row}");
        let many = i64::try_from(rows).unwrap();
        let columns: [(&str, ArrayRef); 4] = [
            ("n", Arc::new((0..many).map(Some).collect::<Int64Array>())),
            ("t", Arc::new((0..many).map(|row| Some(text(row))).collect::<StringArray>())),
            ("v", Arc::new((0..many).map(|row| (row % 3 != 0).then(|| text(row))).collect::<StringViewArray>())),
            (
                "l",
                Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>((0..many).map(|row| Some([Some(row); 3])))),
            ),
        ];
        let whole = RecordBatch::try_from_iter(columns).unwrap();
        let parts: Vec<_> = (0..rows).step_by(640).map(|from| part(&whole, from, from + 640).unwrap()).collect();
        assert_eq!(concat_batches(&whole.schema(), &parts).unwrap(), whole);
        let bytes: usize = parts.iter().map(RecordBatch::get_array_memory_size).sum();
        assert!(bytes < 2 * whole.get_array_memory_size(), "{bytes}");
        let options = RecordBatchOptions::new().with_row_count(Some(9));
        let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
        assert_eq!(part(&bare, 4, 9).unwrap().num_rows(), 5, "rows without columns");
    }
}
