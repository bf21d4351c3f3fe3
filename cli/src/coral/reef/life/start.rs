//! `coral reef start`: the run of a reef, in the foreground or in the background.

use super::super::choice::ReefChoice;
use super::super::known::KnownReef;
use super::super::running::Running;
use super::super::running::control::RunState;
use super::super::running::run_file::{Claim, ClaimError, RunFile, RunPaths};
use super::daemon;
use super::door::{self, Wish};
use super::engine::{self, Controls};
use super::opening;
use super::present::Present;
use super::reread::InForce;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::panics::end_on_panic;
use crate::pipeline::run::print;
use crate::signals::{watch_shutdown, watch_shutdown_and_hang_ups};
use crate::sockets::PrivateSocket;
use crate::text::counted;
use colony::config::Places;
use model::clock::{Clock, SystemClock};
use model::time::parse_duration_ms;
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Requests that wait for the run.
const WISHES: usize = 8;

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef start --daemon",
    after_help = "Runs until SIGTERM, Ctrl-C or coral reef stop: it drains, commits and exits 0. SIGHUP, and coral reef reload, \
                  read the configuration again; at a terminal SIGHUP ends it. Everything that coral-pipeline run does is done; \
                  in addition the run file ~/.coral/reefs/<id>.run shows its process and where its services are.\n\nWith \
                  --daemon the command returns once the reef runs. Its messages are in ~/.coral/reefs/<id>.log. Under a \
                  supervisor such as systemd leave --daemon out."
)]
pub struct StartArgs {
    #[command(flatten)]
    reef: ReefChoice,
    /// Run in the background, and return once the reef runs
    #[arg(long)]
    pub(super) daemon: bool,
    /// How long --daemon waits for it
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub(super) wait: String,
    /// Check the file, and that no process runs the reef, without starting it
    #[arg(long)]
    dry_run: bool,
    /// This is the process in the background, and this is its log
    #[arg(long, value_name = "FILE", hide = true)]
    background_log: Option<PathBuf>,
}

/// Runs the reef.
pub fn run(args: &StartArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let path = args.reef.resolve(places)?;
    let path = std::path::absolute(&path).unwrap_or(path);
    let known = KnownReef::read(&path);
    if known.is_empty() {
        let message = format!("reef {} has no colony yet", known.reef_id);
        return Err(Failure::new(Exit::Usage, "no_colony", message)
            .hint("add one: coral reef add-colony COLONY-ID; or write files or a topic into its [[sources]]"));
    }
    let wait = duration("--wait", &args.wait)?;
    let in_force = InForce::read(&path)?;
    let paths = RunPaths::of(places, &in_force.config.reef_id);
    if args.background_log.is_none() {
        refuse_second(&paths, &in_force)?;
    }
    if args.dry_run {
        return would_start(args, (&in_force, &path), &paths, output);
    }
    if args.daemon {
        return daemon::start((&in_force, &path), &paths, wait, output);
    }
    end_on_panic(output.clone());
    runtime()?.block_on(foreground(in_force, &path, &paths, args.background_log.clone(), output))
}

fn would_start(
    args: &StartArgs,
    (in_force, path): (&InForce, &Path),
    paths: &RunPaths,
    output: &Output,
) -> Result<(), Failure> {
    let config = &in_force.config;
    let (reef_id, colonies, sources) = (&config.reef_id, config.colonies.len() as u64, config.sources.len() as u64);
    let log = args.daemon.then(|| paths.log.display().to_string());
    let value = json!({
        "dry_run": true, "reef_id": reef_id, "config": path.display().to_string(), "colonies": colonies,
        "sources": sources, "log": log,
    });
    output.result(&value, |_| {
        let colonies = if colonies == 1 { "1 colony".to_owned() } else { format!("{colonies} colonies") };
        let reads = format!("{colonies} and {}", counted(sources, "other source"));
        let place = if args.daemon { "in the background" } else { "in the foreground" };
        let what = format!("Reef {reef_id} would run {place} with {} ({reads}); nothing was started", path.display());
        format!("{what}\nWhat it needs is checked by: coral reef doctor")
    })
}

