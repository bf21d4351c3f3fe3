//! Tests that a command chooses by name: built as the checks build them; a run in which none ran has failed.

use crate::checkout;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::SystemTime;

/// How many tests a command means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One, by its whole name: two crates may have one of the same name.
    One,
    /// Those of a module.
    Several,
}

/// `cargo test` for targets of all crates. Chosen by crate, they would have other features than in the checks, and
/// nearly everything would be compiled again.
pub fn tests(targets: &[&str]) -> Command {
    let mut cargo = checkout::cargo();
    cargo.args(["test", "--workspace", "--locked"]).args(targets);
    cargo
}

/// Runs them, shows what they print, and fails if none has run.
pub fn run(cargo: &mut Command, wanted: Wanted) -> Result<ExitCode> {
    shown(cargo, wanted, &mut std::io::stdout())
}

fn shown(cargo: &mut Command, wanted: Wanted, out: &mut impl Write) -> Result<ExitCode> {
    let mut child = cargo.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {cargo:?}"))?;
    let mut passed = 0;
    for line in BufReader::new(child.stdout.take().context("the tests have no output")?).split(b'\n') {
        let mut line = line.context("cannot read the tests' output")?;
        passed += passed_in(&String::from_utf8_lossy(&line)).unwrap_or(0);
        line.push(b'\n');
        out.write_all(&line).context("cannot show the tests' output")?;
    }
    let status = child.wait().context("cannot wait for the tests")?;
    if status.success() && passed == 0 {
        bail!("no test has run: there is none of the name that was asked for ({cargo:?})");
    }
    if status.success() && wanted == Wanted::One && passed > 1 {
        bail!("{passed} tests have the name that was asked for ({cargo:?})");
    }
    Ok(checkout::exit_code(status))
}

/// `test result: ok. 12 passed; 0 failed; …`.
fn passed_in(line: &str) -> Option<u64> {
    let (before, _) = line.strip_prefix("test result: ")?.split_once(" passed;")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// When a file was written, or the newest one of a folder; none if there is none.
pub fn written(path: &Path) -> Option<SystemTime> {
    let of = |path: &Path| path.metadata().and_then(|it| it.modified()).ok();
    match std::fs::read_dir(path) {
        Ok(files) => files.flatten().filter_map(|file| of(&file.path())).max(),
        Err(_) => of(path),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What becomes of a run whose test programs print these lines.
    fn ran(lines: &[&str], wanted: Wanted, code: u8) -> std::result::Result<ExitCode, String> {
        let script = format!("printf '%s\\n' \"$@\"; exit {code}");
        let mut sh = Command::new("sh");
        sh.args(["-c", &script, "tests"]).args(lines);
        let mut out = Vec::new();
        let ended = shown(&mut sh, wanted, &mut out);
        assert_eq!(String::from_utf8(out).unwrap().lines().collect::<Vec<_>>(), lines);
        ended.map_err(|error| error.to_string())
    }

    #[test]
    fn a_run_in_which_no_test_ran_has_failed() {
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 412 filtered out; finished in 0.01s";
        let one = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 98 filtered out; finished in 3.20s";
        let failed = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s";
        for wanted in [Wanted::One, Wanted::Several] {
            assert!(ran(&[none, none], wanted, 0).unwrap_err().starts_with("no test has run"));
            assert!(ran(&["running 0 tests"], wanted, 0).unwrap_err().starts_with("no test has run"));
            assert_eq!(ran(&[none, "test a::b ... ok", one, none], wanted, 0), Ok(ExitCode::SUCCESS));
            assert_eq!(ran(&[none, failed], wanted, 101), Ok(ExitCode::from(101)));
        }
        assert!(ran(&[one, one], Wanted::One, 0).unwrap_err().starts_with("2 tests have the name"));
        assert_eq!(ran(&[one, one], Wanted::Several, 0), Ok(ExitCode::SUCCESS));
    }

    #[test]
    fn what_was_written_is_newer() {
        let folder = std::env::temp_dir().join(format!("xtask-chosen-{}", std::process::id()));
        assert_eq!(written(&folder), None);
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(written(&folder), None, "an empty folder");
        let file = folder.join("a");
        std::fs::write(&file, "").unwrap();
        let first = written(&file);
        assert!(first.is_some() && written(&folder) == first);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
