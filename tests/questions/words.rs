//! Questions in words on both stores: predictions as evidence, the table of analyses, a process that is killed while it asks.

use super::{REEF_ID, fleet, names};
use crate::clickhouse::InDatabase;
use crate::services::Serving;
use crate::stores::clickhouse_storage;
use crate::support::clickhouse::Server;
use crate::support::colonies::coral;
use crate::support::{Reef, dump, files_source, json as document};
use model::derived::{DerivedChange, Value as Cell};
use model::real::Real;
use model::rows::Rows;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use serde_json::{Value, json};
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::compliance::commit_of;
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Commit, StoreWriter};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// 2024-11-13 12:00.
const NOON: TimeMs = TimeMs(1_731_499_200_000);
const EVENTS: &str = r#"{"event_id":"d1","colony_id":"my-shop-staging","timestamp":"2024-11-13T10:00:00Z","event_type":"deploy","service_id":"api","severity":"info","metadata":{"version":"v1.0.0"}}
{"event_id":"e1","colony_id":"my-shop-production","timestamp":"2024-11-13T11:00:00Z","event_type":"error_spike","service_id":"api","severity":"error"}
"#;
const API: &str = "[api]\nlisten = \"127.0.0.1:0\"\n";
/// How long what was given up may take to show as such.
const WAIT: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Predictions of a pattern: one is open, of those before it two came true and one did not.
pub fn predictions() -> Commit {
    let text = |text: &str| Cell::Text(text.to_owned());
    let row = |number: i64, outcome: &str| {
        let issued = NOON - number * DAY_MS - 60 * MINUTE_MS;
        let mut row = vec![text(&format!("p-{number}")), text("c-0123456789ab")];
        let source = format!("web-{number}");
        row.extend(["my-shop-staging", source.as_str(), "my-shop-production", "web", "error_spike"].map(text));
        row.extend([0, 120, 150, 160].map(|minute| Cell::Time(issued + minute * MINUTE_MS)));
        let resolved = if outcome == "hit" { Cell::Time(issued + 130 * MINUTE_MS) } else { Cell::Null };
        row.extend([Cell::Real(Real(0.8)), text(outcome), Cell::Null, resolved]);
        row.extend(["web", "deploy", "my-shop", "staging", "my-shop", "production"].map(text));
        row.push(Cell::Real(Real(0.1)));
        row
    };
    let upserts = [(0, "open"), (1, "hit"), (2, "miss"), (3, "hit")].map(|(number, outcome)| row(number, outcome));
    let change = DerivedChange { table: "predictions".to_owned(), upserts: upserts.to_vec(), removed: Vec::new() };
    Commit { derived: vec![change], ..commit_of(2, Rows::default()) }
}

async fn fill(mut store: Box<dyn StoreWriter>) {
    store.commit(&fleet::commit()).await.unwrap();
    store.commit(&predictions()).await.unwrap();
    store.close().await.unwrap();
}

/// The answer of `coral reef analyze`.
fn analyze(reef: &Reef, words: &str) -> Value {
    let mut command = coral(reef.folder.path());
    command.env_remove("CORAL_REEF").args(["reef", "analyze", words, "--json", "--reef"]).arg(reef.config());
    document(&command.output().unwrap())
}

