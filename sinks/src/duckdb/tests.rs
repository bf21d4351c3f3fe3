//! The compliance harness on DuckDB, and DuckDB specifics: opening, locking, migrating, time zones, a killed process.
#![allow(clippy::unwrap_used)]

use super::{DuckDbConfig, DuckDbReader, DuckDbStore};
use crate::compliance::derived::SCHEMA;
use crate::compliance::rows::{START, bucket, event, finding};
use crate::compliance::{Dump, Fixture, OnTime, commit_of, run_all};
use crate::error::FaultClass;
use crate::rollup::Sums;
use crate::{Commit, StoreReader, StoreWriter};
use async_trait::async_trait;
use duckdb::Connection;
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;
use model::time::TimeMs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

struct InFolder(tempfile::TempDir);

impl InFolder {
    fn new() -> InFolder {
        InFolder(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Fixture for InFolder {
    type Opened = DuckDbStore;

    async fn open(&self) -> DuckDbStore {
        let config = DuckDbConfig::at(self.0.path().join("reef.duckdb"));
        DuckDbStore::open(DuckDbConfig { schema: SCHEMA, ..config }).await.unwrap()
    }

    async fn close(&self, store: DuckDbStore) {
        Box::new(store).close().await.unwrap();
    }

    async fn dump(&self, store: &mut DuckDbStore) -> Dump {
        store.writer.call("dump", |session| Ok(dump(&session.connection))).await.unwrap()
    }

    async fn fail_next_commit(&self, store: &mut DuckDbStore) -> bool {
        let job = |session: &mut super::session::Session| {
            session.fails_at_end = true;
            Ok(())
        };
        store.writer.call("arrange a failure", job).await.unwrap();
        true
    }
}

/// All tables without the columns of the run, each row as JSON-like text of its columns.
fn dump(connection: &Connection) -> Dump {
    let dump_table = |table: &&str| {
        let excluded = match *table {
            "federated_metrics" | "federated_events" | "late_metric_copies" | "late_event_copies" => {
                "EXCLUDE (stored_at)"
            }
            "correlations" => "EXCLUDE (updated_at)",
            "colony_status" | "source_positions" | "rejects_omitted" => "EXCLUDE (updated_at)",
            table if SCHEMA.derived(table).is_some() => "EXCLUDE (stored_at)",
            _ => "",
        };
        let sql = format!("SELECT r::VARCHAR FROM (SELECT * {excluded} FROM {table}) AS r ORDER BY 1");
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
        ((*table).to_owned(), rows)
    };
    SCHEMA.tables().map(|table| dump_table(&table.name)).collect()
}

#[tokio::test]
async fn compliance() {
    run_all(InFolder::new).await;
}

async fn opened(path: &Path) -> DuckDbStore {
    DuckDbStore::open(DuckDbConfig::at(path)).await.unwrap()
}

#[tokio::test]
async fn the_parent_folder_is_created_and_the_limits_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/reef.duckdb");
    let config = DuckDbConfig { memory_limit_bytes: Some(512 << 20), threads: Some(1), ..DuckDbConfig::at(&path) };
    let store = DuckDbStore::open(config).await.unwrap();
    let settings = store.writer.call("read settings", |session| {
        let sql = "SELECT current_setting('memory_limit')::VARCHAR || ' ' || current_setting('threads')::VARCHAR";
        Ok(session.connection.query_row(sql, [], |row| row.get::<_, String>(0))?)
    });
    assert_eq!(settings.await.unwrap(), "512.0 MiB 1");
    assert!(path.exists());
}

#[tokio::test]
async fn opening_twice_changes_nothing_and_a_newer_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    Box::new(opened(&path).await).close().await.unwrap();
    let versions = |path: &Path| -> Vec<(u32, i64)> {
        let connection = Connection::open(path).unwrap();
        let mut statement =
            connection.prepare("SELECT version, epoch_ms(applied_at) FROM schema_version ORDER BY 1").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let first = versions(&path);
    assert_eq!(first.last().unwrap().0, migrations::KNOWN_VERSION);
    Box::new(opened(&path).await).close().await.unwrap();
    assert_eq!(versions(&path), first);

    Connection::open(&path)
        .unwrap()
        .execute("INSERT INTO schema_version VALUES (999, TIMESTAMP '2026-01-01')", [])
        .unwrap();
    let error = DuckDbStore::open(DuckDbConfig::at(&path)).await.err().unwrap();
    assert_eq!(error.class, FaultClass::Stop);
    assert!(error.cause.unwrap().to_string().contains("version 999"));
}

#[tokio::test]
async fn a_file_opened_for_reading_shows_its_log_too_and_stays_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let mut store = opened(&path).await;
    store.commit(&commit_of(1, Rows { events: vec![event("e", 0)], ..Rows::default() })).await.unwrap();
    // what a killed process leaves: the file and a log that is not part of it yet
    let left = folder.path().join("left.duckdb");
    let log = |path: &Path| path.with_extension("duckdb.wal");
    std::fs::copy(&path, &left).unwrap();
    std::fs::copy(log(&path), log(&left)).unwrap();
    let bytes = || (std::fs::read(&left).unwrap(), std::fs::read(log(&left)).unwrap());
    let before = bytes();
    let config = DuckDbConfig::at(&left);
    let open = || DuckDbReader::open(config.clone());
    let (reading, second): (Arc<dyn StoreReader>, _) = (Arc::new(open().await.unwrap()), open().await.unwrap());
    assert_eq!(reading.events_since(START, None, 9).await.unwrap(), vec![event("e", 0)]);
    assert_eq!(second.totals().await.unwrap().rows["federated_events"], 1);
    drop((reading, second));
    assert_eq!(bytes(), before);
}

#[tokio::test]
async fn a_second_connection_reads_what_is_committed_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = opened(&folder.path().join("reef.duckdb")).await;
    let reader = store.reader();
    assert!(reader.events_since(START, None, 9).await.unwrap().is_empty());
    let commit = commit_of(1, Rows { events: vec![event("e", 0)], ..Rows::default() });
    store.commit(&commit).await.unwrap();
    assert_eq!(reader.events_since(START, None, 9).await.unwrap(), commit.rows.events);
    let path = folder.path().join("reef.duckdb");
    Box::new(store).close().await.unwrap();
    // the reader lets go of the file, so that it can be opened again
    assert!(reader.totals().await.unwrap_err().to_string().contains("closed"));
    assert_eq!(opened(&path).await.reader().events_since(START, None, 9).await.unwrap(), commit.rows.events);
}

