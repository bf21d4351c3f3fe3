//! `coral-pipeline run`: runs a reef, shows how it goes, and ends with what was found.

use super::load::load_runnable;
use super::{display, render};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::signals::watch_shutdown;
use crate::text::counted;
use pipelines::cluster::alarm::ClusterError;
use pipelines::cluster::{self, ClusterEnd};
use pipelines::config::ReefConfig;
use pipelines::inputs::InputError;
use pipelines::progress::{Ended, Progress, RunSummary, ServeSummary};
use pipelines::run::{RunError, RunOptions};
use pipelines::store;
use reef::Report;
use serde_json::json;
use sources::SourceError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::pin::pin;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Most candidates in the table at the end.
pub(super) const CANDIDATES_SHOWN_MAX: usize = 20;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline run reef.toml",
    after_help = "With files only, or Kafka up to an end, the run ends when they have been read. With live colonies, or \
                  Kafka without an end, it goes on until SIGTERM or Ctrl-C, drains, commits and exits 0; a second signal \
                  ends it at once (130). Started again, it goes on where it was.\n\nSeveral processes: name their addresses \
                  in engine.hosts, and start this command once for each, on its machine, with --process 0, 1, …; process \
                  0 writes the store. One of them that is lost ends all; started again, they go on where they were."
)]
pub struct RunArgs {
    /// The reef: a .toml or .yaml file
    pub config: PathBuf,
    /// Which process of the cluster this is: its place in engine.hosts, counted from 0
    #[arg(long, value_name = "N")]
    pub process: Option<usize>,
}

/// Runs the reef and prints the summary and the patterns.
pub fn run(args: &RunArgs, output: &Output) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let told = output.clone();
        let shutdown = watch_shutdown(output, move || {
            told.message("stopping: the last tick is being committed (once more: at once)")
        })?;
        let config = load_runnable(&args.config)?;
        match process_of(&config, args)? {
            None => {
                let summary = watched((&config, &args.config), shutdown, output).await?;
                print(&config, &summary, output).await
            }
            Some(process) => one_of_several((&config, &args.config), process, shutdown, output).await,
        }
    })
}

/// Which process of a cluster this is, or `None` where there is one process.
fn process_of(config: &ReefConfig, args: &RunArgs) -> Result<Option<usize>, Failure> {
    let (file, hosts) = (args.config.display(), &config.engine.hosts);
    let wrong = |message: String, hint: String| Err(Failure::new(Exit::Usage, "process", message).hint(hint));
    match (args.process, hosts.len()) {
        (None, 0) => Ok(None),
        (Some(process), count) if process < count => Ok(Some(process)),
        (None, count) => wrong(
            format!("{file} is for {count} processes: engine.hosts names them; say which one this is"),
            format!("start each: coral-pipeline run {file} --process 0, … up to --process {}", count - 1),
        ),
        (Some(process), 0) => wrong(
            format!("--process {process}: {file} is for one process, it has no engine.hosts"),
            "leave --process out, or name every process: [engine] hosts = [\"127.0.0.1:2101\", \"127.0.0.1:2102\"]"
                .to_owned(),
        ),
        (Some(process), count) => wrong(
            format!("there is no process {process}: engine.hosts in {file} names {count}, counted from 0"),
            format!("give --process 0 to {}, or add its address to engine.hosts", count - 1),
        ),
    }
}

/// Runs one process of a cluster, and prints what it has to say when the run is over.
async fn one_of_several(
    (config, path): (&ReefConfig, &Path),
    process: usize,
    shutdown: watch::Receiver<bool>,
    output: &Output,
) -> Result<(), Failure> {
    let (progress, snapshots) = watch::channel(Progress::default());
    let display = tokio::spawn(display::show(snapshots, output.clone()));
    let told = output.clone();
    let tell = move |line: &str| told.message(line);
    let end = cluster::run(config, process, RunOptions { progress, shutdown }, &tell).await;
    // as above: the display ends by itself
    let _ = display.await;
    match end.map_err(|error| run_failure(&error, path))? {
        ClusterEnd::Led(summary) => print(config, &summary, output).await,
        ClusterEnd::Served(summary) => {
            output.result(&json!({ "served": summary }), |_| served_line(&summary, &config.engine.hosts[0]))
        }
        ClusterEnd::NotStarted => {
            output.result(&json!({ "not_started": true }), |_| "stopped before the others were there".to_owned())
        }
    }
}

