//! Signals to readers that the store's writer has been closed.

use crate::error::{FaultClass, SinkError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by a writer and its readers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closing(Arc<AtomicBool>);

impl Closing {
    /// From now on nothing is read.
    pub(crate) fn close(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// An error once the store is closed.
    pub(crate) fn check(&self, store: &str, doing: &str) -> Result<(), SinkError> {
        if self.is_closed() { Err(closed(store, doing)) } else { Ok(()) }
    }
}

/// The error of a reader whose store has been closed.
pub(crate) fn closed(store: &str, doing: &str) -> SinkError {
    SinkError {
        class: FaultClass::Stop,
        doing: doing.to_owned(),
        store: store.to_owned(),
        hint: "the store has been closed, because its run has ended: open it again to read it".to_owned(),
        cause: None,
    }
}
