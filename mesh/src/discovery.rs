//! Where colonies are: the client, the server and the messages of `coral.discovery.v1`. All of it is untrusted input.

mod client;
mod lease;
mod messages;
mod server;

pub use crate::error::DiscoveryError;
pub use client::{Discovery, Found};
pub use lease::{Lease, LeaseSettings, LeaseState, local_address_towards};
pub use server::{DiscoveryServer, DiscoverySettings};

#[cfg(test)]
mod tests;
