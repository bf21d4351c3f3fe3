//! `coral reef correlations`: the list of patterns.

use super::ask::{AskArgs, ask};
use super::narrow::{FilterArgs, PartArgs};
use crate::exit::Failure;
use crate::output::Output;
use crate::pipeline::moment;
use model::clock::{Clock, SystemClock};
use reef::answers::Question;
use reef::answers::correlations::CorrelationsQuestion;

/// Arguments of `correlations`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef correlations --environment production",
    after_help = "A pattern is listed if one of its ends is in the environment, application, colony or service."
)]
pub struct CorrelationsArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// confirmed, candidate, withdrawn or all [default: confirmed]
    #[arg(long)]
    state: Option<String>,
    /// As the reef knew them then: RFC 3339, a date, or how long ago (24h)
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    ask: AskArgs,
}

/// Lists them.
pub fn run(args: &CorrelationsArgs, output: &Output) -> Result<(), Failure> {
    let as_of = args.as_of.as_ref().map(|text| moment::time("--as-of", text, SystemClock.now())).transpose()?;
    let question =
        CorrelationsQuestion { filter: args.filter.filter(), state: args.state.clone(), as_of, part: args.part.part() };
    ask(Question::Correlations(question), &args.ask, output)
}
