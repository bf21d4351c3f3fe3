//! JSON records: one object per line, or objects in another layout; a broken one is rejected and the next one read.
//!
//! The layout is detected from the start of the file. With one object per line, a reject is a line; in another layout
//! (an array, objects over several lines or without line breaks) it is an object. An incomplete last record is
//! rejected, and read again when the file has grown.

use super::chunk::{CHUNK_ROWS_MAX, Collector};
use super::input::Input;
use super::lines::{Line, LineEnd, Lines};
use super::objects::{Ending, Object, Objects, is_other_layout};
use super::position::{FilePosition, Tail};
use crate::record::LINE_BYTES_MAX;
use crate::record::RowKind;
use crate::record::fields::{Cell, Field, Record};
use crate::record::json::parse_object;
use model::check::Fault;
use model::reject::{RAW_CHARS_MAX, RejectReason};
use std::io::{Cursor, Read};

/// How much of a file is examined to detect its layout.
const FIRST_LOOK_BYTES: u64 = 64 * 1024;

pub(crate) struct NdjsonReader {
    layout: Layout,
    position: FilePosition,
}

enum Layout {
    Lines {
        lines: Lines,
        line: Line,
        /// The line is still to be taken.
        is_ahead: bool,
    },
    Objects(Objects, Object),
}

impl NdjsonReader {
    pub(crate) fn open(input: &Input, from: FilePosition) -> std::io::Result<NdjsonReader> {
        let mut position = from;
        let mut start = Vec::new();
        input.reader(0).take(FIRST_LOOK_BYTES).read_to_end(&mut start)?;
        let layout = if is_other_layout(&start) {
            let objects = Objects::new(input.reader(position.bytes), position.bytes, position.lines);
            Layout::Objects(objects, Object::default())
        } else {
            let mut lines = Lines::new(input.reader(position.bytes), false);
            let ahead = position.after_break(input, &mut lines)?;
            Layout::Lines { lines, is_ahead: ahead.is_some(), line: ahead.unwrap_or_default() }
        };
        Ok(NdjsonReader { layout, position })
    }

    /// Reads up to one chunk of records; returns the position.
    pub(crate) fn fill(&mut self, out: &mut Collector) -> std::io::Result<FilePosition> {
        while !out.is_full() {
            let is_more = match &mut self.layout {
                Layout::Lines { lines, line, is_ahead } => std::mem::take(is_ahead) || lines.read(line)?,
                Layout::Objects(objects, object) => objects.next(object)?,
            };
            if !is_more {
                if let Layout::Objects(objects, _) = &self.layout {
                    (self.position.bytes, self.position.lines) = (objects.bytes, objects.lines);
                }
                self.position.is_done = true;
                break;
            }
            if let Some(place) = self.position.tail.take().and_then(|tail| tail.refused) {
                out.settle(place);
            }
            let step = match &self.layout {
                Layout::Lines { line, .. } => take_line(line, self.position.lines, out),
                Layout::Objects(_, object) => take_object(object, self.position.rows, out),
            };
            let (bytes, lines) = match &self.layout {
                Layout::Lines { line, .. } => (self.position.bytes + line.bytes, self.position.lines + 1),
                Layout::Objects(objects, _) => (objects.bytes, objects.lines),
            };
            if let Err(refused) = step {
                let bytes = bytes - self.position.bytes;
                self.position.tail = Some(Tail { bytes, refused: Some(refused), ..Tail::default() });
                self.position.is_done = true;
                break;
            }
            (self.position.bytes, self.position.lines) = (bytes, lines);
            self.position.rows += 1;
        }
        Ok(self.position.clone())
    }
}

