//! The dataflow: connects the operators and collects their output.
//!
//! ```text
//! events  ── dedupe ── episodes ── (to all) ── event scan  ── event verdict, predictions ──┐
//!         └─ deployments ──────────────────────────────────────────────────────────────────┤
//! metrics ── align ────────────── (to all) ── metric scan ── metric verdict ───────────────┤
//!                └─ derived events ─ unreported ─ episodes ────────────────────────────────┴── Outcome
//! calls ─── (to all) ─ both scans;  heard ─ (to all) ─ event scan
//! Evaluate ─ (to all) ─ every operator above: scan now, forget what can no longer matter
//! ```
//! Timely's timestamp is the tick; event time is data. [`Evaluate`] arrives on every worker in the ticks that the
//! caller chooses; results depend only on the rows and on the last `Evaluate`, never on the number of earlier ones.
//! Scans are divided among workers by source; one worker per kind computes the verdict, because false-discovery control
//! needs all pairs together. Worker 0 collects the outcomes of all workers of all processes.

use crate::calls::Call;
use crate::dedupe::{Dedupe, EventCopy};
use crate::deployments::{Deployments, Input};
use crate::derived_events::unreported::Stamp;
use crate::derived_events::{DerivedEvent, DerivedEvents, Input as DerivedInput, Unreported};
use crate::events::levels::on_both_levels;
use crate::events::{Episodes, EventParams, EventScan, EventStamp, EventVerdict};
pub use crate::ext::{Change, Evaluate};
use crate::ext::{Row, Rows, by_tick, stay, to_all, to_first, to_owner};
use crate::heard::{Heard, Listener};
use crate::metrics::{Align, MetricBlock, MetricParams, MetricScan, MetricVerdict, Samples};
use crate::predictions::Predictions;
use crate::shard::{Shard, fixed_hash};
use crate::tested::Tested;
use differential_dataflow::input::InputSession;
use model::chunks::Metrics;
use model::derived::DerivedRow;
use model::event::{Event, EventTypeKey};
use model::pattern::Finding;
use model::time::{DAY_MS, TimeMs};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;

/// What to correlate.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Event patterns.
    pub events: EventParams,
    /// Metric pairs.
    pub metrics: MetricParams,
    /// Whether metrics become events where they show something by themselves.
    pub derived_events: bool,
}

/// One signed change of what the dataflow knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "a few hundred at a time, nearly all of them findings")]
pub enum Outcome {
    /// A correlation with its evidence.
    Finding(Finding),
    /// A row of a derived table.
    Derived(DerivedRow),
    /// What of event types was tested at the last evaluation.
    EventsTested(Tested),
    /// What of metric series was tested at the last evaluation.
    MetricsTested(Tested),
}

/// A worker's ends of the dataflow.
pub struct Ports {
    /// Copies of events on time; any worker may take any of them.
    events: InputSession<u64, EventCopy, i64>,
    /// Metric rows on time, each block for the worker that has its series.
    metrics: InputSession<u64, MetricBlock, i64>,
    /// What the timeline of deployments needs beside events; any worker may take any of it.
    pub facts: InputSession<u64, Input, i64>,
    /// Calls between services; any worker may take any of them. They are never retracted.
    pub calls: InputSession<u64, Call, i64>,
    /// Which colonies the metric rows tell of; any worker may take any of it. It is never retracted.
    pub heard: InputSession<u64, Heard, i64>,
    listener: Listener,
    /// What an earlier run knew of derived events; any worker may take any of it.
    pub derived_events: InputSession<u64, DerivedInput, i64>,
    /// Orders to evaluate; given to one worker, seen by all.
    pub evaluate: InputSession<u64, Evaluate, i64>,
    /// Changes since they were last taken; all of them are output on worker 0.
    pub outcomes: Rc<RefCell<Vec<Change<Outcome>>>>,
    /// Reports when a tick is complete on all workers.
    pub probe: ProbeHandle<u64>,
}

impl Ports {
    /// Feeds an event: to patterns what they need of it, to the timeline the whole of one that may be about a deployment.
    pub fn feed_event(&mut self, event: &Event) {
        self.events.update(EventCopy::of(event), 1);
        if let Some(fact) = Input::of_event(event) {
            self.facts.update(fact, 1);
        }
    }

