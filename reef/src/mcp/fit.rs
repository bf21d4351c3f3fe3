//! Fit: a result cut to what a client accepts: items from the end, so that the cursor continues exactly there.

use super::cursor::Cursor;
use serde_json::{Map, Value, json};

/// Bytes of a result as clients count it: its structured content and its text.
pub(super) const RESULT_MAX: usize = 25_000;
/// Bytes of the text, as JSON has it.
pub(super) const TEXT_MAX: usize = 5_500;
/// Bytes of the structured content: notes that are added to it, and the result's own fields, take the rest.
pub(super) const STRUCTURED_MAX: usize = RESULT_MAX - TEXT_MAX - 1_000;
/// Bytes of what is beside the list.
const REST_MAX: usize = 8_000;

/// The list of an answer, and what is beside it.
pub(super) struct List {
    /// The part of the list.
    pub(super) items: Vec<Value>,
    /// Items before it.
    pub(super) skipped: usize,
    /// Items in all.
    pub(super) total: usize,
    /// What a cursor is after.
    pub(super) after: After,
    /// What a cursor is of.
    pub(super) asked: String,
    /// Another list whose entries come with their item: its name, and the place of the item in the whole list.
    pub(super) beside: Option<(&'static str, Vec<(usize, Value)>)>,
    /// What the answer is complete to.
    pub(super) known: Map<String, Value>,
    /// Everything else: an object.
    pub(super) rest: Value,
    /// The times of its range, if it has one.
    pub(super) range: Value,
    /// Whether something in it has been shortened.
    pub(super) is_short: bool,
}

/// What cursors are after.
pub(super) enum After {
    /// Any of the items: a short name of each.
    Each(Vec<String>),
    /// The last of them: the cursor of the RPC.
    Last(Option<String>),
}

/// The structured content with as many items as fit, of so many that were wanted; `narrow` says how to ask for less.
pub(super) fn fitted(mut list: List, wanted: usize, narrow: &str) -> Map<String, Value> {
    let kept = list.fit();
    let mut notes = Vec::new();
    if list.is_short {
        notes.push("Long lists and texts in it are shortened to stay below 25 kB.".to_owned());
    }
    if kept < wanted {
        notes.push(format!(
            "Cut to {kept} of {wanted} items to stay below 25 kB: {narrow}, or continue with next_cursor."
        ));
    }
    list.of(kept, notes)
}

impl List {
    /// Shortens what is too long, and says how many items fit: where there are some at least one, so that a cursor moves.
    pub(super) fn fit(&mut self) -> usize {
        while size(&self.rest) > REST_MAX && shrink(&mut self.rest) {
            self.is_short = true;
        }
        loop {
            let kept = self.most();
            let Some(first) = self.items.first_mut() else { return 0 };
            if kept > 0 {
                return kept;
            }
            let (larger, other) =
                if size(first) < size(&self.rest) { (&mut self.rest, first) } else { (first, &mut self.rest) };
            if !shrink(larger) && !shrink(other) {
                return 1;
            }
            self.is_short = true;
        }
    }

    /// The most items with which the content fits.
    fn most(&self) -> usize {
        let fits = |kept: usize| size(&Value::Object(self.of(kept, Vec::new()))) <= STRUCTURED_MAX;
        let (mut fitting, mut over) = (0, self.items.len() + 1);
        while over - fitting > 1 {
            let middle = fitting + (over - fitting) / 2;
            if fits(middle) { fitting = middle } else { over = middle }
        }
        fitting
    }

