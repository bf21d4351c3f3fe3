//! Running: how many statements run, as a gauge. A statement counts until its task has ended, for any reason.

use model::instruments::{Gauge, Registry};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The count; clones share it.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Shared>);

#[derive(Default)]
struct Shared {
    count: Mutex<u64>,
    gauge: OnceLock<Gauge>,
}

/// A statement that runs; ends with this.
pub(super) struct Statement(Running);

impl Running {
    /// Shows the count in a registry, unless another one shows it.
    pub(super) fn count_in(&self, registry: &Registry) {
        let _ = self.0.gauge.get_or_init(|| registry.gauge("statements_running", "Statements in SQL that run now"));
        self.change(|count| count);
    }

    /// A statement begins.
    pub(super) fn begin(&self) -> Statement {
        self.change(|count| count + 1);
        Statement(self.clone())
    }

    /// Under the lock, so that the gauge shows the newest count.
    fn change(&self, change: impl FnOnce(u64) -> u64) {
        let mut count = self.0.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = change(*count);
        if let Some(gauge) = self.0.gauge.get() {
            gauge.set(*count);
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        self.0.change(|count| count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_count_while_they_run() {
        let (running, registry) = (Running::default(), Registry::new());
        let before = running.begin();
        running.count_in(&registry);
        let gauge = registry.gauge("statements_running", "");
        assert_eq!(gauge.get(), Some(1), "also those that began before");
        let others = [running.begin(), running.clone().begin()];
        assert_eq!(gauge.get(), Some(3));
        drop((before, others));
        assert_eq!(gauge.get(), Some(0));
    }
}