#[tokio::test]
async fn only_a_store_of_this_version_is_opened_for_reading() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.duckdb");
    let error = DuckDbReader::open(DuckDbConfig::at(&missing)).await.err().unwrap();
    assert!(error.hint.contains("the file does not exist"), "{error}");
    assert!(!missing.exists(), "reading creates nothing");
    let old = folder.path().join("old.duckdb");
    drop(opened(&old).await);
    let connection = Connection::open(&old).unwrap();
    connection.execute_batch("DELETE FROM schema_version").unwrap();
    drop(connection);
    let error = DuckDbReader::open(DuckDbConfig::at(&old)).await.err().unwrap();
    assert!(error.hint.contains("coral-pipeline migrate"), "{error}");
    assert!(error.cause.is_some_and(|cause| cause.is::<crate::duckdb::EarlierVersion>()));
    let strange = folder.path().join("strange.duckdb");
    Connection::open(&strange).unwrap().execute_batch("CREATE TABLE t (a INTEGER)").unwrap();
    let error = DuckDbReader::open(DuckDbConfig::at(&strange)).await.err().unwrap();
    assert!(error.hint.contains("check storage.path"), "{error}");
}

/// A file as created by the program of that version.
fn of_version(path: &Path, version: usize) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(migrations::DUCKDB_SCHEMA_VERSION_TABLE).unwrap();
    for step in &migrations::DUCKDB[..version] {
        connection.execute_batch(step.sql).unwrap();
        connection.execute("INSERT INTO schema_version VALUES (?, TIMESTAMP '2026-01-01')", [step.version]).unwrap();
    }
    connection
}

#[tokio::test]
async fn an_upgrade_keeps_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let connection = of_version(&path, migrations::DUCKDB.len() - 1);
    connection
        .execute_batch("INSERT INTO colony_status VALUES ('c', 'a', 'e', 'healthy', 1, 1, 0, 0, NULL, NULL, NULL, '', '2026-01-01')")
        .unwrap();
    connection
        .execute_batch(
            "INSERT INTO correlation_evidence (correlation_id, source_ref, target_ref, source_timestamp, target_timestamp, lag_ms, weight)
             VALUES ('c-1', 'a', 'b', TIMESTAMP '2026-01-01 10:00:00', TIMESTAMP '2026-01-01 10:01:00', 60000, 1.0)",
        )
        .unwrap();
    connection.close().unwrap();
    let store = opened(&path).await;
    let evidence = store.reader().evidence("c-1").await.unwrap();
    let [pair] = evidence.as_slice() else { panic!("{evidence:?}") };
    assert_eq!((pair.role, pair.lag_weight.0, pair.lag_ms), (model::pattern::EvidenceRole::Match, 0.0, 60_000));
    assert_eq!(store.reader().colony_status().await.unwrap()[0].colony_id, "c");
    assert!(store.reader().positions().await.unwrap().is_empty(), "its tables are there");
}

