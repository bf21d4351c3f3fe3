//! Run: from a checked configuration to a finished run: restore, take in, tick, correlate, commit, drain.
//!
//! ```text
//! sources ──(bounded queue)── pending rows ── lateness gate ── engine ── commit: rows + findings + positions
//! ```
//! 1. One tick is one commit: the rows, what the engine made of them, and the positions they were read up to.
//! 2. A tick is cut when enough rows wait or the oldest has waited long enough; `pace` says when it evaluates.
//! 3. While a tick is written the next one is taken in; it is written after it (`commits`).
//! 4. The last tick of a run always evaluates, so that the store holds what all rows together say.

use crate::clock::{CLOCK_NAME, EventClock};
use crate::cluster::alarm::ClusterError;
use crate::commits::Commits;
use crate::config::ReefConfig;
use crate::desk::Desk;
use crate::engine::{Engine, EngineError, TickOutcome, TickRows};
use crate::fast::FastClocks;
use crate::held::{HELD_NAME, HeldBack};
use crate::inputs::{self, InputError};
use crate::intake::{Delivery, Intake};
use crate::memory::{Memory, Outgrown};
use crate::outside::{self, OutsideRows};
use crate::pace::EvaluatePace;
use crate::params;
use crate::progress::{Ended, Phase, Progress, Reach, RunSummary};
use crate::published::{Publication, Published};
use crate::refused::Refused;
use crate::restore::restore;
use crate::retention::{self, RetentionPace};
use crate::store;
use model::clock::SharedClock;
use model::pattern::PatternState;
use model::position::Positions;
use model::reject::Reject;
use model::rows::{RollupKey, Rows};
use sinks::error::FaultClass;
use sinks::retention::{Pruned, Retention};
use sinks::{Commit, SinkError, Store};
use sources::lateness::{GATE_NAME, LatenessGate, Origin};
use sources::{InputReport, Source, SourceError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a commit under way may hold up the message of a run that has failed meanwhile.
const COMMIT_AFTER_FAILURE_MAX: Duration = Duration::from_secs(5);

/// How a caller watches and stops a run, and by which clock it goes.
pub struct RunOptions {
    /// Receives a snapshot after each tick and each batch.
    pub progress: watch::Sender<Progress>,
    /// Turns true when the run shall drain and end.
    pub shutdown: watch::Receiver<bool>,
    /// The time of day: by it rows are judged, commits are dated, and rows expire.
    pub clock: SharedClock,
}

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration asks for something that cannot be built.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] SinkError),
    /// A source cannot go on.
    #[error("source {source_name} cannot go on")]
    Source {
        /// Which source.
        source_name: String,
        /// Why.
        #[source]
        cause: SourceError,
    },
    /// A source task panicked: a bug.
    #[error("a source failed: {panic}; this is a bug, please report it with this text")]
    SourcePanicked {
        /// The panic's message.
        panic: String,
    },
    /// The dataflow cannot go on.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is too little memory.
    #[error(transparent)]
    Memory(#[from] Outgrown),
    /// The processes of a cluster cannot run together, or not any longer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// Runs a reef until its input ends or it is asked to stop.
pub async fn run(config: &ReefConfig, options: RunOptions) -> Result<RunSummary, RunError> {
    run_with_desk(config, options, Desk::default()).await
}

/// The same with a desk at which others may look into its store and hear news.
pub async fn run_with_desk(config: &ReefConfig, options: RunOptions, desk: Desk) -> Result<RunSummary, RunError> {
    enter("open");
    let mut store = store::open(config).await?;
    let positions = store.positions().await?;
    let sources = inputs::build(config, &positions, &options.clock)?;
    let engine = Engine::start(params::from_config(config), config.engine.workers)?;
    let (summary, store) = drive_on(config, engine, store, sources, (options, desk)).await?;
    enter("close");
    store.close().await?;
    enter("closed");
    Ok(summary)
}

/// Says in the log what the run does next; `RUST_LOG=coral_pipelines=debug` shows it. Tests that stop a run at any moment
/// aim by these lines.
fn enter(phase: &'static str) {
    tracing::debug!(phase, "the run enters a phase");
}

/// Feeds `sources` through the engine into `store` until they end or the run is asked to stop. Live run, replay and
/// backfill are this one loop; they differ in sources and store only.
pub async fn drive(
    config: &ReefConfig,
    store: Box<dyn Store>,
    sources: Vec<Box<dyn Source>>,
    options: RunOptions,
) -> Result<(RunSummary, Box<dyn Store>), RunError> {
    let engine = Engine::start(params::from_config(config), config.engine.workers)?;
    drive_on(config, engine, store, sources, (options, Desk::default())).await
}

/// The same for recorded rows: they say nothing of how far the live sources have been judged, so the gate's state stays
/// as it is in the store, and nothing is deleted.
pub(crate) async fn drive_recorded(
    config: &ReefConfig,
    store: Box<dyn Store>,
    sources: Vec<Box<dyn Source>>,
    options: RunOptions,
) -> Result<(RunSummary, Box<dyn Store>), RunError> {
    let engine = Engine::start(params::from_config(config), config.engine.workers)?;
    let started = Instant::now();
    enter("restore");
    let mut run = Running::restore(config, engine, store, &options).await?;
    run.is_live = false;
    run.until_the_end(config, sources, &options, started).await
}

/// The same on an engine that is started already, and whose workers may be those of several processes; with a desk.
pub(crate) async fn drive_on(
    config: &ReefConfig,
    engine: Engine,
    store: Box<dyn Store>,
    sources: Vec<Box<dyn Source>>,
    (options, desk): (RunOptions, Desk),
) -> Result<(RunSummary, Box<dyn Store>), RunError> {
    let started = Instant::now();
    enter("restore");
    let mut run = Running::restore(config, engine, store, &options).await?;
    run.open_desk(desk).await?;
    run.until_the_end(config, sources, &options, started).await
}

/// What has been delivered and waits for the next tick.
#[derive(Default)]
struct Pending {
    rows: Rows,
    late: Rows,
    refused: Refused,
    positions: BTreeMap<String, Positions>,
    /// Memory of the rows, refused ones included.
    bytes: usize,
    since: Option<Instant>,
}

impl Pending {
    /// Rows, refused ones included: refusing a row costs about what storing it does.
    fn len(&self) -> usize {
        self.rows.len() + self.late.len() + self.refused.rejects.len()
    }
}

struct Running {
    commits: Commits,
    engine: Engine,
    gate: LatenessGate,
    clock: SharedClock,
    event_clock: EventClock,
    held: HeldBack,
    fast: FastClocks,
    correlates: bool,
    /// Not a replay: the gate's state is committed, and what is too old is deleted.
    is_live: bool,
    retention: Retention,
    retention_pace: RetentionPace,
    published: Published,
    desk: Desk,
    pace: EvaluatePace,
    pending: Pending,
    tick_rows_max: usize,
    tick_bytes_max: usize,
    memory: Memory,
    tick_interval: Duration,
    ticks: u64,
    expected_colonies: u64,
    reach: Reach,
    progress: Progress,
    watch: watch::Sender<Progress>,
    rejects_by_reason: BTreeMap<String, u64>,
    inputs: InputReport,
    /// Rows deleted for their age, by table.
    deleted: BTreeMap<String, u64>,
    event_pairs_tested: u64,
    metric_pairs_tested: u64,
}

impl Running {
    async fn restore(
        config: &ReefConfig,
        mut engine: Engine,
        mut store: Box<dyn Store>,
        options: &RunOptions,
    ) -> Result<Running, RunError> {
        let params = params::from_config(config);
        let memory = Memory::of(config.engine.memory_limit_bytes);
        let (events, metrics) = store.watermarks().await?;
        let positions = store.positions().await?;
        // no position at all: what rows there are, a first commit has left that was cut off
        let (events, metrics) = if positions.is_empty() { Default::default() } else { (events, metrics) };
        let event_clock = EventClock::of_store(&params, &positions, (&events, &metrics));
        let mut gate = LatenessGate::new(config.collection.allowed_lateness_ms, events, metrics);
        if let Some(committed) = positions.get(GATE_NAME) {
            gate = gate.resume(committed);
        }
        let mut published = Published::default();
        let mut pace = EvaluatePace::new(Instant::now());
        if params.correlate {
            if restore(store.as_mut(), &mut engine, &params, &event_clock, &memory).await? > 0 {
                pace.mark_dirty();
            }
            published = Published::inherit(store.published().await?);
        }
        let may_have_newer = store.may_have_newer_events().await?;
        let expected_colonies = config.colonies.len() as u64;
        let progress = Progress {
            phase: Phase::Running,
            event_time: event_clock.newest(),
            colonies: (0, expected_colonies),
            ..Progress::default()
        };
        options.progress.send_replace(progress.clone());
        Ok(Running {
            commits: Commits::new(store, options.shutdown.clone(), may_have_newer),
            engine,
            gate,
            clock: options.clock.clone(),
            event_clock,
            held: HeldBack::of_store(&positions),
            fast: FastClocks::default(),
            correlates: params.correlate,
            is_live: true,
            retention: retention::of(config),
            retention_pace: RetentionPace::new(Instant::now()),
            published,
            desk: Desk::default(),
            pace,
            pending: Pending::default(),
            tick_rows_max: config.engine.tick_rows_max,
            tick_bytes_max: memory.tick_bytes_max(),
            memory,
            tick_interval: Duration::from_millis(config.engine.tick_interval_ms.unsigned_abs()),
            ticks: 0,
            expected_colonies,
            reach: Reach::default(),
            progress,
            watch: options.progress.clone(),
            rejects_by_reason: BTreeMap::new(),
            inputs: InputReport::default(),
            deleted: BTreeMap::new(),
            event_pairs_tested: 0,
            metric_pairs_tested: 0,
        })
    }

    /// Lets visitors in; what is confirmed already is no news to them.
    async fn open_desk(&mut self, mut desk: Desk) -> Result<(), RunError> {
        desk.learn(self.commits.store().await?).await?;
        self.desk = desk;
        Ok(())
    }

    /// Takes in everything, drains, and says what was done.
    async fn until_the_end(
        mut self,
        config: &ReefConfig,
        sources: Vec<Box<dyn Source>>,
        options: &RunOptions,
        started: Instant,
    ) -> Result<(RunSummary, Box<dyn Store>), RunError> {
        let mut intake = Intake::start(sources, &options.shutdown, self.memory.queue_bytes_max());
        let failure = self.take_in_and_drain(&mut intake, &options.shutdown).await;
        let failure = match failure {
            Ok(failure) => failure,
            Err(error) => {
                // what is under way may end, but the pauses between its tries shall not hold the message up
                let _ = tokio::time::timeout(COMMIT_AFTER_FAILURE_MAX, self.commits.ended()).await;
                return Err(error);
            }
        };
        self.committed().await?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let Some(panic) = intake.panic().await {
            return Err(RunError::SourcePanicked { panic });
        }
        let ended = if intake.is_complete() { Ended::InputFinished } else { Ended::Stopped };
        // a reef whose runs are short has no other time for it; all rows are stored whatever becomes of it
        while self.is_live && !*options.shutdown.borrow() && self.prune_slice().await? {}
        let has_none = self.progress.confirmed + self.progress.candidates == 0;
        let is_empty = has_none && !*options.shutdown.borrow();
        let outside = match self.is_live && self.correlates {
            true => outside::count(config, self.commits.store().await?, &self.event_clock, is_empty).await?,
            false => OutsideRows::default(),
        };
        let summary = RunSummary {
            ended,
            outside,
            progress: self.progress,
            rejects_by_reason: self.rejects_by_reason,
            outcome: self.commits.outcome().into(),
            inputs: self.inputs,
            held: self.held.rows(self.clock.now()),
            deleted: self.deleted,
            event_pairs_tested: self.event_pairs_tested,
            metric_pairs_tested: self.metric_pairs_tested,
            unreachable: self.reach.into_unreachable(),
            elapsed_ms: started.elapsed().as_millis() as u64,
            store: store::describe(config),
        };
        Ok((summary, self.commits.into_store().await?))
    }

    /// Takes in everything that comes, and cuts the last tick. The answer is why a source cannot go on.
    async fn take_in_and_drain(
        &mut self,
        intake: &mut Intake,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<Option<RunError>, RunError> {
        let failure = self.take_in(intake, shutdown).await?;
        intake.stop();
        self.progress.phase = Phase::Draining;
        self.tick(true).await?;
        Ok(failure)
    }

    /// Takes in deliveries and cuts ticks until every source has ended, one has failed, or the run is asked to stop. What
    /// then still waits in the queue is read again by the next run: its positions have not been committed.
    async fn take_in(
        &mut self,
        intake: &mut Intake,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<Option<RunError>, RunError> {
        let mut stop = shutdown.clone();
        loop {
            if !self.commits.is_at_work() {
                enter("read");
            }
            let wake_at = self.wake_at();
            let next = async {
                match wake_at {
                    Some(at) => tokio::time::timeout_at(at.into(), intake.next()).await.ok(),
                    None => Some(intake.next().await),
                }
            };
            let delivery = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(None),
                stored = self.commits.ended(), if self.commits.is_at_work() => {
                    stored?;
                    self.tell_committed();
                    continue;
                }
                look = self.desk.next_look() => Err(look),
                delivery = next => Ok(delivery),
            };
            let delivery = match delivery {
                Ok(delivery) => delivery,
                Err(look) => {
                    self.committed().await?;
                    look(self.commits.store().await?).await;
                    continue;
                }
            };
            match delivery {
                Some(None) => return Ok(None),
                Some(Some(Delivery::Failed { source, error })) => {
                    return Ok(Some(RunError::Source { source_name: source, cause: error }));
                }
                Some(Some(Delivery::Batch { source, is_finite, batch, number, outage, .. })) => {
                    (self.progress.bytes, self.progress.rows) = (intake.bytes(), intake.rows());
                    self.reach.observe_source(number, &source, outage);
                    self.take_batch(source, is_finite, *batch);
                }
                Some(Some(Delivery::Finished)) | None => {}
            }
            let now = Instant::now();
            let waited = self.pending.since.is_some_and(|since| now >= since + self.tick_interval);
            let is_full = self.pending.len() >= self.tick_rows_max || self.pending.bytes >= self.tick_bytes_max;
            let evaluate = self.pace.is_due(now);
            if waited || is_full || (evaluate && self.pending.since.is_none()) {
                self.tick(evaluate).await?;
            }
            if self.is_live && self.retention_pace.is_due(now) {
                self.prune_slice().await?;
            }
        }
    }

    /// Deletes some of what is too old; says whether there is more. Age is counted from the newest rows that several
    /// colonies share, never from a clock that may be ahead of all of them.
    async fn prune_slice(&mut self) -> Result<bool, RunError> {
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

    /// When there is something to do even if nothing is delivered.
    fn wake_at(&self) -> Option<Instant> {
        // while a tick is open its end is waited for, also by an evaluation that is due
        let tick = self.pending.since.map(|since| since + self.tick_interval).or(self.pace.due_at());
        tick.into_iter().chain(self.is_live.then(|| self.retention_pace.due_at())).min()
    }

    fn take_batch(&mut self, source: String, is_finite: bool, mut batch: sources::Batch) {
        self.inputs.absorb(std::mem::take(&mut batch.report));
        if !batch.is_to_be_committed() {
            return;
        }
        if self.is_live {
            self.held.observe(&source, &batch, self.clock.now());
            self.fast.observe(&batch.rows, self.clock.now(), &mut self.inputs);
        }
        let mut rows = batch.rows;
        self.progress.events += rows.events.len() as u64;
        self.progress.metrics += rows.metrics.len() as u64;
        self.progress.rejects += batch.rejects.len() as u64;
        for reject in &batch.rejects {
            *self.rejects_by_reason.entry(reject.reason.as_str().to_owned()).or_default() += 1;
        }
        let origin = Origin { source: &source, is_finite, arrival: batch.arrival, now: self.clock.now() };
        let late = self.gate.split_late(&mut rows, origin);
        self.progress.late += late.len() as u64;
        self.note_late(&late);
        self.event_clock.observe(&rows);
        self.progress.event_time = self.event_clock.newest();
        self.reach.observe(&rows.colonies);
        self.progress.colonies = (self.reach.answering(), self.expected_colonies);
        if !rows.events.is_empty() || !rows.metrics.is_empty() {
            self.pace.mark_dirty();
        }
        let pending = &mut self.pending;
        pending.since.get_or_insert_with(Instant::now);
        let refused: usize = batch.rejects.iter().map(Reject::bytes).sum();
        pending.bytes += rows.bytes() + late.bytes() + refused;
        pending.rows.append(rows);
        pending.late.append(late);
        pending.refused.take(&source, batch.restarted, batch.settled, batch.rejects);
        pending.positions.entry(source).or_default().advance(batch.positions);
        self.watch.send_replace(self.progress.clone());
    }

    /// Remembers where late rows begin; says at the first ones what makes them count.
    fn note_late(&mut self, late: &Rows) {
        let events = late.events.iter().map(|row| row.timestamp);
        let Some(earliest) = events.chain(late.metrics.iter().map(|row| row.timestamp)).min() else { return };
        let late_from = &mut self.progress.late_from;
        if late_from.is_none() {
            tracing::warn!(
                %earliest,
                rows = late.len(),
                "rows came too late to be correlated (collection.allowed_lateness); they are stored, and `coral-pipeline \
                 backfill CONFIG --from TIME` makes them count"
            );
        }
        *late_from = Some(late_from.map_or(earliest, |known| known.min(earliest)));
    }

    /// Closes the tick: the engine takes the rows, the store begins to write everything.
    async fn tick(&mut self, evaluate: bool) -> Result<(), RunError> {
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
            TickOutcome { rollups: RollupKey::touched(&rows.metrics).into_iter().collect(), ..TickOutcome::default() }
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
        let mut rollups: BTreeSet<RollupKey> = outcome.rollups.into_iter().collect();
        rollups.extend(late.metrics.iter().map(RollupKey::of));
        let mut positions: Vec<(String, Positions)> = positions.into_iter().collect();
        let moved = self.gate.take_moved();
        if self.is_live && moved != Positions::default() {
            positions.push((GATE_NAME.to_owned(), moved));
        }
        for (name, moved) in [(CLOCK_NAME, self.event_clock.take_moved()), (HELD_NAME, self.held.take_moved())] {
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
            settled: refused.settled,
            rejects: refused.rejects,
            rollups: rollups.into_iter().collect(),
            findings: publication.findings,
            removed: publication.removed,
            positions,
        };
        self.committed().await?;
        self.desk.note(&commit.findings, &commit.removed);
        enter("commit");
        self.ticks += 1;
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
    async fn committed(&mut self) -> Result<(), RunError> {
        self.commits.ended().await?;
        self.tell_committed();
        Ok(())
    }

    fn tell_committed(&mut self) {
        self.progress.ticks = self.ticks;
        self.progress.confirmed = self.published.count(PatternState::Confirmed);
        self.progress.candidates = self.published.count(PatternState::Candidate);
        self.desk.tell();
        self.watch.send_replace(self.progress.clone());
    }
}
