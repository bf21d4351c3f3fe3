//! Running: the state of a run and its loop: read until the end, drain, summarise.

use super::RunOptions;
use super::acknowledge::Acknowledgements;
use super::amended::{Amended, KNOWN_MAX};
use super::analyses::Recorded;
use super::clock_skew::ClockSkew;
use super::commits::Commits;
use super::derived_events::StoredDerivedEvents;
use super::foretold::StoredPredictions;
use super::handle::Announcer;
use super::impacts::Impacts;
use super::intake::{Delivery, Intake};
use super::lookback;
use super::pace::EvaluatePace;
use super::pending_rejects::{PendingRejects, TakenBack};
use super::predicted::PredictionRevisions;
use super::published::{Publication, Published};
use super::restore::restore;
use super::retention::RetentionPace;
use super::revisions::Revisions;
use super::timeline::StoredTimeline;
use super::unconfirmed::{self, Silent};
use crate::clock::EventClock;
use crate::config::ReefConfig;
use crate::deferred::Deferred;
use crate::engine::Engine;
use crate::error::RunError;
use crate::evaluated::Evaluated;
use crate::instruments::{Instruments, Stage};
use crate::memory::Memory;
use crate::metric_plan::MetricPlan;
use crate::open::{params, retention, store};
use crate::progress::{Ended, OutsideRows, Phase, Progress, Reach, RunSummary};
use model::clock::SharedClock;
use model::pattern::SignalKind;
use model::position::Positions;
use model::reject::Reject;
use model::rows::Rows;
use operators::tested::Tested;
use sinks::retention::Retention;
use sinks::{StoreReader, StoreWriter, Watermarks};
use sources::lateness::{GATE_NAME, LatenessGate, Origin};
use sources::{InputReport, Source};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a commit in progress may delay the error of a failed run.
const COMMIT_AFTER_FAILURE_MAX: Duration = Duration::from_secs(5);

/// Most deployments that are judged between two commits of a run that reads or was stopped.
const JUDGED_MAX: usize = 8;
/// Judging takes at most one part in this many of the time of a run that reads.
const JUDGED_SHARE: u32 = 40;
/// The same once all input is stored.
const JUDGED_AT_END_MAX: usize = 4_096;

/// Says in the log what the run does next; `RUST_LOG=coral_pipelines=debug` shows it. Tests that stop a run at any moment
/// aim by these lines.
pub(super) fn enter(phase: &'static str) {
    tracing::debug!(phase, "the run enters a phase");
}

/// Delivered rows that wait for the next tick.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) rows: Rows,
    pub(super) late: Rows,
    pub(super) refused: PendingRejects,
    pub(super) positions: BTreeMap<String, Positions>,
    /// Memory of the rows, refused ones included.
    pub(super) bytes: usize,
    pub(super) since: Option<Instant>,
}

impl Pending {
    /// Rows, refused ones included: refusing a row costs about what storing it does.
    fn len(&self) -> usize {
        self.rows.len() + self.late.len() + self.refused.rejects.len()
    }
}

