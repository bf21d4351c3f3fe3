//! Statements over a DuckDB file: answers, what is left to the store, limits, ends.
#![allow(clippy::unwrap_used)]

mod files;

use super::compliance::{rows::commits, run_all};
use super::*;
use crate::answers::Scope;
use model::event::Event;
use model::instruments::Registry;
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;
use model::time::MINUTE_MS;
use serde_json::json;
use sinks::compliance::commit_of;
use sinks::compliance::rows::{bucket, colony, event, finding};
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Commit, StoreReader, StoreWriter};
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::StreamExt;

/// Events and buckets of several services, with texts that end statements; a pattern; a colony.
fn commit() -> Commit {
    let services = ["api", "web", "it's", "x' OR 1=1 --"];
    let events: Vec<Event> = (0..40_usize)
        .map(|n| Event {
            service_id: services[n % 4].to_owned(),
            event_type: ["deploy", "crash", "restart"][n % 3].to_owned(),
            version: u64::from(n.is_multiple_of(5)),
            ..event(&format!("e{n}"), n as i64 * MINUTE_MS + n as i64 % 7)
        })
        .collect();
    let metrics: Vec<MetricPoint> = (0..300_usize)
        .map(|n| MetricPoint {
            p99: (!n.is_multiple_of(3)).then_some(Real(n as f64 / 8.0)),
            ..bucket(services[n % 4], n as i64 * MINUTE_MS)
        })
        .collect();
    let rows = Rows { events, metrics: metrics.into(), colonies: vec![colony()], ..Rows::default() };
    Commit { findings: vec![finding("a", 0.5, &[("e1", "e2"), ("e3", "e4")])], ..commit_of(1, rows) }
}

struct Store {
    reader: Arc<dyn StoreReader>,
    store: DuckDbStore,
    _folder: tempfile::TempDir,
}

async fn opened() -> Store {
    opened_with(&[commit()]).await
}

async fn opened_with(commits: &[Commit]) -> Store {
    let folder = tempfile::tempdir().unwrap();
    let mut store = DuckDbStore::open(DuckDbConfig::at(folder.path().join("reef.duckdb"))).await.unwrap();
    for commit in commits {
        store.commit(commit).await.unwrap();
    }
    Store { reader: store.reader(), store, _folder: folder }
}

async fn ask(store: &Store, sql: &str) -> Result<SqlAnswer, SqlError> {
    let question = SqlQuestion { sql: sql.to_owned(), ..SqlQuestion::default() };
    SqlEngine::default().answer(&question, &store.reader, &Scope::default()).await
}

