//! `coral-pipeline report` and `show`: the patterns of a reef, from the process that runs it or from its store.

use super::ask::caller;
use super::ask::question::Question;
use super::load::load;
use crate::entry::runtime;
use crate::exit::Failure;
use crate::output::Output;
use std::path::{Path, PathBuf};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline report reef.toml",
    after_help = "While the reef runs, its process is queried (at a socket beside the store, for the same user only); \
                  otherwise the store is read. Nothing is changed."
)]
pub struct ReportArgs {
    /// The reef: a .toml or .yaml file
    #[arg(default_value = "reef.toml")]
    pub config: PathBuf,
    /// All candidates, including those with a simpler explanation
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline show c-32e3df26 reef.toml",
    after_help = "Ids are in the output of run and report. While the reef runs, its process is queried, as by report."
)]
pub struct ShowArgs {
    /// The pattern's id, or a prefix of it
    pub id: String,
    /// The reef: a .toml or .yaml file
    #[arg(default_value = "reef.toml")]
    pub config: PathBuf,
}

/// Prints the patterns.
pub fn report(args: &ReportArgs, output: &Output) -> Result<(), Failure> {
    ask(&Question::Report { all: args.all }, &args.config, output)
}

/// Prints one pattern with the rows behind it.
pub fn show(args: &ShowArgs, output: &Output) -> Result<(), Failure> {
    ask(&Question::Show { id: args.id.trim().to_owned() }, &args.config, output)
}

fn ask(question: &Question, path: &Path, output: &Output) -> Result<(), Failure> {
    let config = load(path)?;
    runtime()?.block_on(caller::ask(question, (&config, path), output))
}
