//! Unix sockets: in folders with long names, and open to their user alone.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Longest path of a socket that the operating system takes.
const PATH_BYTES_MAX: usize = 100;

/// A path that is short enough for the operating system, if necessary through the open folder. The folder must stay
/// open while the path is used.
pub fn short(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    use std::os::fd::AsRawFd;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok((path.to_owned(), None));
    };
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok((path.to_owned(), None));
    }
    let folder = File::open(folder)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name), Some(folder)))
}

/// Whether no process listens there: the socket was never created, or is left over from a killed process.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory)
}

/// A listening socket that only this user can open; removed when dropped.
pub struct PrivateSocket {
    /// What accepts connections.
    pub listener: UnixListener,
    path: PathBuf,
    /// What was made at the path: the next process may have made its own there by the time this one ends.
    made: Option<(u64, u64)>,
}

/// Device and number of what lies at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

impl PrivateSocket {
    /// Opens the socket, in place of what is at the path. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn open(path: &Path) -> io::Result<PrivateSocket> {
        // created in a private folder, so that it is never open to other users
        let mut private = path.as_os_str().to_owned();
        private.push(".new");
        let private = PathBuf::from(private);
        let _ = std::fs::remove_dir_all(&private);
        DirBuilder::new().mode(0o700).create(&private)?;
        let made = || -> io::Result<(UnixListener, Option<(u64, u64)>)> {
            let new = private.join("s");
            let (bound, _folder) = short(&new)?;
            let listener = UnixListener::bind(bound)?;
            std::fs::set_permissions(&new, Permissions::from_mode(0o600))?;
            let made = identity(&new);
            std::fs::rename(&new, path)?;
            Ok((listener, made))
        };
        let made = made();
        let _ = std::fs::remove_dir_all(&private);
        let (listener, made) = made?;
        Ok(PrivateSocket { listener, path: path.to_owned(), made })
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path) == self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
