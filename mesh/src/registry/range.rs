//! The addresses of a mesh: `a.b.c.d/n`, the colony's own one, and which are free.

use crate::error::MeshError;
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A mesh network with the colony's address in it and the first one that peers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    network: u32,
    prefix: u8,
    own: u32,
    first: u32,
}

impl Range {
    /// `network` as `10.42.0.0/16`; `own` and `first` must lie in it, and it must have room for a peer.
    pub fn new(network: &str, own: Ipv4Addr, first: Ipv4Addr) -> Result<Range, MeshError> {
        let bad = |what: String| MeshError::BadSettings { what };
        let parsed = network.split_once('/').and_then(|(address, prefix)| {
            Some((Ipv4Addr::from_str(address).ok()?, prefix.parse::<u8>().ok().filter(|prefix| *prefix <= 30)?))
        });
        let (address, prefix) = parsed.ok_or_else(|| {
            bad(format!("mesh.network {network:?} is no network; write for example 10.42.0.0/16 (at most /30)"))
        })?;
        if prefix < 8 {
            return Err(bad(format!("mesh.network {network} is too large; at least /8")));
        }
        let mask = u32::MAX << (32 - prefix);
        let range = Range { network: u32::from(address) & mask, prefix, own: own.into(), first: first.into() };
        for (key, inside) in [("mesh.mesh_ip", own), ("mesh.first_ip", first)] {
            if !range.contains(inside) {
                return Err(bad(format!("{key} {inside} is not an address of mesh.network {network}")));
            }
        }
        Ok(range)
    }

    /// The colony's address.
    pub fn own(&self) -> Ipv4Addr {
        self.own.into()
    }

    /// True for addresses that a host may have in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        address > self.network && address < self.broadcast()
    }

    fn broadcast(&self) -> u32 {
        self.network | !(u32::MAX << (32 - self.prefix))
    }

    /// How many peers it can have.
    pub fn addresses(&self) -> u32 {
        self.broadcast() - self.first - u32::from(self.own >= self.first)
    }

    /// The lowest address that is not taken.
    pub(crate) fn free(&self, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        (self.first..self.broadcast()).filter(|it| *it != self.own).map(Ipv4Addr::from).find(|it| !taken.contains(it))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.network), self.prefix)
    }
}
