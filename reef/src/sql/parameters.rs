//! Parameters: `?` or `$1` in a statement, and the values that take their place.

use super::error::{SqlError, explained};
use super::guard;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

/// Most bytes that values take in a plan, which has each of them as often as it is named.
const NAMED_BYTES_MAX: usize = 16 << 20;
const STYLES: &str = "write all parameters as ?, or as $1, $2 and so on";

/// One value for each parameter of a statement, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters(Vec<ScalarValue>);

impl Parameters {
    /// The values of the only row of a batch, one in each column.
    ///
    /// # Errors
    /// When there is another number of rows, or a value is a list or a struct.
    pub fn of(row: &RecordBatch) -> Result<Parameters, SqlError> {
        if row.num_rows() != 1 {
            let message = format!("there are {} rows of values for the parameters", row.num_rows());
            return Err(SqlError::refused(message, "send one row: each execution has its own"));
        }
        row.columns().iter().map(value).collect::<Result<Vec<_>, _>>().map(Parameters)
    }
}

fn value(column: &ArrayRef) -> Result<ScalarValue, SqlError> {
    if !is_simple(column.data_type()) {
        let message = format!("a parameter is a {}", column.data_type());
        return Err(SqlError::refused(message, "send numbers, texts, times and truth values"));
    }
    ScalarValue::try_from_array(column, 0).map_err(|error| explained(error, false))
}

fn is_simple(data_type: &DataType) -> bool {
    let other = || {
        use DataType::{Binary, BinaryView, Boolean, LargeBinary, LargeUtf8, Null, Utf8, Utf8View};
        matches!(data_type, Null | Boolean | Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView)
    };
    data_type.is_numeric() || data_type.is_temporal() || other()
}

/// The statement with `$1`, `$2` and so on for each `?`, which the engine would take for one and the same parameter.
pub(super) fn numbered(sql: &str) -> Result<String, SqlError> {
    // what cannot be read is refused by the engine, with its place
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Ok(sql.to_owned());
    };
    let is_mark = |token: &Token| matches!(token, Token::Placeholder(name) if name == "?");
    let is_named = |token: &Token| matches!(token, Token::Placeholder(name) if name != "?");
    let marks: Vec<Location> = tokens.iter().filter(|it| is_mark(&it.token)).map(|it| it.span.start).collect();
    if !marks.is_empty() && tokens.iter().any(|it| is_named(&it.token)) {
        return Err(SqlError::refused("the statement has parameters of two styles", STYLES));
    }
    let (mut text, mut count) = (String::with_capacity(sql.len() + 4 * marks.len()), 0);
    let (mut line, mut column) = (1, 1);
    for c in sql.chars() {
        match marks.get(count) {
            Some(mark) if (mark.line, mark.column) == (line, column) => {
                count += 1;
                text.push_str(&format!("${count}"));
            }
            _ => text.push(c),
        }
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Ok(text)
}

/// The types that a plan expects of its parameters, in order; `None` where any would do.
pub(super) fn expected(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>, SqlError> {
    let types = plan.get_parameter_types().map_err(|error| explained(error, false))?;
    let count = types.len();
    let mut expected = vec![None; count];
    for (name, data_type) in types {
        let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        match number.filter(|number| (1..=count).contains(number)) {
            Some(number) => expected[number - 1] = data_type,
            None => return Err(SqlError::refused(format!("{name} is none of {count} parameters"), STYLES)),
        }
    }
    Ok(expected)
}

/// The plan with values for its parameters.
pub(super) fn bound(plan: LogicalPlan, values: Option<&Parameters>) -> Result<LogicalPlan, SqlError> {
    let (expected, values) = (expected(&plan)?.len(), values.map_or(&[][..], |values| values.0.as_slice()));
    if expected != values.len() {
        let message = format!("the statement has {expected} parameters, and {} values for them", values.len());
        return Err(SqlError::refused(message, "prepare the statement, and send one value for each parameter"));
    }
    with_values(plan, values.to_vec())
}

/// The plan with nothing for its parameters, of these types: good for its columns only.
pub(super) fn unbound(plan: LogicalPlan, types: &[DataType]) -> Result<LogicalPlan, SqlError> {
    let nulls = types.iter().map(ScalarValue::try_new_null).collect::<Result<Vec<_>, _>>();
    with_values(plan, nulls.map_err(|error| explained(error, false))?)
}

fn with_values(plan: LogicalPlan, values: Vec<ScalarValue>) -> Result<LogicalPlan, SqlError> {
    if values.is_empty() {
        return Ok(plan);
    }
    if named_bytes(&plan, &values)? > NAMED_BYTES_MAX {
        let message =
            format!("the values of the parameters take more than {NAMED_BYTES_MAX} bytes where they are named");
        return Err(SqlError::refused(message, "name long values fewer times: select them once in a subquery"));
    }
    let plan = plan.with_param_values(values).map_err(|error| explained(error, false))?;
    guard::check(&plan)?;
    Ok(plan)
}

fn named_bytes(plan: &LogicalPlan, values: &[ScalarValue]) -> Result<usize, SqlError> {
    let mut bytes = 0_usize;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Placeholder(placeholder) = part {
                    bytes = bytes.saturating_add(named(&placeholder.id, values).map_or(0, ScalarValue::size));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(|error| explained(error, false))?;
    Ok(bytes)
}

/// The value of `$1`, `$2` and so on.
fn named<'a>(id: &str, values: &'a [ScalarValue]) -> Option<&'a ScalarValue> {
    let number: usize = id.strip_prefix('$')?.parse().ok()?;
    values.get(number.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::logical_expr::{LogicalPlanBuilder, placeholder};

    #[test]
    fn a_long_value_is_named_a_few_times() {
        let values = Parameters(vec![ScalarValue::from("x".repeat(60_000).as_str())]);
        let plan = |times: usize| {
            let columns = (0..times).map(|n| placeholder("$1").alias(format!("a{n}")));
            LogicalPlanBuilder::empty(true).project(columns.collect::<Vec<_>>()).unwrap().build().unwrap()
        };
        assert!(bound(plan(3), Some(&values)).is_ok());
        let refused = bound(plan(300), Some(&values)).unwrap_err();
        assert!(refused.to_string().contains("where they are named"), "{refused}");
    }

    #[test]
    fn marks_are_numbered_where_they_are_parameters() {
        for (sql, expected) in [
            ("SELECT ?", "SELECT $1"),
            ("SELECT '?', \"a?\", ? -- ?\n, ? /* ? */ FROM t", "SELECT '?', \"a?\", $1 -- ?\n, $2 /* ? */ FROM t"),
            ("SELECT 'ä\n?', ?,?", "SELECT 'ä\n?', $1,$2"),
            ("SELECT $1, $2", "SELECT $1, $2"),
            ("SELECT 'open", "SELECT 'open"),
            ("", ""),
        ] {
            assert_eq!(numbered(sql).unwrap(), expected, "{sql}");
        }
        let mixed = numbered("SELECT ?, $1").unwrap_err();
        assert!(mixed.to_string().contains("two styles"), "{mixed}");
    }
}
