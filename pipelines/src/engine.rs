//! Engine: runs the dataflow on its worker threads and answers one tick at a time; the one place where async meets timely.
//!
//! A tick is handed to all workers, each takes its share of the rows and steps until the tick is complete everywhere.
//! Then all have replied, and what came out is consolidated. Ticks are answered in order, one at a time.
//!
//! With several processes the workers of all of them are one dataflow. Process 0 holds the [`Engine`] and feeds it; the
//! others [serve](crate::cluster): their inputs are closed from the start, so a tick is complete as soon as process 0 says so.

use crate::workers::{IDLE_STEP, Peers, abandon, panic_text, spawn};
use differential_dataflow::consolidation::consolidate;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::Finding;
use model::rows::RollupKey;
use operators::dataflow::{self, Change, Evaluate, Outcome, Params};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use timely::worker::Worker;
use tokio::sync::mpsc as async_mpsc;

/// The rows of one tick, all on time.
#[derive(Clone, Debug, Default)]
pub struct TickRows {
    /// Events.
    pub events: Vec<Event>,
    /// Metric rows.
    pub metrics: Vec<MetricPoint>,
}

/// What a tick changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TickOutcome {
    /// Findings that came (+1) and went (-1).
    pub findings: Vec<Change<Finding>>,
    /// Hourly summaries to recompute.
    pub rollups: Vec<RollupKey>,
    /// Ordered pairs of event types tested, when an evaluation changed it.
    pub event_pairs_tested: Option<u64>,
    /// Pairs of metric series tested, when an evaluation changed it.
    pub metric_pairs_tested: Option<u64>,
}

/// The engine cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The worker threads could not be started.
    #[error("cannot start the engine's worker threads: {problem}")]
    Start {
        /// What timely said.
        problem: String,
    },
    /// A worker panicked: a bug, never the data's fault.
    #[error(
        "worker {worker} of the engine failed on tick {tick}: {panic}; this is a bug, please report it with this text"
    )]
    Panicked {
        /// Which worker.
        worker: usize,
        /// On which tick.
        tick: u64,
        /// The panic's message.
        panic: String,
    },
    /// The worker threads are gone.
    #[error("the engine's worker threads ended unexpectedly")]
    Gone,
}

struct Command {
    tick: u64,
    rows: TickRows,
    evaluate: Option<Evaluate>,
}

struct Reply {
    tick: u64,
    worker: usize,
    result: Result<Vec<Change<Outcome>>, String>,
}

/// A running dataflow, fed by this process.
pub struct Engine {
    tick: u64,
    is_mid_tick: bool,
    abandoned: Arc<AtomicBool>,
    commands: Vec<mpsc::SyncSender<Command>>,
    replies: async_mpsc::Receiver<Reply>,
}

impl Engine {
    /// Starts `workers` worker threads. They end when the engine is dropped.
    pub fn start(params: Params, workers: usize) -> Result<Engine, EngineError> {
        Engine::start_among(params, workers, None)
    }

    /// Starts `workers` worker threads in this process, which is process 0 of its peers. They end when the engine is
    /// dropped, and so do the workers of the peers.
    pub fn start_among(params: Params, workers: usize, peers: Option<Peers>) -> Result<Engine, EngineError> {
        // one tick at a time: at most one command and one reply wait for each worker
        let (reply_to, replies) = async_mpsc::channel(workers);
        let (commands, inboxes): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::sync_channel(1)).unzip();
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
        Ok(Engine { tick: 0, is_mid_tick: false, abandoned, commands, replies })
    }

    /// Feeds one tick and waits until it is complete on all workers.
    pub async fn tick(&mut self, rows: TickRows, evaluate: Option<Evaluate>) -> Result<TickOutcome, EngineError> {
        let tick = self.tick;
        self.tick += 1;
        self.is_mid_tick = true;
        let mut evaluate = evaluate;
        for (share, command) in divide(rows, self.commands.len()).into_iter().zip(&self.commands) {
            // one worker takes the order and sends it to all
            let command_sent = command.send(Command { tick, rows: share, evaluate: evaluate.take() });
            command_sent.map_err(|_| EngineError::Gone)?;
        }
        let mut outcomes = Vec::new();
        for _ in 0..self.commands.len() {
            let reply = self.replies.recv().await.ok_or(EngineError::Gone)?;
            debug_assert_eq!(reply.tick, tick, "ticks are answered one at a time");
            outcomes.extend(reply.result.map_err(|panic| EngineError::Panicked {
                worker: reply.worker,
                tick,
                panic,
            })?);
        }
        self.is_mid_tick = false;
        Ok(sort_out(outcomes))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // a tick that failed, or that nobody waits for any more, may never be complete
        if self.is_mid_tick {
            self.abandoned.store(true, Ordering::Relaxed);
        }
    }
}

