//! Instruments of a run: everything that it counts. Progress, the summary and `/metrics` read them, and count nothing.

use crate::deferred::Waiting;
use crate::error::{EngineError, RunError};
use crate::progress::{Phase, Progress, RowOutcome};
use foldhash::fast::RandomState as FastHash;
use model::clock::SharedClock;
use model::instruments::{Counter, Durations, Family, Gauge, Moment, Registry};
use model::reject::Reject;
use model::rows::Rows;
use model::time::TimeMs;
use operators::dataflow::Evaluate;
use sinks::{Commit, Outcome, SinkError, StoreReader};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Kinds of rows, as labels.
const EVENTS: &str = "events";
const METRICS: &str = "metrics";

/// Where rows wait, as labels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// Delivered by sources.
    Intake,
    /// In the tick that is being filled.
    Tick,
    /// Before the workers.
    Engine,
}

/// The instruments of a run. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    started: Moment,
    phase: Gauge,
    /// By kind, kind of source, colony.
    rows: Family<Counter>,
    /// By reason, kind of source.
    rejects: Family<Counter>,
    /// By kind, kind of source.
    late: Family<Counter>,
    late_from: Moment,
    /// By source.
    newest: Family<Moment>,
    event_time: Moment,
    input_bytes: (Gauge, Gauge),
    input_rows: (Gauge, Gauge),
    queues: [Gauge; 3],
    engine_ticks: Gauge,
    ticks: Counter,
    commits: Durations,
    commit_retries: Counter,
    committed: Family<Counter>,
    not_applied: Family<Counter>,
    deleted: Family<Counter>,
    evaluations: Durations,
    evaluated: Family<Moment>,
    answered: Family<Moment>,
    pairs: Family<Gauge>,
    patterns: Family<Gauge>,
    colonies: (Gauge, Gauge),
    unreachable: Gauge,
    held: (Gauge, Gauge),
    store: StoreInstruments,
    memory: (Gauge, Gauge),
    panics: Family<Counter>,
}

impl Instruments {
    /// The instruments of this registry.
    pub(crate) fn of(registry: &Registry, clock: &SharedClock) -> Instruments {
        let newest =
            registry.moments("source_event_timestamp_seconds", "Newest event time on time of a source", &["source"]);
        registry.ages("source_lag_seconds", "How far a source's newest event time is behind the clock", &newest, clock);
        let answered = registry.moments(
            "evaluation_timestamp_seconds",
            "When the evaluation behind the newest patterns ended",
            &[],
        );
        registry.ages("evaluation_age_seconds", "How long ago that was", &answered, clock);
        let queues = registry.gauges("queue_bytes", "Memory of rows that wait, by stage", &["stage"]);
        let stages = ["intake", "tick", "engine"];
        Instruments {
            started: registry.moment("start_timestamp_seconds", "When the run began"),
            phase: registry.gauge("phase", "0 restoring, 1 running, 2 draining"),
            rows: registry.counters("rows", "Rows read, repeats included", &["kind", "source", "colony"]),
            rejects: registry.counters("rejects", "Rows refused", &["reason", "source"]),
            late: registry.counters("late_rows", "Rows beyond the allowed lateness", &["kind", "source"]),
            late_from: registry.moment("late_rows_from_timestamp_seconds", "Earliest event time of a late row"),
            newest,
            event_time: registry.moment("event_timestamp_seconds", "Greatest event time reached"),
            input_bytes: (
                registry.gauge("input_read_bytes", "Bytes read of finite input"),
                registry.gauge("input_bytes", "Bytes of finite input"),
            ),
            input_rows: (
                registry.gauge("input_read_rows", "Rows read of recorded input"),
                registry.gauge("input_rows", "Rows of recorded input"),
            ),
            queues: stages.map(|stage| queues.with(&[stage])),
            engine_ticks: registry.gauge("engine_ticks_waiting", "Ticks before the workers"),
            ticks: registry.counter("ticks", "Ticks stored"),
            commits: registry.durations("commit_duration_seconds", "Commits, retries included"),
            commit_retries: registry.counter("commit_retries", "Commits and look-ups tried again after a fault"),
            committed: registry.counters("committed_rows", "Rows handed to the store and stored", &["kind"]),
            not_applied: registry.counters("rows_not_applied", "Rows that lost against stored ones", &["reason"]),
            deleted: registry.counters("deleted_rows", "Rows deleted because their retention was over", &["table"]),
            evaluations: registry.durations("evaluation_duration_seconds", "Evaluations, from request to answer"),
            evaluated: registry.moments(
                "evaluated_timestamp_seconds",
                "Event time that the newest patterns stand for",
                &["kind"],
            ),
            answered,
            pairs: registry.gauges("pairs_tested", "Pairs tested at the last evaluation", &["kind"]),
            patterns: registry.gauges("patterns", "Patterns by state", &["state"]),
            colonies: (
                registry.gauge("colonies_answering", "Colonies that respond"),
                registry.gauge("colonies", "Colonies of the configuration"),
            ),
            unreachable: registry.gauge("sources_unreachable", "Colonies and other sources that cannot be reached"),
            held: (
                registry.gauge("held_back_positions", "Positions before rows that are ahead of the clock"),
                registry.gauge("held_back_rows", "Rows that are ahead of the clock and are read again later"),
            ),
            store: StoreInstruments::of(registry),
            memory: (
                registry.gauge("memory_used_bytes", "Memory that the process uses"),
                registry.gauge("memory_limit_bytes", "Memory that it plans with"),
            ),
            panics: registry.counters("panics", "Panics of workers and sources; each ends the run", &["component"]),
        }
    }

