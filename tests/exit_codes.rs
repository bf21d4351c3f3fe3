//! Exit codes of a run: 0 only when the work was done, 130 when it was stopped early, 4 for a missing permission.

use crate::support::{Reef, files_source, program};
use serde_json::Value;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Events of one colony, a minute apart; `time` is the name of the column with the time.
fn events(count: usize, time: &str) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (day, hour, minute) = (number / 1440 % 28 + 1, number / 60 % 24, number % 60);
        writeln!(
            text,
            "{{\"event_id\":\"e{number}\",\"colony_id\":\"shop-production\",\"{time}\":\"2026-09-{day:02}T{hour:02}:{minute:02}:00Z\",\
             \"event_type\":\"deploy\",\"service_id\":\"web\"}}"
        )
        .unwrap();
    }
    text
}

fn reef_over(text: &str, engine: &str) -> Reef {
    let reef = Reef::new(&(files_source(&[Path::new("e.ndjson")], &[]) + engine));
    std::fs::write(reef.folder.path().join("e.ndjson"), text).unwrap();
    reef
}

fn error_of(output: &Output) -> (Option<i32>, Value) {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code(), document["error"].clone())
}

#[test]
fn finite_input_that_is_interrupted_ends_with_130_and_resumes() {
    let reef = reef_over(&events(30_000, "timestamp"), "[engine]\ntick_rows_max = 200\n");
    for signal in ["INT", "TERM"] {
        let mut command = reef.command();
        command.env("RUST_LOG", "coral_pipelines=debug").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("phase=\"commit\"") {
            line.clear();
            assert!(messages.read_line(&mut line).unwrap() > 0, "it ended before it had committed");
        }
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        messages.read_to_string(&mut String::new()).unwrap();
        let (code, error) = error_of(&child.wait_with_output().unwrap());
        assert_eq!((code, &error["code"]), (Some(130), &Value::from("interrupted")));
        assert_eq!(error["report"]["summary"]["ended"], "stopped", "the result so far is reported as well");
        assert!(error["hint"].as_str().unwrap().contains("start again to resume"));
    }
    assert_eq!(reef.run()["summary"]["ended"], "input_finished");
    assert_eq!(reef.query("SELECT count(*) FROM federated_events"), "30000\n");
}

#[test]
fn a_run_in_which_every_row_is_refused_ends_with_1() {
    for text in ["not json at all\n".to_owned(), events(20, "time")] {
        let reef = reef_over(&text, "");
        let (code, error) = error_of(&reef.command().output().unwrap());
        assert_eq!((code, &error["code"]), (Some(1), &Value::from("every_row_refused")), "{error:#}");
        let page = Command::new(program("coral-pipeline")).arg("run").arg(reef.config()).output().unwrap();
        // the file has been read: nothing new is nothing wrong
        assert_eq!(page.status.code(), Some(0), "{page:?}");
    }
}

#[test]
fn a_missing_permission_ends_with_4_wherever_it_is_met() {
    let allow = |path: &Path, mode: u32| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let reef = reef_over(&events(5, "timestamp"), "");
    let (folder, file) = (reef.folder.path().to_owned(), reef.folder.path().join("e.ndjson"));
    let Some(called) = without_privileges() else { return };
    let refused = |words: &[&str], names: &str| assert_refused(&called, &reef, words, names);
    allow(&folder, 0o555);
    refused(&["run"], "reef.duckdb");
    allow(&folder, 0o755);
    allow(&file, 0);
    refused(&["run"], "e.ndjson");
    allow(reef.config(), 0);
    refused(&["run"], "reef.toml");
    refused(&["validate"], "reef.toml");
}

#[test]
fn the_folder_of_a_glob_that_may_not_be_listed_ends_with_4() {
    let Some(called) = without_privileges() else { return };
    // a name in such a folder cannot be looked up, which is not that there is no such file
    for pattern in ["closed/*.ndjson", "closed/e.ndjson"] {
        let reef = Reef::new(&files_source(&[Path::new(pattern)], &[]));
        let closed = reef.folder.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::write(closed.join("e.ndjson"), events(5, "timestamp")).unwrap();
        let allow = |mode: u32| std::fs::set_permissions(&closed, PermissionsExt::from_mode(mode)).unwrap();
        allow(0);
        assert_refused(&called, &reef, &["run"], "closed");
        assert_refused(&called, &reef, &["validate"], "closed");
        allow(0o755);
        assert_eq!(reef.run()["summary"]["progress"]["events"], 5, "the permission is all that was missing");
    }
}

/// A command on this reef ends with 4 and names what it may not use.
fn assert_refused(called: &[String], reef: &Reef, words: &[&str], names: &str) {
    let mut command = Command::new(&called[0]);
    command.args(&called[1..]).arg(words[0]).arg(reef.config()).args(&words[1..]).arg("--json");
    let (code, error) = error_of(&command.output().unwrap());
    assert_eq!(code, Some(4), "{words:?}: {error:#}");
    assert!(error.to_string().contains(names), "{error:#}");
}

/// The program as a user whose permissions count, or `None` where this user cannot become one.
pub fn without_privileges() -> Option<Vec<String>> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    if id != b"0\n" {
        return words(&[program("coral-pipeline")]);
    }
    let limit = "--bounding-set=-dac_override,-dac_read_search";
    if Command::new("setpriv").args([limit, "true"]).output().is_ok_and(|output| output.status.success()) {
        return words(&["setpriv", limit, program("coral-pipeline")]);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
    {
        eprintln!("SKIPPED a_missing_permission: setpriv is not on this machine");
    }
    None
}

/// `validate --json`: exit code and the check of the store.
fn validate(reef: &Reef) -> (Option<i32>, Value) {
    let mut validate = Command::new(program("coral-pipeline"));
    let output = validate.arg("validate").arg(reef.config()).args(["--no-network", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = if document["error"].is_null() { &document } else { &document["error"]["report"] };
    let store = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "store").unwrap();
    (output.status.code(), store.clone())
}

#[test]
fn validate_says_who_holds_the_store_and_whose_tables_it_has() {
    let reef = reef_over(&events(5, "timestamp"), "");
    let foreign = duckdb::Connection::open(reef.store()).unwrap();
    foreign.execute_batch("CREATE TABLE sales (amount INTEGER)").unwrap();
    foreign.close().unwrap();
    let (code, store) = validate(&reef);
    assert_eq!((code, &store["outcome"]), (Some(2), &Value::from("failed")));
    assert!(store["note"].as_str().unwrap().contains("no tables of a reef"), "{store}");

    std::fs::remove_file(reef.store()).unwrap();
    reef.run();
    assert_eq!(validate(&reef).0, Some(0));
    let held = duckdb::Connection::open(reef.store()).unwrap();
    let (code, store) = validate(&reef);
    assert_eq!((code, &store["outcome"]), (Some(2), &Value::from("failed")));
    assert!(store["note"].as_str().unwrap().contains(&format!("PID {}", std::process::id())), "{store}");
    drop(held);
}

#[test]
fn a_run_waits_for_a_reader_that_has_the_store_open_for_a_moment() {
    let reef = reef_over(&events(5, "timestamp"), "");
    reef.run();
    let held = duckdb::Connection::open(reef.store()).unwrap();
    let mut run = reef.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_millis(600);
    while Instant::now() < until {
        assert_eq!(run.try_wait().unwrap(), None, "it waits");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    drop(held);
    assert!(run.wait().unwrap().success());
}
