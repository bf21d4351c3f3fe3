//! `default_reef` of `~/.coral/config.yaml`, written: the reef that commands are about when none is named.

use super::edited::EditedFile;
use super::error::ConfigError;
use super::files::read_default_reef;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Writes the key; everything else in the file stays.
///
/// # Errors
/// When the file cannot be read or written, or is no YAML of `key: value` lines.
pub fn write_default_reef(path: &Path, reef_id: &str) -> Result<(), ConfigError> {
    if read_default_reef(path)?.as_deref() == Some(reef_id) {
        return Ok(());
    }
    let failed = |doing| move |cause| ConfigError::Io { doing, path: path.to_owned(), cause };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create"))?;
    }
    let edited = EditedFile::open_or_create(path).map_err(failed("read"))?;
    let text = edited.text();
    // a JSON string is a YAML string
    let line = format!("default_reef: {}", serde_json::Value::from(reef_id));
    let is_it = |line: &&str| line.starts_with("default_reef:");
    let mut lines: Vec<&str> = text.lines().map(|it| if is_it(&it) { line.as_str() } else { it }).collect();
    if !text.lines().any(|it| is_it(&it)) {
        lines.push(&line);
    }
    let new = lines.join("\n") + "\n";
    edited.replace(&new).map_err(failed("write"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_key_is_added_or_replaced_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home/config.yaml");
        write_default_reef(&path, "one-reef-a1b2c3").unwrap();
        assert_eq!(read_default_reef(&path).unwrap().as_deref(), Some("one-reef-a1b2c3"));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let text = "# mine\ndefault_colony: c\ndefault_reef: one-reef-a1b2c3 # old\nother: {a: 1}\n";
        std::fs::write(&path, text).unwrap();
        write_default_reef(&path, "two").unwrap();
        let expected = "# mine\ndefault_colony: c\ndefault_reef: \"two\"\nother: {a: 1}\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        std::fs::write(&path, "- a list\n").unwrap();
        assert!(matches!(write_default_reef(&path, "x").unwrap_err(), ConfigError::Syntax { .. }));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "- a list\n");
    }
}
