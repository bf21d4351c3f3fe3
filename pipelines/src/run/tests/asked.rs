//! While the windows are rebuilt, questions are answered from what is stored.

use super::*;
use crate::progress::Phase;
use crate::run::{DriveOptions, RunningReef, drive_with};
use sinks::AmendedEvent;
use tokio::sync::Notify;

/// A store that holds a run between its last row read back and its first tick.
struct Held {
    inner: MemoryStore,
    /// The run is held.
    arrived: Arc<Notify>,
    /// It may continue.
    released: Arc<Notify>,
}

#[async_trait]
impl StoreWriter for Held {
    fn reader(&self) -> Arc<dyn StoreReader> {
        self.inner.reader()
    }

    async fn commit(&mut self, commit: &Commit) -> Result<sinks::Outcome, SinkError> {
        self.inner.commit(commit).await
    }
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        self.inner.newer_events(events).await
    }
    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        self.arrived.notify_one();
        self.released.notified().await;
        self.inner.amended_events(limit).await
    }
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[tokio::test]
async fn the_store_is_read_before_the_run_reads_its_sources() {
    let (store, config) = (MemoryStore::new(), config());
    let counting = |delivered: i64| -> Box<dyn Source> {
        Box::new(Counting { delivered, in_all: 5, panics_at: None, description_bytes: 0 })
    };
    let (first, _controls) = options();
    drive(&config, Box::new(store.clone()), vec![counting(0)], first).await.unwrap();
    let before = store.reader().positions().await.unwrap();
    assert!(!before.is_empty());

    let (reef, options, announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    assert!(!reef.is_open());
    let (arrived, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let held = Held { inner: store, arrived: Arc::clone(&arrived), released: Arc::clone(&released) };
    let with = DriveOptions { announcer, ..DriveOptions::default() };
    let run = drive_with(&config, Box::new(held), vec![counting(5)], options, with);
    let asked = async {
        arrived.notified().await;
        assert!(reef.is_open(), "a question would wait for the windows");
        assert_eq!(reef.progress().borrow().phase, Phase::Restoring);
        assert_eq!(reef.reader().await.unwrap().positions().await.unwrap(), before);
        released.notify_one();
    };
    let (ended, ()) = tokio::join!(run, asked);
    ended.map(|(summary, _)| assert_eq!(summary.ended, Ended::InputFinished)).unwrap();
}
