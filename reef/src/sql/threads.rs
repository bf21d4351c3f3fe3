//! Threads: statements have their own, so that a busy one delays neither the reef nor other callers. Beside a writer
//! they, and the scans that they start, give way to all other threads.

use rustix::process::{getpriority_process, setpriority_process};
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Handle, Runtime};

/// How many.
const THREADS: usize = 2;
/// Their stack: a statement may be as deep as the guard allows, and what walks through it calls itself. Pages that are
/// not reached cost nothing.
const STACK_BYTES: usize = 64 << 20;
/// How much nicer they are where they give way. Beside a usual thread on the same core the system gives such a thread
/// about a thirtieth of the time; where a core is idle, all of it.
const NICER: i32 = 15;
/// The nicest thread there is.
const NICEST: i32 = 19;

/// The threads of statements; they start with the first statement. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Threads(Arc<Started>);

#[derive(Default)]
struct Started {
    runtime: OnceLock<Option<Runtime>>,
    gives_way: bool,
}

impl Drop for Started {
    fn drop(&mut self) {
        // statements end by themselves; who drops this may not wait
        if let Some(Some(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    /// Threads that give way to all others, on Linux.
    pub(super) fn giving_way() -> Threads {
        Threads(Arc::new(Started { runtime: OnceLock::new(), gives_way: true }))
    }

    /// Where statements run: the caller's threads where no further ones can be had.
    pub(super) fn handle(&self) -> Handle {
        let start = || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(THREADS).thread_stack_size(STACK_BYTES).thread_name("sql").enable_all();
            // elsewhere the whole process would get the priority
            if self.0.gives_way && cfg!(target_os = "linux") {
                // from here on: a thread that one of them starts has its priority already
                let nice = getpriority_process(None).map(|now| now.saturating_add(NICER).min(NICEST));
                builder.on_thread_start(move || {
                    // of no process: Linux takes the calling thread
                    if let Err(error) = nice.and_then(|nice| setpriority_process(None, nice)) {
                        tracing::debug!(%error, "a thread of statements has the priority of the others");
                    }
                });
            }
            let built = builder.build();
            built.inspect_err(|error| tracing::warn!(%error, "statements have no threads of their own")).ok()
        };
        self.0.runtime.get_or_init(start).as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn nice() -> i32 {
        getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn beside_a_writer_statements_and_what_they_start_give_way() {
        let before = nice();
        let seen = |threads: Threads| async move {
            let started = async {
                let scan = std::thread::Builder::new().name("scan".to_owned()).spawn(nice).unwrap();
                [nice(), scan.join().unwrap(), tokio::task::spawn_blocking(nice).await.unwrap()]
            };
            threads.handle().spawn(started).await.unwrap()
        };
        assert_eq!(seen(Threads::default()).await, [before; 3]);
        let nicer = if cfg!(target_os = "linux") { (before + NICER).min(NICEST) } else { before };
        assert_eq!(seen(Threads::giving_way()).await, [nicer; 3]);
        assert_eq!(nice(), before, "other threads are as they were");
    }
}
