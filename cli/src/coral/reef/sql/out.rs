//! Out: a file that gets the rows of an answer, complete or not at all.

use rand::RngExt;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Writes a file with what `fill` puts into it. A new file is made beside the old one, which it then replaces; what is
/// no regular file (a pipe, a terminal, a link to no file) is written as it is.
pub fn write(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let Some(path) = replaced(path) else {
        return fill(&mut File::create(path)?);
    };
    let part = beside(&path);
    // a file of this name is another process's
    let mut file = File::create_new(&part)?;
    let written = fill(&mut file).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&part, &path));
    if written.is_err() {
        // the first error counts
        let _ = fs::remove_file(&part);
    }
    written
}

/// The regular file that a new one replaces: for a link, the one that it leads to.
fn replaced(path: &Path) -> Option<PathBuf> {
    match fs::symlink_metadata(path) {
        // these stand for what a process has open, which no other file replaces
        Ok(found) if found.is_symlink() && ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder)) => None,
        Ok(found) if found.is_symlink() => {
            fs::canonicalize(path).ok().filter(|target| fs::metadata(target).is_ok_and(|found| found.is_file()))
        }
        Ok(found) => found.is_file().then(|| path.to_owned()),
        Err(_) => Some(path.to_owned()),
    }
}

/// A name in the same folder that no other process takes, nor one that was killed.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}.part", rand::rng().random_range(0..u64::MAX)));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_other_file_is_written_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("rows.csv"), folder.path().join("rows.csv.part"));
        fs::write(&part, "a user's").unwrap();
        fs::write(&path, "old").unwrap();
        let failed = write(&path, |file| file.write_all(b"n").and(Err(io::ErrorKind::InvalidData.into())));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        write(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_to_string(&part).unwrap(), "a user's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left");
    }

    #[test]
    fn a_link_leads_to_a_complete_file_or_to_the_old_one() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, file) = (folder.path().join("link.csv"), other.path().join("file.csv"));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        assert!(write(&link, |to| to.write_all(b"n").and(Err(io::ErrorKind::InvalidData.into()))).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        write(&link, |to| to.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        for folder in [&folder, &other] {
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
        }
    }

    #[test]
    fn what_a_killed_process_left_is_in_the_way_of_none() {
        let path = Path::new("rows.csv");
        assert_ne!(beside(path), beside(path));
    }

    #[test]
    fn what_is_no_regular_file_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (link, file) = (folder.path().join("link.csv"), folder.path().join("file.csv"));
        symlink(&file, &link).unwrap();
        write(&link, |to| to.write_all(b"rows")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "rows");
        write(Path::new("/dev/null"), |to| to.write_all(b"rows")).unwrap();
        assert!(write(folder.path(), |_| Ok(())).is_err(), "a folder is no file");
    }
}
