//! Asks a reef: sends a question, prints the answer, checks its completeness.

use super::broken;
use super::choice::ReefChoice;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pipeline::ask::question::Question;
use crate::pipeline::ask::{caller, store_file};
use crate::pipeline::load::load;
use crate::waiting::Waiting;
use colony::config::Places;
use pipelines::config::ReefConfig;
use reef::analysis::Piece;
use reef::answers;
use serde_json::Value;
use std::path::Path;

/// Flags that every question takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AskArgs {
    #[command(flatten)]
    pub(super) reef: ReefChoice,
    /// Fail with exit code 5 if a colony of the answer is not current
    #[arg(long)]
    require_complete: bool,
}

impl AskArgs {
    /// Whether an answer that is not complete fails.
    pub fn requires_complete(&self) -> bool {
        self.require_complete
    }
}

/// Prints the answer.
pub fn ask(about: answers::Question, args: &AskArgs, output: &Output) -> Result<(), Failure> {
    let (document, page) = answered(about, args, output)?;
    show(&document, page, args, output)
}

/// Prints an answer, and fails if it is required to be complete and is not.
pub fn show(document: &Value, page: String, args: &AskArgs, output: &Output) -> Result<(), Failure> {
    output.concluded(document, |_| page, incomplete_as_required(document, args))
}

/// The answer for programs and for people.
pub fn answered(about: answers::Question, args: &AskArgs, output: &Output) -> Result<(Value, String), Failure> {
    let path = args.reef.path()?;
    let _waiting = Waiting::start("waiting for the answer", None, output);
    answered_in_pieces(&Question::Reef { about }, (load(&path), &path), output, &mut |_| {})
}

/// The answer of the reef with this file, which may be wrong. Each piece of an answer that is being made is passed on.
pub fn answered_in_pieces(
    question: &Question,
    (config, path): (Result<ReefConfig, Failure>, &Path),
    output: &Output,
    pass_on: &mut (dyn FnMut(&Piece) + Send),
) -> Result<(Value, String), Failure> {
    runtime()?.block_on(async {
        let places = || Places::of_process().map_err(|error| crate::coral::colony::failure::config(&error));
        match config {
            Ok(config) => {
                // a server lets everybody read, but a language model is asked by the process of the reef alone
                if matches!(question, Question::Analyze { .. }) && store_file(&config).is_none() {
                    let places = places()?;
                    let answer = broken::answer_of_process(question, (path, &places), &mut *pass_on).await?;
                    if let Some(answer) = answer {
                        return Ok(answer);
                    }
                }
                caller::answer_in_pieces(question, (&config, path), pass_on).await
            }
            Err(failure) => {
                let places = places()?;
                broken::answered(question, (path, &places), failure, (output, pass_on)).await
            }
        }
    })
}

/// The failure of an answer that is not complete, where that is required.
pub fn incomplete_as_required(document: &Value, args: &AskArgs) -> Option<Failure> {
    if args.require_complete { incomplete(&document["completeness"]) } else { None }
}

/// The failure of an answer that is not complete.
fn incomplete(completeness: &Value) -> Option<Failure> {
    let colonies = completeness["colonies"].as_array()?;
    let is_current = |colony: &&Value| colony["state"] == "current";
    let missing: Vec<&Value> = colonies.iter().filter(|colony| !is_current(colony)).collect();
    if missing.is_empty() && !colonies.is_empty() {
        return None;
    }
    let message = format!("{} of {} colonies are not current", missing.len(), colonies.len());
    let mut failure = Failure::new(Exit::Incomplete, "incomplete", message);
    for colony in missing {
        let text = |name: &str| colony[name].as_str().unwrap_or_default().to_owned();
        failure = failure.detail(format!("{}: {}, {}", text("colony_id"), text("state"), text("reason")));
    }
    Some(failure.hint("look at them: coral reef health; without --require-complete the answer is printed as it is"))
}
