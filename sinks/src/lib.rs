//! Sinks: storage of rows, results and source positions. Independent of the dataflow.
//!
//! | file | owns |
//! |---|---|
//! | `store` | the contract: a writer, readers beside it, administration |
//! | `pages` | rows of a span, page by page |
//! | `closing` | whether a store has been closed under its readers |
//! | `commit`, `outcome` | what one tick writes, and which of its rows were not applied |
//! | `schema` | the tables that every store has: columns, keys |
//! | `error` | errors of a store: retry, reject, stop |
//! | `stored` | a row as a store shows it, and the two copies of a row that are stored at most |
//! | `resolve` | which copies of a row are stored when several have the same identity |
//! | `rejects` | which refused rows are stored, and which are only counted |
//! | `rollup`, `hours` | hourly summaries: their sums, and the sums that need not be read back |
//! | `retention` | how long rows are kept |
//! | `columns` | rows as Arrow columns |
//! | `derived` | derived outputs, checked against their tables and as Arrow columns |
//! | `views` | views over derived tables |
//! | `slices` | how much time is read at once |
//! | `overview` | services, calls and hourly summaries, from pages |
//! | `values` | values of series at some hours, without the rest of their rows |
//! | `patterns` | correlations and evidence as rows, and back |
//! | `analyses` | questions in words as they were recorded |
//! | `revisions` | what was said of a correlation, since when, and why that changed |
//! | `prediction_revisions` | what was said of a prediction, since when |
//! | `scan` | rows of a table that fulfil conditions, as a stream |
//! | `transfer` | whole tables as pages of record batches |
//! | `copy` | every table of one store into another |
//! | `memory` | the reference store, in memory |
//! | `findings` | a store that keeps patterns and no rows |
//! | `duckdb/` | the store in a DuckDB file |
//! | `clickhouse/` | the store in a ClickHouse database |
//! | `compliance/` | the harness that every store passes |

pub mod analyses;
pub mod clickhouse;
mod closing;
mod columns;
mod commit;
#[cfg(any(test, feature = "compliance"))]
pub mod compliance;
pub mod copy;
mod derived;
pub mod duckdb;
pub mod error;
pub mod findings;
mod hours;
pub mod memory;
pub mod outcome;
mod overview;
mod pages;
mod patterns;
pub mod prediction_revisions;
pub mod rejects;
pub mod resolve;
pub mod retention;
pub mod revisions;
pub mod rollup;
pub mod scan;
pub mod schema;
mod slices;
mod store;
mod stored;
pub mod transfer;
mod values;
mod views;

pub use commit::Commit;
pub use error::SinkError;
pub use outcome::Outcome;
pub use pages::{Paged, Pages, pages};
pub use store::{
    AmendedEvent, EVALUATED_NAME, MetricFilter, Span, StoreAdmin, StoreReader, StoreWriter, Totals, Watermarks,
};
pub use stored::{StoredCopies, StoredRow};
pub use values::{SeriesValues, ValuesOf};
