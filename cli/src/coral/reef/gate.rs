//! `coral reef gate`: whether a version may go to the next environment, as an exit code.

use super::ask::{AskArgs, answered, incomplete_as_required};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use reef::answers::Question;
use reef::answers::gate::GateQuestion;

/// Arguments of `gate`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef gate api@v2.1.0 --from staging --to production",
    after_help = "The change that is expected is learnt from earlier versions of the service that were deployed in both \
                  environments. Exit codes: 0 pass, 10 hold, 11 not enough data."
)]
pub struct GateArgs {
    /// The service and its version
    #[arg(value_name = "SERVICE@VERSION")]
    what: String,
    /// The environment in which it runs
    #[arg(long, value_name = "ENV")]
    from: String,
    /// The environment that it would go to
    #[arg(long, value_name = "ENV")]
    to: String,
    /// The application, where several have the service
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

/// Shows the answer; the exit code is its verdict.
pub fn run(args: &GateArgs, output: &Output) -> Result<(), Failure> {
    let named = args.what.split_once('@').filter(|(service, version)| !service.is_empty() && !version.is_empty());
    let Some((service, version)) = named else {
        let message = format!("{:?} names no service with a version", args.what);
        return Err(Failure::new(Exit::Usage, "usage", message).hint("write for example api@v2.1.0"));
    };
    let question = GateQuestion {
        service: service.to_owned(),
        version: version.to_owned(),
        from: args.from.clone(),
        to: args.to.clone(),
        application: args.app.clone(),
    };
    let (document, page) = answered(Question::Gate(question), &args.ask, output)?;
    if let Some(missing) = incomplete_as_required(&document, &args.ask) {
        return output.concluded(&document, |_| page, Some(missing));
    }
    output.result(&document, |_| page)?;
    match document["verdict"].as_str() {
        Some("pass") => Ok(()),
        Some("hold") => Err(Failure::answered(Exit::Hold)),
        _ => Err(Failure::answered(Exit::NotEnoughData)),
    }
}
