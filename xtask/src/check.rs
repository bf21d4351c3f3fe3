//! `cargo xtask test`: runs every check, also after a failed one, and prints a summary.

use crate::parts::Watch;
use crate::report::{Report, announce};
use crate::test_tools::Tools;
use crate::{browser, checkout, setup, test_run};
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

/// Runs all checks; `args` (for example `--features bundled`) go to the cargo commands that build.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let mut report = Report::new();
    let mut watch = Watch::start();
    setup::openssl()?;
    if !setup::is_bundled(args) {
        setup::duckdb()?;
    }
    report.took(watch.lap("set-up"));
    step(&mut report, "format", checkout::cargo().args(["fmt", "--all", "--", "--check"]))?;
    dependency_rules(&mut report)?;
    wire_rules(&mut report)?;
    let tools = Tools::fetch()?;
    let mut clippy = checkout::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked"]).args(args).args(["--", "-D", "warnings"]);
    step(&mut report, "lints", &mut clippy)?;
    // without the benches, whose types the lints have checked: each would be linked with the whole product
    let mut build = checkout::cargo();
    build.args(["test", "--workspace", "--no-run", "--locked"]).args(args);
    step(&mut report, "build", &mut build)?;
    let mut watch = Watch::start();
    let tools = Tools::wait(tools)?;
    report.took(watch.lap("wait for tools"));
    scripts(&mut report)?;
    test_run::run(&mut report, &tools, args)?;
    Ok(report.finish())
}

/// Versions, licences and origins of the dependencies. Its fourth check, advisories, needs a database that no
/// package registry distributes, and a commit that passed could fail a day later; CONTRIBUTING.md says when to run it.
fn dependency_rules(report: &mut Report) -> Result<()> {
    match setup::cargo_deny()? {
        Ok(mut deny) => {
            // as `cargo deny` would start it, but cargo need not find it on the PATH
            deny.args(["--locked", "--workspace", "--log-level", "error"]);
            deny.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
            step(report, "dependency rules", &mut deny)
        }
        Err(reason) => {
            report.skipped(format!("SKIPPED dependency rules (deny.toml): {reason}"));
            Ok(())
        }
    }
}

/// The style of the .proto files; `proto` itself tests that names and numbers stay as they are.
fn wire_rules(report: &mut Report) -> Result<()> {
    match setup::buf()? {
        Ok(mut buf) => step(report, "wire rules", buf.arg("lint")),
        Err(reason) => {
            report.skipped(format!("SKIPPED wire rules (buf.yaml): {reason}"));
            Ok(())
        }
    }
}

/// The types of the dashboard's scripts.
fn scripts(report: &mut Report) -> Result<()> {
    match browser::tools()? {
        Ok(tools) => step(report, "scripts", &mut browser::type_check(&tools)),
        Err(reason) => {
            report.skipped(format!("SKIPPED scripts (reef/src/dashboard/assets): {reason}"));
            Ok(())
        }
    }
}

fn step(report: &mut Report, name: &str, command: &mut Command) -> Result<()> {
    announce(name, command);
    let mut watch = Watch::start();
    let status = command.current_dir(checkout::root()).status().with_context(|| format!("cannot start {command:?}"))?;
    report.ended(watch.lap(name), status.success());
    Ok(())
}
