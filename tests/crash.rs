//! Crash safety: a run that is killed at any moment and started again leaves the rows of an undisturbed run.

use crate::determinism::rows;
use crate::stores::clickhouse_storage;
use crate::support::clickhouse::Server;
use crate::support::crash::{Crashes, PHASES};
use crate::support::recordings::Recording;
use crate::support::tables::{assert_equal, tables, tables_in};
use crate::support::{Reef, files_source, json, program};
use model::event::Event;
use model::metric::MetricPoint;
use model::time::{MINUTE_MS, TimeMs};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SEED: u64 = 20_261_122;
const KILLS: u32 = 100;
const HITS_EACH: u32 = 2;
/// Kills of a run on ClickHouse, whose commits are many statements and so take longer.
const CLICKHOUSE_KILLS: u32 = 40;
const CLICKHOUSE_COMMIT_MAX: Duration = Duration::from_millis(250);
/// Files of each kind: every file is a batch, every batch a tick.
const FILES: usize = 12;
const CLICKHOUSE_FILES: usize = 3;

/// An event as a line of a file, every field present.
fn event_line(event: &Event) -> String {
    let metadata: Map<String, Value> =
        event.metadata.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    json!({
        "event_id": event.event_id, "colony_id": event.colony_id, "timestamp": event.timestamp.0,
        "event_type": event.event_type, "service_id": event.service_id, "severity": event.severity.as_str(),
        "description": event.description, "metadata": metadata,
        "version": event.version, "withdrawn": event.withdrawn,
    })
    .to_string()
}

/// A metric bucket as a line of a file.
fn metric_line(point: &MetricPoint) -> String {
    json!({
        "colony_id": point.series.key.colony_id, "service_id": point.series.key.service_id,
        "metric_name": point.series.key.metric_name, "timestamp": point.timestamp.0,
        "interval_seconds": point.series.interval_seconds, "count": point.count, "mean": point.mean.map(|mean| mean.0),
    })
    .to_string()
}

fn last_time(lines: &str) -> TimeMs {
    let time_of = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        TimeMs::parse_rfc3339(event["timestamp"].as_str().unwrap()).unwrap()
    };
    lines.lines().map(time_of).max().unwrap()
}

/// Deals the lines round robin into files, so that each file holds rows of every age.
fn deal(folder: &Path, name: &str, lines: &[String], files: usize) -> Vec<PathBuf> {
    (0..files)
        .map(|number| {
            let path = folder.join(format!("{name}-{number:02}.ndjson"));
            let dealt: Vec<&str> = lines.iter().skip(number).step_by(files).map(String::as_str).collect();
            std::fs::write(&path, dealt.join("\n") + "\n").unwrap();
            path
        })
        .collect()
}

/// Generated rows with planted relations, amended and withdrawn events, lines that are refused, and a year of
/// releases.
pub fn input(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    input_in(folder, FILES)
}

/// The same in this number of files of each kind.
pub fn input_in(folder: &Path, files: usize) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut events, mut metrics) = rows(SEED);
    let released = std::fs::read_to_string(Recording::any("releases").events()).unwrap();
    // into the last weeks of the releases, so that all of them are evaluated
    let shift_ms = last_time(&released) - events.iter().map(|event| event.timestamp).max().unwrap();
    events.iter_mut().for_each(|event| event.timestamp = event.timestamp + shift_ms);
    metrics.iter_mut().for_each(|point| point.timestamp = (point.timestamp + shift_ms).floor_to(5 * MINUTE_MS));
    let mut event_lines: Vec<String> = events.iter().map(event_line).collect();
    for event in events.iter().step_by(5) {
        let amended = Event { version: 1, timestamp: event.timestamp - 60_000, ..event.clone() };
        event_lines.push(event_line(&Event { version: 2, withdrawn: event.timestamp.0 % 2 == 0, ..amended.clone() }));
        event_lines.push(event_line(&amended));
    }
    event_lines.extend(["no JSON".to_owned(), "{\"event_id\": \"lost\"}".to_owned()]);
    event_lines.extend(released.lines().map(str::to_owned));
    let metric_lines: Vec<String> = metrics.iter().map(metric_line).collect();
    (deal(folder, "events", &event_lines, files), deal(folder, "metrics", &metric_lines, files))
}

/// A reef over the files that commits every batch separately.
pub fn reef_over(input: &(Vec<PathBuf>, Vec<PathBuf>)) -> Reef {
    Reef::new(&body_over(input))
}

/// Its configuration without the store.
pub fn body_over((events, metrics): &(Vec<PathBuf>, Vec<PathBuf>)) -> String {
    let source = files_source(
        &events.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        &metrics.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
    );
    source + "[correlation]\nmetric_window = \"12h\"\n[engine]\nworkers = 2\ntick_rows_max = 1\n"
}

#[test]
fn a_run_killed_at_any_moment_ends_as_an_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path());
    let undisturbed = reef_over(&input);
    undisturbed.run();
    let expected = tables(&undisturbed.store());
    assert!(expected["correlations"].contains("confirmed"), "there is something to find");
    assert_eq!(expected["rejects"].lines().count(), 2);

    let mut crashes = Crashes::new(SEED, &PHASES);
    while !crashes.are_enough(KILLS, HITS_EACH) {
        let reef = reef_over(&input);
        crashes.journey(|| reef.command());
        assert_equal(&tables(&reef.store()), &expected, &crashes.to_string());
    }
    eprintln!("crash test: {crashes}");
}

/// The same on ClickHouse: the server lives on, the process that writes to it is killed.
#[test]
fn a_run_on_clickhouse_killed_at_any_moment_ends_as_an_undisturbed_one() {
    let Some(server) = Server::any() else { return };
    let folder = tempfile::tempdir().unwrap();
    let input = input_in(folder.path(), CLICKHOUSE_FILES);
    let reef_in = |database: &str| Reef::with_storage(&body_over(&input), &clickhouse_storage(&server, database));
    let database = server.database();
    let undisturbed = reef_in(&database);
    undisturbed.run();
    let expected = tables_in(&server, &database);
    assert!(expected["correlations"].contains("confirmed"), "there is something to find");

    let on_duckdb = reef_over(&input);
    on_duckdb.run();
    let copied = undisturbed.folder.path().join("copied.duckdb");
    let from = format!("clickhouse:http://{}:{}/{database}", server.host(), server.port());
    let to = format!("duckdb:{}", copied.display());
    let copy = ["copy", "--json", "--from", &from, "--to", &to];
    json(&Command::new(program("coral-pipeline")).args(copy).output().unwrap());
    assert_equal(&tables(&copied), &tables(&on_duckdb.store()), "ClickHouse and DuckDB");

    let mut crashes = Crashes::new(SEED + 2, &PHASES).with_commits_of(CLICKHOUSE_COMMIT_MAX);
    while !crashes.are_enough(CLICKHOUSE_KILLS, 1) {
        let database = server.database();
        let reef = reef_in(&database);
        crashes.journey(|| reef.command());
        assert_equal(&tables_in(&server, &database), &expected, &crashes.to_string());
    }
    eprintln!("crash test on ClickHouse: {crashes}");
}
