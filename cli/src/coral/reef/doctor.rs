//! `coral reef doctor`: everything that a reef needs, checked, each with what to do.

use super::choice::ReefChoice;
use super::running::Running;
use super::running::run_file::RunPaths;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pipeline::ask::caller;
use crate::pipeline::ask::question::Question;
use crate::pipeline::checklist::{self, Check, Outcome};
use crate::pipeline::load::load_offline;
use crate::pipeline::validate::{file_checks, secret_checks};
use crate::pipeline::{check_colony, check_kafka, check_store};
use crate::text::{bytes, counted};
use crate::waiting::Waiting;
use colony::config::Places;
use model::clock::{Clock, SystemClock};
use model::error::one_line;
use model::time::{DAY_MS, MINUTE_MS, TimeMs, format_duration_ms};
use pipelines::config::{ReefConfig, StorageKind};
use reef::answers;
use reef::answers::health::HealthQuestion;
use reef::api::tokens::Tokens;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A disk with less room is a warning, and with a tenth of it a failure.
const DISK_BYTES_MIN: u64 = 2 << 30;
/// A colony's rows may be ahead of this machine's clock by this much.
const AHEAD_MS_MAX: i64 = MINUTE_MS;
/// How long a service may take to accept a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef doctor",
    after_help = "Checks the file, its process, the store and who has it open, the disk, files, topics, secrets, colonies and \
                  their clocks, tokens and the address of the services. Changes nothing. Exits 1 when a check fails, 0 with \
                  warnings."
)]
pub struct DoctorArgs {
    #[command(flatten)]
    reef: ReefChoice,
    /// Check only this machine: no colony, broker or server is contacted
    #[arg(long)]
    no_network: bool,
}

/// Checks the reef.
pub fn run(args: &DoctorArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let path = args.reef.resolve(places)?;
    let waiting = Waiting::start("checking", None, output);
    let checks = match load_offline(&path) {
        Ok((config, unset)) => {
            let mut checks = vec![Check::new("file", Outcome::Ok, path.display().to_string())];
            checks.extend(unset.into_iter().map(|text| Check::new("variable", Outcome::Failed, text)));
            checks.extend(config.unsupported().into_iter().map(|text| Check::new("file", Outcome::Failed, text)));
            checks.extend(of_config(&config, args, places)?);
            checks
        }
        Err(failure) if failure.code == "config_missing" => return Err(failure),
        Err(failure) => failure.details.into_iter().map(|text| Check::new("file", Outcome::Failed, text)).collect(),
    };
    drop(waiting);
    conclude(&path, &checks, output)
}

fn conclude(path: &Path, checks: &[Check], output: &Output) -> Result<(), Failure> {
    let failed = checklist::failed(checks);
    let document = json!({ "healthy": failed == 0, "config": path.display().to_string(), "checks": checks });
    let failure = (failed > 0).then(|| {
        let message = format!("{failed} of {} failed", counted(checks.len() as u64, "check"));
        Failure::new(Exit::Failed, "unhealthy", message)
    });
    output.concluded(&document, |style| checklist::page(checks, style), failure)
}

fn of_config(config: &ReefConfig, args: &DoctorArgs, places: &Places) -> Result<Vec<Check>, Failure> {
    let paths = RunPaths::of(places, &config.reef_id);
    let running = runtime()?.block_on(Running::of(&paths, Some(config)));
    let mut checks = vec![process_check(&running)];
    let runs = matches!(running, Ok(Running::Here(_) | Running::Elsewhere));
    match &config.storage.kind {
        StorageKind::DuckDb { path } => {
            checks.push(if runs { held_store(path) } else { check_store::check(config, path)? });
            checks.extend(disk_check(path));
        }
        StorageKind::ClickHouse { .. } if args.no_network => {
            checks.push(Check::new("store", Outcome::Skipped, "not asked (--no-network)"));
        }
        StorageKind::ClickHouse { .. } => checks.push(check_store::check_server(config)?),
    }
    checks.extend(file_checks(config));
    checks.extend(check_kafka::check_all(config, args.no_network));
    checks.extend(secret_checks(config, false));
    if args.no_network {
        let skipped = |id: &str| Check::new(format!("colony {id}"), Outcome::Skipped, "not dialled (--no-network)");
        checks.extend(config.colonies.iter().map(|colony| skipped(&colony.colony_id)));
    } else {
        checks.extend(check_colony::check_all(config, &runtime()?)?);
    }
    checks.extend(clock_checks(config, args.no_network)?);
    checks.push(tokens_check(config));
    checks.extend(services_check(config, running.ok()));
    Ok(checks)
}