    /// The content with so many items.
    fn of(&self, kept: usize, notes: Vec<String>) -> Map<String, Value> {
        let end = self.skipped.saturating_add(kept);
        let truncated = end < self.total;
        let after = match &self.after {
            After::Each(names) => kept.checked_sub(1).and_then(|last| names.get(last)),
            After::Last(cursor) => cursor.as_ref(),
        };
        let mut content = Map::new();
        content.insert("items".to_owned(), self.items.iter().take(kept).cloned().collect());
        content.insert("total".to_owned(), json!(self.total));
        content.insert("truncated".to_owned(), json!(truncated));
        let next = if truncated { Cursor::text(end, after.map(String::as_str), &self.asked) } else { String::new() };
        content.insert("next_cursor".to_owned(), json!(next));
        content.extend(self.known.clone());
        content.insert("notes".to_owned(), json!(notes));
        if let Some((name, entries)) = &self.beside {
            let is_of_part = |place: usize| (self.skipped..end).contains(&place) || self.total == 0;
            let entries = entries.iter().filter(|(place, _)| is_of_part(*place)).map(|(_, entry)| entry.clone());
            content.insert((*name).to_owned(), entries.collect());
        }
        content.extend(self.rest.as_object().cloned().unwrap_or_default());
        content
    }
}

/// Bytes of a value.
pub(super) fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// As much of a page as has so few bytes in JSON, up to the end of a line where one is among it; `None` if all of it has.
pub(super) fn cut(page: &str, bytes_max: usize) -> Option<&str> {
    let mut bytes = 0;
    let is_over = |one: char| {
        bytes += bytes_of(one);
        bytes > bytes_max
    };
    let (begin, _) = page.split_at(page.find(is_over)?);
    Some(begin.rfind('\n').map_or(begin, |end| begin.split_at(end + 1).0))
}

/// Bytes of a text in JSON, without its quotes.
pub(super) fn text_size(text: &str) -> usize {
    text.chars().map(bytes_of).sum()
}

fn bytes_of(one: char) -> usize {
    match one {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        one if one < ' ' => 6,
        one => one.len_utf8(),
    }
}

/// Takes away half of the largest list in the value, or of its longest text; false when nothing is left to take.
pub(super) fn shrink(value: &mut Value) -> bool {
    match largest(value) {
        Some(Value::Array(items)) => items.truncate(items.len() / 2),
        Some(Value::Object(fields)) => {
            let kept = fields.len() / 2;
            *fields = std::mem::take(fields).into_iter().take(kept).collect();
        }
        Some(Value::String(text)) => *text = text.chars().take(text.chars().count() / 2).chain(['…']).collect(),
        _ => return false,
    }
    true
}

/// Characters below which a text is left as it is.
const TEXT_LEAST: usize = 40;

/// The largest list or map of texts in an object, else its longest text. Objects with fields of their own stay whole.
fn largest(value: &mut Value) -> Option<&mut Value> {
    let is_list = |value: &Value| match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.len() > 8 && fields.values().all(Value::is_string),
        _ => false,
    };
    let is_text = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() > TEXT_LEAST);
    if biggest(value, &is_list) > 0 { pick(value, &is_list) } else { pick(value, &is_text) }
}

/// The size of the largest value inside that `is` takes; 0 if there is none.
fn biggest(value: &Value, is: &dyn Fn(&Value) -> bool) -> usize {
    let inner = |item: &Value| if is(item) { size(item) } else { biggest(item, is) };
    match value {
        Value::Array(items) => items.iter().map(inner).max().unwrap_or(0),
        Value::Object(fields) => fields.values().map(inner).max().unwrap_or(0),
        _ => 0,
    }
}

