//! Listening and dialling on this machine.

use crate::{Listen, MeshError, dial};
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
async fn a_busy_port_is_named_with_a_way_out() {
    let first = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let address = first.address().unwrap().to_string();
    let error = Listen::plain(&address).open().await.unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("another port"), "{error}");
}

#[tokio::test]
async fn texts_that_are_no_address_are_refused() {
    assert!(matches!(Listen::plain("nine thousand").open().await, Err(MeshError::BadListenAddress { .. })));
    assert!(matches!(dial("127.0.0.1:9000").await, Err(MeshError::BadEndpoint { .. })));
    assert!(matches!(dial("http://[").await, Err(MeshError::BadEndpoint { .. })));
}

#[tokio::test]
async fn nobody_at_home_is_told_with_the_endpoint() {
    let listener = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let endpoint = format!("http://{}", listener.address().unwrap());
    drop(listener);
    let error = dial(&endpoint).await.unwrap_err();
    assert!(error.may_pass() && error.to_string().contains(&endpoint), "{error}");
}
