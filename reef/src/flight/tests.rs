//! Flight SQL by a client of the protocol, over a real listener and a DuckDB file: rows and their schema, errors,
//! restarts.
#![allow(clippy::unwrap_used)]

mod access;
mod ends;
mod lists;
mod prepared;

use crate::access::Role;
use crate::analysis::Analyst;
use crate::answers::Scope;
use crate::api::tokens::Tokens;
use crate::api::{Groups, Listening, Pages, Reading, Services};
use crate::sql::{Limits, SqlEngine, SqlQuestion};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::array_value_to_string;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightInfo, Ticket};
use model::clock::SystemClock;
use model::event::Event;
use model::instruments::Registry;
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;
use model::time::MINUTE_MS;
use prost::Message;
use sinks::compliance::commit_of;
use sinks::compliance::rows::{bucket, colony, event};
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{StoreReader, StoreWriter};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

type Client = FlightSqlServiceClient<Channel>;

/// A statement that works for days.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b";

/// A store with 40 events and 300 buckets.
struct Store {
    reader: Arc<dyn StoreReader>,
    _store: DuckDbStore,
    folder: tempfile::TempDir,
}

/// Services over it.
struct Opened {
    services: Services,
    sql: SqlEngine,
    store: Store,
}

async fn store() -> Store {
    let services = ["api", "web", "it's", "x' OR 1=1 --"];
    let kinds = ["deploy", "crash", "restart"];
    let named = |n: usize| Event {
        service_id: services[n % 4].to_owned(),
        event_type: kinds[n % 3].to_owned(),
        version: u64::from(n.is_multiple_of(5)),
        ..event(&format!("e{n}"), n as i64 * MINUTE_MS)
    };
    let measured = |n: usize| MetricPoint {
        p99: (!n.is_multiple_of(3)).then_some(Real(n as f64 / 8.0)),
        ..bucket(services[n % 4], n as i64 * MINUTE_MS)
    };
    let metrics: Vec<MetricPoint> = (0..300).map(measured).collect();
    let rows = Rows {
        events: (0..40).map(named).collect(),
        metrics: metrics.into(),
        colonies: vec![colony()],
        ..Rows::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut store = DuckDbStore::open(DuckDbConfig::at(folder.path().join("reef.duckdb"))).await.unwrap();
    store.commit(&commit_of(1, rows)).await.unwrap();
    Store { reader: store.reader(), _store: store, folder }
}

/// Services over a store; where tokens are needed there is one already.
async fn serve(store: &Store, sql: SqlEngine, require_token: bool) -> Services {
    let tokens = store.folder.path().join("tokens.json");
    if require_token {
        Tokens::of(&tokens, SystemClock::shared()).create("first", Role::Admin).unwrap();
    }
    let listening = Listening {
        listen: "127.0.0.1:0".parse().unwrap(),
        require_token,
        tokens,
        pages: Pages::Closed,
        groups: Groups::default(),
    };
    let reading = (Reading::Store(Arc::clone(&store.reader)), Scope::default());
    let asked = (Arc::new(Analyst::without_model()), sql);
    Services::open_with(&listening, reading, asked, Registry::new(), SystemClock::shared()).await.unwrap()
}

async fn open(sql: SqlEngine) -> Opened {
    let store = store().await;
    let services = serve(&store, sql.clone(), false).await;
    Opened { services, sql, store }
}

async fn connect(services: &Services) -> Client {
    connect_to(services.address()).await
}

async fn connect_to(address: SocketAddr) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    Client::new(endpoint.connect().await.unwrap())
}

fn ticket(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().unwrap()
}

/// The rows of an answer, and the schema that came with them.
async fn fetched(client: &mut Client, info: &FlightInfo) -> Result<(SchemaRef, Vec<RecordBatch>), FlightError> {
    let mut stream = client.do_get(ticket(info)).await?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch?);
    }
    Ok((Arc::clone(stream.schema().unwrap()), batches))
}

/// The same for a statement.
async fn run(client: &mut Client, sql: &str) -> Result<Vec<Vec<String>>, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    fetched(client, &info).await.map(|(_, batches)| texts(&batches))
}

/// Rows as texts.
fn texts(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let row = |batch: &RecordBatch, row: usize| -> Vec<String> {
        batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap()).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|n| row(batch, n)).collect::<Vec<_>>()).collect()
}

