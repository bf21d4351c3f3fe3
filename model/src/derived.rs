//! Derived outputs: what operators compute beside correlations, as changes of tables that the stores know by description.

use crate::real::Real;
use crate::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Value {
    /// None.
    Null,
    /// Yes or no.
    Truth(bool),
    /// A count.
    Count(u64),
    /// A whole number.
    Whole(i64),
    /// A float.
    Real(Real),
    /// A time.
    Time(TimeMs),
    /// Text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
}

/// A row as an operator emits it: with +1 where it is new, with -1 where it no longer holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DerivedRow {
    /// The table's name.
    pub table: String,
    /// The values of the key columns.
    pub key: Vec<Value>,
    /// The values of the other columns.
    pub content: Vec<Value>,
}

/// What a tick changes in one table. Rows hold the values of all columns, in the order of the table's description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DerivedChange {
    /// The table's name.
    pub table: String,
    /// New and changed rows. A row replaces the stored one with the same key.
    pub upserts: Vec<Vec<Value>>,
    /// Keys of rows that no longer exist: the values of the key columns.
    pub removed: Vec<Vec<Value>>,
}

/// What the rows that operators have emitted in a tick change, by table.
pub fn changes(rows: impl IntoIterator<Item = (DerivedRow, i64)>) -> Vec<DerivedChange> {
    let mut tables: BTreeMap<String, BTreeMap<Vec<Value>, Option<Vec<Value>>>> = BTreeMap::new();
    for (DerivedRow { table, key, content }, diff) in rows {
        let row = tables.entry(table).or_default().entry(key).or_default();
        if diff > 0 {
            *row = Some(content);
        }
    }
    let change = |(table, rows): (String, BTreeMap<Vec<Value>, Option<Vec<Value>>>)| {
        let mut change = DerivedChange { table, ..DerivedChange::default() };
        for (key, content) in rows {
            match content {
                Some(content) => change.upserts.push([key, content].concat()),
                None => change.removed.push(key),
            }
        }
        change
    };
    tables.into_iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_changes_is_written_and_one_that_no_longer_holds_is_removed() {
        let row = |table: &str, key: u64, content: &str| DerivedRow {
            table: table.to_owned(),
            key: vec![Value::Count(key)],
            content: vec![Value::Text(content.to_owned())],
        };
        let text = |content: &str| Value::Text(content.to_owned());
        let mut rows =
            vec![(row("a", 1, "old"), -1), (row("a", 1, "new"), 1), (row("a", 2, "gone"), -1), (row("b", 1, "x"), 1)];
        let expected = [
            DerivedChange {
                table: "a".to_owned(),
                upserts: vec![vec![Value::Count(1), text("new")]],
                removed: vec![vec![Value::Count(2)]],
            },
            DerivedChange {
                table: "b".to_owned(),
                upserts: vec![vec![Value::Count(1), text("x")]],
                removed: Vec::new(),
            },
        ];
        for _ in 0..2 {
            assert_eq!(changes(rows.clone()), expected, "in any order");
            rows.reverse();
        }
    }
}
