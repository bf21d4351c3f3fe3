//! Limits: each of them ends a statement, and what it has kept is free again.

use crate::answers::Scope;
use crate::sql::engine::{SqlEngine, SqlQuestion};
use crate::sql::limits::Limits;
use crate::sql::{SqlAnswer, SqlError};
use sinks::StoreReader;
use std::sync::Arc;
use std::time::Duration;

/// A statement that works for days on the rows of the store.
const ENDLESS: &str = "SELECT count(*) FROM federated_events AS e, generate_series(1, 1000000000000) AS b \
                       WHERE b.value + octet_length(e.event_id) < 0";

/// Statements of which one batch, one text or one window is larger than the memory of all statements.
const GREEDY: &[&str] = &[
    // rows without columns
    "SELECT count(*) OVER () FROM generate_series(1, 100000) AS a, generate_series(1, 100000) AS b",
    "SELECT max(a.value) OVER (ORDER BY b.value ROWS BETWEEN CURRENT ROW AND 1000000000 FOLLOWING) \
     FROM generate_series(1, 3) AS a, generate_series(1, 100000000) AS b",
    // one long text, or one long list, for each row
    "SELECT count(a.x) FROM (SELECT string_agg(CAST(value AS VARCHAR), ',') AS x FROM generate_series(1, 100000)) \
     AS a, generate_series(1, 100000) AS b",
    "SELECT count(*) FROM (SELECT unnest(a.x) FROM (SELECT array_agg(value) AS x FROM generate_series(1, 100000)) \
     AS a, generate_series(1, 100000) AS b)",
    "SELECT b.value, (SELECT string_agg(CAST(value AS VARCHAR), ',') FROM generate_series(1, 100000)) AS x \
     FROM generate_series(1, 100000) AS b",
    "SELECT max(octet_length(y)) FROM (SELECT unnest(x), y FROM (SELECT array_agg(value) AS x, \
     string_agg(CAST(value AS VARCHAR), ',') AS y FROM generate_series(1, 20000)))",
    // a text of texts of texts
    "SELECT max(octet_length(concat(c, c, c, c, c, c, c, c, c, c))) \
     FROM (SELECT concat(b, b, b, b, b, b, b, b, b, b) AS c FROM (SELECT concat(a, a, a, a, a, a, a, a, a, a) AS b \
     FROM (SELECT replace(CAST(value AS VARCHAR), '', '0123456789') AS a FROM generate_series(1000, 100000))))",
    "SELECT max(octet_length(b || b || b || b || b || b || b || b)) \
     FROM (SELECT a || a || a || a || a || a || a || a AS b FROM \
     (SELECT replace(CAST(value AS VARCHAR), '', '0123456789012345678901234567890123456789') AS a \
     FROM generate_series(1000, 100000)))",
    // rows that a join keeps and that take nothing
    "SELECT count(*) FROM generate_series(1, 2) AS a, generate_series(1, 2) AS b, generate_series(1, 2) AS c, \
     generate_series(1, 2) AS d, generate_series(1, 2) AS e, generate_series(1, 2) AS f, generate_series(1, 2) AS g, \
     generate_series(1, 2) AS h, generate_series(1, 2) AS i, generate_series(1, 2) AS j, generate_series(1, 2) AS k, \
     generate_series(1, 2) AS l, generate_series(1, 2) AS m, generate_series(1, 2) AS n, generate_series(1, 2) AS o, \
     generate_series(1, 2) AS p, generate_series(1, 2) AS q, generate_series(1, 2) AS r, generate_series(1, 2) AS s, \
     generate_series(1, 2) AS t, generate_series(1, 2) AS u, generate_series(1, 2) AS v, generate_series(1, 2) AS w, \
     generate_series(1, 2) AS x, generate_series(1, 2) AS y, generate_series(1, 2) AS z, generate_series(1, 2) AS a1, \
     generate_series(1, 2) AS b1, generate_series(1, 2) AS c1, generate_series(1, 2) AS d1, \
     generate_series(1, 2) AS e1",
    // kept by a sort, by groups, by a join
    "SELECT a.value AS a, b.value AS b FROM generate_series(1, 1000) AS a, generate_series(1, 1000) AS b \
     ORDER BY a.value * b.value, a.value",
    "SELECT count(*) FROM (SELECT DISTINCT a.value * 100000 + b.value FROM generate_series(1, 10000) AS a, \
     generate_series(1, 10000) AS b)",
    "SELECT count(*) FROM generate_series(1, 10000000) AS a JOIN generate_series(1, 10000000) AS b \
     ON a.value = b.value",
];

