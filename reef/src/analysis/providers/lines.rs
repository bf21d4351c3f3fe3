//! Lines of a stream that is cut anywhere, also inside a character: the data of server-sent events, or lines of JSON.

use super::fault::Fault;

/// Longest line.
const LINE_BYTES_MAX: usize = 256 * 1024;

/// Bytes of which no whole line is there yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The whole lines after these bytes, without those that say nothing.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, Fault> {
        self.rest.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            lines.extend(data(&line)?);
        }
        if self.rest.len() > LINE_BYTES_MAX { Err(Fault::TooLarge) } else { Ok(lines) }
    }

    /// The last line, which may have no end.
    pub fn end(&mut self) -> Result<Vec<String>, Fault> {
        Ok(data(&std::mem::take(&mut self.rest))?.into_iter().collect())
    }
}

/// What a line says: the data of an event, or the line itself. Comments, names of events and empty lines say nothing.
fn data(line: &[u8]) -> Result<Option<String>, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::Malformed("it is not UTF-8".to_owned()))?;
    let text = text.trim();
    let is_silent = text.is_empty() || text.starts_with(':') || text.starts_with("event:") || text.starts_with("id:");
    if is_silent || text.starts_with("retry:") {
        return Ok(None);
    }
    Ok(Some(text.strip_prefix("data:").unwrap_or(text).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_the_same_wherever_the_stream_is_cut() {
        let text = "event: a\r\ndata: {\"é\":1}\r\n\r\n: ping\r\ndata: [DONE]\n{\"x\":\"日\"}";
        let expected = ["{\"é\":1}", "[DONE]", "{\"x\":\"日\"}"];
        for cut in 0..=text.len() {
            let (mut lines, bytes) = (Lines::default(), text.as_bytes());
            let mut read = lines.push(&bytes[..cut]).unwrap();
            read.extend(lines.push(&bytes[cut..]).unwrap());
            read.extend(lines.end().unwrap());
            assert_eq!(read, expected, "cut at {cut}");
        }
        assert!(matches!(Lines::default().push(b"data: \xff\n"), Err(Fault::Malformed(_))));
        assert_eq!(Lines::default().push(&vec![b'x'; LINE_BYTES_MAX + 1]), Err(Fault::TooLarge));
    }
}
