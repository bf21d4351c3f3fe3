//! Shape: how large the plan of a statement may become. A short text may stand for a plan that no machine holds, and
//! the planner does not give way, so this is looked at before.

use super::error::SqlError;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Statement, Visit, Visitor, visit_relations};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Most operators, keywords and parentheses: each may make the statement deeper by one, and what walks through it uses
/// the stack.
const PARTS_MAX: usize = 400;
/// Most calls of functions that make longer texts, `||` included: what each of them makes is kept until a batch is
/// done.
const GROWING_MAX: usize = 64;
/// Most tables, where each name of WITH stands for the tables of its query. All of them are read at once.
const TABLES_MAX: u64 = 100;
/// Most sets of groups.
const GROUPINGS_MAX: u64 = 64;

/// Looks at the words of a statement; `growing` are functions that make longer texts.
pub(super) fn check_words(sql: &str, growing: &[&str]) -> Result<(), SqlError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
    let tokens = tokens.map_err(|error| SqlError::refused(error.to_string(), "close quotes and comments"))?;
    let parts = tokens.iter().filter(|token| !is_flat(token)).count();
    if parts > PARTS_MAX {
        let message = format!("the statement has {parts} operators, keywords and parentheses, more than {PARTS_MAX}");
        return Err(SqlError::refused(
            message,
            "use IN for lists of values, and join a table instead of many conditions",
        ));
    }
    let is_growing = |token: &&Token| match token {
        Token::Word(word) => growing.contains(&word.value.to_lowercase().as_str()),
        Token::StringConcat => true,
        _ => false,
    };
    let calls = tokens.iter().filter(is_growing).count();
    if calls > GROWING_MAX {
        let message = format!("the statement joins texts in {calls} places, more than {GROWING_MAX}");
        return Err(SqlError::refused(message, "select the texts as they are, and join them where you read them"));
    }
    Ok(())
}

/// Whether a token makes a statement no deeper.
fn is_flat(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword == Keyword::NoKeyword,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma | Token::Period | Token::Whitespace(_) => true,
        Token::RParen | Token::SemiColon | Token::EOF | Token::Placeholder(_) => true,
        _ => false,
    }
}

/// Looks at what a statement stands for.
pub(super) fn check(statement: &Statement) -> Result<(), SqlError> {
    let mut seen = Seen { groupings: 1, ..Seen::default() };
    // it never breaks off
    let _ = statement.visit(&mut seen);
    let tables = seen.tables();
    if tables > TABLES_MAX {
        let message =
            format!("the statement reads {tables} tables, with each name of WITH replaced; {TABLES_MAX} at most");
        return Err(SqlError::refused(message, "name each query of WITH fewer times"));
    }
    if seen.groupings > GROUPINGS_MAX {
        let message = format!("CUBE, ROLLUP and GROUPING SETS make more than {GROUPINGS_MAX} sets of groups");
        return Err(SqlError::refused(message, "list the sets that you need in GROUPING SETS"));
    }
    Ok(())
}

/// How often each table is named.
type Named = BTreeMap<String, u64>;

/// What a statement names.
#[derive(Default)]
struct Seen {
    /// What the queries of WITH name, by their own names.
    queries: BTreeMap<String, Named>,
    relations: Named,
    groupings: u64,
}

impl Seen {
    /// Tables, where each name of WITH stands for those of its query.
    fn tables(&self) -> u64 {
        let (mut open, mut known) = (BTreeSet::new(), BTreeMap::new());
        self.sum(&self.relations, &mut open, &mut known)
    }

    fn sum(&self, named: &Named, open: &mut BTreeSet<String>, known: &mut BTreeMap<String, u64>) -> u64 {
        let mut sum: u64 = 0;
        for (name, count) in named {
            sum = sum.saturating_add(self.tables_of(name, open, known).saturating_mul(*count));
        }
        sum
    }

    /// Tables that a name stands for; `open` are those that are being counted.
    fn tables_of(&self, name: &str, open: &mut BTreeSet<String>, known: &mut BTreeMap<String, u64>) -> u64 {
        let Some(named) = self.queries.get(name) else { return 1 };
        if let Some(count) = known.get(name) {
            return *count;
        }
        // in its own query a name is that of a table
        if !open.insert(name.to_owned()) {
            return 1;
        }
        let count = self.sum(named, open, known).max(1);
        open.remove(name);
        known.insert(name.to_owned(), count);
        count
    }
}

fn plain(name: &str) -> String {
    name.replace(['"', '`'], "").to_lowercase()
}

