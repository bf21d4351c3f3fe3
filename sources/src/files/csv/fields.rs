//! The fields of one record of CSV, lines added one by one while a quote is open.

/// Fields without their quotes.
#[derive(Debug, Default)]
pub(super) struct Fields {
    delimiter: u8,
    text: Vec<u8>,
    ends: Vec<usize>,
    state: State,
    is_odd: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Bare,
    Quoted,
    Closed,
}

impl Fields {
    pub(super) fn new(delimiter: u8) -> Fields {
        Fields { delimiter, ..Fields::default() }
    }

    /// Reads a record that is one line.
    pub(super) fn read(&mut self, line: &[u8]) {
        self.begin();
        self.push(line);
        if !self.is_open() {
            self.finish();
        }
    }

    /// Forgets the record before.
    pub(super) fn begin(&mut self) {
        self.text.clear();
        self.ends.clear();
        (self.state, self.is_odd) = (State::Start, false);
    }

    /// Adds a line without its end, or, inside quotes, the end of the line before.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            match self.state {
                State::Start if *first == b'"' => {
                    self.state = State::Quoted;
                    bytes = &bytes[1..];
                }
                State::Start | State::Bare => match bytes.iter().position(|byte| *byte == self.delimiter) {
                    Some(at) => {
                        self.text.extend_from_slice(&bytes[..at]);
                        self.end_field();
                        bytes = &bytes[at + 1..];
                    }
                    None => {
                        self.text.extend_from_slice(bytes);
                        self.state = State::Bare;
                        return;
                    }
                },
                State::Quoted => match bytes.iter().position(|byte| *byte == b'"') {
                    Some(at) => {
                        self.text.extend_from_slice(&bytes[..at]);
                        bytes = &bytes[at + 1..];
                        if bytes.first() == Some(&b'"') {
                            self.text.push(b'"');
                            bytes = &bytes[1..];
                        } else {
                            self.state = State::Closed;
                        }
                    }
                    None => {
                        self.text.extend_from_slice(bytes);
                        return;
                    }
                },
                State::Closed if *first == self.delimiter => {
                    self.end_field();
                    bytes = &bytes[1..];
                }
                // `"a" b`: text after the quote is used unchanged
                State::Closed => (self.state, self.is_odd) = (State::Bare, true),
            }
        }
    }

    fn end_field(&mut self) {
        self.ends.push(self.text.len());
        self.state = State::Start;
    }

    /// Ends the last field. Says whether it was in quotes: then its end is certain.
    pub(super) fn finish(&mut self) -> bool {
        let is_closed = self.state == State::Closed;
        self.end_field();
        is_closed
    }

    /// Whether a quote is open: the record continues in the next line, or is broken.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Quoted
    }

    /// Whether text follows a closing quote, which no writer means.
    pub(super) fn is_odd(&self) -> bool {
        self.is_odd
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, field: usize) -> &[u8] {
        let Some(end) = self.ends.get(field) else { return b"" };
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        &self.text[start..*end]
    }

    /// A record that reads as these fields, each cut to so many bytes and in quotes.
    pub(super) fn to_text(&self, field_bytes_max: usize) -> String {
        let quoted = |field: &[u8]| {
            let text = String::from_utf8_lossy(field);
            let end = text.floor_char_boundary(field_bytes_max);
            format!("\"{}\"", text[..end].replace('"', "\"\""))
        };
        let fields: Vec<String> = self.iter().map(quoted).collect();
        fields.join(&char::from(self.delimiter).to_string())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|field| self.get(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Vec<String> {
        let mut fields = Fields::new(b',');
        fields.read(line.as_bytes());
        fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
    }

    #[test]
    fn quotes_are_taken_off_and_odd_ones_are_kept() {
        assert_eq!(read("a,\"b,c\",\"say \"\"hi\"\"\",,"), ["a", "b,c", "say \"hi\"", "", ""]);
        assert_eq!(read("5\" disk,\"a\" b,\"\""), ["5\" disk", "a b", ""]);
        let mut fields = Fields::new(b',');
        fields.read("a,\"b,\"\"c\nd\",ünd,".as_bytes());
        let again = fields.to_text(5);
        assert_eq!(
            (read(&again).join("|"), fields.to_text(2)),
            ("a|b,\"c\n|ünd|".to_owned(), "\"a\",\"b,\",\"ü\",\"\"".to_owned())
        );
        let mut fields = Fields::new(b';');
        fields.begin();
        fields.push(b"x;\"two");
        assert!(fields.is_open());
        fields.push(b"\n");
        fields.push(b"lines\";y");
        assert!(!fields.is_open() && !fields.is_odd());
        assert!(!fields.finish());
        assert_eq!(fields.iter().collect::<Vec<_>>(), [&b"x"[..], b"two\nlines", b"y"]);
    }

    proptest! {
        #[test]
        fn a_line_reads_as_the_csv_library_reads_it(line in "[a,\" ;]{0,24}") {
            let mut fields = Fields::new(b',');
            fields.read(line.as_bytes());
            prop_assume!(!fields.is_open() && !line.is_empty());
            let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line.as_bytes());
            let record = reader.byte_records().next().and_then(Result::ok).unwrap_or_default();
            prop_assert_eq!(fields.iter().collect::<Vec<_>>(), record.iter().collect::<Vec<_>>());
        }
    }
}
