//! `coral reef reload`: a running reef reads its configuration again.

use super::super::choice::ReefChoice;
use super::super::known::KnownReef;
use super::super::running::control::{self, Difference, Refusal, Reload, Reply, Request};
use super::super::running::run_file::RunPaths;
use super::start::duration;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::waiting::Waiting;
use colony::config::Places;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks whether it is in force.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `reload`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef reload",
    after_help = "The file is checked first: if it is wrong, the configuration in force stays, and all errors are listed (exit \
                  code 2; 4 if it may not be read, 1 while a stop or another reload is in progress). Otherwise the reef \
                  drains its run and continues with the new configuration in the same process, colonies that were added \
                  included; while its windows are rebuilt it reads nothing, and then continues where it was. reef_id and the \
                  store cannot change. SIGHUP does the same."
)]
pub struct ReloadArgs {
    #[command(flatten)]
    reef: ReefChoice,
    /// How long to wait until the new configuration is in force
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    wait: String,
    /// Check the file and list what would change, without putting it in force
    #[arg(long)]
    dry_run: bool,
}

/// Reloads.
pub fn run(args: &ReloadArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let reef = KnownReef::read(&args.reef.resolve(places)?);
    let wait = duration("--wait", &args.wait)?;
    let paths = RunPaths::of(places, &reef.reef_id);
    let request = if args.dry_run { Request::Compare } else { Request::Reload };
    runtime()?.block_on(async {
        let reload = match control::send(&paths.socket, request).await? {
            Some(Reply::Reload { reload }) => reload,
            Some(other) => return Err(control::unexpected(&other)),
            None => {
                let message = format!("reef {} is not running, or was not started by coral reef start", reef.reef_id);
                return Err(Failure::new(Exit::Failed, "not_running", message)
                    .hint("a reef reads its file when it starts: coral reef start"));
            }
        };
        match reload {
            Reload::Unchanged => {
                let value = document(args, &reef.reef_id, json!({ "changed": [] }));
                output.result(&value, |_| "The configuration says the same: nothing changes".to_owned())
            }
            Reload::Refused { kind, message, details } => Err(refused(kind, &message, details)),
            Reload::Accepted { changed, unchanged, .. } if args.dry_run => {
                let value = document(args, &reef.reef_id, json!({ "changed": changed, "unchanged": unchanged }));
                output.result(&value, |_| {
                    let head =
                        "The file is right. A reload would drain the run and continue with it; nothing was changed";
                    page(head, &changed, unchanged)
                })
            }
            Reload::Accepted { changed, unchanged, generation } => {
                let began = Instant::now();
                let waiting = Waiting::start("waiting until the new configuration is in force", Some(wait), output);
                in_force(&paths.socket, generation, wait).await?;
                drop(waiting);
                let value = document(args, &reef.reef_id, json!({ "changed": changed, "unchanged": unchanged }));
                let seconds = began.elapsed().as_secs_f64();
                output.result(&value, |style| {
                    let head = format!("{} The new configuration is in force ({seconds:.1} s)", style.green("✓"));
                    page(&head, &changed, unchanged)
                })
            }
        }
    })
}

/// Lets a reef that runs read its configuration, which has just been changed; `None` if it does not run.
///
/// # Errors
/// When it does not take it.
pub async fn tell_running(paths: &RunPaths, wait: Duration) -> Result<Option<()>, Failure> {
    match control::send(&paths.socket, Request::Reload).await? {
        None => Ok(None),
        Some(Reply::Reload { reload: Reload::Unchanged }) => Ok(Some(())),
        Some(Reply::Reload { reload: Reload::Accepted { generation, .. } }) => {
            in_force(&paths.socket, generation, wait).await.map(Some)
        }
        Some(Reply::Reload { reload: Reload::Refused { kind, message, details } }) => {
            Err(refused(kind, &message, details))
        }
        Some(other) => Err(control::unexpected(&other)),
    }
}

fn refused(kind: Refusal, message: &str, details: Vec<String>) -> Failure {
    let code = if kind == Refusal::Busy { "reload_busy" } else { "config_refused" };
    let mut failure = Failure::new(kind.exit(), code, format!("{message}; the one in force stays"));
    failure.details = details;
    match kind {
        Refusal::Config => failure.docs("coral-pipeline help config"),
        Refusal::Missing | Refusal::Denied => failure,
        Refusal::Busy => failure.hint("look at it: coral reef status"),
    }
}

/// Waits until the configuration is in force.
async fn in_force(socket: &Path, generation: u64, wait: Duration) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let Some(state) = control::state(socket).await? else {
            let message = "the reef ended while it took the new configuration";
            return Err(
                Failure::new(Exit::Failed, "ended", message).hint("its log says why; start it: coral reef start")
            );
        };
        if state.generation > generation
            && let Some(problem) = &state.reload_problem
        {
            let message = "the new configuration cannot be run; the former one is in force again";
            let mut failure = Failure::new(Exit::Failed, "config_reverted", message);
            failure.details = problem.clone();
            return Err(failure);
        }
        if state.generation >= generation && state.phase == "running" {
            return Ok(());
        }
        if began.elapsed() >= wait {
            let message = format!(
                "the new configuration is not in force after {} s; the reef is {}",
                wait.as_secs(),
                state.phase
            );
            return Err(Failure::new(Exit::Failed, "not_ready", message).hint("look at it: coral reef status"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The result for programs.
fn document(args: &ReloadArgs, reef_id: &str, mut changes: Value) -> Value {
    changes["reef_id"] = reef_id.into();
    if args.dry_run {
        changes["dry_run"] = true.into();
    }
    changes
}

fn page(head: &str, changed: &[Difference], unchanged: usize) -> String {
    let line = |it: &Difference| match (&it.from, &it.to) {
        (Some(from), Some(to)) => format!("  {}: {from} → {to}", it.key),
        (None, Some(to)) => format!("  {}: {to} (new)", it.key),
        (Some(from), None) => format!("  {}: {from} (removed)", it.key),
        (None, None) => format!("  {}", it.key),
    };
    let lines: Vec<String> = changed.iter().map(line).collect();
    format!("{head}\nChanged:\n{}\nUnchanged: {unchanged} options", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_exit_code_says_whether_the_file_is_to_be_corrected() {
        let exit = |kind| refused(kind, "no", Vec::new()).exit;
        assert_eq!((exit(Refusal::Config), exit(Refusal::Busy)), (Exit::Usage, Exit::Failed));
        assert_eq!((exit(Refusal::Missing), exit(Refusal::Denied)), (Exit::NotFound, Exit::NotAuthorised));
        assert_eq!(refused(Refusal::Busy, "no", Vec::new()).docs, None);
        let of_an_earlier_version = r#"{"outcome":"refused","message":"no","details":[]}"#;
        let reload: Reload = serde_json::from_str(of_an_earlier_version).unwrap();
        assert!(matches!(reload, Reload::Refused { kind: Refusal::Config, .. }));
        let denied = Failure::new(Exit::NotAuthorised, "config_invalid", "no");
        assert_eq!(Refusal::of(&denied), Refusal::Denied);
    }
}
