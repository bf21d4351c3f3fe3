//! A configuration file that is being changed: locked against other processes, and replaced as a whole.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Other processes may replace the file this often while one waits for it.
const TRIES: usize = 1_000;
/// Mode of a file that did not exist: its folder may hold secrets.
const NEW_MODE: u32 = 0o600;

/// A file and what it says. It is locked until it is dropped: other processes of ours wait with their changes.
#[derive(Debug)]
pub struct EditedFile {
    /// Open for the lock on it.
    file: File,
    /// Where the file itself is: a symbolic link to it stays.
    path: PathBuf,
    text: String,
}

impl EditedFile {
    /// Waits for the lock, and reads the file.
    ///
    /// # Errors
    /// When the file does not exist, or cannot be read or locked.
    pub fn open(path: &Path) -> io::Result<EditedFile> {
        Self::locked(|| File::open(path), path)
    }

    /// The same with an empty file, for its user alone, where there is none.
    ///
    /// # Errors
    /// When the file cannot be created, read or locked.
    pub fn open_or_create(path: &Path) -> io::Result<EditedFile> {
        let open = || match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true).truncate(false).mode(NEW_MODE).open(path)
            }
            opened => opened,
        };
        Self::locked(open, path)
    }

    fn locked(open: impl Fn() -> io::Result<File>, path: &Path) -> io::Result<EditedFile> {
        for _ in 0..TRIES {
            let mut file = open()?;
            let real = std::fs::canonicalize(path)?;
            file.lock()?;
            // the process that had the lock before has replaced the file that is locked now
            if is_at(&file, &real) {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                return Ok(EditedFile { file, path: real, text });
            }
        }
        Err(io::Error::other("other processes replace it all the time"))
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// From now on its user alone can read it.
    ///
    /// # Errors
    /// When its mode cannot be changed.
    pub fn make_private(&self) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(NEW_MODE))
    }

    /// Replaces it atomically; it keeps its permissions.
    ///
    /// # Errors
    /// When the new file cannot be written; the former one stays then.
    pub fn replace(self, text: &str) -> io::Result<()> {
        let permissions = self.file.metadata()?.permissions();
        let (file, new) = self.new_beside()?;
        let written = write(file, permissions, text).and_then(|()| std::fs::rename(&new, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written?;
        // the new name outlives a power failure
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    /// A new file in the same folder. One that a killed process left over stays as it is.
    fn new_beside(&self) -> io::Result<(File, PathBuf)> {
        let pid = std::process::id();
        for number in 0..TRIES {
            let mut name = self.path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{pid}-{number}.new"));
            let new = self.path.with_file_name(name);
            match OpenOptions::new().write(true).create_new(true).mode(NEW_MODE).open(&new) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                opened => return opened.map(|file| (file, new)),
            }
        }
        Err(io::Error::other("its folder is full of files that were left over: remove those that end in .new"))
    }
}

fn write(mut file: File, permissions: Permissions, text: &str) -> io::Result<()> {
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Whether an open file is the one at a path: another process may have replaced or removed it before this one had the
/// lock on it.
pub fn is_at(file: &File, path: &Path) -> bool {
    let facts = |data: std::fs::Metadata| (data.dev(), data.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => facts(open) == facts(there),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_link_stays_and_the_file_behind_it_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("of-the-team.yaml"), folder.path().join("r.yaml"));
        std::fs::write(&file, "a: 1\n").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let left_over = folder.path().join(format!("of-the-team.yaml.{}-0.new", std::process::id()));
        std::fs::write(&left_over, "of a killed process").unwrap();
        let edited = EditedFile::open(&link).unwrap();
        assert_eq!(edited.text(), "a: 1\n");
        edited.replace("a: 2\n").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a: 2\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o664);
        assert_eq!(std::fs::read_to_string(&left_over).unwrap(), "of a killed process");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
        assert_eq!(EditedFile::open(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yaml");
        let add = |number: usize| {
            let edited = EditedFile::open_or_create(&path).unwrap();
            let text = format!("{}line {number}\n", edited.text());
            edited.replace(&text).unwrap();
        };
        std::thread::scope(|scope| {
            for worker in 0..4 {
                scope.spawn(move || (0..10).for_each(|number| add(worker * 10 + number)));
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 40, "{text}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, NEW_MODE);
    }
}
