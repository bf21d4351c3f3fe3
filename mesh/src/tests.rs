//! Colonies and reefs in one process, over the simulated network and over UDP of this machine.
#![allow(clippy::unwrap_used)]

mod access;
mod foreign;
mod found;
mod hostile;
mod life;
mod page;
mod paths;
mod plain;
mod rights;
mod rootless;
mod support;
