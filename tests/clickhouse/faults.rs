//! What goes wrong with a server: cut-off commits, kills, refusals, refused rows.

use super::{InDatabase, Pool};
use crate::support::clickhouse::Server;
use model::derived::{DerivedChange, Value};
use model::pattern::Finding;
use model::position::Positions;
use model::rows::Rows;
use model::secret::Secret;
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::compliance::rows::{bucket, event, finding};
use sinks::compliance::{Dump, commit_of};
use sinks::error::FaultClass;
use sinks::{Commit, StoreWriter};
use std::collections::BTreeMap;
use std::time::Duration;

fn with_positions(tick: u64, rows: Rows, findings: Vec<Finding>, removed: Vec<String>) -> Commit {
    let position = Positions(BTreeMap::from([("events.ndjson".to_owned(), tick.to_string())]));
    Commit { findings, removed, positions: vec![("files".to_owned(), position)], ..commit_of(tick, rows) }
}

/// Three commits that touch every step of a commit: new rows, newer copies, late copies that are stored separately and
/// then count, findings that change and go.
fn commits() -> Vec<Commit> {
    let events = (0..20).map(|i| event(&format!("e{i:02}"), i * 60_000)).collect();
    let metrics = (0..60).map(|i| bucket(&format!("svc-{}", i % 3), i / 3 * 60_000)).collect();
    let a = finding("a", 0.5, &[("e00", "e01"), ("e02", "e03")]);
    let b = finding("b", 0.9, &[("e00", "e05")]);
    let id_b = b.correlation.key.correlation_id();
    let mut moved = event("e01", 40 * 86_400_000);
    moved.version = 1;
    let mut fuller = bucket("svc-0", 0);
    fuller.count = Some(99);
    let second =
        Rows { events: vec![moved], metrics: vec![fuller, bucket("svc-0", 90 * 60_000)].into(), ..Rows::default() };
    let late = Rows {
        events: vec![model::event::Event { version: 1, ..event("e02", 3_600_000) }],
        metrics: [model::metric::MetricPoint { count: Some(99), ..bucket("svc-1", 0) }].into(),
        ..Rows::default()
    };
    let changed = finding("a", 0.75, &[("e00", "e01"), ("e04", "e06")]);
    vec![
        with_positions(1, Rows { events, metrics, ..Rows::default() }, vec![a, b], vec![]),
        Commit { late: late.clone().into(), ..with_positions(2, second, vec![changed], vec![]) },
        with_positions(3, late, vec![], vec![id_b]),
    ]
}

/// What the commits leave when nothing goes wrong, and how many inserts each needs.
async fn undisturbed(server: &Server) -> (Dump, Vec<usize>) {
    let fixture = InDatabase::new(server);
    let mut store = fixture.opened().await;
    let mut statements = Vec::new();
    for commit in commits() {
        server.clear_log();
        store.commit(&commit).await.unwrap();
        statements
            .push(server.log().iter().filter(|sql| sql.starts_with("INSERT") && !sql.contains("writers")).count());
    }
    (fixture.rows(), statements)
}

/// At every insert of every commit (a cut at a query is a cut before the insert after it): the fault strikes, the
/// commit fails, nothing false can be seen, and the same commit again, by the same process or by its successor, leaves
/// what an undisturbed run leaves.
async fn every_cut_heals(server: &Server, fault: &str, reopens: bool) {
    let (expected, statements) = undisturbed(server).await;
    let pool = Pool::default();
    for (cut_commit, cut_statements) in statements.iter().enumerate() {
        for at in 1..=*cut_statements {
            let fixture = InDatabase::of_pool(server, &pool);
            let mut store = fixture.opened().await;
            for (number, commit) in commits().iter().enumerate() {
                if number == cut_commit {
                    server.control(&format!("do={fault}&at={at}&only=INSERT"));
                    let error = store.commit(commit).await.unwrap_err();
                    assert_eq!(error.class, FaultClass::Retry, "{error} {:?}", error.cause);
                    let stands =
                        store.reader().positions().await.unwrap().get("files").map(|it| it.0["events.ndjson"].clone());
                    // the answer to the last insert of all may be what was lost
                    let is_last = at == *cut_statements && fault == "lose";
                    let expected = if is_last { number + 1 } else { number };
                    assert_eq!(stands, (expected > 0).then(|| expected.to_string()), "{fault} {at} of commit {number}");
                    for correlation in store.reader().correlations().await.unwrap() {
                        let evidence = store.reader().evidence(&correlation.key.correlation_id()).await.unwrap();
                        assert!(!evidence.is_empty(), "{fault} {at} of commit {number}: half a finding is seen");
                        let weight: f64 = evidence.iter().map(|row| row.weight.0).sum();
                        assert!((weight - 1.0).abs() < 1e-9, "{fault} {at} of commit {number}: mixed evidence");
                    }
                    if reopens {
                        drop(store);
                        store = fixture.opened().await;
                    }
                }
                store.commit(commit).await.unwrap();
            }
            assert_eq!(fixture.rows(), expected, "{fault} at insert {at} of commit {cut_commit}");
        }
    }
}