/// The step that gives series a number, on rows of several series with repeats of their names in other combinations.
#[tokio::test]
async fn a_file_of_version_7_keeps_its_metric_rows_and_takes_fuller_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let connection = of_version(&path, 7);
    // as `bucket` has them, 40 a series; the old rows were stored before there was `stored_at`
    connection
        .execute_batch(
            "INSERT INTO federated_metrics
             SELECT 'shop-production', 'shop', 'production', service, 'http_latency_ms',
               TIMESTAMP '2026-03-02 10:00:00' + to_minutes(n), 10, 20, NULL, n, 31, 60, seconds, n % 7 = 0,
               CASE WHEN n > 5 THEN TIMESTAMP '2026-03-03' END
             FROM range(40) AS numbers(n), (VALUES ('api', 60), ('web', 60), ('api', 3600)) AS series(service, seconds)",
        )
        .unwrap();
    let shown = |connection: &Connection| -> Vec<String> {
        let sql = "SELECT r::VARCHAR FROM (SELECT COLUMNS(lambda name: name <> 'version') FROM federated_metrics) AS r ORDER BY 1";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let before = shown(&connection);
    connection.close().unwrap();

    let mut store = opened(&path).await;
    let after = store.writer.call("read", move |session| Ok(shown(&session.connection))).await.unwrap();
    assert_eq!(after, before);
    let mut fuller = bucket("web", 8 * 60_000);
    fuller.count = Some(61);
    let mut hourly = bucket("api", 9 * 60_000);
    hourly.series = hourly.series.with(|series| series.interval_seconds = Some(3_600));
    hourly.count = Some(99);
    let mut unsaid = bucket("db", 0);
    unsaid.series = unsaid.series.with(|series| series.interval_seconds = None);
    let metrics = vec![fuller, hourly, bucket("web", 40 * 60_000), unsaid];
    store.commit(&commit_of(1, Rows { metrics: metrics.clone().into(), ..Rows::default() })).await.unwrap();
    let stored = store.reader().metrics_since(START, None, 1_000).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().rows["federated_metrics"], 122);
    assert!(metrics.iter().all(|row| stored.contains(row)), "{stored:?}");
    let fuller = MetricPoint { count: Some(77), ..unsaid };
    store.commit(&commit_of(2, Rows { metrics: vec![fuller].into(), ..Rows::default() })).await.unwrap();
    let stored = store.reader().metrics_since(START, None, 1_000).await.unwrap();
    assert_eq!(stored.iter().filter(|row| row.series == fuller.series).collect::<Vec<_>>(), [&fuller]);
    let sql = "SELECT count(*) || ' ' || count(DISTINCT series_id) || ' ' || max(series_id) FROM metric_series";
    let job = move |session: &mut super::session::Session| {
        Ok(session.connection.query_row(sql, [], |row| row.get::<_, String>(0))?)
    };
    assert_eq!(store.writer.call("count", job).await.unwrap(), "4 4 3");
}

#[tokio::test]
async fn a_file_of_version_4_keeps_its_events_and_takes_withdrawals() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let connection = of_version(&path, 4);
    connection
        .execute_batch(
            "INSERT INTO federated_events (event_id, colony_id, application_name, environment, timestamp, event_type,
               service_id, severity, description, metadata, version, late)
             SELECT 'e' || n, 'shop-production', 'shop', 'production', TIMESTAMP '2024-01-01', 'deploy', 'api', 'info',
               '', '{}', 0, n = 3 FROM range(4) AS numbers(n)",
        )
        .unwrap();
    connection.close().unwrap();
    let mut store = opened(&path).await;
    let stored = store.reader().events_since(TimeMs(0), None, 10).await.unwrap();
    assert_eq!(stored.iter().map(|row| row.event_id.as_str()).collect::<Vec<_>>(), ["e0", "e1", "e2"]);
    assert!(stored.iter().all(|row| !row.withdrawn));
    let late_gone = model::event::Event { version: 1, withdrawn: true, ..stored[1].clone() };
    store.commit(&commit_of(1, Rows { events: vec![late_gone.clone()], ..Rows::default() })).await.unwrap();
    assert_eq!(store.reader().events_since(TimeMs(0), None, 10).await.unwrap()[1], late_gone);
    assert_eq!(store.newer_events(&stored).await.unwrap(), [late_gone]);
    assert_eq!(store.reader().totals().await.unwrap().rows["federated_events"], 4);
}

