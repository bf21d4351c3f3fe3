//! JSON objects in any layout: in an array, over several lines, without a line break between them.
//!
//! A JSON text cannot contain a line break, and a record cannot begin inside another: both reveal a broken object.
//! Reading continues at the next line that begins an object at the same or a smaller column, or at the next object
//! after the end of another one.

use crate::record::LINE_BYTES_MAX;
use std::io::{BufRead, BufReader, Read};

const BUFFER_BYTES: usize = 256 * 1024;

/// How an object ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// With its brace.
    #[default]
    Whole,
    /// Incomplete: another one begins, a text is not closed, or it is not an object.
    Broken,
    /// With its brace, but too far away.
    TooLong,
    /// Not before the end of the input.
    Unfinished,
}

/// One object, or the text in its place.
#[derive(Debug, Default)]
pub(super) struct Object {
    /// Its first bytes, at most [`LINE_BYTES_MAX`].
    pub text: Vec<u8>,
    pub ending: Ending,
    /// How many bytes it has.
    pub bytes: u64,
    /// The line on which it begins, counted from 0.
    pub line: u64,
}

/// Where objects come from.
pub(super) struct Objects {
    input: BufReader<Box<dyn Read + Send>>,
    /// Bytes taken so far.
    pub bytes: u64,
    /// Line breaks taken so far.
    pub lines: u64,
    column: u64,
    /// After a broken object: the column in which the next one begins, or left of which.
    wanted_column: Option<u64>,
    /// Nothing but white space and separators since the line began.
    is_line_start: bool,
    /// Nothing but white space and commas since an object ended.
    is_after_object: bool,
}

