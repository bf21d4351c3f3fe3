//! Recordings with known truth: the generated twin on every machine, and the real one where it is beside the checkout.

use fixtures::twins::Twin;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with `events.ndjson`, `metrics.parquet` and `ground_truth.json`.
pub struct Recording {
    /// For messages: `releases` or `the twin of releases`.
    pub name: String,
    folder: PathBuf,
    /// Holds the files of a twin while the test runs.
    _written: Option<TempDir>,
}

impl Recording {
    /// Everything that is tested on this recording: its twin, and the real one where this machine has it.
    pub fn all(name: &str) -> Vec<Recording> {
        let twin = Recording::twin(name);
        std::iter::once(twin).chain(Recording::real(name)).collect()
    }

    /// One of them, for tests that take long: the real one where this machine has it, otherwise the twin.
    pub fn any(name: &str) -> Recording {
        Recording::real(name).unwrap_or_else(|| Recording::twin(name))
    }

    /// The real one, or `None` with a loud line when this machine lacks it.
    fn real(name: &str) -> Option<Recording> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
        if folder.exists() {
            return Some(Recording { name: name.to_owned(), folder: folder.canonicalize().unwrap(), _written: None });
        }
        #[expect(clippy::print_stderr, reason = "a test without its real data must be seen")]
        {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            eprintln!("SKIPPED {test} on the real {name}: {} is absent; its twin is tested", folder.display());
        }
        None
    }

    fn twin(name: &str) -> Recording {
        let twin = Twin::of(name).unwrap();
        let written = tempfile::tempdir().unwrap();
        let folder = written.path().to_owned();
        sources::generator::write_events(&folder.join("events.ndjson"), &twin.events).unwrap();
        sources::generator::write_metrics(&folder.join("metrics.parquet"), twin.metrics.into_iter()).unwrap();
        std::fs::write(folder.join("ground_truth.json"), twin.truth.to_string()).unwrap();
        Recording { name: format!("the twin of {name}"), folder, _written: Some(written) }
    }

    pub fn events(&self) -> PathBuf {
        self.folder.join("events.ndjson")
    }

    pub fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.parquet")
    }

    /// How many events there are.
    pub fn event_count(&self) -> usize {
        std::fs::read_to_string(self.events()).unwrap().lines().count()
    }

    /// What is known to be true of it.
    pub fn truth(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.folder.join("ground_truth.json")).unwrap()).unwrap()
    }

    /// The relations of its truth.
    pub fn relations(&self) -> Vec<Value> {
        self.truth()["relations"].as_array().unwrap().clone()
    }
}