/// Statements with an expression that makes of one row more than is made at once, in each place of a statement.
fn greedy_expressions() -> Vec<String> {
    let texts: Vec<String> = (0..60).map(|n| format!("reverse(left(x, {}))", 999_999 - n)).collect();
    let made = format!("octet_length(greatest({}))", texts.join(", "));
    let row = "(SELECT string_agg(CAST(value AS VARCHAR), ',') AS x FROM generate_series(1, 100000)) AS t";
    vec![
        format!("SELECT {made} FROM {row}"),
        format!("SELECT max({made}) FROM {row}"),
        format!("SELECT 1 FROM {row} WHERE {made} > 0"),
    ]
}

async fn ask(
    engine: &SqlEngine,
    reader: &Arc<dyn StoreReader>,
    (sql, limit, timeout_ms): (&str, Option<usize>, Option<u64>),
) -> Result<SqlAnswer, SqlError> {
    let question = SqlQuestion { sql: sql.to_owned(), limit, timeout_ms };
    engine.answer(&question, reader, &Scope::default()).await
}

pub(super) async fn each_limit_ends_a_statement(reader: &Arc<dyn StoreReader>) {
    let engine = SqlEngine::new(Limits { answer_bytes_max: 1 << 20, ..Limits::default() });
    let ended = ask(&engine, reader, (ENDLESS, None, Some(300))).await;
    assert!(matches!(ended, Err(SqlError::TimedOut { after }) if after == Duration::from_millis(300)), "{ended:?}");
    let wide = "SELECT value, 'a text of some length' AS text FROM generate_series(1, 100000)";
    let ended = ask(&engine, reader, (wide, Some(100_000), None)).await;
    assert!(matches!(ended, Err(SqlError::AnswerTooLarge { .. })), "{ended:?}");
    // groups are given as parts of one batch, and each counts for itself
    let groups = "SELECT value % 20000 AS g, count(*) AS n FROM generate_series(1, 40000) GROUP BY 1";
    let answer = ask(&engine, reader, (groups, Some(100_000), None)).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((answer.table.len(), answer.truncated), (20_000, false));
    let cut = ask(&engine, reader, ("SELECT event_id FROM federated_events", Some(1), None)).await;
    let cut = cut.unwrap_or_else(|error| panic!("{error}"));
    assert!(cut.truncated && cut.table.len() == 1 && cut.notes[0].code == "limit_reached", "{:?}", cut.notes);
    assert_eq!(cut.reads[0].rows, 2, "the limit is left to the store: {:?}", cut.reads);
    for (limit, timeout_ms) in [(Some(0), None), (Some(100_001), None), (None, Some(0)), (None, Some(30_001))] {
        let refused = ask(&engine, reader, ("SELECT 1", limit, timeout_ms)).await;
        assert!(matches!(refused, Err(SqlError::Refused { .. })), "{limit:?} {timeout_ms:?}: {refused:?}");
    }
}

pub(super) async fn no_statement_takes_more_memory_than_the_limit(reader: &Arc<dyn StoreReader>) {
    let engine = SqlEngine::new(Limits { memory_bytes: 4 << 20, ..Limits::default() });
    for sql in GREEDY.iter().map(|sql| (*sql).to_owned()).chain(greedy_expressions()) {
        let ended = ask(&engine, reader, (&sql, Some(100_000), None)).await.map(|answer| answer.table.len());
        assert!(matches!(ended, Err(SqlError::Memory)), "{sql}: {ended:?}");
    }
    // turns and memory of statements that were ended are free again
    for sql in [
        "SELECT value, row_number() OVER (ORDER BY value DESC) AS n FROM generate_series(1, 10000) ORDER BY 1",
        "SELECT unnest(x) FROM (SELECT array_agg(value) AS x FROM generate_series(1, 10000))",
        "SELECT a.value || '-' || b.value FROM generate_series(1, 100) AS a, generate_series(1, 100) AS b",
    ] {
        let answer = ask(&engine, reader, (sql, Some(100_000), None)).await;
        assert_eq!(answer.unwrap_or_else(|error| panic!("{sql}: {error}")).table.len(), 10_000, "{sql}");
    }
}
