//! Caller: the peer of a connection, as known to the transport.

use crate::noise::keys::PublicKey;
use crate::noise::psk::Psk;
use crate::peers::Identity;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// The peer of a connection, in a request's extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address it comes from; inside the mesh for a peer of it.
    pub address: Option<SocketAddr>,
    /// What its tunnel says of it.
    pub mesh: Option<MeshPeer>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}")?,
            None => f.write_str("unknown")?,
        }
        match self.mesh.as_ref().and_then(|mesh| mesh.identity.as_ref()) {
            Some(identity) => write!(f, " ({})", identity.reef_id),
            None => Ok(()),
        }
    }
}

/// Who came through a tunnel. A request finds it in the extensions, inside [`crate::Peer`].
#[derive(Clone, Debug)]
pub struct MeshPeer {
    /// Key of the tunnel.
    pub key: PublicKey,
    /// Name of the secret that it has proved.
    pub secret: Arc<str>,
    /// Who it is; `None` before it is registered.
    pub identity: Option<Arc<Identity>>,
    /// What it has proved.
    pub(crate) proved: Psk,
    pub(crate) ended: watch::Receiver<Option<&'static str>>,
}

impl MeshPeer {
    /// Why the peer was removed, once it was.
    pub fn ended(&self) -> Option<&'static str> {
        *self.ended.borrow()
    }

    /// Waits until it is removed.
    pub async fn until_ended(mut self) -> &'static str {
        match self.ended.wait_for(Option::is_some).await {
            Ok(why) => why.unwrap_or_default(),
            Err(_) => "its tunnel has ended",
        }
    }
}
