//! Dial: a channel over plain TCP, or inside this process.

use crate::error::MeshError;
#[cfg(any(test, feature = "sim"))]
use crate::memory::{MemoryConnector, MemoryNet};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// How long a connection may take to come about.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Keepalive interval of connections, including idle ones.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long that sign may take before the connection counts as broken.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to a colony at `endpoint` (`http://host:port`). The channel reconnects when a call finds the connection
/// broken; a silent peer is noticed within [`KEEP_ALIVE_INTERVAL`] plus [`KEEP_ALIVE_TIMEOUT`].
///
/// Fails if the text is not an endpoint, or if the endpoint does not respond.
pub(crate) async fn dial(endpoint: &str) -> Result<Channel, MeshError> {
    let bad = |cause| MeshError::BadEndpoint { endpoint: endpoint.to_owned(), cause };
    if !endpoint.starts_with("http://") {
        return Err(bad(None));
    }
    Endpoint::from_shared(endpoint.to_owned())
        .map_err(|cause| bad(Some(cause)))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(|cause| MeshError::Dial { endpoint: endpoint.to_owned(), cause })
}

/// The same inside this process. No line can be dead, so there are no keepalives.
#[cfg(any(test, feature = "sim"))]
pub(crate) async fn dial_memory(net: &MemoryNet, endpoint: &str) -> Result<Channel, MeshError> {
    let bad = |cause| MeshError::BadEndpoint { endpoint: endpoint.to_owned(), cause };
    let to = endpoint.strip_prefix("http://").and_then(|address| address.parse().ok()).ok_or_else(|| bad(None))?;
    Endpoint::from_shared(endpoint.to_owned())
        .map_err(|cause| bad(Some(cause)))?
        .connect_timeout(CONNECT_TIMEOUT)
        .connect_with_connector(MemoryConnector { net: net.clone(), to })
        .await
        .map_err(|cause| MeshError::Dial { endpoint: endpoint.to_owned(), cause })
}
