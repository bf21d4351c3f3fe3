//! `coral-pipeline run`: runs a reef, shows its progress, and ends with the patterns found.

use super::analyst;
use super::ask::{attended, store_file};
use super::assigned::Assigned;
use super::load::{load_runnable, network_of};
use super::rules;
use super::run_failure::run_failure;
use super::shortfall::{shortfall, stopped_early};
use super::{clock_note, display, services, sql, summary};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::signals::watch_shutdown;
use crate::text::counted;
use mesh::Network;
use model::clock::SystemClock;
use pipelines::cluster::{self, ClusterEnd};
use pipelines::config::ReefConfig;
use pipelines::open::store;
use pipelines::progress::{Ended, Progress, RunSummary, ServeSummary};
use pipelines::run::RunningReef;
use reef::Report;
use reef::analysis::Analyst;
use reef::api::{Doors, Reading, Services};
use reef::sql::SqlEngine;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline run reef.toml",
    after_help = "With files only, or Kafka up to an end, the run ends when they have been read. With live colonies, or \
                  Kafka without an end, it runs until SIGTERM, SIGHUP or Ctrl-C, drains, commits and exits 0; a later \
                  signal ends it at once (130). Stopped before finite input was read, it exits 130 as well. When started \
                  again, it resumes.\n\nSeveral processes: list their addresses in engine.hosts, and start this command once \
                  for each, on its machine, with --process 0, 1, …; process 0 writes the store. If one of them is lost, all \
                  end; when started again, they resume."
)]
pub struct RunArgs {
    /// The reef: a .toml or .yaml file
    pub config: PathBuf,
    /// Index of this process in engine.hosts, from 0
    #[arg(long, value_name = "N")]
    pub process: Option<usize>,
}