fn served_line(summary: &ServeSummary, lead: &str) -> String {
    let ended = match summary.ended {
        Ended::InputFinished => "all input has been read",
        Ended::Stopped => "stopped",
    };
    let ServeSummary { process, progress, .. } = summary;
    format!(
        "process {process}: {ended}; read {} and {} of its share for process 0 ({lead}), which has stored the results",
        counted(progress.events, "event"),
        counted(progress.metrics, "metric row"),
    )
}

/// Runs the reef while a display of its own follows.
pub async fn watched(
    (config, path): (&ReefConfig, &Path),
    shutdown: watch::Receiver<bool>,
    output: &Output,
) -> Result<RunSummary, Failure> {
    let (progress, snapshots) = watch::channel(Progress::default());
    let display = tokio::spawn(display::show(snapshots, output.clone()));
    let running = pipelines::run::run(config, RunOptions { progress, shutdown });
    beside(running, display).await?.map_err(|error| run_failure(&error, path))
}

/// Waits for `running` while a display of it goes on, and then for the display. A display that panics ends both.
async fn beside<T>(running: impl Future<Output = T>, mut display: JoinHandle<()>) -> Result<T, Failure> {
    let mut running = pin!(running);
    let (result, shown) = tokio::select! {
        result = &mut running => (Some(result), display.await),
        shown = &mut display => (None, shown),
    };
    if let Err(error) = shown {
        let message = "the display of progress failed by a bug; please report it with this text";
        return Err(Failure::new(Exit::Failed, "internal", message).caused_by(Some(&error)));
    }
    // the display ends by itself only when nothing more can be told, which is just before the run ends
    match result {
        Some(result) => Ok(result),
        None => Ok(running.await),
    }
}

/// Prints what was found: numbers of the run, confirmed patterns, best candidates.
pub async fn print(config: &ReefConfig, summary: &RunSummary, output: &Output) -> Result<(), Failure> {
    let failed = |error: sinks::SinkError| Failure::from_error(Exit::Failed, "store_failed", &error);
    let mut store = store::open_for_reading(config).await.map_err(failed)?;
    let report = Report::read(store.as_mut(), store::describe(config), CANDIDATES_SHOWN_MAX).await.map_err(failed)?;
    output.result(&json!({ "summary": summary, "report": report }), |style| {
        format!("{}\n\n{}", render::summary_page(summary, style), report.to_text())
    })
}