/// A run between its start and its end.
pub(super) struct Running {
    pub(super) acknowledgements: Acknowledgements,
    pub(super) commits: Commits,
    pub(super) engine: Engine,
    pub(super) gate: LatenessGate,
    pub(super) clock: SharedClock,
    pub(super) event_clock: EventClock,
    pub(super) held: Deferred,
    pub(super) fast: ClockSkew,
    pub(super) correlates: bool,
    /// Not a replay: the gate's state is committed, and expired rows are deleted.
    pub(super) is_live: bool,
    /// Each tick waits for the engine's answer to it.
    pub(super) is_in_turns: bool,
    pub(super) retention: Retention,
    pub(super) retention_pace: RetentionPace,
    pub(super) published: Published,
    pub(super) revisions: Revisions,
    /// Questions in words that are not in the store yet.
    pub(super) recorded: Recorded,
    pub(super) predicted: PredictionRevisions,
    pub(super) announcer: Announcer,
    /// Reads the store that is written.
    pub(super) reader: Arc<dyn StoreReader>,
    pub(super) pace: EvaluatePace,
    /// What finished evaluations have changed and no commit has taken yet.
    pub(super) answered: Publication,
    /// The stored deployments, until the first evaluation has corrected them.
    pub(super) timeline: Option<StoredTimeline>,
    /// The stored predictions, likewise.
    pub(super) foretold: Option<StoredPredictions>,
    /// Whether derived events are looked for.
    pub(super) derives: bool,
    /// Whether impacts of deployments are stored.
    pub(super) judges: bool,
    /// The stored derived events, until the first evaluation has corrected them.
    pub(super) derived_events: StoredDerivedEvents,
    /// The impacts of deployments.
    pub(super) impacts: Impacts,
    /// When they are judged.
    pub(super) judge_pace: EvaluatePace,
    /// Whether that is once all rows are read: all input is finite, and who waits for a verdict waits for its end.
    pub(super) judges_at_end: bool,
    /// Most deployments that are judged before the next commit.
    pub(super) judged_max: usize,
    /// As of when those changes hold.
    pub(super) evaluated: Evaluated,
    /// What the last evaluation tested; `None` before the first that had anything to test.
    pub(super) events_tested: Option<Tested>,
    /// The same of metric series.
    pub(super) metrics_tested: Option<Tested>,
    pub(super) pending: Pending,
    pub(super) tick_rows_max: usize,
    pub(super) tick_bytes_max: usize,
    pub(super) memory: Memory,
    /// What metric pairs will take of it.
    pub(super) metric_plan: MetricPlan,
    pub(super) tick_interval: Duration,
    pub(super) ticks: u64,
    pub(super) expected_colonies: u64,
    pub(super) reach: Reach,
    /// Everything that is counted.
    pub(super) instruments: Instruments,
    pub(super) watch: watch::Sender<Progress>,
    /// Input has stopped.
    pub(super) is_draining: bool,
    /// When the evaluation that runs was asked for.
    pub(super) asked_at: Option<Instant>,
    pub(super) inputs: InputReport,
}

impl Running {
    pub(super) async fn restore(
        config: &ReefConfig,
        mut engine: Engine,
        mut store: Box<dyn StoreWriter>,
        options: &RunOptions,
        (mut announcer, is_resumed): (Announcer, bool),
    ) -> Result<Running, RunError> {
        let instruments = Instruments::of(&options.registry, &options.clock);
        instruments.started(options.clock.now());
        let params = params::from_config(config);
        let memory = Memory::of(config.engine.memory_limit_bytes);
        let reader = store.reader();
        // what is stored is whole up to the last commit: questions need not wait for the windows
        announcer.open(Arc::clone(&reader)).await?;
        let positions = reader.positions().await?;
        // no position at all: existing rows are from an interrupted first commit
        let marks = if positions.is_empty() { Watermarks::default() } else { reader.watermarks().await? };
        let event_clock = EventClock::of_store(&params, &positions, &marks);
        let evaluated = Evaluated::of_store(&positions);
        let newest_metrics = marks.metrics.clone();
        let mut gate = LatenessGate::new(config.collection.allowed_lateness_ms, marks.events, marks.metrics);
        if let Some(committed) = positions.get(GATE_NAME) {
            gate = gate.resume(committed);
        }
        let (mut published, mut revisions) = (Published::default(), Revisions::default());
        let mut predicted = PredictionRevisions::default();
        let mut pace = EvaluatePace::new(Instant::now());
        let correlates = config.correlation.enabled;
        let (mut timeline, mut foretold, mut derived_events) = (None, None, StoredDerivedEvents::default());
        let mut impacts = Impacts::default();
        let mut metric_plan = MetricPlan::of(config, &memory);
        if correlates {
            if let Some(plan) = metric_plan.text() {
                tracing::info!(%plan, "memory of metric pairs");
            }
            let clocks = (&event_clock, &evaluated, &newest_metrics);
            let kept = (&params, config.correlation.deployment_impact);
            let restored = restore(&reader, &mut engine, kept, clocks, (&memory, &mut metric_plan)).await?;
            if restored.rows > 0 {
                pace.mark_dirty();
            }
            (timeline, foretold) = (Some(restored.timeline), Some(restored.foretold));
            derived_events = restored.derived_events;
            published = Published::inherit(reader.published().await?);
            let revised = sinks::revisions::newest(reader.as_ref()).await?;
            revisions = Revisions::inherit(revised, reader.correlations().await?, is_resumed);
            predicted = PredictionRevisions::of_store(reader.as_ref()).await?;
            if config.correlation.deployment_impact {
                impacts = Impacts::of_store(reader.as_ref(), &config.metrics, &evaluated).await?;
            }
        }
        // without an engine nothing is queried
        let listed = if correlates { store.amended_events(KNOWN_MAX).await? } else { Some(Vec::new()) };
        let amended = Amended::of_store(listed, event_clock.events_now(), params.events.keep_ms());
        let expected_colonies = config.colonies.len() as u64;
        let held = Deferred::of_store(&positions, options.clock.now());
        instruments.phase(Phase::Running);
        instruments.event_time(event_clock.newest());
        instruments.colonies(0, expected_colonies);
        instruments.held(held.waiting());
        instruments.memory(memory.used_bytes(), memory.limit_bytes);
        options.progress.send_replace(instruments.progress());
        Ok(Running {
            acknowledgements: Acknowledgements::default(),
            commits: Commits::new(store, options.shutdown.clone(), instruments.clone(), amended),
            engine,
            gate,
            clock: options.clock.clone(),
            event_clock,
            held,
            fast: ClockSkew::default(),
            correlates,
            is_live: true,
            is_in_turns: false,
            retention: retention::of(config),
            retention_pace: RetentionPace::new(Instant::now()),
            published,
            revisions,
            recorded: Recorded::of(&config.ai.journal_file, Instant::now()),
            predicted,
            announcer,
            reader,
            pace,
            answered: Publication::default(),
            timeline,
            foretold,
            derives: params.derived_events,
            judges: config.correlation.deployment_impact,
            derived_events,
            impacts,
            judge_pace: EvaluatePace::with_share(Instant::now(), JUDGED_SHARE),
            judges_at_end: false,
            judged_max: JUDGED_MAX,
            evaluated,
            events_tested: None,
            metrics_tested: None,
            pending: Pending::default(),
            tick_rows_max: config.engine.tick_rows_max,
            tick_bytes_max: memory.tick_bytes_max(),
            memory,
            metric_plan,
            tick_interval: Duration::from_millis(config.engine.tick_interval_ms.unsigned_abs()),
            ticks: 0,
            expected_colonies,
            reach: Reach::default(),
            instruments,
            watch: options.progress.clone(),
            is_draining: false,
            asked_at: None,
            inputs: InputReport::default(),
        })
    }

