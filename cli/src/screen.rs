//! The one place that draws moving progress on stderr, so that messages and log lines never tear it.

use crate::harmless::harmless;
use indicatif::{MultiProgress, ProgressBar};
use std::io::{self, Write};
use std::sync::LazyLock;

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Shows a bar until it is finished.
pub fn show(bar: ProgressBar) -> ProgressBar {
    BARS.add(bar)
}

/// Writes while the bars are out of the way.
pub fn between_frames<T>(write: impl FnOnce() -> T) -> T {
    BARS.suspend(write)
}

/// Stderr for log lines.
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // a line may quote what came from outside
        let text = String::from_utf8_lossy(bytes);
        between_frames(|| io::stderr().lock().write_all(harmless(&text, true).as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
