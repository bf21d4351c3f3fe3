//! The colony: one application in one environment, with its own DuckDB file (RFD 010), served to reefs (RFD 003).
//!
//! | file | owns |
//! |---|---|
//! | `config` | the two `.coral` folders: identity of the colony, path of its database, retention |
//! | `store` | the DuckDB file: six tables, one writer, a bounded set of readers |
//! | `summarize` | five-minute buckets out of finer ones; coarser answers out of stored ones |
//! | `record` | checked rows into the store, the same way for agents and imports |
//! | `call` | what all calls share: audit line, status of a store's error, the end with the colony |
//! | `federation` | `ColonyFederation`: what a reef may ask |
//! | `ingest` | `IngestService`: what an agent may write |
//! | `import` | files of metrics and events into a stopped or a running colony |
//! | `peering` | the colony's side of its mesh: key, secret, registry, discovery |
//! | `server` | storage, then listener, then services; and the way down |
//! | `ask` | client of a running colony |
//! | `error` | errors: what failed, where, and what to do |

pub mod ask;
mod call;
pub mod config;
pub mod error;
mod federation;
pub mod import;
mod ingest;
pub mod peering;
pub mod record;
pub mod server;
pub mod store;
pub mod summarize;

pub use ask::{AskError, ask};
pub use error::{ColonyError, StoreError};
pub use mesh::Listen;
pub use peering::{Peering, PeeringError};
pub use server::{ColonySettings, Serving, serve, serve_at};
pub use store::Store;

#[cfg(test)]
mod tests;
