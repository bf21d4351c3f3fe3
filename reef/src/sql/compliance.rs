//! The harness that SQL over every store passes: generated statements against the same rows in memory, hostile statements,
//! limits.

mod generated;
mod hostile;

use super::SqlError;
use super::engine::{SqlEngine, SqlQuestion};
use super::limits::Limits;
use crate::answers::Scope;
use sinks::StoreReader;
use std::sync::Arc;

/// Runs all of it over a store that has rows in `federated_metrics` and `federated_events`.
///
/// # Panics
/// When the store does not pass.
pub async fn run_all(reader: Arc<dyn StoreReader>) {
    generated::statements_give_what_they_give_over_the_same_rows_in_memory(&reader).await;
    hostile::nothing_but_reading_is_answered(&reader).await;
    limits_end_a_statement(&reader).await;
}

/// Rows of a statement, as JSON, in order.
async fn rows(engine: &SqlEngine, reader: &Arc<dyn StoreReader>, sql: &str) -> Result<Vec<String>, SqlError> {
    let question = SqlQuestion { sql: sql.to_owned(), limit: Some(100_000), timeout_ms: None };
    let answer = engine.answer(&question, reader, &Scope::default()).await?;
    let mut rows: Vec<String> = answer.table.json_rows().into_iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    Ok(rows)
}

/// A statement that works for days on the rows of the store.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b, \
                       federated_events AS e WHERE a.value * b.value % 7 = e.version + 3";

async fn limits_end_a_statement(reader: &Arc<dyn StoreReader>) {
    let engine = SqlEngine::new(Limits { memory_bytes: 1 << 20, ..Limits::default() });
    let ask = async |sql: &str, limit, timeout_ms| {
        let question = SqlQuestion { sql: sql.to_owned(), limit, timeout_ms };
        engine.answer(&question, reader, &Scope::default()).await
    };
    let ended = ask(ENDLESS, None, Some(300)).await;
    assert!(matches!(ended, Err(SqlError::TimedOut { .. })), "{ended:?}");
    let sorted = "SELECT a.value AS a, b.value AS b FROM generate_series(1, 1000) AS a, generate_series(1, 1000) AS b \
                  ORDER BY a.value * b.value, a.value";
    let ended = ask(sorted, Some(100_000), None).await;
    assert!(matches!(ended, Err(SqlError::Memory)), "{ended:?}");
    let cut = ask("SELECT event_id FROM federated_events", Some(1), None).await.unwrap_or_else(|it| panic!("{it}"));
    assert!(cut.truncated && cut.table.len() == 1 && cut.notes[0].code == "limit_reached", "{:?}", cut.notes);
    assert_eq!(cut.reads[0].rows, 2, "the limit is left to the store: {:?}", cut.reads);
    // the turns of statements that were ended are free again
    let count = ask("SELECT count(*) FROM federated_events", None, None).await;
    assert!(count.is_ok(), "{count:?}");
}