    /// The run begins.
    pub(crate) fn started(&self, now: TimeMs) {
        self.started.set(now);
        self.phase(Phase::Restoring);
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.phase.set(match phase {
            Phase::Restoring => 0,
            Phase::Running => 1,
            Phase::Draining => 2,
        });
    }

    /// What a source has delivered.
    pub(crate) fn read(&self, source: &str, rows: &Rows, rejects: &[Reject]) {
        let kind_of_source = kind_of(source);
        let events = rows.events.iter().map(|row| (&*row.colony_id, 1));
        let metrics = rows.metrics.chunks().iter().flat_map(|chunk| chunk.series());
        let metrics = metrics.map(|series| (&*series.series().key.colony_id, 1));
        for (kind, colonies) in [(EVENTS, by_name(events)), (METRICS, by_name(metrics))] {
            for (colony_id, count) in colonies {
                self.rows.with(&[kind, kind_of_source, colony_id]).add(count);
            }
        }
        for (reason, count) in by_name(rejects.iter().map(|reject| (reject.reason.as_str(), 1))) {
            self.rejects.with(&[reason, kind_of_source]).add(count);
        }
    }

    /// How lateness has divided it.
    pub(crate) fn judged(&self, source: &str, on_time: &Rows, late: &Rows) {
        for (kind, count) in [(EVENTS, late.events.len()), (METRICS, late.metrics.len())] {
            if count > 0 {
                self.late.with(&[kind, kind_of(source)]).add(count as u64);
            }
        }
        if let Some(earliest) = times(late).min() {
            self.late_from.lower(earliest);
        }
        if let Some(newest) = times(on_time).max() {
            self.newest.with(&[source]).raise(newest);
        }
    }

    /// The earliest late row.
    pub(crate) fn late_from(&self) -> Option<TimeMs> {
        self.late_from.get()
    }

    pub(crate) fn event_time(&self, newest: Option<TimeMs>) {
        if let Some(newest) = newest {
            self.event_time.set(newest);
        }
    }

    /// Progress of finite input: bytes and rows, read and in all.
    pub(crate) fn input(&self, bytes: Option<(u64, u64)>, rows: Option<(u64, u64)>) {
        for (gauges, values) in [(&self.input_bytes, bytes), (&self.input_rows, rows)] {
            if let Some((read, in_all)) = values {
                gauges.0.set(read);
                gauges.1.set(in_all);
            }
        }
    }

    pub(crate) fn waiting(&self, stage: Stage, bytes: usize) {
        self.queues[stage as usize].set(bytes);
    }

    pub(crate) fn engine_ticks(&self, ticks: usize) {
        self.engine_ticks.set(ticks);
    }

