//! Files as a finite source: parquet, CSV and NDJSON, streamed in bounded chunks, resumable at every chunk.
//!
//! | file | owns |
//! |---|---|
//! | `config` | globs, and the fixed list of files they stand for |
//! | `position` | rows, lines and bytes done, and whether the file is still the same |
//! | `record` | a record as named cells |
//! | `decode` | from cells to checked rows |
//! | `chunk` | decoded and refused rows with the position after them |
//! | `json` | one JSON object as a record |
//! | `ndjson`, `csv`, `parquet`, `column` | the formats |
//! | `reader` | one open file of any format |
//! | `look` | whether each file can be opened, for a check before a run |
//!
//! A partition is a file as the config names it; its position is a [`position::FilePosition`]. Reading happens on a
//! thread of its own, at most a few chunks ahead, so that the runtime never waits for a disk.

mod chunk;
mod column;
mod config;
mod csv;
pub(crate) mod decode;
pub(crate) mod json;
mod look;
pub(crate) mod ndjson;
mod parquet;
mod position;
mod reader;
pub(crate) mod record;
#[cfg(test)]
mod tests;

pub use chunk::{CHUNK_ROWS_MAX, Chunk};
pub use config::{FileFormat, FileKind, FilesConfig};
pub use look::FileLook;
pub use reader::{FileReader, open};

use crate::{Batch, Source, SourceError};
use async_trait::async_trait;
use config::InputFile;
use model::clock::SharedClock;
use model::position::Positions;
use position::FilePosition;
use std::collections::VecDeque;
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
    /// Nothing has been asked for yet: the reader thread is not running.
    Idle(Plan),
    /// The reader thread sends.
    Reading(mpsc::Receiver<Message>),
    /// Everything has been delivered, or an error ended the source.
    Done,
}

enum Message {
    /// A batch, and how many bytes of input it stands for.
    Batch(Box<Batch>, u64),
    Failed(SourceError),
    /// Everything has been read. Without it a closed channel means that the reader died.
    Finished,
}

impl FilesConfig {
    /// Expands the globs and fixes the list of files and where each is begun.
    pub fn build(&self, positions: &Positions, clock: &SharedClock) -> Result<FilesSource, SourceError> {
        let (metrics, events) = self.expand()?;
        let mut bytes_done = 0;
        let mut bytes_in_all = 0;
        let mut queue = |files: Vec<InputFile>| {
            let mut queue = VecDeque::new();
            for file in files {
                let from = FilePosition::resume(positions.0.get(&file.partition), file.fingerprint);
                bytes_in_all += file.fingerprint.len_bytes;
                bytes_done += from.bytes;
                // an empty file never recorded still has to be seen: its header may be wrong
                if !from.is_done() || !positions.0.contains_key(&file.partition) {
                    queue.push_back((file, from));
                }
            }
            queue
        };
        let plan = Plan { queues: [queue(metrics), queue(events)], clock: clock.clone() };
        Ok(FilesSource { bytes_done, bytes_in_all, state: State::Idle(plan) })
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
        match chunks.recv().await {
            Some(Message::Batch(batch, bytes)) => {
                self.bytes_done += bytes;
                Ok(Some(*batch))
            }
            Some(Message::Finished) => {
                self.state = State::Done;
                Ok(None)
            }
            Some(Message::Failed(error)) => {
                self.state = State::Done;
                Err(error)
            }
            None => {
                self.state = State::Done;
                Err(thread_error("the reader thread ended early"))
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

/// What is still to be read: metric files and event files, each in order.
struct Plan {
    queues: [VecDeque<(InputFile, FilePosition)>; 2],
    clock: SharedClock,
}

impl Plan {
    /// Reads everything, alternating between metrics and events, until the end or until nobody listens any more.
    fn read_all(mut self, sender: &mpsc::Sender<Message>) {
        let mut open: [Option<(FileReader, String, u64)>; 2] = [None, None];
        let mut turn = 0;
        loop {
            if open[turn].is_none()
                && let Some((file, from)) = self.queues[turn].pop_front()
            {
                match FileReader::open(&file, from, &self.clock) {
                    Ok(reader) => open[turn] = Some((reader, file.partition, from.bytes)),
                    Err(error) => {
                        let _ = sender.blocking_send(Message::Failed(error));
                        return;
                    }
                }
            }
            if let Some((reader, partition, bytes_before)) = &mut open[turn] {
                let message = match reader.next() {
                    Some(Ok(chunk)) => {
                        let bytes = chunk.bytes_done() - *bytes_before;
                        *bytes_before = chunk.bytes_done();
                        Message::Batch(Box::new(into_batch(chunk, partition)), bytes)
                    }
                    Some(Err(error)) => Message::Failed(error),
                    None => {
                        open[turn] = None;
                        continue;
                    }
                };
                let is_last = matches!(message, Message::Failed(_));
                if sender.blocking_send(message).is_err() || is_last {
                    return;
                }
            }
            let is_finished = open.iter().all(Option::is_none) && self.queues.iter().all(VecDeque::is_empty);
            if is_finished {
                let _ = sender.blocking_send(Message::Finished);
                return;
            }
            turn = 1 - turn;
        }
    }
}

fn into_batch(chunk: Chunk, partition: &str) -> Batch {
    let positions = [(partition.to_owned(), chunk.position.to_text())].into();
    Batch { rows: chunk.rows, rejects: chunk.rejects, positions: Positions(positions), ..Batch::default() }
}
