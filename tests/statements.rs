//! Statements in SQL by the real programs and on the real stores: one harness for both, stored rows joined with those
//! of a colony that runs, a reef that runs.

mod ends;

use crate::clickhouse::InDatabase;
use crate::support::clickhouse::Server;
use crate::support::colonies::{Daemon, stop};
use crate::support::{Reef, files_source, program};
use model::clock::{Clock, SystemClock};
use model::time::{MINUTE_MS, TimeMs};
use proto::colony::v1::ingest_service_client::IngestServiceClient;
use proto::colony::v1::{ConnectionReport, IngestEventsRequest, IngestTopologyRequest, ServiceReport};
use proto::convert::time_to_wire;
use proto::reef::v1;
use reef::sql::compliance;
use serde_json::{Value, json};
use sinks::StoreWriter;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const COLONY: &str = "my-shop-production";
const FIVE_MINUTES_MS: i64 = 5 * MINUTE_MS;
/// How long a reef that starts may not answer.
const START_WAIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_clickhouse_passes_the_harness_of_sql() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let mut store = fixture.opened().await;
    for commit in compliance::rows::commits() {
        store.commit(&commit).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    compliance::run_all(store.reader(), folder.path()).await;
}

/// `coral reef sql … --json`.
pub fn sql(reef: &Reef, words: &[&str]) -> Output {
    let mut command = Command::new(program("coral"));
    command.args(["reef", "sql", "--json", "--reef"]).arg(reef.config()).args(words).output().unwrap()
}

