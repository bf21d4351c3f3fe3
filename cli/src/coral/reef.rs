//! `coral reef …`: a reef and its colonies.
//!
//! | file | owns |
//! |---|---|
//! | `choice` | which reef a command is about |
//! | `add_colony` | a colony that is called, joined, and then written into the reef's file |
//! | `secret_input` | where a colony's secret comes from, and how the file refers to it |
//! | `edit` | one more colony in a configuration's text |
//! | `ping` | whether the colonies of a reef answer and admit it |

mod add_colony;
mod choice;
mod edit;
mod ping;
mod secret_input;
#[cfg(test)]
mod tests;

use crate::exit::Failure;
use crate::output::Output;
use colony::config::Places;

/// Commands of a reef.
#[derive(Debug, clap::Subcommand)]
pub enum ReefCommand {
    /// Join a colony's mesh and write the colony into the reef's configuration
    AddColony(Box<add_colony::AddColonyArgs>),
    /// Call the colonies of a reef, and show whether and how fast they answer
    Ping(ping::PingArgs),
}

/// Runs one of them.
pub fn run(command: ReefCommand, output: &Output) -> Result<(), Failure> {
    let places = Places::of_process().map_err(|error| super::colony::failure::config(&error))?;
    match command {
        ReefCommand::AddColony(args) => add_colony::run(&args, &places, output),
        ReefCommand::Ping(args) => ping::run(&args, &places, output),
    }
}
