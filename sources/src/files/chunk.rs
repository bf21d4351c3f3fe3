//! A chunk of a file: decoded rows, refused rows, and where the reader stands after them.

use super::config::FileKind;
use super::decode::{colony_of, decode_event, decode_metric};
use super::position::FilePosition;
use super::record::Record;
use model::check::Fault;
use model::clock::SharedClock;
use model::reject::{RAW_CHARS_MAX, Reject};
use model::rows::Rows;
use model::time::TimeMs;

/// The most records in one chunk, good and bad together.
pub const CHUNK_ROWS_MAX: usize = 8_192;

/// What one step of a reader gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Decoded, checked rows: events or metrics, as the file's kind says.
    pub rows: Rows,
    /// Refused rows, each with its place.
    pub rejects: Vec<Reject>,
    /// Where the reader stands after this chunk.
    pub(crate) position: FilePosition,
}

impl Chunk {
    /// Records taken from the file so far, good and bad together.
    pub fn rows_done(&self) -> u64 {
        self.position.rows
    }

    /// Bytes of the file done so far.
    pub fn bytes_done(&self) -> u64 {
        self.position.bytes
    }
}

/// Fills a chunk: decodes what a format hands over and keeps what is refused.
pub(crate) struct Collector {
    source: String,
    label: String,
    kind: FileKind,
    clock: SharedClock,
    /// The clock when the chunk was begun.
    now: TimeMs,
    chunk: Chunk,
}

impl Collector {
    pub(crate) fn new(source: &str, label: &str, kind: FileKind, clock: SharedClock) -> Collector {
        let (now, chunk) = (clock.now(), Chunk::default());
        Collector { source: source.to_owned(), label: label.to_owned(), kind, clock, now, chunk }
    }

    /// How many records the chunk holds, good and bad together.
    pub(crate) fn len(&self) -> usize {
        self.chunk.rows.len() + self.chunk.rejects.len()
    }

    /// Decodes a record. `place` is the number after the file name, `:17` or ` row 17`; `raw` is the record as it came.
    pub(crate) fn take(&mut self, record: &impl Record, place: impl Fn() -> String, raw: impl Fn() -> String) {
        let fault = match self.kind {
            FileKind::Events => decode_event(record, self.now).map(|row| self.chunk.rows.events.push(row)),
            FileKind::Metrics => decode_metric(record, self.now).map(|row| self.chunk.rows.metrics.push(row)),
        };
        if let Err(fault) = fault {
            self.refuse(colony_of(record), fault, &place(), &raw());
        }
    }

    /// Keeps a refused record.
    pub(crate) fn refuse(&mut self, colony_id: Option<String>, fault: Fault, place: &str, raw: &str) {
        let (reason, detail) = fault;
        self.chunk.rejects.push(Reject {
            source: self.source.clone(),
            place: format!("{}{place}", self.label),
            colony_id,
            reason,
            detail,
            raw: raw.chars().take(RAW_CHARS_MAX).collect(),
            rejected_at: self.now,
        });
    }

    /// The chunk so far, which ends at `position`.
    pub(crate) fn finish(&mut self, position: FilePosition) -> Chunk {
        self.now = self.clock.now();
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.position = position;
        chunk
    }
}
