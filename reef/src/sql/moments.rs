//! Moments: times with more digits than the times of tables have. The engine would cut them off and compare with another time.

use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, Cast, InList, TryCast};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

/// Nanoseconds of a millisecond.
const MILLI_NANOS: i64 = 1_000_000;

/// The first text in a node of a plan that is compared with a time in milliseconds and is a finer one.
pub(super) fn finer(node: &LogicalPlan) -> Result<Option<String>> {
    let schema = merge_schema(&node.inputs());
    let mut found = None;
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            found = compared(part, &schema);
            Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

fn compared(expr: &Expr, schema: &DFSchema) -> Option<String> {
    let pairs: Vec<(&Expr, &Expr)> = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            vec![(&**left, &**right), (&**right, &**left)]
        }
        Expr::Between(Between { expr, low, high, .. }) => vec![(&**expr, &**low), (&**expr, &**high)],
        Expr::InList(InList { expr, list, .. }) => list.iter().map(|item| (&**expr, item)).collect(),
        _ => return None,
    };
    pairs.into_iter().filter(|(time, _)| is_in_millis(time, schema)).find_map(|(_, value)| finer_text(value))
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn is_in_millis(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Timestamp(TimeUnit::Millisecond, _)))
}

/// The text of a time that is no whole millisecond: written so, or with TIMESTAMP, CAST or to_timestamp.
fn finer_text(value: &Expr) -> Option<String> {
    match value {
        Expr::Literal(
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => {
            let nanos = string_to_timestamp_nanos(text).ok()?;
            (nanos % MILLI_NANOS != 0).then(|| text.clone())
        }
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            matches!(field.data_type(), DataType::Timestamp(..)).then(|| finer_text(expr))?
        }
        Expr::ScalarFunction(function) if function.name().starts_with("to_timestamp") => {
            finer_text(function.args.first()?)
        }
        _ => None,
    }
}
