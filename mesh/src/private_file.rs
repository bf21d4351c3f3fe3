//! Files that only their owner may read: keys, secrets, the registry of peers. Written atomically.

use crate::error::MeshError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Larger files are none of ours.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MeshError {
    let path = path.to_owned();
    move |cause| MeshError::File { what, path, cause }
}

/// The text of a file, or `None` when there is no such file. Refuses one that group or others may read.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, MeshError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(MeshError::FileOpenToOthers { path: path.to_owned() });
    }
    if metadata.len() > BYTES_MAX {
        return Err(failed("read", path)(io::Error::other("the file is larger than any key or registry")));
    }
    fs::read_to_string(path).map(|text| Some(Zeroizing::new(text))).map_err(failed("read", path))
}

/// Creates a file; an existing one stays unchanged.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), MeshError> {
    let temporary = write_beside(path, bytes)?;
    // a hard link, because it fails where a rename would replace
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("write", path)(error)),
        _ => removed.map_err(failed("remove", &temporary)),
    }
}

/// Replaces a file atomically: readers see the old or the new content.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), MeshError> {
    let temporary = write_beside(path, bytes)?;
    fs::rename(&temporary, path).map_err(failed("write", path))?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write", path))?;
    }
    Ok(())
}

fn write_beside(path: &Path, bytes: &[u8]) -> Result<PathBuf, MeshError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", u64::from_le_bytes(crate::random::random())));
    let temporary = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    match written {
        Ok(()) => Ok(temporary),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(failed("write", &temporary)(error))
        }
    }
}
