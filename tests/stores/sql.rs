//! The files of `tests/sql`, in the format of sqllogictest: the same text on both engines (`duckdb`, `clickhouse`) and
//! through DataFusion over both (`reef`), with the expected result.
//!
//! ```text
//! # a comment
//! onlyif reef                  (or `skipif reef`; before a record)
//! query TIR rowsort            (a type for each column: text, integer, real; `nosort`: in this order)
//! SELECT …
//! ----
//! the rows, values separated by one blank
//!
//! statement error a part of the message
//! DELETE …
//! ```

use super::InDatabase;
use crate::support::clickhouse::Server;
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;
use model::time::{HOUR_MS, MINUTE_MS};
use reef::answers::Scope;
use reef::sql::{SqlEngine, SqlError, SqlQuestion};
use sinks::clickhouse::ClickHouseReader;
use sinks::compliance::commit_of;
use sinks::compliance::rows::{bucket, event};
use sinks::duckdb::{DuckDbConfig, DuckDbReader, DuckDbStore};
use sinks::{Commit, StoreReader, StoreWriter};
use std::path::Path;
use std::sync::Arc;

struct Case {
    place: String,
    /// Labels of engines, and whether it is for this one only or for all others.
    conditions: Vec<(bool, String)>,
    sql: String,
    expected: Expected,
}

enum Expected {
    Rows {
        /// A letter for each column.
        types: String,
        is_ordered: bool,
        rows: Vec<String>,
    },
    /// A part of the message.
    Error(String),
}

impl Case {
    fn is_for(&self, engine: &str) -> bool {
        self.conditions.iter().all(|(is_only, label)| (label == engine) == *is_only)
    }

    /// Compares with the rows that were found, values separated by tabs.
    fn compare(&self, engine: &str, found: &str) {
        let place = format!("{engine}, {}", self.place);
        let Expected::Rows { types, is_ordered, rows } = &self.expected else { panic!("{place}: nothing was refused") };
        let mut lines: Vec<String> = found.lines().map(|line| typed(line, types, &place)).collect();
        if !is_ordered {
            lines.sort();
        }
        assert_eq!(&lines, rows, "{place}");
    }
}

/// A row as it is written in the files; its values are of these types.
fn typed(line: &str, types: &str, place: &str) -> String {
    let values: Vec<String> = line.split('\t').map(normal).collect();
    assert_eq!(values.len(), types.len(), "{place}: {line:?} has not the columns {types}");
    for (value, kind) in values.iter().zip(types.chars()).filter(|(value, _)| *value != "NULL") {
        let is_one = match kind {
            'I' => value.parse::<i64>().is_ok(),
            'R' => value.parse::<f64>().is_ok(),
            _ => true,
        };
        assert!(is_one, "{place}: {value:?} of {line:?} is not of type {kind}");
    }
    values.join(" ")
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| parse(&file.display().to_string(), &std::fs::read_to_string(file).unwrap())).collect()
}

fn parse(file: &str, text: &str) -> Vec<Case> {
    let (mut cases, mut conditions) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let place = format!("{file}:{}", number + 1);
        let words: Vec<&str> = line.split(' ').collect();
        let (end, mut expected) = match words.as_slice() {
            [""] | ["#", ..] => continue,
            [condition @ ("onlyif" | "skipif"), label @ ("duckdb" | "clickhouse" | "reef")] => {
                conditions.push((*condition == "onlyif", (*label).to_owned()));
                continue;
            }
            ["query", types, order @ ("rowsort" | "nosort")] => {
                assert!(!types.is_empty() && types.chars().all(|kind| "TIR".contains(kind)), "{place}: {line}");
                let rows = Vec::new();
                ("----", Expected::Rows { types: (*types).to_owned(), is_ordered: *order == "nosort", rows })
            }
            ["statement", "error", message @ ..] => ("", Expected::Error(message.join(" "))),
            _ => panic!("{place}: {line}"),
        };
        let mut until = |end: &str| -> Vec<String> {
            lines.by_ref().map(|(_, line)| line.to_owned()).take_while(|line| line != end).collect()
        };
        let sql = until(end).join("\n");
        if let Expected::Rows { rows, .. } = &mut expected {
            *rows = until("");
        }
        cases.push(Case { place, conditions: std::mem::take(&mut conditions), sql, expected });
    }
    assert!(conditions.is_empty(), "{file}: a condition without a record");
    cases
}

/// One value as both engines would print it.
fn normal(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) => format!("{number}"),
        Err(_) if value == "\\N" => "NULL".to_owned(),
        Err(_) => value.trim_end_matches(".000").to_owned(),
    }
}

