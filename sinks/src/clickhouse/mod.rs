//! The ClickHouse store: a database on a server or a cluster, one writer, commits that can be repeated.
//!
//! | file | owns |
//! |---|---|
//! | `config` | server, login, limits |
//! | `version` | the state of a store, read without changing it |
//! | `store` | the store and its reader, as the contract has them |
//! | `open` | opening, migrating |
//! | `server` | the connection and its statements |
//! | `http` | the HTTP client |
//! | `session` | what a writer has: server, lease, memory |
//! | `lease/` | which process may write |
//! | `owner` | whose database it is |
//! | `ddl` | tables for one server, a replicated database, a cluster |
//! | `retention` | time limits of tables |
//! | `memory` | what a writer remembers, so that it need not ask |
//! | `writer` | the order of a commit |
//! | `insert` | Arrow columns into tables; refused rows |
//! | `keep`, `buckets` | events and metric buckets: look up, compare, write the greater copy |
//! | `dictionary` | the texts of metric buckets, each sent once |
//! | `late_copies` | late copies of rows that are stored on time |
//! | `fleet` | the small tables |
//! | `refused` | rejects, and the counts of those that are not stored |
//! | `parts` | cuts look-ups into queries of bounded size |
//! | `rollups` | hourly summaries |
//! | `derived` | derived tables: created, written |
//! | `findings`, `links` | correlations, evidence, links to events |
//! | `rows` | rows in the server's format |
//! | `overview` | services, calls and hourly summaries |
//! | `values` | values of series at some hours |
//! | `select` | rows of a table as a page |
//! | `pages`, `reader` | queries |
//! | `scans` | scans for SQL, read piece by piece |
//! | `transfer` | whole tables in and out |
//! | `newest` | the newest rows of a table, and how many it has |
//! | `fault` | what ClickHouse's errors mean |
//!
//! Invariants:
//! 1. One process writes to a database at a time: it holds a lease, asks before every insert whether it still does, and
//!    gives every copy of a row a version above all before it.
//! 2. Positions are written last, after their rows; every step before them can be repeated.
//! 3. No text from outside is part of a statement: values are bound or are columns of an insert.
//! 4. No background merge changes a result: readers use the greatest version (FINAL).

mod buckets;
mod config;
mod ddl;
mod derived;
mod dictionary;
mod fault;
mod findings;
mod fleet;
mod http;
mod insert;
mod keep;
mod late_copies;
mod lease;
mod links;
mod memory;
mod newest;
mod open;
mod overview;
mod owner;
mod pages;
mod parts;
mod reader;
mod refused;
mod retention;
mod rollups;
mod rows;
mod scans;
mod select;
mod server;
mod session;
mod store;
mod transfer;
mod values;
mod version;
mod writer;

pub use config::ClickHouseConfig;
pub use store::{ClickHouseReader, ClickHouseStore};
pub use version::{ServerFacts, server_facts};
