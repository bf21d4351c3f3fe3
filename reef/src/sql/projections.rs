//! Projections: two that read the same, one above the other, are computed one after the other.
//!
//! DataFusion 54.1 drops the upper one: of `SELECT x + 1 AS x FROM (SELECT x + 1 AS x FROM …)` it would add 1 once, and
//! give a wrong result silently.

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The rule that drops it. Others may put two projections together until this one is applied.
const DROPS: &str = "optimize_projections";

/// The engine's rules, and ours right before that one.
pub(super) fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    let place = rules.iter().position(|rule| rule.name() == DROPS).unwrap_or(rules.len());
    rules.insert(place, Arc::new(TellApart));
    rules
}

/// Names the columns of the upper one twice: it then reads differently, and means the same.
#[derive(Debug)]
struct TellApart;

impl OptimizerRule for TellApart {
    fn name(&self) -> &str {
        "tell_projections_apart"
    }

    /// From below: of three that read the same, the middle one is changed and the upper one is not.
    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Projection(upper) if reads_like_its_input(&upper) => {
                let Projection { expr, input, schema, .. } = upper;
                let expr = expr.into_iter().map(named_twice).collect();
                let upper = Projection::try_new_with_schema(expr, input, schema)?;
                Ok(Transformed::yes(LogicalPlan::Projection(upper)))
            }
            plan => Ok(Transformed::no(plan)),
        }
    }
}

fn reads_like_its_input(upper: &Projection) -> bool {
    matches!(upper.input.as_ref(), LogicalPlan::Projection(lower) if lower.expr == upper.expr)
}

/// What has no name of its own gives the same value when it is computed again, and may be dropped.
fn named_twice(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => Expr::Alias(Alias { expr: Box::new(Expr::Alias(alias.clone())), ..alias }),
        other => other,
    }
}
