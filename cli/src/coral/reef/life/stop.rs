//! `coral reef stop`: drain and end.

use super::super::choice::ReefChoice;
use super::super::known::KnownReef;
use super::super::running::Running;
use super::super::running::control::{self, Reply, Request, RunState};
use super::super::running::run_file::{Claim, ClaimError, RunPaths};
use super::start::duration;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use colony::config::Places;
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After this the wait is reported.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// Arguments of `stop`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef stop --reef my-infrastructure",
    after_help = "The reef stops reading, commits what it has read, and ends; started again, it resumes there. A reef that does \
                  not run is no error."
)]
pub struct StopArgs {
    #[command(flatten)]
    reef: ReefChoice,
    /// How long to wait for its end
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    wait: String,
    /// End it at once: what is not committed yet is read again later
    #[arg(long)]
    now: bool,
    /// Say which process would end, without ending it
    #[arg(long)]
    dry_run: bool,
}

/// Stops the reef.
pub fn run(args: &StopArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let reef = KnownReef::read(&args.reef.resolve(places)?);
    let wait = duration("--wait", &args.wait)?;
    let paths = RunPaths::of(places, &reef.reef_id);
    let request = if args.now { Request::Abort } else { Request::Stop };
    runtime()?.block_on(async {
        if args.dry_run {
            return match control::state(&paths.socket).await? {
                Some(state) => would_end(args, &state, output),
                None => not_running(&reef, &paths, args, output).await,
            };
        }
        let pid = match control::send(&paths.socket, request).await? {
            Some(Reply::Ending { pid }) => pid,
            Some(other) => return Err(control::unexpected(&other)),
            None => return not_running(&reef, &paths, args, output).await,
        };
        let began = Instant::now();
        until_ended(&reef.reef_id, pid, &paths, wait, output).await?;
        let seconds = began.elapsed().as_secs_f64();
        let value = json!({ "reef_id": reef.reef_id, "was_running": true, "pid": pid, "drained": !args.now });
        output.result(&value, |style| {
            let how = if args.now { "ended at once" } else { "stopped" };
            format!("{} Reef {} {how} (pid {pid}, {seconds:.1} s)", style.green("✓"), reef.reef_id)
        })
    })
}

fn would_end(args: &StopArgs, state: &RunState, output: &Output) -> Result<(), Failure> {
    let RunState { reef_id, pid, phase, .. } = state;
    let value = json!({
        "dry_run": true, "reef_id": reef_id, "was_running": true, "pid": pid, "drained": !args.now, "phase": phase,
    });
    output.result(&value, |_| {
        let how = if args.now { "end at once" } else { "commit what it has read, and end" };
        format!("Reef {reef_id} (pid {pid}, {phase}) would {how}; nothing was stopped")
    })
}

/// Waits until its process has given the run file back.
async fn until_ended(
    reef_id: &str,
    pid: u32,
    paths: &RunPaths,
    wait: Duration,
    output: &Output,
) -> Result<(), Failure> {
    let (began, mut is_told) = (Instant::now(), false);
    loop {
        match Claim::take(&paths.run, reef_id) {
            Ok(_given_back) => return Ok(()),
            // the reef has been started again meanwhile: the process that was asked has ended
            Err(ClaimError::Running { pid: Some(other), .. }) if other != pid => return Ok(()),
            Err(ClaimError::Running { .. }) => {}
            Err(error) => return Err(Failure::from_error(Exit::Failed, "run_file", &error)),
        }
        if began.elapsed() >= wait {
            let message =
                format!("reef {reef_id} has not ended after {} s (pid {pid}); it continues to drain", wait.as_secs());
            return Err(Failure::new(Exit::Failed, "not_ended", message)
                .hint("wait longer with --wait, or end it at once: coral reef stop --now"));
        }
        if !is_told && began.elapsed() >= TELL_AFTER {
            is_told = true;
            output.message(&format!("draining: the last tick is being committed (up to {} s)", wait.as_secs()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn not_running(reef: &KnownReef, paths: &RunPaths, args: &StopArgs, output: &Output) -> Result<(), Failure> {
    let reef_id = &reef.reef_id;
    let left = match Running::of(paths, reef.config.as_ref().ok()).await? {
        Running::Elsewhere | Running::Here(_) => {
            let message = format!("reef {reef_id} is run by another program, not by coral reef start");
            return Err(Failure::new(Exit::Failed, "not_ours", message)
                .hint("send its process SIGTERM; coral-pipeline report names the process"));
        }
        Running::No { left } => left,
    };
    if left.is_some() && !args.dry_run {
        // a claim that is given back removes what the process left over
        drop(Claim::take(&paths.run, reef_id).map_err(|error| Failure::from_error(Exit::Failed, "run_file", &error))?);
    }
    let pid = left.map(|left| left.pid);
    let mut value = json!({ "reef_id": reef_id, "was_running": false, "left_over_pid": pid });
    if args.dry_run {
        value["dry_run"] = true.into();
    }
    output.result(&value, |_| match pid {
        Some(pid) => format!("Reef {reef_id} is not running; its process (pid {pid}) had ended without stopping"),
        None => format!("Reef {reef_id} is not running"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::running::run_file::RunFile;
    use super::*;

    #[test]
    fn a_reef_that_was_started_again_has_ended_before() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { home: folder.path().to_owned(), project: folder.path().to_owned(), storage_path: None };
        let paths = RunPaths::of(&places, "r");
        let (mut claim, _) = Claim::take(&paths.run, "r").unwrap();
        let run =
            RunFile { pid: 72, started_at: String::new(), config: "r.toml".into(), log: None, api: None, store: None };
        claim.write(&run).unwrap();
        let (output, _captured) = Output::captured(false);
        let waited = |pid: u32| {
            let ended = until_ended("r", pid, &paths, Duration::ZERO, &output);
            runtime().unwrap().block_on(ended)
        };
        waited(71).unwrap();
        assert_eq!(waited(72).unwrap_err().code, "not_ended");
        drop(claim);
        waited(72).unwrap();
    }

    #[test]
    fn a_dry_run_leaves_the_file_of_a_process_that_was_killed() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { home: folder.path().to_owned(), project: folder.path().to_owned(), storage_path: None };
        let (paths, config) = (RunPaths::of(&places, "r"), folder.path().join("r.yaml"));
        std::fs::write(&config, "reef_id: r\nstorage: {path: r.duckdb}\ncolonies: []\n").unwrap();
        std::fs::create_dir(folder.path().join("reefs")).unwrap();
        let left =
            RunFile { pid: 72, started_at: String::new(), config: config.clone(), log: None, api: None, store: None };
        std::fs::write(&paths.run, serde_json::to_string(&left).unwrap()).unwrap();
        let stopped = |dry_run: bool| {
            let args = StopArgs { reef: ReefChoice::default(), wait: "1s".to_owned(), now: false, dry_run };
            let (output, captured) = Output::captured(true);
            let known = KnownReef::read(&config);
            runtime().unwrap().block_on(not_running(&known, &paths, &args, &output)).unwrap();
            serde_json::from_str::<serde_json::Value>(&captured.stdout()).unwrap()
        };
        let would = stopped(true);
        assert_eq!((&would["dry_run"], &would["left_over_pid"]), (&true.into(), &72.into()), "{would}");
        assert!(paths.run.exists());
        assert_eq!(stopped(false)["left_over_pid"], 72);
        assert!(!paths.run.exists());
    }
}
