//! The network between a reef and its colonies: where a colony listens, how a reef dials.
//!
//! | file | owns |
//! |---|---|
//! | `listener` | [`Listen`]: where to listen; [`Listener`]: connections with the peer's identity |
//! | `dial` | [`dial`](dial::dial): a channel to a colony |
//! | `error` | what can go wrong, with the address and what to do |
//!
//! There is one kind of network so far: plain TCP, for trusted networks. Callers see only [`Listen`], [`Connection`],
//! [`Peer`] and a tonic channel, so that an encrypted network becomes another variant of each.

pub mod dial;
pub mod error;
pub mod listener;

pub use dial::dial;
pub use error::MeshError;
pub use listener::{Connection, Incoming, Listen, Listener, Peer};

#[cfg(test)]
mod tests;
