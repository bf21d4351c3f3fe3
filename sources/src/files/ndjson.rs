//! NDJSON: one object per line, lines of bounded length, a broken line refused and the next one read.

use super::chunk::{CHUNK_ROWS_MAX, Collector};
use super::json::parse_object;
use super::position::FilePosition;
use model::reject::{RAW_CHARS_MAX, RejectReason};
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
                Ok(record) => {
                    let raw = || String::from_utf8_lossy(&line[..line.len().min(4 * RAW_CHARS_MAX)]).into_owned();
                    out.take(&record, || place.clone(), raw);
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
