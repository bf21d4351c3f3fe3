//! The HTTP client: like the library's own, but with TCP_NODELAY, so that small requests do not wait.

use clickhouse::Client;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use std::time::Duration;

const KEEPALIVE: Duration = Duration::from_secs(60);
/// Shorter than the server's own limit, 3 s, so that no request goes to a connection that it is about to close.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// A client without an address.
pub(super) fn client() -> Result<Client, std::io::Error> {
    let mut connector = HttpConnector::new();
    connector.set_keepalive(Some(KEEPALIVE));
    // a request is sent as head and body: with Nagle's algorithm the body of a small insert waits 40 ms for the server's
    // delayed acknowledgement of the head, and a commit makes several of them
    connector.set_nodelay(true);
    connector.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(ring::default_provider())
        .map_err(std::io::Error::other)?
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let client = HyperClient::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_MAX).build(connector);
    Ok(Client::with_http_client(client))
}
