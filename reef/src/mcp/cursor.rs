//! Cursor: where the next part of a list begins. With the range of time of the first part, so that later rows move nothing.

use super::moment::Moment;
use crate::answers::Refusal;
use model::time::TimeMs;
use serde_json::Value;

/// A place in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Items before it.
    pub(super) skipped: usize,
    /// The range that the list is of.
    pub(super) range: Option<(TimeMs, TimeMs)>,
}

impl Cursor {
    /// The place that `text` names.
    pub(super) fn read(text: &str) -> Result<Cursor, Refusal> {
        let wrong = || Refusal::invalid(format!("cursor is {text:?}"), "give the next_cursor of a result").at("cursor");
        let (skipped, range) = match text.split_once('@') {
            None => (text, None),
            Some((skipped, range)) => {
                let (from, to) = range.split_once('/').ok_or_else(wrong)?;
                let time = |text: &str| TimeMs::parse_rfc3339(text).ok_or_else(wrong);
                (skipped, Some((time(from)?, time(to)?)))
            }
        };
        Ok(Cursor { skipped: skipped.parse().map_err(|_| wrong())?, range })
    }

    /// The place after so many items of the list in `document`.
    pub(super) fn after(skipped: usize, document: &Value) -> String {
        match (document["start_time"].as_str(), document["end_time"].as_str()) {
            (Some(from), Some(to)) => format!("{skipped}@{from}/{to}"),
            _ => skipped.to_string(),
        }
    }

    /// The range as moments.
    pub(super) fn moments(&self) -> Option<(Moment, Moment)> {
        self.range.map(|(from, to)| (Moment::At(from), Moment::At(to)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let document = json!({ "start_time": "2024-11-13T12:00:00Z", "end_time": "2024-11-13T12:00:01.500Z" });
        let cursor = Cursor::read(&Cursor::after(20, &document)).unwrap();
        assert_eq!(cursor.skipped, 20);
        let (from, to) = cursor.range.unwrap();
        assert_eq!(to - from, 1_500);
        assert_eq!(Cursor::read(&Cursor::after(7, &json!({}))).unwrap(), Cursor { skipped: 7, range: None });
        for wrong in ["", "x", "-1", "1@", "1@a/b", "1@2024-11-13T12:00:00Z"] {
            assert_eq!(Cursor::read(wrong).unwrap_err().field.as_deref(), Some("cursor"), "{wrong:?}");
        }
    }
}
