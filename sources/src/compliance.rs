//! The compliance harness: the contract of sources, checked in the same way for each (five cases).
//!
//! 1. *happy*: all rows are delivered, once the input is read through;
//! 2. *rejected row*: broken records are counted and the rest is delivered;
//! 3. *temporary failure*: the input fails for a while, and nothing is missing afterwards;
//! 4. *restart in mid-batch*: from every committed position, the rows before and after make up all rows;
//! 5. *shutdown with data in flight*: a dropped `next_batch` loses nothing;
//! 6. *acknowledgement*: a source that learns what is stored, late or in time, continues as before. What it was built from
//!    is stored already.

#![allow(clippy::unwrap_used)]

use crate::{Batch, Source};
use async_trait::async_trait;
use model::position::Positions;
use model::reject::Reject;
use model::rows::Rows;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a source may keep silent before the harness gives up; it never decides a verdict that is right.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a source under test has behind it.
#[async_trait]
pub trait Harness: Sync {
    /// The source over the same input every time, starting at `positions`.
    async fn build(&self, positions: &Positions) -> Box<dyn Source>;

    /// Makes the input fail, if it can.
    async fn fail(&self) {}

    /// Ends the failure.
    async fn recover(&self) {}
}

/// What the input holds.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Good events and metric rows.
    pub rows: usize,
    /// Broken records.
    pub rejects: usize,
    /// Whether `fail` does something.
    pub can_fail: bool,
}

/// Events, metric rows and rejects, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Rows by their full content.
    pub rows: BTreeSet<String>,
    /// Rejects by source and place.
    pub rejects: BTreeSet<String>,
}

impl Seen {
    /// Adds what a batch carries.
    pub fn add(&mut self, batch: &Batch) {
        let Rows { events, metrics, .. } = &batch.rows;
        self.rows.extend(events.iter().map(|row| format!("{row:?}")));
        self.rows.extend(metrics.iter().map(|row| format!("{row:?}")));
        self.rejects.extend(batch.rejects.iter().map(|Reject { source, place, .. }| format!("{source} {place}")));
    }

    fn is_complete(&self, scenario: &Scenario) -> bool {
        self.rows.len() >= scenario.rows && self.rejects.len() >= scenario.rejects
    }
}

/// The next batch, or `None` if the source has ended; panics if the source hangs or fails.
pub async fn next(source: &mut dyn Source) -> Option<Batch> {
    let batch = tokio::time::timeout(SILENCE_MAX, source.next_batch()).await;
    batch.expect("the source is silent").expect("the source has failed")
}

/// Checks the six cases.
pub async fn check(harness: &impl Harness, scenario: &Scenario) {
    let (all, committed) = happy_with_rejects(harness, scenario).await;
    restart_from_every_position(harness, scenario, &all, &committed).await;
    shutdown_in_flight(harness, scenario, &all).await;
    acknowledged(harness, scenario, &all).await;
    if scenario.can_fail {
        temporary_failure(harness, scenario, &all).await;
    }
}

/// Reads until everything has been seen (live) or until the end (finite).
async fn read_on(source: &mut dyn Source, scenario: &Scenario, seen: &mut Seen, mut each: impl FnMut(&Batch, &Seen)) {
    while source.is_finite() || !seen.is_complete(scenario) {
        let Some(batch) = next(source).await else { break };
        seen.add(&batch);
        each(&batch, seen);
    }
}

/// Cases 1 and 2; returns everything seen, and each committed position with the rows seen before it.
async fn happy_with_rejects(harness: &impl Harness, scenario: &Scenario) -> (Seen, Vec<(Positions, Seen)>) {
    let mut source = harness.build(&Positions::default()).await;
    assert!(!source.name().is_empty());
    let mut all = Seen::default();
    let mut position = Positions::default();
    let mut committed = vec![(Positions::default(), Seen::default())];
    read_on(source.as_mut(), scenario, &mut all, |batch, seen| {
        position.advance(batch.positions.clone());
        committed.push((position.clone(), seen.clone()));
    })
    .await;
    assert_eq!(all.rows.len(), scenario.rows, "every good row is delivered");
    assert_eq!(all.rejects.len(), scenario.rejects, "every broken record is counted");
    if source.is_finite() {
        assert_eq!(next(source.as_mut()).await, None, "the end stays the end");
    }
    (all, committed)
}

