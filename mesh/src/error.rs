//! What can go wrong between a reef and a colony, with the address and what to do about it.

use std::net::SocketAddr;

/// A network fault.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The text is not an address to listen on.
    #[error("{address:?} is not an address to listen on; write host:port, for example 127.0.0.1:9000")]
    BadListenAddress {
        /// As written.
        address: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The address exists and cannot be listened on.
    #[error("cannot listen on {address}: {hint}")]
    Listen {
        /// Where.
        address: String,
        /// What to do.
        hint: &'static str,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The listener does not know its own address.
    #[error("cannot read the address of the listener on {address}")]
    LocalAddress {
        /// Where it was to listen.
        address: SocketAddr,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The text is not an endpoint to dial.
    #[error("{endpoint:?} is not an endpoint; write for example http://127.0.0.1:9000")]
    BadEndpoint {
        /// As written.
        endpoint: String,
        /// The cause, where there is one.
        #[source]
        cause: Option<tonic::transport::Error>,
    },
    /// Nobody answered.
    #[error(
        "cannot reach {endpoint}: check that the colony runs there (`coral colony status`) and that the port is right"
    )]
    Dial {
        /// Where it was dialled.
        endpoint: String,
        /// The cause.
        #[source]
        cause: tonic::transport::Error,
    },
}

impl MeshError {
    /// Whether trying again later may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, MeshError::Dial { .. })
    }
}
