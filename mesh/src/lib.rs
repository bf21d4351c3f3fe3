//! The network between a reef and its colonies: plain TCP, or a WireGuard mesh of each colony in user space.
//!
//! A process has a [`Network`] and gets a channel to each colony from it; a colony opens a [`Listen`] and serves the
//! [`Incoming`] connections. Only this crate knows whether a connection is plain TCP or uses a tunnel.
//!
//! | file | owns |
//! |---|---|
//! | `network` | [`Network`]: the handle that dials; one channel per colony |
//! | `listener` | [`Listen`], [`Incoming`], [`Connection`], [`Peer`]: what a colony serves |
//! | `link` | a reef's link to one colony: found, called, registered, watched, rebuilt |
//! | `caller` | the peer of a connection |
//! | `door` | a colony's side: the socket, its peers, incoming connections, registration |
//! | `guard` | what a peer may call, and one line per call |
//! | `registry` | secrets, reefs, addresses and revocations of a colony, in one private file |
//! | `discovery` | where colonies are: client, lease, server |
//! | `endpoint` | the one task per endpoint: socket, state machine, TCP |
//! | `uplink` | the reef's state machine: calling, silence, packet size |
//! | `peers` | the colony's state machine: whose datagram it is, who is let in |
//! | `noise` | handshake and transport, key pairs and pre-shared keys; names boringtun |
//! | `netstack`, `stream`, `gaps` | TCP inside the tunnel; names smoltcp |
//! | `observe`, `stun` | a colony's address as others see it |
//! | `wire`, `echo`, `mtu`, `limit`, `outbox`, `provisional` | messages, echoes, packet sizes, buckets, queues, addresses |
//! | `secret`, `private_file`, `random` | secrets, where they lie, random bytes |
//! | `datagrams`, `udp`, `sim` | UDP many datagrams at a time, and the in-memory network of tests |
//! | `memory` | connections inside one process, for tests and simulations |
//! | `stats`, `error`, `dial` | counters, errors, plain TCP |
//!
//! Guarantees and limits are in `docs/mesh.md`.

mod caller;
mod datagrams;
mod dial;
pub mod discovery;
mod door;
mod echo;
mod endpoint;
pub mod error;
mod gaps;
mod guard;
mod limit;
mod link;
pub mod listener;
#[cfg(any(test, feature = "sim"))]
pub mod memory;
mod mtu;
mod netstack;
mod network;
mod noise;
mod observe;
mod outbox;
mod peers;
mod private_file;
mod provisional;
mod random;
pub mod registry;
pub mod secret;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod stats;
mod stream;
mod stun;
mod udp;
mod uplink;
mod wire;

pub use caller::{MeshPeer, Peer};
pub use datagrams::Underlay;
pub use discovery::Discovery;
pub use door::{Door, DoorSettings, DoorView, Registrar};
pub use error::{MeshError, REVOKED};
pub use guard::{Guard, GuardLayer};
pub use link::{LinkState, LinkStatus, MeshColony, Step, Visit};
pub use listener::{Connection, Incoming, Listen, Listener};
pub use netstack::Windows;
pub use network::{Network, ReefSettings, Route};
pub use noise::keys;
pub use peers::Identity;
pub use stream::MeshStream;

#[cfg(test)]
mod tests;
