//! Cursor: where the next part of a list begins: after an item, whatever is stored meanwhile. It is of one tool and its
//! arguments.

use crate::answers::Refusal;
use crate::printable::shortened;

/// Longest cursor of the RPC that is passed on: a result has a limit, and names may be longer.
const AFTER_MAX: usize = 1_500;
/// Longest wrong cursor that a message repeats.
const SHOWN_MAX: usize = 60;

/// A place in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Items before it.
    pub(super) skipped: usize,
    /// What the last of them is called; `None` where it is known by its number only.
    pub(super) after: Option<String>,
}

impl Cursor {
    /// The place that `text` names, in the list of the question `asked`.
    pub(super) fn read(text: &str, asked: &str) -> Result<Cursor, Refusal> {
        let wrong = || {
            let shown = shortened(text, SHOWN_MAX);
            Refusal::invalid(format!("cursor is {shown:?}"), "give the next_cursor of a result").at("cursor")
        };
        let (of, rest) = text.split_once('.').ok_or_else(wrong)?;
        let (skipped, after) = rest.split_once('.').ok_or_else(wrong)?;
        let skipped = skipped.parse().map_err(|_| wrong())?;
        if of != asked {
            let hint = "send the arguments that it came with, only limit may change, or send no cursor";
            return Err(Refusal::invalid("the cursor is of another tool or of other arguments", hint).at("cursor"));
        }
        Ok(Cursor { skipped, after: Some(after).filter(|after| !after.is_empty()).map(str::to_owned) })
    }

    /// The place as text.
    pub(super) fn text(skipped: usize, after: Option<&str>, asked: &str) -> String {
        let after = after.filter(|after| after.len() <= AFTER_MAX).unwrap_or_default();
        format!("{asked}.{skipped}.{after}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_is_of_one_question() {
        let cursor = Cursor { skipped: 20, after: Some("5b.22".to_owned()) };
        let text = Cursor::text(20, Some("5b.22"), "asked");
        assert_eq!(Cursor::read(&text, "asked").unwrap(), cursor);
        let other = Cursor::read(&text, "other").unwrap_err();
        assert_eq!(other.message, "the cursor is of another tool or of other arguments");
        let long = Cursor::text(7, Some(&"5".repeat(AFTER_MAX + 1)), "asked");
        assert_eq!(Cursor::read(&long, "asked").unwrap(), Cursor { skipped: 7, after: None });
        for wrong in ["", "x", "7", "asked", "asked.7", "asked.-1.x", "asked.x."] {
            assert_eq!(Cursor::read(wrong, "asked").unwrap_err().field.as_deref(), Some("cursor"), "{wrong:?}");
        }
    }
}
