//! `coral-pipeline replay`: runs recorded rows through the engine again: a repair, a copy, or a what-if.

use super::load::{load, load_with};
use super::run_failure::run_failure;
use super::{display, moment, outcome};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::signals::watch_shutdown;
use mesh::Network;
use model::clock::{Clock, SystemClock};
use model::time::TimeMs;
use pipelines::config::{ReefConfig, SourceConfig};
use pipelines::error::RunError;
use pipelines::progress::Ended;
use pipelines::replay::{Recording, ReplayError, Request, Task};
use pipelines::run::{Controls, RunOptions};
use sinks::SinkError;
use sinks::error::FaultClass;
use std::path::{Path, PathBuf};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline replay reef.toml --from 7d --set correlation.max_lag=6h",
    after_help = "Without --into and --set the live store is repaired: late rows of the range become part of the patterns; \
                  correct rows stay unchanged. With --into another file is written and the live store is only read. With \
                  --set nothing live is changed: the same rows are correlated with the reef's settings and with the changed \
                  ones, and the difference is shown. After Ctrl-C the same command resumes. More: docs/replay.md"
)]
pub struct ReplayArgs {
    /// The reef: a .toml or .yaml file
    pub config: PathBuf,
    /// Start of the range: RFC 3339, a date, or an age (24h)
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// End of the range, exclusive
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub to: String,
    /// Source of the rows; default: kafka if the reef reads it, otherwise stored
    #[arg(long, value_enum)]
    pub source: Option<SourceWord>,
    /// What-if with another setting: a key of [correlation], [collection] or [engine]; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Write this DuckDB file instead of the live store; created if missing
    #[arg(long, value_name = "PATH")]
    pub into: Option<PathBuf>,
    /// Count the rows of the range, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Where recorded rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SourceWord {
    /// The rows that the reef has stored
    Stored,
    /// The reef's Kafka topics
    Kafka,
}

/// Runs the replay and reports the differences.
pub fn run(args: &ReplayArgs, output: &Output) -> Result<(), Failure> {
    carry_out((&args.config, args.dry_run), &args.settings, output, |config, now| {
        let (range, words) = moment::range(&args.from, &args.to, now)?;
        let what_if = match args.settings.is_empty() {
            true => None,
            false => Some(load_with(&args.config, &args.settings)?),
        };
        let recording = args.source.map_or_else(|| usual_recording(config), Recording::from);
        Ok(Request { task: Task::Replay, range, words, recording, into: args.into.clone(), what_if })
    })
}

impl From<SourceWord> for Recording {
    fn from(word: SourceWord) -> Recording {
        match word {
            SourceWord::Stored => Recording::Stored,
            SourceWord::Kafka => Recording::Kafka,
        }
    }
}

/// A source made for replaying has priority.
fn usual_recording(config: &ReefConfig) -> Recording {
    match config.sources.iter().any(|source| matches!(source, SourceConfig::Kafka { .. })) {
        true => Recording::Kafka,
        false => Recording::Stored,
    }
}

/// Carries out what `ask` makes of the configuration and of now; shows progress, then the result. A dry run says only what
/// it would read and write.
pub(super) fn carry_out(
    (path, is_dry_run): (&Path, bool),
    settings: &[String],
    output: &Output,
    ask: impl FnOnce(&ReefConfig, TimeMs) -> Result<Request, Failure>,
) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let notices = output.clone();
        let shutdown = watch_shutdown(output, move || {
            notices.message("stopping: the last tick is being committed (press Ctrl-C again to abort)")
        })?;
        let config = load(path)?;
        let request = ask(&config, SystemClock.now())?;
        if is_dry_run {
            let planned = pipelines::replay::planned(&config, &request).await;
            let planned = planned.map_err(|error| failure(&error, path, &request))?;
            return output
                .result(&outcome::plan(&request, settings, &planned), |_| outcome::plan_page(&request, &planned));
        }
        let (options, Controls { progress, .. }) = RunOptions::new(SystemClock::shared(), Network::plain());
        let display = tokio::spawn(display::show(progress, output.clone()));
        let result = pipelines::replay::replay(&config, &request, RunOptions { shutdown, ..options }).await;
        // the sender has been dropped, so the display ends; its panic would be a bug that must not hide the result
        let _ = display.await;
        let done = result.map_err(|error| failure(&error, path, &request))?;
        let page = outcome::Page { config: path, reef: &config, request: &request, settings, outcome: &done };
        match done.ended {
            Ended::InputFinished => output.result(&page.document(), |style| page.text(style)),
            Ended::Stopped => Err(page.interrupted()),
        }
    })
}

fn failure(error: &ReplayError, config: &Path, request: &Request) -> Failure {
    let hinted = |exit, code| Failure::from_error(exit, code, error);
    match error {
        ReplayError::Run(RunError::Store(cause)) | ReplayError::Store(cause) => store_failure(cause, config, request),
        ReplayError::Run(cause) => run_failure(cause, config),
        ReplayError::NoStore { .. } => hinted(Exit::NotFound, "store_missing")
            .hint(format!("record something first: coral-pipeline run {}", config.display())),
        ReplayError::NoKafka
        | ReplayError::IntoLive { .. }
        | ReplayError::IntoReef { .. }
        | ReplayError::IntoOther { .. } => hinted(Exit::Usage, "usage"),
        ReplayError::Position { .. } => hinted(Exit::Failed, "position_invalid")
            .hint("use the program that wrote it, or another range, which starts over"),
    }
}

/// Usually a running reef has the store open; the hint then depends on the request.
fn store_failure(error: &SinkError, config: &Path, request: &Request) -> Failure {
    let failure = Failure::from_error(Exit::Failed, "store_failed", error);
    if error.class != FaultClass::Busy {
        return failure;
    }
    let task = request.task.as_str();
    let stop = format!(
        "nothing was written, and the other process is undisturbed; if it is the reef over {}, stop it (kill -TERM and \
         the PID above), run this {task} and start it again: it goes on where it was",
        config.display()
    );
    let failure = Failure { code: "store_busy", ..failure };
    match request.task {
        Task::Replay => {
            failure.hint(format!("{stop}; a reef that reads Kafka can be replayed from there into another file"))
        }
        Task::Backfill => failure.hint(stop),
    }
}
