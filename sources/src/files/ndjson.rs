//! NDJSON: one object per line, lines of bounded length, a broken line refused and the next one read.

use super::chunk::{CHUNK_ROWS_MAX, Collector};
use super::decode::metadata_from_object;
use super::position::FilePosition;
use super::record::{Cell, Field, Record};
use model::check::Fault;
use model::reject::{RAW_CHARS_MAX, RejectReason};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Take};

/// Longest line, in bytes: far above the longest acceptable row, so that only rubbish is cut.
pub(crate) const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

pub(crate) struct NdjsonReader {
    input: BufReader<Take<File>>,
    line: Vec<u8>,
    position: FilePosition,
}

impl NdjsonReader {
    pub(crate) fn open(mut file: File, from: FilePosition) -> std::io::Result<NdjsonReader> {
        file.seek(SeekFrom::Start(from.bytes))?;
        // what is appended while the file is read belongs to the next run, which sees a changed file
        let input = BufReader::with_capacity(BUFFER_BYTES, file.take(from.file.len_bytes - from.bytes));
        Ok(NdjsonReader { input, line: Vec::new(), position: from })
    }

    /// Reads up to a chunk's worth of lines; returns where it stands.
    pub(crate) fn fill(&mut self, out: &mut Collector) -> std::io::Result<FilePosition> {
        while out.len() < CHUNK_ROWS_MAX {
            let bytes = read_line(&mut self.input, &mut self.line)?;
            if bytes == 0 {
                self.position.bytes = self.position.file.len_bytes;
                break;
            }
            self.position.bytes += bytes;
            self.position.rows += 1;
            self.position.lines += 1;
            let place = format!(":{}", self.position.lines);
            if bytes > LINE_BYTES_MAX as u64 {
                let detail = format!("the line has {bytes} bytes, the limit is {LINE_BYTES_MAX}");
                let head = &self.line[..self.line.len().min(4 * RAW_CHARS_MAX)];
                out.refuse(None, (RejectReason::Oversized, detail), &place, &String::from_utf8_lossy(head));
                continue;
            }
            let line = self.line.trim_ascii();
            // a byte-order mark may precede the first line
            let line = if self.position.lines == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
            if line.is_empty() {
                continue;
            }
            match parse_object(line) {
                Ok(object) => {
                    let raw = || String::from_utf8_lossy(&line[..line.len().min(4 * RAW_CHARS_MAX)]).into_owned();
                    out.take(&JsonRecord(&object), || place.clone(), raw);
                }
                Err(fault) => {
                    let head = &line[..line.len().min(4 * RAW_CHARS_MAX)];
                    out.refuse(None, fault, &place, &String::from_utf8_lossy(head));
                }
            }
        }
        Ok(self.position)
    }
}

/// Reads one line without its end into `line`, of which at most `LINE_BYTES_MAX` bytes are kept.
/// Returns how many bytes the line took, its end included; 0 at the end of the file.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<u64> {
    line.clear();
    let mut total = 0;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(cause),
        };
        if available.is_empty() {
            return Ok(total);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(available.len(), |at| at + 1);
        let room = LINE_BYTES_MAX - line.len();
        line.extend_from_slice(&available[..end.unwrap_or(used).min(room)]);
        input.consume(used);
        total += used as u64;
        if end.is_some() {
            return Ok(total);
        }
    }
}

/// Reads a JSON object; says what is wrong when it is not one.
pub(crate) fn parse_object(text: &[u8]) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_slice::<Value>(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err((RejectReason::Malformed, format!("{}, expected a JSON object", kind_of(&other)))),
        Err(cause) => {
            // `NaN` and `Infinity` are no JSON, but common writers emit them: name the real fault
            let at = cause.column().saturating_sub(1);
            let around = String::from_utf8_lossy(&text[at.saturating_sub(2)..text.len().min(at + 10)]).into_owned();
            let is_not_finite = around.contains("NaN") || around.contains("Infinity");
            let is_overflow = cause.to_string().starts_with("number out of range");
            if is_not_finite || is_overflow {
                return Err((RejectReason::NotFinite, format!("a number is not finite: {cause}")));
            }
            Err((RejectReason::Malformed, format!("not JSON: {cause}")))
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A JSON object as a record.
pub(crate) struct JsonRecord<'a>(pub &'a Map<String, Value>);

impl Record for JsonRecord<'_> {
    fn cell(&self, field: Field) -> Cell<'_> {
        match self.0.get(field.name()) {
            None | Some(Value::Null) => Cell::Missing,
            Some(Value::String(text)) => Cell::Text(text),
            Some(Value::Bool(yes)) => Cell::Bool(*yes),
            Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Cell::Int(int),
                (None, Some(float)) => Cell::Float(float),
                (None, None) => Cell::Unusable("a number out of range"),
            },
            Some(other) => Cell::Unusable(kind_of(other)),
        }
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, Fault> {
        match self.0.get(Field::Metadata.name()) {
            None | Some(Value::Null) => Ok(BTreeMap::new()),
            Some(Value::Object(object)) => Ok(metadata_from_object(object)),
            Some(other) => Err((RejectReason::BadValue, format!("metadata is {}, expected an object", kind_of(other)))),
        }
    }
}
