//! `coral reef affected`: which neighbours a deployment or an event affects.

use super::ask::{AskArgs, ask};
use crate::exit::Failure;
use crate::output::Output;
use reef::answers::Question;
use reef::answers::affected::AffectedQuestion;

/// Arguments of `affected`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef affected deploy-abc123",
    after_help = "Neighbours are services that call the service or that it calls, and those that a confirmed pattern joins with \
                  it, in any application. Each that is not affected has the smallest change that would have been seen."
)]
pub struct AffectedArgs {
    /// A deployment, as in coral reef deployment, or the id of an event
    id: String,
    #[command(flatten)]
    ask: AskArgs,
}

/// Shows them.
pub fn run(args: &AffectedArgs, output: &Output) -> Result<(), Failure> {
    ask(Question::Affected(AffectedQuestion { id: args.id.clone() }), &args.ask, output)
}