impl Visitor for Seen {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for query in query.with.iter().flat_map(|with| &with.cte_tables) {
            let named = self.queries.entry(plain(&query.alias.name.value)).or_default();
            visit_relations(&*query.query, |relation| {
                *named.entry(plain(&relation.to_string())).or_default() += 1;
                ControlFlow::Continue(())
            })?;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        *self.relations.entry(plain(&relation.to_string())).or_default() += 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let sets = match expr {
            Expr::Cube(parts) => 1_u64.checked_shl(u32::try_from(parts.len()).unwrap_or(u32::MAX)).unwrap_or(u64::MAX),
            Expr::Rollup(parts) => parts.len() as u64 + 1,
            Expr::GroupingSets(parts) => parts.len() as u64,
            _ => 1,
        };
        self.groupings = self.groupings.saturating_mul(sets.max(1));
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::sql::sqlparser::parser::Parser;

    fn checked(sql: &str) -> Result<(), SqlError> {
        check(&Parser::parse_sql(&GenericDialect {}, sql).unwrap()[0])
    }

    /// Queries of WITH, each of which reads the one before it twice.
    fn doubled(times: usize) -> String {
        let query = |n: usize| format!("t{} AS (SELECT * FROM t{n} UNION ALL SELECT * FROM t{n})", n + 1);
        let queries: Vec<String> = (0..times).map(query).collect();
        format!("WITH t0 AS (SELECT 1 AS x), {} SELECT * FROM t{times}", queries.join(", "))
    }

    #[test]
    fn names_of_with_count_as_often_as_they_are_read() {
        assert!(checked("WITH a AS (SELECT 1) SELECT * FROM a AS b JOIN a AS c ON true").is_ok());
        assert!(checked("WITH t AS (SELECT * FROM t) SELECT * FROM t").is_ok());
        assert!(checked(&doubled(5)).is_ok());
        assert!(checked(&doubled(6)).is_err());
        assert!(checked(&doubled(30)).is_err());
        assert!(checked(&doubled(30).replace("t1 ", "T1 ").replace("t2 ", "\"t2\" ")).is_err());
        let nested = format!("SELECT * FROM ({}) AS t WHERE EXISTS (SELECT 1)", doubled(30));
        assert!(checked(&nested).is_err());
        // queries beside one another add up, and do not multiply
        let query = |n: usize| format!("q{n} AS (SELECT * FROM a JOIN b ON a.x = b.x)");
        let queries = (0..8).map(query).collect::<Vec<_>>().join(", ");
        let reads = (0..8).map(|n| format!("SELECT * FROM q{n} UNION ALL SELECT * FROM q{n}")).collect::<Vec<_>>();
        assert!(checked(&format!("WITH {queries} {}", reads.join(" UNION ALL "))).is_ok());
        let tables = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>().join(", ");
        assert!(checked(&format!("SELECT count(*) FROM {}", tables(100))).is_ok());
        assert!(checked(&format!("SELECT count(*) FROM {}", tables(101))).is_err());
    }

    #[test]
    fn sets_of_groups_are_counted() {
        let columns = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
        assert!(checked(&format!("SELECT 1 FROM t GROUP BY CUBE ({})", columns(6))).is_ok());
        assert!(checked(&format!("SELECT 1 FROM t GROUP BY CUBE ({})", columns(7))).is_err());
        assert!(checked(&format!("SELECT 1 FROM t GROUP BY CUBE ({})", columns(70))).is_err());
        assert!(checked(&format!("SELECT 1 FROM t GROUP BY ROLLUP ({})", columns(70))).is_err());
        assert!(checked("SELECT 1 FROM t GROUP BY GROUPING SETS ((a), (b), ())").is_ok());
        let sets = ["GROUPING SETS ((a), (b))"; 7].join(", ");
        assert!(checked(&format!("SELECT 1 FROM t GROUP BY {sets}")).is_err());
    }

    #[test]
    fn words_that_make_a_statement_deep_or_its_texts_long_are_counted() {
        let growing = ["concat"];
        assert!(check_words(&format!("SELECT 'a'{}", " || 'a'".repeat(60)), &growing).is_ok());
        assert!(check_words(&format!("SELECT 'a'{}", " || 'a'".repeat(65)), &growing).is_err());
        assert!(check_words(&format!("SELECT 1{}", ", CONCAT('a', 'b')".repeat(65)), &growing).is_err());
        assert!(check_words(&format!("SELECT 1{}", ", lower('a')".repeat(65)), &growing).is_ok());
        assert!(check_words(&format!("SELECT 1{}", " + 1".repeat(500)), &growing).is_err());
        assert!(check_words(&format!("SELECT 1 IN (1{})", ", 1".repeat(5_000)), &growing).is_ok());
        assert!(check_words(&format!("SELECT 1 IN (?{})", ", ?".repeat(5_000)), &growing).is_ok());
        assert!(check_words(&format!("SELECT 1 IN ($1{})", ", $2".repeat(5_000)), &growing).is_ok());
        assert!(check_words("SELECT 'a", &growing).is_err());
    }
}