/// What ended a run, with what to do: repair what starting again would only meet again.
pub(super) fn run_failure(error: &RunError, config: &Path) -> Failure {
    let (exit, code, hint) = match error {
        RunError::Input(InputError::Source { cause, .. }) => {
            let (exit, hint) = repair(cause, config).unwrap_or_else(|| (Exit::Usage, check_hint(config)));
            // nothing has been tried yet
            (if exit == Exit::Failed { Exit::Usage } else { exit }, "input_invalid", Some(hint))
        }
        RunError::Input(_) => (Exit::Usage, "input_invalid", Some(check_hint(config))),
        RunError::Source { cause, .. } => match repair(cause, config) {
            Some((Exit::Failed, hint)) => (Exit::Failed, "source_failed", Some(hint)),
            Some((exit, hint)) => (exit, "input_invalid", Some(hint)),
            None => (
                Exit::Failed,
                "source_failed",
                Some("everything up to the last tick is stored; start again to go on from there".to_owned()),
            ),
        },
        RunError::Store(_) => (Exit::Failed, "store_failed", None),
        RunError::SourcePanicked { .. } | RunError::Engine(_) => (Exit::Failed, "internal", None),
        // a usage error of the cluster as a whole: nothing was read
        RunError::Cluster(
            ClusterError::SettingsDiffer { .. } | ClusterError::Refused { .. } | ClusterError::NoSuchProcess { .. },
        ) => (Exit::Usage, "cluster", Some(check_hint(config))),
        RunError::Cluster(_) => (Exit::Failed, "cluster", None),
    };
    let failure = Failure::from_error(exit, code, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn check_hint(config: &Path) -> String {
    format!("check it with: coral-pipeline validate {}", config.display())
}

/// What has to be repaired before a run can get past this fault. `None`: it may be gone next time.
fn repair(cause: &SourceError, config: &Path) -> Option<(Exit, String)> {
    match cause {
        SourceError::File { cause, .. } if cause.kind() == ErrorKind::NotFound => {
            Some((Exit::NotFound, check_hint(config)))
        }
        SourceError::File { .. } => None,
        SourceError::Pattern { problem, .. } if problem.starts_with("matches no file") => {
            Some((Exit::NotFound, check_hint(config)))
        }
        SourceError::Pattern { .. } => Some((Exit::Usage, check_hint(config))),
        SourceError::Recorded { .. } | SourceError::KafkaShort { .. } => None,
        SourceError::Format { path, .. } => {
            let hint = format!("repair or replace {}, or take it out of {}", path.display(), config.display());
            Some((Exit::Failed, hint + "; until then every run ends there"))
        }
        SourceError::Kafka { .. } => {
            let hint = format!(
                "correct it in {0}, or at the brokers; coral-pipeline validate {0} asks them",
                config.display()
            );
            Some((Exit::Failed, hint))
        }
        SourceError::Colony { endpoint, .. } => {
            let hint =
                format!("correct its endpoint or colony_id in {}, or what listens at {endpoint}", config.display());
            Some((Exit::Failed, hint + "; until then every run ends there"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn failure(cause: SourceError) -> Failure {
        run_failure(&RunError::Source { source_name: "files".to_owned(), cause }, Path::new("conf/reef.toml"))
    }

    fn file(kind: ErrorKind) -> SourceError {
        SourceError::File { path: PathBuf::from("e.csv"), cause: kind.into() }
    }

    #[test]
    fn starting_again_is_advised_only_where_it_helps() {
        let passing = failure(file(ErrorKind::Interrupted));
        assert_eq!((passing.exit, passing.code), (Exit::Failed, "source_failed"));
        assert!(passing.hint.unwrap().contains("start again"));
        let broken =
            SourceError::Format { path: PathBuf::from("e.csv"), format: "CSV", problem: "no header".to_owned() };
        let broken = failure(broken);
        assert_eq!(broken.exit, Exit::Failed);
        assert!(broken.hint.unwrap().starts_with("repair or replace e.csv, or take it out of conf/reef.toml"));
        let stranger = failure(SourceError::Colony {
            colony_id: "shop".to_owned(),
            endpoint: "http://127.0.0.1:9".to_owned(),
            problem: "colony b answers there".to_owned(),
        });
        assert_eq!(stranger.exit, Exit::Failed);
        let hint = stranger.hint.unwrap();
        assert!(hint.contains("conf/reef.toml") && hint.contains("http://127.0.0.1:9"), "{hint}");
    }

    #[test]
    fn a_file_that_is_gone_is_not_found() {
        let gone = failure(file(ErrorKind::NotFound));
        assert_eq!(gone.exit, Exit::NotFound);
        assert_eq!(gone.hint.unwrap(), "check it with: coral-pipeline validate conf/reef.toml");
    }

    #[tokio::test]
    async fn a_display_that_panics_ends_the_run_with_its_message() {
        let display = tokio::spawn(async { panic!("no columns") });
        let failure = beside(std::future::pending::<()>(), display).await.unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Failed, "internal"));
        assert!(failure.details[0].contains("no columns"), "{failure:?}");
        assert_eq!(beside(async { 5 }, tokio::spawn(async {})).await.unwrap(), 5);
    }

    #[test]
    fn inputs_that_do_not_exist_are_not_found_and_wrong_ones_are_usage() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("both.csv"), "").unwrap();
        let ended = |inputs: &str| {
            let config = folder.path().join("reef.toml");
            std::fs::write(&config, format!("reef_id = \"r\"\n[[sources]]\nkind = \"files\"\n{inputs}\n")).unwrap();
            let (output, _) = Output::captured(false);
            let config_of = load_runnable(&config).unwrap();
            let (_stop, shutdown) = watch::channel(false);
            let failure = runtime().unwrap().block_on(watched((&config_of, &config), shutdown, &output)).unwrap_err();
            assert!(failure.hint.as_ref().unwrap().ends_with(&format!("validate {}", config.display())), "{failure:?}");
            failure.exit
        };
        assert_eq!(ended("events = [\"none.ndjson\"]"), Exit::NotFound);
        assert_eq!(ended("metrics = [\"none-*.csv\"]"), Exit::NotFound);
        assert_eq!(ended("metrics = [\"both.csv\"]\nevents = [\"both.csv\"]"), Exit::Usage);
    }
}