    /// Reads everything, drains, and returns the summary.
    pub(super) async fn until_the_end(
        mut self,
        config: &ReefConfig,
        sources: Vec<Box<dyn Source>>,
        options: &RunOptions,
        started: Instant,
    ) -> Result<(RunSummary, Box<dyn StoreWriter>), RunError> {
        let queue_bytes_max = self.memory.queue_bytes_max();
        if sources.iter().any(|source| !source.is_finite()) {
            self.metric_plan.set_endless();
        }
        if self.is_live {
            let names: Vec<String> = sources.iter().map(|source| source.name().to_owned()).collect();
            self.held.ask(names, self.clock.now());
        }
        self.judges_at_end = sources.iter().all(|source| source.is_finite());
        let mut intake = Intake::start(sources, &options.shutdown, queue_bytes_max, &self.instruments);
        self.acknowledgements = intake.acknowledgements();
        let failure = self.take_in_and_drain(&mut intake, &options.shutdown).await;
        let failure = match failure {
            Ok(failure) => failure,
            Err(error) => {
                self.instruments.failed(&error);
                // the commit in progress may end, but its retry pauses must not delay the error
                let _ = tokio::time::timeout(COMMIT_AFTER_FAILURE_MAX, self.commits.ended()).await;
                return Err(error);
            }
        };
        self.committed().await?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        // everything is stored and acknowledged
        drop(std::mem::take(&mut self.acknowledgements));
        if let Some(panic) = intake.panic().await {
            let error = RunError::SourcePanicked { panic };
            self.instruments.failed(&error);
            return Err(error);
        }
        let ended = if intake.is_complete() { Ended::InputFinished } else { Ended::Stopped };
        // short runs have no other time for it; all rows are stored, whether it succeeds or not
        while self.is_live && !*options.shutdown.borrow() && self.prune_slice().await? {}
        self.measure_store().await;
        let progress = self.instruments.progress();
        let has_none = progress.confirmed + progress.candidates == 0;
        let is_empty = has_none && !*options.shutdown.borrow();
        let outside = match self.is_live && self.correlates {
            true => lookback::count(config, self.reader.as_ref(), &self.event_clock, is_empty).await?,
            false => OutsideRows::default(),
        };
        let (event_pairs_tested, metric_pairs_tested) = self.instruments.pairs_tested();
        let is_silent = |kind| self.correlates && !self.published.confirms(kind);
        let silent = Silent {
            events: self.events_tested.filter(|_| is_silent(SignalKind::Event)),
            metrics: self.metrics_tested.filter(|_| is_silent(SignalKind::Metric)),
            overtaken: self.event_clock.overtaken().filter(|_| is_silent(SignalKind::Event)),
        };
        let unconfirmed = unconfirmed::of_run(&params::from_config(config), silent, self.reader.as_ref()).await;
        let summary = RunSummary {
            ended,
            outside,
            progress,
            rejects_by_reason: self.instruments.rejects_by_reason(),
            outcome: self.instruments.outcome(),
            inputs: self.inputs,
            held: self.held.rows(self.clock.now()),
            deleted: self.instruments.deleted_by_table(),
            event_pairs_tested,
            metric_pairs_tested,
            unconfirmed,
            unreachable: self.reach.into_unreachable(),
            elapsed_ms: started.elapsed().as_millis() as u64,
            store: store::describe(config),
        };
        Ok((summary, self.commits.into_store().await?))
    }