pub fn answer(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Buckets of two services, one every five minutes, the last one at `last`.
fn buckets(path: &Path, count: i64, last: TimeMs, p95: f64) {
    let mut text = "colony_id,service_id,metric_name,timestamp,p95,count,interval_seconds\n".to_owned();
    for n in 0..count {
        let time = last - (count - 1 - n) * FIVE_MINUTES_MS;
        for service in ["api", "web"] {
            writeln!(text, "{COLONY},{service},latency,{time},{p95},10,300").unwrap();
        }
    }
    std::fs::write(path, text).unwrap();
}

/// A reef whose store has buckets up to an hour ago, of a colony that has newer ones.
pub fn scene(folder: &Path) -> (Daemon, Reef) {
    let now = SystemClock.now().floor_to(FIVE_MINUTES_MS);
    let (stored, live) = (folder.join("stored.csv"), folder.join("live.csv"));
    buckets(&stored, 12, now - 60 * MINUTE_MS, 20.0);
    buckets(&live, 3, now - FIVE_MINUTES_MS, 80.0);
    let colony = Daemon::init(folder, ("my-shop", COLONY), "");
    colony.import(&live);
    let body = files_source(&[], &[&stored]);
    let reef = Reef::new(&body);
    reef.run();
    let with_colony = format!(
        "{body}[[colonies]]\ncolony_id = {COLONY:?}\nendpoint = {:?}\n[collection]\nsummary_interval = \"1h\"\n",
        colony.endpoint
    );
    let text = std::fs::read_to_string(reef.config()).unwrap();
    std::fs::write(reef.config(), text.replace(&body, &with_colony)).unwrap();
    (colony, reef)
}

const JOINED: &str = "SELECT stored.service_id, stored.usual, max(live.p95) AS worst, count(*) AS n
    FROM (SELECT service_id, avg(p95) AS usual FROM federated_metrics WHERE metric_name = 'latency' GROUP BY service_id)
      AS stored
    JOIN colony.\"my-shop-production\".metrics AS live ON live.service_id = stored.service_id
    WHERE live.service_id = 'api' AND live.timestamp >= now() - INTERVAL '30 minutes'
    GROUP BY stored.service_id, stored.usual";

#[test]
fn stored_rows_are_joined_with_those_that_only_the_colony_has() {
    let folder = tempfile::tempdir().unwrap();
    let (colony, reef) = scene(folder.path());
    let found = answer(&sql(&reef, &[JOINED]));
    assert_eq!(found["rows"], json!([["api", 20.0, 80.0, 3]]), "{found:#}");
    assert_eq!(found["notes"], json!([]));
    let reads = found["reads"].as_array().unwrap();
    let sent = |table: &str| {
        let read = reads.iter().find(|read| read["table"].as_str().unwrap().contains(table));
        read.unwrap_or_else(|| panic!("{table}: {found:#}"))["rows"].as_str().unwrap().to_owned()
    };
    assert_eq!(sent("colony."), "3", "the colony was asked for one service and half an hour only");
    assert_eq!(sent("federated_metrics"), "12", "the condition on the service holds for both sides");
    let plan = answer(&sql(&reef, &[&format!("EXPLAIN {JOINED}")]))["rows"].to_string();
    assert!(plan.contains("SourceExec: table=colony."), "{plan}");
    // a colony that does not answer has no rows, and that is said
    drop(colony);
    let found = answer(&sql(&reef, &[JOINED]));
    assert_eq!((&found["rows"], &found["notes"][0]["code"]), (&json!([]), &json!("colony_missing")), "{found:#}");
    assert_eq!(found["notes"][0]["colony_id"], COLONY);
    let required = sql(&reef, &[JOINED, "--require-complete"]);
    assert_eq!(required.status.code(), Some(5), "{}", String::from_utf8_lossy(&required.stdout));
}

/// What an agent reports to a colony: events at `time`, and one two hours before; two services and their calls.
async fn report(colony: &Daemon, time: TimeMs) {
    let mut agent = IngestServiceClient::connect(colony.endpoint.clone()).await.unwrap();
    let event = |id: &str, service: &str, time: TimeMs| v1::Event {
        event_id: id.to_owned(),
        timestamp: Some(time_to_wire(time)),
        event_type: "deploy".to_owned(),
        service_id: service.to_owned(),
        severity: "warning".to_owned(),
        metadata: [("cause".to_owned(), "it's".to_owned())].into(),
        description: "one\ntwo".to_owned(),
        ..v1::Event::default()
    };
    let amended = v1::Event { version: Some(2), withdrawn: Some(true), ..event("b", "web", time) };
    let events = vec![event("a", "api", time), amended, event("old", "api", time - 120 * MINUTE_MS)];
    let accepted = agent.ingest_events(IngestEventsRequest { events }).await.unwrap().into_inner().accepted;
    assert_eq!(accepted, 3);
    let service = |id: &str, version: &str, status: &str| ServiceReport {
        service_id: id.to_owned(),
        name: format!("the {id}"),
        version: version.to_owned(),
        status: status.to_owned(),
        agent_id: "agent".to_owned(),
        ..ServiceReport::default()
    };
    let calls = |count: i64| ConnectionReport {
        from_service: "web".to_owned(),
        to_service: "api".to_owned(),
        protocol: "grpc".to_owned(),
        request_count: count,
        observed_at: None,
    };
    let services = vec![service("api", "1.4", "running"), service("web", "", "stopped")];
    let request = IngestTopologyRequest { services, connections: vec![calls(3), calls(4)] };
    assert_eq!(agent.ingest_topology(request).await.unwrap().into_inner().accepted, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_services_and_connections_have_the_rows_that_the_colony_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let (colony, reef) = scene(folder.path());
    let time = SystemClock.now().floor_to(FIVE_MINUTES_MS) - FIVE_MINUTES_MS;
    report(&colony, time).await;
    let rows = |columns: &str, rest: &str| {
        let sql_text = format!("SELECT {columns} FROM colony.\"{COLONY}\".{rest}");
        let found = answer(&sql(&reef, &[&sql_text]));
        assert_eq!(found["notes"], json!([]), "{sql_text}");
        found["rows"].clone()
    };
    let names = "colony_id, application_name, environment, event_id, timestamp, event_type, service_id";
    let recent = "events WHERE timestamp >= now() - INTERVAL '1 hour' ORDER BY event_id";
    let at = time.to_string().replace(".000Z", "Z");
    let name = |id: &str, service: &str| json!([COLONY, "my-shop", "production", id, &at, "deploy", service]);
    assert_eq!(rows(names, recent), json!([name("a", "api"), name("b", "web")]));
    let content = "severity, description, metadata, version, withdrawn";
    let expected =
        |version: u64, withdrawn: bool| json!(["warning", "one\ntwo", "{\"cause\":\"it's\"}", version, withdrawn]);
    assert_eq!(rows(content, recent), json!([expected(0, false), expected(2, true)]));
    assert_eq!(rows("event_id", "events WHERE service_id = 'api' ORDER BY event_id"), json!([["a"], ["old"]]));
    let services = json!([[COLONY, "api", "the api", "1.4", "running"], [COLONY, "web", "the web", "", "stopped"]]);
    assert_eq!(rows("colony_id, service_id, name, version, status", "services ORDER BY service_id"), services);
    let calls = "colony_id, from_service, to_service, protocol, request_count";
    assert_eq!(rows(calls, "connections"), json!([[COLONY, "web", "api", "grpc", 7]]));
}

#[test]
fn what_a_colony_is_asked_for_is_counted_and_what_it_lacks_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (_colony, reef) = scene(folder.path());
    let ask = |condition: &str| {
        let sql_text = format!("SELECT count(*) FROM colony.\"{COLONY}\".metrics WHERE {condition}");
        let found = answer(&sql(&reef, &[&sql_text]));
        let sent = found["reads"][0]["rows"].as_str().unwrap().to_owned();
        (found["rows"][0][0].as_i64().unwrap(), sent, found["notes"].clone())
    };
    let none = json!([]);
    let recent = "timestamp >= now() - INTERVAL '30 minutes'";
    assert_eq!(ask(recent), (6, "6".to_owned(), none.clone()));
    assert_eq!(ask(&format!("{recent} AND service_id = 'web'")), (3, "3".to_owned(), none.clone()));
    assert_eq!(ask(&format!("{recent} AND metric_name IN ('other', 'more')")), (0, "0".to_owned(), none.clone()));
    assert_eq!(ask("timestamp < '2001-01-01'"), (0, "0".to_owned(), none.clone()));
    // what the colony does not know is evaluated above it
    assert_eq!(ask(&format!("{recent} AND p95 > 1000")), (0, "6".to_owned(), none.clone()));
    assert_eq!(ask(&format!("{recent} AND service_id LIKE 'w%'")), (3, "6".to_owned(), none.clone()));
    assert_eq!(ask(&format!("{recent} AND interval_seconds = 300")), (6, "6".to_owned(), none.clone()));
    // finer ones are left out, as the condition says
    assert_eq!(ask(&format!("{recent} AND interval_seconds >= 3600")), (0, "6".to_owned(), none));
    let (rows, _, notes) = ask(&format!("{recent} AND interval_seconds <= 60"));
    assert_eq!((rows, &notes[0]["code"], &notes[0]["colony_id"]), (0, &json!("resolution_coarser"), &json!(COLONY)));
    let (rows, _, notes) = ask(&format!("{recent} AND interval_seconds = 3600"));
    assert_eq!((rows, &notes[0]["code"], &notes[0]["colony_id"]), (0, &json!("resolution_finer"), &json!(COLONY)));
    assert!(notes[0]["message"].as_str().unwrap().contains("6 buckets"), "{notes:#}");
    let hostile = ask(&format!("{recent} AND service_id = 'x'' OR 1=1 --'"));
    assert_eq!((hostile.0, hostile.1.as_str()), (0, "0"));
}

#[test]
fn an_answer_with_notes_fails_where_it_is_required_to_be_complete() {
    let folder = tempfile::tempdir().unwrap();
    let stored = folder.path().join("stored.csv");
    buckets(&stored, 12, SystemClock.now().floor_to(FIVE_MINUTES_MS), 20.0);
    let reef = Reef::new(&files_source(&[], &[&stored]));
    reef.run();
    let all = "SELECT service_id FROM federated_metrics";
    let found = answer(&sql(&reef, &[all, "--limit", "5"]));
    assert_eq!((&found["row_count"], &found["truncated"]), (&json!(5), &json!(true)));
    assert_eq!(found["notes"][0]["code"], "limit_reached");
    let required = sql(&reef, &[all, "--limit", "5", "--require-complete"]);
    let document: Value = serde_json::from_slice(&required.stdout).unwrap();
    assert_eq!((required.status.code(), &document["error"]["code"]), (Some(5), &json!("incomplete")), "{document:#}");
    assert!(document["error"]["details"][0].as_str().unwrap().contains("first 5 rows"), "{document:#}");
    let whole = answer(&sql(&reef, &[all, "--limit", "24", "--require-complete"]));
    assert_eq!((&whole["row_count"], &whole["notes"]), (&json!(24), &json!([])));
}

#[test]
fn files_are_read_where_the_configuration_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let stored = folder.path().join("stored.csv");
    buckets(&stored, 12, SystemClock.now().floor_to(FIVE_MINUTES_MS), 20.0);
    let reef = Reef::new(&files_source(&[], &[&stored]));
    reef.run();
    let exports = reef.config().with_file_name("exports");
    std::fs::create_dir(&exports).unwrap();
    let file = exports.join("rows.parquet").display().to_string();
    let form = ["SELECT * FROM federated_metrics", "--as", "parquet", "--out", file.as_str()];
    assert_eq!(answer(&sql(&reef, &form))["row_count"], 24);
    let joined = "SELECT count(*) FROM files('rows.parquet') AS f JOIN federated_metrics AS m
                  ON f.timestamp = m.timestamp AND f.service_id = m.service_id";
    let closed = sql(&reef, &[joined]);
    assert_eq!(closed.status.code(), Some(2), "{}", String::from_utf8_lossy(&closed.stdout));
    let text = std::fs::read_to_string(reef.config()).unwrap();
    std::fs::write(reef.config(), format!("{text}\n[api]\nsql_files = [\"exports\"]\n")).unwrap();
    assert_eq!(answer(&sql(&reef, &[joined]))["rows"], json!([[24]]));
    let outside = sql(&reef, &["SELECT * FROM files('../reef.toml')"]);
    assert_eq!(outside.status.code(), Some(2), "{}", String::from_utf8_lossy(&outside.stdout));
}