fn on_clickhouse(server: &Server, database: &str, sql: &str) -> String {
    server.query(database, &format!("{sql}\nSETTINGS final = 1"))
}

/// Through DataFusion, as `coral reef sql` prints it.
async fn through_the_reef(reader: &Arc<dyn StoreReader>, sql: &str) -> Result<String, SqlError> {
    let question = SqlQuestion { sql: sql.to_owned(), ..SqlQuestion::default() };
    let rows = SqlEngine::default().answer(&question, reader, &Scope::default()).await?.table.json_rows();
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => "\\N".to_owned(),
        serde_json::Value::String(text) => text.replace('T', " ").trim_end_matches('Z').to_owned(),
        other => other.to_string(),
    };
    let lines = rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("\t"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn at(id: &str, application: &str, environment: &str, kind: &str, offset_ms: i64) -> Event {
    Event {
        colony_id: format!("{application}-{environment}"),
        application_name: application.to_owned(),
        environment: environment.to_owned(),
        event_type: kind.to_owned(),
        ..event(id, offset_ms)
    }
}

/// Five planted repeats, one of them delivered twice; two of another application, too few; a bucket sent three times.
fn commits() -> Vec<Commit> {
    let day = 24 * HOUR_MS;
    let mut events = Vec::new();
    for i in 0..5 {
        events.push(at(&format!("d{i}"), "shop", "staging", "deploy", i * day));
        events.push(at(&format!("s{i}"), "shop", "production", "error_spike", i * day + 8_100_000));
    }
    for i in 0..2 {
        events.push(at(&format!("x{i}"), "pay", "staging", "deploy", i * day));
        events.push(at(&format!("y{i}"), "pay", "production", "crash", i * day + 60_000));
    }
    let metrics: Vec<MetricPoint> = (0..90).map(|i| bucket("api", i * MINUTE_MS)).collect();
    let mut amended = at("s4", "shop", "production", "error_spike", 4 * day + 8_100_000);
    amended.version = 1;
    let fuller = MetricPoint { count: Some(100), ..bucket("api", 0) };
    let again = Rows { events: events[..4].to_vec(), metrics: metrics[..30].into(), ..Rows::default() };
    let newer = Rows { events: vec![amended], metrics: vec![fuller].into(), ..Rows::default() };
    let first = Rows { events, metrics: metrics.into(), ..Rows::default() };
    (1..).zip([first, again, newer]).map(|(tick, rows)| commit_of(tick, rows)).collect()
}

#[test]
fn the_same_sql_gives_the_same_rows_on_both_engines() {
    let Some(server) = Server::any() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let fixture = InDatabase::new(&server);
    runtime.block_on(async {
        let mut here = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
        let mut there = fixture.opened().await;
        for commit in commits() {
            here.commit(&commit).await.unwrap();
            there.commit(&commit).await.unwrap();
        }
        Box::new(here).close().await.unwrap();
    });
    let cases = cases();
    assert!(cases.len() >= 16, "{} cases", cases.len());
    let db = duckdb::Connection::open(&path).unwrap();
    for case in &cases {
        if case.is_for("duckdb") {
            case.compare("DuckDB", &crate::support::dump(&db, &case.sql));
        }
        if case.is_for("clickhouse") {
            case.compare("ClickHouse", &on_clickhouse(&server, fixture.name(), &case.sql));
        }
    }
    drop(db);
    runtime.block_on(async {
        let here = DuckDbReader::open(DuckDbConfig::at(&path)).await.unwrap();
        let there = ClickHouseReader::open(fixture.config()).await.unwrap();
        let readers: [(&str, Arc<dyn StoreReader>); 2] = [("DuckDB", Arc::new(here)), ("ClickHouse", Arc::new(there))];
        let (mut answered, mut refused) = (0, 0);
        for case in cases.iter().filter(|case| case.is_for("reef")) {
            for (store, reader) in &readers {
                let engine = format!("DataFusion over {store}");
                match (through_the_reef(reader, &case.sql).await, &case.expected) {
                    (Ok(rows), _) => case.compare(&engine, &rows),
                    (Err(error), Expected::Error(words)) => {
                        assert!(matches!(error, SqlError::Refused { .. }), "{engine}, {}: {error:?}", case.place);
                        assert!(error.to_string().contains(words), "{engine}, {}: {error}", case.place);
                    }
                    (Err(error), Expected::Rows { .. }) => panic!("{engine}, {}: {error}", case.place),
                }
            }
            match case.expected {
                Expected::Rows { .. } => answered += 1,
                Expected::Error(_) => refused += 1,
            }
        }
        assert!(answered >= 16 && refused >= 3, "{answered} cases through DataFusion, and {refused} that it refuses");
    });
}
