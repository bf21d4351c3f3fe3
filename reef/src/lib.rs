//! The reef's services: what people and programs are told about a store's contents.
//!
//! | file | owns |
//! |---|---|
//! | `report` | the patterns and totals of a store, ranked; serialisable |
//! | `diff` | what differs between the patterns of two stores; serialisable |
//! | `text` | the report as plain text of at most 120 columns where names allow |

pub mod diff;
pub mod report;
mod text;

#[cfg(test)]
mod tests;

pub use diff::{DiffCounts, PatternChange, PatternDiff};
pub use report::{PatternCounts, PatternLine, Report, ReportTotals};
