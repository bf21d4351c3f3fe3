//! Counters of a tunnel and of an endpoint.

use crate::noise::keys::PublicKey;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Datagrams that an endpoint did not take, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// No WireGuard message, or one too long.
    pub no_message: u64,
    /// For no tunnel of ours.
    pub stray: u64,
    /// A handshake whose sender does not know our public key, or whose bytes were changed.
    pub damaged: u64,
    /// Seen before.
    pub replayed: u64,
    /// Handshakes beyond what a source, or all together, may begin.
    pub limited: u64,
    /// Decrypted packets with an inner address that is not the peer's, or not ours.
    pub forged: u64,
    /// Packets of ours for which there is no peer that can be sent to.
    pub no_peer: u64,
}

impl Drops {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Drops { no_message, stray, damaged, replayed, limited, forged, no_peer } = *self;
        no_message + stray + damaged + replayed + limited + forged + no_peer
    }
}

/// One tunnel now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelStats {
    /// Since the keys in use were agreed; `None` without any.
    pub handshake_age: Option<Duration>,
    /// Time since the last authentic datagram of the peer; `None` before the first.
    pub answer_age: Option<Duration>,
    /// Round trip inside the tunnel, smoothed; `None` if it is not measured.
    pub round_trip: Option<Duration>,
    /// Bytes of packets received.
    pub received_bytes: u64,
    /// Bytes of packets sent.
    pub sent_bytes: u64,
    /// Where the peer's datagrams come from.
    pub endpoint: Option<SocketAddr>,
    /// Size of packets in use.
    pub mtu: u16,
}

/// A peer as its colony sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStats {
    /// Key of the tunnel.
    pub key: PublicKey,
    /// Its address in the mesh.
    pub address: Ipv4Addr,
    /// Its id, once it is registered.
    pub reef_id: Option<String>,
    /// Name of the secret that it has proved.
    pub secret: String,
    /// The tunnel.
    pub tunnel: TunnelStats,
}