#[test]
fn a_running_reef_answers_from_its_store_and_its_colonies() {
    let folder = tempfile::tempdir().unwrap();
    let (_colony, reef) = scene(folder.path());
    let run = reef.start();
    let began = Instant::now();
    let pause = |output: &Output| {
        assert!(began.elapsed() < START_WAIT, "{output:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    // between taking its store and listening it does not answer
    let asked = |args: &[&str]| loop {
        let output = sql(&reef, args);
        if !String::from_utf8_lossy(&output.stdout).contains("store_busy") {
            return output;
        }
        pause(&output);
    };
    // before it has taken its store there may be none
    let found = loop {
        let output = asked(&[JOINED]);
        if output.status.success() {
            break answer(&output);
        }
        assert!(String::from_utf8_lossy(&output.stdout).contains("store"), "{output:?}");
        pause(&output);
    };
    assert_eq!(found["rows"][0][0], "api", "{found:#}");
    assert_eq!(found["rows"][0][3], 3, "{found:#}");
    let refused = asked(&["DROP TABLE federated_metrics"]);
    let document: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((refused.status.code(), &document["error"]["code"]), (Some(2), &json!("invalid_argument")));
    let late = asked(&[
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
        "--timeout",
        "1s",
    ]);
    let document: Value = serde_json::from_slice(&late.stdout).unwrap();
    assert_eq!((late.status.code(), &document["error"]["code"]), (Some(1), &json!("timed_out")));
    stop(run);
}
