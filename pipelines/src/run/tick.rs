//! Tick: closes a tick: the engine takes its rows, the store writes rows, findings and positions; old rows are deleted.

use super::running::{Pending, Running, enter};
use crate::clock::CLOCK_NAME;
use crate::deferred::DEFERRED_NAME;
use crate::engine::{TickOutcome, TickRows};
use crate::error::RunError;
use crate::progress::Phase;
use crate::run::published::Publication;
use model::pattern::PatternState;
use model::position::Positions;
use model::rows::RollupKey;
use sinks::Commit;
use sinks::error::FaultClass;
use sinks::retention::Pruned;
use sources::lateness::GATE_NAME;
use std::time::Duration;
use tokio::time::Instant;

impl Running {
    /// Closes the tick: the engine takes the rows, the store begins to write everything.
    pub(super) async fn tick(&mut self, evaluate: bool) -> Result<(), RunError> {
        let Pending { rows, late, refused, positions, .. } = std::mem::take(&mut self.pending);
        let order = if evaluate { self.event_clock.evaluate() } else { None };
        enter(if self.progress.phase == Phase::Draining { "drain" } else { "tick" });
        let mut took = Duration::ZERO;
        let outcome = if self.correlates {
            let mut for_engine = TickRows { events: rows.events.clone(), metrics: rows.metrics.clone() };
            // a newer version may lie so far back that the engine has forgotten it: the store has not
            for_engine.events.extend(self.commits.newer_events(&rows.events).await?);
            let began = Instant::now();
            let engine = async {
                let outcome = self.engine.tick(for_engine, order).await;
                took = began.elapsed();
                outcome
            };
            let stored = async { self.commits.ended().await.map_err(RunError::from) };
            tokio::try_join!(async { engine.await.map_err(RunError::from) }, stored)?.0
        } else {
            TickOutcome::default()
        };
        let publication = match order {
            Some(_) => {
                self.pace.evaluated(Instant::now(), took);
                self.published.apply(outcome.findings)
            }
            None => Publication::default(),
        };
        self.event_pairs_tested = outcome.event_pairs_tested.unwrap_or(self.event_pairs_tested);
        self.metric_pairs_tested = outcome.metric_pairs_tested.unwrap_or(self.metric_pairs_tested);
        let mut rollups = RollupKey::touched(&rows.metrics);
        rollups.append(&mut RollupKey::touched(&late.metrics));
        let mut positions: Vec<(String, Positions)> = positions.into_iter().collect();
        let moved = self.gate.take_moved();
        if self.is_live && moved != Positions::default() {
            positions.push((GATE_NAME.to_owned(), moved));
        }
        for (name, moved) in [(CLOCK_NAME, self.event_clock.take_moved()), (DEFERRED_NAME, self.held.take_moved())] {
            if moved != Positions::default() {
                positions.push((name.to_owned(), moved));
            }
        }
        let commit = Commit {
            tick: self.ticks,
            committed_at: self.clock.now(),
            rows: rows.into(),
            late: late.into(),
            restarted: refused.restarted,
            rewound: refused.rewound,
            settled: refused.settled,
            rejects: refused.rejects,
            rollups: rollups.into_iter().collect(),
            findings: publication.findings,
            removed: publication.removed,
            positions,
        };
        self.committed().await?;
        self.announcer.note(&commit.findings, &commit.removed);
        enter("commit");
        self.ticks += 1;
        self.acknowledgements.begun();
        self.commits.begin(commit).await?;
        if !self.commits.is_at_work() {
            self.tell_committed();
        }
        if let Err(outgrown) = self.memory.check() {
            // what has been taken in is stored first, so that each start comes further than the one before it
            self.committed().await?;
            return Err(outgrown.into());
        }
        Ok(())
    }

    /// Waits until every tick that has been cut is stored.
    pub(super) async fn committed(&mut self) -> Result<(), RunError> {
        self.commits.ended().await?;
        self.tell_committed();
        Ok(())
    }

    pub(super) fn tell_committed(&mut self) {
        self.progress.ticks = self.ticks;
        self.progress.confirmed = self.published.count(PatternState::Confirmed);
        self.progress.candidates = self.published.count(PatternState::Candidate);
        self.announcer.publish();
        self.acknowledgements.stored();
        self.watch.send_replace(self.progress.clone());
    }

    /// Deletes some of what is too old; says whether there is more. Age is counted from the newest rows that several
    /// colonies share, never from a clock that may be ahead of all of them.
    pub(super) async fn prune_slice(&mut self) -> Result<bool, RunError> {
        self.committed().await?;
        let Some(newest) = self.event_clock.now() else {
            self.retention_pace.pruned(Instant::now(), false);
            return Ok(false);
        };
        let now = newest.min(self.clock.now());
        let pruned = match self.commits.store().await?.prune(&self.retention, now).await {
            // nothing is lost by it: the next pass comes
            Err(error) if error.class == FaultClass::Retry => {
                tracing::warn!(%error, "rows beyond their retention stay until the next pass");
                Pruned::default()
            }
            answer => answer?,
        };
        if pruned.total() > 0 {
            tracing::info!(rows = ?pruned.rows, %now, "rows beyond their retention (storage.retention) deleted");
        }
        for (table, rows) in &pruned.rows {
            *self.deleted.entry((*table).to_owned()).or_default() += rows;
        }
        self.retention_pace.pruned(Instant::now(), pruned.is_partial);
        Ok(pruned.is_partial)
    }
}
