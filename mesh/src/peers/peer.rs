//! One peer of a colony: its tunnel, where it is, and how far it has been let in.

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

/// Keys are at most this old. Without a word from the peer for so long there is nothing to send with.
const SESSION_MAX: Duration = Duration::from_secs(180);

/// Who a registered peer is, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Id of the reef.
    pub reef_id: String,
    /// Name of the secret that it has proved.
    pub secret: String,
    /// True when it may only read.
    pub read_only: bool,
}

/// How far a peer has been let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has an answer to its handshake, and has proved nothing.
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
    pub(crate) stage: Stage,
    pub(crate) address: Ipv4Addr,
    /// The address before it was registered, and until when it counts.
    pub(crate) former: Option<(Ipv4Addr, Instant)>,
    /// Where its last authenticated datagram came from.
    pub(crate) endpoint: Option<SocketAddr>,
    /// Where the handshake of a stranger came from.
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

    /// A datagram from it was authentic: that is where it is now.
    pub(crate) fn heard(&mut self, now: Instant, from: SocketAddr) {
        if self.endpoint != Some(from) {
            tracing::debug!(reef_id = self.reef_id(), %from, "a peer has another endpoint");
        }
        self.endpoint = Some(from);
        self.heard_at = Some(now);
    }

    /// Encrypts a packet for it; false when it cannot be sent to now. The colony never begins a handshake: it answers.
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

    /// Sends what was waiting for the end of a handshake.
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
