//! Files and stored rows published to topics, and read back: the same rows, the same patterns, byte for byte.

use super::broker::shared;
use super::unique;
use crate::exit_codes::without_privileges;
use crate::support::recordings::Recording;
use crate::support::{Reef, files_source, json, program};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// `coral-pipeline publish --json`; its document.
pub fn publish(reef: &Reef, arguments: &[&str]) -> Value {
    let mut command = Command::new(program("coral-pipeline"));
    command.arg("publish").arg(reef.config()).args(arguments).arg("--json");
    json(&command.output().unwrap())
}

/// A reef that reads both topics up to now.
fn from_kafka(brokers: &str, metrics: &str, events: &str, more: &str) -> Reef {
    Reef::new(&format!(
        "[[sources]]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\nend = \"now\"\n\
         topics = {{ metrics = \"{metrics}\", events = \"{events}\" }}\n{more}"
    ))
}

/// Everything that is a function of the rows: findings, evidence, federated rows, summaries. Columns of the run are
/// omitted.
fn everything(reef: &Reef) -> String {
    let columns = reef.query(
        "SELECT table_name, column_name FROM information_schema.columns
         WHERE table_name IN ('federated_events', 'federated_metrics', 'env_metric_summary')
           AND column_name NOT IN ('ingested_at', 'received_at', 'updated_at', 'committed_at', 'stored_at', 'tick', 'created_at')
         ORDER BY table_name, column_name",
    );
    let mut text = reef.correlations();
    for table in ["federated_events", "federated_metrics", "env_metric_summary"] {
        let names: Vec<&str> = columns.lines().filter_map(|line| line.strip_prefix(&format!("{table}\t"))).collect();
        assert!(names.len() > 4, "{table}: {names:?}");
        // a digest in the database: a data set has a million rows
        let row =
            names.iter().map(|name| format!("coalesce(\"{name}\"::VARCHAR, 'NULL')")).collect::<Vec<_>>().join(", ");
        let digest = format!("bit_xor(md5_number_lower(concat_ws('|', {row})))");
        text += &reef.query(&format!("SELECT '{table}' AS name, count(*) AS number, {digest} AS digest FROM {table}"));
    }
    text
}

fn round_trip(brokers: &str, (events, metrics): (&[&Path], &[&Path]), encoding: &str, more: &str) {
    let (metrics_topic, events_topic) = (unique("metrics"), unique("events"));
    let files = Reef::new(&(files_source(events, metrics) + more));
    let report = files.run();
    let target = ["--brokers", brokers, "--metrics-topic", &metrics_topic, "--events-topic", &events_topic];
    let published = publish(&files, &[&target[..], &["--encoding", encoding, "--partitions", "3"]].concat());
    let progress = &report["summary"]["progress"];
    assert_eq!((&published["events"], &published["metrics"]), (&progress["events"], &progress["metrics"]));
    let replayed = from_kafka(brokers, &metrics_topic, &events_topic, more);
    let again = replayed.run();
    assert_eq!(again["summary"]["progress"]["events"], progress["events"]);
    assert_eq!(again["summary"]["progress"]["metrics"], progress["metrics"]);
    assert_eq!(again["summary"]["progress"]["rejects"], 0);
    assert!(everything(&replayed) == everything(&files), "what came through Kafka differs from the files");
}

#[test]
fn releases_come_back_from_kafka_as_they_were() {
    let recording = Recording::any("releases");
    let Some(brokers) = shared() else { return };
    round_trip(brokers, (&[&recording.events()], &[]), "json", "");
}

#[test]
fn boutique_comes_back_from_kafka_as_it_was() {
    let recording = Recording::any("boutique");
    let Some(brokers) = shared() else { return };
    let files = ([recording.events()], [recording.metrics()]);
    let (events, metrics) = ([files.0[0].as_path()], [files.1[0].as_path()]);
    round_trip(brokers, (&events, &metrics), "protobuf", "");
}

/// A reef's own rows, late ones included, of a part of time.
#[test]
fn stored_rows_are_published_and_replayed() {
    let Some(brokers) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e.ndjson");
    let lines: Vec<String> = (0..50).map(super::event).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let reef = Reef::new(&files_source(&[&file], &[]));
    reef.run();
    let (metrics_topic, events_topic) = (unique("metrics"), unique("events"));
    let time = |number: i64| model::time::TimeMs(super::START_MS + number * 60_000).to_string();
    let target = ["--brokers", brokers, "--metrics-topic", &metrics_topic, "--events-topic", &events_topic];
    let span = ["--from".to_owned(), time(10), "--to".to_owned(), time(30)];
    let span: Vec<&str> = span.iter().map(String::as_str).collect();
    let published = publish(&reef, &[&target[..], &["--stored"], &span].concat());
    assert_eq!(
        (&published["events"], &published["metrics"], &published["outside"]),
        (&20.into(), &0.into(), &0.into())
    );
    assert_eq!(published["topics"][0]["created"], true);
    let replayed = from_kafka(brokers, &metrics_topic, &events_topic, "");
    replayed.run();
    assert_eq!(super::held(&replayed), (10..30).collect::<Vec<_>>());
    // files too are cut by time, and rows that no run would take are counted
    std::fs::write(&file, lines.join("\n") + "\nbroken\n").unwrap();
    let again = publish(&reef, &[&target[..], &span].concat());
    assert_eq!((&again["events"], &again["outside"], &again["rejects"]), (&20.into(), &30.into(), &1.into()));
    assert_eq!(again["topics"][0]["created"], false);
}

#[test]
fn files_that_cannot_be_read_decide_the_code_of_a_publication_and_the_others_are_published() {
    let Some(brokers) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("a.ndjson"), folder.path().join("b.csv"));
    std::fs::write(&good, super::event(0)).unwrap();
    std::fs::write(&bad, "nothing,known\n1,2\n").unwrap();
    let reef = Reef::new(&files_source(&[&good, &bad], &[]));
    let topic = unique("events");
    let published = |called: &[String]| {
        let mut command = Command::new(&called[0]);
        command.args(&called[1..]).arg("publish").arg(reef.config());
        command.args(["--files", "--brokers", brokers, "--events-topic", &topic, "--json"]);
        let output = command.output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = document["error"].clone();
        assert!(error["details"].to_string().contains("b.csv"), "{document:#}");
        assert_eq!(error["report"]["events"], 1, "{document:#}");
        output.status.code()
    };
    assert_eq!(published(&[program("coral-pipeline").to_owned()]), Some(1), "it is broken");
    let Some(called) = without_privileges() else { return };
    std::fs::set_permissions(&bad, PermissionsExt::from_mode(0o000)).unwrap();
    assert_eq!(published(&called), Some(4), "it may not be read");
}

#[test]
fn brokers_that_are_not_there_end_a_publication_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e.ndjson");
    std::fs::write(&file, super::event(0)).unwrap();
    let reef = Reef::new(&files_source(&[&file], &[]));
    let mut command = Command::new(program("coral-pipeline"));
    // the discard port: no process listens
    command.arg("publish").arg(reef.config()).args(["--brokers", "127.0.0.1:9", "--events-topic", "e", "--json"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("kafka 127.0.0.1:9: no response from the brokers"), "{document:#}");
}
