//! STUN (RFC 8489): a request for the address that others see, and its response. No IO and no clock.

use crate::outbox::Outbox;
use crate::random::random;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::sync::oneshot;

/// Marks STUN messages, so that they can share a port with WireGuard's.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const REQUEST: [u8; 2] = [0, 1];
const SUCCESS: [u8; 2] = [1, 1];
const XOR_MAPPED_ADDRESS: u16 = 0x20;
const HEADER_BYTES: usize = 20;

/// What ties a response to its request: only a server that received the request can know it.
type Transaction = [u8; 12];

/// A binding request.
fn request(transaction: &Transaction) -> [u8; HEADER_BYTES] {
    let mut message = [0; HEADER_BYTES];
    message[..2].copy_from_slice(&REQUEST);
    message[4..8].copy_from_slice(&COOKIE);
    message[8..].copy_from_slice(transaction);
    message
}

/// The address in a response to this request; `None` for everything else, WireGuard's messages among them.
fn mapped(datagram: &[u8], transaction: &Transaction) -> Option<SocketAddr> {
    let (header, mut rest) = datagram.split_at_checked(HEADER_BYTES)?;
    if header[..2] != SUCCESS || header[4..8] != COOKIE || header[8..] != *transaction {
        return None;
    }
    let number = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.try_into().ok()?));
    if usize::from(number(&header[2..4])?) != rest.len() {
        return None;
    }
    while let Some((head, after)) = rest.split_at_checked(4) {
        let length = usize::from(number(&head[2..])?);
        let value = after.get(..length)?;
        if number(&head[..2])? == XOR_MAPPED_ADDRESS {
            return address(value, transaction);
        }
        // attributes end at a multiple of four bytes
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Port and address are hidden by the header from routers that translate whatever looks like an address.
fn address(value: &[u8], transaction: &Transaction) -> Option<SocketAddr> {
    let mask = [COOKIE.as_slice(), transaction].concat();
    let clear = |bytes: &[u8]| -> Vec<u8> { bytes.iter().zip(&mask).map(|(byte, mask)| byte ^ mask).collect() };
    let port = u16::from_be_bytes(clear(value.get(2..4)?).try_into().ok()?);
    let ip = match (value[1], clear(&value[4..])) {
        (1, bytes) => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        (2, bytes) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    let is_nowhere = port == 0 || ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    (!is_nowhere && value.len() == if ip.is_ipv4() { 8 } else { 20 }).then_some(SocketAddr::new(ip, port))
}

/// A request without a response so far.
pub(crate) struct Question {
    server: SocketAddr,
    transaction: Transaction,
    answer: Option<oneshot::Sender<SocketAddr>>,
}

impl Question {
    /// Sends a request to a server.
    pub(crate) fn ask(server: SocketAddr, out: &mut Outbox) -> (Question, oneshot::Receiver<SocketAddr>) {
        let transaction = random();
        let (answer, answered) = oneshot::channel();
        let mut buffer = out.buffer();
        let request = request(&transaction);
        buffer[..request.len()].copy_from_slice(&request);
        out.send(server, buffer, request.len());
        (Question { server, transaction, answer: Some(answer) }, answered)
    }

    /// True if the datagram is the response.
    pub(crate) fn take(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        if from != self.server {
            return false;
        }
        let Some(seen) = mapped(datagram, &self.transaction) else { return false };
        if let Some(answer) = self.answer.take() {
            // no caller waits for a second one
            let _ = answer.send(seen);
        }
        true
    }
}

/// A response, for tests that play a server.
#[cfg(test)]
pub(crate) fn response(request: &[u8], seen: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut message = [SUCCESS.as_slice(), &[0, 12], &request[4..HEADER_BYTES], &[0, 0x20, 0, 8, 0, 1]].concat();
    let clear = [port.to_be_bytes().as_slice(), &seen.octets()].concat();
    let mask = [&COOKIE[..2], &COOKIE].concat();
    message.extend(clear.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    message
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const TRANSACTION: Transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: String = hex.split_whitespace().collect();
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    /// Sections 2.2 and 2.3 of RFC 5769.
    const OVER_IPV4: &str = "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200008 \
        0001a147e112a643 00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96";
    const OVER_IPV6: &str = "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200014 \
        0002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c";

    #[test]
    fn the_responses_of_the_standard_are_read() {
        assert_eq!(mapped(&bytes(OVER_IPV4), &TRANSACTION), Some("192.0.2.1:32853".parse().unwrap()));
        let seen = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        assert_eq!(mapped(&bytes(OVER_IPV6), &TRANSACTION), Some(seen));
        let own = response(&request(&TRANSACTION), Ipv4Addr::new(203, 0, 113, 9), 41_580);
        assert_eq!(mapped(&own, &TRANSACTION), Some("203.0.113.9:41580".parse().unwrap()));
    }

    #[test]
    fn what_answers_no_request_of_ours_says_nothing() {
        let response = bytes(OVER_IPV4);
        let mut other = TRANSACTION;
        other[11] ^= 1;
        assert_eq!(mapped(&response, &other), None);
        assert_eq!(mapped(&request(&TRANSACTION), &TRANSACTION), None);
        for end in 0..response.len() {
            assert_eq!(mapped(&response[..end], &TRANSACTION), None, "{end} bytes");
        }
        // an error response has no address, and an address that leads nowhere is none
        let mut refused = response.clone();
        refused[1] = 0x11;
        assert_eq!(mapped(&refused, &TRANSACTION), None);
        let nowhere = super::response(&request(&TRANSACTION), Ipv4Addr::UNSPECIFIED, 1);
        assert_eq!(mapped(&nowhere, &TRANSACTION), None);
    }

    #[test]
    fn no_message_of_one_protocol_is_one_of_the_other() {
        assert_eq!(crate::wire::kind(&request(&TRANSACTION)), None);
        assert_eq!(crate::wire::kind(&bytes(OVER_IPV4)), None);
        // the type of each WireGuard message, whatever follows
        for kind in 1..=4_u8 {
            let mut message = bytes(OVER_IPV4);
            message[..4].copy_from_slice(&[kind, 0, 0, 0]);
            assert_eq!(mapped(&message, &TRANSACTION), None);
        }
    }

    proptest! {
        #[test]
        fn random_and_mutated_responses_never_panic(
            random in proptest::collection::vec(any::<u8>(), 0..200),
            changes in proptest::collection::vec((20_usize..80, any::<u8>()), 0..6),
        ) {
            let mut message = bytes(OVER_IPV4);
            for (at, value) in changes {
                message[at] = value;
            }
            mapped(&message, &TRANSACTION);
            let mut framed = message[..HEADER_BYTES].to_vec();
            framed[2..4].copy_from_slice(&u16::try_from(random.len()).unwrap().to_be_bytes());
            mapped(&[framed, random.clone()].concat(), &TRANSACTION);
            prop_assert_eq!(mapped(&random, &TRANSACTION), None);
        }
    }
}
