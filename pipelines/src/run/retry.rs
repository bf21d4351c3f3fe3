//! Retry: repeats commits and look-ups after temporary errors, with backoff.

use model::event::Event;
use model::instruments::Counter;
use sinks::error::FaultClass;
use sinks::{Commit, Outcome, SinkError, StoreWriter};
use std::time::Duration;
use tokio::sync::watch;

/// Pauses between tries of one commit; after the last the run stops.
const RETRY_PAUSES: [Duration; 7] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// Longest pause once the run has been stopped.
const STOPPING_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Writes one tick; temporary errors are retried with backoff. A commit is idempotent, so an attempt whose result was
/// lost can be repeated. When the run is stopped, a pause ends at once, and longer ones are skipped: the error is
/// returned, and the next run reads this tick's rows again.
pub async fn commit_with_retry(
    store: &mut dyn StoreWriter,
    commit: &Commit,
    shutdown: &watch::Receiver<bool>,
    retries: &Counter,
) -> Result<Outcome, SinkError> {
    for pause in RETRY_PAUSES {
        match store.commit(commit).await {
            Err(error) if may_pass(&error, pause, shutdown) => wait(&error, pause, shutdown).await,
            answer => return answer,
        }
        retries.add(1);
    }
    store.commit(commit).await
}

/// Queries newer copies of events, with the same retries as a commit.
pub async fn newer_events_with_retry(
    store: &mut dyn StoreWriter,
    events: &[Event],
    shutdown: &watch::Receiver<bool>,
    retries: &Counter,
) -> Result<Vec<Event>, SinkError> {
    for pause in RETRY_PAUSES {
        match store.newer_events(events).await {
            Err(error) if may_pass(&error, pause, shutdown) => wait(&error, pause, shutdown).await,
            answer => return answer,
        }
        retries.add(1);
    }
    store.newer_events(events).await
}

fn may_pass(error: &SinkError, pause: Duration, shutdown: &watch::Receiver<bool>) -> bool {
    error.class == FaultClass::Retry && !(*shutdown.borrow() && pause > STOPPING_PAUSE_MAX)
}

async fn wait(error: &SinkError, pause: Duration, shutdown: &watch::Receiver<bool>) {
    tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "the store failed, trying again");
    let mut shutdown = shutdown.clone();
    if *shutdown.borrow() {
        tokio::time::sleep(pause).await;
    } else {
        let _ = tokio::time::timeout(pause, shutdown.wait_for(|stop| *stop)).await;
    }
}
