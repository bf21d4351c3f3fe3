//! One process at a time writes to a database; the next one is refused with its name, or starts at once if it has
//! ended.

use super::InDatabase;
use crate::crash::{body_over, input_in};
use crate::stores::clickhouse_storage;
use crate::support::clickhouse::Server;
use crate::support::tables::tables_in;
use crate::support::{Reef, json, program};
use model::rows::Rows;
use serde_json::Value;
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::compliance::commit_of;
use sinks::compliance::rows::event;
use sinks::error::FaultClass;
use sinks::{Commit, SinkError, StoreWriter};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Starts a run that has no end and waits until it reads.
fn started(reef: &Reef) -> Child {
    let mut command = reef.command();
    command.env("RUST_LOG", "coral_pipelines=debug").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("phase=\"read\"") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended before it ran");
    }
    // its further output must not block it
    let drain = move || std::io::copy(&mut stderr, &mut std::io::sink());
    std::thread::Builder::new().name("stderr".to_owned()).spawn(drain).unwrap();
    child
}

fn call(words: &[&str], reef: &Reef) -> Output {
    Command::new(program("coral-pipeline")).args(words).arg(reef.config()).arg("--json").output().unwrap()
}

fn over_range<'a>(word: &'a str, into: Option<&'a Path>) -> Vec<&'a str> {
    let mut words = vec![word, "--from", "2000-01-01", "--to", "2040-01-01"];
    words.extend(into.iter().flat_map(|path| ["--into", path.to_str().unwrap()]));
    words
}

#[test]
fn a_second_writer_learns_who_writes_and_a_successor_continues_at_once() {
    let Some(server) = Server::any() else { return };
    let database = server.database();
    let storage = clickhouse_storage(&server, &database);
    let folder = tempfile::tempdir().unwrap();
    let files = Reef::with_storage(&body_over(&input_in(folder.path(), 1)), &storage);
    // no process listens there: the run waits for its colony indefinitely
    let reef = Reef::with_storage(
        "[[colonies]]\ncolony_id = \"shop-production\"\nendpoint = \"http://127.0.0.1:1\"\n\
         [correlation]\nmetric_window = \"12h\"\n",
        &storage,
    );
    files.run();
    let stored = tables_in(&server, &database);
    let mut running = started(&reef);
    for words in [&["run"][..], &over_range("backfill", None), &over_range("replay", None)] {
        let output = call(words, &files);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let message = document["error"]["message"].as_str().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {message}");
        for part in ["cannot open the store", &format!("process {} on ", running.id()), "since 20", "end it first"] {
            assert!(message.contains(part), "{words:?}: {part}: {message}");
        }
    }
    // reading needs no lease, nor does another store
    let into = folder.path().join("replayed.duckdb");
    json(&call(&over_range("replay", Some(&into)), &files));
    json(&call(&["validate"], &files));
    let another = server.database();
    Reef::with_storage(&body_over(&input_in(folder.path(), 1)), &clickhouse_storage(&server, &another)).run();
    let changed = |mut tables: crate::support::tables::Tables| {
        // what the run over a colony says of it
        tables.retain(|table, _| !["colony_status", "source_positions"].contains(&table.as_str()));
        tables
    };
    assert_eq!(changed(tables_in(&server, &database)), changed(stored));

    // killed: no process waits for a claim to expire
    let began = Instant::now();
    running.kill().unwrap();
    running.wait().unwrap();
    running = started(&reef);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    // stopped: it gives the lease back
    Command::new("kill").args(["-s", "TERM", &running.id().to_string()]).status().unwrap();
    assert!(running.wait().unwrap().success());
    let held = server
        .query(&database, "SELECT count() FROM writers FINAL WHERE state IN ('asks', 'holds') AND expires_at > now()");
    // one: the claim of the process that was killed
    assert_eq!(held, "1\n");
}

fn brief(fixture: &InDatabase<'_>) -> ClickHouseConfig {
    ClickHouseConfig { lease_term: Duration::from_millis(1_500), ..fixture.config() }
}

