//! Recordings give the results of the live run: Kafka replayed, processes killed, partitions shared.

use crate::cluster::Cluster;
use crate::crash::{body_over, input, input_in, reef_over};
use crate::kafka::broker::shared;
use crate::kafka::round_trip::publish;
use crate::kafka::unique;
use crate::stores::clickhouse_storage;
use crate::support::clickhouse::Server;
use crate::support::crash::{Crashes, PHASES, REPLAY_PHASES};
use crate::support::recordings::Recording;
use crate::support::tables::{Tables, assert_equal, tables, tables_in};
use crate::support::{Reef, correlations, dump, files_source, json, program};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SEED: u64 = 20_261_123;
/// Kills of each kind of work; those of a run over files are in `crash`.
const KILLS: u32 = 25;
const CLICKHOUSE_KILLS: u32 = 8;
const CLICKHOUSE_COMMIT_MAX: Duration = Duration::from_millis(250);

/// The content of a recording, independent of its route: positions and the gate's marks depend on the route.
fn contents(store: &Path) -> Tables {
    let mut contents = tables(store);
    contents.retain(|name, _| !["source_positions", "rejects"].contains(&name.as_str()));
    contents
}

/// Publishes the input of `reef` to new topics; returns a reef that reads them up to now.
fn recorded(reef: &Reef, brokers: &str, partitions: &str, more: &str) -> String {
    let (metrics, events) = (unique("metrics"), unique("events"));
    let topics = ["--brokers", brokers, "--metrics-topic", &metrics, "--events-topic", &events];
    publish(reef, &[&topics[..], &["--partitions", partitions]].concat());
    format!(
        "[[sources]]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\nend = \"now\"\n\
         topics = {{ metrics = \"{metrics}\", events = \"{events}\" }}\n{more}"
    )
}

/// `replay` or `backfill` of everything.
fn work(word: &str, reef: &Reef, more: &[&str]) -> Command {
    let mut command = Command::new(program("coral-pipeline"));
    command.arg(word).arg(reef.config()).args(["--from", "2000-01-01", "--to", "2040-01-01"]).args(more);
    command
}

#[test]
fn what_kafka_recorded_is_replayed_into_what_live_gave() {
    let recording = Recording::any("releases");
    let Some(brokers) = shared() else { return };
    let live = Reef::new(&files_source(&[&recording.events()], &[]));
    live.run();
    let reef = Reef::new(&recorded(&live, brokers, "3", ""));
    let into = reef.folder.path().join("replayed.duckdb");
    let document = json(
        &work("replay", &reef, &["--source", "kafka", "--json", "--into", into.to_str().unwrap()]).output().unwrap(),
    );
    assert_eq!(correlations(&into), live.correlations(), "{document:#}");
    assert!(!reef.store().exists(), "the live store is not even created");

    // a part of the time: the rows of that part, no other
    let rows = |store: &Path, sql: &str| dump(&duckdb::Connection::open(store).unwrap(), sql);
    let middle = rows(
        &live.store(),
        "SELECT strftime(quantile_disc(timestamp, 0.5), '%Y-%m-%dT%H:%M:%SZ') AS t FROM federated_events",
    );
    let newer = reef.folder.path().join("newer.duckdb");
    let mut command = Command::new(program("coral-pipeline"));
    command.arg("replay").arg(reef.config()).args(["--json", "--source", "kafka", "--from", middle.trim(), "--into"]);
    json(&command.arg(&newer).output().unwrap());
    let ids = "SELECT event_id FROM federated_events WHERE timestamp >= TIMESTAMP '2000-01-01' ORDER BY ALL";
    let expected = ids.replace("2000-01-01", middle.trim().trim_end_matches('Z'));
    assert_eq!(rows(&newer, ids), rows(&live.store(), &expected));
}

#[test]
fn two_processes_share_the_partitions_and_find_what_one_finds() {
    let recording = Recording::any("releases");
    let Some(brokers) = shared() else { return };
    let live = Reef::new(&files_source(&[&recording.events()], &[]));
    live.run();
    let cluster = Cluster::new(2, &recorded(&live, brokers, "6", ""), "tick_rows_max = 300");
    let documents = cluster.run();
    assert_eq!(cluster.reef.correlations(), live.correlations());
    let read = |document: &Value, of: &str| document[of]["progress"]["events"].as_u64().unwrap();
    let (all, second) = (read(&documents[0], "summary"), read(&documents[1], "served"));
    assert!(0 < second && second < all, "{second} of {all} events were read by the second process");
}

