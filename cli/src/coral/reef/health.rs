//! `coral reef health`: how colonies, environments and applications are.

use super::ask::{AskArgs, ask};
use super::narrow::FilterArgs;
use crate::exit::Failure;
use crate::output::Output;
use reef::answers::Question;
use reef::answers::health::HealthQuestion;

/// Arguments of `health`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral reef health --environment production")]
pub struct HealthArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Shows it.
pub fn run(args: &HealthArgs, output: &Output) -> Result<(), Failure> {
    ask(Question::Health(HealthQuestion { filter: args.filter.filter() }), &args.ask, output)
}
