//! Threads: statements have their own, so that a busy one delays neither the reef nor other callers.

use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Handle, Runtime};

/// How many.
const THREADS: usize = 2;
/// Their stack: a statement may be as deep as the guard allows, and what walks through it calls itself. Pages that are
/// not reached cost nothing.
const STACK_BYTES: usize = 64 << 20;

/// The threads of statements; they start with the first statement. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Threads(Arc<Started>);

#[derive(Default)]
struct Started(OnceLock<Option<Runtime>>);

impl Drop for Started {
    fn drop(&mut self) {
        // statements end by themselves; who drops this may not wait
        if let Some(Some(runtime)) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    /// Where statements run: the caller's threads where no further ones can be had.
    pub(super) fn handle(&self) -> Handle {
        let start = || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(THREADS).thread_stack_size(STACK_BYTES).thread_name("sql").enable_all();
            let built = builder.build();
            built.inspect_err(|error| tracing::warn!(%error, "statements have no threads of their own")).ok()
        };
        self.0.0.get_or_init(start).as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}
