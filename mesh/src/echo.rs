//! ICMP echoes inside a tunnel: they keep the path open, measure its round trip, and find out what size passes.

use std::net::Ipv4Addr;

const HEADERS: usize = 28;
/// Smallest echo: headers and the number of the question.
pub(crate) const BYTES_MIN: usize = HEADERS + 8;

/// An echo request of `bytes` bytes, headers included, at the begin of `out`. Its content is `nonce`, so that only its
/// receiver can reply.
pub(crate) fn request(from: Ipv4Addr, to: Ipv4Addr, nonce: u64, bytes: usize, out: &mut [u8]) -> usize {
    let bytes = bytes.clamp(BYTES_MIN, out.len().min(usize::from(u16::MAX)));
    let packet = &mut out[..bytes];
    packet.fill(0);
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes());
    packet[6] = 0x40; // not to be cut into fragments
    packet[8] = 64;
    packet[9] = 1;
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    let sum = checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet[20] = 8;
    packet[HEADERS..BYTES_MIN].copy_from_slice(&nonce.to_be_bytes());
    let sum = checksum(&packet[20..]);
    packet[22..24].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The nonce and the size of an echo reply; `None` for any other packet.
pub(crate) fn reply(packet: &[u8]) -> Option<(u64, usize)> {
    let is_reply = packet.len() >= BYTES_MIN && packet[0] == 0x45 && packet[9] == 1 && packet[20..22] == [0, 0];
    let nonce = packet.get(HEADERS..BYTES_MIN)?.try_into().ok()?;
    is_reply.then_some((u64::from_be_bytes(nonce), packet.len()))
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_that_of_other_programs() {
        let mut out = [0; 64];
        let bytes = request(Ipv4Addr::new(10, 42, 0, 100), Ipv4Addr::new(10, 42, 0, 1), 7, 36, &mut out);
        // sums over a header with its own checksum are zero
        assert_eq!((bytes, checksum(&out[..20]), checksum(&out[20..36])), (36, 0, 0));
        out[20] = 0;
        assert_eq!(reply(&out[..36]), Some((7, 36)));
    }

    proptest! {
        #[test]
        fn any_bytes_may_come(packet in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = reply(&packet);
        }
    }
}
