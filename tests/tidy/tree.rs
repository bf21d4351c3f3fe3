//! The text files of this checkout, and the list of violations.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// One text file.
pub struct TextFile {
    /// Relative to the checkout, with `/`.
    pub path: String,
    /// The whole file.
    pub text: String,
}

impl TextFile {
    /// The top-level folder, which is the crate for files of a crate.
    pub fn folder(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Lines with their number, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// The folder that holds this workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All text files that belong to the project: no build output, no hidden folders but those we commit.
pub fn text_files() -> Vec<TextFile> {
    let mut files = Vec::new();
    collect(root(), &mut files);
    assert!(files.len() > 20, "the walk over {} found only {} text files", root().display(), files.len());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The Rust files among them.
pub fn rust_files() -> Vec<TextFile> {
    text_files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

fn collect(folder: &Path, files: &mut Vec<TextFile>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap_or_default());
        let kind = entry.file_type().unwrap();
        let skipped = ["target", "node_modules", "__pycache__", "venv"].contains(&name.as_str())
            || name.starts_with('.') && ![".ci", ".cargo", ".github", ".gitignore"].contains(&name.as_str());
        if skipped || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            collect(&path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            files.push(TextFile { path: relative, text });
        }
    }
}

/// What a rule found wrong.
#[derive(Default)]
pub struct Violations(Vec<String>);

impl Violations {
    /// Notes one place.
    pub fn push(&mut self, path: &str, line: usize, what: impl AsRef<str>) {
        self.0.push(format!("{path}:{line}: {}", what.as_ref()));
    }

    /// Fails the test with every place and with what to do about it.
    #[track_caller]
    pub fn assert_none(self, what_to_do: &str) {
        let mut message = String::new();
        for place in &self.0 {
            writeln!(message, "  {place}").unwrap();
        }
        assert!(self.0.is_empty(), "{} found:\n{message}{what_to_do}", self.0.len());
    }
}