#[test]
fn open_predictions_are_evidence_that_both_stores_give_again() {
    let reef = Reef::new(&files_source(&[Path::new("unread.ndjson")], &[]));
    let config = DuckDbConfig { reef_id: Some(REEF_ID.to_owned()), ..DuckDbConfig::at(reef.store()) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { fill(Box::new(DuckDbStore::open(config).await.unwrap())).await });
    let answer = analyze(&reef, "what is expected to happen in production?");
    let text = answer["answer"].as_str().unwrap();
    let title = "error_spike of web in my-shop-production is expected from 2024-11-13 13:00:00 UTC to 2024-11-13 13:30:00 UTC \
                 with a probability of 80%";
    assert!(text.starts_with(&format!("Finding: {title} [E1]")), "{text}");
    assert!(text.contains("2 of 3 predictions of the pattern in 30 days came true [E2]"), "{text}");
    let evidence = answer["evidence"].as_array().unwrap();
    let of_predictions: Vec<&Value> =
        evidence.iter().filter(|one| one["query"].as_str().unwrap().contains("FROM prediction")).collect();
    assert_eq!(of_predictions.len(), 2, "{evidence:#?}");
    assert_eq!((&evidence[0]["claim"], &evidence[0]["type"]), (&json!("expected"), &json!("correlation")));
    for one in &of_predictions {
        assert_eq!(one["complete_to"], "2024-11-13T12:00:00Z", "{one:#}");
    }
    let none = analyze(&reef, "what is predicted in development?");
    assert!(none["answer"].as_str().unwrap().contains("No prediction is open in dev: "), "{none:#}");

    let db = duckdb::Connection::open(reef.store()).unwrap();
    let on_duckdb: Vec<String> = of_predictions.iter().map(|one| dump(&db, one["query"].as_str().unwrap())).collect();
    assert_eq!(on_duckdb, ["open\t2024-11-13 13:00:00\t2024-11-13 13:30:00\t0.8\tc-0123456789ab\n", "2\t1\t0\n"]);
    let data = [&of_predictions[0]["data"], &of_predictions[1]["data"]];
    assert_eq!(
        (&data[0]["probability"], &data[0]["expected_from"]),
        (&json!("0.8"), &json!("2024-11-13T13:00:00.000Z"))
    );
    assert_eq!(data[1], &json!({ "hit_count": "2", "miss_count": "1", "void_count": "0" }));
    let mut queries = none["evidence"].as_array().unwrap().iter().map(|one| one["query"].as_str().unwrap());
    let query = queries.find(|query| query.contains("FROM predictions")).unwrap();
    assert_eq!(dump(&db, query), "0\n", "{query}");

    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let config = ClickHouseConfig { reef_id: Some(REEF_ID.to_owned()), ..fixture.config() };
    runtime.block_on(async { fill(Box::new(ClickHouseStore::open(config).await.unwrap())).await });
    let expected = ["open\t2024-11-13 13:00:00.000\t2024-11-13 13:30:00.000\t0.8\tc-0123456789ab\n", "2\t1\t0\n"];
    for (one, expected) in of_predictions.iter().zip(expected) {
        let query = one["query"].as_str().unwrap();
        let found = server.query(fixture.name(), query);
        assert_eq!(found.replace(".000000", ".000"), expected, "{query}");
    }
    assert_eq!(server.query(fixture.name(), query), "0\n");
}

/// A reef with two events; `more` is added to its configuration.
fn small(storage: Option<&str>, more: &str, folder: &Path) -> Reef {
    let events = folder.join("events.ndjson");
    std::fs::write(&events, EVENTS).unwrap();
    let body = format!("{}{API}{more}", files_source(&[&events], &[]));
    let reef = match storage {
        Some(storage) => Reef::with_storage(&body, storage),
        None => Reef::new(&body),
    };
    reef.run();
    reef
}

/// What `ListAnalyses` answers.
fn listed(serving: &Serving, request: &Value) -> Value {
    serde_json::from_str(&serving.call("ReefService/ListAnalyses", request)).unwrap()
}

/// Asks on a stopped reef, runs it twice, and loses the journal: the table has what was asked, once. `rows` reads it.
fn asked_and_copied(reef: &Reef, rows: impl Fn() -> String) {
    for words in ["what happened?", "any issues in production?"] {
        analyze(reef, words);
    }
    assert_eq!(rows(), "", "only a run writes tables");
    reef.run();
    let expected = "any issues in production?\tlocal\tadmin\ttemplate\nwhat happened?\tlocal\tadmin\ttemplate\n";
    assert_eq!(rows(), expected);
    reef.run();
    assert_eq!(rows(), expected, "copied once");
    let serving = Serving::start("serve", reef);
    let with_both = listed(&serving, &json!({}));
    assert_eq!(
        (&with_both["total"], &with_both["analyses"][0]["question"]),
        (&json!(2), &json!("any issues in production?"))
    );
    std::fs::remove_file(reef.folder.path().join(format!(".coral/{REEF_ID}.analyses.ndjson"))).unwrap();
    let of_table = listed(&serving, &json!({}));
    assert_eq!(names(&of_table["analyses"], "analysis_id"), names(&with_both["analyses"], "analysis_id"));
    let one = listed(&serving, &json!({ "analysis_id": of_table["analyses"][1]["analysis_id"] }));
    let shown = &one["analyses"][0];
    assert!(shown["answer"].as_str().unwrap().starts_with("Finding: "), "{shown:#}");
    assert_eq!((&shown["question"], &shown["role"]), (&json!("what happened?"), &json!("admin")));
    let first = &shown["evidence"][0];
    assert_eq!((&first["id"], json!(names(&shown["evidence"], "id"))), (&json!("E1"), shown["evidence_ids"].clone()));
    assert!(first["query"].as_str().unwrap().starts_with("SELECT ") && first["data"] != json!({}), "{first:#}");
    serving.stop();
}