/// Runs the reef and prints the summary and the patterns.
pub fn run(args: &RunArgs, output: &Output) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let notices = output.clone();
        let shutdown = watch_shutdown(output, move || {
            notices.message("stopping: the last tick is being committed (press Ctrl-C again to abort)")
        })?;
        let config = load_runnable(&args.config)?;
        if !config.is_finite() {
            output.begin_lines();
        }
        match process_of(&config, args)? {
            None => {
                let summary = watched((&config, &args.config), shutdown, output).await?;
                print((&config, &args.config), &summary, output).await
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

/// Runs one process of a cluster, and prints its summary at the end.
async fn one_of_several(
    (config, path): (&ReefConfig, &Path),
    process: usize,
    shutdown: watch::Receiver<bool>,
    output: &Output,
) -> Result<(), Failure> {
    let network = network_of(config)?;
    let (reef, options, announcer) = RunningReef::new(SystemClock::shared(), network.clone());
    // the store is with process 0, and each machine may use the same address
    let analyst = analyst::of(config, output);
    let sql = sql::of_a_run(config, &network);
    let asked = (&analyst, &sql);
    let services = if process == 0 { services_of(config, (&reef, asked), output).await? } else { None };
    let display = tokio::spawn(display::show(reef.progress(), output.clone()));
    let messages = output.clone();
    let tell = move |line: &str| messages.message(line);
    let running = cluster::run(config, process, (options, announcer), &tell);
    let running = stopped_by(shutdown, &reef, running);
    let running = with_addresses((config, path), &network, running);
    let end = match process {
        // the store is its own
        0 => {
            let doors = doors_of(services.as_ref());
            attended((config, &network, doors), (&reef, asked, store_file(config)), output, running).await
        }
        _ => running.await,
    };
    // as above: the display ends on its own
    let _ = display.await;
    close(services).await;
    network.close().await;
    match end.map_err(|error| run_failure(&error, path))? {
        ClusterEnd::Led(summary) => print((config, path), &summary, output).await,
        ClusterEnd::Served(summary) => {
            let short = config.is_finite() && summary.ended == Ended::Stopped;
            let failure = short.then(|| stopped_early(&summary.progress));
            let page = |_: Style| served_line(&summary, &config.engine.hosts[0]);
            output.concluded(&json!({ "served": summary }), page, failure)
        }
        ClusterEnd::NotStarted => {
            let failure = config.is_finite().then(|| stopped_early(&Progress::default()));
            let page = |_: Style| "stopped before the others had connected".to_owned();
            output.concluded(&json!({ "not_started": true }), page, failure)
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

/// Runs the reef with a display, answers queries and, for endless input, reports patterns when they are confirmed or
/// withdrawn.
pub async fn watched(
    reef: (&ReefConfig, &Path),
    shutdown: watch::Receiver<bool>,
    output: &Output,
) -> Result<RunSummary, Failure> {
    observed((reef.0, reef.1, store_file(reef.0)), shutdown, output, |_, _| {}).await
}

/// The same; questions are answered beside a path. `started` gets the run, and where its services are, before it begins.
pub async fn observed(
    (config, path, answers): (&ReefConfig, &Path, Option<&Path>),
    shutdown: watch::Receiver<bool>,
    output: &Output,
    started: impl FnOnce(&RunningReef, Option<Doors>),
) -> Result<RunSummary, Failure> {
    let network = network_of(config)?;
    let (reef, options, announcer) = RunningReef::new(SystemClock::shared(), network.clone());
    let analyst = analyst::of(config, output);
    let sql = sql::of_a_run(config, &network);
    let asked = (&analyst, &sql);
    let services = services_of(config, (&reef, asked), output).await?;
    let display = tokio::spawn(display::show(reef.progress(), output.clone()));
    // on the heap: it is large, and each function that waits for it would have a copy on its stack
    let running = Box::pin(beside(pipelines::run::run_announced(config, options, announcer), display));
    let doors = doors_of(services.as_ref());
    started(&reef, doors.clone());
    let running = with_addresses((config, path), &network, stopped_by(shutdown, &reef, running));
    let ended = attended((config, &network, doors), (&reef, asked, answers), output, running).await;
    close(services).await;
    network.close().await;
    ended?.map_err(|error| run_failure(&error, path))
}

/// The services of the run, where it has some.
async fn services_of(
    config: &ReefConfig,
    (reef, (analyst, sql)): (&RunningReef, (&Arc<Analyst>, &SqlEngine)),
    output: &Output,
) -> Result<Option<Services>, Failure> {
    if !config.api.enabled {
        return Ok(None);
    }
    let opened = (config, services::pages(config));
    let reading = (Reading::Run(reef.clone()), Arc::clone(analyst), sql.clone());
    Ok(Some(services::open(opened, reading, reef.registry(), output).await?))
}

fn doors_of(services: Option<&Services>) -> Option<Doors> {
    services.map(|services| services.doors().clone())
}

async fn close(services: Option<Services>) {
    if let Some(services) = services {
        services.close().await;
    }
}

/// Waits for `running`, and asks it to end once `shutdown` says so.
async fn stopped_by<T>(mut shutdown: watch::Receiver<bool>, reef: &RunningReef, running: impl Future<Output = T>) -> T {
    let mut running = pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        // also when the sender has been dropped
        asked = shutdown.wait_for(|stop| *stop) => if asked.is_ok() { reef.stop() },
    }
    running.await
}

/// Waits for `running`; meanwhile addresses that colonies assign are stored in the reef's file.
async fn with_addresses<T>(
    (config, path): (&ReefConfig, &Path),
    network: &Network,
    running: impl Future<Output = T>,
) -> T {
    let (mut running, mut assigned) = (pin!(running), Assigned::of((config, path), network));
    let ended = tokio::select! {
        ended = &mut running => Some(ended),
        () = assigned.watch() => None,
    };
    // a short run may end between two looks
    assigned.look().await;
    match ended {
        Some(ended) => ended,
        None => running.await,
    }
}

/// Waits for `running` and its display, then for the display. A panic of the display ends both.
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
    // the display ends on its own only just before the run ends
    match result {
        Some(result) => Ok(result),
        None => Ok(running.await),
    }
}

/// Prints the result: numbers of the run, confirmed patterns, best candidates. A run that has not done its work still
/// fails.
pub async fn print((config, path): (&ReefConfig, &Path), summary: &RunSummary, output: &Output) -> Result<(), Failure> {
    let failed = |error: sinks::SinkError| Failure::from_error(Exit::Failed, "store_failed", &error);
    let reader = store::open_for_reading(config).await.map_err(failed)?;
    let report = Report::read(reader.as_ref(), store::describe(config), reef::report::CANDIDATES_SHOWN_MAX)
        .await
        .map_err(failed)?;
    let report = report.with_rules(rules::of(config));
    let page = |style| format!("{}\n\n{}", summary::summary_page(summary, path, style), reef::text::report(&report));
    // stops and unreadable inputs come first; a live reef that drains has reported them in its summary
    let is_whole = summary.ended == Ended::InputFinished && summary.inputs.failed_inputs == 0;
    let wrong_clock = clock_note::wrong_clock(summary, path).filter(|_| config.is_finite() && is_whole);
    let failure = wrong_clock.or_else(|| shortfall(config.is_finite(), summary));
    output.concluded(&json!({ "summary": summary, "report": report }), page, failure)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
