//! One peer of a colony: its tunnel, address and admission state.

use crate::noise::Tunnel;
use crate::noise::keys::PublicKey;
use crate::noise::psk::Psk;
use crate::outbox::Outbox;
use crate::stats::{PeerStats, TunnelStats};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Keys are at most this old. After this silence of the peer there is no key to send with.
const SESSION_MAX: Duration = Duration::from_secs(180);

/// Identity and permissions of a registered peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Id of the reef.
    pub reef_id: String,
    /// Name of the secret that it has proved.
    pub secret: String,
    /// True when it may only read.
    pub read_only: bool,
}

/// Admission state of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its handshake was answered; it has proved nothing.
    Answered,
    /// It has the secret, and reaches the registration.
    Proved,
    /// It is a peer.
    Registered(Arc<Identity>),
}

pub(crate) struct Peer {
    pub(crate) key: PublicKey,
    pub(crate) tunnel: Tunnel,
    pub(crate) secret: Arc<str>,
    pub(crate) psk: Psk,
    /// Whether the secret admitted peers at the handshake of an unknown peer.
    pub(crate) is_valid: bool,
    pub(crate) stage: Stage,
    pub(crate) address: Ipv4Addr,
    /// The address before it was registered, and until when it counts.
    pub(crate) former: Option<(Ipv4Addr, Instant)>,
    /// Where its last authenticated datagram came from.
    pub(crate) endpoint: Option<SocketAddr>,
    /// Source address of an unknown peer's handshake.
    pub(crate) source: Option<IpAddr>,
    /// When its stage began.
    pub(crate) since: Instant,
    pub(crate) leaving: Option<Instant>,
    /// The reason, once the peer is removed.
    pub(crate) ended: watch::Sender<Option<&'static str>>,
    pub(crate) received_bytes: u64,
    sent_bytes: u64,
    heard_at: Option<Instant>,
}

impl Peer {
    pub(crate) fn new(
        key: PublicKey,
        tunnel: Tunnel,
        secret: Arc<str>,
        psk: Psk,
        address: Ipv4Addr,
        now: Instant,
    ) -> Peer {
        Peer {
            key,
            tunnel,
            secret,
            psk,
            is_valid: true,
            stage: Stage::Answered,
            address,
            former: None,
            endpoint: None,
            source: None,
            since: now,
            leaving: None,
            ended: watch::Sender::new(None),
            received_bytes: 0,
            sent_bytes: 0,
            heard_at: None,
        }
    }

    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        match &self.stage {
            Stage::Registered(identity) => Some(identity),
            Stage::Answered | Stage::Proved => None,
        }
    }

    pub(crate) fn reef_id(&self) -> Option<&str> {
        self.identity().map(|identity| identity.reef_id.as_str())
    }

    pub(crate) fn is_provisional(&self) -> bool {
        self.identity().is_none()
    }

    pub(crate) fn has_address(&self, address: Ipv4Addr) -> bool {
        self.address == address || self.former.is_some_and(|(former, _)| former == address)
    }

    /// The source of its last authentic datagram is its current address.
    pub(crate) fn heard(&mut self, now: Instant, from: SocketAddr) {
        if self.endpoint != Some(from) {
            tracing::debug!(reef_id = self.reef_id(), %from, "a peer has another endpoint");
        }
        self.endpoint = Some(from);
        self.heard_at = Some(now);
    }

    /// Encrypts a packet for it; false if nothing can be sent to it now. The colony never starts a handshake.
    pub(crate) fn send(&mut self, now: Instant, packet: &[u8], out: &mut Outbox) -> bool {
        let is_fresh = self.heard_at.is_some_and(|at| now.saturating_duration_since(at) < SESSION_MAX);
        let (true, Some(to)) = (is_fresh, self.endpoint) else { return false };
        let mut buffer = out.buffer();
        match self.tunnel.seal(packet, &mut buffer) {
            Some(len) => {
                self.sent_bytes += packet.len() as u64;
                out.send(to, buffer, len);
            }
            None => out.recycle(buffer),
        }
        true
    }

    /// Sends packets that were queued during a handshake.
    pub(crate) fn send_waiting(&mut self, to: SocketAddr, out: &mut Outbox) {
        loop {
            let mut buffer = out.buffer();
            match self.tunnel.waiting(&mut buffer) {
                Some(len) => out.send(to, buffer, len),
                None => return out.recycle(buffer),
            }
        }
    }

    pub(crate) fn stats(&self, now: Instant, mtu: u16) -> PeerStats {
        PeerStats {
            key: self.key,
            address: self.address,
            reef_id: self.reef_id().map(str::to_owned),
            secret: self.secret.to_string(),
            tunnel: TunnelStats {
                handshake_age: self.tunnel.handshake_age(),
                answer_age: self.heard_at.map(|at| now.saturating_duration_since(at)),
                round_trip: None,
                received_bytes: self.received_bytes,
                sent_bytes: self.sent_bytes,
                endpoint: self.endpoint,
                mtu,
            },
        }
    }
}
