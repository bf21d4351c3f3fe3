//! Work: the workers of a process that does not feed the dataflow but takes part in it.

use crate::engine::workers::{IDLE_STEP, Peers, abandon, panic_text, spawn};
use crate::error::EngineError;
use operators::dataflow::{self, Params};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::worker::Worker;
use tokio::sync::mpsc;

/// The workers of a process that does not feed the dataflow.
pub(super) struct Serving {
    is_finishing: bool,
    abandoned: Arc<AtomicBool>,
    failures: mpsc::Receiver<EngineError>,
}

impl Serving {
    /// Starts `workers` worker threads for process 0 of `peers`. They end with its engine, or when this is dropped.
    pub(super) fn start<S: Stream + 'static>(
        params: Params,
        workers: usize,
        peers: Peers<S>,
    ) -> Result<Serving, EngineError> {
        let (fail, failures) = mpsc::channel(workers);
        let abandoned = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&abandoned);
        spawn(workers, Some(peers), move |worker| {
            if let Err(failure) = serve(worker, &params, &is_over) {
                let _ = fail.blocking_send(failure);
            }
        })?;
        Ok(Serving { is_finishing: false, abandoned, failures })
    }

    /// Waits until a worker fails; never returns otherwise.
    pub(super) async fn failed(&mut self) -> EngineError {
        match self.failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Runs the workers until process 0 has closed the dataflow.
    pub(super) fn finish(mut self) {
        self.is_finishing = true;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.is_finishing {
            self.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

/// The life of one worker of another process: it takes part until the dataflow is closed.
fn serve(worker: &mut Worker, params: &Params, is_over: &AtomicBool) -> Result<(), EngineError> {
    // the inputs are dropped here, and so closed
    let dataflow::Ports { probe, .. } = dataflow::build(worker, params);
    let taking_part = catch_unwind(AssertUnwindSafe(|| {
        while worker.has_dataflows() && !is_over.load(Ordering::Relaxed) {
            #[cfg(test)]
            crate::engine::workers::planted(worker, params);
            worker.step_or_park(Some(IDLE_STEP));
        }
    }));
    abandon(worker);
    taking_part.map_err(|panic| EngineError::Panicked {
        worker: worker.index(),
        tick: probe.with_frontier(|open| open.first().copied().unwrap_or_default()),
        panic: panic_text(panic.as_ref()),
    })
}
