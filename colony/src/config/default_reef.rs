//! `default_reef` of `~/.coral/config.yaml`, written: the reef that commands are about when none is named.

use super::error::ConfigError;
use super::files::read_default_reef;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Mode of a file that did not exist: its folder may hold secrets.
const NEW_MODE: u32 = 0o600;

/// Writes the key; everything else in the file stays.
///
/// # Errors
/// When the file cannot be read or written, or is no YAML of `key: value` lines.
pub fn write_default_reef(path: &Path, reef_id: &str) -> Result<(), ConfigError> {
    if read_default_reef(path)?.as_deref() == Some(reef_id) {
        return Ok(());
    }
    let failed = |doing| move |cause| ConfigError::Io { doing, path: path.to_owned(), cause };
    let (text, mode) = match std::fs::read_to_string(path) {
        Ok(text) => (text, std::fs::metadata(path).map_err(failed("read"))?.mode() & 0o777),
        Err(cause) if cause.kind() == ErrorKind::NotFound => (String::new(), NEW_MODE),
        Err(cause) => return Err(failed("read")(cause)),
    };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create"))?;
    }
    // a JSON string is a YAML string
    let line = format!("default_reef: {}", serde_json::Value::from(reef_id));
    let is_it = |line: &&str| line.starts_with("default_reef:");
    let mut lines: Vec<&str> = text.lines().map(|it| if is_it(&it) { line.as_str() } else { it }).collect();
    if !text.lines().any(|it| is_it(&it)) {
        lines.push(&line);
    }
    let new = path.with_extension("yaml.new");
    let written = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new);
    let written = written.and_then(|mut file| {
        file.write_all((lines.join("\n") + "\n").as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&new, path)).map_err(failed("write"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
