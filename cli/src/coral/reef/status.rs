//! `coral reef status`: whether a reef runs, how its colonies are, and what was found last.

use super::ask::{AskArgs, show};
use super::broken;
use super::known::KnownReef;
use super::running::Running;
use super::running::control::RunState;
use super::running::run_file::RunPaths;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pipeline::ask::caller;
use crate::pipeline::ask::question::Question;
use crate::pipeline::load::load;
use crate::waiting::Waiting;
use colony::config::Places;
use model::clock::{Clock, SystemClock};
use model::time::{SECOND_MS, TimeMs};
use pipelines::config::ReefConfig;
use reef::answers::status::{RunFacts, StatusQuestion, status};
use reef::answers::{self, Answered, Scope};
use serde_json::Value;
use sinks::StoreWriter;
use sinks::memory::MemoryStore;
use std::path::Path;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef status --reef my-infrastructure",
    after_help = "Answered by the process that runs the reef, or from the store of a stopped one. Exits 0 either way; scripts \
                  read `state` of --json: running, restoring, draining or stopped."
)]
pub struct StatusArgs {
    #[command(flatten)]
    ask: AskArgs,
}

/// Shows it.
pub fn run(args: &StatusArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let (document, page) = of(&args.ask.reef.resolve(places)?, places, output)?;
    show(&document, page, &args.ask, output)
}

/// The status of the reef with this configuration, and the same for people.
pub(super) fn of(path: &Path, places: &Places, output: &Output) -> Result<(Value, String), Failure> {
    let known = KnownReef::read(path);
    let _waiting = Waiting::start("waiting for the answer", None, output);
    runtime()?.block_on(async {
        if known.is_empty() {
            return of_empty(&known.reef_id, places, output).await;
        }
        match load(path) {
            Ok(config) => answered(&config, path, places, output).await,
            Err(failure) => of_broken(&known.reef_id, (path, places), failure, output).await,
        }
    })
}

/// The answer of the process that runs a reef whose file is wrong.
async fn of_broken(
    reef_id: &str,
    (path, places): (&Path, &Places),
    failure: Failure,
    output: &Output,
) -> Result<(Value, String), Failure> {
    let Some(runs_on) = broken::running(path, places, &failure).await? else { return Err(failure) };
    runs_on.note(&failure, output);
    let run = Some(facts(&runs_on.state));
    let question = Question::Reef { about: answers::Question::Status(StatusQuestion { run: run.clone() }) };
    if let Some(answer) = runs_on.answer(&question, &mut |_| {}).await? {
        return Ok(answer);
    }
    output.message(unanswered(&runs_on.state.phase, "store_busy"));
    let colonies = runs_on.state.colonies.iter().map(|link| link.colony_id.clone()).collect();
    without_store(&Scope { reef_id: reef_id.to_owned(), colonies, ..Scope::default() }, run).await
}

/// The answer for a reef whose file has no colonies: it may run with those that the file had before.
async fn of_empty(reef_id: &str, places: &Places, output: &Output) -> Result<(Value, String), Failure> {
    let state = match Running::of(&RunPaths::of(places, reef_id), None).await? {
        Running::Here(state) => Some(state),
        Running::Elsewhere | Running::No { .. } => None,
    };
    output.message(match state {
        Some(_) => "its file has no colony now; the process that runs it keeps the former configuration",
        None => "this reef has no colony yet: coral reef add-colony COLONY-ID",
    });
    let links = state.iter().flat_map(|state| &state.colonies);
    let colonies = links.map(|link| link.colony_id.clone()).collect();
    without_store(&Scope { reef_id: reef_id.to_owned(), colonies, ..Scope::default() }, state.as_deref().map(facts))
        .await
}

async fn answered(
    config: &ReefConfig,
    path: &Path,
    places: &Places,
    output: &Output,
) -> Result<(Value, String), Failure> {
    let run = match Running::of(&RunPaths::of(places, &config.reef_id), Some(config)).await? {
        Running::Here(state) => Some(facts(&state)),
        Running::Elsewhere => None,
        Running::No { left } => {
            if let Some(left) = left {
                output.message(&format!("its process (pid {}) ended without stopping; start it again", left.pid));
            }
            None
        }
    };
    let question = Question::Reef { about: answers::Question::Status(StatusQuestion { run: run.clone() }) };
    match caller::answer(&question, (config, path)).await {
        // it has never run, or opens its store and answers nothing yet
        Err(failure) if failure.code == "store_missing" || (failure.code == "store_busy" && run.is_some()) => {
            let colonies = config.colonies.iter().map(|colony| colony.colony_id.clone()).collect();
            if let Some(run) = &run {
                output.message(unanswered(&run.state, failure.code));
            }
            without_store(&Scope { reef_id: config.reef_id.clone(), colonies, metrics: config.metrics.clone() }, run)
                .await
        }
        answer => answer,
    }
}

/// Why a process that runs a reef answers nothing from its store.
fn unanswered(phase: &str, code: &str) -> &'static str {
    match (phase, code) {
        ("restoring", "store_missing") => "it is starting for the first time; it answers questions after that",
        ("restoring", _) => "its store is being opened; it answers questions after that",
        ("draining", _) => "its last tick is being committed; it answers questions when it runs again",
        _ => "its store cannot be read now; ask again in a moment",
    }
}

/// The answer where no store can be read.
async fn without_store(scope: &Scope, run: Option<RunFacts>) -> Result<(Value, String), Failure> {
    let nothing = MemoryStore::new();
    let runs = run.is_some();
    let answer = status(&StatusQuestion { run }, nothing.reader().as_ref(), scope).await;
    let mut answer = answer.map_err(|error| Failure::from_error(Exit::Failed, "store_failed", &error))?;
    // also of a reef without colonies: it may have rows that could not be read
    answer.completeness.complete &= !runs;
    let page = answer.text();
    let document = reef::rpc::document(Answered::Status(Box::new(answer)));
    let document = document.map_err(|error| Failure::from_error(Exit::Failed, "answer_unwritable", &error))?;
    Ok((document, page))
}

/// What a run says of itself at its control socket.
fn facts(state: &RunState) -> RunFacts {
    let since_ms = TimeMs::parse_rfc3339(&state.started_at).map_or(0, |started| SystemClock.now() - started);
    let uptime_seconds = u64::try_from(since_ms / SECOND_MS).unwrap_or(0);
    let (api_url, dashboard_url) = (state.api.clone(), state.dashboard.clone());
    RunFacts { state: state.phase.clone(), uptime_seconds, api_url, dashboard_url }
}

#[cfg(test)]
mod tests {
    use super::unanswered;

    #[test]
    fn only_a_restart_opens_a_store_that_is_there() {
        let is_opening = |phase, code| unanswered(phase, code).contains("being opened");
        assert!(is_opening("restoring", "store_busy"));
        assert!(!is_opening("restoring", "store_missing"), "a first start");
        assert!(!is_opening("draining", "store_busy") && !is_opening("running", "store_busy"));
    }
}
