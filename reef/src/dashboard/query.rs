//! The query of a page's address: read, and written for links to other pages.

use std::fmt::Write;

/// Longest query that is read; a page has no longer one.
const BYTES_MAX: usize = 4_096;
/// Longest form that is read: a question of the longest kind, with each byte as three characters.
pub const FORM_BYTES_MAX: usize = 8_192;
/// Most fields that are read.
const FIELDS_MAX: usize = 64;

/// Names and values, in the order of the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=2`. Fields without a value are left out: a form sends them for what was not chosen.
    pub fn read(text: &str) -> Query {
        if text.len() > BYTES_MAX { Query::default() } else { Query::form(text) }
    }

    /// The same of a form, whose body is at most [`FORM_BYTES_MAX`] long.
    pub fn form(text: &str) -> Query {
        let fields = text.split('&').take(FIELDS_MAX).filter_map(|field| field.split_once('='));
        let decoded = fields.map(|(name, value)| (decoded(name), decoded(value)));
        Query(decoded.filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim())
    }

    /// The first value of a field as text of its own.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same with another value of a field; without the field where the value is empty.
    pub fn with(&self, name: &str, value: &str) -> Query {
        let mut fields: Vec<(String, String)> = self.0.iter().filter(|(field, _)| field != name).cloned().collect();
        if !value.is_empty() {
            fields.push((name.to_owned(), value.to_owned()));
        }
        Query(fields)
    }

    /// The same without these fields.
    pub fn without(&self, names: &[&str]) -> Query {
        Query(self.0.iter().filter(|(field, _)| !names.contains(&field.as_str())).cloned().collect())
    }

    /// Only these fields: those that pages share.
    pub fn only(&self, names: &[&str]) -> Query {
        Query(self.0.iter().filter(|(field, _)| names.contains(&field.as_str())).cloned().collect())
    }

    /// An address with this query.
    pub fn address(&self, path: &str) -> String {
        let mut text = path.to_owned();
        for (place, (name, value)) in self.0.iter().enumerate() {
            text.push(if place == 0 { '?' } else { '&' });
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
        }
        text
    }
}

/// An address with these fields.
pub fn address(path: &str, fields: &[(&str, &str)]) -> String {
    fields.iter().fold(Query::default(), |query, (name, value)| query.with(name, value)).address(path)
}

fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => into.push(char::from(byte)),
            // writing to text does not fail
            _ => drop(write!(into, "%{byte:02X}")),
        }
    }
}

/// Percent signs and plus signs of forms; what is no text is replaced.
fn decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let (mut read, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2)));
        match (byte, pair) {
            (b'%', Some((high, low))) => {
                read.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 2;
            }
            (b'+', _) => read.push(b' '),
            _ => read.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let names = ["my shop/web", "a&b=c", "50%", "ümlaut + plus", "<script>\"'"];
        for name in names {
            let written = address("/x", &[("service", name), ("range", "24h")]);
            let (path, query) = written.split_once('?').unwrap_or_default();
            assert_eq!(path, "/x");
            assert!(query.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'".contains(&byte)), "{query}");
            assert_eq!(Query::read(query).get("service"), Some(name));
        }
    }

    #[test]
    fn broken_long_and_empty_fields_do_no_harm() {
        let query = Query::read("a=%&b=%4&c=%zz&d=&=&e&f=%ff&a=2&env=prod");
        assert_eq!([query.get("a"), query.get("b"), query.get("c")], [Some("%"), Some("%4"), Some("%zz")]);
        assert_eq!([query.get("d"), query.get("e"), query.get("f")], [None, None, Some("\u{fffd}")]);
        assert_eq!(query.with("env", "").get("env"), None);
        assert_eq!(query.only(&["env"]).address("/"), "/?env=prod");
        assert_eq!(query.without(&["a", "b", "c", "f"]).address("/"), "/?env=prod");
        assert_eq!(Query::read(&format!("a={}", "x".repeat(5_000))), Query::default());
    }
}