/// Whether the first record that shows it has events or metrics. `None` if no record among the first ones is an object.
pub(crate) fn kind_of(input: &Input) -> std::io::Result<Option<RowKind>> {
    let mut reader = NdjsonReader::open(input, FilePosition::default())?;
    let mut is_object = false;
    for _ in 0..CHUNK_ROWS_MAX {
        let text = match &mut reader.layout {
            Layout::Lines { lines, line, .. } => lines.read(line)?.then_some(&line.text),
            Layout::Objects(objects, object) => objects.next(object)?.then_some(&object.text),
        };
        let Some(text) = text else { break };
        let text = text.trim_ascii();
        let Ok(record) = parse_object(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)) else { continue };
        let has = |field| record.cell(field) != Cell::Missing;
        if has(Field::EventId) || has(Field::EventType) {
            return Ok(Some(RowKind::Events));
        }
        if has(Field::MetricName) {
            return Ok(Some(RowKind::Metrics));
        }
        is_object = true;
    }
    // what metrics lack says most
    Ok(is_object.then_some(RowKind::Metrics))
}

/// Takes or refuses a line. The error is the place of a refused one that may not be whole yet.
fn take_line(line: &Line, lines_before: u64, out: &mut Collector) -> Result<(), String> {
    let place = format!(":{}", lines_before + 1);
    let text = line.text.trim_ascii();
    // a byte-order mark may precede the first line
    let text = if lines_before == 0 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
    let fault = if line.is_cut() {
        let detail = format!("the line has {} bytes, the limit is {LINE_BYTES_MAX}", line.bytes);
        (RejectReason::Oversized, detail)
    } else if text.is_empty() {
        return Ok(());
    } else {
        match take_text(text, &place, out) {
            Ok(()) => return Ok(()),
            Err(_) if take_several(text, &place, out) => return Ok(()),
            Err(fault) => fault,
        }
    };
    out.refuse(None, fault, &place, &head(text));
    if line.end == LineEnd::Input { Err(out.place(&place)) } else { Ok(()) }
}

/// Takes or refuses an object. Its place is its number: a line may hold many of them.
fn take_object(object: &Object, rows_before: u64, out: &mut Collector) -> Result<(), String> {
    let place = format!(" row {}", rows_before + 1);
    let malformed = |detail: &str| (RejectReason::Malformed, detail.to_owned());
    let fault = match object.ending {
        Ending::TooLong => {
            let detail = format!("the object has {} bytes, the limit is {LINE_BYTES_MAX}", object.bytes);
            (RejectReason::Oversized, detail)
        }
        Ending::Unfinished => malformed("the object is not closed before the end of the file"),
        Ending::Whole | Ending::Broken => match take_text(&object.text, &place, out) {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        },
    };
    out.refuse(None, fault, &place, &head(&object.text));
    if object.ending == Ending::Unfinished { Err(out.place(&place)) } else { Ok(()) }
}

/// Takes one object; the error says why the text is none.
fn take_text(text: &[u8], place: &str, out: &mut Collector) -> Result<(), Fault> {
    let record = parse_object(text)?;
    out.take(&record, || place.to_owned(), || head(text));
    Ok(())
}

/// Takes the objects of a line that holds several, or one with a comma behind it; false when they are not all whole.
fn take_several(text: &[u8], place: &str, out: &mut Collector) -> bool {
    let mut found = Vec::new();
    let mut objects = Objects::new(Box::new(Cursor::new(text.to_vec())), 0, 0);
    let mut object = Object::default();
    while let Ok(true) = objects.next(&mut object) {
        if object.ending != Ending::Whole {
            return false;
        }
        found.push(std::mem::take(&mut object.text));
    }
    let is_all = !found.is_empty() && found.iter().all(|text| parse_object(text).is_ok());
    if !is_all {
        return false;
    }
    // each has a place of its own: two that are refused are two rejects
    let is_single = found.len() == 1;
    let place_of = |at: usize| if is_single { place.to_owned() } else { format!("{place}.{}", at + 1) };
    found.iter().enumerate().all(|(at, text)| take_text(text, &place_of(at), out).is_ok())
}

fn head(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(4 * RAW_CHARS_MAX)]).into_owned()
}