    /// Feeds some rows of `metrics`, which are shared and not copied.
    pub fn feed_metrics(&mut self, metrics: &Metrics, rows: Range<usize>, peers: usize) {
        for block in MetricBlock::divide(metrics, rows.clone(), peers) {
            self.metrics.update(block, 1);
        }
        for heard in self.listener.note(metrics, rows) {
            self.heard.update(heard, 1);
        }
    }

    /// Closes `tick`: nothing more will be fed at it or before.
    pub fn close_tick(&mut self, tick: u64) {
        self.events.advance_to(tick + 1);
        self.events.flush();
        self.metrics.advance_to(tick + 1);
        self.metrics.flush();
        self.facts.advance_to(tick + 1);
        self.facts.flush();
        self.calls.advance_to(tick + 1);
        self.calls.flush();
        self.heard.advance_to(tick + 1);
        self.heard.flush();
        self.derived_events.advance_to(tick + 1);
        self.derived_events.flush();
        self.evaluate.advance_to(tick + 1);
        self.evaluate.flush();
    }
}

/// Builds the dataflow on this worker.
pub fn build(worker: &mut Worker, params: &Params) -> Ports {
    let shard = Shard { index: worker.index(), peers: worker.peers() };
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    let probe = ProbeHandle::new();
    let mut events = InputSession::new();
    let mut metrics = InputSession::new();
    let mut facts = InputSession::new();
    let mut calls = InputSession::new();
    let mut heard = InputSession::new();
    let mut derived_events = InputSession::new();
    let mut evaluate = InputSession::new();
    worker.dataflow::<u64, _, _>(|scope| {
        let orders = to_all(evaluate.to_collection(scope));
        let metrics = metrics.to_collection(scope);
        let events = events.to_collection(scope);
        let timeline = deployments(facts.to_collection(scope), orders.clone(), params.events.keep_ms());
        let calls = calls.to_collection(scope);
        let about = calls.clone().map(About::Call).concat(heard.to_collection(scope).map(About::Heard));
        let mut stamps = deduplicated(events, orders.clone(), &params.events);
        let samples = aligned(metrics, orders.clone(), params.metrics.keep_ms());
        let earlier = derived_events.to_collection(scope);
        let mut results = timeline;
        if params.derived_events {
            let keep_ms = params.metrics.keep_ms();
            let (derived, earlier) = derived_events_of((samples.clone(), earlier), orders.clone(), keep_ms);
            results = results.concat(derived.clone().map(|event| Outcome::Derived(event.row())));
            let derived = derived.concat(earlier).map(|event| Stamp::Derived(event.stamp()));
            stamps = unreported(stamps.map(Stamp::Reported).concat(derived), orders.clone(), &params.events);
        }
        let patterns = event_patterns(stamps, about, orders.clone(), &params.events, shard);
        let results = results.concat(patterns).concat(metric_pairs(samples, calls, orders, &params.metrics, shard));
        let taken = Rc::clone(&outcomes);
        let results = to_first(results);
        results
            .inspect(move |(outcome, _tick, diff)| taken.borrow_mut().push((outcome.clone(), *diff)))
            .probe_with(&probe);
    });
    let listener = Listener::default();
    Ports { events, metrics, facts, calls, heard, listener, derived_events, evaluate, outcomes, probe }
}

fn deployments<'scope>(
    facts: Rows<'scope, Input>,
    orders: Rows<'scope, Evaluate>,
    keep_ms: i64,
) -> Rows<'scope, Outcome> {
    let mut deployments = Deployments::default();
    let by_colony = to_owner(|input: &Input| fixed_hash(&[input.colony_id()]));
    by_tick(facts, orders, "Deployments", by_colony, move |rows, order| {
        deployments.apply(rows);
        let Some(order) = order else { return Vec::new() };
        let changes = deployments.evaluate();
        if let Some(now) = order.events_now {
            deployments.forget(now, keep_ms);
        }
        changes
    })
    .map(Outcome::Derived)
}

/// How far back events are kept. Forgetting is a pass over all rows: once for each day of event time, not for each
/// evaluation.
fn limit_of(params: &EventParams) -> impl Fn(TimeMs) -> TimeMs + Copy + use<> {
    let keep_ms = params.keep_ms();
    move |now: TimeMs| (now - keep_ms).floor_to(DAY_MS)
}