    /// Commits and look-ups that are tried again.
    pub(crate) fn commit_retries(&self) -> &Counter {
        &self.commit_retries
    }

    /// A tick is stored.
    pub(crate) fn committed(&self, size: CommitSize, took: Duration, outcome: Outcome) {
        self.ticks.add(1);
        self.commits.observe(took);
        for (kind, rows) in COMMITTED.into_iter().zip(size.0) {
            if rows > 0 {
                self.committed.with(&[kind]).add(rows as u64);
            }
        }
        let Outcome { not_taken, fewer_samples, reused_ids } = outcome;
        for (reason, rows) in [(NOT_TAKEN, not_taken), (FEWER_SAMPLES, fewer_samples), (REUSED_IDS, reused_ids)] {
            if rows > 0 {
                self.not_applied.with(&[reason]).add(rows);
            }
        }
    }

    pub(crate) fn deleted(&self, table: &str, rows: u64) {
        self.deleted.with(&[table]).add(rows);
    }

    /// An evaluation has ended at `now`.
    pub(crate) fn evaluated(&self, order: Evaluate, took: Duration, now: TimeMs) {
        self.evaluations.observe(took);
        self.answered.with(&[]).set(now);
        for (kind, at) in [(EVENTS, order.events_now), (METRICS, order.metrics_now)] {
            if let Some(at) = at {
                self.evaluated.with(&[kind]).set(at);
            }
        }
    }

    /// Pairs tested, where an evaluation has changed it.
    pub(crate) fn tested(&self, events: Option<u64>, metrics: Option<u64>) {
        for (kind, pairs) in [(EVENTS, events), (METRICS, metrics)] {
            if let Some(pairs) = pairs {
                self.pairs.with(&[kind]).set(pairs);
            }
        }
    }

    /// Pairs of event types and of metric series tested at the last evaluation.
    pub(crate) fn pairs_tested(&self) -> (u64, u64) {
        let of = |kind| self.pairs.with(&[kind]).get().unwrap_or(0);
        (of(EVENTS), of(METRICS))
    }

    pub(crate) fn patterns(&self, confirmed: u64, candidates: u64) {
        self.patterns.with(&[CONFIRMED]).set(confirmed);
        self.patterns.with(&[CANDIDATE]).set(candidates);
    }

    pub(crate) fn colonies(&self, answering: u64, expected: u64) {
        self.colonies.0.set(answering);
        self.colonies.1.set(expected);
    }

    pub(crate) fn unreachable(&self, sources: usize) {
        self.unreachable.set(sources);
    }

    pub(crate) fn held(&self, waiting: Waiting) {
        self.held.0.set(waiting.positions);
        self.held.1.set(waiting.rows);
    }

    /// Those of its store.
    pub(crate) fn store(&self) -> &StoreInstruments {
        &self.store
    }

    pub(crate) fn memory(&self, used_bytes: Option<u64>, limit_bytes: u64) {
        if let Some(used_bytes) = used_bytes {
            self.memory.0.set(used_bytes);
        }
        self.memory.1.set(limit_bytes);
    }

    /// Counts an error that is a panic.
    pub(crate) fn failed(&self, error: &RunError) {
        match error {
            RunError::Engine(EngineError::Panicked { .. }) => self.panics.with(&["worker"]).add(1),
            RunError::SourcePanicked { .. } => self.panics.with(&["source"]).add(1),
            _ => {}
        }
    }

    /// The run as they show it.
    pub(crate) fn progress(&self) -> Progress {
        let pair = |(read, in_all): &(Gauge, Gauge)| Some((read.get()?, in_all.get()?));
        let patterns = |state| self.patterns.with(&[state]).get().unwrap_or(0);
        Progress {
            phase: match self.phase.get() {
                None | Some(0) => Phase::Restoring,
                Some(1) => Phase::Running,
                Some(_) => Phase::Draining,
            },
            events: self.rows.of("kind", EVENTS),
            metrics: self.rows.of("kind", METRICS),
            rejects: self.rejects.sum(),
            late: self.late.sum(),
            late_from: self.late_from.get(),
            ticks: self.ticks.get(),
            event_time: self.event_time.get(),
            colonies: pair(&self.colonies).unwrap_or_default(),
            confirmed: patterns(CONFIRMED),
            candidates: patterns(CANDIDATE),
            bytes: pair(&self.input_bytes),
            rows: pair(&self.input_rows),
        }
    }

