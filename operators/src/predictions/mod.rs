//! Predictions: what a confirmed pattern expects when its source happens, and whether it came true.
//!
//! | file | owns |
//! |---|---|
//! | `lookback` | from which instant on predictions are kept current |
//! | `trial` | whether a pattern may predict on a day: its floor, and what became of its earlier cases |
//! | `row` | a prediction, and a pattern on a day, as rows |
//! | `state` | the operator: standings of patterns in, corrections out |
//!
//! A pattern predicts on a day if it passed as confirmed at the closed instant that begins the day. Its window and its
//! probability are those of that instant, so no prediction uses its own outcome. The cases come from the scan
//! ([`crate::events::after`]); a pattern that is muted is tried on them as well, so that it can come back.

pub mod lookback;
pub mod row;
pub mod state;
pub mod trial;

#[cfg(test)]
mod tests;

pub use lookback::current_since;
pub use row::{PATTERN_DAYS, PREDICTIONS};
pub use state::Predictions;
