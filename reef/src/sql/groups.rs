//! Groups: counts, minima and maxima by columns, which a store computes itself where it evaluates all conditions.
//!
//! Sums are not among them: of floats they depend on the order of the rows, and stores differ in the type of the
//! others. Nor are groups by columns of many values: they would take memory of the store, which no limit of a statement
//! counts, and which in DuckDB the writer has.

use super::filters::condition;
use super::source::SourceExec;
use super::stored::{StoredRows, StoredTable, shown};
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::logical_plan::Aggregate as AggregatePlan;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, TableType, ident};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use sinks::scan::{Aggregate, Condition, Scan};
use sinks::schema::{Kind, Table};
use std::any::Any;
use std::sync::Arc;

/// Columns of few values, beside truths: a store keeps a group for each combination that its rows have.
#[rustfmt::skip]
const OF_FEW_VALUES: &[&str] = &[
    "colony_id", "application_name", "environment", "service_id", "metric_name", "interval_seconds", "event_type",
    "severity", "correlation_type", "source_kind", "target_kind", "source_colony_id", "target_colony_id",
    "source_service", "target_service", "source_application", "target_application", "source_environment",
    "target_environment", "from_service", "to_service", "protocol", "state", "old_state", "status", "health", "role",
    "kind", "verdict", "outcome", "significance", "explained_by", "source", "part",
];

/// Replaces groups over a table of the store by the groups of the store.
#[derive(Debug)]
pub(super) struct LeaveGroups;

impl OptimizerRule for LeaveGroups {
    fn name(&self) -> &str {
        "leave_groups_to_the_store"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        match left(aggregate)? {
            Some(groups) => Ok(Transformed::yes(groups)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

/// The same groups as a table of the store; `None` where the store does not compute them.
fn left(aggregate: &AggregatePlan) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::TableScan(TableScan { source, filters, fetch: None, .. }) = named_by(&aggregate.input) else {
        return Ok(None);
    };
    let Ok(provider) = source_as_provider(source) else { return Ok(None) };
    let Some(stored) = (provider.as_ref() as &dyn Any).downcast_ref::<StoredTable>() else { return Ok(None) };
    let table = stored.table();
    let columns: Option<Vec<usize>> = aggregate.group_expr.iter().map(|expr| key(expr, table)).collect();
    let aggregates: Option<Vec<Aggregate>> = aggregate.aggr_expr.iter().map(|expr| computed(expr, table)).collect();
    let conditions: Option<Vec<Condition>> = filters.iter().map(|filter| condition(filter, table)).collect();
    let (Some(columns), Some(mut aggregates), Some(conditions)) = (columns, aggregates, conditions) else {
        return Ok(None);
    };
    let wanted = columns.len() + aggregates.len();
    if aggregates.is_empty() {
        // each group once
        aggregates.push(Aggregate::Rows);
    }
    let scan = Scan { table, columns, conditions, aggregates, limit: None };
    let schema = scan.schema();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let groups = StoredGroups { schema, rows: stored.rows(scan, shown(filters)), counted: stored.counted().clone() };
    let renamed = aggregate.schema.iter().zip(names).take(wanted);
    let renamed = renamed.map(|((relation, field), name)| ident(name).alias_qualified(relation.cloned(), field.name()));
    let plan = LogicalPlanBuilder::scan(table.name, provider_as_source(Arc::new(groups)), None)?
        .project(renamed.collect::<Vec<_>>())?
        .build()?;
    Ok(Some(plan))
}

/// What names the columns of a plan, below aliases of the table and other orders of its columns.
fn named_by(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => named_by(&alias.input),
        LogicalPlan::Projection(order) if order.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) => {
            named_by(&order.input)
        }
        plan => plan,
    }
}

fn column(expr: &Expr, table: &Table) -> Option<usize> {
    let Expr::Column(column) = expr else { return None };
    let is_it = |(name, kind): &(&str, Kind)| *name == column.name && *kind != Kind::Texts;
    table.columns.iter().position(is_it)
}

/// A column by which a store makes groups.
fn key(expr: &Expr, table: &Table) -> Option<usize> {
    column(expr, table).filter(|place| {
        let (name, kind) = table.columns[*place];
        kind == Kind::Truth || OF_FEW_VALUES.contains(&name)
    })
}

/// What a store computes exactly as the engine does.
fn computed(expr: &Expr, table: &Table) -> Option<Aggregate> {
    let expr = if let Expr::Alias(alias) = expr { alias.expr.as_ref() } else { expr };
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return None };
    let AggregateFunctionParams { args, distinct: false, filter: None, order_by, null_treatment: None } = params else {
        return None;
    };
    let [argument] = args.as_slice() else { return None };
    if !order_by.is_empty() {
        return None;
    }
    match (func.name(), argument) {
        ("count", Expr::Literal(value, _)) if !value.is_null() => Some(Aggregate::Rows),
        ("count", argument) => column(argument, table).map(Aggregate::Present),
        ("min", argument) => column(argument, table).map(Aggregate::Least),
        ("max", argument) => column(argument, table).map(Aggregate::Greatest),
        _ => None,
    }
}

/// Groups that the store computes.
#[derive(Debug)]
struct StoredGroups {
    schema: SchemaRef,
    rows: StoredRows,
    counted: super::reads::Counted,
}

#[async_trait]
impl TableProvider for StoredGroups {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&kept)?);
        let rows = self.rows.clone().keeping(kept);
        Ok(Arc::new(SourceExec::new(Arc::new(rows), schema, self.counted.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::catalog::stored_tables;

    #[test]
    fn columns_of_few_values_are_columns_of_tables() {
        for name in OF_FEW_VALUES {
            let mut tables = stored_tables();
            assert!(tables.any(|table| table.columns.iter().any(|(column, _)| column == name)), "{name}");
        }
    }
}
