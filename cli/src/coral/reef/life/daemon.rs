//! `coral reef start --daemon`: the same command as a process of its own, waited for until the reef runs.

use super::super::running::control;
use super::super::running::run_file::RunPaths;
use super::opening::{self, Look, Seen, Start};
use super::reread::InForce;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A log that is longer is rotated when the reef starts: one older one is kept.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// Lines of the log that a failed start shows.
const LINES_SHOWN: usize = 20;

/// Starts the process, and waits until the reef runs, at most for `wait`.
pub fn start(
    (in_force, path): (&InForce, &Path),
    paths: &RunPaths,
    wait: Duration,
    output: &Output,
) -> Result<(), Failure> {
    let (log, begin) = open_log(&paths.log).map_err(|error| {
        Failure::new(Exit::Failed, "log", format!("cannot write the log {}", paths.log.display()))
            .caused_by(Some(&error))
    })?;
    let mut child = spawn(path, &paths.log, log).map_err(|error| {
        Failure::new(Exit::Failed, "start_failed", "cannot start a process for the reef").caused_by(Some(&error))
    })?;
    output.begin_lines();
    let (reef_id, pid) = (&in_force.config.reef_id, child.id());
    let looker = Looker { child: &mut child, socket: &paths.socket };
    match runtime()?.block_on(opening::tell(&in_force.config, Some(wait), looker, output))? {
        Start::Running(state) => {
            if !output.json() {
                let shown = format!("In the background as process {} (log: {})", state.pid, paths.log.display());
                output.message(&shown);
            }
            Ok(())
        }
        Start::Slow => {
            let message =
                format!("reef {reef_id} is not ready after {} s (pid {pid}); it continues to start", wait.as_secs());
            Err(Failure::new(Exit::Failed, "not_ready", message)
                .hint(format!("look at it: coral reef status, or its log {}", paths.log.display())))
        }
        Start::Gone => ended(reef_id, has_ended(&mut child)?, (&paths.log, begin), output),
    }
}

/// Looks at the process and at its control socket.
struct Looker<'a> {
    child: &'a mut Child,
    socket: &'a Path,
}

impl Look for Looker<'_> {
    async fn look(&mut self) -> Result<Seen, Failure> {
        if has_ended(self.child)?.is_some() {
            return Ok(Seen::Gone);
        }
        Ok(match control::state(self.socket).await? {
            // the socket of this process, not one of another that is about to end
            Some(state) if state.pid == self.child.id() => Seen::State(Box::new(state)),
            _ => Seen::NotYet,
        })
    }
}

fn has_ended(child: &mut Child) -> Result<Option<ExitStatus>, Failure> {
    child.try_wait().map_err(|error| {
        Failure::new(Exit::Failed, "start_failed", "cannot look after the reef's process").caused_by(Some(&error))
    })
}

/// The log and its length so far.
fn open_log(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if std::fs::metadata(path).is_ok_and(|data| data.len() > LOG_BYTES_MAX) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let begin = log.metadata()?.len();
    Ok((log, begin))
}

/// The process: in a group of its own, so that a Ctrl-C at this terminal does not reach it.
fn spawn(path: &Path, log_path: &Path, log: File) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["reef", "start", "--no-color", "--reef"]).arg(path).arg("--background-log").arg(log_path);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()
}

/// The process has ended before it was seen to run: a reef of finite input may have read all of it.
fn ended(
    reef_id: &str,
    status: Option<ExitStatus>,
    (log, begin): (&Path, u64),
    output: &Output,
) -> Result<(), Failure> {
    if !status.is_some_and(|status| status.success()) {
        return Err(ended_early(reef_id, status, log, begin));
    }
    let value = json!({ "event": "ended", "reef_id": reef_id, "log": log.display().to_string() });
    output.item(&value, |style| {
        format!("{} Reef {reef_id} has ended: all input read (log: {})", style.green("✓"), log.display())
    })
}

/// What the process wrote before it ended.
fn ended_early(reef_id: &str, ended: Option<ExitStatus>, log: &Path, begin: u64) -> Failure {
    let code = ended.and_then(|status| status.code());
    let exit =
        [Exit::Usage, Exit::NotFound, Exit::NotAuthorised].into_iter().find(|exit| code == Some(exit.code().into()));
    let shown = code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
    let message = format!("reef {reef_id} ended{shown} before it ran");
    let mut failure = Failure::new(exit.unwrap_or(Exit::Failed), "start_failed", message);
    let mut text = String::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(begin))?;
        file.read_to_string(&mut text)
    });
    if read.is_ok() {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let first = lines.len().saturating_sub(LINES_SHOWN);
        failure.details = lines[first..].iter().map(|line| (*line).to_owned()).collect();
    }
    failure.hint(format!("its log: {}", log.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn a_reef_that_has_read_all_its_input_has_not_failed() {
        use std::os::unix::process::ExitStatusExt;
        let log = Path::new("none.log");
        let (output, captured) = Output::captured(false);
        ended("r", Some(ExitStatus::from_raw(0)), (log, 0), &output).unwrap();
        assert_eq!(captured.stdout(), "✓ Reef r has ended: all input read (log: none.log)\n");
        // exit code 2, and ended by a signal
        for (raw, exit) in [(2 << 8, Exit::Usage), (9, Exit::Failed)] {
            let failure = ended("r", Some(ExitStatus::from_raw(raw)), (log, 0), &output).unwrap_err();
            assert_eq!((failure.exit, failure.code), (exit, "start_failed"));
        }
    }

    #[test]
    fn what_a_failed_start_wrote_is_shown_and_a_long_log_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reefs/r.log");
        let (mut log, begin) = open_log(&path).unwrap();
        assert_eq!(begin, 0);
        writeln!(log, "of an earlier start").unwrap();
        let (mut log, begin) = open_log(&path).unwrap();
        (0..30).for_each(|number| writeln!(log, "line {number}\n").unwrap());
        let failure = ended_early("r", None, &path, begin);
        assert_eq!(failure.details.first().unwrap(), "line 10");
        assert_eq!((failure.details.len(), failure.code), (LINES_SHOWN, "start_failed"));
        log.set_len(LOG_BYTES_MAX + 1).unwrap();
        assert_eq!(open_log(&path).unwrap().1, 0);
        assert!(folder.path().join("reefs/r.log.1").exists());
    }
}
