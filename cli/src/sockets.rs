//! Unix sockets in folders with long names.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

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