#[test]
fn a_run_over_kafka_killed_at_any_moment_ends_as_an_undisturbed_one() {
    let Some(brokers) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = reef_over(&input(folder.path()));
    let body = recorded(
        &files,
        brokers,
        "3",
        "[correlation]\nmetric_window = \"12h\"\n[engine]\nworkers = 2\ntick_rows_max = 1\n",
    );
    let undisturbed = Reef::new(&body);
    undisturbed.run();
    files.run();
    assert_equal(&contents(&undisturbed.store()), &contents(&files.store()), "Kafka and files");
    let expected = tables(&undisturbed.store());
    let mut crashes = Crashes::new(SEED, &PHASES);
    while !crashes.are_enough(KILLS, 1) {
        let reef = Reef::new(&body);
        crashes.journey(|| reef.command());
        assert_equal(&tables(&reef.store()), &expected, &crashes.to_string());
    }
    eprintln!("crash test over Kafka: {crashes}");
}

/// A reef that has recorded, with some of its rows marked as too late.
fn recorded_with_late_rows(input: &(Vec<PathBuf>, Vec<PathBuf>)) -> Reef {
    let reef = reef_over(input);
    reef.run();
    let db = duckdb::Connection::open(reef.store()).unwrap();
    db.execute_batch(
        "UPDATE federated_events SET late = true WHERE hash(event_id) % 7 = 0;
         UPDATE metric_buckets SET late = true WHERE hash(timestamp) % 11 = 0;",
    )
    .unwrap();
    reef
}

#[test]
fn replays_and_backfills_killed_at_any_moment_end_as_undisturbed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path());
    let reef = recorded_with_late_rows(&input);
    let prepared = folder.path().join("prepared.duckdb");
    std::fs::copy(reef.store(), &prepared).unwrap();
    let never_late = reef_over(&input);
    never_late.run();

    json(&work("backfill", &reef, &["--json"]).output().unwrap());
    let expected = tables(&reef.store());
    assert_equal(&contents(&reef.store()), &contents(&never_late.store()), "backfilled and never late");
    let mut crashes = Crashes::new(SEED, &REPLAY_PHASES);
    while !crashes.are_enough(KILLS, 1) {
        std::fs::copy(&prepared, reef.store()).unwrap();
        crashes.journey(|| work("backfill", &reef, &["--json"]));
        assert_equal(&tables(&reef.store()), &expected, &crashes.to_string());
    }
    eprintln!("crash test of backfill: {crashes}");

    let into = |name: &str| folder.path().join(name);
    let replay =
        |into: &Path| work("replay", &reef, &["--json", "--source", "stored", "--into", into.to_str().unwrap()]);
    json(&replay(&into("undisturbed.duckdb")).output().unwrap());
    let expected = tables(&into("undisturbed.duckdb"));
    let mut crashes = Crashes::new(SEED + 1, &REPLAY_PHASES);
    let mut number = 0;
    while !crashes.are_enough(KILLS, 1) {
        number += 1;
        let target = into(&format!("{number}.duckdb"));
        crashes.journey(|| replay(&target));
        assert_equal(&tables(&target), &expected, &crashes.to_string());
    }
    eprintln!("crash test of replay: {crashes}");
}

/// Everything that follows from rows is gone; a backfill restores it even if it is killed.
#[test]
fn a_backfill_on_clickhouse_killed_at_any_moment_ends_as_an_undisturbed_one() {
    let Some(server) = Server::any() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = server.database();
    let body = body_over(&input_in(folder.path(), 3));
    let reef = Reef::with_storage(&body, &clickhouse_storage(&server, &database));
    reef.run();
    let recorded = tables_in(&server, &database);
    let forget = || {
        for table in ["correlations", "correlation_evidence", "event_correlations", "env_metric_summary"] {
            server.query(&database, &format!("TRUNCATE TABLE {table}"));
        }
    };
    forget();
    json(&work("backfill", &reef, &["--json"]).output().unwrap());
    let expected = tables_in(&server, &database);
    for (table, rows) in &expected {
        assert!(rows == &recorded[table] || table == "source_positions", "{table}: the backfill restores it");
    }
    let mut crashes = Crashes::new(SEED + 2, &REPLAY_PHASES).with_commits_of(CLICKHOUSE_COMMIT_MAX);
    while !crashes.are_enough(CLICKHOUSE_KILLS, 1) {
        forget();
        crashes.journey(|| work("backfill", &reef, &["--json"]));
        assert_equal(&tables_in(&server, &database), &expected, &crashes.to_string());
    }
    eprintln!("crash test of backfill on ClickHouse: {crashes}");
}
