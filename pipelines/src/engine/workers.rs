//! Workers: starts timely's worker threads, in one process or among several, and takes them down.

use crate::error::EngineError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::worker::Worker;

/// How often an idle worker looks after its peers.
pub(crate) const IDLE_STEP: Duration = Duration::from_millis(5);

/// The other processes of a dataflow.
pub struct Peers<S> {
    /// Which process this is.
    pub process: usize,
    /// One connection to each process, in order; none to this one.
    pub streams: Vec<Option<S>>,
}

/// Runs `life` on each worker of this process. Timely's own threads are joined when its guards drop, so the guards are
/// on a separate thread.
pub(crate) fn spawn<S: Stream + 'static>(
    workers: usize,
    peers: Option<Peers<S>>,
    life: impl Fn(&mut Worker) + Send + Sync + 'static,
) -> Result<(), EngineError> {
    let problem = |problem: String| EngineError::Start { problem };
    let (allocators, others) = allocators(workers, peers).map_err(problem)?;
    let (started, start) = mpsc::sync_channel(1);
    let keep_guards = move || {
        let guards = timely::execute::execute_from(allocators, others, timely::WorkerConfig::default(), life);
        let (guards, result) = match guards {
            Ok(guards) => (Some(guards), Ok(())),
            Err(problem) => (None, Err(problem)),
        };
        let _ = started.send(result);
        drop(guards);
    };
    let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(keep_guards);
    thread.map_err(|error| problem(error.to_string()))?;
    start.recv().map_err(|_| EngineError::Gone)?.map_err(problem)
}

/// What moves rows between workers: queues inside a process, connections between processes.
fn allocators<S: Stream + 'static>(
    workers: usize,
    peers: Option<Peers<S>>,
) -> Result<(Vec<AllocatorBuilder>, Box<dyn Any + Send>), String> {
    let Some(Peers { process, streams }) = peers else {
        return timely::CommunicationConfig::Process(workers).try_build();
    };
    let hooks = Hooks::default();
    let local = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), hooks.spill.clone());
    let (builders, guard) = initialize_networking_from_sockets(local, streams, process, workers, hooks)
        .map_err(|error| error.to_string())?;
    Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
}

/// Drops the dataflow immediately, so that the thread can end.
pub(crate) fn abandon(worker: &mut Worker) {
    // what an operator has left behind in a panic may panic again
    let _ = catch_unwind(AssertUnwindSafe(|| {
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    }));
}

/// A horizon by which tests plant a panic in one worker: this many days and its number. No configuration has it.
#[cfg(test)]
pub(crate) const PLANTED_DAYS: i64 = 301;

/// Panics in the worker that a test has chosen.
#[cfg(test)]
pub(crate) fn planted(worker: &Worker, params: &operators::dataflow::Params) {
    let days = params.events.horizon_ms / model::time::DAY_MS;
    assert!(days != PLANTED_DAYS + worker.index() as i64, "a planted panic");
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "panic without a message".to_owned())
}