#[tokio::test]
async fn a_panic_on_the_thread_of_the_store_is_an_error_and_never_a_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = opened(&folder.path().join("reef.duckdb")).await;
    let job = |_: &mut super::session::Session| -> Result<(), super::fault::Cause> { panic!("a bug in the store") };
    let error = store.writer.call("cannot commit tick 7", job).await.unwrap_err();
    assert_eq!(error.class, FaultClass::Stop);
    assert!(error.to_string().contains("cannot commit tick 7"), "{error}");
    let error = store.commit(&commit_of(8, Rows::default())).await.unwrap_err();
    assert!(error.cause.unwrap().to_string().contains("the thread of the store has ended"));
    Box::new(store).close().await.unwrap_err();
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.duckdb");
    std::fs::write(&path, "not a database, but long enough to have a header\n".repeat(500)).unwrap();
    let error = DuckDbStore::open(DuckDbConfig::at(&path)).await.err().unwrap();
    assert_eq!(error.class, FaultClass::Stop);
    assert!(error.hint.contains("not a DuckDB database"), "{error} / {:?}", error.cause);
    assert!(error.store.contains("notes.duckdb"));
}

#[tokio::test]
async fn a_parent_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plain"), "").unwrap();
    let error = DuckDbStore::open(DuckDbConfig::at(folder.path().join("plain/reef.duckdb"))).await.err().unwrap();
    assert_eq!(error.class, FaultClass::Stop);
    assert!(error.store.contains("plain/reef.duckdb"));
}

#[tokio::test]
async fn an_event_shows_its_best_scored_link_and_loses_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = opened(&folder.path().join("reef.duckdb")).await;
    let marks = async |store: &mut DuckDbStore| {
        let job = |session: &mut super::session::Session| {
            let sql = "SELECT event_id || ' ' || coalesce(correlation_group || ' ' || correlation_score::VARCHAR, '-')
                       FROM federated_events ORDER BY event_id";
            let mut statement = session.connection.prepare(sql)?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?)
        };
        store.writer.call("read marks", job).await.unwrap()
    };
    let rows = Rows { events: ["e1", "e2", "e3"].map(|id| event(id, 0)).to_vec(), ..Rows::default() };
    let (a, b) = (finding("a", 0.5, &[("e1", "e2")]), finding("b", 0.75, &[("e1", "e3")]));
    let (id_a, id_b) = (a.correlation.key.correlation_id(), b.correlation.key.correlation_id());
    store.commit(&Commit { findings: vec![a, b], ..commit_of(1, rows) }).await.unwrap();
    let expected = vec![format!("e1 {id_b} 0.75"), format!("e2 {id_a} 0.5"), format!("e3 {id_b} 0.75")];
    assert_eq!(marks(&mut store).await, expected);
    // a newer copy of the event keeps its mark
    let mut newer = event("e1", 0);
    newer.version = 1;
    store.commit(&commit_of(2, Rows { events: vec![newer], ..Rows::default() })).await.unwrap();
    assert_eq!(marks(&mut store).await, expected);
    store.commit(&Commit { removed: vec![id_b], ..commit_of(3, Rows::default()) }).await.unwrap();
    assert_eq!(marks(&mut store).await, vec![format!("e1 {id_a} 0.5"), format!("e2 {id_a} 0.5"), "e3 -".to_owned()]);
    assert_eq!(store.reader().evidence(&id_a).await.unwrap().len(), 1);
    assert!(store.reader().evidence("c-none").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_revision_counts_changes_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = opened(&folder.path().join("reef.duckdb")).await;
    for (tick, score) in (1..).zip([0.5, 0.5, 0.6, 0.6, 0.5]) {
        let findings = vec![finding("a", score, &[("e1", "e2")])];
        store.commit(&Commit { findings, ..commit_of(tick, Rows::default()) }).await.unwrap();
    }
    let job = |session: &mut super::session::Session| {
        let sql = "SELECT revision, epoch_ms(updated_at) FROM correlations";
        Ok(session.connection.query_row(sql, [], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, i64>(1)?)))?)
    };
    assert_eq!(store.writer.call("read", job).await.unwrap(), (3, START.0 + 5));
}