fn deduplicated<'scope>(
    events: Rows<'scope, EventCopy>,
    orders: Rows<'scope, Evaluate>,
    params: &EventParams,
) -> Rows<'scope, EventStamp> {
    let limit = limit_of(params);
    let mut dedupe = Dedupe::default();
    let by_identity = to_owner(|copy: &EventCopy| fixed_hash(&copy.identity()));
    by_tick(events, orders, "Dedupe", by_identity, move |rows, order| {
        if let Some(now) = order.and_then(|order| order.events_now) {
            dedupe.forget_before(limit(now));
        }
        dedupe.apply(rows)
    })
}

fn type_hash(key: &EventTypeKey) -> u64 {
    fixed_hash(&[&key.colony_id, &key.service_id, &key.event_type])
}

fn event_patterns<'scope>(
    stamps: Rows<'scope, EventStamp>,
    about: Rows<'scope, About>,
    orders: Rows<'scope, Evaluate>,
    params: &EventParams,
    shard: Shard,
) -> Rows<'scope, Outcome> {
    let limit = limit_of(params);
    let stamps = stamps.flat_map(on_both_levels);

    let mut episodes = Episodes::new(params.clone());
    let by_type = to_owner(|stamp: &EventStamp| type_hash(&stamp.key));
    let onsets = by_tick(stamps, orders.clone(), "Episodes", by_type, move |rows, order| {
        if let Some(now) = order.and_then(|order| order.events_now) {
            episodes.forget_before(limit(now));
        }
        episodes.apply(rows)
    });

    let mut scan = EventScan::new(params.clone(), shard);
    let scanned =
        by_tick(to_all(with_about(onsets, about)), orders.clone(), "EventScan", stay(), move |rows, order| {
            let (onsets, calls, heard) = apart(rows);
            scan.apply_calls(calls);
            scan.apply_heard(heard);
            scan.apply(onsets);
            let Some(now) = order.and_then(|order| order.events_now) else { return Vec::new() };
            scan.forget_before(limit(now));
            scan.scan(now)
        });

    let mut verdict = EventVerdict::new(params.clone());
    let mut predictions = Predictions::new(params.clone());
    let mut tested = Tested::default();
    by_tick(scanned, orders, "EventVerdict", to_owner(|_| 0), move |rows, order| {
        let findings = verdict.apply(rows);
        let mut outcomes = with_tested(findings, &mut tested, verdict.tested(), Outcome::EventsTested);
        if let Some(now) = order.and_then(|order| order.events_now) {
            let changes = predictions.evaluate(&mut verdict, now);
            outcomes.extend(changes.into_iter().map(|(row, diff)| (Outcome::Derived(row), diff)));
        }
        outcomes
    })
}

fn aligned<'scope>(
    metrics: Rows<'scope, MetricBlock>,
    orders: Rows<'scope, Evaluate>,
    keep_ms: i64,
) -> Rows<'scope, Samples> {
    let mut align = Align::default();
    let by_series = to_owner(|block: &MetricBlock| block.owner);
    by_tick(metrics, orders, "Align", by_series, move |rows, order| {
        if let Some(now) = order.and_then(|order| order.metrics_now) {
            align.forget_before(now - keep_ms);
        }
        let samples = align.apply_blocks(&rows);
        if samples.is_empty() { Vec::new() } else { vec![(Samples(Arc::new(samples)), 1)] }
    })
}

/// Samples, or what a restart knows of earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum ForDerived {
    Samples(Samples),
    HistoryFrom(TimeMs),
}

/// Derived events, and final ones of an earlier run.
fn derived_events_of<'scope>(
    (samples, earlier): (Rows<'scope, Samples>, Rows<'scope, DerivedInput>),
    orders: Rows<'scope, Evaluate>,
    keep_ms: i64,
) -> (Rows<'scope, DerivedEvent>, Rows<'scope, DerivedEvent>) {
    let history = to_all(earlier.clone().flat_map(|input| match input {
        DerivedInput::HistoryFrom(time) => Some(ForDerived::HistoryFrom(time)),
        DerivedInput::Final(_) => None,
    }));
    let earlier = earlier.flat_map(|input| match input {
        DerivedInput::Final(event) => Some(event),
        DerivedInput::HistoryFrom(_) => None,
    });
    let rows = samples.map(ForDerived::Samples).concat(history);
    let mut derived = DerivedEvents::default();
    let derived = by_tick(rows, orders, "DerivedEvents", stay(), move |rows, order| {
        // sorted: samples come first
        for (row, times) in rows {
            match row {
                ForDerived::Samples(samples) => {
                    derived.apply(samples.0.iter().map(|(sample, diff)| (*sample, diff * times)));
                }
                ForDerived::HistoryFrom(time) => derived.history_from(time),
            }
        }
        let Some(now) = order.and_then(|order| order.metrics_now) else { return Vec::new() };
        let changes = derived.evaluate();
        derived.forget(now, keep_ms);
        changes
    });
    (derived, earlier)
}

