//! Clusters of two and three processes inside this one: the same tasks, threads and connections, and a source whose
//! partitions they share.
#![allow(clippy::unwrap_used)]

mod faults;
mod parts;
mod runs;
mod wires;

use super::{BuildInputs, ClusterEnd, run_with};
use crate::config::{Format, ReefConfig, parse};
use crate::error::RunError;
use crate::open::inputs::InputError;
use crate::open::store;
use crate::progress::Progress;
use crate::run::{Controls, RunOptions, drive};
use mesh::Network;
use model::clock::SystemClock;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use parts::{Ending, Parts};
use sinks::prediction_revisions::PREDICTION_REVISIONS;
use sinks::revisions::REVISIONS;
use sources::SourceContext;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Nothing here takes as long.
const LIMIT: Duration = Duration::from_secs(120);

/// Addresses that were free a moment ago.
fn free_hosts(count: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

fn config(folder: &Path, hosts: &[String], more: &str) -> ReefConfig {
    let text = format!(
        "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"unread.ndjson\"]\n[storage]\npath = \"r.duckdb\"\n\
         [engine]\nhosts = {hosts:?}\nworkers = 1\ntick_rows_max = 500\ntick_interval = \"20ms\"\npeer_wait = \"60s\"\n{more}\n"
    );
    parse(&text, Format::Toml, &folder.join("reef.toml")).unwrap()
}

/// A run by this machine's clock.
fn options() -> (RunOptions, Controls) {
    RunOptions::new(SystemClock::shared(), Network::plain())
}

/// One process as a separate task; it stops when `stop` becomes true.
struct Process {
    stop: watch::Sender<bool>,
    seen: watch::Receiver<Progress>,
    task: tokio::task::JoinHandle<Result<ClusterEnd, RunError>>,
}

impl Process {
    fn start(config: &ReefConfig, process: usize, inputs: Arc<BuildInputs>) -> Process {
        let (options, Controls { progress: seen, stop }) = options();
        let config = config.clone();
        let task = tokio::spawn(async move { run_with(&config, process, options, &|_| {}, inputs.as_ref()).await });
        Process { stop, seen, task }
    }

    async fn end(self) -> Result<ClusterEnd, RunError> {
        tokio::time::timeout(LIMIT, self.task).await.expect("a process never hangs").unwrap()
    }

    async fn failure(self) -> String {
        model::error::one_line(&self.end().await.unwrap_err())
    }

    /// Waits until the process has seen this.
    async fn sees(&mut self, what: impl Fn(&Progress) -> bool) {
        let waited = tokio::time::timeout(LIMIT, self.seen.wait_for(|progress| what(progress))).await;
        assert!(waited.expect("it comes to that").is_ok(), "the process has ended before");
    }
}

/// Starts every process of the configuration.
fn start_all(config: &ReefConfig, parts: &Parts) -> Vec<Process> {
    (0..config.engine.hosts.len()).map(|process| Process::start(config, process, parts.inputs())).collect()
}

/// Everything a run leaves behind that later runs build on.
#[derive(Debug, PartialEq)]
struct Stored {
    correlations: Vec<(Correlation, Vec<Evidence>)>,
    positions: BTreeMap<String, Positions>,
    rows: BTreeMap<String, u64>,
    rejects: BTreeMap<String, u64>,
}

async fn stored(config: &ReefConfig) -> Stored {
    let store = store::open(config).await.unwrap();
    let mut correlations = Vec::new();
    let reader = store.reader();
    for correlation in reader.correlations().await.unwrap() {
        let evidence = reader.evidence(&correlation.key.correlation_id()).await.unwrap();
        correlations.push((correlation, evidence));
    }
    let mut totals = reader.totals().await.unwrap();
    // how often something was learnt depends on when a run evaluates
    totals.rows.remove(REVISIONS);
    totals.rows.remove(PREDICTION_REVISIONS);
    let positions = reader.positions().await.unwrap();
    store.close().await.unwrap();
    Stored { correlations, positions, rows: totals.rows, rejects: totals.rejects }
}

/// The result of a single process.
async fn undisturbed(parts: &Parts) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &free_hosts(2), "");
    let parts = Parts { ending: Ending::Finite, ..parts.clone() };
    let context = SourceContext::new(SystemClock::shared(), Network::plain());
    let build = |positions: &BTreeMap<String, Positions>| -> Result<_, InputError> {
        parts.inputs()(&config, positions, sources::share::Share::WHOLE, &context)
    };
    let (options, _controls) = options();
    let store = store::open(&config).await.unwrap();
    let (_, store) = drive(&config, store, build(&BTreeMap::new()).unwrap(), options).await.unwrap();
    store.close().await.unwrap();
    let stored = stored(&config).await;
    assert!(stored.correlations.len() > 10, "there is something to be found");
    stored
}
