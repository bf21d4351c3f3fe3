//! Commits: the store of a run, which writes one tick while the run reads the next.
//!
//! At most one commit is in progress, so that a slow store still slows the sources: the next tick waits for it. It is
//! part of the run's own future and not a separate task: dropping the run cancels the commit.

use crate::instruments::{CommitSize, Instruments};
use crate::run::amended::Amended;
use crate::run::retry::{commit_with_retry, newer_events_with_retry};
use model::event::Event;
use model::time::TimeMs;
use sinks::{Commit, Outcome, SinkError, StoreWriter};
use std::pin::Pin;
use std::task::Poll;
use tokio::sync::watch;
use tokio::time::Instant;

type UnderWay = Pin<Box<dyn Future<Output = (Box<dyn StoreWriter>, Result<Outcome, SinkError>)> + Send>>;

/// The store of a run, at rest or at work.
pub(crate) struct Commits {
    state: State,
    shutdown: watch::Receiver<bool>,
    instruments: Instruments,
    amended: Amended,
}

enum State {
    AtRest(Box<dyn StoreWriter>),
    AtWork(UnderWay, CommitSize, Instant),
    /// A transient state, never observable.
    Moving,
}

impl Commits {
    /// A store at rest, and its amended events.
    pub(crate) fn new(
        store: Box<dyn StoreWriter>,
        shutdown: watch::Receiver<bool>,
        instruments: Instruments,
        amended: Amended,
    ) -> Commits {
        Commits { state: State::AtRest(store), shutdown, instruments, amended }
    }

    /// Whether a commit is in progress.
    pub(crate) fn is_at_work(&self) -> bool {
        matches!(self.state, State::AtWork(..))
    }

    /// Begins to write a tick, after the previous one. It proceeds while this store is awaited; a store with its own
    /// thread or server also works in between.
    ///
    /// # Errors
    /// Those of the commit before it, and of this one if it ends at once; else they come from [`ended`](Commits::ended) or
    /// whatever is asked next.
    pub(crate) async fn begin(&mut self, commit: Commit) -> Result<(), SinkError> {
        self.ended().await?;
        self.amended.note(&commit.rows.events);
        if let State::AtRest(mut store) = std::mem::replace(&mut self.state, State::Moving) {
            let (shutdown, instruments) = (self.shutdown.clone(), self.instruments.clone());
            let size = CommitSize::of(&commit);
            let writing = async move {
                let outcome = commit_with_retry(store.as_mut(), &commit, &shutdown, instruments.commit_retries()).await;
                (store, outcome)
            };
            self.state = State::AtWork(Box::pin(writing), size, Instant::now());
        }
        // up to its first wait: the store has it then
        let mut ended = std::pin::pin!(self.ended());
        std::future::poll_fn(|context| match ended.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => Poll::Ready(Ok(())),
        })
        .await
    }

    /// Waits for the commit in progress, if any. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Result<(), SinkError> {
        let State::AtWork(commit, size, began) = &mut self.state else { return Ok(()) };
        let (store, outcome) = commit.await;
        let (size, took) = (*size, began.elapsed());
        self.state = State::AtRest(store);
        self.instruments.committed(size, took, outcome?);
        Ok(())
    }

    /// The store, once it is at rest.
    pub(crate) async fn store(&mut self) -> Result<&mut dyn StoreWriter, SinkError> {
        self.ended().await?;
        match &mut self.state {
            State::AtRest(store) => Ok(store.as_mut()),
            State::AtWork(..) | State::Moving => unreachable!("its commit has ended"),
        }
    }

    /// The stored newer copies of these events that an engine which evaluates with this `now` may have forgotten. If there
    /// can be none, the store is not queried, because a query waits for the commit in progress.
    pub(crate) async fn newer_events(
        &mut self,
        events: &[Event],
        now: Option<TimeMs>,
    ) -> Result<Vec<Event>, SinkError> {
        now.into_iter().for_each(|now| self.amended.evaluates(now));
        let events = self.amended.may_be_forgotten(events);
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let shutdown = self.shutdown.clone();
        let retries = self.instruments.commit_retries().clone();
        let newer = newer_events_with_retry(self.store().await?, &events, &shutdown, &retries).await?;
        self.amended.note(&newer);
        Ok(newer)
    }

    /// The store again, once it is at rest.
    pub(crate) async fn into_store(mut self) -> Result<Box<dyn StoreWriter>, SinkError> {
        self.ended().await?;
        match self.state {
            State::AtRest(store) => Ok(store),
            State::AtWork(..) | State::Moving => unreachable!("its commit has ended"),
        }
    }
}
