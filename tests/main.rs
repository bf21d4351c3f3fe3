//! The tests of the workspace as a whole, in one binary: what no crate can check about itself.
#![allow(clippy::unwrap_used)] // a test that meets what it did not expect has to fail

mod clickhouse;
mod determinism;
mod files;
mod live;
mod stores;
mod support;
mod tidy;