fn process_check(running: &Result<Running, Failure>) -> Check {
    let (outcome, note) = match running {
        Ok(Running::Here(state)) => match &state.reload_problem {
            Some(problem) => {
                let note = format!("process {} keeps its former configuration: {}", state.pid, problem.join(": "));
                (Outcome::Warning, note)
            }
            None => (Outcome::Ok, format!("{} as process {} since {}", state.phase, state.pid, state.started_at)),
        },
        Ok(Running::Elsewhere) => (Outcome::Ok, "runs, not started by coral reef start".to_owned()),
        Ok(Running::No { left: Some(left) }) => {
            let note = format!("process {} ended without stopping; start it again: coral reef start", left.pid);
            (Outcome::Warning, note)
        }
        Ok(Running::No { left: None }) => (Outcome::Ok, "does not run; start it: coral reef start".to_owned()),
        Err(failure) => {
            let why = [vec![failure.message.clone()], failure.details.clone()].concat().join(": ");
            (Outcome::Failed, format!("{why}; end its process and start the reef again"))
        }
    };
    Check::new("process", outcome, note)
}

/// The store of a reef that runs: its process has the file locked, and answers.
fn held_store(path: &Path) -> Check {
    let size = std::fs::metadata(path).map_or(0, |data| data.len());
    Check::new("store", Outcome::Ok, format!("{}, {}, open in the reef's process", path.display(), bytes(size)))
}

/// Room on the disk of the store, as `df` states it; `None` where there is no `df`.
fn disk_check(store: &Path) -> Option<Check> {
    let folder = store.ancestors().skip(1).find(|folder| folder.is_dir())?;
    let output = Command::new("df").arg("-Pk").arg(folder).stdin(Stdio::null()).output().ok()?;
    let free = free_bytes(&String::from_utf8_lossy(&output.stdout))?;
    Some(judged_disk(free, folder))
}

/// The fourth column of the last line, in units of 1024 bytes.
fn free_bytes(df: &str) -> Option<u64> {
    let kilobytes: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1_024)
}

fn judged_disk(free: u64, folder: &Path) -> Check {
    let note = format!("{} free at {}", bytes(free), folder.display());
    let todo = "make room, or shorten storage.retention";
    match free {
        free if free < DISK_BYTES_MIN / 10 => Check::new("disk", Outcome::Failed, format!("only {note}; {todo}")),
        free if free < DISK_BYTES_MIN => Check::new("disk", Outcome::Warning, format!("only {note}; {todo}")),
        _ => Check::new("disk", Outcome::Ok, note),
    }
}

/// Whose rows are ahead of this machine's clock. Nothing is said where no rows are known.
fn clock_checks(config: &ReefConfig, no_network: bool) -> Result<Vec<Check>, Failure> {
    if no_network && matches!(config.storage.kind, StorageKind::ClickHouse { .. }) {
        return Ok(vec![Check::new("clocks", Outcome::Skipped, "the store is not asked (--no-network)")]);
    }
    let question = Question::Reef { about: answers::Question::Health(HealthQuestion::default()) };
    let answer = runtime()?.block_on(caller::answer(&question, (config, Path::new(""))));
    let Ok((document, _)) = answer else { return Ok(Vec::new()) };
    let colonies = document["completeness"]["colonies"].as_array().cloned().unwrap_or_default();
    Ok(colonies.iter().filter_map(|colony| clock_check(colony, SystemClock.now())).collect())
}

fn clock_check(colony: &Value, now: TimeMs) -> Option<Check> {
    let known_to = TimeMs::parse_rfc3339(colony["complete_to"].as_str()?)?;
    let name = format!("clock of {}", colony["colony_id"].as_str().unwrap_or_default());
    let ahead_ms = known_to - now;
    let ahead = format_duration_ms(ahead_ms);
    Some(match ahead_ms {
        ms if ms > DAY_MS => Check::new(
            name,
            Outcome::Failed,
            format!("its rows are {ahead} ahead of this machine, and such rows are refused; set both clocks (NTP)"),
        ),
        ms if ms > AHEAD_MS_MAX => Check::new(
            name,
            Outcome::Warning,
            format!("its rows are {ahead} ahead of this machine; set both clocks (NTP)"),
        ),
        _ => Check::new(name, Outcome::Ok, "not ahead of this machine"),
    })
}

