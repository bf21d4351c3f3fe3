//! The DuckDB store: one file, one writer, one transaction per commit.
//!
//! | file | owns |
//! |---|---|
//! | `config` | path and limits |
//! | `version` | the schema version of a file, without changing it |
//! | `store` | the store as the contract has it |
//! | `worker` | threads with a queue of jobs |
//! | `readers` | connections that read while the writer commits |
//! | `scans` | scans for SQL, each with a connection of its own |
//! | `interrupts` | a connection whose statements another thread can end |
//! | `session` | the writing connection: opening, migrating, closing |
//! | `unfinished` | a file whose creation was interrupted |
//! | `owner` | whose file it is |
//! | `writer` | the transaction of a commit |
//! | `series` | ids of metric series, and the newest stored time of each, to avoid look-ups |
//! | `keep` | events and metric buckets: look up, compare, append or update |
//! | `look_up` | stored copies of rows, by identity |
//! | `newer` | amended and withdrawn events: all, and those among given identities |
//! | `newest` | the newest rows of a table, and how many it has |
//! | `fleet` | the small tables |
//! | `refused` | rejects, and the counts of those that are not stored |
//! | `rollups` | hourly summaries |
//! | `derived` | derived tables: created, written, aged |
//! | `findings` | correlations, evidence, links to events |
//! | `rows` | rows as Arrow columns, and back |
//! | `stage` | Arrow columns into tables |
//! | `overview` | services, calls and hourly summaries |
//! | `values` | values of series at some hours |
//! | `select` | rows of a table as a page |
//! | `reader` | queries |
//! | `prune` | deletes expired rows, in short slices |
//! | `transfer` | whole tables in and out |
//! | `fault` | what DuckDB's errors mean |
//!
//! Invariants:
//! 1. Only this thread writes, and one process has the file: identities without a unique index stay unique because
//!    every commit looks them up (test `compliance`).
//! 2. No external text is part of a statement: statements are built from constants, values are bound or appended.
//! 3. A failed commit leaves nothing, its temporary tables included.

mod config;
mod derived;
mod fault;
mod findings;
mod fleet;
mod interrupts;
mod keep;
mod look_up;
mod newer;
mod newest;
mod overview;
mod owner;
mod prune;
mod reader;
mod readers;
mod refused;
mod rollups;
mod rows;
mod scans;
mod select;
mod series;
mod session;
mod stage;
mod store;
mod transfer;
mod unfinished;
mod values;
mod version;
mod worker;
mod writer;

#[cfg(test)]
mod tests;

pub use config::DuckDbConfig;
pub use owner::NotOurs;
pub use store::{DuckDbReader, DuckDbStore};
pub use version::{EarlierVersion, stored_version};
