//! Interrupts: a connection whose statements another thread can end.

use duckdb::{Connection, InterruptHandle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Interval of interrupts of a statement that must end. One interrupt is not enough: DuckDB forgets one that comes before
/// the statement has begun.
pub(super) const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

/// A connection whose statements can be interrupted.
pub(super) struct Interruptible {
    pub(super) connection: Connection,
    interrupt: Interrupt,
}

/// Interrupts what a connection runs; does nothing once that is closed. Clones are of the same connection.
#[derive(Clone)]
pub(super) struct Interrupt(Arc<Mutex<Option<Arc<InterruptHandle>>>>);

impl Interruptible {
    pub(super) fn new(connection: Connection) -> Interruptible {
        let interrupt = Interrupt(Arc::new(Mutex::new(Some(connection.interrupt_handle()))));
        Interruptible { connection, interrupt }
    }

    pub(super) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        // before the connection is closed: its own handle is cleared only after that, and would be used in between
        *self.interrupt.handle() = None;
    }
}

impl Interrupt {
    pub(super) fn interrupt(&self) {
        if let Some(handle) = self.handle().as_ref() {
            handle.interrupt();
        }
    }

    fn handle(&self) -> MutexGuard<'_, Option<Arc<InterruptHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