const ROWS: &str = "SELECT question, caller, role, outcome FROM analyses WHERE evidence LIKE '[{%' ORDER BY question";

#[test]
fn a_run_copies_analyses_into_the_table_of_duckdb() {
    let folder = tempfile::tempdir().unwrap();
    let reef = small(None, "", folder.path());
    asked_and_copied(&reef, || reef.query(ROWS));
}

#[test]
fn a_run_copies_analyses_into_the_table_of_clickhouse() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let folder = tempfile::tempdir().unwrap();
    let reef = small(Some(&clickhouse_storage(&server, fixture.name())), "", folder.path());
    let sql = ROWS.replace("analyses", "analyses FINAL");
    asked_and_copied(&reef, || server.query(fixture.name(), &sql));
}

#[test]
fn a_process_that_is_killed_while_a_model_is_asked_leaves_a_row() {
    let model = TcpListener::bind("127.0.0.1:0").unwrap();
    model.set_nonblocking(true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let llm = format!(
        "[ai.llm]\nprovider = \"openai-compatible:small\"\nendpoint = \"http://{}/v1\"\n",
        model.local_addr().unwrap()
    );
    let reef = small(None, &llm, folder.path());
    let serving = Serving::start("serve", &reef);
    let body = json!({ "question": "what happened?" }).to_string();
    let mut call = TcpStream::connect(serving.address()).unwrap();
    write!(
        call,
        "POST /coral.reef.v1.ReefLLM/Analyze HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         connect-protocol-version: 1\r\nconnect-timeout-ms: 15000\r\ncontent-length: {}\r\n\r\n{body}",
        serving.address(),
        body.len()
    )
    .unwrap();
    // the model is asked, and never answers
    let began = Instant::now();
    let mut asked = loop {
        match model.accept() {
            Ok((asked, _)) => break asked,
            Err(error) => assert!(began.elapsed() < WAIT, "the model is not asked: {error}"),
        }
        std::thread::park_timeout(PAUSE);
    };
    asked.set_nonblocking(false).unwrap();
    assert!(asked.read(&mut [0; 64]).unwrap() > 0);
    drop(serving);

    let serving = Serving::start("serve", &reef);
    let began = Instant::now();
    let record = loop {
        let list = listed(&serving, &json!({}));
        assert_eq!(list["total"], 1, "{list:#}");
        if list["analyses"][0]["outcome"] != "started" {
            break list["analyses"][0].clone();
        }
        assert!(began.elapsed() < WAIT, "{list:#}");
        std::thread::park_timeout(PAUSE);
    };
    assert_eq!((&record["outcome"], &record["question"]), (&json!("interrupted"), &json!("what happened?")));
    assert_eq!(
        (&record["tokens_estimated"], &record["cost_usd"]),
        (&json!(true), &Value::Null),
        "what it cost is unknown"
    );
    let one = listed(&serving, &json!({ "analysis_id": record["analysis_id"] }));
    assert!(one["analyses"][0]["reason"].as_str().unwrap().contains("openai-compatible:small"), "{one:#}");
    assert!(one["analyses"][0]["sent"].as_str().unwrap().contains("E1 | "), "what was sent is recorded");
    serving.stop();
    reef.run();
    let rows = reef.query("SELECT outcome, provider, length(sent) > 0 AS has_sent FROM analyses");
    assert_eq!(rows, "interrupted\tNULL\ttrue\n");
}
