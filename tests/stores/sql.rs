//! The files of `tests/sql`: the same text on both engines and through DataFusion over both, with the expected result.
//!
//! ```text
//! # a comment
//! query            (`query stores`: the engines only; `query reef`: through DataFusion only)
//! SELECT …
//! ----
//! the rows, sorted, values separated by one blank
//! ```

use super::InDatabase;
use crate::support::clickhouse::Server;
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;
use model::time::{HOUR_MS, MINUTE_MS};
use reef::answers::Scope;
use reef::sql::{SqlEngine, SqlQuestion};
use sinks::clickhouse::ClickHouseReader;
use sinks::compliance::commit_of;
use sinks::compliance::rows::{bucket, event};
use sinks::duckdb::{DuckDbConfig, DuckDbReader, DuckDbStore};
use sinks::{Commit, StoreReader, StoreWriter};
use std::path::Path;
use std::sync::Arc;

struct Case {
    place: String,
    on_engines: bool,
    through_reef: bool,
    sql: String,
    expected: Vec<String>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| parse(&file.display().to_string(), &std::fs::read_to_string(file).unwrap())).collect()
}

fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if !["query", "query stores", "query reef"].contains(&line) {
            assert!(line.is_empty() || line.starts_with('#'), "{file}:{}: {line}", number + 1);
            continue;
        }
        let sql: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "----").collect();
        let expected = lines.by_ref().map(|(_, line)| line.to_owned()).take_while(|line| !line.is_empty()).collect();
        cases.push(Case {
            place: format!("{file}:{}", number + 1),
            on_engines: line != "query reef",
            through_reef: line != "query stores",
            sql: sql.join("\n"),
            expected,
        });
    }
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

fn on_duckdb(db: &duckdb::Connection, sql: &str) -> Vec<String> {
    let text = crate::support::dump(db, sql);
    sorted(&text)
}

fn on_clickhouse(server: &Server, database: &str, sql: &str) -> Vec<String> {
    sorted(&server.query(database, &format!("{sql}\nSETTINGS final = 1")))
}

/// Through DataFusion, as `coral reef sql` prints it.
async fn through_the_reef(reader: &Arc<dyn StoreReader>, sql: &str) -> Vec<String> {
    let question = SqlQuestion { sql: sql.to_owned(), ..SqlQuestion::default() };
    let answer = SqlEngine::default().answer(&question, reader, &Scope::default()).await;
    let rows = answer.unwrap_or_else(|error| panic!("{sql}: {error}")).table.json_rows();
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => "\\N".to_owned(),
        serde_json::Value::String(text) => text.replace('T', " ").trim_end_matches('Z').to_owned(),
        other => other.to_string(),
    };
    let lines = rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("\t"));
    sorted(&lines.collect::<Vec<_>>().join("\n"))
}

fn sorted(text: &str) -> Vec<String> {
    let row = |line: &str| line.split('\t').map(normal).collect::<Vec<_>>().join(" ");
    let mut rows: Vec<String> = text.lines().map(row).collect();
    rows.sort();
    rows
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
    for case in cases.iter().filter(|case| case.on_engines) {
        assert_eq!(on_duckdb(&db, &case.sql), case.expected, "DuckDB, {}", case.place);
        assert_eq!(on_clickhouse(&server, fixture.name(), &case.sql), case.expected, "ClickHouse, {}", case.place);
    }
    drop(db);
    runtime.block_on(async {
        let here = DuckDbReader::open(DuckDbConfig::at(&path)).await.unwrap();
        let there = ClickHouseReader::open(fixture.config()).await.unwrap();
        let readers: [(&str, Arc<dyn StoreReader>); 2] = [("DuckDB", Arc::new(here)), ("ClickHouse", Arc::new(there))];
        let mut through_reef = 0;
        for case in cases.iter().filter(|case| case.through_reef) {
            for (store, reader) in &readers {
                let rows = through_the_reef(reader, &case.sql).await;
                assert_eq!(rows, case.expected, "DataFusion over {store}, {}", case.place);
            }
            through_reef += 1;
        }
        assert!(through_reef >= 16, "{through_reef} cases run through DataFusion");
    });
}
