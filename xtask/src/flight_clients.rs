//! Foreign clients of Arrow Flight SQL for the tests: ADBC's driver from PyPI, a JDBC driver from Maven Central; each
//! is fetched once into the cache, where the tests find it.

use crate::checkout;
use crate::maven::{self, Artifact};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha512};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// ADBC's drivers, pyarrow and their hashes; tests/flight.rs names the same version.
const REQUIREMENTS: &str = "tests/support/flight/requirements.txt";
const ADBC_VERSION: &str = "1.13.0";
/// Wheels are made for one version of Python: it is part of the folder's name.
const PYTHON: &str = "import sys; print(sys.implementation.cache_tag)";

/// The newest that Maven Central has; tests/flight.rs names the same version.
const JDBC: Artifact = Artifact { group: "org.apache.arrow", name: "flight-sql-jdbc-driver", version: "18.3.0" };
const JDBC_SHA512: &str = "5e94f1ad8b3209da3f071b116ab11f08dc21df60d9a194210763b57bcb13de95\
                           c041b8ca1ff305b8a691ff7b5b34cd2cb382d705df96e4961c209353fd3f65ac";

/// A folder, or why this machine has none.
type Found = std::result::Result<PathBuf, String>;

/// `cargo xtask flight-clients`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = args.first() {
        bail!("`cargo xtask flight-clients` takes no arguments, got `{unknown}`");
    }
    let mut missing = 0;
    for (name, found) in [("ADBC", adbc()?), ("JDBC", jdbc()?)] {
        match found {
            Ok(folder) => println!("flight-clients: {name} is in {}", folder.display()),
            Err(reason) => {
                println!("flight-clients: no {name}: {reason}");
                missing += 1;
            }
        }
    }
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Python packages with ADBC's driver for Flight SQL.
pub fn adbc() -> Result<Found> {
    let python = match Command::new("python3").args(["-c", PYTHON]).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => return Ok(Err("python3 does not start".to_owned())),
    };
    let folder = checkout::cache()?.join(format!("tools/adbc-{ADBC_VERSION}-{python}"));
    if folder.is_dir() {
        return Ok(Ok(folder));
    }
    println!("flight-clients: fetching ADBC's driver {ADBC_VERSION} and pyarrow (75 MB) from PyPI");
    let scratch = folder.with_file_name(format!(".part-adbc-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"])
        .args(["--require-hashes", "--requirement"])
        .arg(checkout::root().join(REQUIREMENTS))
        .arg("--target")
        .arg(&scratch)
        .output()
        .context("cannot start python3")?;
    if output.status.success() {
        checkout::name(&scratch, &folder)?;
        return Ok(Ok(folder));
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| line.contains("ERROR")).unwrap_or("pip failed").trim();
    Ok(Err(format!("ADBC's driver could not be fetched: {first}")))
}

/// A JDBC driver for Flight SQL.
pub fn jdbc() -> Result<Found> {
    let folder = checkout::cache()?.join(format!("tools/{}-{}", JDBC.name, JDBC.version));
    if folder.is_dir() {
        return Ok(Ok(folder));
    }
    if let Some(what) = maven::missing_programs() {
        return Ok(Err(format!("a JDBC driver needs {what} (Java 17 or later, Maven), which this machine lacks")));
    }
    println!("flight-clients: fetching the JDBC driver {} (45 MB) from Maven Central", JDBC.version);
    // it has its name once it is checked: an interrupted fetch leaves no jar that a test would run
    let unchecked = folder.with_file_name(format!(".unchecked-{}-{}", JDBC.name, std::process::id()));
    if let Err(reason) = maven::fetch(&JDBC, &unchecked)? {
        return Ok(Err(reason));
    }
    let jar = unchecked.join(format!("{}-{}.jar", JDBC.name, JDBC.version));
    let bytes = fs::read(&jar).with_context(|| format!("cannot read {}", jar.display()))?;
    let found: String = Sha512::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != JDBC_SHA512 {
        fs::remove_dir_all(&unchecked).with_context(|| format!("cannot remove {}", unchecked.display()))?;
        return Ok(Err(format!("{} is not the recorded one: its SHA-512 is {found}", jar.display())));
    }
    checkout::name(&unchecked, &folder)?;
    Ok(Ok(folder))
}