    /// Refused rows by reason.
    pub(crate) fn rejects_by_reason(&self) -> BTreeMap<String, u64> {
        self.rejects.by("reason")
    }

    /// Deleted rows by table.
    pub(crate) fn deleted_by_table(&self) -> BTreeMap<String, u64> {
        self.deleted.by("table")
    }

    /// Rows that were not applied.
    pub(crate) fn outcome(&self) -> RowOutcome {
        let of = |reason| self.not_applied.of("reason", reason);
        RowOutcome { not_taken: of(NOT_TAKEN), fewer_samples: of(FEWER_SAMPLES), reused_ids: of(REUSED_IDS) }
    }
}

/// The instruments of a store, which also who only reads it has.
#[derive(Clone, Debug)]
pub struct StoreInstruments {
    rows: Family<Gauge>,
    bytes: Gauge,
}

impl StoreInstruments {
    /// The instruments of this registry.
    pub fn of(registry: &Registry) -> StoreInstruments {
        StoreInstruments {
            rows: registry.gauges("store_rows", "Rows of the store when they were last counted", &["table"]),
            bytes: registry.gauge("store_bytes", "Size of the store when it was last measured"),
        }
    }

    /// Counts the rows of the store and measures it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn measure(&self, reader: &dyn StoreReader) -> Result<(), SinkError> {
        for (table, rows) in reader.totals().await?.rows {
            self.rows.with(&[&table]).set(rows);
        }
        if let Some(bytes) = reader.size_bytes().await? {
            self.bytes.set(bytes);
        }
        Ok(())
    }
}

const NOT_TAKEN: &str = "not_taken";
const FEWER_SAMPLES: &str = "fewer_samples";
const REUSED_IDS: &str = "reused_ids";
const CONFIRMED: &str = "confirmed";
const CANDIDATE: &str = "candidate";

/// Kinds of rows in a commit, as labels.
const COMMITTED: [&str; 8] =
    [EVENTS, METRICS, "topology", "late_events", "late_metrics", "rejects", "patterns", "derived"];

/// How many rows of each of these kinds a commit has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitSize([usize; COMMITTED.len()]);

impl CommitSize {
    pub(crate) fn of(commit: &Commit) -> CommitSize {
        let (rows, late) = (&commit.rows, &commit.late);
        CommitSize([
            rows.events.len(),
            rows.metrics.len(),
            rows.nodes.len() + rows.edges.len() + rows.colonies.len(),
            late.events.len(),
            late.metrics.len(),
            commit.rejects.len(),
            commit.findings.len(),
            commit.derived.len(),
        ])
    }
}

/// The kind of a source: its name up to the colon, such as `kafka` or `colony-events`.
fn kind_of(source: &str) -> &str {
    source.split_once(':').map_or(source, |(kind, _)| kind)
}

fn times(rows: &Rows) -> impl Iterator<Item = TimeMs> {
    let metrics = rows.metrics.chunks().iter().flat_map(|chunk| chunk.times());
    rows.events.iter().map(|row| row.timestamp).chain(metrics.copied())
}

/// Counts by name, sorted. Rows of one colony mostly come together: it is looked up once for them.
fn by_name<'a>(rows: impl Iterator<Item = (&'a str, u64)>) -> Vec<(&'a str, u64)> {
    let mut counts: HashMap<&str, u64, FastHash> = HashMap::default();
    let mut run: Option<(&str, u64)> = None;
    for (name, count) in rows {
        match &mut run {
            Some((of, so_far)) if *of == name => *so_far += count,
            other => {
                if let Some((of, so_far)) = other.replace((name, count)) {
                    *counts.entry(of).or_default() += so_far;
                }
            }
        }
    }
    if let Some((of, so_far)) = run {
        *counts.entry(of).or_default() += so_far;
    }
    // which colonies have labels of their own must not depend on hashes
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    counts
}
