//! Prepared statements: their parameters, values for them, their end.

use super::*;
use crate::flight::prepared::OF_CALLER_MAX;
use arrow::array::TimestampNanosecondArray;
use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray, TimestampMillisecondArray};
use arrow::datatypes::Int32Type;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::CommandPreparedStatementQuery;

/// One batch whose columns are values.
fn values(columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_from_iter(columns.into_iter().enumerate().map(|(n, column)| (n.to_string(), column))).unwrap()
}

fn text(text: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

fn number(number: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![number]))
}

#[tokio::test]
async fn a_statement_is_prepared_once_and_run_with_other_values() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    let sql = "SELECT event_id, version, ? AS tag FROM federated_events
               WHERE service_id = ? AND version >= ? ORDER BY timestamp LIMIT ?";
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    let columns: Vec<&str> = statement.dataset_schema().unwrap().fields().iter().map(|it| it.name().as_str()).collect();
    assert_eq!(columns, ["event_id", "version", "tag"]);
    let types: Vec<String> =
        statement.parameter_schema().unwrap().fields().iter().map(|it| it.data_type().to_string()).collect();
    assert_eq!((types.len(), &types[1][..], &types[2][..]), (4, "Utf8", "UInt64"), "{types:?}");
    let (code, message) = said(statement.execute().await.unwrap_err());
    assert!(code == Code::InvalidArgument && message.contains("4 parameters"), "{code:?} {message}");
    for (service, expected) in
        [("api", [["e0", "1", "x"], ["e20", "1", "x"]]), ("web", [["e5", "1", "x"], ["e25", "1", "x"]])]
    {
        statement.set_parameters(values(vec![text("x"), text(service), number(1), number(2)])).unwrap();
        let info = statement.execute().await.unwrap();
        let (streamed, batches) = fetched(&mut client, &info).await.unwrap();
        assert_eq!(texts(&batches), expected, "{service}");
        assert_eq!(*streamed, info.try_decode_schema().unwrap());
    }
    // a hostile value is a value
    statement.set_parameters(values(vec![text("x"), text("x' OR 1=1 --"), number(0), number(1)])).unwrap();
    let info = statement.execute().await.unwrap();
    assert_eq!(texts(&fetched(&mut client, &info).await.unwrap().1), [["e3", "0", "x"]]);
    statement.close().await.unwrap();
}

#[tokio::test]
async fn values_of_each_simple_type_are_taken_and_others_are_refused() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    let start = sinks::compliance::rows::START.0;
    let time: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![start + 10 * MINUTE_MS]).with_timezone("UTC"));
    let real: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let sql = "SELECT count(*) FROM federated_metrics WHERE timestamp < $1 AND p99 >= $2 AND service_id <> $3";
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    statement.set_parameters(values(vec![time, Arc::clone(&real), text("api")])).unwrap();
    let info = statement.execute().await.unwrap();
    // of the first ten those of minutes 5 and 7
    assert_eq!(texts(&fetched(&mut client, &info).await.unwrap().1), [["2"]]);
    // of a time that is no whole millisecond the engine would cut off the rest
    let finer: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![start * 1_000_000 + 1]).with_timezone("UTC"));
    statement.set_parameters(values(vec![finer, real, text("api")])).unwrap();
    let (code, message) = said(statement.execute().await.unwrap_err());
    assert!(code == Code::InvalidArgument && message.contains("has more digits"), "{code:?} {message}");

    let mut statement = client.prepare("SELECT ? AS a".to_owned(), None).await.unwrap();
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]));
    let two = RecordBatch::try_from_iter([("0", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let huge = values(vec![text(&"x".repeat(100_000))]);
    for (wrong, words) in [
        (values(vec![list]), "a parameter is a List"),
        (two, "2 rows"),
        (huge, "more than 65536 bytes"),
        (values(vec![number(1)]).slice(0, 0), "there is no row"),
    ] {
        statement.set_parameters(wrong).unwrap();
        let (code, message) = said(statement.execute().await.unwrap_err());
        assert!(code == Code::InvalidArgument && message.contains(words), "{code:?} {message}");
    }
    statement.set_parameters(values(vec![number(1), number(2)])).unwrap();
    let (code, message) = said(statement.execute().await.unwrap_err());
    assert!(code == Code::InvalidArgument && message.contains("1 parameters, and 2 values"), "{code:?} {message}");
    let mixed = client.prepare("SELECT ?, $1".to_owned(), None).await.map(drop).unwrap_err();
    assert_eq!(said(mixed).0, Code::InvalidArgument);
}

#[tokio::test]
async fn a_statement_that_is_closed_or_was_never_prepared_is_not_found() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    let statement = client.prepare("SELECT 1 AS one".to_owned(), None).await.unwrap();
    let mut kept = statement.clone();
    let info = kept.execute().await.unwrap();
    statement.close().await.unwrap();
    let (code, message) = said(kept.execute().await.unwrap_err());
    assert!(code == Code::NotFound && message.contains("prepare it again"), "{code:?} {message}");
    // the ticket has the statement itself
    assert_eq!(texts(&fetched(&mut client, &info).await.unwrap().1), [["1"]]);
    let refused = client.prepare("DELETE FROM federated_events".to_owned(), None).await.map(drop).unwrap_err();
    assert_eq!(said(refused).0, Code::InvalidArgument);
}

#[tokio::test]
async fn statements_of_one_token_make_no_room_for_those_of_another() {
    let store = store().await;
    let services = serve(&store, SqlEngine::default(), true).await;
    let tokens = Tokens::of(&store.folder.path().join("tokens.json"), SystemClock::shared());
    let mut clients = Vec::new();
    for name in ["one", "other"] {
        let mut client = connect(&services).await;
        client.set_token(tokens.create(name, Role::Readonly).unwrap());
        clients.push(client);
    }
    let mut kept = clients[0].prepare("SELECT 1".to_owned(), None).await.unwrap();
    let mut first = clients[1].prepare("SELECT 2".to_owned(), None).await.unwrap();
    for _ in 0..OF_CALLER_MAX {
        clients[1].prepare("SELECT 3".to_owned(), None).await.unwrap();
    }
    let info = kept.execute().await.unwrap();
    assert_eq!(texts(&fetched(&mut clients[0], &info).await.unwrap().1), [["1"]]);
    let (code, message) = said(first.execute().await.unwrap_err());
    assert!(code == Code::NotFound && message.contains("a caller has at most 64"), "{code:?} {message}");
}

#[tokio::test]
async fn values_that_say_themselves_how_large_they_become_are_refused() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    let command = CommandPreparedStatementQuery { prepared_statement_handle: "x".into() };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let row = values(vec![text(&"x".repeat(1_000))]);
    let messages = FlightDataEncoderBuilder::new()
        .with_options(options)
        .with_flight_descriptor(Some(descriptor))
        .build(tokio_stream::once(Ok(row)))
        .map(Result::unwrap)
        .collect::<Vec<_>>()
        .await;
    let (code, message) = said(client.do_put(tokio_stream::iter(messages)).await.unwrap_err());
    assert!(code == Code::InvalidArgument && message.contains("compressed"), "{code:?} {message}");
}
