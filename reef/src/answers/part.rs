//! Parts of long lists: limit, cursor, how many there are.

use super::refusal::Refusal;
use model::time::TimeMs;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest cursor that a message repeats.
const SHOWN_BYTES_MAX: usize = 64;
/// Items of a list without `limit`.
pub const LIMIT_DEFAULT: usize = 20;
/// Most items of a list.
pub const LIMIT_MAX: usize = 200;

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Most items.
    pub limit: Option<usize>,
    /// Where the part begins: `next_cursor` of the part before.
    pub cursor: Option<String>,
    /// How many items from there are left out, for callers that limit the items of a part by their size.
    #[serde(default)]
    pub skip: usize,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many there are in all; in a later part, the items before it and what there is from it on.
    pub total: usize,
    /// Whether there are more after these.
    pub truncated: bool,
    /// Where the next part begins.
    pub next_cursor: Option<String>,
}

/// Where a part begins in a list that moves: after an item, whatever has been stored since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place<K> {
    /// End of the range of the first part, where the list is one of a range.
    pub to: Option<TimeMs>,
    /// How many items came before.
    pub before: usize,
    /// The last of them.
    pub after: K,
}

/// A question, without its part, as cursors of its list carry it.
pub fn asked(list: &str, question: &impl Serialize) -> String {
    let text = serde_json::to_string(question).unwrap_or_default();
    let digest = Sha256::digest(format!("{list} {text}").as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl<K: Serialize> Place<K> {
    /// A cursor for the question that was asked.
    pub fn cursor(&self, asked: &str) -> String {
        let text = serde_json::to_string(&(asked, self.to, self.before, &self.after)).unwrap_or_default();
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The bytes of a cursor.
fn bytes(cursor: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = cursor.trim().as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? * 16 + digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn no_cursor(cursor: &str) -> Refusal {
    let message = match cursor.len() {
        ..=SHOWN_BYTES_MAX => format!("cursor is {cursor:?}"),
        length => format!("a cursor of {length} bytes is none that was given"),
    };
    Refusal::invalid(message, "give the next_cursor of an answer").at("cursor")
}

impl<T> Listed<T> {
    /// A part of `items` with `before` others before and `remaining` from its begin; `cursor` makes one after an item.
    /// `items` reach as far as [`Part::reach`].
    pub(crate) fn of(
        part: &Part,
        mut items: Vec<T>,
        (before, remaining): (usize, usize),
        cursor: impl FnOnce(&T, usize) -> String,
    ) -> Listed<T> {
        let left_out = items.drain(..part.skip.min(items.len())).count();
        let (before, remaining) = (before.saturating_add(left_out), remaining.saturating_sub(left_out));
        let truncated = items.len() < remaining;
        let end = before.saturating_add(items.len());
        let next_cursor = items.last().filter(|_| truncated).map(|last| cursor(last, end));
        Listed { items, total: before.saturating_add(remaining), truncated, next_cursor }
    }
}

impl Part {
    /// How many items from the begin of the part have to be found.
    pub(crate) fn reach(&self) -> Result<usize, Refusal> {
        Ok(self.limit()?.saturating_add(self.skip))
    }

    /// How many items are wanted.
    fn limit(&self) -> Result<usize, Refusal> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if limit == 0 || limit > LIMIT_MAX {
            return Err(Refusal::invalid(format!("limit is {limit}"), format!("give 1 to {LIMIT_MAX}")).at("limit"));
        }
        Ok(limit)
    }

    /// Where the part begins; `None` for the begin of the list. `asked` is the question.
    pub(crate) fn place<K: DeserializeOwned>(&self, asked: &str) -> Result<Option<Place<K>>, Refusal> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let read = |bytes: Vec<u8>| serde_json::from_slice(&bytes).ok();
        let read: Option<(String, Option<TimeMs>, usize, serde_json::Value)> = bytes(cursor).and_then(read);
        let Some((question, to, before, after)) = read else { return Err(no_cursor(cursor)) };
        if question != asked {
            let hint = "send the question that it came with, only its limit may change, or send no cursor";
            return Err(Refusal::invalid("the cursor is of another question", hint).at("cursor"));
        }
        let after = serde_json::from_value(after).map_err(|_| no_cursor(cursor))?;
        Ok(Some(Place { to, before, after }))
    }

    /// The part of `all`, which is in the order of `key`: it begins after a key, whatever was added or removed since.
    ///
    /// # Errors
    /// When the limit or the cursor is not one, or the cursor is of another question than `asked`.
    pub fn after<T, K: Ord + Serialize + DeserializeOwned>(
        &self,
        mut all: Vec<T>,
        asked: &str,
        key: impl Fn(&T) -> K,
    ) -> Result<Listed<T>, Refusal> {
        let (reach, place) = (self.reach()?, self.place::<K>(asked)?);
        all.retain(|item| place.as_ref().is_none_or(|place| key(item) > place.after));
        let counts = (place.map_or(0, |place| place.before), all.len());
        all.truncate(reach);
        let cursor = |last: &T, before: usize| Place { to: None, before, after: key(last) }.cursor(asked);
        Ok(Listed::of(self, all, counts, cursor))
    }

    /// The part of `all`, of a list that does not move: its cursor is a number of items.
    ///
    /// # Errors
    /// When the limit or the cursor is not one.
    pub fn of<T>(&self, all: Vec<T>) -> Result<Listed<T>, Refusal> {
        let limit = self.limit()?;
        let skipped = match &self.cursor {
            None => self.skip,
            Some(cursor) => cursor.parse::<usize>().map_err(|_| no_cursor(cursor))?,
        };
        let total = all.len();
        let items: Vec<T> = all.into_iter().skip(skipped).take(limit).collect();
        let end = skipped.saturating_add(items.len());
        let truncated = end < total;
        Ok(Listed { items, total, truncated, next_cursor: truncated.then(|| end.to_string()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_begins_after_a_key_whatever_was_added_or_removed_since() {
        let part = |limit: usize, cursor: Option<String>| Part { limit: Some(limit), cursor, skip: 0 };
        let first = part(2, None).after(vec![10, 20, 30, 40], "q", |key| *key).ok();
        let first = first.map(|first| (first.items, first.total, first.next_cursor));
        let Some((items, total, cursor)) = first else { panic!("the first part") };
        assert_eq!((items, total), (vec![10, 20], 4));
        // 5 is new and 20 is gone: neither repeats nor hides an item
        let rest = part(9, cursor.clone()).after(vec![5, 10, 30, 40], "q", |key| *key).ok();
        assert_eq!(rest.map(|rest| (rest.items, rest.truncated)), Some((vec![30, 40], false)));
        assert!(part(9, cursor).after(vec![5, 10], "another", |key| *key).is_err());
        assert!(part(9, Some("2".to_owned())).after(vec![5, 10], "q", |key| *key).is_err());
    }

    #[test]
    fn items_that_are_left_out_count_as_before_the_part() {
        let part = Part { limit: Some(2), cursor: None, skip: 3 };
        assert_eq!(part.reach().ok(), Some(5));
        let listed = Listed::of(&part, vec![1, 2, 3, 4, 5], (10, 9), |last, end| format!("{last} at {end}"));
        let expected =
            Listed { items: vec![4, 5], total: 19, truncated: true, next_cursor: Some("5 at 15".to_owned()) };
        assert_eq!(listed, expected);
        let behind = Listed::of(&part, vec![1, 2], (0, 2), |_, _| String::new());
        assert_eq!((behind.items.len(), behind.total, behind.truncated), (0, 2, false));
        let all = part.of(vec![1, 2, 3, 4, 5, 6]).ok();
        assert_eq!(all.map(|all| (all.items, all.next_cursor)), Some((vec![4, 5], Some("5".to_owned()))));
    }
}
