//! Tick: closes a tick: the engine takes its rows, the store writes rows, findings and positions; old rows are deleted.

use super::impacts::DUE;
use super::published::Publication;
use super::running::{Pending, Running, enter};
use crate::clock::CLOCK_NAME;
use crate::deferred::DEFERRED_NAME;
use crate::engine::{Answer, TickRows};
use crate::error::RunError;
use crate::evaluated::EVALUATED_NAME;
use crate::instruments::Stage;
use model::derived::DerivedChange;
use model::pattern::PatternState;
use model::position::Positions;
use model::rows::{RollupKey, Rows};
use model::time::format_duration_ms;
use operators::dataflow::Evaluate;
use operators::tested::Tested;
use sinks::Commit;
use sinks::error::FaultClass;
use sinks::retention::Pruned;
use sources::lateness::GATE_NAME;
use std::sync::Arc;
use tokio::time::Instant;

impl Running {
    /// Closes the tick: the engine takes the rows, the store begins to write everything.
    pub(super) async fn tick(&mut self, evaluate: bool) -> Result<(), RunError> {
        let Pending { rows, late, refused, positions, bytes, .. } = std::mem::take(&mut self.pending);
        let rows = Arc::new(rows);
        let order = if evaluate { self.event_clock.evaluate() } else { None };
        self.instruments.waiting(Stage::Tick, 0);
        enter(if self.is_draining { "drain" } else { "tick" });
        if self.correlates {
            self.feed_engine(&rows, bytes, order).await?;
        }
        let learnt_at = self.clock.now();
        let mut publication = std::mem::take(&mut self.answered);
        self.predicted.note(&publication.derived);
        // the states that a replay passes through are never reported: only the one that it ends with counts
        if self.is_live || self.is_draining {
            // before the predictions themselves: a cut between the two makes the next run say them again
            let mut derived: Vec<DerivedChange> = self.predicted.take(learnt_at).into_iter().collect();
            derived.append(&mut publication.derived);
            derived.extend(self.revisions.take(self.reader.as_ref(), learnt_at).await);
            publication.derived = derived;
        }
        if self.correlates && self.judges {
            self.keep_impacts(&mut publication, (&rows, &late)).await?;
        }
        let mut rollups = RollupKey::touched(&rows.metrics);
        rollups.append(&mut RollupKey::touched(&late.metrics));
        let mut positions: Vec<(String, Positions)> = positions.into_iter().collect();
        let moved = self.gate.take_moved();
        if self.is_live && moved != Positions::default() {
            positions.push((GATE_NAME.to_owned(), moved));
        }
        let of_run = [
            (CLOCK_NAME, self.event_clock.take_moved()),
            (DEFERRED_NAME, self.held.take_moved()),
            (EVALUATED_NAME, self.evaluated.take_moved()),
        ];
        for (name, moved) in of_run {
            if moved != Positions::default() {
                positions.push((name.to_owned(), moved));
            }
        }
        let commit = Commit {
            tick: self.ticks,
            committed_at: learnt_at,
            rows,
            late: late.into(),
            restarted: refused.restarted,
            rewound: refused.rewound,
            settled: refused.settled,
            rejects: refused.rejects,
            rollups: rollups.into_iter().collect(),
            findings: publication.findings,
            removed: publication.removed,
            derived: publication.derived,
            positions,
        };
        self.announcer.note(&commit.findings, &commit.removed);
        enter("commit");
        self.ticks += 1;
        self.acknowledgements.begun();
        self.commits.begin(commit).await?;
        if !self.commits.is_at_work() {
            self.tell_committed();
        }
        let used_bytes = self.memory.used_bytes();
        self.instruments.memory(used_bytes, self.memory.limit_bytes);
        if let Some(Err(outgrown)) = used_bytes.map(|used_bytes| self.memory.check_used(used_bytes)) {
            // rows read so far are stored first, so that each start makes progress
            self.committed().await?;
            return Err(outgrown.into());
        }
        Ok(())
    }

    /// Judges deployments that are due by what is stored, and notes what the rows of this tick make due. Only a tick that
    /// reads the store for it waits for the commit in progress.
    async fn keep_impacts(
        &mut self,
        publication: &mut Publication,
        (rows, late): (&Rows, &Rows),
    ) -> Result<(), RunError> {
        let reader = Arc::clone(&self.reader);
        let is_due = self.is_draining || (!self.judges_at_end && self.judge_pace.is_due(Instant::now()));
        let judges_now = is_due && self.judged_max > 0;
        if judges_now || self.impacts.reads_to_follow(&publication.derived) {
            self.committed().await?;
        }
        self.impacts.follow(&mut publication.derived, reader.as_ref()).await?;
        if judges_now && !self.impacts.is_empty() {
            let began = Instant::now();
            self.judge_pace.asked();
            let now = self.event_clock.now().filter(|_| self.is_live).map(|newest| newest.min(self.clock.now()));
            self.impacts.keep_metrics_from(now.map(|now| now - self.retention.metrics_ms));
            self.impacts.keep_events_from(now.map(|now| now - self.retention.events_ms));
            match self.impacts.judge(self.judged_max, reader.as_ref()).await {
                Ok(changes) => publication.derived.extend(changes),
                // what is due stays so
                Err(error) if error.class == FaultClass::Retry => {
                    tracing::warn!(%error, "impacts of deployments stay as they are until the next judgement");
                }
                Err(error) => return Err(error.into()),
            }
            self.judge_pace.evaluated(Instant::now(), began.elapsed());
        }
        self.impacts.note(rows);
        self.impacts.note_late(late);
        if self.impacts.is_behind() {
            self.judge_pace.mark_dirty();
        }
        if !self.impacts.is_empty() || self.evaluated.text(DUE).is_some() {
            self.impacts.state().into_iter().for_each(|(part, text)| self.evaluated.set(part, text));
        }
        Ok(())
    }

