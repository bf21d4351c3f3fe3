//! Statements in SQL that end early: their reads end in the server as well.

use super::InDatabase;
use crate::support::clickhouse::Server;
use reef::answers::Scope;
use reef::sql::{SqlEngine, SqlError, SqlQuestion, stored_tables};
use sinks::StoreReader;
use sinks::clickhouse::ClickHouseReader;
use sinks::scan::Scan;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a server may take to notice something; far less than a read of [`slow`] takes.
const WAIT: Duration = Duration::from_secs(60);

/// A store with a column of which each value takes the server 0.3 ms, and all of them five minutes.
async fn slow(server: &Server, fixture: &InDatabase<'_>) -> Arc<dyn StoreReader> {
    drop(fixture.opened().await);
    for sql in [
        "INSERT INTO federated_events (event_id, colony_id, timestamp)
         SELECT toString(number), 'c', now64(3) FROM numbers(1000000)",
        "ALTER TABLE federated_events MODIFY COLUMN description String ALIAS toString(sleepEachRow(0.0003))",
    ] {
        server.query(fixture.name(), sql);
    }
    Arc::new(ClickHouseReader::open(fixture.config()).await.unwrap())
}

/// The time limits of the reads that run in the server, in seconds.
fn running(server: &Server, fixture: &InDatabase<'_>) -> Vec<u64> {
    let sql = format!(
        "SELECT Settings['max_execution_time'] FROM system.processes
         WHERE query LIKE '%FROM federated_events AS stored FINAL%' AND query NOT LIKE '%system.processes%'
           AND current_database = '{}'",
        fixture.name()
    );
    server.query("default", &sql).lines().map(|line| line.parse().unwrap()).collect()
}

/// Looks until it is so.
async fn until(server: &Server, fixture: &InDatabase<'_>, is_so: impl Fn(&[u64]) -> bool) -> Vec<u64> {
    let began = Instant::now();
    loop {
        let found = running(server, fixture);
        if is_so(&found) {
            return found;
        }
        assert!(began.elapsed() < WAIT, "{found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_nobody_waits_for_ends_in_the_server() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let reader = slow(&server, &fixture).await;
    let table = stored_tables().find(|table| table.name == "federated_events").unwrap();
    let column = table.columns.iter().position(|(name, _)| *name == "description").unwrap();
    let scan = Scan { table, columns: vec![column], conditions: Vec::new(), aggregates: Vec::new(), limit: None };
    let scanned = reader.scan(scan).await.unwrap();
    let limits = until(&server, &fixture, |found| !found.is_empty()).await;
    assert_eq!(limits, [300], "the limit of the store does not end it meanwhile");
    drop(scanned);
    until(&server, &fixture, <[u64]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_of_a_statement_is_that_of_its_reads() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let reader = slow(&server, &fixture).await;
    let ask = |timeout_ms| {
        let sql = "SELECT count(*) FROM federated_events WHERE description LIKE '%x%'".to_owned();
        let (question, reader) = (SqlQuestion { sql, limit: None, timeout_ms }, Arc::clone(&reader));
        tokio::spawn(async move { SqlEngine::default().answer(&question, &reader, &Scope::default()).await })
    };
    let asked = ask(None);
    let limits = until(&server, &fixture, |found| !found.is_empty()).await;
    assert!(matches!(limits[..], [1..=31]), "30 s, and a little more: {limits:?}");
    asked.abort();
    until(&server, &fixture, <[u64]>::is_empty).await;
    // a caller hears of its own limit, not of the server's
    let ended = ask(Some(1_500)).await.unwrap();
    assert!(matches!(ended, Err(SqlError::TimedOut { .. })), "{ended:?}");
    until(&server, &fixture, <[u64]>::is_empty).await;
}
