//! Locations: the checkout, the cache shared by all checkouts, and cargo itself.

use anyhow::{Context, Result};
use std::ffi::OsString;
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