/// What a call was refused with.
fn said(error: FlightError) -> (Code, String) {
    match error {
        FlightError::Tonic(status) => (status.code(), status.message().to_owned()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn rows_come_with_the_schema_that_was_advertised() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    for sql in [
        "SELECT * FROM federated_metrics",
        "SELECT * FROM federated_events WHERE event_id = 'none'",
        "SELECT concat(service_id, '!') AS a, substr(event_type, 2) AS b, CAST(version AS VARCHAR) AS c, NULL AS d,
           1 AS e FROM federated_events",
        "SELECT service_id, count(*) AS n, max(p99) AS worst, array_agg(DISTINCT metric_name) AS names
         FROM federated_metrics GROUP BY service_id",
        "SELECT service_id, string_agg(event_id, ', ') AS ids FROM federated_events GROUP BY service_id",
        "SELECT CASE WHEN late THEN 'late' END AS t, timestamp, date_trunc('hour', timestamp) AS hour
         FROM federated_metrics",
        "SELECT reported_by, related_events FROM deployment_timeline",
        "SELECT event_id FROM federated_events UNION ALL SELECT service_id FROM federated_metrics",
        "SELECT e.event_id, m.p95 FROM federated_events AS e
         LEFT JOIN federated_metrics AS m ON m.service_id = e.event_id",
        "SELECT table_name, column_name FROM information_schema.columns",
        "EXPLAIN SELECT 1",
    ] {
        let info = client.execute(sql.to_owned(), None).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let advertised = info.clone().try_decode_schema().unwrap();
        let (streamed, batches) = fetched(&mut client, &info).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(*streamed, advertised, "{sql}");
        let types: Vec<String> = advertised.fields().iter().map(|field| field.data_type().to_string()).collect();
        let is_of_engine = |it: &String| ["View", "Dictionary", "Large"].iter().any(|form| it.contains(form));
        assert!(!types.iter().any(is_of_engine), "{sql}: {types:?}");
        let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let schema = client.inner_mut().get_schema(descriptor).await.unwrap().into_inner();
        assert_eq!(Schema::try_from(schema).unwrap(), advertised, "{sql}");
        let question = SqlQuestion { sql: sql.to_owned(), limit: Some(100_000), timeout_ms: None };
        let answer = opened.sql.answer(&question, &opened.store.reader, &Scope::default()).await.unwrap();
        let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(count, answer.table.len(), "{sql}");
    }
}

#[tokio::test]
async fn a_ticket_is_good_after_a_restart() {
    let store = store().await;
    let first = serve(&store, SqlEngine::default(), false).await;
    let sql = "SELECT service_id, count(*) AS n FROM federated_metrics GROUP BY service_id ORDER BY service_id LIMIT 1";
    let info = connect(&first).await.execute(sql.to_owned(), None).await.unwrap();
    first.close().await;
    let second = serve(&store, SqlEngine::default(), false).await;
    let (_, batches) = fetched(&mut connect(&second).await, &info).await.unwrap();
    assert_eq!(texts(&batches), [["api", "75"]]);
}

#[tokio::test]
async fn what_is_wrong_with_a_statement_is_said_with_its_place() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    for (sql, words) in [
        ("SELECT * FORM federated_events", "Line: 1, Column: 1"),
        ("SELECT nothing FROM federated_events", "nothing"),
        ("SELECT * FROM federated_event", "federated_event"),
        ("SELECT md5('x')", "md5"),
        ("DROP TABLE federated_events", "not a plain SELECT"),
        ("INSERT INTO federated_events SELECT * FROM federated_events", "not a plain SELECT"),
        ("", "there is no statement"),
        ("SELECT 1; SELECT 2", "single SQL statement"),
        ("SELECT ?", "1 parameters"),
        ("SELECT * FROM files('/etc/passwd')", "files"),
    ] {
        let (code, message) = said(client.execute(sql.to_owned(), None).await.unwrap_err());
        assert!(code == Code::InvalidArgument && message.contains(words), "{sql}: {code:?} {message}");
        assert!(message.starts_with("sql: "), "{message}");
    }
    // found only in a row
    let info = client.execute("SELECT 1 / version FROM federated_events".to_owned(), None).await.unwrap();
    let (code, message) = said(fetched(&mut client, &info).await.unwrap_err());
    assert!(code == Code::InvalidArgument && message.to_lowercase().contains("divide"), "{code:?} {message}");
    // a ticket that a client has made itself
    let made = client.do_get(Ticket::new("SELECT 1")).await.unwrap_err();
    assert_eq!(said(made).0, Code::InvalidArgument);
}

/// An engine for one statement at once, which does not wait for its turn. No time limit ends a statement within a test.
fn one_at_once() -> SqlEngine {
    let (timeout, turn_wait) = (Duration::from_secs(600), Duration::from_millis(100));
    SqlEngine::new(Limits { statements_max: 1, timeout, turn_wait, ..Limits::default() })
}
