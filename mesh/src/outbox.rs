//! The output of an endpoint's state machine: datagrams for the network and packets for the TCP above, in reused
//! buffers.

use crate::wire::DATAGRAM_MAX;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Maximum number of datagrams waiting for the socket; above it no packets are read from TCP.
pub(crate) const DATAGRAMS_MAX: usize = 256;
/// Buffers for reuse.
const SPARE_MAX: usize = 512;

/// The queues. Packets are bounded by the datagrams that one turn reads, datagrams by [`DATAGRAMS_MAX`] and the few
/// that handshakes and timers add.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    pub(crate) packets: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Outbox {
    /// A buffer of [`DATAGRAM_MAX`] bytes.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.resize(DATAGRAM_MAX, 0);
        buffer
    }

    /// Gives the spare buffers back.
    pub(crate) fn trim(&mut self) {
        self.spare = Vec::new();
    }

    /// A buffer of any length, if there is one.
    pub(crate) fn spare(&mut self) -> Option<Vec<u8>> {
        self.spare.pop()
    }

    pub(crate) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }

    pub(crate) fn send(&mut self, to: SocketAddr, mut buffer: Vec<u8>, len: usize) {
        buffer.truncate(len);
        self.datagrams.push_back((to, buffer));
    }

    pub(crate) fn deliver(&mut self, mut buffer: Vec<u8>, len: usize) {
        buffer.truncate(len);
        self.packets.push_back(buffer);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.datagrams.len() >= DATAGRAMS_MAX
    }
}
