//! The command line of `coral-pipeline`: which commands there are.

mod display;
mod help_config;
mod load;
mod meter;
mod render;

use crate::entry::Program;
use crate::exit::Failure;
use crate::help::{self, Topic};
use crate::output::{Output, OutputArgs};
use clap::{Parser, Subcommand};

/// The engine of a reef: finds lagged patterns across colonies, and keeps them up to date
#[derive(Debug, Parser)]
#[command(
    name = "coral-pipeline",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    before_help = "Example:  coral-pipeline run reef.toml"
)]
pub struct CoralPipeline {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Explain a topic
    Help(Topic),
}

impl Program for CoralPipeline {
    const NAME: &'static str = "coral-pipeline";

    fn output_args(&self) -> &OutputArgs {
        &self.output
    }

    fn run(self, output: &Output) -> Result<(), Failure> {
        match self.command {
            Command::Help(topic) if topic.word() == "config" => help_config::print(output),
            Command::Help(topic) => help::run::<CoralPipeline>(&topic, output),
        }
    }
}
