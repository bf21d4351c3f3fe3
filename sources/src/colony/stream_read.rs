//! Whether the event stream of a colony is open and has delivered what there was, shared by the sources of one colony.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by the sources of one colony.
#[derive(Clone, Debug, Default)]
pub struct StreamRead(Arc<AtomicBool>);

impl StreamRead {
    /// Notes that the stream has been read to its end, or that it has not.
    pub(crate) fn set(&self, is_read: bool) {
        self.0.store(is_read, Ordering::Relaxed);
    }

    /// Whether it has been read to its end.
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a stream is doing is not part of a configuration.
impl PartialEq for StreamRead {
    fn eq(&self, _: &StreamRead) -> bool {
        true
    }
}

impl Eq for StreamRead {}