#[tokio::test]
async fn summaries_have_the_bits_of_the_reference_arithmetic() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = opened(&folder.path().join("reef.duckdb")).await;
    let metrics: Vec<_> = (0..60)
        .map(|i| {
            let mut point = bucket(&format!("svc-{}", i % 7), i * 60_000);
            point.p95 = (i % 5 > 0).then_some(Real((0.1 + i as f64).powi(3) / 7.0 - 1e3));
            point.count = (i % 6 > 0).then_some(1 + (i as u64).pow(4));
            point.max = (i % 4 > 0).then_some(Real(-(i as f64) / 3.0));
            point
        })
        .chain([bucket("huge", 5)].map(|mut point| {
            (point.p95, point.count) = (Some(Real(f64::MAX)), Some(u64::MAX));
            point
        }))
        .collect();
    let mut sums = Sums::default();
    metrics.iter().for_each(|point| sums.add(&model::statistics::Statistics::of(point)));
    for chunk in metrics.chunks(9) {
        store.commit(&commit_of(1, Rows { metrics: chunk.into(), ..Rows::default() })).await.unwrap();
    }
    let job = |session: &mut super::session::Session| {
        let sql = "SELECT mean_p95, max_value, total_samples, points FROM env_metric_summary";
        Ok(session.connection.query_row(sql, [], |row| {
            Ok(crate::rollup::Summary {
                mean_p95: row.get(0)?,
                max_value: row.get(1)?,
                total_samples: row.get(2)?,
                points: row.get(3)?,
            })
        })?)
    };
    assert_eq!(store.writer.call("read", job).await.unwrap(), sums.summary());
}

/// Runs one of the `child_…` tests below in its own process.
fn child(test: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("duckdb::tests::{test}"), "--nocapture"]).env("SINKS_CHILD_PATH", path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Reads the child's output up to its commit message; the rest stays readable, so that the child can continue writing.
fn await_committed(child: &mut std::process::Child) -> BufReader<std::process::ChildStdout> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    assert!(
        std::io::Read::by_ref(&mut output).lines().any(|line| line.unwrap().contains("committed")),
        "the child ended early"
    );
    output
}

/// In a child: commits one event at [`START`], prints that, and waits until its input ends. Otherwise: nothing.
#[tokio::test]
#[allow(clippy::print_stdout)]
async fn child_commits_and_waits() {
    let Some(path) = std::env::var_os("SINKS_CHILD_PATH") else { return };
    let mut store = opened(Path::new(&path)).await;
    store.commit(&commit_of(1, Rows { events: vec![event("e", 0)], ..Rows::default() })).await.unwrap();
    println!("\ncommitted");
    std::io::stdin().lines().for_each(drop);
    Box::new(store).close().await.unwrap();
}

#[tokio::test]
async fn a_killed_process_leaves_its_last_commit_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let mut process = child("child_commits_and_waits", &path).spawn().unwrap();
    let _output = await_committed(&mut process);
    process.kill().unwrap();
    process.wait().unwrap();
    let mut store = opened(&path).await;
    assert_eq!(store.reader().events_since(TimeMs(0), None, 10).await.unwrap(), vec![event("e", 0)]);
    store.commit(&commit_of(2, Rows { events: vec![event("f", 0)], ..Rows::default() })).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().rows["federated_events"], 2);
}

#[tokio::test]
async fn a_file_that_another_process_has_open_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let mut process = child("child_commits_and_waits", &path).spawn().unwrap();
    let _output = await_committed(&mut process);
    let error = DuckDbStore::open(DuckDbConfig::at(&path)).await.err().unwrap();
    assert_eq!(error.class, FaultClass::Busy);
    assert!(error.to_string().contains("reef.duckdb"), "{error}");
    assert!(error.hint.contains("another process has the file open"), "{error} / {:?}", error.cause);
    assert!(error.hint.contains(&format!("PID {}", process.id())), "{error}");
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}

#[tokio::test]
async fn times_are_utc_whatever_the_zone_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let mut process = child("child_commits_and_waits", &path).env("TZ", "America/New_York").spawn().unwrap();
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
    let connection = Connection::open(&path).unwrap();
    let stored: String =
        connection.query_row("SELECT timestamp::VARCHAR FROM federated_events", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, "2026-03-02 10:00:00");
    connection.close().unwrap();
    assert_eq!(opened(&path).await.reader().events_since(START, None, 10).await.unwrap()[0].timestamp, START);
}
