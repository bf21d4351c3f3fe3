//! The harness that SQL over every store passes: generated statements against the same rows as Parquet, nested
//! and hostile statements, limits.

mod generated;
mod hostile;
mod limits;
mod nested;
pub mod rows;
mod statements;

use super::SqlError;
use super::engine::{SqlEngine, SqlQuestion};
use crate::answers::Scope;
use sinks::StoreReader;
use std::path::Path;
use std::sync::Arc;

/// Runs all of it over a store that has the rows of [`rows::commits`]. No statement writes to `folder`, which is empty.
///
/// # Panics
/// When the store does not pass.
pub async fn run_all(reader: Arc<dyn StoreReader>, folder: &Path) {
    generated::statements_give_what_they_give_over_the_same_rows_as_parquet(&reader).await;
    nested::a_statement_that_reads_like_the_one_below_it_is_computed(&reader).await;
    hostile::nothing_but_reading_is_answered(&reader, folder).await;
    limits::each_limit_ends_a_statement(&reader).await;
    limits::no_statement_takes_more_memory_than_the_limit(&reader).await;
}

/// Rows of a statement, as JSON, in order.
async fn answered(engine: &SqlEngine, reader: &Arc<dyn StoreReader>, sql: &str) -> Result<Vec<String>, SqlError> {
    let question = SqlQuestion { sql: sql.to_owned(), limit: Some(100_000), timeout_ms: None };
    let answer = engine.answer(&question, reader, &Scope::default()).await?;
    Ok(in_order(&answer.table))
}

fn in_order(table: &super::Table) -> Vec<String> {
    let mut rows: Vec<String> = table.json_rows().into_iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}
