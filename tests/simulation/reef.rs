//! The reef of a simulation: the real run loop, engine and sources over a store that outlives its runs.

use super::colonies::Colony;
use super::store::SimStore;
use super::trace::Trace;
use mesh::Network;
use mesh::memory::MemoryNet;
use model::clock::ManualClock;
use model::exposition::Exposition;
use model::instruments::Registry;
use model::time::TimeMs;
use pipelines::config::{Format, ReefConfig, parse};
use pipelines::open::inputs;
use pipelines::progress::RunSummary;
use pipelines::run::{Controls, RunOptions, drive_in_turns};
use sinks::StoreWriter;
use sources::SourceContext;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A reef that takes longer to stop hangs: a commit may be tried again for a minute.
const STOP_MAX: Duration = Duration::from_secs(180);

/// One reef.
pub struct Reef {
    config: ReefConfig,
    context: SourceContext,
    clock: Arc<ManualClock>,
    pub store: SimStore,
    trace: Trace,
    running: Option<Running>,
    /// What each run has counted.
    pub counted: Vec<Exposition>,
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<RunSummary, String>>,
    registry: Registry,
}

impl Reef {
    pub fn new(colonies: &[Colony], seed: u64, (net, trace): (&MemoryNet, &Trace)) -> Reef {
        let clock = ManualClock::at(TimeMs(0));
        let network = Network::in_memory(net.clone());
        let context = SourceContext { jitter_seed: Some(seed), ..SourceContext::new(clock.clone(), network) };
        let config = config(colonies);
        Reef {
            config,
            context,
            clock,
            store: SimStore::new(trace),
            trace: trace.clone(),
            running: None,
            counted: Vec::new(),
        }
    }

    pub fn set_clock(&self, now: TimeMs) {
        self.clock.set(now);
    }

    /// Starts a run where the last one left the store.
    pub fn start(&mut self) {
        self.trace.note("reef starts");
        let (options, Controls { stop, .. }) = RunOptions::new(self.clock.clone(), self.context.network.clone());
        let registry = options.registry.clone();
        let context = SourceContext { registry: registry.clone(), ..self.context.clone() };
        let (config, store) = (self.config.clone(), self.store.clone());
        let task = tokio::spawn(async move {
            let positions = store.reader().positions().await.map_err(|error| error.to_string())?;
            let sources = inputs::build(&config, &positions, &context).map_err(|error| error.to_string())?;
            let driven = drive_in_turns(&config, Box::new(store), sources, options).await;
            driven.map(|(summary, _)| summary).map_err(|error| error.to_string())
        });
        self.running = Some(Running { stop, task, registry });
    }

    /// Whether the run goes on; one that has ended by itself has given up on its store.
    pub async fn is_running(&mut self) -> bool {
        let has_ended = self.running.as_ref().is_some_and(|running| running.task.is_finished());
        if has_ended {
            let Running { task, registry, .. } = self.running.take().unwrap();
            let ended = task.await.unwrap();
            self.note_counted(&registry);
            self.trace.note(format!("reef ended: {}", ended.map_or_else(|error| error, |_| "by itself".to_owned())));
        }
        self.running.is_some()
    }

    /// Asks it to drain and end.
    pub async fn stop(&mut self) {
        let Some(Running { stop, task, registry }) = self.running.take() else { return };
        stop.send_replace(true);
        let ended = timeout(STOP_MAX, task).await.expect("the reef stops").unwrap();
        let said = match ended {
            Ok(summary) => format!("{:?}", summary.ended),
            Err(error) => error,
        };
        self.note_counted(&registry);
        self.trace.note(format!("reef stopped: {said}"));
    }

    /// What a run has counted is part of the trace, except for what this machine's memory decides.
    fn note_counted(&mut self, registry: &Registry) {
        let text = registry.text();
        let counted = Exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        self.counted.push(counted);
        let is_value = |line: &&str| line.starts_with("reef_") && !line.starts_with("reef_memory_");
        text.lines().filter(is_value).for_each(|line| self.trace.note(line));
    }

    /// Ends it wherever it is.
    pub async fn kill(&mut self) {
        if let Some(Running { task, registry, .. }) = self.running.take() {
            task.abort();
            let _ = task.await;
            self.note_counted(&registry);
            self.trace.note("reef killed");
        }
    }
}

fn config(colonies: &[Colony]) -> ReefConfig {
    let mut text = "reef_id = \"sim-a1b2c3\"\nname = \"simulation\"\n\
         [collection]\nallowed_lateness = \"6h\"\nsummary_interval = \"1s\"\n\
         [correlation]\nhorizon = \"12d\"\nmax_lag = \"1h\"\nmetric_window = \"6h\"\n\
         [engine]\nworkers = 1\ntick_rows_max = 300\n"
        .to_owned();
    for colony in colonies {
        text += &format!("[[colonies]]\ncolony_id = \"{}\"\nendpoint = \"http://{}\"\n", colony.id, colony.address);
    }
    parse(&text, Format::Toml, Path::new("reef.toml")).unwrap()
}
