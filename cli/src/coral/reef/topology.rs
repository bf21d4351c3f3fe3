//! `coral reef topology`: services and the calls between them.

use super::ask::{AskArgs, ask};
use super::narrow::FilterArgs;
use crate::exit::Failure;
use crate::output::Output;
use reef::answers::Question;
use reef::answers::topology::TopologyQuestion;

/// Arguments of `topology`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef topology --service checkout",
    after_help = "With --service: the service, its neighbours, and the calls between them."
)]
pub struct TopologyArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Shows it.
pub fn run(args: &TopologyArgs, output: &Output) -> Result<(), Failure> {
    ask(Question::Topology(TopologyQuestion { filter: args.filter.filter() }), &args.ask, output)
}
