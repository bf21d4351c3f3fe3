//! Extracts one file of an npm or PyPI package, verified with the checksum recorded with its name.

use crate::checkout;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha512};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file in one version of one package.
pub struct Package {
    /// Where the package is published.
    pub registry: Registry,
    /// The package's name.
    pub name: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// The file wanted, as a path inside the archive; `.` for the whole archive as a folder.
    pub member: &'static str,
    /// SHA-512 of the archive in hex. `None`: no archive was at hand to record it from, and the check that npm makes
    /// against its own index is the only one.
    pub sha512: Option<&'static str>,
}

/// A package registry, reached through its own client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// `npm pack`, a gzipped tar.
    Npm,
    /// `pip download`, a zip.
    PyPi,
}

impl Registry {
    /// The programs this registry needs that do not answer on this machine.
    pub fn missing_programs(self) -> Vec<&'static str> {
        let needed: &[(&str, &[&str])] = match self {
            Registry::Npm => &[("npm", &["--version"]), ("tar", &["--version"])],
            Registry::PyPi => &[("python3", &["-m", "pip", "--version"])],
        };
        needed.iter().filter(|(program, args)| !checkout::answers(program, args)).map(|(program, _)| *program).collect()
    }
}

/// Puts the wanted file at `destination`. It appears there completely or not at all.
pub fn fetch(package: &Package, destination: &Path) -> Result<()> {
    let folder = destination.parent().context("a file to fetch needs a folder")?;
    let scratch = folder.join(format!(".part-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let outcome = fetch_through(package, &scratch, destination);
    let cleaned = fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()));
    outcome.and(cleaned)
}

fn fetch_through(package: &Package, scratch: &Path, destination: &Path) -> Result<()> {
    let archive = download(package, scratch)?;
    check(package, &archive)?;
    // separate from the archive, so that the unpacked files can be moved together
    let unpacked = scratch.join("unpacked");
    fs::create_dir_all(&unpacked).with_context(|| format!("cannot create {}", unpacked.display()))?;
    unpack(package, &archive, &unpacked)?;
    let file = if package.member == "." { unpacked } else { unpacked.join(package.member) };
    fs::rename(&file, destination)
        .with_context(|| format!("cannot move {} to {}", file.display(), destination.display()))
}

fn download(package: &Package, scratch: &Path) -> Result<PathBuf> {
    let (name, version) = (package.name, package.version);
    let mut command = match package.registry {
        Registry::Npm => {
            let mut npm = Command::new("npm");
            npm.args(["pack", "--loglevel=error", "--pack-destination", "."]).arg(format!("{name}@{version}"));
            npm
        }
        Registry::PyPi => {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            pip.args(["--only-binary=:all:", "--dest", "."]).arg(format!("{name}=={version}"));
            pip
        }
    };
    let output = command.current_dir(scratch).output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "could not fetch {name} {version}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let mut archives = fs::read_dir(scratch)?.collect::<Result<Vec<_>, _>>()?;
    match (archives.pop(), archives.is_empty()) {
        (Some(archive), true) => Ok(archive.path()),
        _ => bail!("fetching {name} {version} left no single archive in {}", scratch.display()),
    }
}

fn check(package: &Package, archive: &Path) -> Result<()> {
    let Some(expected) = package.sha512 else { return Ok(()) };
    let bytes = fs::read(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let found: String = Sha512::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        found == expected,
        "{} {} is not the archive recorded in xtask/src/setup.rs\n  expected SHA-512 {expected}\n  found            {found}",
        package.name,
        package.version
    );
    Ok(())
}

fn unpack(package: &Package, archive: &Path, scratch: &Path) -> Result<()> {
    let mut command = match package.registry {
        Registry::Npm => {
            let mut tar = Command::new("tar");
            tar.arg("-xzf").arg(archive).arg("-C").arg(scratch).arg(package.member);
            tar
        }
        Registry::PyPi => {
            let mut zip = Command::new("python3");
            zip.args(["-m", "zipfile", "-e"]).arg(archive).arg(scratch);
            zip
        }
    };
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "could not unpack {}: {}",
        archive.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
