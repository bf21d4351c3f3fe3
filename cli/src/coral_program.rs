//! The command line of `coral`: which command groups there are.

use crate::completions::{self, CompletionsArgs};
use crate::coral::colony::{self, ColonyCommand};
use crate::coral::discovery::{self, DiscoveryCommand};
use crate::coral::reef::{self, ReefCommand, analyze};
use crate::entry::Program;
use crate::exit::Failure;
use crate::help::{self, Topic};
use crate::manual::{self, ManualArgs};
use crate::output::{Output, OutputArgs};
use clap::{Parser, Subcommand};
use migrations::KNOWN_VERSION;
use serde_json::json;

/// The help of a group of many commands: it fits a screen because the flags that every command has are one line.
const MANY_COMMANDS: &str = "{before-help}{about-with-newline}{usage-heading} {usage}\n\nCommands:\n{subcommands}\n\n\
                             Every command has --json (or --format json), --no-color, -v and --help.";

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
    #[command(subcommand, before_help = "Example:  coral colony status")]
    Colony(ColonyCommand),
    /// Make, run and ask a reef, and connect it with its colonies
    #[command(subcommand, before_help = "Example:  coral reef status", help_template = MANY_COMMANDS)]
    Reef(ReefCommand),
    /// Ask a reef a question in words
    Ask(analyze::AnalyzeArgs),
    /// Run a service that tells reefs where colonies are
    #[command(subcommand, before_help = "Example:  coral discovery start")]
    Discovery(DiscoveryCommand),
    /// Print a script that completes commands in a shell
    Completions(CompletionsArgs),
    /// Write the help of every command as pages for man
    Manual(ManualArgs),
    /// Print the version of the program, and of the stores that it writes
    #[command(before_help = "Example:  coral version --json")]
    Version,
    /// Explain a topic
    Help(Topic),
}

impl Program for Coral {
    const NAME: &'static str = "coral";
    // who called a colony through its mesh is always logged
    const LOGS_ALSO: &'static str = "coral_audit=info";

    fn output_args(&self) -> &OutputArgs {
        &self.output
    }

    fn run(self, output: &Output) -> Result<(), Failure> {
        match self.command {
            Command::Colony(command) => colony::run(command, output),
            Command::Reef(command) => reef::run(command, output),
            Command::Ask(args) => analyze::run(&args, output),
            Command::Discovery(command) => discovery::run(command, output),
            Command::Completions(args) => completions::run::<Coral>(&args, output, reef::ids::of_user),
            Command::Manual(args) => manual::run::<Coral>(&args, output),
            Command::Version => {
                let version = env!("CARGO_PKG_VERSION");
                let document = json!({ "name": "coral", "version": version, "schema_version": KNOWN_VERSION });
                output.result(&document, |_| format!("coral {version}"))
            }
            Command::Help(topic) => help::run::<Coral>(&topic, &[], output),
        }
    }
}
