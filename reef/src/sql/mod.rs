//! SQL over what a reef has: one SELECT, within limits, that changes nothing.
//!
//! | file | owns |
//! |---|---|
//! | `engine` | runs a statement within its limits |
//! | `threads` | the threads of statements |
//! | `running` | how many statements run |
//! | `yields` | a statement gives way now and then |
//! | `limits` | what a statement may cost |
//! | `parameters` | values that take the place of `?` in a statement |
//! | `guard` | what a statement may be |
//! | `calls` | functions and operators that take memory by an argument |
//! | `clauses` | clauses that would be ignored silently |
//! | `shape` | how large the plan of a statement may become |
//! | `moments` | times with more digits than those of tables |
//! | `functions` | which functions it may call |
//! | `growth` | functions that make long texts of short ones |
//! | `bounds` | how much joins, unnestings, windows and expressions may make of rows |
//! | `computed` | how many bytes expressions make of a row |
//! | `sizes` | how many bytes rows have |
//! | `catalog` | the names of tables |
//! | `stored` | tables of the store |
//! | `live/` | tables of colonies, read from the colonies |
//! | `files` | Parquet files of folders that are allowed |
//! | `projections` | projections that read the same, one above the other |
//! | `groups` | counts, minima and maxima that a store computes |
//! | `filters` | which conditions a store answers exactly |
//! | `source` | something that sends rows, as the leaf of a plan |
//! | `reads` | what was read, and what is to be known about an answer |
//! | `answer` | rows, and what is to be known about them |
//! | `show/` | rows as a table, CSV, NDJSON, JSON and Parquet |
//! | `error` | why there is no answer |
//! | `compliance/` | the harness that SQL over every store passes |
//!
//! DataFusion is named in this folder only. It plans a statement and joins, groups and sorts what the sources send. A
//! source is asked for no more than it answers exactly; every other condition is evaluated above it.

mod answer;
mod bounds;
mod calls;
mod catalog;
mod clauses;
#[cfg(any(test, feature = "compliance"))]
pub mod compliance;
mod computed;
mod engine;
mod error;
mod files;
mod filters;
mod functions;
mod groups;
mod growth;
mod guard;
mod limits;
mod live;
mod moments;
mod parameters;
mod projections;
mod reads;
mod running;
mod shape;
mod show;
mod sizes;
mod source;
mod stored;
#[cfg(test)]
mod tests;
mod threads;
mod yields;

pub use answer::{SqlAnswer, Table};
pub use catalog::stored_tables;
pub use engine::{Cut, Described, NamedTable, RowStream, SqlEngine, SqlQuestion, Statement, Stopper};
pub use error::SqlError;
pub use limits::{Limits, ROWS_USUAL, STATEMENT_BYTES_MAX};
pub use parameters::Parameters;
pub use reads::{Note, Read};
