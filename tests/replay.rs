//! Replay and backfill of whole reefs: they reproduce the live results, a what-if leaves no trace, interruptions change
//! nothing.

use crate::support::recordings::Recording;
use crate::support::{Reef, correlations, files_source, json, program};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Before all data, so that `--to now` takes everything.
const ALWAYS: &str = "2000-01-01";

fn pipeline(task: &str, reef: &Reef, flags: &[&str]) -> Command {
    let mut command = Command::new(program("coral-pipeline"));
    command.arg(task).arg(reef.config()).args(flags).arg("--json");
    command
}

fn done(task: &str, reef: &Reef, flags: &[&str]) -> Value {
    json(&pipeline(task, reef, flags).output().unwrap())
}

/// The error of a command that must fail with this exit code.
fn refused(output: &Output, exit: i32) -> Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    document["error"].clone()
}

fn words<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} missing in {value:#}"))
}

/// A generated fleet of four colonies.
fn fleet(days: u32, settings: &str) -> Reef {
    let reef = Reef::new(
        "[[sources]]\nkind = \"files\"\nevents = [\"fleet/events.ndjson\"]\nmetrics = [\"fleet/metrics.parquet\"]\n",
    );
    let text = std::fs::read_to_string(reef.config()).unwrap();
    std::fs::write(reef.config(), text + settings).unwrap();
    let mut generate = Command::new(program("coral-pipeline"));
    generate.args(["generate", "--seed", "7", "--colonies", "4", "--days", &days.to_string(), "--json", "--out"]);
    json(&generate.arg(reef.folder.path().join("fleet")).output().unwrap());
    reef
}

