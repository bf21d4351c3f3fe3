//! Guard: a statement is one SELECT, or EXPLAIN of one; anything else is refused before it is planned, and again as a
//! plan.

use super::error::{SqlError, explained};
use super::growth::GROWING;
use super::limits::STATEMENT_BYTES_MAX;
use super::sizes::is_fixed;
use super::{calls, clauses, moments, shape};
use datafusion::common::TableReference;
use datafusion::common::config::Dialect;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as Planned;
use datafusion::execution::context::{SQLOptions, SessionState};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Window};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as AstStatement;

const ONLY: &str = "write one SELECT, or EXPLAIN of one; nothing can be changed from here";

/// Tables of the engine's own that say how it is set up.
const HIDDEN: (&str, &str) = ("information_schema", "df_settings");
/// Most nodes of a plan: more than the tables and parts of a statement make.
const NODES_MAX: usize = 5_000;
/// Functions whose value grows with each row: a window would keep one for each.
const GATHERING: [&str; 2] = ["array_agg", "string_agg"];
/// Longest text that a window may repeat, in bytes, where it stands in the statement.
const WINDOW_TEXT_BYTES_MAX: usize = 64;

/// The plan of a statement that only reads.
pub(super) async fn planned(state: &SessionState, sql: &str) -> Result<LogicalPlan, SqlError> {
    if sql.trim().is_empty() {
        return Err(SqlError::refused("there is no statement", ONLY));
    }
    if sql.len() > STATEMENT_BYTES_MAX {
        let message = format!("the statement has {} bytes, more than {STATEMENT_BYTES_MAX}", sql.len());
        return Err(SqlError::refused(message, "shorten it: join a file or a table instead of long lists"));
    }
    shape::check_words(sql, GROWING)?;
    let statement = state.sql_to_statement(sql, &Dialect::Generic).map_err(|error| explained(error, false))?;
    let select = select(&statement).ok_or_else(|| SqlError::refused("the statement is not a plain SELECT", ONLY))?;
    clauses::check(select)?;
    shape::check(select)?;
    let plan = state.statement_to_plan(statement).await.map_err(|error| explained(error, false))?;
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan).map_err(|error| explained(error, false))?;
    check(&plan)?;
    Ok(plan)
}

/// The SELECT of a statement that is one, or explains one.
fn select(statement: &Statement) -> Option<&AstStatement> {
    match statement {
        Statement::Statement(statement) => matches!(**statement, AstStatement::Query(_)).then_some(&**statement),
        Statement::Explain(explain) => match &*explain.statement {
            Statement::Statement(_) => select(&explain.statement),
            _ => None,
        },
        _ => None,
    }
}

/// Refuses a plan that does what no statement may.
pub(super) fn check(plan: &LogicalPlan) -> Result<(), SqlError> {
    let (mut refused, mut nodes) = (None, 0);
    let walked = plan.apply_with_subqueries(|node| {
        nodes += 1;
        refused = match nodes > NODES_MAX {
            true => Some(SqlError::refused(format!("its plan has more than {NODES_MAX} nodes"), "write it in parts")),
            false => refusal(node)?,
        };
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|error| explained(error, false))?;
    refused.map_or(Ok(()), Err)
}

fn refusal(node: &LogicalPlan) -> Planned<Option<SqlError>> {
    if let LogicalPlan::TableScan(scan) = node
        && is_hidden(&scan.table_name)
    {
        let message = format!("{}.{} is not among the tables", HIDDEN.0, HIDDEN.1);
        return Ok(Some(SqlError::refused(message, "information_schema.tables lists them")));
    }
    if let LogicalPlan::Window(window) = node
        && let Some(refused) = window_refusal(window)
    {
        return Ok(Some(refused));
    }
    if let Some(refused) = calls::refusal(node)? {
        return Ok(Some(refused));
    }
    let finer = |text: String| {
        let message = format!("times are whole milliseconds, and {text:?} has more digits");
        SqlError::refused(message, "write at most three digits after the second")
    };
    Ok(moments::finer(node)?.map(finer))
}

/// In any case of letters: the engine finds its own tables so.
fn is_hidden(name: &TableReference) -> bool {
    let is_of_engine = name.schema().is_some_and(|schema| schema.eq_ignore_ascii_case(HIDDEN.0));
    is_of_engine && name.table().eq_ignore_ascii_case(HIDDEN.1)
}

/// Refuses windows whose values may be longer than what is counted of their rows.
fn window_refusal(window: &Window) -> Option<SqlError> {
    let schema = window.input.schema();
    let is_counted = |arg: &Expr| match arg {
        // a parameter is looked at again once it has a value
        Expr::Column(_) | Expr::Placeholder(_) => true,
        Expr::Literal(value, _) => value.try_as_str().flatten().is_none_or(|text| text.len() <= WINDOW_TEXT_BYTES_MAX),
        other => other.get_type(&**schema).is_ok_and(|data_type| is_fixed(&data_type)),
    };
    window.window_expr.iter().find_map(|expr| {
        let Expr::WindowFunction(function) = expr.clone().unalias() else { return None };
        let name = function.fun.name();
        if GATHERING.contains(&name) {
            let message = format!("{name} is for groups, and not for windows");
            return Some(SqlError::refused(message, "group the rows, or number them with row_number"));
        }
        let is_computed = !function.params.args.iter().all(is_counted);
        is_computed.then(|| {
            let message = format!("{name} over a window takes a column, and not a text that is computed or long");
            SqlError::refused(message, "compute the text in a subquery: SELECT … FROM (SELECT … AS text FROM …)")
        })
    })
}
