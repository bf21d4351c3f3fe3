//! Parts of long lists: limit, cursor, how many there are.

use super::refusal::Refusal;
use serde::{Deserialize, Serialize};

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
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: usize,
    /// Whether there are more after these.
    pub truncated: bool,
    /// Where the next part begins.
    pub next_cursor: Option<String>,
}

impl Part {
    /// The part of `all`.
    ///
    /// # Errors
    /// When the limit or the cursor is not one.
    pub fn of<T>(&self, all: Vec<T>) -> Result<Listed<T>, Refusal> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if limit == 0 || limit > LIMIT_MAX {
            return Err(Refusal::invalid(format!("limit is {limit}"), format!("give 1 to {LIMIT_MAX}")).at("limit"));
        }
        let skipped = match &self.cursor {
            None => 0,
            Some(cursor) => cursor.parse::<usize>().map_err(|_| {
                Refusal::invalid(format!("cursor is {cursor:?}"), "give the next_cursor of an answer").at("cursor")
            })?,
        };
        let total = all.len();
        let items: Vec<T> = all.into_iter().skip(skipped).take(limit).collect();
        let end = skipped.saturating_add(items.len());
        let truncated = end < total;
        Ok(Listed { items, total, truncated, next_cursor: truncated.then(|| end.to_string()) })
    }
}
