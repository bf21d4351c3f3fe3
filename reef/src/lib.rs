//! The reef's services: what users and programs see of a store's contents.
//!
//! | file | owns |
//! |---|---|
//! | `api/` | the services over HTTP: health, readiness, metrics; tokens |
//! | `mcp/` | the MCP server: tools for programs with a language model |
//! | `dashboard/` | pages for people
//! | `rpc/` | the RPC services: Connect, gRPC and gRPC-Web |
//! | `flight/` | Arrow Flight SQL: statements for the clients of data teams |
//! | `access` | what a caller of the services may do |
//! | `guarded` | an answer whose panic ends only the answer |
//! | `listener` | HTTP connections with bounds, and how a refused request is read |
//! | `reading` | what the services read: a run, or a store without one |
//! | `report` | the patterns and totals of a store, ranked; serialisable |
//! | `diff` | what differs between the patterns of two stores; serialisable |
//! | `show` | one pattern and the rows behind it; serialisable |
//! | `predicted` | predictions as the store has them, and how those of a pattern came out |
//! | `text` | the report as plain text of at most 120 columns where names allow |
//! | `analysis/` | questions in words: what the engine found, worded by a template or by a model that is checked |
//! | `sql/` | statements in SQL over what a reef has |
//! | `answers/` | answers to questions about a reef, each with what it is complete to |
//! | `statement` | statements that give a stored row again |
//! | `printable` | text that nothing in it can turn, move or colour |

pub mod access;
pub mod analysis;
pub mod answers;
pub mod api;
mod dashboard;
pub mod diff;
mod flight;
pub mod guarded;
pub mod listener;
pub mod mcp;
pub mod predicted;
pub mod printable;
pub mod reading;
pub mod report;
pub mod rpc;
pub mod show;
pub mod sql;
mod statement;
pub mod text;

#[cfg(test)]
mod tests;

pub use pipelines::impact;

pub use diff::{DiffCounts, PatternChange, PatternDiff};
pub use report::{AsOf, PatternCounts, PatternLine, Report, ReportTotals, Rules};
pub use show::Shown;
