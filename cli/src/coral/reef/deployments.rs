//! `coral reef deployments`: the list of deployments.

use super::ask::{AskArgs, ask};
use super::narrow::{FilterArgs, PartArgs};
use crate::exit::Failure;
use crate::output::Output;
use reef::answers::Question;
use reef::answers::deployments::DeploymentsQuestion;

/// Arguments of `deployments`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral reef deployments --environment production --status failed")]
pub struct DeploymentsArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only running, success, failed or rolled_back
    #[arg(long)]
    status: Option<String>,
    /// Only of this new version
    #[arg(long)]
    to_version: Option<String>,
    /// time, or effect: the worst verdict first [default: time]
    #[arg(long)]
    order: Option<String>,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Lists them.
pub fn run(args: &DeploymentsArgs, output: &Output) -> Result<(), Failure> {
    let question = DeploymentsQuestion {
        filter: args.filter.filter(),
        status: args.status.clone(),
        version: args.to_version.clone(),
        order: args.order.clone(),
        part: args.part.part(),
    };
    ask(Question::Deployments(question), &args.ask, output)
}
