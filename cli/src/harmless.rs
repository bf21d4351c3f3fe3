//! Removes terminal control characters from external text: the last step before printing.

use reef::printable::is_harmful;
use std::borrow::Cow;

/// The codes that [`Style`](crate::output::Style) writes.
const OWN_CODES: [&str; 6] = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

/// Text in which nothing acts on the terminal but line breaks, tabs and, with `colour`, our own codes: names and messages
/// come from outside.
pub fn harmless(text: &str, colour: bool) -> Cow<'_, str> {
    let is_bad = |c: char| is_harmful(c) && c != '\n' && c != '\t';
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_bad) {
        clean.push_str(&rest[..at]);
        rest = &rest[at..];
        let own = OWN_CODES.iter().find(|code| colour && rest.starts_with(**code));
        let skipped = match own {
            Some(code) => {
                clean.push_str(code);
                code.len()
            }
            None => {
                clean.push('·');
                rest.chars().next().map_or(1, char::len_utf8)
            }
        };
        rest = &rest[skipped..];
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// The same document with each such character of its strings escaped.
pub fn harmless_json(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| is_harmful(c) && c != '\n';
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_bad(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| clean.push_str(&format!("\\u{unit:04x}")));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Output, Style};

    #[test]
    fn what_comes_from_outside_cannot_act_on_the_terminal() {
        let hostile = "a\u{202e}b\x1b[2Jc\x1b[31md\r\u{2066}e\n\tf";
        assert_eq!(harmless(hostile, false), "a·b·[2Jc·[31md··e\n\tf");
        assert_eq!(harmless(&Style { colour: true }.red(hostile), true), "\x1b[31ma·b·[2Jc\x1b[31md··e\n\tf\x1b[0m");
        let (output, captured) = Output::captured(false);
        output.message(hostile);
        assert!(output.result(&(), |_| hostile.to_owned()).is_ok());
        for text in [captured.stderr(), captured.stdout()] {
            assert!(!text.contains(['\u{202e}', '\x1b', '\r', '\u{2066}']), "{text:?}");
        }
        let (output, captured) = Output::captured(true);
        let value = serde_json::json!({ "name": format!("{hostile}\u{e0041}\u{9b}") });
        assert!(output.result(&value, |_| String::new()).is_ok());
        let text = captured.stdout();
        assert!(!text.contains(['\u{202e}', '\x1b', '\u{9b}', '\u{e0041}']), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value), "programs read the same name");
    }
}
