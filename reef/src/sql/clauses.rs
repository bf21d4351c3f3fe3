//! Clauses: what other dialects have and the engine would ignore silently. A statement with one of them would get other rows
//! than it says.

use super::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    GroupByExpr, LimitClause, Query, Select, SelectItem, Statement, TableFactor, Visit, Visitor,
};
use std::ops::ControlFlow;

/// Refuses a statement that has one of them anywhere.
pub(super) fn check(statement: &Statement) -> Result<(), SqlError> {
    match statement.visit(&mut Ignored) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(clause) => Err(SqlError::refused(
            format!("{clause} is not among the clauses of a statement"),
            "write one SELECT with FROM, WHERE, GROUP BY, HAVING, ORDER BY and LIMIT",
        )),
    }
}

struct Ignored;

/// The first of them that is there.
fn first(clauses: &[(bool, &'static str)]) -> ControlFlow<&'static str> {
    match clauses.iter().find(|(is_there, _)| *is_there) {
        Some((_, clause)) => ControlFlow::Break(*clause),
        None => ControlFlow::Continue(()),
    }
}

impl Visitor for Ignored {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        let limits_groups = matches!(
            &query.limit_clause,
            Some(LimitClause::LimitOffset { limit_by, .. }) if !limit_by.is_empty()
        );
        first(&[
            (!query.locks.is_empty(), "FOR UPDATE or SHARE"),
            (query.for_clause.is_some(), "FOR XML or JSON"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (!query.pipe_operators.is_empty(), "|>"),
            (limits_groups, "LIMIT BY"),
        ])
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<&'static str> {
        let modifiers = match &select.group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
        };
        let narrows_columns = select.projection.iter().any(|item| match item {
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
                options.opt_ilike.is_some() || options.opt_alias.is_some()
            }
            _ => false,
        });
        first(&[
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!modifiers.is_empty(), "GROUP BY … WITH"),
            (select.select_modifiers.is_some(), "a modifier of SELECT"),
            (select.exclude.is_some(), "EXCLUDE after the columns"),
            (select.value_table_mode.is_some(), "SELECT AS"),
            (select.into.is_some(), "INTO"),
            (narrows_columns, "* with ILIKE or AS"),
        ])
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<&'static str> {
        match table {
            TableFactor::Table {
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
                ..
            } => first(&[
                (!with_hints.is_empty() || !index_hints.is_empty(), "a hint for a table"),
                (version.is_some(), "FOR SYSTEM_TIME"),
                (*with_ordinality, "WITH ORDINALITY"),
                (!partitions.is_empty(), "PARTITION"),
                (json_path.is_some(), "a path in a table"),
                (sample.is_some(), "SAMPLE"),
            ]),
            TableFactor::Derived { sample, .. } => first(&[(sample.is_some(), "SAMPLE")]),
            TableFactor::Function { with_ordinality, .. } => first(&[(*with_ordinality, "WITH ORDINALITY")]),
            TableFactor::UNNEST { with_offset, with_ordinality, .. } => {
                first(&[(*with_offset || *with_ordinality, "UNNEST with a count")])
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn checked(sql: &str) -> Result<(), SqlError> {
        let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        check(&statements[0])
    }

    #[test]
    fn a_clause_that_would_be_ignored_is_refused_at_any_depth() {
        for (sql, clause) in [
            ("SELECT x FROM t PREWHERE x = 1", "PREWHERE"),
            ("SELECT x FROM t GROUP BY x WITH TOTALS", "GROUP BY"),
            ("SELECT x FROM t GROUP BY ALL WITH ROLLUP", "GROUP BY"),
            ("SELECT x FROM t SAMPLE 0.1", "SAMPLE"),
            ("SELECT x FROM t TABLESAMPLE BERNOULLI (10)", "SAMPLE"),
            ("SELECT x FROM t CONNECT BY x = 1", "CONNECT BY"),
            ("SELECT x FROM t WITH (NOLOCK)", "hint"),
            ("SELECT x FROM t PARTITION (p0)", "PARTITION"),
            ("SELECT x FROM t LIMIT 1 BY x", "LIMIT BY"),
            ("SELECT x FROM t FOR UPDATE", "FOR UPDATE"),
            ("SELECT x FROM t FOR JSON AUTO", "FOR XML or JSON"),
            ("SELECT x FROM t SETTINGS a = 1", "SETTINGS"),
            ("SELECT x FROM t FORMAT JSON", "FORMAT"),
            ("SELECT x FROM t |> LIMIT 1", "|>"),
            ("SELECT x INTO s FROM t", "INTO"),
            ("SELECT * ILIKE 'x%' FROM t", "ILIKE"),
            ("SELECT 1 FROM u WHERE u.x IN (SELECT x FROM t FOR UPDATE)", "FOR UPDATE"),
            ("WITH a AS (SELECT x FROM t SAMPLE 0.5) SELECT * FROM a", "SAMPLE"),
            ("SELECT * FROM (SELECT x FROM t PREWHERE x = 1) AS u", "PREWHERE"),
            ("SELECT 1 UNION ALL SELECT x FROM t PREWHERE x = 1", "PREWHERE"),
        ] {
            let refused = checked(sql).map_err(|error| error.to_string());
            assert!(refused.as_ref().is_err_and(|error| error.contains(clause)), "{sql}: {refused:?}");
        }
        for sql in [
            "SELECT DISTINCT x, count(*) FROM t AS u WHERE x > 1 GROUP BY x HAVING count(*) > 1 ORDER BY 1 LIMIT 3 OFFSET 1",
            "SELECT * EXCEPT (x) FROM t JOIN u ON t.a = u.a QUALIFY row_number() OVER (ORDER BY x) = 1",
            "SELECT a FROM generate_series(1, 2) AS t(a) GROUP BY ROLLUP (a)",
        ] {
            assert!(checked(sql).is_ok(), "{sql}");
        }
    }
}
