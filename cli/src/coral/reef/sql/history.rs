//! History: what was typed at the prompt before, in a file that its user alone can read.

use colony::config::Places;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Editor, Helper};
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Most entries.
pub const ENTRIES_MAX: usize = 1_000;
/// Longest entry, in bytes; a longer one is not kept.
const ENTRY_BYTES_MAX: usize = 8 * 1024;

/// The file.
pub struct History {
    path: PathBuf,
}

impl History {
    /// `~/.coral/sql_history`.
    pub fn of(places: &Places) -> History {
        History { path: places.home.join("sql_history") }
    }

    /// Gives an editor what was typed before, if anything.
    pub fn load<H: Helper>(&self, editor: &mut Editor<H, FileHistory>) -> Result<(), ReadlineError> {
        match editor.load_history(&self.path) {
            Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
            loaded => loaded,
        }
    }

    /// Keeps what was typed, unless it was just before or begins with a blank.
    pub fn keep<H: Helper>(&self, editor: &mut Editor<H, FileHistory>, text: &str) -> Result<(), ReadlineError> {
        if text.len() > ENTRY_BYTES_MAX || !editor.add_history_entry(text)? {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // private also when it is created, and shared with other prompts
        editor.append_history(&self.path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::prompt::editor_config;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn editor() -> Editor<(), FileHistory> {
        Editor::with_config(editor_config(false).unwrap()).unwrap()
    }

    #[test]
    fn the_file_is_private_bounded_and_shared() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let places = Places { home: home.clone(), project: folder.path().to_owned(), storage_path: None };
        let history = History::of(&places);
        let mut first = editor();
        history.load(&mut first).unwrap();
        history.keep(&mut first, "SELECT\n  1;").unwrap();
        history.keep(&mut first, " SELECT 'not kept';").unwrap();
        history.keep(&mut first, &format!("SELECT '{}';", "x".repeat(ENTRY_BYTES_MAX))).unwrap();
        let mut second = editor();
        history.load(&mut second).unwrap();
        assert_eq!(second.history().iter().collect::<Vec<_>>(), ["SELECT\n  1;"]);
        for n in 0..ENTRIES_MAX {
            history.keep(&mut second, &format!("SELECT {n};")).unwrap();
        }
        history.keep(&mut first, "SELECT 'first';").unwrap();
        let mut third = editor();
        history.load(&mut third).unwrap();
        let kept: Vec<&String> = third.history().iter().collect();
        assert_eq!(
            (kept.len(), kept[0], kept[ENTRIES_MAX - 1]),
            (ENTRIES_MAX, &"SELECT 1;".to_owned(), &"SELECT 'first';".to_owned())
        );
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&home), mode(&history.path)), (0o700, 0o600));
    }
}