    /// Hands the rows of a tick to the engine. The last tick of a run waits for the answer to all rows; any other tick
    /// only for room, while the commit in progress continues.
    async fn feed_engine(&mut self, rows: &Arc<Rows>, bytes: usize, order: Option<Evaluate>) -> Result<(), RunError> {
        if let Err(refused) = self.metric_plan.take(&rows.metrics) {
            // rows read so far are stored first, so that the message is about what is stored
            self.committed().await?;
            return Err(refused.into());
        }
        // a newer version may lie so far back that the engine has forgotten it: the store has not
        let now = order.and_then(|order| order.events_now);
        let newer = Arc::new(self.commits.newer_events(&rows.events, now).await?);
        let for_engine = TickRows { rows: Arc::clone(rows), newer, ..TickRows::default() };
        while !self.engine.has_room(self.tick_bytes_max) {
            self.next_answer().await?;
        }
        self.engine.submit(for_engine, order, bytes)?;
        self.show_engine();
        if order.is_some() {
            self.pace.asked();
            self.asked_at = Some(Instant::now());
        }
        let waits = self.is_draining || self.is_in_turns;
        while waits && self.engine.is_at_work() {
            self.next_answer().await?;
        }
        Ok(())
    }

    /// Waits for the engine's next answer; meanwhile the commit in progress continues.
    async fn next_answer(&mut self) -> Result<(), RunError> {
        let answer = async { self.engine.answer().await.map_err(RunError::from) };
        let stored = async { self.commits.ended().await.map_err(RunError::from) };
        let (answer, ()) = tokio::try_join!(answer, stored)?;
        if let Some(answer) = answer {
            self.take_answer(answer);
        }
        Ok(())
    }

    /// Notes what an evaluation has changed; the next commit takes it.
    pub(super) fn take_answer(&mut self, answer: Answer) {
        let outcome = answer.outcome;
        self.show_engine();
        self.events_tested = outcome.events_tested.or(self.events_tested);
        self.metrics_tested = outcome.metrics_tested.or(self.metrics_tested);
        let pairs = |tested: Option<Tested>| tested.map(|tested| tested.pairs);
        self.instruments.tested(pairs(outcome.events_tested), pairs(outcome.metrics_tested));
        let mut derived = outcome.derived;
        if let Some(order) = answer.evaluated {
            if let Some(timeline) = self.timeline.take() {
                derived = timeline.corrections(derived);
            }
            // without a time of events nothing is predicted
            if let Some(foretold) = self.foretold.take_if(|_| order.events_now.is_some()) {
                derived = foretold.corrections(derived, order.events_now);
            }
            if order.metrics_now.is_some() {
                derived = self.derived_events.corrections(derived);
            }
        }
        self.answered.derived.extend(derived);
        if let Some(order) = answer.evaluated {
            self.evaluated.note(order, self.derives);
            let waited = self.asked_at.take().map_or(answer.took, |asked_at| asked_at.elapsed());
            self.instruments.evaluated(order, waited, self.clock.now());
            self.pace.evaluated(Instant::now(), answer.took);
            if self.metric_plan.is_streamed() && order.metrics_now.is_some() {
                let took = format_duration_ms(i64::try_from(answer.took.as_millis()).unwrap_or(i64::MAX));
                tracing::info!(%took, "the pairs of metric series were looked at tile by tile");
            }
            self.revisions.note(&outcome.findings, order);
            let publication = self.published.apply(outcome.findings);
            self.revisions.publish(&publication);
            self.answered.follow(publication);
        }
    }

    fn show_engine(&self) {
        let (ticks, bytes) = self.engine.waiting();
        self.instruments.engine_ticks(ticks);
        self.instruments.waiting(Stage::Engine, bytes);
    }

    /// Waits until every tick that has been cut is stored.
    pub(super) async fn committed(&mut self) -> Result<(), RunError> {
        self.commits.ended().await?;
        self.tell_committed();
        Ok(())
    }

    pub(super) fn tell_committed(&mut self) {
        let count = |state| self.published.count(state);
        self.instruments.patterns(count(PatternState::Confirmed), count(PatternState::Candidate));
        self.announcer.publish();
        self.acknowledgements.stored();
        self.watch.send_replace(self.instruments.progress());
    }

    /// Deletes some expired rows; returns whether there are more. Age counts from the newest rows that several colonies
    /// share, never from a clock that may be ahead of all of them.
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
        if pruned.rows.contains_key("federated_metrics") {
            self.impacts.note_deleted();
        }
        for (table, rows) in &pruned.rows {
            self.instruments.deleted(table, *rows);
        }
        self.impacts.forget_before(now - self.retention.deployments_ms);
        self.retention_pace.pruned(Instant::now(), pruned.is_partial);
        Ok(pruned.is_partial)
    }
}
