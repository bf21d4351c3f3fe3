//! `coral reef mcp`: tools for a program with a language model, on standard input and output.

use super::choice::ReefChoice;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pipeline::ask::caller;
use crate::pipeline::ask::question::{Answer, Question};
use pipelines::config::{Format, ReefConfig};
use reef::access::Who;
use reef::analysis::AnalyzeQuestion;
use reef::answers::{self, Refusal};
use reef::mcp::asking::{Asking, Asks, Told, Unanswered};
use reef::mcp::groups::Groups;
use reef::mcp::stdio;
use reef::sql::SqlQuestion;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `mcp`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef mcp --reef my-shop",
    after_help = "An MCP client starts this command and speaks with it. Each question is answered by the process that runs the \
                  reef, or from the store of a stopped one; a tool's argument `reef` may name another reef of yours. The \
                  services of a reef serve the same tools at /mcp. Client configurations: docs/mcp.md"
)]
pub struct McpArgs {
    #[command(flatten)]
    reef: ReefChoice,
}

/// The reefs of this user.
pub(super) struct Reefs {
    pub(super) usual: ReefChoice,
}

/// Serves until the client closes standard input.
pub fn run(args: &McpArgs, output: &Output) -> Result<(), Failure> {
    // what is wrong with the choice is said now, and not at the first question
    let (config, _) = args.reef.load()?;
    if stdin().is_terminal() {
        output.message(&format!(
            "tools of the reef {}: an MCP client starts this command; Ctrl-D ends it",
            config.reef_id
        ));
    }
    let reefs = Arc::new(Reefs { usual: args.reef.clone() });
    let served = runtime()?.block_on(stdio::serve(reefs, Groups::of(&config.api.mcp_groups)));
    served.map_err(|error| {
        Failure::from_error(Exit::Failed, "mcp", &error).hint("it is started by an MCP client: see docs/mcp.md")
    })
}

impl Reefs {
    /// The reef of this name, else the usual one. Read again for each question: the file may have changed.
    fn load(&self, name: Option<&str>) -> Result<(ReefConfig, PathBuf), Unanswered> {
        let usual = || self.usual.load().map_err(|failure| unanswered(&failure));
        let Some(name) = name else { return usual() };
        if let Ok((config, path)) = usual()
            && (config.reef_id == name || config.name == name)
        {
            return Ok((config, path));
        }
        // a name from a model opens no file of its own choice
        if name.contains(['/', '\\']) || Format::of_path(Path::new(name)).is_some() {
            let hint = "give the id or the name of a reef, or leave it out";
            return Err(Refusal::invalid(format!("{name:?} is a file"), hint).at("reef").into());
        }
        ReefChoice { reef: Some(name.to_owned()) }.load().map_err(|failure| match failure.exit {
            Exit::NotFound | Exit::Usage => {
                let hint = failure.hint.clone().unwrap_or_default();
                Refusal::not_found(failure.message.clone(), hint).at("reef").into()
            }
            _ => unanswered(&failure),
        })
    }

    async fn answer(&self, name: Option<&str>, about: answers::Question) -> Result<Told, Unanswered> {
        self.told(name, &Question::Plain { about }).await
    }

    async fn told(&self, name: Option<&str>, question: &Question) -> Result<Told, Unanswered> {
        let (config, path) = self.load(name)?;
        if let Some(group) = switched_off(question, &config) {
            let message = format!("tools of the group {group:?} are switched off for the reef {}", config.reef_id);
            let hint = format!("api.mcp_groups = [{group:?}] in its configuration switches them on");
            return Err(Unanswered::Failed { message, hint });
        }
        let response = caller::response(question, (&config, &path)).await;
        match response.map_err(|failure| unanswered(&failure))? {
            Answer::Found { document, page } => Ok(Told { document, text: page }),
            Answer::Refused { refusal } => Err(refusal.into()),
            Answer::Failed { message } => Err(Unanswered::Failed { message, hint: "try again in a moment".to_owned() }),
            Answer::Limited { message, retry_after_seconds } => {
                Err(Unanswered::Failed { message, hint: format!("ask again in {retry_after_seconds} s") })
            }
            Answer::Ended { message, hint, .. } => Err(Unanswered::Failed { message, hint }),
            Answer::Unclear { .. } => Err(Unanswered::Failed {
                message: "the response does not match the request".to_owned(),
                hint: "the reef runs another version of this program: restart it".to_owned(),
            }),
        }
    }
}

impl Asks for Reefs {
    fn ask<'a>(&'a self, reef: Option<&'a str>, question: answers::Question) -> Asking<'a> {
        Box::pin(self.answer(reef, question))
    }

    fn analyze<'a>(&'a self, reef: Option<&'a str>, about: AnalyzeQuestion, _who: &'a Who) -> Asking<'a> {
        Box::pin(async move { self.told(reef, &Question::Analyze { about, streamed: false }).await })
    }

    fn select<'a>(&'a self, reef: Option<&'a str>, about: SqlQuestion) -> Asking<'a> {
        Box::pin(async move { self.told(reef, &Question::Sql { about }).await })
    }
}

/// The optional group of tools of which a question is, where the reef that is asked does not offer it.
fn switched_off(question: &Question, config: &ReefConfig) -> Option<&'static str> {
    let groups = Groups::of(&config.api.mcp_groups);
    match question {
        Question::Analyze { .. } if !groups.analyze => Some("analyze"),
        Question::Sql { .. } if !groups.sql => Some("sql"),
        _ => None,
    }
}

/// A failure of a command, for a model.
fn unanswered(failure: &Failure) -> Unanswered {
    let details: String = failure.details.iter().take(3).map(|detail| format!(": {detail}")).collect();
    Unanswered::Failed {
        message: format!("{}{details}", failure.message),
        hint: failure.hint.clone().unwrap_or_default(),
    }
}