fn hash(path: &Path) -> String {
    let digest = Sha256::digest(std::fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Live, replayed elsewhere, and backfilled: one state.
fn replay_and_backfill_give_what_live_gave(reef: &Reef) {
    reef.run();
    let live = reef.correlations();
    assert!(live.contains("confirmed"), "there is something to compare");
    let summaries = "SELECT * FROM env_metric_summary ORDER BY ALL";
    let rows = "SELECT count(*), bool_or(late) FROM federated_events";
    let revisions = "SELECT correlation_id, revision FROM correlations ORDER BY ALL";
    let (live_summaries, live_rows, live_revisions) = (reef.query(summaries), reef.query(rows), reef.query(revisions));

    let copy = reef.folder.path().join("copy.duckdb");
    let replayed = done("replay", reef, &["--from", ALWAYS, "--into", copy.to_str().unwrap()]);
    assert_eq!(correlations(&copy), live);
    let counts = &replayed["diff"]["counts"];
    assert_eq!([&counts["gained"], &counts["lost"], &counts["changed"]], [0, 0, 0], "{counts}");
    assert!(counts["unchanged"].as_u64().unwrap() > 0);
    let db = duckdb::Connection::open(&copy).unwrap();
    assert_eq!(crate::support::dump(&db, summaries), live_summaries);
    assert_eq!(crate::support::dump(&db, rows), live_rows);
    // as an earlier version has left it
    db.execute_batch("DELETE FROM schema_version WHERE version = (SELECT max(version) FROM schema_version)").unwrap();
    drop(db);
    let planned = done("replay", reef, &["--from", ALWAYS, "--into", copy.to_str().unwrap(), "--dry-run"]);
    assert_eq!(planned["dry_run"], true, "{planned}");

    let backfilled = done("backfill", reef, &["--from", ALWAYS]);
    assert_eq!(backfilled["late_rows_repaired"], 0);
    assert_eq!(reef.correlations(), live);
    assert_eq!(reef.query(summaries), live_summaries);
    assert_eq!(reef.query(revisions), live_revisions, "correct rows stay unchanged");
    // live resumes: the files have been read
    reef.run();
    assert_eq!(reef.correlations(), live);
    assert_eq!(reef.query(rows), live_rows);
}

#[test]
fn releases_replayed_and_backfilled_are_what_live_gave() {
    let recording = Recording::any("releases");
    replay_and_backfill_give_what_live_gave(&Reef::new(&files_source(&[&recording.events()], &[])));
}

#[test]
fn a_fleet_replayed_and_backfilled_is_what_live_gave() {
    replay_and_backfill_give_what_live_gave(&fleet(20, ""));
}

#[test]
fn a_what_if_leaves_the_live_store_untouched_and_finds_what_a_run_with_it_finds() {
    let reef = fleet(20, "[correlation]\nmax_lag = \"1h\"\n");
    reef.run();
    let before = hash(&reef.store());
    let setting = ["--from", ALWAYS, "--set", "correlation.max_lag=5h"];
    let asked = done("replay", &reef, &setting);
    let into = reef.folder.path().join("what-if.duckdb");
    let kept = done("replay", &reef, &[&setting[..], &["--into", into.to_str().unwrap()]].concat());
    let planned = done("replay", &reef, &[&setting[..], &["--dry-run"]].concat());
    assert_eq!((&planned["dry_run"], &planned["writes"]), (&true.into(), &Value::Null), "{planned}");
    let repair = done("backfill", &reef, &["--from", ALWAYS, "--dry-run"]);
    assert!(repair["writes"].as_str().unwrap().starts_with("DuckDB ") && repair["rows"] == planned["rows"], "{repair}");
    let rows = |kind: &str| repair["rows"][kind].as_u64().unwrap();
    assert_eq!((kept["rows_in_range"].as_u64(), rows("late")), (Some(rows("events") + rows("metrics")), 0));
    assert_eq!(hash(&reef.store()), before, "not a byte of the live store has changed");

    let other = fleet(20, "[correlation]\nmax_lag = \"5h\"\n");
    other.run();
    assert_eq!(correlations(&into), other.correlations());
    assert_eq!(asked["diff"], kept["diff"], "with rows kept or not");
    let counts = &asked["diff"]["counts"];
    assert!(counts["gained_confirmed"].as_u64().unwrap() > 0, "longer lags are there to be found: {counts}");
    let gained: Vec<&str> =
        asked["diff"]["gained"].as_array().unwrap().iter().map(|line| words(line, "correlation_id")).collect();
    let ids = |reef: &Reef| reef.query("SELECT correlation_id FROM correlations ORDER BY ALL");
    let (narrow, wide) = (ids(&reef), ids(&other));
    let mut expected: Vec<&str> = wide.lines().filter(|id| !narrow.lines().any(|other| other == *id)).collect();
    let mut found = gained.clone();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

/// Waits until `child` has committed something to the store at `path`.
fn await_commits(child: &mut Child, path: &Path, log_bytes: u64) {
    let log = PathBuf::from(format!("{}.wal", path.display()));
    let deadline = Instant::now() + Duration::from_secs(120);
    while std::fs::metadata(&log).map_or(0, |file| file.len()) < log_bytes {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        assert!(Instant::now() < deadline, "nothing was committed");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Ends `command` in the middle with this signal.
fn interrupted(mut command: Command, path: &Path, signal: &str) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    await_commits(&mut child, path, 50_000);
    assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success());
    child.wait_with_output().unwrap()
}

const SMALL_TICKS: &str = "[engine]\ntick_rows_max = 500\n";

#[test]
fn a_replay_that_is_interrupted_and_killed_resumes_to_the_same_end() {
    let reef = fleet(20, SMALL_TICKS);
    reef.run();
    let live = reef.correlations();
    let copy = reef.folder.path().join("copy.duckdb");
    let flags = ["--from", ALWAYS, "--into", copy.to_str().unwrap()];

    let output = interrupted(pipeline("replay", &reef, &flags), &copy, "-INT");
    let error = refused(&output, 130);
    assert_eq!(words(&error, "code"), "interrupted");
    assert!(words(&error, "message").contains("rows read and stored"), "{error:#}");
    assert_eq!(words(&error, "hint"), "the same command resumes");
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(progress.contains("running") && progress.contains("stopping"), "{progress}");

    let output = interrupted(pipeline("replay", &reef, &flags), &copy, "-KILL");
    assert_eq!(output.status.code(), None, "killed");
    let end = done("replay", &reef, &flags);
    assert_eq!(end["resumed"], true);
    assert_eq!(end["to"], error["report"]["to"], "`now` is still that of the first call");
    assert!(end["summary"]["progress"]["rows"][0].as_u64() == end["rows_in_range"].as_u64(), "{end:#}");
    assert_eq!(correlations(&copy), live);
    // done: the next call starts over and changes nothing
    let again = done("replay", &reef, &flags);
    assert_eq!(again["resumed"], false);
    assert_eq!(correlations(&copy), live);
}

#[test]
fn a_backfill_that_is_interrupted_and_killed_resumes_to_the_same_end() {
    let reef = fleet(20, SMALL_TICKS);
    reef.run();
    let live = reef.correlations();
    mark_late(&reef, "timestamp < TIMESTAMP '2026-01-15'");
    let flags = ["--from", ALWAYS];
    let output = interrupted(pipeline("backfill", &reef, &flags), &reef.store(), "-TERM");
    assert_eq!(words(&refused(&output, 130), "code"), "interrupted");
    interrupted(pipeline("backfill", &reef, &flags), &reef.store(), "-KILL");
    let end = done("backfill", &reef, &flags);
    assert_eq!(end["resumed"], true);
    assert_eq!(reef.correlations(), live);
    assert_eq!(reef.query("SELECT count(*) FROM federated_metrics WHERE late"), "0\n");
}

/// Rows as a live run stores them that came after the allowed lateness, with patterns and summaries that do not know them.
fn mark_late(reef: &Reef, condition: &str) {
    let db = duckdb::Connection::open(reef.store()).unwrap();
    for table in ["federated_events", "metric_buckets"] {
        db.execute_batch(&format!("UPDATE {table} SET late = true WHERE {condition}")).unwrap();
    }
    db.execute_batch("DELETE FROM correlation_evidence; DELETE FROM correlations; DELETE FROM env_metric_summary")
        .unwrap();
}

#[test]
fn late_rows_are_picked_up_by_a_backfill_and_by_a_replay() {
    let summaries = "SELECT * FROM env_metric_summary ORDER BY ALL";
    let reef = fleet(20, "");
    reef.run();
    let (live, live_summaries) = (reef.correlations(), reef.query(summaries));
    for task in ["backfill", "replay"] {
        mark_late(&reef, "timestamp >= TIMESTAMP '2026-01-12' AND timestamp < TIMESTAMP '2026-01-14'");
        let late: u64 = reef.query("SELECT sum(n) FROM (SELECT count(*) AS n FROM federated_events WHERE late UNION ALL SELECT count(*) FROM federated_metrics WHERE late)").trim().parse().unwrap();
        assert!(late > 100, "{late} late rows");
        let repaired = done(task, &reef, &["--from", "2026-01-05", "--to", "2026-01-26"]);
        assert_eq!(repaired["late_rows_repaired"].as_u64(), Some(late), "{repaired:#}");
        assert_eq!(reef.correlations(), live, "{task}");
        assert_eq!(reef.query(summaries), live_summaries, "{task}");
        assert!(repaired["diff"]["counts"]["gained"].as_u64().unwrap() > 0, "what was missing is reported as gained");
    }
}

#[test]
fn a_range_beyond_the_look_back_is_reported_with_the_command_that_helps() {
    let recording = Recording::any("releases");
    let reef = Reef::new(&files_source(&[&recording.events()], &[]));
    reef.run();
    let live = reef.correlations();
    let report = done("backfill", &reef, &["--from", "2023-01-01", "--to", "2023-06-01"]);
    let notes = report["notes"].to_string();
    assert!(notes.contains("today's patterns look back to"), "{notes}");
    assert_eq!(reef.correlations(), live);
    // the command of the note, unchanged
    let command = notes.split("coral-pipeline ").nth(1).unwrap().trim_end_matches(['"', ']']);
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let output = Command::new(program("coral-pipeline"))
        .current_dir(reef.folder.path())
        .args(&arguments)
        .arg("--json")
        .output()
        .unwrap();
    let counts = json(&output)["diff"]["counts"].clone();
    assert!(counts["lost"].as_u64().unwrap() + counts["changed"].as_u64().unwrap() > 0, "as of then it was different");
    let as_of = crate::support::dump(
        &duckdb::Connection::open(reef.folder.path().join("as-of.duckdb")).unwrap(),
        "SELECT max(timestamp) < TIMESTAMP '2023-06-01' AS is_before, count(*) > 100 AS is_filled FROM federated_events",
    );
    assert_eq!(as_of, "true\ttrue\n");
}

#[test]
fn a_running_reef_is_not_disturbed() {
    let reef = fleet(6, "");
    reef.run();
    // a live colony that never responds keeps the reef running
    let text = std::fs::read_to_string(reef.config()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let colony = format!("[[colonies]]\ncolony_id = \"c\"\nendpoint = \"http://{}\"\n", listener.local_addr().unwrap());
    std::fs::write(reef.config(), text + &colony).unwrap();
    let mut start = pipeline("run", &reef, &[]);
    let mut running = start.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // once the reef reports that it runs, it has the file open, and no other process can open it
    let mut progress = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("running") {
        line.clear();
        assert!(progress.read_line(&mut line).unwrap() > 0, "the reef does not run");
    }
    let into = reef.folder.path().join("copy.duckdb");
    let attempts: [(&str, Vec<&str>); 4] = [
        ("backfill", vec!["--from", ALWAYS]),
        ("replay", vec!["--from", ALWAYS]),
        ("replay", vec!["--from", ALWAYS, "--into", into.to_str().unwrap()]),
        ("replay", vec!["--from", ALWAYS, "--set", "correlation.max_lag=5h"]),
    ];
    for (task, flags) in attempts {
        let error = refused(&pipeline(task, &reef, &flags).output().unwrap(), 1);
        assert_eq!(words(&error, "code"), "store_busy");
        assert!(words(&error, "message").contains(&format!("PID {}", running.id())), "{error:#}");
        let hint = words(&error, "hint");
        assert!(hint.contains("nothing was written") && hint.contains("stop it"), "{hint}");
        assert!(!into.exists(), "nothing was created");
    }
    assert!(running.try_wait().unwrap().is_none(), "the reef goes on");
    assert!(Command::new("kill").arg(running.id().to_string()).status().unwrap().success());
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert_eq!(done("backfill", &reef, &["--from", ALWAYS])["late_rows_repaired"], 0, "and now it works");
}

#[test]
fn typical_mistakes_say_what_to_do() {
    let reef = fleet(6, "");
    let live = reef.store();
    let live = live.to_str().unwrap();
    let attempt = |task: &str, flags: &[&str]| pipeline(task, &reef, flags).output().unwrap();
    let missing = refused(&attempt("replay", &["--from", "24h"]), 3);
    assert!(words(&missing, "message").contains("reef.duckdb does not exist"), "{missing:#}");
    assert!(words(&missing, "hint").contains("coral-pipeline run"));
    assert!(!reef.store().exists());

    reef.run();
    let bytes = hash(&reef.store());
    let strange = reef.folder.path().join("strange.duckdb");
    duckdb::Connection::open(&strange).unwrap().execute_batch("CREATE TABLE t (a INTEGER)").unwrap();
    let other = fleet(6, "");
    other.run();
    let (strange, other) = (strange.display().to_string(), other.store().display().to_string());
    let cases: [(&[&str], &str); 9] = [
        (&["--from", "2026-01-09", "--to", "2026-01-08"], "is not before --to"),
        (&["--from", "yesterday"], "--from \"yesterday\" is not a time"),
        (&["--from", "24h", "--set", "correlation.max_lagg=6h"], "did you mean \"max_lag\"?"),
        (&["--from", "24h", "--set", "storage.path=x.duckdb"], "only keys of [correlation], [collection], [engine]"),
        (&["--from", "24h", "--set", "correlation.max_lag=6"], "has no unit"),
        (&["--from", "24h", "--into", live], "is the live store of this reef"),
        (&["--from", "24h", "--into", &other], "holds what a reef has read from files"),
        (&["--from", "24h", "--into", &strange], "is no store of this reef"),
        (&["--from", "24h", "--source", "kafka"], "no source of kind \"kafka\""),
    ];
    for (flags, expected) in cases {
        let error = refused(&attempt("replay", flags), 2);
        assert!(error.to_string().contains(&expected.replace('"', "\\\"")), "{flags:?}: {error:#}");
    }

    let empty = done("replay", &reef, &["--from", "1999-01-01", "--to", "1999-02-01"]);
    assert_eq!((&empty["rows_in_range"], &empty["summary"]), (&Value::from(0), &Value::Null));
    assert!(empty["notes"][0].as_str().unwrap().contains("stored rows are from 2026-01-05T"), "{empty:#}");
    assert_eq!(hash(&reef.store()), bytes, "none of it has changed the live store");
}
