//! The official Connect conformance suite: its runner, built once from the Go module proxy into the cache.

use crate::{checkout, chosen, setup};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Go checks the module against its public list of checksums.
const MODULE: &str = "connectrpc.com/conformance/cmd/connectconformance";
const VERSION: &str = "v1.0.7";
/// Where the test looks for the runner.
pub const RUNNER: &str = "CONNECTCONFORMANCE";

/// `cargo xtask conformance`; `args` go to cargo.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let runner = match runner()? {
        Ok(runner) => runner,
        Err(reason) => {
            println!("SKIPPED conformance: {reason}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    setup::openssl()?;
    if !setup::is_bundled(args) {
        setup::duckdb()?;
    }
    // it is a program of its own, which cargo misses if there is none of this name, and no harness that counts
    let mut cargo = chosen::tests(&["--test", "conformance"]);
    checkout::run(cargo.args(args).env(RUNNER, runner))
}

/// The runner, or why this machine has none.
pub fn runner() -> Result<std::result::Result<PathBuf, String>> {
    if let Some(given) = std::env::var_os(RUNNER) {
        return Ok(Ok(given.into()));
    }
    let folder = checkout::cache()?.join(format!("tools/connectconformance-{VERSION}"));
    let runner = folder.join("connectconformance");
    if runner.is_file() {
        return Ok(Ok(runner));
    }
    if !checkout::answers("go", &["version"]) {
        return Ok(Err("its runner is built with Go 1.26 or later, which this machine lacks".to_owned()));
    }
    println!("conformance: building the runner {VERSION} from the Go module proxy (minutes)");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut go = Command::new("go");
    go.args(["install", &format!("{MODULE}@{VERSION}")]).env("GOBIN", &folder);
    let output = go.output().context("cannot start go")?;
    if output.status.success() && runner.is_file() {
        return Ok(Ok(runner));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("go failed").trim().to_owned();
    Ok(Err(format!("its runner {VERSION} could not be built: {last}")))
}
