//! `coral reef predictions`: what patterns expect next, and what became of what they expected.

use super::ask::{AskArgs, ask};
use super::narrow::{FilterArgs, PartArgs};
use crate::exit::Failure;
use crate::output::Output;
use reef::answers::Question;
use reef::answers::predictions::PredictionsQuestion;

/// Arguments of `predictions`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef predictions --outcome open",
    after_help = "A confirmed pattern opens a prediction when its source happens. It ends as hit, miss, or void (nothing was heard \
                  of the target's colony)."
)]
pub struct PredictionsArgs {
    /// open, hit, miss, void or all
    #[arg(long, value_name = "OUTCOME", default_value = "all")]
    outcome: String,
    /// Only those of this pattern: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    pattern: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Lists them.
pub fn run(args: &PredictionsArgs, output: &Output) -> Result<(), Failure> {
    let question = PredictionsQuestion {
        outcome: Some(args.outcome.clone()),
        pattern: args.pattern.clone(),
        filter: args.filter.filter(),
        part: args.part.part(),
    };
    ask(Question::Predictions(question), &args.ask, output)
}
