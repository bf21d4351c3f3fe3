//! Listening and dialling on this machine.

use crate::memory::MemoryNet;
use crate::{Connection, Incoming, Listen, MeshError, Network, Route};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;
use tonic::transport::server::Connected;

#[tokio::test]
async fn a_connection_knows_its_peer_and_carries_bytes_both_ways() {
    let listener = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let address = listener.address().unwrap();
    let mut incoming = listener.incoming();
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let Ok(mut connection) = incoming.next().await.unwrap();
    assert_eq!(connection.connect_info().address, Some(client.local_addr().unwrap()));

    client.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    connection.read_exact(&mut bytes).await.unwrap();
    connection.write_all(&bytes).await.unwrap();
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

#[tokio::test]
async fn several_listeners_are_served_as_one() {
    let first = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let second = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let addresses = [first.address().unwrap(), second.address().unwrap()];
    let mut incoming = Incoming::of(vec![first, second]);
    for address in [addresses[0], addresses[1], addresses[1], addresses[0]] {
        let client = tokio::net::TcpStream::connect(address).await.unwrap();
        let Ok(connection) = incoming.next().await.unwrap();
        assert_eq!(connection.connect_info().address, Some(client.local_addr().unwrap()));
    }
}

#[tokio::test]
async fn a_busy_port_is_named_with_a_way_out() {
    let first = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let address = first.address().unwrap().to_string();
    let error = Listen::plain(&address).open().await.unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("another port"), "{error}");
}

#[tokio::test]
async fn texts_that_are_no_address_are_refused() {
    assert!(matches!(Listen::plain("nine thousand").open().await, Err(MeshError::BadListenAddress { .. })));
    for network in [Network::plain(), Network::in_memory(MemoryNet::new())] {
        for endpoint in ["127.0.0.1:9000", "http://["] {
            assert!(matches!(network.dial_plain(endpoint).await, Err(MeshError::BadEndpoint { .. })));
        }
    }
}

#[tokio::test]
async fn an_endpoint_without_a_listener_is_named() {
    let listener = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let endpoint = format!("http://{}", listener.address().unwrap());
    drop(listener);
    for network in [Network::plain(), Network::in_memory(MemoryNet::new())] {
        let error = network.dial(&Route::Plain(endpoint.clone())).await.unwrap_err();
        assert!(error.may_pass() && error.to_string().contains(&endpoint), "{error}");
    }
}

/// A connection inside the process, and its other end.
async fn connected(net: &MemoryNet) -> (crate::memory::MemoryStream, Connection, SocketAddr) {
    let listener = Listen::Memory(net.clone(), "10.0.0.1:0".parse().unwrap()).open().await.unwrap();
    let address = listener.address().unwrap();
    let client = net.connect(address).unwrap();
    let Ok(server) = listener.incoming().next().await.unwrap();
    (client, server, address)
}

#[tokio::test(start_paused = true)]
async fn connections_in_memory_carry_bytes_late_as_asked_and_end_when_cut() {
    let net = MemoryNet::new();
    let (mut client, mut server, address) = connected(&net).await;
    let mut bytes = [0; 4];
    client.write_all(b"ping").await.unwrap();
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"ping");

    net.delay(address, Duration::from_secs(3));
    let sent = tokio::time::Instant::now();
    server.write_all(b"pong").await.unwrap();
    drop(server);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest.as_slice(), sent.elapsed()), (&b"pong"[..], Duration::from_secs(3)));

    let (mut client, mut server, address) = connected(&net).await;
    client.write_all(b"lost").await.unwrap();
    net.cut(address);
    assert_eq!(server.read(&mut bytes).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(client.write(b"more").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    net.refuse(address, true);
    assert_eq!(net.connect(address).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn in_turns_no_two_connections_deliver_at_the_same_time() {
    let net = MemoryNet::in_turns();
    let begun = tokio::time::Instant::now();
    let mut ends = Vec::new();
    for _ in 0..5 {
        ends.push(connected(&net).await);
    }
    let mut arrivals = std::collections::BTreeSet::new();
    for (client, server, _) in ends.iter_mut().rev() {
        client.write_all(b"a").await.unwrap();
        server.write_all(b"b").await.unwrap();
        for _ in 0..2 {
            let mut byte = [0];
            server.read_exact(&mut byte).await.unwrap();
            arrivals.insert(begun.elapsed().as_millis() % 64);
            client.read_exact(&mut byte).await.unwrap();
            arrivals.insert(begun.elapsed().as_millis() % 64);
            client.write_all(b"a").await.unwrap();
            server.write_all(b"b").await.unwrap();
        }
    }
    assert_eq!(arrivals.len(), 10, "{arrivals:?}");
}
