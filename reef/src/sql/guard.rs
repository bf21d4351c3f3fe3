//! Guard: a statement is one SELECT, or EXPLAIN of one; anything else is refused before it is planned, and again as a plan.

use super::error::{SqlError, explained};
use super::limits::STATEMENT_BYTES_MAX;
use datafusion::common::config::Dialect;
use datafusion::execution::context::{SQLOptions, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as AstStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

const ONLY: &str = "write one SELECT, or EXPLAIN of one; nothing can be changed from here";

/// Most operators, keywords and parentheses: each may make the statement deeper by one, and what walks through it uses the
/// stack.
const PARTS_MAX: usize = 400;

/// The plan of a statement that only reads.
pub(super) async fn planned(state: &SessionState, sql: &str) -> Result<LogicalPlan, SqlError> {
    if sql.trim().is_empty() {
        return Err(SqlError::refused("there is no statement", ONLY));
    }
    if sql.len() > STATEMENT_BYTES_MAX {
        let message = format!("the statement has {} bytes, more than {STATEMENT_BYTES_MAX}", sql.len());
        return Err(SqlError::refused(message, "shorten it: join a file or a table instead of long lists"));
    }
    let parts = parts(sql)?;
    if parts > PARTS_MAX {
        let message = format!("the statement has {parts} operators, keywords and parentheses, more than {PARTS_MAX}");
        return Err(SqlError::refused(
            message,
            "use IN for lists of values, and join a table instead of many conditions",
        ));
    }
    let statement = state.sql_to_statement(sql, &Dialect::Generic).map_err(|error| explained(error, false))?;
    if !is_select(&statement) {
        return Err(SqlError::refused("the statement is not a plain SELECT", ONLY));
    }
    let plan = state.statement_to_plan(statement).await.map_err(|error| explained(error, false))?;
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan).map_err(|error| explained(error, false))?;
    Ok(plan)
}

fn is_select(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(statement) => {
            // clauses of other dialects, which would be ignored silently
            matches!(&**statement, AstStatement::Query(query) if query.locks.is_empty() && query.for_clause.is_none()
                && query.settings.is_none() && query.format_clause.is_none() && query.pipe_operators.is_empty())
        }
        Statement::Explain(explain) => {
            matches!(*explain.statement, Statement::Statement(_)) && is_select(&explain.statement)
        }
        _ => false,
    }
}

/// What may make a statement deeper.
fn parts(sql: &str) -> Result<usize, SqlError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
    let tokens = tokens.map_err(|error| SqlError::refused(error.to_string(), "close quotes and comments"))?;
    let is_flat = |token: &&Token| match token {
        Token::Word(word) => word.keyword == Keyword::NoKeyword,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma | Token::Period | Token::Whitespace(_) => true,
        Token::RParen | Token::SemiColon | Token::EOF => true,
        _ => false,
    };
    Ok(tokens.iter().filter(|token| !is_flat(token)).count())
}
