//! `coral reef deployment`: one deployment and what followed it.

use super::ask::{AskArgs, ask};
use crate::exit::Failure;
use crate::output::Output;
use reef::answers::Question;
use reef::answers::deployment::DeploymentQuestion;

/// Arguments of `deployment`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef deployment deploy-abc123",
    after_help = "Ids are in the output of coral reef deployments. What a tool calls the deployment works as well."
)]
pub struct DeploymentArgs {
    /// Its id, what a tool calls it, an event that reports it, or the beginning of one of these
    deployment_id: String,
    #[command(flatten)]
    ask: AskArgs,
}

/// Shows it.
pub fn run(args: &DeploymentArgs, output: &Output) -> Result<(), Failure> {
    ask(Question::Deployment(DeploymentQuestion { id: args.deployment_id.clone() }), &args.ask, output)
}