/// A duration of the command line.
pub fn duration(flag: &str, text: &str) -> Result<Duration, Failure> {
    let ms = parse_duration_ms(text).map_err(|error| {
        Failure::new(Exit::Usage, "duration_invalid", format!("{flag} {text:?} is not a duration"))
            .caused_by(Some(&error))
            .hint("write for example 30s or 5m")
    })?;
    Ok(Duration::from_millis(ms.unsigned_abs()))
}

/// A reef that runs is not started again.
fn refuse_second(paths: &RunPaths, in_force: &InForce) -> Result<(), Failure> {
    let reef_id = in_force.config.reef_id.clone();
    match runtime()?.block_on(Running::of(paths, Some(&in_force.config)))? {
        Running::Here(state) => Err(failure(&ClaimError::Running { reef_id, pid: Some(state.pid) })),
        Running::Elsewhere => {
            let failure = failure(&ClaimError::Running { reef_id, pid: None });
            Err(failure
                .hint("by coral-pipeline run, whose process answers beside its store; ask it: coral reef status"))
        }
        Running::No { .. } => Ok(()),
    }
}

fn failure(error: &ClaimError) -> Failure {
    match error {
        ClaimError::Running { .. } => Failure::from_error(Exit::Failed, "already_running", error)
            .hint("look at it: coral reef status; end it: coral reef stop"),
        ClaimError::Io { .. } => Failure::from_error(Exit::Failed, "run_file", error),
    }
}

async fn foreground(
    in_force: InForce,
    path: &Path,
    paths: &RunPaths,
    log: Option<PathBuf>,
    output: &Output,
) -> Result<(), Failure> {
    let (send, wishes) = mpsc::channel(WISHES);
    let notices = output.clone();
    let on_first = move || notices.message("stopping: the last tick is being committed (press Ctrl-C again to abort)");
    let has_terminal =
        std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
    let shutdown = if has_terminal {
        watch_shutdown(output, on_first)?
    } else {
        let hang_ups = send.clone();
        // a full queue holds a reload already
        watch_shutdown_and_hang_ups(output, on_first, move || drop(hang_ups.try_send(Wish::Reload(None))))?
    };
    let present = present(&in_force, path, paths, log, output)?;
    output.begin_lines();
    let socket = PrivateSocket::open(&paths.socket).map_err(|error| {
        Failure::new(Exit::Failed, "run_file", format!("cannot open the socket {}", paths.socket.display()))
            .caused_by(Some(&error))
    })?;
    let door = tokio::spawn(door::answer(socket, present.clone(), send));
    let (config, seen, told) = (in_force.config.clone(), present.clone(), output.clone());
    let telling = tokio::spawn(async move {
        // standard output that is closed is no reason to stop a reef
        let _ = opening::tell(&config, None, seen, &told).await;
    });
    let ended = engine::run(in_force, path, Controls { shutdown, wishes }, &present, output).await;
    telling.abort();
    door.abort();
    // their cancellations are expected; the socket is removed then
    let _ = (telling.await, door.await);
    let (config, summary) = ended?;
    print((&config, path), &summary, output).await
}

/// Claims the reef for this process.
fn present(
    in_force: &InForce,
    path: &Path,
    paths: &RunPaths,
    log: Option<PathBuf>,
    output: &Output,
) -> Result<Present, Failure> {
    let reef_id = in_force.config.reef_id.clone();
    let (mut claim, left) = Claim::take(&paths.run, &reef_id).map_err(|error| failure(&error))?;
    if let Some(left) = left {
        let line = "ended without stopping; the reef continues from its last commit";
        output.message(&format!("the process that ran it before (pid {}) {line}", left.pid));
    }
    let (pid, started_at) = (std::process::id(), SystemClock.now().to_string());
    let (config, of_run) = (path.to_owned(), started_at.clone());
    let run_file = RunFile { pid, started_at: of_run, config, log: log.clone(), api: None, store: None };
    claim.write(&run_file).map_err(|error| failure(&error))?;
    let state = RunState {
        reef_id,
        pid,
        started_at,
        config: path.to_owned(),
        log,
        phase: "restoring".to_owned(),
        api: None,
        dashboard: None,
        colonies: Vec::new(),
        generation: 1,
        reload_problem: None,
    };
    Ok(Present::new(state, (claim, run_file), paths.answers.clone()))
}
