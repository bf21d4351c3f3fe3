//! The address of a peer that has proved the secret and is not registered yet, derived from its key.

use crate::noise::keys::PublicKey;
use std::net::Ipv4Addr;

/// 169.254.x.y with x in 1..=254, from the SHA-256 of the key: both ends know it without asking.
pub(crate) fn address(key: &PublicKey) -> Ipv4Addr {
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    let bytes = digest.as_ref();
    Ipv4Addr::new(169, 254, bytes[0] % 254 + 1, bytes[1])
}
