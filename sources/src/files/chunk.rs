//! A chunk of a file: decoded rows, rejects, and the position after them.

use super::config::InputFile;
use super::position::FilePosition;
use crate::record::Notes;
use crate::record::RowKind;
use crate::record::decode::{colony_of, decode_event, decode_metric, series_of};
use crate::record::fields::Record;
use crate::report::InputReport;
use model::check::Fault;
use model::clock::SharedClock;
use model::event::Event;
use model::metric::MetricPoint;
use model::reject::{RAW_CHARS_MAX, Reject};
use model::rows::Rows;
use model::series::SeriesCache;
use model::time::TimeMs;

/// The most records in one chunk, good and bad together.
pub const CHUNK_ROWS_MAX: usize = 8_192;
/// The memory that the rows of one chunk take at most, roughly, unless a single one takes more.
pub const CHUNK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The result of one step of a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Decoded, checked rows: events or metrics, as the file's kind says.
    pub rows: Rows,
    /// Refused rows, each with its place.
    pub rejects: Vec<Reject>,
    /// Places of rejects of an earlier read that no longer hold: records that had no end then.
    pub settled: Vec<String>,
    /// Corrections and omissions in accepted rows, and rejected series.
    pub report: InputReport,
    /// The position after this chunk.
    pub(crate) position: FilePosition,
}

impl Chunk {
    /// Records taken from the file so far, good and bad together.
    pub fn rows_done(&self) -> u64 {
        self.position.rows
    }

    /// Bytes of the file done so far.
    pub fn bytes_done(&self) -> u64 {
        self.position.bytes_read()
    }
}

/// Fills a chunk: decodes the records of a format and collects rejects.
pub(crate) struct Collector {
    source: String,
    label: String,
    kind: RowKind,
    clock: SharedClock,
    /// The time at which the chunk was started.
    now: TimeMs,
    chunk: Chunk,
    bytes: usize,
    notes: Notes,
    /// Minimum version of every row.
    version: u64,
    /// Series of the rows so far.
    series: SeriesCache,
}

impl Collector {
    pub(crate) fn new(source: &str, input: &InputFile, clock: SharedClock) -> Collector {
        let (label, kind, version) = (&input.partition, input.kind, input.version);
        let (now, chunk, bytes, notes) = (clock.now(), Chunk::default(), 0, Notes::new());
        let (source, label, series) = (source.to_owned(), label.to_owned(), SeriesCache::default());
        Collector { source, label, kind, clock, now, chunk, bytes, notes, version, series }
    }

    /// Whether the chunk holds as much as one may: records, or bytes.
    pub(crate) fn is_full(&self) -> bool {
        self.chunk.rows.len() + self.chunk.rejects.len() >= CHUNK_ROWS_MAX || self.bytes >= CHUNK_BYTES_MAX
    }

    /// Which records are collected.
    pub(crate) fn kind(&self) -> RowKind {
        self.kind
    }

    /// The time at which the chunk was started.
    pub(crate) fn now(&self) -> TimeMs {
        self.now
    }

    /// The full form of a place: with the file before it.
    pub(crate) fn place(&self, place: &str) -> String {
        format!("{}{place}", self.label)
    }

    /// Decodes a record; false when it is refused. `place` is the number after the file name, `:17` or ` row 17`; `raw` is
    /// the record as it came.
    pub(crate) fn take(
        &mut self,
        record: &impl Record,
        place: impl FnOnce() -> String,
        raw: impl FnOnce() -> String,
    ) -> bool {
        let fault = match self.kind {
            RowKind::Events => decode_event(record, self.now, &mut self.notes).map(|mut row| {
                row.version = row.version.max(self.version);
                self.bytes += event_bytes(&row);
                self.chunk.rows.events.push(row);
            }),
            RowKind::Metrics => decode_metric(record, self.now, &mut self.series).map(|mut row| {
                row.version = row.version.max(self.version);
                self.bytes += size_of::<MetricPoint>();
                self.chunk.rows.metrics.push(row);
            }),
        };
        let Err(fault) = fault else {
            self.notes.drain(..).for_each(|note| self.chunk.report.add_note(&note));
            return true;
        };
        self.notes.clear();
        if let (RowKind::Metrics, Some(series)) = (self.kind, series_of(record)) {
            self.chunk.report.add_refused(&series);
        }
        self.refuse(colony_of(record), fault, &place(), &raw());
        false
    }

    /// Adds a reject.
    pub(crate) fn refuse(&mut self, colony_id: Option<String>, fault: Fault, place: &str, raw: &str) {
        let (reason, detail) = fault;
        let raw: String = raw.chars().take(RAW_CHARS_MAX).collect();
        self.bytes += size_of::<Reject>() + raw.len() + detail.len();
        self.chunk.rejects.push(Reject {
            source: self.source.clone(),
            place: self.place(place),
            colony_id,
            reason,
            detail,
            raw,
            rejected_at: self.now,
        });
    }

    /// The reject at this full place no longer holds.
    pub(crate) fn settle(&mut self, place: String) {
        self.chunk.settled.push(place);
    }

    /// Adds a note about an accepted row.
    pub(crate) fn note(&mut self, note: &str) {
        self.chunk.report.add_note(note);
    }

    /// The record just read was read before without its end, and `earlier` was its row, with at least this version.
    /// Makes the new row win, or retracts the earlier one. Returns its version.
    pub(crate) fn replace_row(&mut self, is_taken: bool, earlier: &impl Record, version: u64) -> u64 {
        match self.kind {
            RowKind::Events => {
                let Ok(mut earlier) = decode_event(earlier, self.now, &mut Notes::new()) else { return version };
                earlier.version = earlier.version.max(version).max(self.version);
                let same =
                    |event: &&mut Event| (&event.colony_id, &event.event_id) == (&earlier.colony_id, &earlier.event_id);
                match self.chunk.rows.events.last_mut().filter(|_| is_taken).filter(same) {
                    Some(event) => {
                        if *event < earlier {
                            event.version = earlier.version.saturating_add(1);
                        }
                        event.version
                    }
                    None => {
                        let version = earlier.version.saturating_add(1);
                        self.chunk.rows.events.push(Event { withdrawn: true, version, ..earlier });
                        version
                    }
                }
            }
            RowKind::Metrics => {
                let Ok(mut earlier) = decode_metric(earlier, self.now, &mut self.series) else { return version };
                earlier.version = earlier.version.max(version).max(self.version);
                let bucket = |point: &MetricPoint| {
                    let series = point.series.series();
                    (point.timestamp, &series.key, series.interval_seconds)
                };
                let metrics = &mut self.chunk.rows.metrics;
                let taken = metrics.last().filter(|point| is_taken && bucket(point) == bucket(&earlier));
                match taken {
                    Some(mut point) => {
                        if point.rank() < earlier.rank() {
                            point.version = earlier.version.saturating_add(1);
                            metrics.pop();
                            metrics.push(point);
                        }
                        point.version
                    }
                    None => {
                        let note = "a metric row made of a half-written record stays: the whole record is not a row of \
                                    that bucket";
                        self.note(note);
                        earlier.version
                    }
                }
            }
        }
    }

    /// The chunk so far, which ends at `position`.
    pub(crate) fn finish(&mut self, position: FilePosition) -> Chunk {
        self.now = self.clock.now();
        self.bytes = 0;
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.position = position;
        chunk
    }
}

fn event_bytes(event: &Event) -> usize {
    let metadata: usize = event.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    let texts = [&event.colony_id, &event.event_id, &event.service_id, &event.event_type, &event.description];
    size_of::<Event>() + texts.into_iter().map(String::len).sum::<usize>() + metadata
}
