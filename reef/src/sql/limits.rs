//! Limits: what one statement may cost, and how many run at once.

use std::time::Duration;

/// Rows of an answer when nothing else is asked.
pub const ROWS_USUAL: usize = 1_000;
/// Longest statement, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 64 * 1024;
/// Longest row that is joined, and longest value of a subquery, in bytes: a batch has thousands of them.
pub(super) const JOINED_BYTES_MAX: usize = 64 << 10;

/// What one statement may cost, and how many run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time, from the turn of the statement on.
    pub timeout: Duration,
    /// Memory of sorts, joins and groups of all statements together, in bytes.
    pub memory_bytes: usize,
    /// Rows of an answer.
    pub rows_max: usize,
    /// Bytes of an answer.
    pub answer_bytes_max: usize,
    /// Statements at once.
    pub statements_max: usize,
    /// How long a statement may wait for its turn.
    pub turn_wait: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            timeout: Duration::from_secs(30),
            memory_bytes: 256 << 20,
            rows_max: 100_000,
            answer_bytes_max: 64 << 20,
            statements_max: 4,
            turn_wait: Duration::from_secs(5),
        }
    }
}
