//! Computed: how many bytes expressions make of a row, at most.
//!
//! An expression is evaluated for all rows of a batch at once, and a constant is repeated in each of them. The engine
//! counts none of it.

use super::limits::JOINED_BYTES_MAX;
use super::sizes::{FIXED_BYTES, is_fixed};
use datafusion::arrow::datatypes::Schema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, InListExpr, Literal};
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use std::sync::Arc;

/// The text of a number or a time, and what a value takes beside itself.
const VALUE_BYTES: usize = 64;
/// What is not counted: a few values of fixed size.
const FREE_BYTES_MAX: usize = 128;

/// What expressions make of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Computed {
    /// How often that is as long as the row.
    pub(super) rows: usize,
    /// Bytes beside: of constants, and of values of fixed size.
    pub(super) bytes: usize,
}

impl Computed {
    /// What expressions make, with all of their parts: these are kept until the whole has been computed.
    pub(super) fn of(expressions: &[Arc<dyn PhysicalExpr>], schema: &Schema) -> Computed {
        let mut sum = Computed::default();
        for expression in expressions {
            sum.add(expression, schema);
        }
        sum
    }

    /// Whether it is not worth counting.
    pub(super) fn is_little(self) -> bool {
        self.rows == 0 && self.bytes <= FREE_BYTES_MAX
    }

    /// Bytes, where the row has so many.
    pub(super) fn of_row(self, row_bytes: usize) -> usize {
        self.rows.saturating_mul(row_bytes).saturating_add(self.bytes)
    }

    fn plus(self, other: Computed) -> Computed {
        Computed { rows: self.rows.saturating_add(other.rows), bytes: self.bytes.saturating_add(other.bytes) }
    }

    /// Adds an expression; how long its value may be.
    fn add(&mut self, expression: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Computed {
        let is_fixed = expression.data_type(schema).is_ok_and(|data_type| is_fixed(&data_type));
        let fixed = Computed { rows: 0, bytes: FIXED_BYTES };
        if expression.is::<Column>() {
            // nothing is made of it
            return if is_fixed { fixed } else { Computed { rows: 1, bytes: 0 } };
        }
        let is_list = expression.is::<InListExpr>();
        let mut parts = Computed { rows: 0, bytes: VALUE_BYTES };
        for (place, part) in expression.children().into_iter().enumerate() {
            // a constant of IN is not repeated
            if !is_list || place == 0 || !part.is::<Literal>() {
                parts = parts.plus(self.add(part, schema));
            }
        }
        let value = match expression.downcast_ref::<Literal>() {
            _ if is_fixed => fixed,
            Some(constant) => Computed { rows: 0, bytes: constant.value().size() },
            None if expression.is::<ScalarSubqueryExpr>() => Computed { rows: 0, bytes: JOINED_BYTES_MAX },
            None => parts,
        };
        *self = self.plus(value);
        value
    }
}

/// The expressions that a node evaluates for batches of its input.
pub(super) fn expressions(node: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn PhysicalExpr>> {
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        return projection.expr().iter().map(|it| Arc::clone(&it.expr)).collect();
    }
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        return vec![Arc::clone(filter.predicate())];
    }
    if let Some(sort) = node.downcast_ref::<SortExec>() {
        return sort.expr().iter().map(|it| Arc::clone(&it.expr)).collect();
    }
    if let Some(groups) = node.downcast_ref::<AggregateExec>() {
        let mut expressions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        expressions.extend(groups.group_expr().expr().iter().map(|(key, _)| Arc::clone(key)));
        expressions.extend(groups.filter_expr().iter().flatten().map(Arc::clone));
        for aggregate in groups.aggr_expr() {
            expressions.extend(aggregate.expressions());
            expressions.extend(aggregate.order_bys().iter().map(|it| Arc::clone(&it.expr)));
        }
        return expressions;
    }
    let windows = match (node.downcast_ref::<WindowAggExec>(), node.downcast_ref::<BoundedWindowAggExec>()) {
        (Some(window), _) => window.window_expr(),
        (_, Some(window)) => window.window_expr(),
        _ => return Vec::new(),
    };
    let keys = |window: &Arc<dyn datafusion::physical_plan::WindowExpr>| {
        let order = window.order_by().iter().map(|it| Arc::clone(&it.expr));
        window.partition_by().iter().map(Arc::clone).chain(order).collect::<Vec<_>>()
    };
    windows.iter().flat_map(keys).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::physical_expr::expressions::{cast, col, in_list, lit};

    fn schema() -> Schema {
        Schema::new(vec![Field::new("t", DataType::Utf8, true), Field::new("n", DataType::Int64, true)])
    }

    fn column(name: &str) -> Arc<dyn PhysicalExpr> {
        col(name, &schema()).unwrap()
    }

    fn computed(expressions: &[Arc<dyn PhysicalExpr>]) -> Computed {
        Computed::of(expressions, &schema())
    }

    #[test]
    fn columns_are_shared_and_what_is_made_of_them_is_not() {
        assert_eq!(computed(&[column("t"), column("n")]), Computed::default());
        let large = cast(column("t"), &schema(), DataType::LargeUtf8).unwrap();
        assert_eq!(computed(&[Arc::clone(&large)]).rows, 1);
        let view = cast(Arc::clone(&large), &schema(), DataType::Utf8View).unwrap();
        assert_eq!(computed(&[view, large]).rows, 3, "with its parts");
        let number = cast(column("n"), &schema(), DataType::Utf8).unwrap();
        let number = computed(&[number]);
        assert!(number.rows == 0 && number.bytes < 100, "{number:?}");
        assert!(number.of_row(1 << 20) < 100 && number.is_little());
    }

    #[test]
    fn a_constant_is_repeated_except_in_a_list() {
        let long = "x".repeat(1_000);
        let constant = computed(&[lit(long.as_str())]);
        assert!(constant.rows == 0 && (1_000..1_200).contains(&constant.bytes), "{constant:?}");
        assert!(!constant.is_little());
        let list = in_list(column("t"), vec![lit(long.as_str()), lit("y")], &false, &schema()).unwrap();
        assert!(computed(&[list]).is_little());
    }
}
