//! The command line of `coral-pipeline`: which commands there are.

mod analyst;
pub(crate) mod ask;
mod assigned;
pub mod backfill;
pub(crate) mod check_colony;
pub(crate) mod check_kafka;
pub(crate) mod check_store;
pub(crate) mod checklist;
mod clock_note;
mod config_schema;
pub mod copy;
pub mod demo;
mod display;
pub mod generate;
mod help_config;
mod help_records;
mod input_note;
pub mod load;
mod meter;
pub mod migrate;
pub(crate) mod moment;
mod outcome;
mod progress_line;
pub mod publish;
pub mod replay;
pub mod report;
pub(crate) mod rules;
pub(crate) mod run;
mod run_failure;
pub mod serve;
mod services;
mod shortfall;
mod sql;
mod summary;
pub mod validate;

use crate::entry::Program;
use crate::exit::Failure;
use crate::help::{self, Topic};
use crate::output::{Output, OutputArgs};
use clap::{Parser, Subcommand};

/// The engine of a reef: finds lagged patterns across colonies and updates them incrementally
#[derive(Debug, Parser)]
#[command(
    name = "coral-pipeline",
    version,
    disable_help_subcommand = true,
    disable_help_flag = true,
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
    /// Run a reef: read its sources, find patterns, store everything
    Run(run::RunArgs),
    /// Open a reef's services over its store, without running it
    Serve(serve::ServeArgs),
    /// Show a reef's patterns, while it runs or afterwards
    Report(report::ReportArgs),
    /// Show one pattern and its rows
    Show(report::ShowArgs),
    /// Run recorded rows through the engine again: repair a range, or ask "what if?"
    Replay(replay::ReplayArgs),
    /// Recompute a past range of stored rows, including late rows
    Backfill(backfill::BackfillArgs),
    /// Check a configuration and its inputs and store, without running
    Validate(validate::ValidateArgs),
    /// Print the JSON Schema of a configuration, for editors
    #[command(subcommand, before_help = "Example:  coral-pipeline config schema")]
    Config(config_schema::ConfigCommand),
    /// Write a reef's files or stored rows to Kafka topics
    Publish(publish::PublishArgs),
    /// Upgrade a store's tables to this version
    Migrate(migrate::MigrateArgs),
    /// Copy a reef to another store, verified by count and checksum
    Copy(copy::CopyArgs),
    /// Write a synthetic fleet with planted relations as files
    Generate(generate::GenerateArgs),
    /// Run a small live fleet with a reef over it, and show what it finds
    Demo(demo::DemoArgs),
    /// Explain a topic
    Help(Topic),
}

impl Program for CoralPipeline {
    const NAME: &'static str = "coral-pipeline";

    const ENDS_ON_PANIC: bool = true;

    fn output_args(&self) -> &OutputArgs {
        &self.output
    }

    fn run(self, output: &Output) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => run::run(&args, output),
            Command::Serve(args) => serve::run(&args, output),
            Command::Report(args) => report::report(&args, output),
            Command::Show(args) => report::show(&args, output),
            Command::Replay(args) => replay::run(&args, output),
            Command::Backfill(args) => backfill::run(&args, output),
            Command::Validate(args) => validate::run(&args, output),
            Command::Config(command) => config_schema::run(&command, output),
            Command::Publish(args) => publish::run(&args, output),
            Command::Migrate(args) => migrate::run(&args, output),
            Command::Copy(args) => copy::run(&args, output),
            Command::Generate(args) => generate::run(&args, output),
            Command::Demo(args) => demo::run(&args, output),
            Command::Help(topic) if topic.word() == "config" => help_config::print(output),
            Command::Help(topic) if topic.word() == "records" => help_records::print(output),
            Command::Help(topic) => help::run::<CoralPipeline>(&topic, &["config", "records"], output),
        }
    }
}
