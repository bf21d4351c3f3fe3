//! A colony's address as others see it: STUN servers are asked from the socket of its door, for as long as that is open.

use crate::endpoint::Endpoint;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Between two questions: a router between the colony and the network forgets a quiet port after 30 s or more.
const EVERY: Duration = Duration::from_secs(25);
/// Waits for a response, and then the request is sent again; after the last one the next server is asked.
const WAITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_millis(1_500)];

/// Keeps `seen` up to date. Ends at once without servers.
pub(crate) async fn observe(endpoint: &Endpoint, servers: &[String], seen: &watch::Sender<Option<SocketAddr>>) {
    let mut is_silent = false;
    while !servers.is_empty() {
        match first_answer(endpoint, servers).await {
            Some(address) => {
                is_silent = false;
                if seen.send_if_modified(|known| known.replace(address) != Some(address)) {
                    tracing::info!(%address, "others see this colony there");
                }
            }
            None if is_silent => {}
            None => {
                is_silent = true;
                tracing::warn!(?servers, "no STUN server answers; the last address that one has seen is kept");
            }
        }
        sleep(EVERY).await;
    }
}

async fn first_answer(endpoint: &Endpoint, servers: &[String]) -> Option<SocketAddr> {
    for server in servers {
        let addresses: Vec<SocketAddr> = lookup_host(server.as_str()).await.map(Iterator::collect).unwrap_or_default();
        // most doors are IPv4's, and an IPv6 address is its own
        let Some(address) = addresses.iter().find(|it| it.is_ipv4()).or(addresses.first()) else { continue };
        for wait in WAITS {
            if let Ok(Ok(seen)) = timeout(wait, endpoint.ask_stun(*address)).await {
                return Some(seen);
            }
        }
    }
    None
}
