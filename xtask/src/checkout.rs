//! Locations: the checkout, the cache shared by all checkouts, and cargo itself.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

/// The folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The cache shared by all checkouts: `${XDG_CACHE_HOME:-~/.cache}/coral-pipeline`.
pub fn cache() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match absolute("XDG_CACHE_HOME") {
        Some(base) => base,
        None => absolute("HOME").context("neither XDG_CACHE_HOME nor HOME names a folder to cache in")?.join(".cache"),
    };
    Ok(base.join("coral-pipeline"))
}

/// Gives a folder that is complete its name. Where another process has been faster, its folder is used.
pub fn name(scratch: &Path, folder: &Path) -> Result<()> {
    let Err(error) = fs::rename(scratch, folder) else { return Ok(()) };
    if folder.is_dir() {
        return fs::remove_dir_all(scratch).with_context(|| format!("cannot remove {}", scratch.display()));
    }
    Err(error).with_context(|| format!("cannot move {} to {}", scratch.display(), folder.display()))
}

/// The cargo that started this program.
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    // `cargo run` hands its program the paths of its own libraries; build scripts started from here must not see them
    command.current_dir(root()).env_remove("LD_LIBRARY_PATH");
    // nor the description of this package: some of them are built again when it differs
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
        command.env_remove(name);
    }
    command
}

/// Runs `command` in the checkout and returns its exit status.
pub fn run(command: &mut Command) -> Result<ExitCode> {
    let status = command.current_dir(root()).status().with_context(|| format!("cannot start {command:?}"))?;
    Ok(exit_code(status))
}

/// The same exit status for this program; failure where a signal has ended the other one.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// True if `program` starts and succeeds with `args`.
pub fn answers(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_two_fetches_at_once_one_folder_is_left() {
        let base = std::env::temp_dir().join(format!("coral-xtask-{}", std::process::id()));
        let (scratch, folder) = (base.join("scratch"), base.join("folder"));
        for _ in ["first", "second"] {
            fs::create_dir_all(&scratch).unwrap();
            fs::write(scratch.join("file"), "whole").unwrap();
            name(&scratch, &folder).unwrap();
            assert!(!scratch.exists() && folder.join("file").is_file());
        }
        assert!(name(&scratch, &base.join("nowhere/folder")).is_err(), "there is nothing to move");
        fs::remove_dir_all(base).unwrap();
    }
}
