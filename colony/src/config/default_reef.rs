//! `default_reef` of `~/.coral/config.yaml`, written: the reef that commands are about when none is named.

use super::edited::EditedFile;
use super::error::ConfigError;
use super::files::read_default_reef;
use super::yaml::YamlFile;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The key.
const KEY: &str = "default_reef";

/// Writes the key; everything else in the file stays.
///
/// # Errors
/// When the file cannot be read or written, is no YAML, or is in a form that a line `default_reef: …` does not fit in.
pub fn write_default_reef(path: &Path, reef_id: &str) -> Result<(), ConfigError> {
    if read_default_reef(path)?.as_deref() == Some(reef_id) {
        return Ok(());
    }
    let failed = |doing| move |cause| ConfigError::Io { doing, path: path.to_owned(), cause };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create"))?;
    }
    let edited = EditedFile::open_or_create(path).map_err(failed("read"))?;
    // a JSON string is a YAML string
    let line = format!("{KEY}: {}", serde_json::Value::from(reef_id));
    let new = with_line(edited.text(), &line);
    let says_it = |file: YamlFile| file.parse(|keys| keys.text(KEY)).is_ok_and(|it| it.as_deref() == Some(reef_id));
    if !says_it(YamlFile::of(path, &new)) || !YamlFile::differs_only_in(KEY, edited.text(), &new) {
        let problem = format!("cannot be set in a file of this form; write it by hand: {line}");
        return Err(ConfigError::Key { path: path.to_owned(), key: KEY.to_owned(), problem });
    }
    edited.replace(&new).map_err(failed("write"))
}

/// The text with the line in place of the one that has the key, or at its end. The caller parses the result.
fn with_line(text: &str, line: &str) -> String {
    let is_it = |line: &str| line.strip_prefix(KEY).is_some_and(|rest| rest.starts_with(':'));
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let replaced = |it: &str| if is_it(it) { line.to_owned() } else { it.to_owned() };
    let mut lines: Vec<String> = text.lines().map(replaced).collect();
    if !text.lines().any(is_it) {
        lines.push(line.to_owned());
    }
    lines.join(ending) + ending
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

    #[test]
    fn a_form_that_takes_no_line_is_refused_with_what_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        for text in [
            "{default_colony: c}\n",
            "default_reef:\n  one\n",
            "\"default_reef\": one\nother: 1\n",
            "  default_colony: c\n  other: 1\n",
            "note: |\n  a\n---\nb: 1\n",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = write_default_reef(&path, "two").unwrap_err().to_string();
            assert!(error.ends_with("write it by hand: default_reef: \"two\""), "{text}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn ends_of_lines_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        for (text, expected) in [
            ("a: 1\r\ndefault_reef: one\r\n", "a: 1\r\ndefault_reef: \"two\"\r\n"),
            ("a: 1\r\n", "a: 1\r\ndefault_reef: \"two\"\r\n"),
            ("# only a remark\n", "# only a remark\ndefault_reef: \"two\"\n"),
        ] {
            std::fs::write(&path, text).unwrap();
            write_default_reef(&path, "two").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
    }
}
