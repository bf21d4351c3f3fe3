//! The writer's session: the connection, the lease, and cached state of the store.

use super::fault::Fault;
use super::lease::Lease;
use super::memory::Memory;
use super::server::Server;

/// The writing side of a store.
pub(super) struct Session {
    pub(super) server: Server,
    pub(super) memory: Memory,
    lease: Lease,
    /// The greatest assigned `ingest_version`.
    version: u64,
}

impl Session {
    /// A session with an acquired lease and cached state of the store.
    pub(super) fn new(server: Server, lease: Lease, memory: Memory) -> Session {
        let version = memory.newest_version;
        Session { server, memory, lease, version }
    }

    /// To be called before every insert: an error when this process may no longer write.
    pub(super) async fn check_lease(&self) -> Result<(), Fault> {
        self.lease.check().await
    }

    /// A version above all previous ones: of two copies of a row the one written later is current. It is taken from the
    /// clock, so that a delayed insert of an ended process stays below those of its successor.
    pub(super) fn next_version(&mut self) -> u64 {
        let now = self.server.config.clock.now().0.unsigned_abs().saturating_mul(1_000);
        self.version = now.max(self.version + 1);
        self.version
    }

    /// Lets the next process write at once.
    pub(super) async fn close(&mut self) {
        self.lease.release().await;
    }
}
