//! `coral colony …`: the daemon of one colony.

use crate::exit::Failure;
use crate::output::Output;

/// Commands of a colony.
#[derive(Debug, clap::Subcommand)]
pub enum ColonyCommand {}

/// Runs one of them.
pub fn run(command: ColonyCommand, _output: &Output) -> Result<(), Failure> {
    match command {}
}