#[tokio::test]
async fn a_commit_refused_at_any_insert_is_healed_by_its_repeat() {
    let Some(server) = Server::start() else { return };
    every_cut_heals(&server, "refuse", false).await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_healed_by_its_repeat() {
    let Some(server) = Server::start() else { return };
    every_cut_heals(&server, "lose", true).await;
}

#[tokio::test]
async fn a_server_that_answers_500_in_the_middle_of_a_batch_is_tried_again() {
    let Some(server) = Server::start() else { return };
    let fixture = InDatabase::new(&server);
    let mut store = fixture.opened().await;
    let metrics = (0..200_000).map(|i| bucket(&format!("svc-{}", i % 100), i / 100 * 60_000)).collect();
    let commit = with_positions(1, Rows { metrics, ..Rows::default() }, vec![], vec![]);
    server.control("do=half&only=INSERT+INTO+federated_metrics&status=500&message=<html>proxy</html>");
    let error = store.commit(&commit).await.unwrap_err();
    assert_eq!(error.class, FaultClass::Retry, "{error} {:?}", error.cause);
    assert!(store.reader().positions().await.unwrap().is_empty());
    store.commit(&commit).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().rows["federated_metrics"], 200_000);
    assert_eq!(server.query(&fixture.database, "SELECT count() FROM federated_metrics"), "200000\n", "nothing doubled");
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_an_insert_and_restarted_loses_and_doubles_nothing() {
    let Some(mut server) = Server::start() else { return };
    let expected = undisturbed(&server).await.0;
    let database = server.database();
    let config = |server: &Server| ClickHouseConfig::at("127.0.0.1", server.port(), &database);
    for (round, after_ms) in [0, 1, 2, 4, 8, 16].into_iter().enumerate() {
        let mut store = ClickHouseStore::open(config(&server)).await.unwrap();
        let table = ["federated_metrics", "correlation_evidence", "source_positions"][round % 3];
        server.control(&format!("do=die&only=INSERT+INTO+{table}&after_ms={after_ms}"));
        let mut died = false;
        for commit in commits() {
            if let Err(error) = store.commit(&commit).await {
                assert_eq!(error.class, FaultClass::Retry, "{error} {:?}", error.cause);
                died = true;
                break;
            }
        }
        // from the second round on, a commit that finds everything stored may need no such insert
        if died {
            server.await_end();
            let error = ClickHouseStore::open(config(&server)).await.err().unwrap();
            assert!(error.hint.contains("nothing listens there"), "{error}");
        }
        server.restart();
    }
    let mut store = ClickHouseStore::open(config(&server)).await.unwrap();
    for commit in commits() {
        store.commit(&commit).await.unwrap();
    }
    let fixture = InDatabase { server: &server, database: database.clone(), pool: None };
    let mut found = fixture.rows();
    // revisions count the commits that were repeated from the start
    assert_eq!(found.remove("correlations").unwrap().len(), expected["correlations"].len());
    for (table, rows) in found {
        assert_eq!(rows, expected[&table], "{table}");
    }
}

#[tokio::test]
async fn a_slow_server_is_given_up_in_time_and_tried_again() {
    let Some(server) = Server::start() else { return };
    let fixture = InDatabase::new(&server);
    let config = ClickHouseConfig { statement_limit: Duration::from_secs(1), ..fixture.config() };
    let mut store = ClickHouseStore::open(config).await.unwrap();
    let commit = commit_of(1, Rows { events: vec![event("e", 0)], ..Rows::default() });
    server.control("do=delay&after_ms=4000&only=SELECT");
    let error = store.commit(&commit).await.unwrap_err();
    assert_eq!(error.class, FaultClass::Retry, "{error}");
    assert!(error.hint.contains("no response"), "{error}");
    store.commit(&commit).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().rows["federated_events"], 1);
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_database_say_what_to_do() {
    let Some(server) = Server::start_with_password("right") else { return };
    let at = |database: &str, password: &str| ClickHouseConfig {
        password: Secret::new(password),
        ..ClickHouseConfig::at("127.0.0.1", server.port(), database)
    };
    let error = ClickHouseStore::open(at("default", "wrong")).await.err().unwrap();
    assert_eq!(error.class, FaultClass::Stop);
    let text = error.to_string();
    for part in ["127.0.0.1", &server.port().to_string(), "database default", "user default", "password_env"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("wrong"), "{text}");
    let error = ClickHouseStore::open(at("nowhere", "right")).await.err().unwrap();
    assert_eq!(error.class, FaultClass::Stop);
    assert!(error.hint.contains("CREATE DATABASE"), "{error}");
    drop(ClickHouseStore::open(at("default", "right")).await.unwrap());
}

#[tokio::test]
async fn a_missing_table_stops_and_rejects_no_row() {
    let Some(server) = Server::start() else { return };
    let fixture = InDatabase::new(&server);
    let mut store = fixture.opened().await;
    server.query(&fixture.database, "RENAME TABLE federated_events TO away");
    let commit = with_positions(1, Rows { events: vec![event("e", 0)], ..Rows::default() }, vec![], vec![]);
    let error = store.commit(&commit).await.unwrap_err();
    assert_eq!(error.class, FaultClass::Stop, "{error}");
    assert!(error.hint.contains("a table is missing"), "{error}");
    assert!(error.hint.contains("a restart does not make it"), "an operator would restart in vain: {error}");
    assert!(error.hint.contains("restore the table from a backup"), "{error}");
    server.query(&fixture.database, "RENAME TABLE away TO federated_events");
    assert!(store.reader().totals().await.unwrap().rejects.is_empty());
    assert!(store.reader().positions().await.unwrap().is_empty());
    store.commit(&commit).await.unwrap();
}

#[tokio::test]
async fn a_missing_table_of_derived_rows_is_created_when_the_store_is_opened() {
    let Some(server) = Server::start() else { return };
    let fixture = InDatabase::new(&server);
    let mut store = fixture.opened().await;
    server.query(&fixture.database, "DROP TABLE deployment_timeline SYNC");
    let removed = vec![["shop-production", "d1"].map(|text| Value::Text(text.to_owned())).to_vec()];
    let change = DerivedChange { table: "deployment_timeline".to_owned(), upserts: Vec::new(), removed };
    let commit = Commit { derived: vec![change], ..with_positions(1, Rows::default(), vec![], vec![]) };
    let error = store.commit(&commit).await.unwrap_err();
    assert_eq!(error.class, FaultClass::Stop, "{error}");
    assert!(error.hint.contains("coral-pipeline migrate"), "{error} {:?}", error.cause);
    assert!(!error.hint.contains("backup"), "it needs none: {error}");
    drop(store);
    let mut store = fixture.opened().await;
    store.commit(&commit).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().rows["deployment_timeline"], 0);
}

