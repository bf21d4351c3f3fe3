//! Busy: keeps the paused clock of a simulation still while the workers' threads are at a tick.

use std::sync::mpsc::{SyncSender, sync_channel};

/// Paused time goes on by itself only while no blocking task runs: this is one, until it is dropped.
pub(super) struct Busy {
    _until_dropped: SyncSender<()>,
}

impl Busy {
    pub(super) fn hold() -> Busy {
        let (until_dropped, ended) = sync_channel::<()>(0);
        drop(tokio::task::spawn_blocking(move || ended.recv()));
        Busy { _until_dropped: until_dropped }
    }
}