/// A process with its own time: it makes no progress while it is not polled.
struct Writer {
    runtime: Runtime,
    store: ClickHouseStore,
}

impl Writer {
    fn open(config: ClickHouseConfig) -> Result<Writer, SinkError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = runtime.block_on(ClickHouseStore::open(config))?;
        Ok(Writer { runtime, store })
    }

    fn commit(&mut self, tick: u64, id: &str) -> Result<(), SinkError> {
        let commit: Commit = commit_of(tick, Rows { events: vec![event(id, 0)], ..Rows::default() });
        self.runtime.block_on(self.store.commit(&commit)).map(|_| ())
    }

    fn close(self) {
        self.runtime.block_on(Box::new(self.store).close()).unwrap();
    }
}

fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

#[test]
fn a_writer_that_was_paused_continues_only_if_no_other_has_taken_over() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let mut first = Writer::open(brief(&fixture)).unwrap();
    first.commit(1, "a").unwrap();
    let refused = Writer::open(brief(&fixture)).err().unwrap();
    assert_eq!(refused.class, FaultClass::Stop);
    assert!(refused.hint.contains(&format!("process {} on ", std::process::id())), "{refused}");

    // its claim has expired, and no other process came
    pass(Duration::from_millis(2_000));
    first.commit(2, "b").unwrap();

    // now another process came
    pass(Duration::from_millis(2_000));
    let mut second = Writer::open(brief(&fixture)).unwrap();
    second.commit(3, "c").unwrap();
    for _ in 0..2 {
        let lost = first.commit(3, "d").unwrap_err();
        assert_eq!(lost.class, FaultClass::Stop);
        assert!(lost.hint.contains("has taken the database over"), "{lost}");
    }
    second.commit(4, "e").unwrap();
    second.close();
    let ids = server.query(fixture.name(), "SELECT event_id FROM federated_events FINAL ORDER BY event_id");
    assert_eq!(ids, "a\nb\nc\ne\n");
    first.close();
    Writer::open(fixture.config()).unwrap().close();
}

#[test]
fn a_writer_that_was_paused_writes_no_more_though_the_one_that_took_over_is_gone() {
    let Some(server) = Server::any() else { return };
    for is_killed in [false, true] {
        let fixture = InDatabase::new(&server);
        let mut first = Writer::open(brief(&fixture)).unwrap();
        first.commit(1, "a").unwrap();
        pass(Duration::from_millis(2_000));
        let mut second = Writer::open(brief(&fixture)).unwrap();
        second.commit(2, "b").unwrap();
        if is_killed {
            // its claim stays and runs out
            std::mem::forget(second);
            pass(Duration::from_millis(2_000));
        } else {
            second.close();
        }
        // its cached state of the store is stale
        let lost = first.commit(2, "c").unwrap_err();
        assert!(lost.class == FaultClass::Stop && lost.hint.contains("has taken the database over"), "{lost}");
    }
}

/// Its process is not visible from here, so that only time decides whether it is alive.
#[test]
fn a_holder_on_another_machine_is_waited_for_until_its_claim_has_run_out() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    Writer::open(brief(&fixture)).unwrap().close();
    let claim = |token: &str, seconds: u32, version: u32| {
        let sql = format!(
            "INSERT INTO writers SELECT '{token}', 'holds', 'far-away', 7, 7, 'elsewhere', now64(3), \
             now64(3) + INTERVAL {seconds} SECOND, {version}"
        );
        server.query(fixture.name(), &sql);
    };
    claim("ended", 2, 1);
    let began = Instant::now();
    Writer::open(brief(&fixture)).unwrap().close();
    assert!(began.elapsed() > Duration::from_millis(1_500), "{:?}", began.elapsed());

    claim("lives", 60, 1);
    let refused = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Writer::open(brief(&fixture)).err().unwrap());
        pass(Duration::from_millis(1_000));
        claim("lives", 61, 2);
        waiting.join().unwrap()
    });
    assert!(refused.hint.contains("process 7 on far-away"), "{refused}");
}
