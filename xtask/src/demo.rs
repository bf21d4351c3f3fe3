//! `cargo xtask demo`: runs the demo from a fresh checkout.

use crate::{checkout, setup};
use anyhow::Result;
use std::process::ExitCode;

/// Builds the program and runs `coral-pipeline demo` with `args`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    setup::openssl()?;
    setup::duckdb()?;
    let mut cargo = checkout::cargo();
    cargo.args(["run", "--locked", "--bin", "coral-pipeline", "--", "demo"]).args(args);
    checkout::run(&mut cargo)
}
