//! Clean: text from colonies as data: no character that controls a terminal or hides, and a bounded length.

use crate::printable::{is_harmful, printable, shortened};
use serde_json::Value;

/// Characters of a text in a result.
const TEXT_MAX: usize = 400;

/// The value with each of its texts cleaned.
pub(super) fn value(given: Value) -> Value {
    match given {
        Value::String(text) => Value::String(text_of(text)),
        Value::Array(items) => items.into_iter().map(value).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, item)| (text_of(name), value(item))).collect(),
        other => other,
    }
}

/// The lines of a page with each of them cleaned.
pub(super) fn page(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}

fn text_of(text: String) -> String {
    if text.chars().count() <= TEXT_MAX && !text.chars().any(is_harmful) {
        return text;
    }
    shortened(&text, TEXT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_lose_what_controls_and_what_is_too_much() {
        let hostile = json!({ "a\u{1b}[2J": ["x\u{202e}y\n", { "b": "z".repeat(5_000) }, 1, null] });
        let clean = value(hostile);
        assert_eq!(clean["a·[2J"][0], "x·y·");
        assert_eq!(clean["a·[2J"][1]["b"].as_str().map(|text| text.chars().count()), Some(TEXT_MAX));
        assert_eq!(page("one\u{7}\ntwo\n"), "one·\ntwo\n");
    }
}
