//! What happened in a simulation, line by line, each with its time: the same seed gives the same lines.

use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// Clones write to the same trace.
#[derive(Clone)]
pub struct Trace {
    begun: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    pub fn begin() -> Trace {
        Trace { begun: Instant::now(), lines: Arc::default() }
    }

    pub fn note(&self, line: impl AsRef<str>) {
        let ms = self.begun.elapsed().as_millis();
        self.lines.lock().unwrap().push(format!("{:>5}.{:03} {}", ms / 1_000, ms % 1_000, line.as_ref()));
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}