/// Equal shares, in order, one for each worker.
fn divide(rows: TickRows, workers: usize) -> Vec<TickRows> {
    let events_each = rows.events.len().div_ceil(workers).max(1);
    let metrics_each = rows.metrics.len().div_ceil(workers).max(1);
    let (mut events, mut metrics) = (rows.events.into_iter(), rows.metrics.into_iter());
    (0..workers)
        .map(|_| TickRows {
            events: events.by_ref().take(events_each).collect(),
            metrics: metrics.by_ref().take(metrics_each).collect(),
        })
        .collect()
}

fn sort_out(mut outcomes: Vec<Change<Outcome>>) -> TickOutcome {
    consolidate(&mut outcomes);
    let mut sorted = TickOutcome::default();
    for (outcome, diff) in outcomes {
        match outcome {
            Outcome::Finding(finding) => sorted.findings.push((finding, diff)),
            Outcome::Rollup(key) => sorted.rollups.push(key),
            Outcome::EventPairsTested(pairs) => sorted.event_pairs_tested = Some(pairs),
            Outcome::MetricPairsTested(pairs) => sorted.metric_pairs_tested = Some(pairs),
        }
    }
    sorted
}

/// The life of one worker of the process that feeds: ticks until the engine is dropped.
fn work(
    worker: &mut Worker,
    params: &Params,
    inbox: &mpsc::Receiver<Command>,
    reply_to: &async_mpsc::Sender<Reply>,
    is_over: &AtomicBool,
) {
    let mut ports = dataflow::build(worker, params);
    loop {
        match inbox.recv_timeout(IDLE_STEP) {
            Ok(command) => {
                let tick = command.tick;
                // a panic here would leave the other workers waiting for ever; it is told instead
                let outcome = catch_unwind(AssertUnwindSafe(|| run_tick(worker, &mut ports, command, is_over)));
                let result = match outcome {
                    Ok(Some(outcomes)) => Ok(outcomes),
                    Ok(None) => return abandon(worker),
                    Err(panic) => Err(panic_text(panic.as_ref())),
                };
                let panicked = result.is_err();
                let _ = reply_to.blocking_send(Reply { tick, worker: worker.index(), result });
                if panicked {
                    return abandon(worker);
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                worker.step();
            }
            // the inputs close with the ports, and what is under way is finished
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What came out of the tick; `None` when nobody waits for it any more.
fn run_tick(
    worker: &mut Worker,
    ports: &mut dataflow::Ports,
    command: Command,
    is_over: &AtomicBool,
) -> Option<Vec<Change<Outcome>>> {
    for event in command.rows.events {
        ports.events.update(event, 1);
    }
    for point in command.rows.metrics {
        ports.metrics.update(point, 1);
    }
    if let Some(order) = command.evaluate {
        ports.evaluate.update(order, 1);
    }
    ports.close_tick(command.tick);
    while ports.probe.less_than(&(command.tick + 1)) {
        if is_over.load(Ordering::Relaxed) {
            return None;
        }
        worker.step_or_park(Some(IDLE_STEP));
    }
    Some(ports.outcomes.take())
}
