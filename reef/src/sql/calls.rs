//! Calls: functions and operators that take memory by an argument, which nothing counts. With such an argument they are
//! refused.

use super::error::SqlError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

/// It reserves memory for as many centroids as its third argument says.
const PERCENTILE: &str = "approx_percentile_cont";
/// How many arguments it may have, with the column of WITHIN GROUP.
const PERCENTILE_ARGS_MAX: usize = 2;

/// Why a node of a plan is refused for one of its calls.
pub(super) fn refusal(node: &LogicalPlan) -> Result<Option<SqlError>> {
    let mut refused = None;
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            refused = refusal_of(part);
            Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(refused)
}

fn refusal_of(expr: &Expr) -> Option<SqlError> {
    let args = match expr {
        Expr::AggregateFunction(call) if call.func.name() == PERCENTILE => &call.params.args,
        Expr::WindowFunction(call) if call.fun.name() == PERCENTILE => &call.params.args,
        Expr::BinaryExpr(BinaryExpr { op, right, .. }) if is_regex(*op) => return pattern_refusal(right),
        Expr::SimilarTo(Like { pattern, .. }) => return pattern_refusal(pattern),
        _ => return None,
    };
    (args.len() > PERCENTILE_ARGS_MAX).then(|| {
        let message = format!("{PERCENTILE} takes a column and a share, and no number of centroids");
        SqlError::refused(message, "leave the number out, or use percentile_cont for an exact value")
    })
}

fn is_regex(op: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(op, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
}

/// Refuses a pattern of each row: all patterns of a batch are compiled and kept, each in up to 10 MiB.
fn pattern_refusal(pattern: &Expr) -> Option<SqlError> {
    // a parameter is looked at again once it has a value
    let is_one = matches!(pattern, Expr::Literal(..) | Expr::Placeholder(_));
    (!is_one).then(|| {
        let message = "the pattern of ~ and SIMILAR TO is a text of the statement, and not computed";
        SqlError::refused(message, "write the pattern as a text, or use LIKE")
    })
}
