//! A real browser for the tests of the dashboard: Debian's chromium, driven from Node with tools of npm.

use crate::chosen::{self, Wanted};
use crate::{checkout, setup};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What drives the browser, what checks accessibility, and what checks the types of our scripts.
const TOOLS: [&str; 3] = ["playwright-core@1.65.1", "axe-core@4.14.1", "typescript@5.9.3"];
/// Where the tests look for the tools: the folder into which they are installed.
pub const FOLDER: &str = "BROWSER_TOOLS";
/// Where they look for the browser.
pub const BROWSER: &str = "CHROMIUM";
/// Names of the browser on the `PATH`.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Scripts whose types are checked.
const SCRIPTS: [&str; 2] = ["reef/src/dashboard/assets/live.js", "reef/src/dashboard/assets/charts.js"];
/// Folder of the pictures.
const PICTURES: &str = "docs/dashboard";

/// What the tests of the dashboard need.
pub struct Browser {
    pub tools: PathBuf,
    pub program: PathBuf,
}

/// The browser and its tools, or why this machine has none.
pub fn browser() -> Result<std::result::Result<Browser, String>> {
    let tools = match tools()? {
        Ok(tools) => tools,
        Err(reason) => return Ok(Err(reason)),
    };
    let given = std::env::var_os(BROWSER).map(PathBuf::from);
    Ok(match given.or_else(|| NAMES.iter().find(|name| checkout::answers(name, &["--version"])).map(PathBuf::from)) {
        Some(program) => Ok(Browser { tools, program }),
        None => Err("there is no chromium on the PATH (Debian: apt-get install chromium)".to_owned()),
    })
}

/// Fetches the tools, and says which browser the tests will use.
pub fn announce() -> Result<()> {
    match browser()? {
        Ok(found) => println!("setup: the browser is {}", found.program.display()),
        Err(reason) => println!("setup: the tests in a browser will be skipped: {reason}"),
    }
    Ok(())
}

/// The folder of the tools, or why this machine has none.
pub fn tools() -> Result<std::result::Result<PathBuf, String>> {
    if let Some(given) = std::env::var_os(FOLDER) {
        return Ok(Ok(given.into()));
    }
    if !checkout::answers("node", &["--version"]) || !checkout::answers("npm", &["--version"]) {
        return Ok(Err("its tools are fetched with npm and run by Node, which this machine lacks".to_owned()));
    }
    let cache = checkout::cache()?.join("tools");
    let versions: Vec<&str> = TOOLS.iter().filter_map(|tool| tool.rsplit('@').next()).collect();
    let folder = cache.join(format!("browser-{}", versions.join("-")));
    if folder.is_dir() {
        return Ok(Ok(folder));
    }
    println!("browser: fetching {} from npm", TOOLS.join(", "));
    let scratch = cache.join(format!(".browser-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    fs::write(scratch.join("package.json"), "{ \"private\": true }\n").context("cannot write package.json")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", "--loglevel=error"])
        .args(TOOLS);
    let output = npm.current_dir(&scratch).output().context("cannot start npm")?;
    if !output.status.success() {
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        return Ok(Err(format!("they could not be fetched: {}", said.lines().last().unwrap_or("npm failed").trim())));
    }
    // there completely or not at all
    checkout::name(&scratch, &folder)?;
    Ok(Ok(folder))
}

/// The check of our scripts' types.
pub fn type_check(tools: &Path) -> Command {
    let mut tsc = Command::new("node");
    tsc.arg(tools.join("node_modules/typescript/bin/tsc"));
    tsc.args(["--checkJs", "--allowJs", "--noEmit", "--strict", "--target", "es2022", "--module", "es2022"]);
    tsc.args(["--lib", "dom,dom.iterable,es2023"]).args(SCRIPTS);
    tsc
}

/// `cargo xtask screenshots`: pictures of each page over a generated fleet, into docs/dashboard.
pub fn screenshots(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        bail!("`cargo xtask screenshots` takes no arguments; sizes and times of pages: cargo xtask eval dashboard");
    }
    let Browser { tools, program } = match browser()? {
        Ok(browser) => browser,
        Err(reason) => bail!("there are no pictures: {reason}"),
    };
    setup::openssl()?;
    setup::duckdb()?;
    let pictures = checkout::root().join(PICTURES);
    let before = chosen::written(&pictures);
    let mut cargo = chosen::tests(&["--test", "all"]);
    cargo.args(["--", "--exact", "--nocapture", "dashboard::pictures"]);
    cargo.env(FOLDER, tools).env(BROWSER, program).env("DASHBOARD_PICTURES", &pictures);
    let done = chosen::run(&mut cargo, Wanted::One)?;
    if done == ExitCode::SUCCESS && chosen::written(&pictures) == before {
        bail!("the test has passed, and has made no picture in {}", pictures.display());
    }
    Ok(done)
}
