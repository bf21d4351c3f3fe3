//! The workspace's tests in one binary: properties that no crate can check by itself.
#![allow(clippy::unwrap_used)] // a test that meets what it did not expect has to fail

mod analyses;
mod api_page;
mod clickhouse;
mod clocks;
mod cluster;
mod copy;
mod crash;
mod dashboard;
mod determinism;
mod disk_full;
mod exit_codes;
mod files;
mod fuzz;
mod impacts;
mod kafka;
mod late;
mod lifecycle;
mod live;
mod llm_page;
mod mcp_page;
mod meshes;
mod questions;
mod readers;
mod readme;
mod recorded;
mod replay;
mod replay_page;
mod scenarios;
mod services;
mod signals;
mod simulation;
mod stores;
mod support;
mod terminal;
mod tidy;