    /// Reads everything, and cuts the last tick. Returns why a source cannot continue.
    async fn take_in_and_drain(
        &mut self,
        intake: &mut Intake,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<Option<RunError>, RunError> {
        let failure = self.take_in(intake, shutdown).await?;
        if self.is_live && failure.is_none() {
            if intake.is_complete() {
                self.held.forget_unread();
            }
            if !intake.has_panicked() {
                self.held.give_up(self.clock.now(), |source| self.reach.is_unreachable(source));
            }
        }
        intake.stop();
        self.is_draining = true;
        self.instruments.phase(Phase::Draining);
        // rows and positions first: which impacts are due is committed with them
        self.judged_max = 0;
        self.copy_analyses().await;
        self.tick(true).await?;
        self.judge_the_rest(failure.is_none(), shutdown).await?;
        Ok(failure)
    }

    /// Judges what is due once all rows are stored, with a commit after each part. A run that is stopped or has failed
    /// leaves most of it to the next one.
    async fn judge_the_rest(&mut self, is_read: bool, shutdown: &watch::Receiver<bool>) -> Result<(), RunError> {
        while self.impacts.is_behind() {
            let is_last = !is_read || *shutdown.borrow();
            self.judged_max = if is_last { JUDGED_MAX } else { JUDGED_AT_END_MAX };
            let before = self.impacts.backlog();
            self.tick(false).await?;
            // without progress the store does not answer: what is due stays so
            if is_last || self.impacts.backlog() >= before {
                break;
            }
        }
        Ok(())
    }

    /// Reads deliveries and cuts ticks until every source has ended, one has failed, or the run is stopped. Queued
    /// batches are then read again by the next run, because their positions have not been committed.
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
                    Some(at) => tokio::time::timeout_at(at, intake.next()).await.ok(),
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
                answer = self.engine.answer(), if self.engine.is_at_work() => {
                    if let Some(answer) = answer? {
                        self.take_answer(answer);
                    }
                    None
                }
                delivery = next => delivery,
            };
            match delivery {
                Some(None) => return Ok(None),
                Some(Some(Delivery::Failed { source, error })) => {
                    return Ok(Some(RunError::Source { source_name: source, cause: error }));
                }
                Some(Some(Delivery::Batch { source, is_finite, batch, number, outage, .. })) => {
                    self.instruments.input(intake.bytes(), intake.rows());
                    self.reach.observe_source(number, &source, outage);
                    self.instruments.unreachable(self.reach.unreachable());
                    self.acknowledgements.taken(number, &batch.positions);
                    self.take_batch(source, is_finite, *batch);
                }
                Some(Some(Delivery::Finished)) | None => {}
            }
            let now = Instant::now();
            if now >= self.recorded.due_at() {
                self.copy_analyses().await;
            }
            let waited = self.pending.since.is_some_and(|since| now >= since + self.tick_interval);
            let is_full = self.pending.len() >= self.tick_rows_max || self.pending.bytes >= self.tick_bytes_max;
            let evaluate = self.pace.is_due(now);
            let has_news = !self.answered.is_empty() && !self.commits.is_at_work();
            let judge = self.judge_due_at().is_some_and(|due_at| now >= due_at);
            if waited || is_full || has_news || ((evaluate || judge) && self.pending.since.is_none()) {
                self.tick(evaluate).await?;
            }
            if self.is_live && self.retention_pace.is_due(now) {
                self.prune_slice().await?;
            }
        }
    }

    /// When there is something to do even if nothing is delivered.
    fn wake_at(&self) -> Option<Instant> {
        // while a tick is open its end is waited for, also by an evaluation that is due
        let due = || self.pace.due_at().into_iter().chain(self.judge_due_at()).min();
        let tick = self.pending.since.map(|since| since + self.tick_interval).or_else(due);
        // an answer that came while a tick was written is committed once that is stored
        let answered = (!self.answered.is_empty() && !self.commits.is_at_work()).then(Instant::now);
        let of_clock = self.is_live.then(|| self.retention_pace.due_at().min(self.recorded.due_at()));
        tick.into_iter().chain(answered).chain(of_clock).min()
    }

    /// Notes questions in words that the store lacks; the next commit takes them. A replay has none of its own.
    async fn copy_analyses(&mut self) {
        if self.is_live {
            let keep_ms = self.retention.correlations_ms;
            let change = self.recorded.take(self.reader.as_ref(), self.clock.now(), keep_ms).await;
            self.answered.derived.extend(change);
        }
    }

    /// When impacts are to be judged: not while a commit is in progress.
    fn judge_due_at(&self) -> Option<Instant> {
        self.judge_pace.due_at().filter(|_| !self.judges_at_end && !self.commits.is_at_work())
    }

    fn take_batch(&mut self, source: String, is_finite: bool, mut batch: sources::Batch) {
        self.inputs.absorb(std::mem::take(&mut batch.report));
        if !batch.is_to_be_committed() {
            return;
        }
        if self.is_live {
            self.held.observe(&source, &batch, self.clock.now());
            self.instruments.held(self.held.waiting());
            self.fast.observe(&batch.rows, self.clock.now(), &mut self.inputs);
        }
        let mut rows = batch.rows;
        self.instruments.read(&source, &rows, &batch.rejects);
        let origin = Origin { source: &source, is_finite, arrival: batch.arrival, now: self.clock.now() };
        let late = self.gate.split_late(&mut rows, origin);
        self.note_late(&source, &rows, &late);
        self.event_clock.observe(&rows);
        self.instruments.event_time(self.event_clock.newest());
        self.reach.observe(&rows.colonies);
        self.instruments.colonies(self.reach.answering(), self.expected_colonies);
        self.instruments.unreachable(self.reach.unreachable());
        if !rows.events.is_empty() || !rows.metrics.is_empty() {
            self.pace.mark_dirty();
        }
        let pending = &mut self.pending;
        pending.since.get_or_insert_with(Instant::now);
        let refused: usize = batch.rejects.iter().map(Reject::bytes).sum();
        pending.bytes += rows.bytes() + late.bytes() + refused;
        pending.rows.append(rows);
        pending.late.append(late);
        let taken_back = TakenBack { restarted: batch.restarted, rewound: batch.rewound, settled: batch.settled };
        pending.refused.take(&source, taken_back, batch.rejects);
        pending.positions.entry(source).or_default().advance(batch.positions);
        self.instruments.waiting(Stage::Tick, self.pending.bytes);
        self.watch.send_replace(self.instruments.progress());
    }

    /// Counts late rows; says at the first ones what makes them count.
    fn note_late(&mut self, source: &str, on_time: &Rows, late: &Rows) {
        let had_late = self.instruments.late_from().is_some();
        self.instruments.judged(source, on_time, late);
        if let Some(earliest) = self.instruments.late_from().filter(|_| !had_late) {
            tracing::warn!(
                %earliest,
                rows = late.len(),
                "rows came too late to be correlated (collection.allowed_lateness); they are stored, and `coral-pipeline \
                 backfill CONFIG --from TIME` makes them count"
            );
        }
    }

    /// Counts what the store holds. Nothing depends on it: a store that does not answer costs no run.
    async fn measure_store(&mut self) {
        if let Err(error) = self.instruments.store().measure(self.reader.as_ref()).await {
            tracing::warn!(%error, "the rows of the store are not counted");
        }
    }
}
