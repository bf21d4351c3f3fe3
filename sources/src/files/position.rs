//! The position in a file, and whether it is still the same file.

use super::config::{FileFormat, InputFile};
use super::content::Content;
use super::fingerprint::Fingerprint;
use super::input::Input;
use super::lines::{Line, Lines};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;

/// The end of a file that may not be the end of its record: no line break, or a quote that is still open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// Its length.
    pub bytes: u64,
    /// The record as it stood when a row was last made of it: what is read now gives way to that or replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// The version that this row was given (or with which it was taken back), where the record did not state a higher one.
    #[serde(default)]
    pub version: u64,
    /// Nothing has been made of it as it stands now: it waits for its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// The location of the reject, if it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Where to resume in a file. The stored form is JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePosition {
    /// Records done: lines of NDJSON (blank ones too), records of CSV, rows of parquet.
    pub rows: u64,
    /// Lines done, for the place of a reject; equal to `rows` except in CSV, whose records may span lines.
    pub lines: u64,
    /// Bytes done. Behind them there may be a [`Tail`].
    pub bytes: u64,
    /// The file that these numbers are about.
    pub file: Fingerprint,
    /// Whether everything has been read that the file held.
    #[serde(default)]
    pub is_done: bool,
    /// Hashes of the content read; positions of earlier versions do not have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The minimum version of its rows.
    #[serde(default)]
    pub version: u64,
    /// The record after `bytes` that is read again once the file has grown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Tail>,
}

/// What a stored position says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It has never been read.
    New,
    /// It has been read to its end and has not changed.
    Unchanged,
    /// It has been read in part, or has grown since.
    GoesOn,
    /// It is another file than the one read before: it is read from its start.
    Replaced,
}

impl Tail {
    /// Whether it waits for its end. Positions of earlier versions say so by saying nothing.
    fn is_waiting(&self) -> bool {
        self.waits || (self.row.is_none() && self.refused.is_none())
    }
}

impl FilePosition {
    /// The start of a file.
    pub(crate) fn start(file: Fingerprint) -> FilePosition {
        FilePosition { file, ..FilePosition::default() }
    }

    /// The stored position.
    pub(crate) fn of_text(text: &str) -> Option<FilePosition> {
        let mut position: FilePosition = serde_json::from_str(text).ok()?;
        // earlier versions stored it as the number of bytes
        position.is_done |= position.content.is_none() && position.bytes >= position.file.len_bytes;
        Some(position)
    }

    /// Where to resume in `input`, and why. A changed file is read again from its start (unchanged rows are repeats,
    /// which change nothing downstream); a file that has only grown is resumed.
    pub(crate) fn resume(stored: Option<&String>, input: &InputFile) -> (FilePosition, Found) {
        let start = FilePosition { version: input.version, ..FilePosition::start(input.fingerprint) };
        let Some(stored) = stored else { return (start, Found::New) };
        let Some(position) = FilePosition::of_text(stored) else { return (start, Found::Replaced) };
        if position.version != input.version {
            return (start, Found::Replaced);
        }
        // an unreadable file is reported when it is opened
        let file = File::open(&input.path).ok();
        let holds = |look: fn(&Content, &File) -> std::io::Result<bool>| match (&position.content, &file) {
            (Some(content), Some(file)) => look(content, file).unwrap_or(false),
            (None, _) => position.file == input.fingerprint,
            (Some(_), None) => true,
        };
        if position.file == input.fingerprint {
            if !holds(Content::is_start_of) {
                return (start, Found::Replaced);
            }
            if position.is_done && !position.tail.as_ref().is_some_and(Tail::is_waiting) {
                return (position, Found::Unchanged);
            }
            return (FilePosition { is_done: false, ..position }, Found::GoesOn);
        }
        let has_grown = input.format != FileFormat::Parquet && input.fingerprint.len_bytes > position.file.len_bytes;
        if has_grown && position.content.is_some() && holds(Content::is_surely_start_of) {
            return (FilePosition { file: input.fingerprint, is_done: false, ..position }, Found::GoesOn);
        }
        (start, Found::Replaced)
    }

    /// Skips the line break of a line that was read before it had one. Any other line is returned.
    pub(crate) fn after_break(&mut self, input: &Input, lines: &mut Lines) -> std::io::Result<Option<Line>> {
        let is_at_line_start = match self.bytes.checked_sub(1) {
            None => true,
            Some(before) => {
                let mut byte = [0];
                input.reader(before).read_exact(&mut byte)?;
                byte == *b"\n" || byte == *b"\r"
            }
        };
        let mut line = Line::default();
        if is_at_line_start || !lines.read(&mut line)? {
            return Ok(None);
        }
        if !line.text.is_empty() {
            return Ok(Some(line));
        }
        self.bytes += line.bytes;
        Ok(None)
    }

    /// Bytes of the file that have been read.
    pub(crate) fn bytes_read(&self) -> u64 {
        let behind = self.tail.as_ref().map_or(0, |tail| tail.bytes);
        (self.bytes + behind).min(self.file.len_bytes)
    }

    /// The stored form.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
