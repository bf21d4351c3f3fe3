//! `coral reef correlation`: one pattern and the rows behind it.

use super::ask::{AskArgs, ask};
use crate::exit::Failure;
use crate::output::Output;
use reef::answers::Question;
use reef::answers::correlations::CorrelationQuestion;

/// Arguments of `correlation`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef correlation c-32e3df26",
    after_help = "Ids are in the output of coral reef correlations."
)]
pub struct CorrelationArgs {
    /// The pattern's id, or the beginning of it
    correlation_id: String,
    #[command(flatten)]
    ask: AskArgs,
}

/// Shows it.
pub fn run(args: &CorrelationArgs, output: &Output) -> Result<(), Failure> {
    ask(Question::Correlation(CorrelationQuestion { id: args.correlation_id.clone() }), &args.ask, output)
}
