//! `coral reef compare`: two environments side by side.

use super::ask::{AskArgs, ask};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use model::time::parse_duration_ms;
use reef::answers::Question;
use reef::answers::compare::CompareQuestion;

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef compare production staging --metric latency",
    after_help = "The difference is that of the first environment from the second, over the hours in which both were observed."
)]
pub struct CompareArgs {
    /// The environment looked at
    environment_a: String,
    /// The environment it is compared with
    environment_b: String,
    /// latency, error_rate, throughput, or a metric's name [default: all shared metrics]
    #[arg(long)]
    metric: Option<String>,
    /// How far to look back from the newest common hour: 6h, 24h, 7d
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    time_window: String,
    /// The application, where several share the environments
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

/// Compares them.
pub fn run(args: &CompareArgs, output: &Output) -> Result<(), Failure> {
    let window_ms = parse_duration_ms(&args.time_window).map_err(|error| {
        let message = format!("--time-window {:?} is not a duration", args.time_window);
        Failure::new(Exit::Usage, "duration_invalid", message)
            .caused_by(Some(&error))
            .hint("write for example 24h or 7d")
    })?;
    let question = CompareQuestion {
        environment_a: args.environment_a.clone(),
        environment_b: args.environment_b.clone(),
        metric: args.metric.clone(),
        window_ms: Some(window_ms),
        application: args.app.clone(),
    };
    ask(Question::Compare(question), &args.ask, output)
}
