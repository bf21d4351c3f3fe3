//! The store of a simulated reef: in memory, with commits that fail, are cut off after they took effect, or take long.

use super::trace::Trace;
use async_trait::async_trait;
use model::event::Event;
use sinks::error::FaultClass;
use sinks::memory::MemoryStore;
use sinks::{AmendedEvent, Commit, Outcome, SinkError, StoreReader, StoreWriter};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

/// What happens to one commit.
#[derive(Clone, Copy, Debug)]
pub enum CommitFault {
    /// It fails and leaves nothing.
    Fails,
    /// It is stored, and its answer is lost.
    IsCutOff,
    /// It takes so many milliseconds.
    Takes(u64),
}

/// Clones hold the same rows and share what is going to happen.
#[derive(Clone)]
pub struct SimStore {
    pub inner: MemoryStore,
    pub faults: Arc<Mutex<VecDeque<CommitFault>>>,
    trace: Trace,
}

impl SimStore {
    pub fn new(trace: &Trace) -> SimStore {
        SimStore { inner: MemoryStore::new(), faults: Arc::default(), trace: trace.clone() }
    }
}

fn lost() -> SinkError {
    let (doing, store, hint) = ("cannot commit".to_owned(), "the simulation's store".to_owned(), "wait".to_owned());
    SinkError { class: FaultClass::Retry, doing, store, hint, cause: None }
}

#[async_trait]
impl StoreWriter for SimStore {
    fn reader(&self) -> Arc<dyn StoreReader> {
        self.inner.reader()
    }
    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError> {
        let fault = self.faults.lock().unwrap().pop_front();
        let (rows, late) = (&commit.rows, &commit.late);
        let mut line = format!("commit {}", commit.tick);
        let counts = [
            ("events", rows.events.len()),
            ("metrics", rows.metrics.len()),
            ("colonies", rows.colonies.len()),
            ("late", late.events.len() + late.metrics.len()),
            ("rejects", commit.rejects.len()),
            ("findings", commit.findings.len()),
            ("removed", commit.removed.len()),
        ];
        counts.iter().filter(|(_, count)| *count > 0).for_each(|(name, count)| line += &format!(" {name} {count}"));
        if let Some(fault) = fault {
            line += &format!(" {fault:?}");
        }
        self.trace.note(line);
        if let Some(CommitFault::Fails) = fault {
            return Err(lost());
        }
        if let Some(CommitFault::Takes(ms)) = fault {
            sleep(Duration::from_millis(ms)).await;
        }
        let outcome = self.inner.commit(commit).await?;
        match fault {
            Some(CommitFault::IsCutOff) => {
                sleep(Duration::from_millis(300)).await;
                Err(lost())
            }
            _ => Ok(outcome),
        }
    }
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        self.inner.newer_events(events).await
    }
    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        self.inner.amended_events(limit).await
    }
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}
