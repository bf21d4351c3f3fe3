//! Engine: runs the dataflow on its worker threads, tick by tick; the one place where async meets timely.
//!
//! A tick is passed to all workers; each takes its share of the rows and steps until the tick is complete everywhere.
//! When all have replied, their output is consolidated. Ticks wait in a queue bounded in bytes and are answered in
//! order, so that an evaluation that takes long holds up neither intake nor commits.
//!
//! With several processes the workers of all of them form one dataflow. Process 0 has the [`Engine`] and feeds it; the
//! others [serve](crate::cluster): their inputs are closed from the start, so only process 0 determines when a tick is
//! complete.

use crate::error::EngineError;
use differential_dataflow::consolidation::consolidate;
use model::derived::{self, DerivedChange};
use model::event::Event;
use model::pattern::Finding;
use model::rows::Rows;
use operators::calls::Call;
use operators::dataflow::{self, Change, Evaluate, Outcome, Params};
use operators::deployments::Input;
use operators::derived_events;
use operators::heard::Heard;
use operators::tested::Tested;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::worker::Worker;
use tokio::sync::mpsc as async_mpsc;
use workers::{IDLE_STEP, Peers, abandon, panic_text, spawn};

#[cfg(feature = "sim")]
mod busy;
pub(crate) mod workers;

/// The rows of one tick, all on time.
#[derive(Clone, Debug, Default)]
pub struct TickRows {
    /// Events, metric rows and topologies; the store reads the same memory.
    pub rows: Arc<Rows>,
    /// Events that are stored already and are fed again.
    pub newer: Arc<Vec<Event>>,
    /// What the timeline of deployments needs of earlier runs.
    pub facts: Arc<Vec<Input>>,
    /// What earlier runs knew of derived events.
    pub derived_events: Arc<Vec<derived_events::Input>>,
    /// Up to when earlier runs heard of each colony.
    pub heard: Arc<Vec<Heard>>,
}

impl From<Rows> for TickRows {
    fn from(rows: Rows) -> TickRows {
        TickRows { rows: Arc::new(rows), ..TickRows::default() }
    }
}

/// What a tick changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TickOutcome {
    /// Findings that came (+1) and went (-1).
    pub findings: Vec<Change<Finding>>,
    /// Changes of derived tables.
    pub derived: Vec<DerivedChange>,
    /// What of event types was tested, when an evaluation changed it.
    pub events_tested: Option<Tested>,
    /// What of metric series was tested, when an evaluation changed it.
    pub metrics_tested: Option<Tested>,
}

/// What the engine made of one tick, once that is complete on all workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The tick, counted from 0.
    pub tick: u64,
    /// The order to evaluate that came with it.
    pub evaluated: Option<Evaluate>,
    /// What it changed.
    pub outcome: TickOutcome,
    /// How long the slowest worker was at it.
    pub took: Duration,
}

/// Ticks that may wait for the workers. Their bytes are bounded by the caller's limit; this bounds the empty ones.
const TICKS_WAITING_MAX: usize = 64;

struct Command {
    tick: u64,
    /// All rows of the tick.
    rows: TickRows,
    /// Which of how many shares of them the worker takes.
    share: (usize, usize),
    evaluate: Option<Evaluate>,
    #[cfg(feature = "sim")]
    busy: Option<busy::Busy>,
}

struct Reply {
    tick: u64,
    worker: usize,
    result: Result<Vec<Change<Outcome>>, String>,
    took: Duration,
}

/// A tick that has been handed to the workers, and what has come back of it so far.
struct InFlight {
    tick: u64,
    evaluate: Option<Evaluate>,
    bytes: usize,
    /// Workers that have not replied yet.
    missing: usize,
    outcomes: Vec<Change<Outcome>>,
    took: Duration,
}

/// A running dataflow, fed by this process.
pub struct Engine {
    next_tick: u64,
    in_flight: VecDeque<InFlight>,
    abandoned: Arc<AtomicBool>,
    commands: Vec<mpsc::SyncSender<Command>>,
    replies: async_mpsc::Receiver<Reply>,
}

