//! `coral reef versions`: which version of each service runs where.

use super::ask::{AskArgs, ask};
use super::narrow::FilterArgs;
use crate::exit::Failure;
use crate::output::Output;
use reef::answers::Question;
use reef::answers::versions::VersionsQuestion;

/// Arguments of `versions`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef versions --behind",
    after_help = "Versions without an order, such as hashes of commits, differ; none of them is called behind."
)]
pub struct VersionsArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only those that are behind, or differ
    #[arg(long)]
    behind: bool,
    #[command(flatten)]
    ask: AskArgs,
}

/// Shows them.
pub fn run(args: &VersionsArgs, output: &Output) -> Result<(), Failure> {
    let question = VersionsQuestion { filter: args.filter.filter(), behind: args.behind };
    ask(Question::Versions(question), &args.ask, output)
}
