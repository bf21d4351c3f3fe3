//! The reef's services: what users and programs see of a store's contents.
//!
//! | file | owns |
//! |---|---|
//! | `api/` | the services over HTTP: health, readiness, metrics; tokens |
//! | `mcp/` | the MCP server: tools for programs with a language model |
//! | `rpc/` | the RPC services: Connect, gRPC and gRPC-Web |
//! | `access` | what a caller of the services may do |
//! | `guarded` | an answer whose panic ends only the answer |
//! | `reading` | what the services read: a run, or a store without one |
//! | `report` | the patterns and totals of a store, ranked; serialisable |
//! | `diff` | what differs between the patterns of two stores; serialisable |
//! | `show` | one pattern and the rows behind it; serialisable |
//! | `text` | the report as plain text of at most 120 columns where names allow |
//! | `answers/` | answers to questions about a reef, each with what it is complete to |
//! | `impact/` | what a deployment did to the metrics of its service |
//! | `printable` | text that nothing in it can turn, move or colour |

pub mod access;
pub mod answers;
pub mod api;
pub mod diff;
pub mod guarded;
pub mod impact;
pub mod mcp;
pub mod printable;
pub mod reading;
pub mod report;
pub mod rpc;
pub mod show;
pub mod text;

#[cfg(test)]
mod tests;

pub use diff::{DiffCounts, PatternChange, PatternDiff};
pub use report::{AsOf, PatternCounts, PatternLine, Report, ReportTotals, Rules};
pub use show::Shown;