impl Objects {
    /// `bytes` and `lines` lie before the input.
    pub(super) fn new(input: Box<dyn Read + Send>, bytes: u64, lines: u64) -> Objects {
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Objects { input, bytes, lines, column: 0, wanted_column: None, is_line_start: true, is_after_object: false }
    }

    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        loop {
            match self.input.fill_buf() {
                Ok(_) => break,
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(self.input.buffer().first().copied())
    }

    fn take(&mut self, byte: u8) {
        self.input.consume(1);
        self.bytes += 1;
        self.column += 1;
        self.is_after_object = byte == b'}' || (self.is_after_object && is_between(byte));
        if byte == b'\n' {
            self.lines += 1;
            self.column = 0;
        }
        self.is_line_start = byte == b'\n' || (self.is_line_start && (is_between(byte) || matches!(byte, b'[' | b']')));
    }

    /// Whether an object that begins here is a separate record. After a broken one it might be a part of that.
    fn may_begin(&self) -> bool {
        match self.wanted_column {
            None => true,
            Some(column) => (self.is_line_start && self.column <= column) || self.is_after_object,
        }
    }

    /// Finds the next object; false if there is none.
    pub(super) fn next(&mut self, object: &mut Object) -> std::io::Result<bool> {
        object.text.clear();
        (object.bytes, object.ending) = (0, Ending::Whole);
        loop {
            let Some(byte) = self.peek()? else { return Ok(false) };
            match byte {
                b'{' if self.may_begin() => break,
                // white space, separators, the brackets of an array, a byte-order mark
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']' | 0x1e | 0xef | 0xbb | 0xbf => self.take(byte),
                _ if self.wanted_column.is_some() => self.take(byte),
                _ => {
                    object.line = self.lines;
                    return self.take_line(object).map(|()| true);
                }
            }
        }
        // an object after another may still be a part of the broken one: the text after it is examined in the same way
        if self.is_line_start {
            self.wanted_column = None;
        }
        object.line = self.lines;
        self.take_object(object).map(|()| true)
    }

    /// Text that is not an object, up to the end of its line.
    fn take_line(&mut self, object: &mut Object) -> std::io::Result<()> {
        object.ending = Ending::Broken;
        while let Some(byte) = self.peek()?.filter(|byte| *byte != b'\n') {
            self.keep(object, byte);
        }
        Ok(())
    }

    fn keep(&mut self, object: &mut Object, byte: u8) {
        if object.text.len() < LINE_BYTES_MAX {
            object.text.push(byte);
        }
        object.bytes += 1;
        self.take(byte);
    }

    fn take_object(&mut self, object: &mut Object) -> std::io::Result<()> {
        let column = self.column;
        let mut scan = Scan::default();
        loop {
            if self.peek()?.is_none() {
                object.ending = Ending::Unfinished;
                return Ok(());
            }
            let (used, ending) = scan.advance(self.input.buffer(), self.column, column);
            let piece = &self.input.buffer()[..used];
            let room = LINE_BYTES_MAX - object.text.len();
            object.text.extend_from_slice(&piece[..used.min(room)]);
            match piece.iter().rposition(|byte| *byte == b'\n') {
                Some(last) => {
                    self.lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
                    self.column = (used - last - 1) as u64;
                    self.is_line_start = piece[last + 1..].trim_ascii().is_empty();
                }
                None => {
                    self.column += used as u64;
                    self.is_line_start &= piece.trim_ascii().is_empty();
                }
            }
            self.is_after_object = ending == Some(Ending::Whole);
            self.bytes += used as u64;
            object.bytes += used as u64;
            self.input.consume(used);
            match ending {
                None => {}
                Some(Ending::Whole) if object.bytes > LINE_BYTES_MAX as u64 => {
                    object.ending = Ending::TooLong;
                    return Ok(());
                }
                Some(ending) => {
                    object.ending = ending;
                    if ending == Ending::Broken {
                        self.wanted_column.get_or_insert(column);
                    }
                    return Ok(());
                }
            }
        }
    }
}

/// White space and commas separate objects.
fn is_between(byte: u8) -> bool {
    byte == b',' || byte.is_ascii_whitespace()
}

/// How deep in an object, and whether in a text.
#[derive(Default)]
struct Scan {
    depth: u64,
    is_text: bool,
    is_escaped: bool,
    /// The last byte that is no white space.
    before: u8,
}

impl Scan {
    /// Continues: how many bytes belong to the object that began in column `own`, and how it ends, if it ends here.
    fn advance(&mut self, bytes: &[u8], mut column: u64, own: u64) -> (usize, Option<Ending>) {
        for (at, byte) in bytes.iter().copied().enumerate() {
            if self.is_text {
                if byte == b'\n' {
                    return (at, Some(Ending::Broken));
                }
                (self.is_text, self.is_escaped) = (self.is_escaped || byte != b'"', !self.is_escaped && byte == b'\\');
                self.before = b'"';
                column += 1;
                continue;
            }
            match byte {
                b'"' => self.is_text = true,
                b'{' if self.depth > 0 && column == own && !matches!(self.before, b':' | b'[' | b',') => {
                    return (at, Some(Ending::Broken));
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            column = if byte == b'\n' { 0 } else { column + 1 };
            if !byte.is_ascii_whitespace() {
                self.before = byte;
            }
            if self.depth == 0 {
                return (at + 1, Some(Ending::Whole));
            }
        }
        (bytes.len(), None)
    }
}

/// Whether a text that begins so holds objects in another layout than one per line.
pub(super) fn is_other_layout(start: &[u8]) -> bool {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    match text.first() {
        Some(b'[') => return true,
        Some(b'{') => {}
        _ => return false,
    }
    let Some(line) = text.split(|byte| *byte == b'\n').next() else { return false };
    let mut objects = Objects::new(Box::new(std::io::Cursor::new(line.to_vec())), 0, 0);
    let mut object = Object::default();
    let is_closed = matches!(objects.next(&mut object), Ok(true)) && object.ending == Ending::Whole;
    if is_closed {
        let behind = line[objects.bytes as usize..].trim_ascii_start();
        return matches!(behind.first(), Some(b'{' | b',' | b'['));
    }
    // a broken line among whole ones, or the first line of an object
    let next = text[line.len()..].trim_ascii_start();
    line.len() < text.len() && !next.is_empty() && next.first() != Some(&b'{')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(text: &str) -> Vec<(String, Ending, u64)> {
        let mut objects = Objects::new(Box::new(std::io::Cursor::new(text.as_bytes().to_vec())), 0, 0);
        let mut object = Object::default();
        let mut all = Vec::new();
        while objects.next(&mut object).unwrap() {
            all.push((String::from_utf8(object.text.clone()).unwrap(), object.ending, object.line));
        }
        assert_eq!(objects.bytes, text.len() as u64, "every byte is taken");
        all
    }

    fn whole(text: &str) -> Vec<String> {
        all(text)
            .into_iter()
            .map(|(text, ending, _)| {
                assert_eq!(ending, Ending::Whole);
                text
            })
            .collect()
    }

    #[test]
    fn objects_are_found_in_every_layout() {
        let (one, two) = (r#"{"a":"}{\"","b":{"c":[1,{}]}}"#, r#"{"d":2}"#);
        for text in [
            format!("{one}\n{two}\n"),
            format!("{one}{two}"),
            format!("\u{feff}[{one},{two}]"),
            format!("[\n  {one},\r\n  {two}\n]\n"),
            format!("\u{1e}{one}\n\u{1e}{two}\n"),
        ] {
            assert_eq!(whole(&text), [one, two], "{text}");
        }
        let pretty = "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n{\n  \"c\": 2\n}\n";
        assert_eq!(whole(pretty).len(), 2);
        assert_eq!(all(pretty)[1].2, 5, "the line on which it begins");
    }

    #[test]
    fn a_broken_object_costs_itself() {
        let text = "{\n  \"a\": \"open,\n  \"b\": {\n    \"c\": 1\n  }\n}\n{\n  \"d\": 2\n}\n";
        let found = all(text);
        assert_eq!(
            (found.len(), found[0].1, found[1].1, found[1].2),
            (2, Ending::Broken, Ending::Whole, 6),
            "{found:?}"
        );
        let text = "{\n  \"a\": {\n    \"c\": 1\n}\n{\n  \"d\": 2\n}\n";
        let found = all(text);
        assert_eq!((found.len(), found[0].1, found[1].1), (2, Ending::Broken, Ending::Whole), "{found:?}");
        let found = all("{\"a\":1}\nwords\n{\"b\":");
        let endings: Vec<Ending> = found.iter().map(|(_, ending, _)| *ending).collect();
        assert_eq!(endings, [Ending::Whole, Ending::Broken, Ending::Unfinished]);
    }

    #[test]
    fn the_objects_behind_a_broken_one_are_found_whatever_their_column() {
        let (two, three) = (r#"{"a":2}"#, r#"{"a":{"b":3}}"#);
        for text in [
            format!("[{{\"a\":\"one\nmore\"}},{two},{three}]\n"),
            format!("[{{\"a\":\"one\nmore\"}},\n{two},\n{three}]\n"),
            format!("[{{\"a\":\"one\nmore\"}}, {two},\n {three}]\n"),
            format!("  {{\"a\":\"one\nmore\"}}\n{two}\n{three}\n"),
        ] {
            let found = all(&text);
            assert_eq!(found[0].1, Ending::Broken, "{text}");
            let whole: Vec<&str> = found[1..].iter().map(|(text, ..)| &**text).collect();
            assert_eq!(whole, [two, three], "{text}");
        }
    }

    #[test]
    fn the_layout_is_known_by_its_first_line() {
        for text in ["[{\"a\":1}]", "\u{feff} [\n", "{\n  \"a\": 1\n}\n", "{\"a\":1}{\"a\":2}", "{\"a\":1},\n{\"a\":2}"]
        {
            assert!(is_other_layout(text.as_bytes()), "{text}");
        }
        for text in ["{\"a\":1}\n{\"a\":2}\n", "{\"a\":\n{\"a\":2}\n", "{\"a\":1}", "{\"a\":", "x", ""] {
            assert!(!is_other_layout(text.as_bytes()), "{text}");
        }
    }
}
