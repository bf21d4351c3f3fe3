//! A replay that was killed: what it had stored is said by the call that resumes it.

use super::*;
use model::pattern::SignalKind;
use model::position::Positions;
use sinks::revisions::{REVISIONS, Revision, newest};
use std::collections::BTreeSet;

/// A store that keeps what a replay writes before its end, as if the process had been killed then.
struct Killed(Box<dyn StoreWriter>);

#[async_trait]
impl StoreWriter for Killed {
    fn reader(&self) -> Arc<dyn StoreReader> {
        self.0.reader()
    }
    async fn commit(&mut self, commit: &Commit) -> Result<sinks::Outcome, SinkError> {
        let is_done = |(_, at): &(String, Positions)| at.0.get("state").is_some_and(|state| state == "done");
        if commit.positions.iter().any(is_done) {
            return Ok(sinks::Outcome::default());
        }
        let mut kept = commit.clone();
        kept.derived.retain(|change| change.table != REVISIONS);
        self.0.commit(&kept).await
    }
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        self.0.newer_events(events).await
    }
    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        self.0.amended_events(limit).await
    }
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        self.0.close().await
    }
}

/// The newest revision of each pattern.
async fn said(config: &ReefConfig) -> Vec<Revision> {
    let store = store::open(config).await.unwrap();
    let said = newest(store.reader().as_ref()).await.unwrap();
    store.close().await.unwrap();
    said
}

#[tokio::test]
async fn patterns_of_a_killed_replay_are_listed_when_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let live = config(folder.path(), "live");
    record(&live, vec![days(0..24)], true).await;
    let path = folder.path().join("into.duckdb");
    let beside = targets::config_of(&live, &path);
    let request = Request { into: Some(path.clone()), ..request(Task::Replay) };

    let (options, _controls) = options();
    let target: Box<dyn StoreWriter> = Box::new(Killed(targets::open(&live, &path, &options.clock).await.unwrap()));
    let reader = live_to_read(&live, Recording::Stored).await.unwrap();
    let outcome = into(&beside, &request, (reader, target), options).await.unwrap();
    assert!(!outcome.after.is_empty() && said(&beside).await.is_empty(), "stored, and not said");

    let outcome = replayed(&live, &request).await;
    assert_eq!((outcome.is_resumed, outcome.ended), (true, Ended::InputFinished));
    let said = said(&beside).await;
    let listed = said.iter().filter(|revision| revision.is_listed);
    let listed: BTreeSet<String> = listed.map(|revision| revision.row.key.correlation_id()).collect();
    let stored: BTreeSet<String> = outcome.after.iter().map(|row| row.key.correlation_id()).collect();
    assert_eq!(listed, stored);
    let of_events = |revision: &&Revision| revision.row.key.source.kind == SignalKind::Event;
    assert!(said.iter().any(|revision| of_events(&revision)));
    for revision in said.iter().filter(of_events) {
        assert!(revision.caused_count.is_some_and(|count| count > 0), "all its evidence is news: {revision:?}");
    }
}