fn tokens_check(config: &ReefConfig) -> Check {
    let api = &config.api;
    let is_needed = api.enabled && (!api.listen.ip().is_loopback() || api.require_token);
    let file = api.tokens_file.display();
    let mode = std::fs::metadata(&api.tokens_file).ok().map(|data| data.permissions().mode() & 0o777);
    if let Some(mode) = mode.filter(|mode| mode & 0o077 != 0) {
        return Check::new("tokens", Outcome::Failed, format!("{file} has mode {mode:o}; close it: chmod 600 {file}"));
    }
    match Tokens::of(&api.tokens_file, SystemClock::shared()).entries() {
        Err(error) => Check::new("tokens", Outcome::Failed, one_line(&error)),
        Ok(entries) if entries.is_empty() && is_needed => {
            let note = format!("{file} has none, and the services at {} answer to no one else", api.listen);
            Check::new("tokens", Outcome::Failed, format!("{note}; make one (docs/services.md)"))
        }
        Ok(entries) if entries.is_empty() => Check::new("tokens", Outcome::Ok, "none, and none is needed"),
        Ok(entries) => {
            Check::new("tokens", Outcome::Ok, format!("{} in {file}", counted(entries.len() as u64, "token")))
        }
    }
}

/// The address of the services: open if the reef runs, free if it does not.
fn services_check(config: &ReefConfig, running: Option<Running>) -> Option<Check> {
    if !config.api.enabled {
        return None;
    }
    let listen = config.api.listen;
    let (outcome, note) = match running? {
        Running::Here(state) => match state.api.as_deref().and_then(|url| url.strip_prefix("http://")?.parse().ok()) {
            Some(address) => is_open(address),
            None => (Outcome::Warning, "not open yet".to_owned()),
        },
        Running::Elsewhere => is_open(listen),
        Running::No { .. } => match TcpListener::bind(listen) {
            Ok(_) => (Outcome::Ok, format!("{listen} is free")),
            Err(error) => {
                (Outcome::Failed, format!("{listen} cannot be listened on ({error}); set api.listen to another one"))
            }
        },
    };
    Some(Check::new("services", outcome, note))
}

fn is_open(address: SocketAddr) -> (Outcome, String) {
    match TcpStream::connect_timeout(&address, CONNECT_WAIT) {
        Ok(_) => (Outcome::Ok, format!("open at http://{address}")),
        Err(error) => (Outcome::Failed, format!("http://{address} does not answer ({error}); see the reef's log")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_disk_is_judged_by_what_is_free() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 65536000 100 3145728 2% /\n";
        assert_eq!(free_bytes(df), Some(3 << 30));
        assert_eq!(free_bytes("df: no such thing"), None);
        let outcome = |free: u64| judged_disk(free, Path::new("/data")).outcome;
        assert_eq!([3 << 30, 1 << 30, 1 << 20].map(outcome), [Outcome::Ok, Outcome::Warning, Outcome::Failed]);
        assert!(judged_disk(1 << 20, Path::new("/data")).note.contains("storage.retention"));
    }

    #[test]
    fn a_server_is_not_asked_without_a_network() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let text = format!(
            "reef_id: r\ncolonies: [{{colony_id: a, endpoint: 'http://127.0.0.1:1'}}]\nstorage: {{type: clickhouse, \
             connection: {{host: 127.0.0.1, port: {}, protocol: http, database: d}}}}\n",
            server.local_addr().unwrap().port()
        );
        let config = pipelines::config::parse(&text, pipelines::config::Format::Yaml, Path::new("r.yaml")).unwrap();
        let args = DoctorArgs { reef: ReefChoice::default(), no_network: true };
        let home = tempfile::tempdir().unwrap();
        let places = Places { home: home.path().to_owned(), project: home.path().to_owned(), storage_path: None };
        let checks = of_config(&config, &args, &places).unwrap();
        let skipped: Vec<&str> =
            checks.iter().filter(|check| check.outcome == Outcome::Skipped).map(|check| check.name.as_str()).collect();
        assert_eq!(skipped, ["store", "colony a", "clocks"]);
        assert_eq!(server.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "no process has called it");
    }

    #[test]
    fn rows_from_the_future_say_whose_clock_is_ahead() {
        let now = TimeMs::parse_rfc3339("2026-11-30T12:00:00Z").unwrap();
        let outcome = |complete_to: &str| {
            let colony = json!({ "colony_id": "c", "complete_to": complete_to });
            clock_check(&colony, now).map(|check| check.outcome)
        };
        assert_eq!(outcome("2026-11-29T00:00:00Z"), Some(Outcome::Ok), "a colony that is behind may be down");
        assert_eq!(outcome("2026-11-30T12:00:59Z"), Some(Outcome::Ok));
        assert_eq!(outcome("2026-11-30T15:00:00Z"), Some(Outcome::Warning));
        assert_eq!(outcome("2026-12-02T00:00:00Z"), Some(Outcome::Failed));
        assert!(clock_check(&json!({ "colony_id": "c", "complete_to": null }), now).is_none());
    }
}
