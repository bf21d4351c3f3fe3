//! The command line of `coral`: which command groups there are.

use crate::coral::colony::{self, ColonyCommand};
use crate::entry::Program;
use crate::exit::Failure;
use crate::help::{self, Topic};
use crate::output::{Output, OutputArgs};
use clap::{Parser, Subcommand};

/// Colonies and reefs: watch one application in one environment, and find patterns across many
#[derive(Debug, Parser)]
#[command(
    name = "coral",
    version,
    disable_help_subcommand = true,
    disable_help_flag = true,
    arg_required_else_help = true,
    before_help = "Example:  coral colony init my-shop --environment production"
)]
pub struct Coral {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run and manage one colony
    #[command(subcommand)]
    Colony(ColonyCommand),
    /// Explain a topic
    Help(Topic),
}

impl Program for Coral {
    const NAME: &'static str = "coral";

    fn output_args(&self) -> &OutputArgs {
        &self.output
    }

    fn run(self, output: &Output) -> Result<(), Failure> {
        match self.command {
            Command::Colony(command) => colony::run(command, output),
            Command::Help(topic) => help::run::<Coral>(&topic, &[], output),
        }
    }
}
