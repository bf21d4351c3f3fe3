//! Files as a finite source: parquet, CSV and NDJSON, streamed in bounded chunks, resumable at every chunk.
//!
//! | file | owns |
//! |---|---|
//! | `config` | globs, and the fixed list of files they match |
//! | `position` | rows, lines and bytes done, and whether the file is still the same |
//! | `fingerprint` | length and time, by which a file counts as unchanged before it is opened |
//! | `content` | hashes by which a file is known again |
//! | `chunk` | decoded and refused rows with the position after them |
//! | `objects` | JSON objects in any layout |
//! | `input`, `lines` | the bytes of an open file, and its lines |
//! | `ndjson`, `csv`, `parquet` | the formats |
//! | `reader` | one open file of any format |
//! | `plan` | the files in their order, read on a thread |
//! | `look` | whether each file can be opened, for a check before a run |
//!
//! A partition is a file as the config names it; its position is a [`position::FilePosition`]. Reading happens on a
//! separate thread, at most a few chunks ahead, so that the runtime never waits for a disk. A file that cannot be read
//! is reported by name, and the others are read.

mod chunk;
mod config;
mod content;
mod csv;
mod fingerprint;
mod input;
mod lines;
mod look;
mod ndjson;
mod objects;
mod parquet;
mod plan;
mod position;
mod reader;
#[cfg(test)]
mod tests;

pub use chunk::{CHUNK_ROWS_MAX, Chunk};
pub use config::{FileFormat, FilesConfig};
pub use look::FileLook;
pub use reader::{FileReader, kind_of, open};

use crate::{Batch, Source, SourceError};
use async_trait::async_trait;
use model::clock::SharedClock;
use model::position::Positions;
use plan::{Message, Plan};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Chunks read ahead of the consumer.
const CHUNKS_AHEAD_MAX: usize = 4;

/// Metric and event files, read to their end.
pub struct FilesSource {
    bytes_done: u64,
    bytes_in_all: u64,
    state: State,
}

enum State {
    /// Nothing has been requested yet: the reader thread is not running.
    Idle(Plan),
    /// The reader thread sends.
    Reading(mpsc::Receiver<Message>),
    /// Everything has been delivered, or an error ended the source.
    Done,
}

impl FilesConfig {
    /// Expands the globs and fixes the list of files and their start positions.
    pub fn build(&self, positions: &Positions, clock: &SharedClock) -> Result<FilesSource, SourceError> {
        let (metrics, events) = self.expand()?;
        let plan = Plan::new([metrics, events], positions, clock.clone());
        Ok(FilesSource { bytes_done: 0, bytes_in_all: plan.bytes_in_all(), state: State::Idle(plan) })
    }
}

#[async_trait]
impl Source for FilesSource {
    fn name(&self) -> &str {
        "files"
    }

    fn is_finite(&self) -> bool {
        true
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        self.start()?;
        let State::Reading(chunks) = &mut self.state else { return Ok(None) };
        loop {
            match chunks.recv().await {
                Some(Message::Batch(batch, bytes)) => {
                    self.bytes_done += bytes;
                    return Ok(Some(*batch));
                }
                Some(Message::Skipped(bytes)) => self.bytes_done += bytes,
                Some(Message::Finished) => {
                    self.state = State::Done;
                    return Ok(None);
                }
                None => {
                    self.state = State::Done;
                    return Err(thread_error("the reader thread ended early"));
                }
            }
        }
    }

    fn progress_bytes(&self) -> Option<(u64, u64)> {
        Some((self.bytes_done, self.bytes_in_all))
    }
}

impl FilesSource {
    /// Starts the reader thread at the first call.
    fn start(&mut self) -> Result<(), SourceError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Idle(plan) => {
                let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD_MAX);
                std::thread::Builder::new()
                    .name("files-reader".to_owned())
                    .spawn(move || plan.read_all(&sender))
                    .map_err(|cause| SourceError::File { path: PathBuf::from("files"), cause })?;
                self.state = State::Reading(receiver);
            }
            other => self.state = other,
        }
        Ok(())
    }
}

fn thread_error(problem: &str) -> SourceError {
    SourceError::File { path: PathBuf::from("files"), cause: std::io::Error::other(problem.to_owned()) }
}
