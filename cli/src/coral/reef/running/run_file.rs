//! The run file `~/.coral/reefs/<id>.run`: which process runs a reef. The process holds a lock on it, so that a file left
//! over by a killed process is recognised, and two starts at once cannot both succeed.

use colony::config::{Places, is_at};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Between tries: a process that is just ending removes its file.
const TRIES: usize = 5;

/// Where a running reef leaves its traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPaths {
    /// The run file.
    pub run: PathBuf,
    /// The socket at which it is controlled.
    pub socket: PathBuf,
    /// The log of one in the background.
    pub log: PathBuf,
    /// Beside this questions are answered where the store is a server.
    pub answers: PathBuf,
}

impl RunPaths {
    /// Those of a reef.
    pub fn of(places: &Places, reef_id: &str) -> RunPaths {
        let path = |ending: &str| places.home.join("reefs").join(format!("{reef_id}.{ending}"));
        RunPaths { run: path("run"), socket: path("sock"), log: path("log"), answers: path("answers") }
    }

    /// Whether a path is that of a run file.
    pub fn is_run_file(path: &Path) -> bool {
        path.extension().is_some_and(|ending| ending == "run")
    }
}

/// Content of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// The process.
    pub pid: u32,
    /// When it started; RFC 3339.
    pub started_at: String,
    /// The reef's configuration.
    pub config: PathBuf,
    /// Its log, if it runs in the background.
    pub log: Option<PathBuf>,
    /// Where its services listen, once they do.
    #[serde(default)]
    pub api: Option<String>,
    /// Beside what questions are answered, once it runs: the file of its store, if it has one.
    #[serde(default)]
    pub store: Option<PathBuf>,
}

impl RunFile {
    /// Reads a file; `None` when there is none, or it is not complete.
    pub fn read(path: &Path) -> Option<RunFile> {
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }
}

/// Why a reef cannot be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process runs it.
    #[error("reef {reef_id} is already running{}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Running {
        /// The reef.
        reef_id: String,
        /// The process, if its file names it.
        pid: Option<u32>,
    },
    /// The file cannot be written.
    #[error("cannot write the run file {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
}

/// The right to run a reef; given back when dropped.
#[derive(Debug)]
pub struct Claim {
    file: File,
    path: PathBuf,
}

impl Claim {
    /// Takes it. With it comes what a process left that ended without removing its file.
    ///
    /// # Errors
    /// When another process has it, or the file cannot be written.
    pub fn take(path: &Path, reef_id: &str) -> Result<(Claim, Option<RunFile>), ClaimError> {
        let failed = |cause| ClaimError::Io { path: path.to_owned(), cause };
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        for _ in 0..TRIES {
            let mut open = OpenOptions::new();
            let file = open.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
            let file = file.map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let pid = RunFile::read(path).map(|run| run.pid);
                    return Err(ClaimError::Running { reef_id: reef_id.to_owned(), pid });
                }
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
            // a process that ended between the two steps has removed the file that is locked now
            if is_at(&file, path) {
                let left = RunFile::read(path);
                return Ok((Claim { file, path: path.to_owned() }, left));
            }
        }
        Err(failed(io::Error::other("other processes create and remove it all the time")))
    }

    /// Says who holds it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, run: &RunFile) -> Result<(), ClaimError> {
        let text = serde_json::to_string(run).unwrap_or_default() + "\n";
        let written = self.file.rewind().and_then(|()| self.file.set_len(0));
        let written = written.and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|cause| ClaimError::Io { path: self.path.clone(), cause })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run(pid: u32) -> RunFile {
        RunFile {
            pid,
            started_at: "2026-11-30T12:00:00.000Z".to_owned(),
            config: "r.toml".into(),
            log: None,
            api: None,
            store: None,
        }
    }

    #[test]
    fn one_process_has_it_and_what_another_left_over_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reefs/r.run");
        let (mut claim, left) = Claim::take(&path, "r").unwrap();
        assert_eq!(left, None);
        claim.write(&run(71)).unwrap();
        let second = Claim::take(&path, "r").unwrap_err();
        assert_eq!(second.to_string(), "reef r is already running (pid 71)");
        drop(claim);
        assert!(!path.exists());
        std::fs::write(&path, serde_json::to_string(&run(72)).unwrap()).unwrap();
        let (claim, left) = Claim::take(&path, "r").unwrap();
        assert_eq!(left, Some(run(72)));
        // what another process has put there meanwhile stays
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "other").unwrap();
        drop(claim);
        assert!(path.exists());
    }
}
