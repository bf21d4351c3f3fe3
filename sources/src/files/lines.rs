//! Lines of bounded length, each with its line ending.

use crate::record::LINE_BYTES_MAX;
use std::io::{BufRead, BufReader, Read};

const BUFFER_BYTES: usize = 256 * 1024;

/// What a line ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// The input ends.
    #[default]
    Input,
    /// LF.
    Lf,
    /// CR LF.
    CrLf,
    /// CR alone.
    Cr,
}

impl LineEnd {
    /// The bytes of the end.
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            LineEnd::Input => b"",
            LineEnd::Lf => b"\n",
            LineEnd::CrLf => b"\r\n",
            LineEnd::Cr => b"\r",
        }
    }
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its first [`LINE_BYTES_MAX`] bytes, without the end.
    pub text: Vec<u8>,
    /// How many bytes it took, its end included.
    pub bytes: u64,
    /// Its line ending.
    pub end: LineEnd,
}

impl Line {
    /// Whether the line was truncated.
    pub(crate) fn is_cut(&self) -> bool {
        self.bytes > (LINE_BYTES_MAX + self.end.bytes().len()) as u64
    }
}

/// Where lines come from.
pub(crate) struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    /// Whether a single CR ends a line, as in old CSV files.
    ends_at_cr: bool,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn Read + Send>, ends_at_cr: bool) -> Lines {
        Lines { input: BufReader::with_capacity(BUFFER_BYTES, input), ends_at_cr }
    }

    /// Reads the next line into `line`; false at the end of the input.
    pub(crate) fn read(&mut self, line: &mut Line) -> std::io::Result<bool> {
        line.text.clear();
        (line.bytes, line.end) = (0, LineEnd::Input);
        loop {
            let available = fill(&mut self.input)?;
            if available.is_empty() {
                return Ok(line.bytes > 0);
            }
            let is_end = |byte: &u8| *byte == b'\n' || *byte == b'\r';
            let end = if self.ends_at_cr {
                available.iter().position(is_end)
            } else {
                available.iter().position(|byte| *byte == b'\n')
            };
            let used = end.map_or(available.len(), |at| at + 1);
            let room = LINE_BYTES_MAX - line.text.len();
            line.text.extend_from_slice(&available[..end.unwrap_or(used).min(room)]);
            line.end = match end.map(|at| available[at]) {
                None => LineEnd::Input,
                Some(b'\r') => LineEnd::Cr,
                Some(_) => LineEnd::Lf,
            };
            self.input.consume(used);
            line.bytes += used as u64;
            if line.end == LineEnd::Cr && fill(&mut self.input)?.first() == Some(&b'\n') {
                self.input.consume(1);
                line.bytes += 1;
                line.end = LineEnd::CrLf;
            }
            if line.end != LineEnd::Input {
                return Ok(true);
            }
        }
    }
}

fn fill(input: &mut BufReader<Box<dyn Read + Send>>) -> std::io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(input.buffer())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(text: &'static [u8], ends_at_cr: bool) -> Vec<(Vec<u8>, u64, LineEnd)> {
        let mut lines = Lines::new(Box::new(text), ends_at_cr);
        let mut line = Line::default();
        let mut all = Vec::new();
        while lines.read(&mut line).unwrap() {
            all.push((line.text.clone(), line.bytes, line.end));
        }
        all
    }

    #[test]
    fn lines_have_their_ends_and_sizes() {
        let text = b"a\r\n\nb\rc\r\r\nd";
        let expected = [
            (b"a".to_vec(), 3, LineEnd::CrLf),
            (b"".to_vec(), 1, LineEnd::Lf),
            (b"b".to_vec(), 2, LineEnd::Cr),
            (b"c".to_vec(), 2, LineEnd::Cr),
            (b"".to_vec(), 2, LineEnd::CrLf),
            (b"d".to_vec(), 1, LineEnd::Input),
        ];
        assert_eq!(all(text, true), expected);
        let expected = [
            (b"a\r".to_vec(), 3, LineEnd::Lf),
            (b"".to_vec(), 1, LineEnd::Lf),
            (b"b\rc\r\r".to_vec(), 6, LineEnd::Lf),
            (b"d".to_vec(), 1, LineEnd::Input),
        ];
        assert_eq!(all(text, false), expected);
        assert_eq!(all(b"", true), []);
    }

    #[test]
    fn a_line_without_end_is_cut_and_counted() {
        let long = std::io::repeat(b'x').take(LINE_BYTES_MAX as u64 + 10);
        let mut lines = Lines::new(Box::new(long.chain(&b"\nnext"[..])), false);
        let mut line = Line::default();
        assert!(lines.read(&mut line).unwrap());
        assert_eq!((line.text.len(), line.bytes, line.is_cut()), (LINE_BYTES_MAX, LINE_BYTES_MAX as u64 + 11, true));
        assert!(lines.read(&mut line).unwrap());
        assert_eq!((&line.text[..], line.is_cut()), (&b"next"[..], false));
    }
}
