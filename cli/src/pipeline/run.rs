//! `coral-pipeline run`: runs a reef, shows how it goes, and ends with what was found.

use super::load::load_runnable;
use super::{display, render};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::signals::watch_shutdown;
use pipelines::config::ReefConfig;
use pipelines::progress::{Progress, RunSummary};
use pipelines::run::{RunError, RunOptions};
use pipelines::store;
use reef::Report;
use serde_json::json;
use sources::SourceError;
use std::path::PathBuf;
use tokio::sync::watch;

/// Most candidates in the table at the end.
pub(super) const CANDIDATES_SHOWN_MAX: usize = 20;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline run reef.toml",
    after_help = "With files only, the run ends when they have been read. With live colonies it goes on until SIGTERM or \
                  Ctrl-C, drains, commits and exits 0; a second signal ends it at once (130). Started again, it goes on \
                  where it was."
)]
pub struct RunArgs {
    /// The reef: a .toml or .yaml file
    pub config: PathBuf,
}

/// Runs the reef and prints the summary and the patterns.
pub fn run(args: &RunArgs, output: &Output) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let told = output.clone();
        let shutdown =
            watch_shutdown(move || told.message("stopping: the last tick is being committed (once more: at once)"))?;
        let config = load_runnable(&args.config)?;
        let summary = watched(&config, shutdown, output).await?;
        print(&config, &summary, output).await
    })
}

/// Runs the reef while a display of its own follows.
pub async fn watched(
    config: &ReefConfig,
    shutdown: watch::Receiver<bool>,
    output: &Output,
) -> Result<RunSummary, Failure> {
    let (progress, snapshots) = watch::channel(Progress::default());
    let display = tokio::spawn(display::show(snapshots, output.clone()));
    let result = pipelines::run::run(config, RunOptions { progress, shutdown }).await;
    // the sender is gone by now, so the display ends; its panic would be a bug that must not hide the result
    let _ = display.await;
    result.map_err(|error| run_failure(&error))
}

/// Prints what was found: numbers of the run, confirmed patterns, best candidates.
pub async fn print(config: &ReefConfig, summary: &RunSummary, output: &Output) -> Result<(), Failure> {
    let failed = |error: sinks::SinkError| Failure::from_error(Exit::Failed, "store_failed", &error);
    let mut store = store::open(config).await.map_err(failed)?;
    let report = Report::read(store.as_mut(), store::describe(config), CANDIDATES_SHOWN_MAX).await.map_err(failed)?;
    output.result(&json!({ "summary": summary, "report": report }), |style| {
        format!("{}\n\n{}", render::summary_page(summary, style), report.to_text())
    })
}

pub(super) fn run_failure(error: &RunError) -> Failure {
    let (exit, code, hint) = match error {
        RunError::Input(_) => (Exit::Usage, "input_invalid", Some("check it with: coral-pipeline validate")),
        RunError::Source { cause: SourceError::Pattern { .. }, .. } => {
            (Exit::Usage, "input_invalid", Some("check it with: coral-pipeline validate"))
        }
        RunError::Source { .. } => (
            Exit::Failed,
            "source_failed",
            Some("everything up to the last tick is stored; start again to go on from there"),
        ),
        RunError::Store(_) => (Exit::Failed, "store_failed", None),
        RunError::SourcePanicked { .. } | RunError::Engine(_) => (Exit::Failed, "internal", None),
    };
    let failure = Failure::from_error(exit, code, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
