//! Names: the tables of a reef with their columns, as a statement writes them.

use super::lexer::parts;
use reef::printable::is_harmful;
use serde_json::Value;

/// What gives them, in order.
pub const NAMES_SQL: &str = "SELECT table_catalog, table_schema, table_name, column_name, data_type \
                             FROM information_schema.columns \
                             ORDER BY table_catalog, table_schema, table_name, ordinal_position";
/// Most columns that are known: those of a thousand colonies and more.
pub const NAMES_MAX: usize = 100_000;

/// The tables of the store have no prefix; with one they are these.
const STORE: [&str; 2] = ["reef", "store"];
/// Tables about tables, which do not list themselves.
const ABOUT: [[&str; 2]; 2] = [["information_schema", "columns"], ["information_schema", "tables"]];

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTable {
    /// The parts of its name.
    pub path: Vec<String>,
    /// Its columns, each with its type.
    pub columns: Vec<(String, String)>,
}

/// The tables of a reef.
#[derive(Clone, Debug, Default)]
pub struct Names {
    tables: Vec<NamedTable>,
}

impl Names {
    /// Of the rows of [`NAMES_SQL`]. What cannot be typed on a terminal is left out.
    pub fn of(rows: &[Vec<Value>]) -> Names {
        let mut tables: Vec<NamedTable> = Vec::new();
        for row in rows {
            let texts: Vec<&str> = row.iter().filter_map(Value::as_str).collect();
            let [catalog, schema, table, column, data_type] = texts[..] else { continue };
            if [catalog, schema, table, column].iter().any(|name| name.contains(is_harmful)) {
                continue;
            }
            let path = if [catalog, schema] == STORE { vec![table] } else { vec![catalog, schema, table] };
            let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            let column = (column.to_owned(), data_type.to_owned());
            match tables.last_mut().filter(|last| last.path == path) {
                Some(last) => last.columns.push(column),
                None => tables.push(NamedTable { path, columns: vec![column] }),
            }
        }
        Names { tables }
    }

    /// All tables, in order.
    pub fn tables(&self) -> &[NamedTable] {
        &self.tables
    }

    /// The parts of every name of a table.
    pub fn paths(&self) -> impl Iterator<Item = Vec<&str>> {
        let about = ABOUT.into_iter().map(|path| path.to_vec());
        self.tables.iter().map(|table| table.path.iter().map(String::as_str).collect()).chain(about)
    }

    /// The table with a name of these parts.
    pub fn find(&self, path: &[String]) -> Option<&NamedTable> {
        let short = match path {
            [catalog, schema, table] if [catalog.as_str(), schema.as_str()] == STORE => std::slice::from_ref(table),
            [schema, table] if schema == STORE[1] => std::slice::from_ref(table),
            path => path,
        };
        self.tables.iter().find(|table| table.path == short)
    }

    /// The table that is written so.
    pub fn written_so(&self, text: &str) -> Option<&NamedTable> {
        let path: Vec<String> = parts(text).iter().filter_map(|part| part.name()).collect();
        self.find(&path)
    }
}

/// A name as a statement writes it: in quotes where it has to be.
pub fn written(name: &str) -> String {
    let is_first = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_plain =
        name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit()) && !is_keyword(name);
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A name of several parts.
pub fn written_path<T: AsRef<str>>(path: &[T]) -> String {
    path.iter().map(|part| written(part.as_ref())).collect::<Vec<_>>().join(".")
}

/// Words of statements that are completed, and are no names.
#[rustfmt::skip]
pub const KEYWORDS: [&str; 62] = [
    "ALL", "ANALYZE", "AND", "AS", "ASC", "BETWEEN", "BY", "CASE", "CAST", "CROSS", "DESC", "DISTINCT", "ELSE",
    "END", "EXCEPT", "EXISTS", "EXPLAIN", "FALSE", "FILTER", "FIRST", "FROM", "FULL", "GROUP", "HAVING",
    "ILIKE", "IN", "INNER", "INTERSECT", "INTERVAL", "IS", "JOIN", "LAST", "LEFT", "LIKE", "LIMIT", "NOT",
    "NULL", "NULLS", "OFFSET", "ON", "OR", "ORDER", "OUTER", "OVER", "PARTITION", "PRECEDING", "RANGE", "RIGHT",
    "ROWS", "SELECT", "THEN", "TRUE", "TRY_CAST", "UNION", "UNNEST", "USING", "VALUES", "WHEN", "WHERE",
    "WINDOW", "WITH", "WITHIN",
];

/// Whether it is one of them, in whatever letters.
pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// Two tables of the store, and those of two colonies.
    pub fn names() -> Names {
        let mut rows: Vec<Vec<Value>> = Vec::new();
        let mut add = |catalog: &str, schema: &str, table: &str, columns: &[&str]| {
            rows.extend(columns.iter().map(|column| {
                [catalog, schema, table, *column, "Utf8"].iter().map(|text| json!(text)).collect::<Vec<_>>()
            }));
        };
        for colony in ["my-shop-production", "my-shop-staging"] {
            add("colony", colony, "events", &["event_id", "event_type"]);
            add("colony", colony, "metrics", &["service_id", "p95"]);
        }
        add("reef", "store", "federated_events", &["event_id", "colony_id", "event_type", "order"]);
        add("reef", "store", "federated_metrics", &["colony_id", "p50", "p95"]);
        add("reef", "store", "hostile\u{1b}[2J", &["x"]);
        Names::of(&rows)
    }

    #[test]
    fn tables_are_found_by_every_name_that_a_statement_may_use() {
        let names = names();
        assert_eq!(names.tables().len(), 6, "what acts on a terminal is no name: {:?}", names.tables());
        for text in
            ["federated_metrics", "Federated_Metrics", "store.federated_metrics", "reef.store.federated_metrics"]
        {
            assert_eq!(names.written_so(text).map(|table| table.columns.len()), Some(3), "{text}");
        }
        let live = names.written_so("colony.\"my-shop-staging\".metrics").unwrap();
        assert_eq!(written_path(&live.path), "colony.\"my-shop-staging\".metrics");
        for text in ["metrics", "colony.my-shop-staging.metrics", "\"Federated_Metrics\"", ""] {
            assert_eq!(names.written_so(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_quoted_where_it_has_to_be() {
        for plain in ["p95", "_x", "max_value", "timestamp"] {
            assert_eq!(written(plain), plain);
        }
        let quoted = ["my-shop", "P95", "9a", "order", "a\"b", ""].map(written).join(" ");
        assert_eq!(quoted, r#""my-shop" "P95" "9a" "order" "a""b" """#);
    }

    #[test]
    fn keywords_are_sorted_and_there_once() {
        assert!(KEYWORDS.is_sorted_by(|a, b| a < b));
    }
}