/// Case 4.
async fn restart_from_every_position(
    harness: &impl Harness,
    scenario: &Scenario,
    all: &Seen,
    committed: &[(Positions, Seen)],
) {
    for (position, before) in committed {
        let mut source = harness.build(position).await;
        let mut seen = before.clone();
        read_on(source.as_mut(), scenario, &mut seen, |_, _| ()).await;
        assert_eq!(&seen, all, "rows before and after {position:?} make up all rows");
    }
}

/// Case 5: every second call is dropped at once, in any state.
async fn shutdown_in_flight(harness: &impl Harness, scenario: &Scenario, all: &Seen) {
    let mut source = harness.build(&Positions::default()).await;
    let mut seen = Seen::default();
    while source.is_finite() || !seen.is_complete(scenario) {
        let dropped = tokio::time::timeout(Duration::ZERO, source.next_batch()).await;
        let batch = match dropped {
            Ok(batch) => batch.unwrap(),
            Err(_) => next(source.as_mut()).await,
        };
        let Some(batch) = batch else { break };
        seen.add(&batch);
    }
    assert_eq!(&seen, all, "dropped calls lose nothing");
    drop(source);
    let mut unfinished = harness.build(&Positions::default()).await;
    let _ = tokio::time::timeout(Duration::ZERO, unfinished.next_batch()).await;
    // dropping a source with data in flight must neither hang nor panic
    drop(unfinished);
}

/// Case 6: every third batch is acknowledged with those before it; then the source is built again from the acknowledged positions.
async fn acknowledged(harness: &impl Harness, scenario: &Scenario, all: &Seen) {
    let mut source = harness.build(&Positions::default()).await;
    let (mut seen, mut stored, mut acknowledged) = (Seen::default(), Positions::default(), None);
    let mut batches = 0;
    while source.is_finite() || !seen.is_complete(scenario) {
        let Some(batch) = next(source.as_mut()).await else { break };
        seen.add(&batch);
        stored.advance(batch.positions);
        batches += 1;
        if batches % 3 == 0 && stored != Positions::default() {
            source.committed(&stored);
            acknowledged = Some((stored.clone(), seen.clone()));
        }
    }
    assert_eq!(&seen, all, "acknowledgements change nothing");
    if let Some((stored, mut seen)) = acknowledged {
        let mut source = harness.build(&stored).await;
        source.committed(&stored);
        read_on(source.as_mut(), scenario, &mut seen, |_, _| ()).await;
        assert_eq!(&seen, all, "nothing that was acknowledged is missing, and nothing else");
    }
}

/// Case 3.
async fn temporary_failure(harness: &impl Harness, scenario: &Scenario, all: &Seen) {
    let mut source = harness.build(&Positions::default()).await;
    let mut seen = Seen::default();
    let mut batch = next(source.as_mut()).await.unwrap();
    seen.add(&batch);
    harness.fail().await;
    let is_unreachable =
        |batch: &Batch| batch.rows.colonies.iter().any(|row| row.health == "unreachable" && !row.last_error.is_empty());
    // an outage that had begun before is the same one, and is not reported twice
    while !is_unreachable(&batch) && source.outage().is_none() {
        batch = next(source.as_mut()).await.unwrap();
        seen.add(&batch);
    }
    harness.recover().await;
    read_on(source.as_mut(), scenario, &mut seen, |_, _| ()).await;
    assert_eq!(&seen, all, "nothing is missing after a failure");
}
