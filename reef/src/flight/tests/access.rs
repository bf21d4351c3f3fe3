//! Who may call: tokens, roles, callers without one; what a browser or a proxy sends.

use super::*;
use crate::flight::METHODS;
use arrow_flight::{Action, Criteria, Empty, FlightData, HandshakeRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn where_tokens_are_needed_one_to_read_is_enough_and_a_wrong_one_is_told_what_to_do() {
    let store = store().await;
    let services = serve(&store, SqlEngine::default(), true).await;
    let tokens = Tokens::of(&store.folder.path().join("tokens.json"), SystemClock::shared());
    let token = tokens.create("data team", Role::Readonly).unwrap();
    let mut client = connect(&services).await;
    let wrong = [None, Some(format!("{token}0")), Some(String::new())];
    for wrong in wrong {
        match wrong.clone() {
            Some(wrong) => client.set_token(wrong),
            None => client.clear_token(),
        }
        let (code, message) = said(client.execute("SELECT 1".to_owned(), None).await.unwrap_err());
        assert_eq!(code, Code::Unauthenticated, "{wrong:?}: {message}");
        assert!(message.contains("coral reef token create --role readonly"), "{message}");
        assert_eq!(said(client.get_catalogs().await.unwrap_err()).0, Code::Unauthenticated);
        assert_eq!(said(client.do_get(Ticket::new("x")).await.unwrap_err()).0, Code::Unauthenticated);
    }
    client.set_token(token.clone());
    assert_eq!(run(&mut client, "SELECT count(*) FROM federated_events").await.unwrap(), [["40"]]);
    let id = token.split('_').nth(1).unwrap();
    assert!(tokens.revoke(id).unwrap());
    assert_eq!(said(run(&mut client, "SELECT 1").await.unwrap_err()).0, Code::Unauthenticated, "revoked a moment ago");
}

#[tokio::test]
async fn no_call_is_answered_without_a_token() {
    let store = store().await;
    let services = serve(&store, SqlEngine::default(), true).await;
    let mut client = connect(&services).await;
    let flight = client.inner_mut();
    let data = || tokio_stream::once(FlightData::default());
    let refused = [
        flight.handshake(tokio_stream::once(HandshakeRequest::default())).await.map(drop),
        flight.list_flights(Criteria::default()).await.map(drop),
        flight.get_flight_info(FlightDescriptor::default()).await.map(drop),
        flight.poll_flight_info(FlightDescriptor::default()).await.map(drop),
        flight.get_schema(FlightDescriptor::default()).await.map(drop),
        flight.do_get(Ticket::default()).await.map(drop),
        flight.do_put(data()).await.map(drop),
        flight.do_exchange(data()).await.map(drop),
        flight.do_action(Action::default()).await.map(drop),
        flight.list_actions(Empty::default()).await.map(drop),
    ];
    assert_eq!(refused.len(), METHODS.len());
    for (refused, place) in refused.into_iter().zip(0..) {
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "call {place}: {status}");
        assert!(status.message().contains("coral reef token create --role readonly"), "call {place}: {status}");
    }
}

#[tokio::test]
async fn a_handshake_takes_a_token_as_password_and_gives_it_back_as_bearer() {
    let store = store().await;
    let services = serve(&store, SqlEngine::default(), true).await;
    let tokens = Tokens::of(&store.folder.path().join("tokens.json"), SystemClock::shared());
    let token = tokens.create("data team", Role::Readonly).unwrap();
    let mut client = connect(&services).await;
    let refused = client.handshake("anyone", "secret").await.unwrap_err().to_string();
    assert!(refused.contains("the token is not valid") && refused.contains("as password of any user"), "{refused}");
    client.handshake("anyone", &token).await.unwrap();
    assert_eq!(client.token(), Some(&token));
    assert_eq!(run(&mut client, "SELECT 1").await.unwrap(), [["1"]]);
}

#[tokio::test]
async fn on_this_machine_no_token_is_needed_except_behind_a_proxy() {
    let opened = open(SqlEngine::default()).await;
    let mut client = connect(&opened.services).await;
    assert_eq!(run(&mut client, "SELECT 1").await.unwrap(), [["1"]]);
    client.set_header("via", "1.1 proxy");
    assert_eq!(said(run(&mut client, "SELECT 1").await.unwrap_err()).0, Code::Unauthenticated);
    // a wrong token is refused here as everywhere
    let mut client = connect(&opened.services).await;
    client.set_token("coral_1_2".to_owned());
    assert_eq!(said(run(&mut client, "SELECT 1").await.unwrap_err()).0, Code::Unauthenticated);
}

/// Status and body of a plain request.
async fn plain(services: &Services, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(services.address()).await.unwrap();
    let head = format!("{request}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn pages_of_others_and_what_is_no_grpc_reach_nothing() {
    let opened = open(SqlEngine::default()).await;
    let path = "POST /arrow.flight.protocol.FlightService/GetFlightInfo HTTP/1.1\r\ncontent-length: 0";
    let host = format!("host: {}", opened.services.address());
    let (status, body) = plain(&opened.services, &format!("{path}\r\n{host}")).await;
    assert!(status == 415 && body.contains("grpc://"), "{status} {body}");
    let web = format!("{path}\r\n{host}\r\ncontent-type: application/grpc-web+proto");
    assert_eq!(plain(&opened.services, &web).await.0, 415);
    for foreign in ["host: reef.example.com".to_owned(), format!("{host}\r\norigin: https://example.com")] {
        assert_eq!(plain(&opened.services, &format!("{path}\r\n{foreign}")).await.0, 403, "{foreign}");
    }
    run(&mut connect(&opened.services).await, "SELECT 1").await.unwrap();
    let (_, counts) = plain(&opened.services, &format!("GET /metrics HTTP/1.1\r\n{host}")).await;
    let route = "route=\"/arrow.flight.protocol.FlightService/DoGet\",status=\"200\"";
    assert!(counts.contains(route), "{counts}");
}