/// Events with derived ones among them where their service does not report them itself.
fn unreported<'scope>(
    stamps: Rows<'scope, Stamp>,
    orders: Rows<'scope, Evaluate>,
    params: &EventParams,
) -> Rows<'scope, EventStamp> {
    let limit = limit_of(params);
    let mut unreported = Unreported::default();
    let by_type = to_owner(|stamp: &Stamp| type_hash(stamp.key()));
    by_tick(stamps, orders, "Unreported", by_type, move |rows, order| {
        if let Some(now) = order.and_then(|order| order.events_now) {
            unreported.forget_before(limit(now));
        }
        unreported.apply(rows)
    })
}

fn metric_pairs<'scope>(
    samples: Rows<'scope, Samples>,
    calls: Rows<'scope, Call>,
    orders: Rows<'scope, Evaluate>,
    params: &MetricParams,
    shard: Shard,
) -> Rows<'scope, Outcome> {
    let keep_ms = params.keep_ms();
    let mut scan = MetricScan::new(*params, shard);
    let scanned = by_tick(
        to_all(with_about(samples, calls.map(About::Call))),
        orders.clone(),
        "MetricScan",
        stay(),
        move |rows, order| {
            let (rows, calls, _) = apart(rows);
            scan.apply_calls(calls);
            scan.apply(
                rows.iter()
                    .flat_map(|(samples, times)| samples.0.iter().map(move |(sample, diff)| (*sample, diff * times))),
            );
            let Some(now) = order.and_then(|order| order.metrics_now) else { return Vec::new() };
            scan.forget_before(now - keep_ms);
            scan.scan(now)
        },
    );

    let mut verdict = MetricVerdict::new(*params);
    let mut tested = Tested::default();
    by_tick(scanned, orders, "MetricVerdict", to_owner(|_| 1), move |rows, _| {
        let findings = verdict.apply(rows);
        with_tested(findings, &mut tested, verdict.tested(), Outcome::MetricsTested)
    })
}

/// What a scan gets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum ForScan<T> {
    /// What it correlates.
    Row(T),
    /// What it knows of colonies.
    About(About),
}

/// What is known of colonies beside their rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum About {
    /// A call between services.
    Call(Call),
    /// A colony was heard of.
    Heard(Heard),
}

/// What a scan got, by kind.
type Apart<T> = (Vec<Change<T>>, Vec<Change<Call>>, Vec<Change<Heard>>);

fn with_about<'scope, T: Row>(rows: Rows<'scope, T>, about: Rows<'scope, About>) -> Rows<'scope, ForScan<T>> {
    rows.map(ForScan::Row).concat(about.map(ForScan::About))
}

fn apart<T>(changes: Vec<Change<ForScan<T>>>) -> Apart<T> {
    let (mut rows, mut calls, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    for (change, diff) in changes {
        match change {
            ForScan::Row(row) => rows.push((row, diff)),
            ForScan::About(About::Call(call)) => calls.push((call, diff)),
            ForScan::About(About::Heard(one)) => heard.push((one, diff)),
        }
    }
    (rows, calls, heard)
}

/// Findings as outcomes, with what was tested when it changed.
fn with_tested(
    findings: Vec<Change<Finding>>,
    known: &mut Tested,
    tested: Tested,
    outcome: impl Fn(Tested) -> Outcome,
) -> Vec<Change<Outcome>> {
    let mut outcomes: Vec<Change<Outcome>> =
        findings.into_iter().map(|(finding, diff)| (Outcome::Finding(finding), diff)).collect();
    if *known != tested {
        *known = tested;
        outcomes.push((outcome(tested), 1));
    }
    outcomes
}
