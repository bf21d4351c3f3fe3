//! WireGuard's handshake and transport: the only file that uses boringtun, behind the few calls that the mesh needs.

use crate::wire::DATAGRAM_MAX;
use boringtun::noise::errors::WireGuardError;
use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519;
use keys::{PrivateKey, PublicKey};
use psk::Psk;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub mod keys;
pub(crate) mod psk;

/// Handshake messages per second above which a colony asks for a cookie before it computes. The library counts each
/// message twice, at the gate and in the tunnel.
const HANDSHAKES_PER_SECOND: u64 = 2 * 100;
/// Longest packet that fits a datagram: a data message adds 32 bytes.
pub(crate) const PACKET_MAX: usize = DATAGRAM_MAX - 32;

fn private(key: &PrivateKey) -> x25519::StaticSecret {
    x25519::StaticSecret::from(*key.bytes())
}

pub(crate) fn public_of(key: &PrivateKey) -> PublicKey {
    PublicKey(x25519::PublicKey::from(&private(key)).to_bytes())
}

/// True for the few points with which every shared secret is zero.
pub(crate) fn is_of_small_order(key: &PublicKey) -> bool {
    let any = x25519::StaticSecret::from([0x40; 32]);
    !any.diffie_hellman(&x25519::PublicKey::from(key.0)).was_contributory()
}

/// The content of a datagram; the length counts bytes from the start of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// A packet for us.
    Packet(usize),
    /// A datagram to send back: the response or confirmation of a handshake.
    Reply(usize),
    /// Nothing to do: a keepalive or a cookie.
    Quiet,
}

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The other side has another pre-shared key or, for data, the bytes were changed.
    WrongKey,
    /// Seen before.
    Replayed,
    /// It belongs to no session.
    Stray,
    /// It is no message for us.
    Damaged,
}

/// Due actions without a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A datagram of this length is to be sent.
    Send(usize),
    /// Nothing.
    Nothing,
    /// The peer has not responded for so long that all keys have expired.
    Expired,
}

/// One tunnel: what two key pairs and a pre-shared key have between them. Buffers must have [`DATAGRAM_MAX`] bytes.
pub(crate) struct Tunnel {
    tunn: Box<Tunn>,
}

impl Tunnel {
    /// `index` (24 bits) identifies the tunnel in each message to us.
    pub(crate) fn new(own: &PrivateKey, peer: &PublicKey, psk: &Psk, index: u32, gate: Option<&Gate>) -> Tunnel {
        let limiter = gate.map(|gate| gate.limiter.clone());
        let peer = x25519::PublicKey::from(peer.0);
        // no keepalive of the library: echoes keep the path open and measure it
        Tunnel { tunn: Box::new(Tunn::new(private(own), peer, Some(*psk.bytes()), None, index, limiter)) }
    }

    /// A new initiation, also when one is on its way.
    pub(crate) fn initiate(&mut self, out: &mut [u8]) -> Option<usize> {
        match self.tunn.format_handshake_initiation(out, true) {
            TunnResult::WriteToNetwork(datagram) => Some(datagram.len()),
            _ => None,
        }
    }

    /// Takes a datagram of at most [`DATAGRAM_MAX`] bytes.
    pub(crate) fn open(&mut self, from: IpAddr, datagram: &[u8], out: &mut [u8]) -> Result<Opened, Refused> {
        match self.tunn.decapsulate(Some(from), datagram, out) {
            TunnResult::Done => Ok(Opened::Quiet),
            TunnResult::WriteToNetwork(datagram) => Ok(Opened::Reply(datagram.len())),
            TunnResult::WriteToTunnelV4(packet, _) => Ok(Opened::Packet(packet.len())),
            TunnResult::WriteToTunnelV6(..) => Err(Refused::Damaged),
            TunnResult::Err(error) => Err(match error {
                WireGuardError::InvalidAeadTag => Refused::WrongKey,
                WireGuardError::WrongTai64nTimestamp
                | WireGuardError::DuplicateCounter
                | WireGuardError::InvalidCounter => Refused::Replayed,
                WireGuardError::NoCurrentSession | WireGuardError::WrongIndex | WireGuardError::UnexpectedPacket => {
                    Refused::Stray
                }
                _ => Refused::Damaged,
            }),
        }
    }

    /// A datagram that was waiting for the handshake; call until `None` after each [`Opened::Reply`].
    pub(crate) fn waiting(&mut self, out: &mut [u8]) -> Option<usize> {
        match self.tunn.decapsulate(None, &[], out) {
            TunnResult::WriteToNetwork(datagram) => Some(datagram.len()),
            _ => None,
        }
    }

    /// Encrypts a packet of at most [`PACKET_MAX`] bytes; a longer one is dropped. Without a session it is queued, and
    /// a handshake initiation is returned.
    pub(crate) fn seal(&mut self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        if packet.len() > PACKET_MAX {
            return None;
        }
        match self.tunn.encapsulate(packet, out) {
            TunnResult::WriteToNetwork(datagram) => Some(datagram.len()),
            _ => None,
        }
    }

    /// Runs the timers; called four times a second.
    pub(crate) fn tick(&mut self, out: &mut [u8]) -> Due {
        match self.tunn.update_timers(out) {
            TunnResult::WriteToNetwork(datagram) => Due::Send(datagram.len()),
            TunnResult::Err(WireGuardError::ConnectionExpired) => Due::Expired,
            _ => Due::Nothing,
        }
    }

    /// How old the keys in use are; `None` without any.
    pub(crate) fn handshake_age(&self) -> Option<Duration> {
        self.tunn.time_since_last_handshake()
    }
}

/// Checks of each handshake message before a peer is looked up.
pub(crate) struct Gate {
    private: x25519::StaticSecret,
    public: x25519::PublicKey,
    limiter: Arc<RateLimiter>,
}

impl Gate {
    pub(crate) fn new(own: &PrivateKey) -> Gate {
        let private = private(own);
        let public = x25519::PublicKey::from(&private);
        let limiter = Arc::new(RateLimiter::new(&public, HANDSHAKES_PER_SECOND));
        Gate { private, public, limiter }
    }

    /// `Ok` if the sender knows our public key and, under load, can receive at its address. `Err(Some)` is the length
    /// of a cookie to send back; `Err(None)` gets no reply.
    pub(crate) fn admit(&self, from: IpAddr, datagram: &[u8], out: &mut [u8]) -> Result<(), Option<usize>> {
        match self.limiter.verify_packet(Some(from), datagram, out) {
            Ok(_) => Ok(()),
            Err(TunnResult::WriteToNetwork(cookie)) => Err(Some(cookie.len())),
            Err(_) => Err(None),
        }
    }

    /// The static key of who sent an initiation. It costs a Diffie-Hellman.
    pub(crate) fn initiator(&self, datagram: &[u8]) -> Option<PublicKey> {
        let Ok(Packet::HandshakeInit(initiation)) = Tunn::parse_incoming_packet(datagram) else { return None };
        let half = parse_handshake_anon(&self.private, &self.public, &initiation).ok()?;
        Some(PublicKey(half.peer_static_public))
    }

    /// Begins a new second for the limit.
    pub(crate) fn tick(&self) {
        self.limiter.reset_count();
    }
}

#[cfg(test)]
mod tests;