#[tokio::test]
async fn a_full_disk_stops_and_the_same_commit_goes_through_later() {
    let Some(server) = Server::start_on_small_disk(48) else { return };
    let fixture = InDatabase::new(&server);
    let mut store = fixture.opened().await;
    server.query(&fixture.database, "CREATE TABLE ballast (text String) ENGINE = MergeTree ORDER BY tuple()");
    for rows in [10_000, 1_000, 100, 10] {
        let sql = format!("INSERT INTO ballast SELECT randomString(1000) FROM numbers({rows})");
        while server.try_query(&fixture.database, &sql).is_ok() {}
    }
    let metrics = (0..50_000).map(|i| bucket(&format!("svc-{}", i % 100), i / 100 * 60_000)).collect();
    let commit = with_positions(1, Rows { metrics, ..Rows::default() }, vec![], vec![]);
    let error = store.commit(&commit).await.unwrap_err();
    assert_eq!(error.class, FaultClass::Stop, "{error} {:?}", error.cause);
    assert!(error.hint.contains("disk is full"), "{error} {:?}", error.cause);
    assert!(store.reader().positions().await.unwrap().is_empty());
    assert!(store.reader().totals().await.unwrap().rejects.is_empty());
    server.query(&fixture.database, "DROP TABLE ballast SYNC");
    store.commit(&commit).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().rows["federated_metrics"], 50_000);
}

