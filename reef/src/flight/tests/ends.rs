//! How statements end: cancelled, left, at a limit, for want of a colony.

use super::*;
use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Any};
use arrow_flight::{Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus};
use mesh::Network;
use pipelines::config::{self, Format};
use pipelines::open::live::LiveColonies;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};

/// Asks that the statement of an answer ends, by the action and by its older form.
async fn cancel(client: &mut Client, info: &FlightInfo, is_old: bool) -> Result<i32, FlightError> {
    let action = match is_old {
        false => Action {
            r#type: "CancelFlightInfo".to_owned(),
            body: CancelFlightInfoRequest::new(info.clone()).encode_to_vec().into(),
        },
        true => {
            let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
            Action { r#type: "CancelQuery".to_owned(), body: request.as_any().encode_to_vec().into() }
        }
    };
    let result = client.do_action(action).await?.message().await.map_err(FlightError::from)?.unwrap();
    Ok(match is_old {
        false => CancelFlightInfoResult::decode(result.body).unwrap().status,
        true => {
            let result: ActionCancelQueryResult = Any::decode(result.body).unwrap().unpack().unwrap().unwrap();
            result.result
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_ended_by_what_was_given_for_it() {
    let opened = open(one_at_once()).await;
    let mut client = connect(&opened.services).await;
    for is_old in [false, true] {
        let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
        let mut rows = client.do_get(ticket(&info)).await.unwrap();
        let (code, message) = said(client.execute("SELECT 1".to_owned(), None).await.unwrap_err());
        assert!(code == Code::ResourceExhausted && message.contains("too many statements"), "{code:?} {message}");
        // another answer for the same statement is another statement
        let mut other = info.clone();
        other.endpoint[0].ticket = Some(Ticket::new("x"));
        assert_eq!(said(cancel(&mut client, &other, is_old).await.unwrap_err()).0, Code::NotFound);
        assert_eq!(cancel(&mut client, &info, is_old).await.unwrap(), CancelStatus::Cancelled as i32);
        let (code, message) = said(rows.next().await.unwrap().unwrap_err());
        assert_eq!((code, message.as_str()), (Code::Cancelled, "the statement was cancelled"));
        // its turn is free
        assert_eq!(run(&mut client, "SELECT 1").await.unwrap(), [["1"]]);
        drop(rows);
        let again = async { while cancel(&mut client, &info, is_old).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(60), again).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_nobody_waits_for_ends() {
    let opened = open(one_at_once()).await;
    let address = opened.services.address();
    let mut other = connect(&opened.services).await;
    for closes_connection in [false, true] {
        // the connection is a task of this runtime, and is closed with it
        let own = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let begun = own.spawn(async move {
            let mut client = connect_to(address).await;
            let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
            let rows = client.do_get(ticket(&info)).await.unwrap();
            (client, rows)
        });
        let (client, rows) = begun.await.unwrap();
        assert!(other.execute("SELECT 1".to_owned(), None).await.is_err(), "the turn is taken");
        let (own, rows) = match closes_connection {
            true => {
                own.shutdown_background();
                (None, Some(rows))
            }
            false => {
                drop(rows);
                (Some(own), None)
            }
        };
        let freed = async { while other.execute("SELECT 1".to_owned(), None).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(60), freed).await.unwrap();
        drop((client, rows));
        own.into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Why a statement ends within limits.
async fn ended(limits: Limits, sql: &str) -> (Code, String) {
    let opened = open(SqlEngine::new(limits)).await;
    said(run(&mut connect(&opened.services).await, sql).await.unwrap_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_ends_the_stream_and_is_named() {
    let rows = Limits { rows_max: 10, ..Limits::default() };
    let (code, message) = ended(rows, "SELECT event_id FROM federated_events").await;
    assert!(code == Code::ResourceExhausted && message.contains("more than 10 rows; write a LIMIT"), "{message}");
    let opened = open(SqlEngine::new(rows)).await;
    let all =
        run(&mut connect(&opened.services).await, "SELECT event_id FROM federated_events LIMIT 10").await.unwrap();
    assert_eq!(all.len(), 10, "as many as there may be");
    let bytes = Limits { answer_bytes_max: 64, ..Limits::default() };
    let (code, message) = ended(bytes, "SELECT event_id FROM federated_events").await;
    assert!(code == Code::ResourceExhausted && message.contains("more than 64 bytes"), "{message}");
    let time = Limits { timeout: Duration::from_secs(1), ..Limits::default() };
    let (code, message) = ended(time, ENDLESS).await;
    assert!(code == Code::DeadlineExceeded && message.contains("after 1 s"), "{message}");
    let sorted = "SELECT a.value AS a, b.value AS b FROM generate_series(1, 1000) AS a, generate_series(1, 1000) AS b \
                  ORDER BY a.value * b.value, a.value";
    let memory = Limits { memory_bytes: 1 << 20, ..Limits::default() };
    let (code, message) = ended(memory, sorted).await;
    assert!(code == Code::ResourceExhausted && message.contains("memory"), "{code:?} {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_colony_that_does_not_answer_are_no_answer() {
    let text = "reef_id = \"test-reef-a1b2c3\"\nname = \"test\"\n[[colonies]]\ncolony_id = \"my-shop-production\"\n\
                endpoint = \"http://127.0.0.1:1\"\n[storage]\ntype = \"duckdb\"\npath = \"reef.duckdb\"\n";
    let config = config::parse(text, Format::Toml, Path::new("reef.toml")).unwrap();
    let colonies = LiveColonies::of(&config, Network::plain(), SystemClock::shared());
    let opened = open(SqlEngine::default().with_colonies(colonies)).await;
    let mut client = connect(&opened.services).await;
    let sql =
        "SELECT event_id FROM federated_events UNION ALL SELECT service_id FROM colony.\"my-shop-production\".services";
    let (code, message) = said(run(&mut client, sql).await.unwrap_err());
    assert!(code == Code::Unavailable && message.contains("my-shop-production"), "{code:?} {message}");
    assert!(message.starts_with("the rows are not all there are: "), "{message}");
    let catalogs = client.get_catalogs().await.unwrap();
    let (_, batches) = fetched(&mut client, &catalogs).await.unwrap();
    assert_eq!(texts(&batches), [["colony"], ["reef"]]);
    let schemas = client.get_db_schemas(Default::default()).await.unwrap();
    let (_, batches) = fetched(&mut client, &schemas).await.unwrap();
    assert_eq!(texts(&batches), [["colony", "my-shop-production"], ["reef", "store"]]);
    let named = arrow_flight::sql::CommandGetTables { catalog: Some("colony".to_owned()), ..Default::default() };
    let tables = client.get_tables(named).await.unwrap();
    let (_, batches) = fetched(&mut client, &tables).await.unwrap();
    let names: Vec<String> = texts(&batches).into_iter().map(|mut row| row.remove(2)).collect();
    assert_eq!(names, ["connections", "events", "metrics", "services"]);
}
