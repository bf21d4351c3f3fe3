//! The newest rows of a table, and how many it has, both bounded.

use super::fault::Fault;
use super::select::{read, selected};
use super::server::Server;
use super::transfer::{bind, mark};
use crate::schema::{Kind, Table};
use crate::transfer::{Cursor, Page};
use serde::Deserialize;

/// Where the rows are found that are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    /// Those with the newest keys, removed rows included. `FINAL` cannot read from the end; keys can be.
    NewestKeys,
    /// All.
    All,
}

/// The rows before a key, the greatest key first.
pub(super) async fn newest(
    server: &Server,
    table: &'static Table,
    before: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Fault> {
    let page = rows(server, table, (before, limit), Among::NewestKeys).await?;
    if page.len() >= limit {
        return Ok(page);
    }
    // removed rows may have hidden others; where there are none, fewer than `limit` are left
    rows(server, table, (before, limit), Among::All).await
}

async fn rows(
    server: &Server,
    table: &'static Table,
    (before, limit): (Option<&Cursor>, usize),
    among: Among,
) -> Result<Page, Fault> {
    let (names, kinds): (Vec<&str>, Vec<Kind>) = table.key_columns().iter().copied().unzip();
    let marks: Vec<String> = kinds.iter().enumerate().map(|(place, kind)| mark(place, *kind)).collect();
    // `of` is what stands before the name of a column
    let all = |of: &str, then: &str| -> String {
        names.iter().map(|name| format!("{of}{name}{then}")).collect::<Vec<_>>().join(", ")
    };
    let earlier = |of: &str| match before {
        None => String::new(),
        // the first column lets the server skip later rows, the row comparison is exact
        Some(_) => format!("WHERE {of}{} <= {} AND ({}) < ({})", names[0], marks[0], all(of, ""), marks.join(", ")),
    };
    let condition = match among {
        Among::All => earlier("stored."),
        Among::NewestKeys => format!(
            "WHERE ({}) GLOBAL IN (SELECT {keys} FROM {} {} ORDER BY {} LIMIT 1 BY {keys} LIMIT {{limit:UInt64}})",
            all("stored.", ""),
            table.name,
            earlier(""),
            all("", " DESC"),
            keys = all("", "")
        ),
    };
    let which = format!("{condition} ORDER BY {} LIMIT {{limit:UInt64}}", all("stored.", " DESC"));
    let mut query = selected(server, table, &which).param("limit", u64::try_from(limit).unwrap_or(u64::MAX));
    if let Some(cursor) = before {
        query = bind(query, table, &kinds, cursor)?;
    }
    read(server, table, query).await
}

#[derive(clickhouse::Row, Deserialize)]
struct CountAnswer {
    rows: u64,
}

/// How many rows there are, up to `most`.
pub(super) async fn count(server: &Server, table: &Table, most: u64) -> Result<u64, Fault> {
    // sql: identifiers only
    let sql = format!("SELECT count() AS rows FROM (SELECT 1 FROM {} FINAL LIMIT {{most:UInt64}})", table.name);
    let rows = server.rows::<CountAnswer>(server.query(&sql).param("most", most)).await?;
    Ok(rows.first().map_or(0, |row| row.rows))
}