#[tokio::test]
async fn a_refused_value_costs_its_row_and_no_other() {
    let Some(server) = Server::start() else { return };
    let fixture = InDatabase::new(&server);
    let mut store = fixture.opened().await;
    server
        .query(&fixture.database, "ALTER TABLE federated_events ADD CONSTRAINT short CHECK length(description) < 100");
    let mut events: Vec<_> = (0..300).map(|i| event(&format!("e{i:03}"), i * 1_000)).collect();
    for i in [0, 17, 18, 299] {
        events[i].description = "x".repeat(200);
    }
    let commit = with_positions(1, Rows { events: events.clone(), ..Rows::default() }, vec![], vec![]);
    for _ in 0..2 {
        store.commit(&commit).await.unwrap();
        let totals = store.reader().totals().await.unwrap();
        assert_eq!(totals.rows["federated_events"], 296);
        assert_eq!(totals.rejects, BTreeMap::from([("refused_by_store".to_owned(), 4)]));
    }
    assert_eq!(store.reader().positions().await.unwrap().len(), 1);
    let reject =
        server.query(&fixture.database, "SELECT source, place, detail, raw FROM rejects FINAL ORDER BY place LIMIT 1");
    for part in ["store\t", "federated_events shop-production/e000", "Constraint", "short", "xxx"] {
        assert!(reject.contains(part), "{part}: {reject}");
    }
    // all rows refused: the table is at fault
    server
        .query(&fixture.database, "ALTER TABLE federated_events ADD CONSTRAINT never CHECK length(description) > 1000");
    let others = (0..100).map(|i| event(&format!("f{i:03}"), i * 1_000)).collect();
    let error = store.commit(&commit_of(2, Rows { events: others, ..Rows::default() })).await.unwrap_err();
    assert_eq!(error.class, FaultClass::Stop, "{error}");
}

/// A process that ends between taking back a correlation and its evidence: the pattern may not come up again, so its
/// successor must learn what is left.
#[tokio::test]
async fn what_is_left_of_a_correlation_that_was_half_taken_back_is_known_and_goes() {
    let Some(server) = Server::start() else { return };
    let (expected, _) = undisturbed(&server).await;
    let [first, second, third] = <[Commit; 3]>::try_from(commits()).unwrap();
    let gone = third.removed[0].clone();
    for table in ["correlation_evidence", "federated_events", "event_correlations"] {
        let fixture = InDatabase::new(&server);
        let mut store = fixture.opened().await;
        store.commit(&first).await.unwrap();
        store.commit(&second).await.unwrap();
        // its rows, so that what is cut is the taking back
        store.commit(&Commit { removed: Vec::new(), ..third.clone() }).await.unwrap();
        server.control(&format!("do=refuse&only=INSERT+INTO+{table}"));
        store.commit(&third).await.unwrap_err();
        drop(store);
        let mut store = fixture.opened().await;
        let ids: Vec<String> =
            store.reader().correlations().await.unwrap().iter().map(|row| row.key.correlation_id()).collect();
        assert!(!ids.contains(&gone), "{table}: the correlation has been taken back");
        assert!(store.reader().published().await.unwrap().contains(&gone), "{table}");
        // as a run does that does not find it any more; with the positions that stand already
        store.commit(&Commit { removed: vec![gone.clone()], ..third.clone() }).await.unwrap();
        assert_eq!(store.reader().published().await.unwrap(), ids, "{table}");
        assert_eq!(fixture.rows(), expected, "{table}");
    }
}
