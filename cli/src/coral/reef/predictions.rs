//! `coral reef predictions`: what patterns expect next, and what became of what they expected.

use super::ask::{AskArgs, ask};
use super::narrow::{FilterArgs, PartArgs};
use crate::exit::Failure;
use crate::output::Output;
use crate::pipeline::moment;
use model::clock::{Clock, SystemClock};
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
    /// As the reef knew them then: RFC 3339, a date, or how long ago (24h)
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Lists them.
pub fn run(args: &PredictionsArgs, output: &Output) -> Result<(), Failure> {
    let as_of = args.as_of.as_ref().map(|text| moment::time("--as-of", text, SystemClock.now())).transpose()?;
    let question = PredictionsQuestion {
        outcome: Some(args.outcome.clone()),
        pattern: args.pattern.clone(),
        filter: args.filter.filter(),
        as_of,
        part: args.part.part(),
    };
    ask(Question::Predictions(question), &args.ask, output)
}