fn pick<'a>(value: &'a mut Value, is: &dyn Fn(&Value) -> bool) -> Option<&'a mut Value> {
    let rank = |item: &Value| if is(item) { size(item) } else { biggest(item, is) };
    let inside: Vec<&'a mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => return None,
    };
    let found = inside.into_iter().max_by_key(|item| rank(item)).filter(|item| rank(item) > 0)?;
    if is(found) { Some(found) } else { pick(found, is) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(items: Vec<Value>, skipped: usize, total: usize) -> List {
        let after = After::Each(items.iter().map(|item| item["place"].to_string()).collect());
        let (known, rest, range, asked) = (Map::new(), json!({}), Value::Null, "asked".to_owned());
        List { items, skipped, total, after, asked, beside: None, known, rest, range, is_short: false }
    }

    fn number(place: usize) -> Value {
        json!({ "place": place, "text": "x".repeat(500) })
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let content = fitted(list(vec![number(0), number(1)], 0, 2), 2, "name less");
        assert_eq!((&content["truncated"], &content["next_cursor"]), (&json!(false), &json!("")));
        assert_eq!((&content["notes"], content["items"].as_array().unwrap().len()), (&json!([]), 2));
    }

    #[test]
    fn a_text_is_cut_at_a_line_by_what_it_is_in_json() {
        for text in ["plain", "\"quoted\" \\ \n\t\u{8}\u{1b}\u{7f}·", ""] {
            assert_eq!(text_size(text) + 2, size(&json!(text)), "{text:?}");
            assert_eq!(cut(text, text_size(text)), None, "{text:?}");
        }
        assert_eq!(cut("one\ntwo\n", 9), Some("one\n"));
        assert_eq!(cut("\"\"\"\"", 5), Some("\"\""));
        assert_eq!(cut("äöü", 3), Some("ä"));
    }

    #[test]
    fn parts_follow_one_another_without_a_gap_or_a_repeat() {
        let (mut skipped, mut seen) = (0, Vec::new());
        loop {
            let part: Vec<Value> = (skipped..300.min(skipped + 200)).map(number).collect();
            let wanted = part.len();
            let content = fitted(list(part, skipped, 300), wanted, "name less");
            assert!(size(&Value::Object(content.clone())) <= RESULT_MAX - TEXT_MAX);
            seen.extend(content["items"].as_array().unwrap().iter().map(|item| item["place"].as_u64().unwrap()));
            let next = content["next_cursor"].as_str().unwrap();
            if next.is_empty() {
                break;
            }
            let note = content["notes"][0].as_str().unwrap();
            assert!(note.starts_with("Cut to ") && note.contains("name less, or continue with next_cursor"), "{note}");
            let cursor = Cursor::read(next, "asked").unwrap();
            assert_eq!(cursor.after, seen.last().map(u64::to_string));
            skipped = cursor.skipped;
        }
        assert_eq!(seen, (0..300).collect::<Vec<u64>>());
    }

    #[test]
    fn one_item_that_is_too_large_is_shortened_and_the_cursor_continues() {
        let metadata: Map<String, Value> =
            (0..2_000).map(|place| (format!("k{place}"), json!("v".repeat(30)))).collect();
        let item = json!({ "event_id": "e", "timestamp": "t", "metadata": metadata });
        let content = fitted(list(vec![item, number(1)], 0, 2), 2, "name less");
        let items = content["items"].as_array().unwrap();
        assert_eq!(items[0]["event_id"], "e");
        assert!(content["notes"][0].as_str().unwrap().contains("shortened"), "{}", content["notes"]);
        assert!(size(&Value::Object(content.clone())) <= RESULT_MAX - TEXT_MAX);
    }

    #[test]
    fn what_is_beside_the_list_is_shortened_first() {
        let mut given = list(vec![number(0)], 0, 1);
        given.rest = json!({ "similar": (0..500).map(number).collect::<Vec<Value>>(), "summary": "one sentence" });
        let content = fitted(given, 1, "name less");
        assert_eq!((content["items"].as_array().unwrap().len(), &content["summary"]), (1, &json!("one sentence")));
        assert!(content["similar"].as_array().unwrap().len() >= 5);
    }

    #[test]
    fn entries_beside_come_with_their_item_and_each_once() {
        let entries: Vec<(usize, Value)> = (0..90).map(|place| (place / 3, json!({ "entry": place }))).collect();
        let (mut skipped, mut seen) = (0, Vec::new());
        while skipped < 30 {
            let part = (skipped..30.min(skipped + 7)).map(number).collect();
            let given = List { beside: Some(("calls", entries.clone())), ..list(part, skipped, 30) };
            let wanted = given.items.len();
            let content = fitted(given, wanted, "");
            seen.extend(content["calls"].as_array().unwrap().iter().map(|entry| entry["entry"].as_u64().unwrap()));
            skipped += content["items"].as_array().unwrap().len();
        }
        assert_eq!(seen, (0..90).collect::<Vec<u64>>());
    }
}
