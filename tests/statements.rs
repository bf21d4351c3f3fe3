//! Statements in SQL by the real programs and on the real stores: one harness for both, stored rows joined with those of a
//! colony that runs, a reef that runs.

use crate::clickhouse::InDatabase;
use crate::support::clickhouse::Server;
use crate::support::colonies::{Daemon, stop};
use crate::support::{Reef, files_source, program};
use model::clock::{Clock, SystemClock};
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;
use model::time::{MINUTE_MS, TimeMs};
use reef::sql::compliance;
use serde_json::{Value, json};
use sinks::compliance::commit_of;
use sinks::compliance::rows::{bucket, colony, event, finding};
use sinks::{Commit, StoreWriter};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

const COLONY: &str = "my-shop-production";
const FIVE_MINUTES_MS: i64 = 5 * MINUTE_MS;

/// Events and buckets of several services, with texts that end statements; a pattern; a colony.
fn commit() -> Commit {
    let services = ["api", "web", "it's", "x' OR 1=1 --"];
    let event = |n: usize| Event {
        service_id: services[n % 4].to_owned(),
        event_type: ["deploy", "crash", "restart"][n % 3].to_owned(),
        version: u64::from(n % 5 == 0),
        ..event(&format!("e{n}"), n as i64 * MINUTE_MS + n as i64 % 7)
    };
    let metric = |n: usize| {
        let p99 = (n % 3 > 0).then_some(model::real::Real(n as f64 / 8.0));
        MetricPoint { p99, ..bucket(services[n % 4], n as i64 * MINUTE_MS) }
    };
    let rows = Rows {
        events: (0..40).map(event).collect(),
        metrics: (0..300).map(metric).collect::<Vec<_>>().into(),
        colonies: vec![colony()],
        ..Rows::default()
    };
    Commit { findings: vec![finding("a", 0.5, &[("e1", "e2"), ("e3", "e4")])], ..commit_of(1, rows) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_clickhouse_passes_the_harness_of_sql() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let mut store = fixture.opened().await;
    store.commit(&commit()).await.unwrap();
    compliance::run_all(store.reader()).await;
}

/// `coral reef sql … --json`.
fn sql(reef: &Reef, words: &[&str]) -> Output {
    let mut command = Command::new(program("coral"));
    command.args(["reef", "sql", "--json", "--reef"]).arg(reef.config()).args(words).output().unwrap()
}

fn answer(output: &Output) -> Value {
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
fn scene(folder: &Path) -> (Daemon, Reef) {
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
    let topology = answer(&sql(&reef, &["SELECT count(*) FROM colony.\"my-shop-production\".services"]));
    assert_eq!(topology["row_count"], 1);
    // a colony that does not answer has no rows, and that is said
    drop(colony);
    let found = answer(&sql(&reef, &[JOINED]));
    assert_eq!((&found["rows"], &found["notes"][0]["code"]), (&json!([]), &json!("colony_missing")), "{found:#}");
    assert_eq!(found["notes"][0]["colony_id"], COLONY);
    let required = sql(&reef, &[JOINED, "--require-complete"]);
    assert_eq!(required.status.code(), Some(5), "{}", String::from_utf8_lossy(&required.stdout));
}

#[test]
fn a_running_reef_answers_from_its_store_and_its_colonies() {
    let folder = tempfile::tempdir().unwrap();
    let (_colony, reef) = scene(folder.path());
    let run = reef.start();
    // until it has its store it does not answer
    let found = loop {
        let output = sql(&reef, &[JOINED]);
        if output.status.success() {
            break answer(&output);
        }
        assert!(String::from_utf8_lossy(&output.stdout).contains("store"), "{output:?}");
    };
    assert_eq!(found["rows"][0][0], "api", "{found:#}");
    assert_eq!(found["rows"][0][3], 3, "{found:#}");
    let refused = sql(&reef, &["DROP TABLE federated_metrics"]);
    let document: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((refused.status.code(), &document["error"]["code"]), (Some(2), &json!("invalid_argument")));
    let late = sql(
        &reef,
        &["SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b", "--timeout", "1s"],
    );
    let document: Value = serde_json::from_slice(&late.stdout).unwrap();
    assert_eq!((late.status.code(), &document["error"]["code"]), (Some(1), &json!("timed_out")));
    stop(run);
}
