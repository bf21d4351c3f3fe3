//! The header of a CSV file: its line, the separator, and the columns of the fields.

use super::super::lines::{Line, Lines};
use super::fields::Fields;
use super::{CsvFault, Require};
use crate::record::fields::{Field, Naming};

/// Possible separators, the most common first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Maximum number of lines before the header: titles, comments, annotations.
const LINES_BEFORE_MAX: usize = 50;
/// The most of a line that a message shows.
const SHOWN_CHARS_MAX: usize = 120;

/// Which column of the file holds which field.
pub(super) type Columns = [Option<usize>; Field::ALL.len()];

/// A header.
pub(super) struct Header {
    pub delimiter: u8,
    pub columns: Columns,
    /// How many fields it has.
    pub len: usize,
    /// Bytes of the file up to its end.
    pub bytes: u64,
    /// Lines of the file up to its end.
    pub lines: u64,
}

impl Header {
    /// Finds the header: the first line with the required names, among the first ones. `require` returns what is
    /// missing from a set of columns, if anything.
    pub(super) fn find(lines: &mut Lines, require: Require<'_>) -> Result<Header, CsvFault> {
        let (mut bytes, mut number) = (0, 0);
        let mut first: Option<(u64, Line, String)> = None;
        let mut line = Line::default();
        for _ in 0..LINES_BEFORE_MAX {
            if !lines.read(&mut line).map_err(CsvFault::Io)? {
                break;
            }
            number += 1;
            bytes += line.bytes;
            if line.text.trim_ascii().is_empty() {
                continue;
            }
            let text = if number == 1 { without_mark(&line.text) } else { &line.text };
            let header = Header { bytes, lines: number, ..Header::of(text) };
            match require(&|field| header.columns[field as usize].is_some()) {
                Ok(()) => return Ok(header),
                Err(missing) if first.is_none() => first = Some((number, line.clone(), missing)),
                Err(_) => {}
            }
        }
        let Some((number, line, missing)) = first else {
            let missing = require(&|_| false).err().unwrap_or_default();
            return Err(CsvFault::Header(format!("it is empty: {missing}")));
        };
        let shown: String = String::from_utf8_lossy(&line.text).chars().take(SHOWN_CHARS_MAX).collect();
        let problem = format!("{missing}; line {number} was taken for the header: {shown:?}");
        Err(CsvFault::Header(problem))
    }

    /// A line as a header: separated by what gives most known names.
    fn of(line: &[u8]) -> Header {
        let read = |delimiter| {
            let mut fields = Fields::new(delimiter);
            fields.read(line);
            let mut naming = Naming::default();
            let mut columns: Columns = [None; Field::ALL.len()];
            for (at, name) in fields.iter().enumerate() {
                if let Some(field) = naming.field(&String::from_utf8_lossy(name)) {
                    columns[field as usize] = Some(at);
                }
            }
            Header { delimiter, columns, len: fields.len(), bytes: 0, lines: 0 }
        };
        let known = |header: &Header| header.columns.iter().flatten().count();
        let mut best = read(DELIMITERS[0]);
        for header in DELIMITERS[1..].iter().map(|delimiter| read(*delimiter)) {
            if known(&header) > known(&best) {
                best = header;
            }
        }
        best
    }
}

/// Whether text begins with a line that names several known columns.
pub(crate) fn is_header(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Header::of(line).columns.iter().flatten().count() >= 3
}

/// A byte-order mark may precede the first line.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}