async fn rows(store: &Store, sql: &str) -> serde_json::Value {
    json!(ask(store, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).table.json_rows())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_duckdb_passes_the_harness() {
    let (store, folder) = (opened_with(&commits()).await, tempfile::tempdir().unwrap());
    run_all(Arc::clone(&store.reader), folder.path()).await;
}

#[tokio::test]
async fn tables_are_joined_grouped_and_sorted() {
    let store = opened().await;
    let sql = "SELECT e.event_type, count(*) AS n, max(m.p95) AS worst FROM federated_events AS e
               JOIN federated_metrics AS m ON m.service_id = e.service_id AND date_trunc('minute', m.timestamp)
                 = date_trunc('minute', e.timestamp)
               WHERE e.timestamp < '2026-03-02T10:12:00Z' GROUP BY e.event_type ORDER BY n DESC, e.event_type";
    assert_eq!(rows(&store, sql).await, json!([["crash", 4, 20.06], ["deploy", 4, 20.054], ["restart", 4, 20.066]]));
    let sql = "SELECT timestamp, late, sample_count, p99 FROM federated_metrics WHERE service_id = 'it''s' \
               ORDER BY 1 LIMIT 2";
    let expected = json!([["2026-03-02T10:02:00Z", false, 60, 0.25], ["2026-03-02T10:06:00Z", false, 60, null]]);
    assert_eq!(rows(&store, sql).await, expected);
    let sql = "SELECT correlation_id = 'x' AS same, reason FROM correlations";
    assert_eq!(rows(&store, sql).await, json!([[false, "2 occurrences of the 3 needed"]]));
}

#[tokio::test]
async fn what_a_store_answers_exactly_is_left_to_it_and_nothing_else() {
    let store = opened().await;
    let where_exact = "timestamp >= '2026-03-02T10:00:00Z' AND service_id IN ('api', 'web') AND p99 IS NOT NULL \
                       AND (p95 > 20.5 OR sample_count < 100) AND NOT late";
    let plan = ask(&store, &format!("EXPLAIN SELECT p95 FROM federated_metrics WHERE {where_exact}")).await.unwrap();
    let plan = plan.table.page();
    assert!(plan.contains("SourceExec: table=federated_metrics, columns=[p95], where=["), "{plan}");
    assert!(!plan.contains("FilterExec"), "{plan}");
    let answer = ask(&store, &format!("SELECT p95 FROM federated_metrics WHERE {where_exact}")).await.unwrap();
    assert_eq!(answer.reads.len(), 1);
    assert_eq!(answer.reads[0].rows, answer.table.len() as u64, "{:?}", answer.reads);
    // a part that no store answers is evaluated above it, and a limit is then not left to it
    let sql = "SELECT event_id FROM federated_events WHERE version = 0 AND event_id LIKE '%3' LIMIT 2";
    let plan = ask(&store, &format!("EXPLAIN {sql}")).await.unwrap().table.page();
    assert!(plan.contains("FilterExec") && plan.contains("where=[") && !plan.contains("limit="), "{plan}");
    assert_eq!(ask(&store, sql).await.unwrap().table.len(), 2);
    let limited = ask(&store, "SELECT event_id FROM federated_events WHERE version = 0 LIMIT 2").await.unwrap();
    assert_eq!((limited.table.len(), limited.reads[0].rows, limited.truncated), (2, 2, false));
}

#[tokio::test]
async fn counts_minima_and_maxima_are_left_to_a_store_and_sums_are_not() {
    let store = opened().await;
    let sql =
        "SELECT service_id AS service, count(*) AS n, min(p95), max(timestamp), count(p99) FROM federated_metrics AS m
               WHERE p95 < 20.1 GROUP BY service_id HAVING count(*) > 1 ORDER BY 1";
    let answer = ask(&store, sql).await.unwrap();
    assert_eq!(answer.reads.len(), 1, "{:?}", answer.reads);
    let read = &answer.reads[0];
    assert!(read.pushed.contains("groups=[service_id], aggregates=[count(*)") && read.rows == 4, "{read:?}");
    assert_eq!(answer.table.len(), 4);
    let other =
        "SELECT service_id, sum(sample_count), count(DISTINCT p95) FROM federated_metrics WHERE p95 < 20.1 GROUP BY 1";
    let answer = ask(&store, other).await.unwrap();
    assert!(answer.reads.iter().all(|read| !read.pushed.contains("aggregates=")), "{:?}", answer.reads);
    // a condition that is evaluated above the store leaves its groups there too
    let other =
        "SELECT service_id, count(*) FROM federated_metrics WHERE p95 < 20.1 AND service_id LIKE 'a%' GROUP BY 1";
    let answer = ask(&store, other).await.unwrap();
    assert!(answer.reads.iter().all(|read| !read.pushed.contains("aggregates=")), "{:?}", answer.reads);
    assert_eq!(answer.table.json_rows(), [[json!("api"), json!(5)]]);
}

#[tokio::test]
async fn groups_that_may_be_many_are_not_left_to_a_store() {
    let store = opened().await;
    let pushed = async |sql: &str| {
        let answer = ask(&store, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(!answer.table.is_empty(), "{sql}");
        answer.reads.iter().all(|read| read.pushed.contains("aggregates="))
    };
    for sql in [
        "SELECT DISTINCT * FROM federated_metrics",
        "SELECT DISTINCT event_id FROM federated_events",
        "SELECT timestamp, count(*) FROM federated_events GROUP BY timestamp",
        "SELECT service_id, p95, max(p99) FROM federated_metrics GROUP BY service_id, p95",
    ] {
        assert!(!pushed(sql).await, "{sql}");
    }
    for sql in [
        "SELECT count(*), max(timestamp) FROM federated_events",
        "SELECT DISTINCT service_id, event_type, late FROM federated_events",
    ] {
        assert!(pushed(sql).await, "{sql}");
    }
}

#[tokio::test]
async fn what_holds_for_absent_truths_is_not_left_to_a_store() {
    let store = opened_with(&commits()).await;
    let all = rows(&store, "SELECT count(*) FROM prediction_revisions").await;
    let some = rows(&store, "SELECT count(*) FROM prediction_revisions WHERE is_listed IS NULL").await;
    assert!(some[0][0].as_i64() > Some(0), "some rows say nothing: {some}");
    for (listed, others) in [
        ("is_listed IS TRUE", "NOT (is_listed IS TRUE)"),
        ("is_listed IS FALSE", "(is_listed IS FALSE) IS FALSE"),
        ("is_listed IS NULL", "is_listed IS NOT NULL"),
    ] {
        let sql = |condition: &str| format!("SELECT count(*) FROM prediction_revisions WHERE {condition}");
        let (listed, others) = (rows(&store, &sql(listed)).await, rows(&store, &sql(others)).await);
        let sum = listed[0][0].as_i64().zip(others[0][0].as_i64()).map(|(listed, others)| listed + others);
        assert_eq!(sum, all[0][0].as_i64(), "{listed} and {others} of {all}");
    }
}

#[tokio::test]
async fn an_answer_says_what_the_store_is_complete_to() {
    let store = opened().await;
    let scope = Scope { colonies: vec!["pay-staging".to_owned()], ..Scope::default() };
    let question = SqlQuestion { sql: "SELECT 1".to_owned(), ..SqlQuestion::default() };
    let answer = SqlEngine::default().answer(&question, &store.reader, &scope).await.unwrap();
    let states: Vec<_> = answer.completeness.colonies.iter().map(|it| (it.colony_id.as_str(), it.state)).collect();
    assert_eq!(states, [("pay-staging", "never_seen"), ("shop-production", "current")]);
    assert!(answer.notes.is_empty(), "no stored row was read: {:?}", answer.notes);
    // stored rows lack those of that colony, and a note says so; the limit that is reached has its own
    let question =
        SqlQuestion { sql: "SELECT event_id FROM federated_events".to_owned(), limit: Some(1), timeout_ms: None };
    let answer = SqlEngine::default().answer(&question, &store.reader, &scope).await.unwrap();
    let notes: Vec<_> = answer.notes.iter().map(|it| (it.code.as_str(), it.colony_id.as_str())).collect();
    assert_eq!(notes, [("limit_reached", ""), ("colony_not_current", "pay-staging")]);
    let message = &answer.notes[1].message;
    assert!(message.contains("never seen (nothing has been received from it)"), "{message}");
    // a stream is not ended for it: its rows are all that are stored
    let all = Statement { sql: question.sql, parameters: None };
    let rows = SqlEngine::default().stream(all, &store.reader).await.unwrap();
    assert!(rows.collect::<Vec<_>>().await.iter().all(Result::is_ok));
    // more colonies than are named
    let scope = Scope { colonies: (0..30).map(|n| format!("none-{n}")).collect(), ..Scope::default() };
    let question = SqlQuestion { sql: "SELECT count(*) FROM federated_events".to_owned(), ..SqlQuestion::default() };
    let answer = SqlEngine::default().answer(&question, &store.reader, &scope).await.unwrap();
    assert_eq!(answer.notes.len(), 21, "{:?}", answer.notes);
    assert!(answer.notes[20].message.contains("10 further colonies"), "{:?}", answer.notes[20]);
}

#[tokio::test]
async fn names_that_do_not_exist_are_explained() {
    let store = opened().await;
    for (sql, words) in [
        ("SELECT nothing FROM federated_events", "nothing"),
        ("SELECT * FROM federated_event", "federated_event"),
        ("SELECT md5('x')", "md5"),
        ("SELECT * FORM federated_events", "found: FORM"),
        ("SELECT 1 WHERE 'a", "Unterminated"),
        ("SELECT * FROM files('x.parquet')", "files"),
        ("SELECT * FROM federated_events PREWHERE version = 1", "PREWHERE"),
        ("SELECT * FROM federated_events WHERE timestamp > '2026-03-02T10:00:00.0005Z'", "whole milliseconds"),
    ] {
        match ask(&store, sql).await {
            Err(error @ SqlError::Refused { .. }) => assert!(error.to_string().contains(words), "{sql}: {error}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    let times = "SELECT count(*) FROM federated_events WHERE description <> '2026-03-02T10:00:00.0005Z'
                 AND timestamp < '2026-03-02T11:00:00.000000Z' AND timestamp > now() - INTERVAL '30 years'";
    assert_eq!(rows(&store, times).await, json!([[40]]), "other texts and times have any digits");
    let failed = ask(&store, "SELECT 1 / version FROM federated_events").await;
    assert!(matches!(failed, Err(SqlError::Failed { .. })), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_limited_and_a_statement_that_nobody_waits_for_ends() {
    let store = opened().await;
    let limits = Limits { statements_max: 1, turn_wait: Duration::from_millis(100), ..Limits::default() };
    let engine = SqlEngine::new(limits);
    let endless = SqlQuestion {
        sql: "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b".to_owned(),
        ..SqlQuestion::default()
    };
    let first = {
        let (engine, reader) = (engine.clone(), Arc::clone(&store.reader));
        tokio::spawn(async move { engine.answer(&endless, &reader, &Scope::default()).await })
    };
    let short = SqlQuestion { sql: "SELECT 1".to_owned(), ..SqlQuestion::default() };
    // the first one has its turn before a second one is refused
    while engine.answer(&short, &store.reader, &Scope::default()).await.is_ok() {}
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()));
    let freed = async { while engine.answer(&short, &store.reader, &Scope::default()).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), freed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_closed_ends_its_statements() {
    // far more rows than wait between a store and a caller: the scan runs until they are taken
    let metrics: Vec<MetricPoint> = (0..60_000).map(|n| bucket("api", n * MINUTE_MS)).collect();
    let many = commit_of(1, Rows { metrics: metrics.into(), ..Rows::default() });
    let Store { reader, store, _folder } = opened_with(&[many]).await;
    let all = Statement { sql: "SELECT p95 FROM federated_metrics".to_owned(), parameters: None };
    let mut rows = SqlEngine::default().stream(all, &reader).await.unwrap();
    assert!(rows.next().await.unwrap().is_ok());
    tokio::time::timeout(Duration::from_secs(60), Box::new(store).close()).await.unwrap().unwrap();
    let rest: Vec<_> = tokio::time::timeout(Duration::from_secs(60), rows.collect()).await.unwrap();
    let last = rest.last();
    assert!(matches!(last, Some(Err(Cut::Statement(SqlError::Store(_))))), "{last:?}");
}

#[tokio::test]
async fn rows_have_every_form() {
    let store = opened().await;
    let sql = "SELECT event_id AS id, version AS v, NULL AS none, 'a,\"b\"' AS text, related_events
               FROM federated_events LEFT JOIN deployment_timeline AS d ON d.deployment_id = event_id
               WHERE event_id IN ('e0', 'e1') ORDER BY 1";
    let table = ask(&store, sql).await.unwrap().table;
    assert_eq!(table.csv(), "id,v,none,text,related_events\ne0,1,,\"a,\"\"b\"\"\",\ne1,0,,\"a,\"\"b\"\"\",\n");
    let lines = table.ndjson().unwrap();
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.starts_with(r#"{"id":"e0","v":1,"none":null,"text":"a,\"b\"","related_events":null}"#));
    assert!(table.page().starts_with("id  v  none  text   related_events\n--  -  ----"), "{}", table.page());
    let mut file = Vec::new();
    table.write_parquet(&mut file).unwrap();
    assert_eq!(&file[..4], b"PAR1");
    let again = Table::of_arrow(&table.to_arrow().unwrap()).unwrap();
    assert_eq!((again.json_rows(), again.columns()), (table.json_rows(), table.columns()));
}

#[tokio::test]
async fn columns_of_one_name_are_no_lines_of_objects() {
    let store = opened().await;
    let sql = "SELECT a.event_id, b.event_id FROM federated_events AS a
               JOIN federated_events AS b ON a.event_id = b.event_id";
    let table = ask(&store, sql).await.unwrap().table;
    let refused = table.ndjson().unwrap_err();
    assert!(refused.to_string().contains("\"event_id\"") && refused.hint().contains("aliases"), "{refused}");
    assert!(table.csv().starts_with("event_id,event_id\n"), "other forms have both");
}
