//! The outer form of WireGuard's messages and of the IPv4 packets inside: kinds, indices and addresses, nothing more.

use std::net::Ipv4Addr;

/// Longest datagram handled; longer ones are no messages of ours.
pub(crate) const DATAGRAM_MAX: usize = 2048;
/// Counters above this would overflow the window arithmetic of the replay guard. No valid peer reaches it.
const COUNTER_MAX: u64 = 1 << 63;

/// What a datagram claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Message 1, with the index that its sender chose.
    Initiation { sender: u32 },
    /// Message 2.
    Response { receiver: u32 },
    /// Message 3.
    Cookie { receiver: u32 },
    /// Message 4.
    Data { receiver: u32 },
}

/// The kind of a datagram, or `None` when it is none of WireGuard's.
pub(crate) fn kind(datagram: &[u8]) -> Option<Kind> {
    let word = |at: usize| Some(u32::from_le_bytes(datagram.get(at..at + 4)?.try_into().ok()?));
    let counter = |at: usize| Some(u64::from_le_bytes(datagram.get(at..at + 8)?.try_into().ok()?));
    match (word(0)?, datagram.len()) {
        (1, 148) => Some(Kind::Initiation { sender: word(4)? }),
        (2, 92) => Some(Kind::Response { receiver: word(8)? }),
        (3, 64) => Some(Kind::Cookie { receiver: word(4)? }),
        (4, 32..=DATAGRAM_MAX) if counter(8)? < COUNTER_MAX => Some(Kind::Data { receiver: word(4)? }),
        _ => None,
    }
}

/// Source and destination of an IPv4 packet, or `None` when it is none.
pub(crate) fn addresses(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    if packet.len() < 20 || packet[0] >> 4 != 4 {
        return None;
    }
    Some((address(12)?, address(16)?))
}
