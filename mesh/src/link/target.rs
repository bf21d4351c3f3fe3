//! The configuration of a colony to reach, and the reported states of its link.

use crate::datagrams::Underlay;
use crate::discovery::Discovery;
use crate::error::MeshError;
use crate::noise::keys::PublicKey;
use crate::secret::SecretSource;
use crate::stats::{Drops, TunnelStats};
use model::clock::SharedClock;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

/// Port of a colony's services in its mesh where nothing else is known.
pub(super) const CONNECT_PORT_DEFAULT: u16 = 9000;

/// A colony that is reached through its mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshColony {
    /// Its id.
    pub colony_id: String,
    /// Its address inside its mesh; `None` takes the one that discovery shows.
    pub mesh_ip: Option<Ipv4Addr>,
    /// Its port there; `None` takes the one that discovery shows, or 9000.
    pub connect_port: Option<u16>,
    /// What admits to it.
    pub secret: SecretSource,
    /// Its address (`host:port`, UDP), for colonies without discovery; requires the key.
    pub endpoint: Option<String>,
    /// Its key. Where discovery shows another one, it is refused.
    pub public_key: Option<PublicKey>,
    /// Largest packet inside the tunnel, in bytes.
    pub mtu: u16,
    /// How often a quiet tunnel is used, so that routers keep its path open.
    pub keepalive: Duration,
}

impl MeshColony {
    /// Default settings.
    pub fn new(colony_id: &str, secret: SecretSource) -> MeshColony {
        MeshColony {
            colony_id: colony_id.to_owned(),
            mesh_ip: None,
            connect_port: None,
            secret,
            endpoint: None,
            public_key: None,
            mtu: 1420,
            keepalive: Duration::from_secs(25),
        }
    }

    /// Its port as far as it is known without discovery.
    pub(crate) fn port(&self) -> u16 {
        self.connect_port.unwrap_or(CONNECT_PORT_DEFAULT)
    }
}

/// Settings shared by all links of a reef.
#[derive(Clone, Debug)]
pub(crate) struct ReefSide {
    pub(crate) reef_id: String,
    pub(crate) discovery: Option<Discovery>,
    pub(crate) underlay: Underlay,
    pub(crate) clock: SharedClock,
}

/// The steps of connecting to a colony, in order, for observers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Discovery is queried; `None` for a fixed endpoint.
    LookingUp {
        /// The discovery service.
        discovery: Option<String>,
    },
    /// Possible addresses.
    Found {
        /// UDP addresses that are called.
        endpoints: Vec<SocketAddr>,
        /// Where its services are inside the mesh.
        mesh_address: SocketAddrV4,
    },
    /// Handshakes are in progress.
    Calling,
    /// The tunnel is up, the reef asks to be a peer.
    Registering {
        /// Where the colony answered.
        endpoint: SocketAddr,
    },
    /// The reef is a peer.
    Registered {
        /// The address that it was given.
        reef_mesh_ip: Ipv4Addr,
    },
}

/// How a link is.
#[derive(Clone, Debug)]
pub enum LinkState {
    /// It is being built.
    Connecting,
    /// Calls go through.
    Up,
    /// It is not there; it will be tried again.
    Down {
        /// Why.
        error: Arc<MeshError>,
    },
    /// It was closed.
    Closed,
}

/// A link now.
#[derive(Clone, Debug)]
pub struct LinkStatus {
    /// The colony.
    pub colony_id: String,
    /// How it is.
    pub state: LinkState,
    /// The reef's address in the colony's mesh.
    pub reef_mesh_ip: Option<Ipv4Addr>,
    /// The colony's address there.
    pub mesh_address: Option<SocketAddrV4>,
    /// The key of the present tunnel.
    pub public_key: Option<PublicKey>,
    /// True when the secret admits to reading only.
    pub read_only: bool,
    /// When the secret ends.
    pub secret_expires_at: Option<model::time::TimeMs>,
    /// Present tunnel.
    pub tunnel: TunnelStats,
    /// Datagrams not taken by the present tunnel.
    pub drops: Drops,
}

/// What a reef learns of a colony that it asks without joining.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The address that the reef has in the mesh, or would get.
    pub reef_mesh_ip: Ipv4Addr,
    /// The colony's services inside the mesh.
    pub mesh_address: SocketAddrV4,
    /// The colony's key.
    pub public_key: PublicKey,
    /// True when the secret admits to reading only.
    pub read_only: bool,
    /// When the secret ends.
    pub secret_expires_at: Option<model::time::TimeMs>,
    /// The tunnel, with its round trip and where the colony answered.
    pub tunnel: TunnelStats,
}