impl Engine {
    /// Starts `workers` worker threads. They end when the engine is dropped.
    pub fn start(params: Params, workers: usize) -> Result<Engine, EngineError> {
        Engine::start_among(params, workers, None::<Peers<std::net::TcpStream>>)
    }

    /// Starts `workers` worker threads in this process, which is process 0 of its peers. They end when the engine is
    /// dropped, and so do the workers of the peers.
    pub fn start_among<S: Stream + 'static>(
        params: Params,
        workers: usize,
        peers: Option<Peers<S>>,
    ) -> Result<Engine, EngineError> {
        let (reply_to, replies) = async_mpsc::channel(workers * TICKS_WAITING_MAX);
        let (commands, inboxes): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::sync_channel(TICKS_WAITING_MAX)).unzip();
        let inboxes: Arc<Vec<Mutex<Option<mpsc::Receiver<Command>>>>> =
            Arc::new(inboxes.into_iter().map(|inbox| Mutex::new(Some(inbox))).collect());
        let abandoned = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&abandoned);
        spawn(workers, peers, move |worker| {
            let inbox = inboxes[worker.index()].lock().ok().and_then(|mut inbox| inbox.take());
            if let Some(inbox) = inbox {
                work(worker, &params, &inbox, &reply_to, &is_over);
            }
        })?;
        Ok(Engine { next_tick: 0, in_flight: VecDeque::new(), abandoned, commands, replies })
    }

    /// Hands one tick of `bytes` to the workers, behind those that wait already, and says its number. Its answer comes from
    /// [`answer`](Engine::answer).
    ///
    /// # Errors
    /// When a worker has failed.
    ///
    /// # Panics
    /// When there is no [room](Engine::has_room).
    pub fn submit(&mut self, rows: TickRows, evaluate: Option<Evaluate>, bytes: usize) -> Result<u64, EngineError> {
        assert!(self.in_flight.len() < TICKS_WAITING_MAX, "a tick is handed over only when there is room for it");
        let tick = self.next_tick;
        self.next_tick += 1;
        let missing = self.commands.len();
        self.in_flight.push_back(InFlight {
            tick,
            evaluate,
            bytes,
            missing,
            outcomes: Vec::new(),
            took: Duration::ZERO,
        });
        // one worker takes the order and sends it to all
        let mut order = evaluate;
        for (worker, inbox) in self.commands.iter().enumerate() {
            let command = Command {
                tick,
                rows: rows.clone(),
                share: (worker, self.commands.len()),
                evaluate: order.take(),
                #[cfg(feature = "sim")]
                busy: Some(busy::Busy::hold()),
            };
            if inbox.send(command).is_err() {
                return Err(self.end_of_a_worker(tick));
            }
        }
        Ok(tick)
    }

    /// Whether another tick may be handed over when those that wait shall not hold more than `bytes_max`.
    pub fn has_room(&self, bytes_max: usize) -> bool {
        let (ticks, bytes) = self.waiting();
        ticks < TICKS_WAITING_MAX && (ticks == 0 || bytes < bytes_max)
    }

    /// How many ticks have not been answered, and their bytes.
    pub fn waiting(&self) -> (usize, usize) {
        (self.in_flight.len(), self.in_flight.iter().map(|tick| tick.bytes).sum())
    }

    /// Whether there is a tick that has not been answered.
    pub fn is_at_work(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Waits for the oldest tick that has not been answered; `None` when there is none. May be dropped and asked again.
    ///
    /// # Errors
    /// When a worker has failed.
    pub async fn answer(&mut self) -> Result<Option<Answer>, EngineError> {
        loop {
            if let Some(oldest) = self.in_flight.pop_front_if(|oldest| oldest.missing == 0) {
                let InFlight { tick, evaluate, outcomes, took, .. } = oldest;
                return Ok(Some(Answer { tick, evaluated: evaluate, outcome: sort_out(outcomes), took }));
            }
            let Some(oldest) = self.in_flight.front().map(|oldest| oldest.tick) else { return Ok(None) };
            let Reply { tick, worker, result, took } = self.replies.recv().await.ok_or(EngineError::Gone)?;
            let outcomes = result.map_err(|panic| EngineError::Panicked { worker, tick, panic })?;
            // a worker replies in the order of ticks, and is at most ahead of the others
            let waiting = tick.checked_sub(oldest).and_then(|place| self.in_flight.get_mut(place as usize));
            let waiting = waiting.filter(|waiting| waiting.missing > 0);
            let Some(waiting) = waiting else { panic!("worker {worker} answers tick {tick}, which nobody waits for") };
            waiting.outcomes.extend(outcomes);
            waiting.took = waiting.took.max(took);
            waiting.missing -= 1;
        }
    }

    /// Feeds one tick and waits until it is complete on all workers, and all ticks before it.
    ///
    /// # Errors
    /// When a worker has failed.
    pub async fn tick(&mut self, rows: TickRows, evaluate: Option<Evaluate>) -> Result<TickOutcome, EngineError> {
        assert!(!self.is_at_work(), "answers of earlier ticks are taken first");
        self.submit(rows, evaluate, 0)?;
        Ok(self.answer().await?.map(|answer| answer.outcome).unwrap_or_default())
    }

    /// Why a worker no longer takes commands: it panicked between two ticks, and has left its message.
    fn end_of_a_worker(&mut self, tick: u64) -> EngineError {
        while let Ok(Reply { worker, result, .. }) = self.replies.try_recv() {
            if let Err(panic) = result {
                return EngineError::Panicked { worker, tick, panic };
            }
        }
        EngineError::Gone
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // a failed tick, or one whose caller was dropped, may never be complete
        if self.is_at_work() {
            self.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

/// One of equal shares, in order.
fn share_of<T>(rows: &[T], share: (usize, usize)) -> &[T] {
    let (begin, end) = bounds(rows.len(), share);
    &rows[begin..end]
}

fn bounds(rows: usize, (index, shares): (usize, usize)) -> (usize, usize) {
    let each = rows.div_ceil(shares);
    ((index * each).min(rows), ((index + 1) * each).min(rows))
}

fn sort_out(mut outcomes: Vec<Change<Outcome>>) -> TickOutcome {
    consolidate(&mut outcomes);
    let mut sorted = TickOutcome::default();
    let mut derived = Vec::new();
    for (outcome, diff) in outcomes {
        match outcome {
            Outcome::Finding(finding) => sorted.findings.push((finding, diff)),
            Outcome::Derived(row) => derived.push((row, diff)),
            Outcome::EventsTested(tested) => sorted.events_tested = Some(tested),
            Outcome::MetricsTested(tested) => sorted.metrics_tested = Some(tested),
        }
    }
    sorted.derived = derived::changes(derived);
    sorted
}

/// The life of one worker of the process that feeds: ticks until the engine is dropped. A panic anywhere in it is
/// returned as the result of the current tick or, between ticks, of the next one: it must not leave the engine or the
/// other workers waiting indefinitely.
fn work(
    worker: &mut Worker,
    params: &Params,
    inbox: &mpsc::Receiver<Command>,
    reply_to: &async_mpsc::Sender<Reply>,
    is_over: &AtomicBool,
) {
    let mut next_tick = 0;
    let life = || tick_by_tick(worker, params, inbox, reply_to, is_over, &mut next_tick);
    match catch_unwind(AssertUnwindSafe(life)) {
        // the inputs have closed with the ports, and running work is finished
        Ok(Left::Closed) => {}
        Ok(Left::Abandoned) => abandon(worker),
        Err(panic) => {
            let result = Err(panic_text(panic.as_ref()));
            let reply = Reply { tick: next_tick, worker: worker.index(), result, took: Duration::ZERO };
            let _ = reply_to.blocking_send(reply);
            abandon(worker);
        }
    }
}

/// How a worker was left.
enum Left {
    /// Between two ticks.
    Closed,
    /// In the middle of a tick that may never be complete.
    Abandoned,
}

fn tick_by_tick(
    worker: &mut Worker,
    params: &Params,
    inbox: &mpsc::Receiver<Command>,
    reply_to: &async_mpsc::Sender<Reply>,
    is_over: &AtomicBool,
    next_tick: &mut u64,
) -> Left {
    let mut ports = dataflow::build(worker, params);
    loop {
        match inbox.recv_timeout(IDLE_STEP) {
            #[cfg_attr(not(feature = "sim"), expect(unused_mut, reason = "only a simulation takes something out"))]
            Ok(mut command) => {
                // until the reply has been sent
                #[cfg(feature = "sim")]
                let _busy = command.busy.take();
                #[cfg(test)]
                workers::planted(worker, params);
                let (tick, began) = (command.tick, Instant::now());
                let Some(outcomes) = run_tick(worker, &mut ports, command, is_over) else { return Left::Abandoned };
                *next_tick = tick + 1;
                let took = began.elapsed();
                let _ = reply_to.blocking_send(Reply { tick, worker: worker.index(), result: Ok(outcomes), took });
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                worker.step();
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return Left::Closed,
        }
    }
}

/// The result of the tick; `None` if the caller was dropped.
fn run_tick(
    worker: &mut Worker,
    ports: &mut dataflow::Ports,
    command: Command,
    is_over: &AtomicBool,
) -> Option<Vec<Change<Outcome>>> {
    let Command {
        tick,
        rows: TickRows { rows, newer, facts, derived_events, heard },
        share,
        evaluate,
        #[cfg(feature = "sim")]
            busy: _busy,
    } = command;
    for event in share_of(&rows.events, share).iter().chain(share_of(&newer, share)) {
        ports.feed_event(event);
    }
    let (begin, end) = bounds(rows.metrics.len(), share);
    ports.feed_metrics(&rows.metrics, begin..end, worker.peers());
    let seen = share_of(&rows.nodes, share).iter().filter_map(Input::of_node);
    for fact in seen.chain(share_of(&facts, share).iter().cloned()) {
        ports.facts.update(fact, 1);
    }
    for call in share_of(&rows.edges, share).iter().filter_map(Call::of_edge) {
        ports.calls.update(call, 1);
    }
    for known in share_of(&derived_events, share) {
        ports.derived_events.update(known.clone(), 1);
    }
    for known in share_of(&heard, share) {
        ports.heard.update(known.clone(), 1);
    }
    drop((rows, newer, facts, derived_events, heard));
    if let Some(order) = evaluate {
        ports.evaluate.update(order, 1);
    }
    ports.close_tick(tick);
    while ports.probe.less_than(&(tick + 1)) {
        if is_over.load(Ordering::Relaxed) {
            return None;
        }
        worker.step_or_park(Some(IDLE_STEP));
    }
    Some(ports.outcomes.take())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::time::TimeMs;
    use operators::events::EventParams;
    use operators::metrics::MetricParams;

    fn params() -> Params {
        Params { events: EventParams::default(), metrics: MetricParams::default(), derived_events: true }
    }

    /// Ticks until one fails.
    async fn failure(engine: &mut Engine, evaluate: impl Fn(u64) -> Option<Evaluate>) -> EngineError {
        for tick in 0..100 {
            let rows = Rows {
                events: vec![fixtures::event("shop-production", "e", TimeMs(1_700_000_000_000))],
                ..Rows::default()
            };
            if let Err(error) = engine.tick(rows.into(), evaluate(tick)).await {
                return error;
            }
        }
        panic!("no tick failed")
    }

    /// A time that no source lets through: the arithmetic of the operators has no room for it.
    const OUT_OF_RANGE: Evaluate = Evaluate { events_now: Some(TimeMs(i64::MIN)), metrics_now: None };

    #[tokio::test]
    async fn a_panicking_worker_ends_the_tick_with_its_message() {
        for workers in [1, 3] {
            let mut engine = Engine::start(params(), workers).unwrap();
            let error = failure(&mut engine, |tick| (tick == 2).then_some(OUT_OF_RANGE)).await;
            assert!(matches!(error, EngineError::Panicked { tick: 2, .. }), "{error:?}");
            assert!(error.to_string().contains("overflow") && error.to_string().contains("report it"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_panic_of_one_worker_alone_does_not_leave_the_others_waiting() {
        // it fails before it has closed the tick, which the others wait for
        let horizon_ms = (workers::PLANTED_DAYS + 1) * model::time::DAY_MS;
        let planted = Params { events: EventParams { horizon_ms, ..EventParams::default() }, ..params() };
        let mut engine = Engine::start(planted, 3).unwrap();
        let events = vec![fixtures::event("shop-production", "a", TimeMs(1_700_000_000_000))];
        let error = engine.tick(Rows { events, ..Rows::default() }.into(), None).await.unwrap_err();
        assert!(matches!(error, EngineError::Panicked { tick: 0, worker: 1, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn ticks_wait_behind_one_another_and_are_answered_in_order() {
        for workers in [1, 3] {
            let mut engine = Engine::start(params(), workers).unwrap();
            assert_eq!(engine.answer().await.unwrap(), None, "nothing is waited for");
            let order = Evaluate { events_now: Some(TimeMs(1_700_000_000_000)), metrics_now: None };
            for tick in 0..5 {
                assert!(engine.has_room(10));
                let events = vec![fixtures::event("shop-production", &format!("e{tick}"), TimeMs(1_700_000_000_000))];
                let rows = Rows { events, ..Rows::default() };
                assert_eq!(engine.submit(rows.into(), (tick == 1).then_some(order), 2).unwrap(), tick);
            }
            assert!(!engine.has_room(10), "what waits is bounded in bytes");
            for tick in 0..5 {
                let answer = engine.answer().await.unwrap().unwrap();
                assert_eq!((answer.tick, answer.evaluated), (tick, (tick == 1).then_some(order)));
            }
            assert!(!engine.is_at_work());
        }
    }

    /// An engine whose one worker is the caller: takes its orders, and replies by hand.
    fn by_hand() -> (Engine, async_mpsc::Sender<Reply>, mpsc::Receiver<Command>) {
        let (reply_to, replies) = async_mpsc::channel(8);
        let (command, inbox) = mpsc::sync_channel(8);
        let (in_flight, abandoned) = (VecDeque::new(), Arc::new(AtomicBool::new(false)));
        (Engine { next_tick: 0, in_flight, abandoned, commands: vec![command], replies }, reply_to, inbox)
    }

    fn reply_of(tick: u64) -> Reply {
        Reply { tick, worker: 0, result: Ok(Vec::new()), took: Duration::ZERO }
    }

    /// Two ticks answered, a third one waiting; then a reply for `tick`.
    async fn answered_with(tick: u64) {
        let (mut engine, reply_to, _inbox) = by_hand();
        for expected in 0..2 {
            engine.submit(TickRows::default(), None, 0).unwrap();
            reply_to.send(reply_of(expected)).await.unwrap_or_else(|_| panic!("the engine is there"));
            assert_eq!(engine.answer().await.unwrap().unwrap().tick, expected);
        }
        engine.submit(TickRows::default(), None, 0).unwrap();
        reply_to.send(reply_of(tick)).await.unwrap_or_else(|_| panic!("the engine is there"));
        let answer = engine.answer().await.unwrap().unwrap();
        assert_eq!(answer.tick, 2, "no answer passes for that of another tick");
    }

    #[tokio::test]
    async fn a_reply_for_the_tick_that_is_waited_for_is_its_answer() {
        answered_with(2).await;
    }

    /// What a wrong tick made would otherwise be committed; not a `debug_assert`, so it holds in a release build too.
    #[tokio::test]
    #[should_panic(expected = "worker 0 answers tick 1, which nobody waits for")]
    async fn a_second_reply_for_a_tick_is_no_answer() {
        answered_with(1).await;
    }

    #[tokio::test]
    #[should_panic(expected = "worker 0 answers tick 3, which nobody waits for")]
    async fn a_reply_for_a_tick_that_was_never_handed_over_is_no_answer() {
        answered_with(3).await;
    }

    #[tokio::test]
    async fn a_panic_before_the_first_tick_is_reported() {
        let broken = Params { metrics: MetricParams { window_ms: i64::MAX, ..MetricParams::default() }, ..params() };
        let mut engine = Engine::start(broken, 2).unwrap();
        let error = failure(&mut engine, |_| None).await;
        assert!(matches!(error, EngineError::Panicked { .. }), "{error:?}");
    }
}
