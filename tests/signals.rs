//! Signals: the first one of any kind drains; a duplicate is ignored; a later one ends at once.

use crate::support::{Reef, files_source, json, program};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// No process listens there: the run waits for its colony indefinitely.
const ENDLESS: &str = "[[colonies]]\ncolony_id = \"shop-production\"\nendpoint = \"http://127.0.0.1:1\"\n";

/// Sends signals by name.
fn send(child: &Child, signals: &[&str]) {
    for signal in signals {
        let status = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -s {signal}");
    }
}

/// A run that has entered `phase`, and the rest of its standard error.
fn run_until(reef: &Reef, phase: &str) -> (Child, BufReader<ChildStderr>) {
    let mut command = reef.command();
    command.env("RUST_LOG", "coral_pipelines=debug").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(&format!("phase=\"{phase}\"")) {
        line.clear();
        assert!(messages.read_line(&mut line).unwrap() > 0, "it ended before it came there");
    }
    (child, messages)
}

#[test]
fn a_signal_sent_twice_drains_as_if_sent_once() {
    let reef = Reef::new(ENDLESS);
    for signals in [["TERM", "TERM"], ["INT", "TERM"], ["TERM", "HUP"], ["HUP", "TERM"], ["INT", "INT"]] {
        let (child, mut messages) = run_until(&reef, "read");
        // both are pending when it continues
        send(&child, &["STOP", signals[0], signals[1], "CONT"]);
        let mut rest = String::new();
        messages.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{signals:?}: {rest}");
    }
}

/// A file with one wrong column name: reading it takes the time of as many good rows, and ends as soon.
#[test]
fn a_signal_among_refused_rows_alone_ends_the_run_and_is_told() {
    let rows = 100_000;
    let reef = Reef::new(&(files_source(&[Path::new("e.ndjson")], &[]) + "[engine]\ntick_rows_max = 200\n"));
    let row = "{\"event_id\":\"e\",\"colony_id\":\"shop\",\"time\":\"2023-01-03T19:00:00Z\",\"event_type\":\"deploy\",\
               \"service_id\":\"web\"}\n";
    std::fs::write(reef.folder.path().join("e.ndjson"), row.repeat(rows)).unwrap();
    let (child, mut messages) = run_until(&reef, "commit");
    send(&child, &["TERM"]);
    messages.read_to_string(&mut String::new()).unwrap();
    let output = child.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = &document["error"];
    assert_eq!((output.status.code(), &error["code"]), (Some(130), &Value::from("interrupted")), "{document:#}");
    let summary = &error["report"]["summary"];
    let refused = summary["progress"]["rejects"].as_u64().unwrap();
    assert!(refused > 0 && refused < rows as u64, "{refused} of {rows} rows were read");
    assert_eq!((&summary["ended"], &summary["progress"]["events"]), (&Value::from("stopped"), &Value::from(0)));
    assert!(error["message"].as_str().unwrap().contains(" refused, "), "{document:#}");
}

/// As set by `nohup`: every process started from here ignores SIGHUP too, and correctly continues.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(ignored.trim(), 16).unwrap_or_default() & 1 != 0
}

#[test]
fn a_hang_up_drains_reef_and_colony() {
    if ignores_hang_up() {
        eprintln!("SKIPPED a_hang_up_drains_reef_and_colony: the tests were started with SIGHUP ignored (nohup)");
        return;
    }
    let reef = Reef::new(ENDLESS);
    let (child, mut messages) = run_until(&reef, "read");
    send(&child, &["HUP"]);
    messages.read_to_string(&mut String::new()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"stopped\""), "the summary is printed");

    let home = tempfile::tempdir().unwrap();
    json(
        &coral(home.path(), &["init", "shop", "--environment", "production", "--colony-id", "c", "--json"])
            .output()
            .unwrap(),
    );
    let mut start = coral(home.path(), &["start", "--colony-id", "c", "--listen", "127.0.0.1:0"]);
    let mut colony = start.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(colony.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on"), "{line}");
    send(&colony, &["HUP"]);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((colony.wait().unwrap().code(), rest.as_str()), (Some(0), "stopped\n"));
}

fn coral(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program("coral"));
    command.arg("colony").args(words).current_dir(home).env("CORAL_HOME", home).env("CORAL_STORAGE_PATH", home);
    command
}

#[test]
fn a_later_signal_ends_the_run_at_once_with_an_error_for_programs() {
    // a server that accepts the connection and never responds: the run cannot drain
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let storage = format!(
        "[storage]\ntype = \"clickhouse\"\nconnection = {{ host = \"127.0.0.1\", port = {port}, protocol = \"http\", \
         database = \"d\" }}\n"
    );
    let reef = Reef::with_storage(ENDLESS, &storage);
    let (child, mut messages) = run_until(&reef, "open");
    let (done, ended) = sync_channel(1);
    let reader = std::thread::Builder::new().name("messages".to_owned()).spawn(move || {
        messages.read_to_string(&mut String::new()).unwrap();
        done.send(()).unwrap();
    });
    // impatient: again and again; within the first second nothing comes of it
    loop {
        let _ = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).stderr(Stdio::null()).status();
        match ended.recv_timeout(Duration::from_millis(100)) {
            Err(RecvTimeoutError::Timeout) => {}
            other => break other.unwrap(),
        }
    }
    reader.unwrap().join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["code"], "interrupted", "{document:#}");
    assert!(document["error"]["hint"].as_str().unwrap().contains("start again"), "{document:#}");
}
