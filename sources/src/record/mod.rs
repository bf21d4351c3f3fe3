//! Record: one row as named cells of a few simple types, and the rules that convert cells to checked rows.
//!
//! Files, Kafka values and `coral colony import` share it.
//!
//! | file | owns |
//! |---|---|
//! | `fields` | a record as named cells, and the one rule for names of columns |
//! | `cells`, `metadata` | one reader for each kind of cell |
//! | `decode` | from cells to checked rows |
//! | `json` | one JSON object as a record |
//! | `magic` | other file formats, detected by their first bytes |

pub(crate) mod cells;
pub(crate) mod decode;
pub(crate) mod fields;
pub(crate) mod json;
pub(crate) mod magic;
pub(crate) mod metadata;

/// Longest line in bytes: far above the longest acceptable row, so that only garbage is truncated.
pub(crate) const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Text of a correction or omission in an accepted row.
pub(crate) type Notes = Vec<String>;

/// Which records a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// Metric summaries.
    Metrics,
    /// Events.
    Events,
}
