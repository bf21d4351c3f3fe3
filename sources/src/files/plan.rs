//! The files in order, read on a separate thread, alternating between metric and event files.

use super::chunk::Chunk;
use super::config::InputFile;
use super::position::{FilePosition, Found};
use super::reader::FileReader;
use crate::Batch;
use crate::error::SourceError;
use crate::report::{FailedInput, FailureClass, InputReport};
use model::clock::SharedClock;
use model::error::one_line;
use model::position::Positions;
use std::collections::VecDeque;
use std::io::ErrorKind;
use tokio::sync::mpsc;

/// What the thread sends.
pub(super) enum Message {
    /// A batch, and its number of input bytes.
    Batch(Box<Batch>, u64),
    /// Number of input bytes that need no reading.
    Skipped(u64),
    /// Everything has been read. Without it a closed channel means that the reader died.
    Finished,
}

/// The remaining files: metrics and events, each in order.
pub(super) struct Plan {
    queues: [VecDeque<InputFile>; 2],
    positions: Positions,
    clock: SharedClock,
}

/// A file that is being read.
struct Open {
    reader: FileReader,
    input: InputFile,
    bytes_before: u64,
    /// It is read from its start, although it had been read before.
    is_restarted: bool,
}

/// Where reading of a file starts.
enum Begun {
    /// At its position; this many bytes were read before.
    Open(Box<Open>, u64),
    /// It has been read, and has as many bytes.
    Unchanged(u64),
    /// It cannot be read.
    Failed(Message),
}

impl Plan {
    pub(super) fn new(files: [Vec<InputFile>; 2], positions: &Positions, clock: SharedClock) -> Plan {
        Plan { queues: files.map(VecDeque::from), positions: positions.clone(), clock }
    }

    /// The length of all files.
    pub(super) fn bytes_in_all(&self) -> u64 {
        self.queues.iter().flatten().map(|file| file.fingerprint.len_bytes).sum()
    }

    /// Reads everything, alternating between metrics and events, until the end or until the receiver is dropped.
    pub(super) fn read_all(mut self, sender: &mpsc::Sender<Message>) {
        let mut open: [Option<Open>; 2] = [None, None];
        let mut turn = 0;
        let mut unchanged_files = 0;
        loop {
            while open[turn].is_none()
                && let Some(input) = self.queues[turn].pop_front()
            {
                let message = match self.begin(input) {
                    Begun::Open(file, done) => {
                        open[turn] = Some(*file);
                        Message::Skipped(done)
                    }
                    Begun::Unchanged(done) => {
                        unchanged_files += 1;
                        Message::Skipped(done)
                    }
                    Begun::Failed(message) => message,
                };
                if sender.blocking_send(message).is_err() {
                    return;
                }
            }
            if let Some(file) = &mut open[turn] {
                let (message, is_last) = file.step();
                if is_last {
                    open[turn] = None;
                }
                if sender.blocking_send(message).is_err() {
                    return;
                }
            }
            if open.iter().all(Option::is_none) && self.queues.iter().all(VecDeque::is_empty) {
                break;
            }
            turn = 1 - turn;
        }
        if unchanged_files > 0 {
            let report = InputReport { unchanged_files, ..InputReport::default() };
            let _ = sender.blocking_send(Message::Batch(Box::new(Batch { report, ..Batch::default() }), 0));
        }
        // the receiver may have been dropped
        let _ = sender.blocking_send(Message::Finished);
    }

    /// Opens a file at its position.
    fn begin(&self, input: InputFile) -> Begun {
        let (from, found) = FilePosition::resume(self.positions.0.get(&input.partition), &input);
        if found == Found::Unchanged {
            return Begun::Unchanged(input.fingerprint.len_bytes);
        }
        let bytes_before = from.bytes_read();
        match FileReader::open(&input, from, &self.clock) {
            Ok(reader) => {
                let is_restarted = found == Found::Replaced;
                Begun::Open(Box::new(Open { reader, input, bytes_before, is_restarted }), bytes_before)
            }
            Err(error) => Begun::Failed(failed(&input, &error, input.fingerprint.len_bytes)),
        }
    }
}

impl Open {
    /// The next batch, and whether it is the last one of this file.
    fn step(&mut self) -> (Message, bool) {
        let len_bytes = self.input.fingerprint.len_bytes;
        let left = len_bytes.saturating_sub(self.bytes_before);
        match self.reader.next() {
            Some(Ok(chunk)) => {
                let done = chunk.bytes_done().saturating_sub(self.bytes_before);
                self.bytes_before += done;
                (Message::Batch(Box::new(self.batch(chunk)), done), self.reader.is_at_end())
            }
            Some(Err(error)) => (failed(&self.input, &error, left), true),
            None => (Message::Skipped(left), true),
        }
    }

    fn batch(&mut self, chunk: Chunk) -> Batch {
        let Chunk { rows, rejects, settled, report, position } = chunk;
        let partition = &self.input.partition;
        let restarted = if std::mem::take(&mut self.is_restarted) { vec![partition.clone()] } else { Vec::new() };
        let positions = Positions([(partition.clone(), position.to_text())].into());
        Batch { rows, rejects, positions, restarted, settled, report, ..Batch::default() }
    }
}

/// A file that cannot be read, or not to its end: it is named, and the others are read.
fn failed(input: &InputFile, error: &SourceError, bytes_left: u64) -> Message {
    let class = match error {
        SourceError::File { cause, .. } => match cause.kind() {
            ErrorKind::NotFound => FailureClass::NotFound,
            ErrorKind::PermissionDenied => FailureClass::Permission,
            _ => FailureClass::Unreadable,
        },
        _ => FailureClass::Format,
    };
    let problem = one_line(error);
    let mut report = InputReport::default();
    report.add_failed(FailedInput { input: input.partition.clone(), class, problem });
    Message::Batch(Box::new(Batch { report, ..Batch::default() }), bytes_left)
}
