//! Crash safety: a run that is killed at any moment and started again leaves the rows of an undisturbed run.

use crate::determinism::rows;
use crate::support::crash::{Crashes, PHASES};
use crate::support::tables::{assert_equal, tables};
use crate::support::{Reef, files_source, shared_data};
use model::event::Event;
use model::metric::MetricPoint;
use model::time::{MINUTE_MS, TimeMs};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

const SEED: u64 = 20_261_122;
const KILLS: u32 = 100;
const HITS_EACH: u32 = 2;
/// Files of each kind: every file is a batch, every batch a tick.
const FILES: usize = 12;

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
        "colony_id": point.series.colony_id, "service_id": point.series.service_id,
        "metric_name": point.series.metric_name, "timestamp": point.timestamp.0,
        "interval_seconds": point.interval_seconds, "count": point.count, "mean": point.mean.map(|mean| mean.0),
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
fn deal(folder: &Path, name: &str, lines: &[String]) -> Vec<PathBuf> {
    (0..FILES)
        .map(|number| {
            let path = folder.join(format!("{name}-{number:02}.ndjson"));
            let dealt: Vec<&str> = lines.iter().skip(number).step_by(FILES).map(String::as_str).collect();
            std::fs::write(&path, dealt.join("\n") + "\n").unwrap();
            path
        })
        .collect()
}

/// Generated rows with planted relations, amended and withdrawn events, lines that are refused, and the releases of real
/// libraries where this machine has them.
pub fn input(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut events, mut metrics) = rows(SEED);
    let released = shared_data("releases").map(|data| std::fs::read_to_string(data.join("events.ndjson")).unwrap());
    if let Some(released) = &released {
        // into the last weeks of the real ones, so that all of them are looked at
        let shift_ms = last_time(released) - events.iter().map(|event| event.timestamp).max().unwrap();
        events.iter_mut().for_each(|event| event.timestamp = event.timestamp + shift_ms);
        metrics.iter_mut().for_each(|point| point.timestamp = (point.timestamp + shift_ms).floor_to(5 * MINUTE_MS));
    }
    let mut event_lines: Vec<String> = events.iter().map(event_line).collect();
    for event in events.iter().step_by(5) {
        let amended = Event { version: 1, timestamp: event.timestamp - 60_000, ..event.clone() };
        event_lines.push(event_line(&Event { version: 2, withdrawn: event.timestamp.0 % 2 == 0, ..amended.clone() }));
        event_lines.push(event_line(&amended));
    }
    event_lines.extend(["no JSON".to_owned(), "{\"event_id\": \"lost\"}".to_owned()]);
    event_lines.extend(released.iter().flat_map(|text| text.lines()).map(str::to_owned));
    let metric_lines: Vec<String> = metrics.iter().map(metric_line).collect();
    (deal(folder, "events", &event_lines), deal(folder, "metrics", &metric_lines))
}

/// A reef over the files that commits every batch by itself.
pub fn reef_over((events, metrics): &(Vec<PathBuf>, Vec<PathBuf>)) -> Reef {
    let paths = |files: &[PathBuf]| -> Vec<PathBuf> { files.to_vec() };
    let (events, metrics) = (paths(events), paths(metrics));
    let source = files_source(
        &events.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        &metrics.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
    );
    Reef::new(&(source + "[correlation]\nmetric_window = \"12h\"\n[engine]\nworkers = 2\ntick_rows_max = 1\n"))
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
