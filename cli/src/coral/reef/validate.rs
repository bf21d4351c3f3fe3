//! `coral reef validate`: a reef's configuration, its inputs and its store checked, without running it.

use super::choice::ReefChoice;
use crate::exit::Failure;
use crate::output::Output;
use crate::pipeline::validate;
use colony::config::Places;

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef validate --no-network",
    after_help = "As coral-pipeline validate, for the reef in use. Exits 2 when a run would fail. coral reef doctor looks at the \
                  machine and a running reef too."
)]
pub struct ValidateArgs {
    #[command(flatten)]
    reef: ReefChoice,
    /// Check only local settings: no colony, broker or server is contacted, no secret must be set
    #[arg(long)]
    no_network: bool,
}

/// Checks it.
pub fn run(args: &ValidateArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let config = args.reef.resolve(places)?;
    validate::run(&validate::ValidateArgs { config, no_network: args.no_network }, output)
}
