//! Overrides: `section.key=value` of a command line, put into the tree of a configuration and checked as if written there.

use super::errors::ConfigError;
use super::keys::KEYS;
use super::kinds::did_you_mean;
use super::node::{Entry, Node, Place, Value};

/// Sections whose keys may be overridden: what decides how rows are read and correlated, not where they come from or go.
pub const OVERRIDABLE: [&str; 3] = ["correlation", "collection", "engine"];

/// Applies each override to `root`, replacing the text's value. Invalid keys are errors; the others are checked with
/// the rest of the tree, and their errors have the override's position.
pub(super) fn apply(root: &mut Node, overrides: &[String]) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut given: Vec<(&str, &str)> = Vec::new();
    for (number, text) in (1..).zip(overrides) {
        // line 0 is the command line; the column counts its settings
        let place = Place { line: 0, column: number };
        match split(text) {
            Ok((section, key, _)) if given.contains(&(section, key)) => {
                errors.push(ConfigError::at(place, format!("{section}.{key} is set twice; keep one of them")));
            }
            Ok((section, key, value)) => {
                given.push((section, key));
                put(root, section, key, Node { place, value: scalar(value) });
            }
            Err(problem) => errors.push(ConfigError::at(place, problem)),
        }
    }
    errors
}

fn split(text: &str) -> Result<(&str, &str, &str), String> {
    let example = "write for example correlation.max_lag=6h";
    let (path, value) = text.split_once('=').ok_or_else(|| format!("has no value; {example}"))?;
    let (path, value) = (path.trim(), value.trim());
    if value.is_empty() {
        return Err(format!("has no value; {example}"));
    }
    let Some((section, key)) = path.split_once('.') else {
        return Err(match full_path(path) {
            Some(full) => format!("a key is named with its section; did you mean {full:?}?"),
            None => format!("a key is named with its section; {example}"),
        });
    };
    if !OVERRIDABLE.contains(&section) {
        let near = did_you_mean(section, OVERRIDABLE.into_iter());
        return Err(format!("only keys of [{}] can be set here{near}", OVERRIDABLE.join("], [")));
    }
    Ok((section, key, value))
}

/// `correlation.max_lag` for `max_lag`.
fn full_path(name: &str) -> Option<&'static str> {
    let of_section =
        |path: &&str| path.split_once('.').is_some_and(|(section, key)| OVERRIDABLE.contains(&section) && key == name);
    KEYS.iter().map(|key| key.path).find(of_section)
}

/// Numbers and truth values as both formats write them; all else is text.
fn scalar(text: &str) -> Value {
    let number = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Number);
    let integer = || text.parse().ok().map(Value::Integer);
    let truth = || text.parse().ok().map(Value::Bool);
    integer().or_else(number).or_else(truth).unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn put(root: &mut Node, section: &str, key: &str, node: Node) {
    let place = node.place;
    let Value::Table(sections) = &mut root.value else { return };
    let index = sections.iter().position(|entry| entry.key == section).unwrap_or_else(|| {
        let empty = Node { place, value: Value::Table(Vec::new()) };
        sections.push(Entry { key: section.to_owned(), key_place: place, node: empty });
        sections.len() - 1
    });
    let table = &mut sections[index].node.value;
    // `correlation:` without keys, as YAML allows
    if *table == Value::Null {
        *table = Value::Table(Vec::new());
    }
    // a section that is no table is an error of the file, found when the tree is checked
    let Value::Table(entries) = table else { return };
    entries.retain(|entry| entry.key != key);
    entries.push(Entry { key: key.to_owned(), key_place: place, node });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{ConfigErrors, Format, ReefConfig, parse_with};
    use model::time::HOUR_MS;
    use std::path::Path;

    const REEF: &str = "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n\
                        [correlation]\nmax_lag = \"2h\"\nmin_occurrences = 4\n";

    fn with(overrides: &[&str]) -> Result<ReefConfig, ConfigErrors> {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        parse_with(REEF, Format::Toml, Path::new("reef.toml"), &overrides)
    }

    #[test]
    fn overrides_take_the_place_of_what_is_written_and_of_defaults() {
        let config = with(&[
            "correlation.max_lag=6h",
            "correlation.metric_threshold = 0.7",
            "engine.workers=3",
            "correlation.enabled=false",
        ])
        .unwrap();
        assert_eq!((config.correlation.max_lag_ms, config.correlation.min_occurrences), (6 * HOUR_MS, 4));
        assert_eq!((config.correlation.metric_threshold, config.engine.workers), (0.7, 3));
        assert!(!config.correlation.enabled);
    }

    #[test]
    fn mistakes_name_the_setting_and_what_is_near() {
        let cases = [
            (
                "correlation.max_lagg=6h",
                "--set correlation.max_lagg=6h: unknown key \"max_lagg\" in [correlation]; did you mean \"max_lag\"?",
            ),
            ("correlation.max_lag=6", "--set correlation.max_lag=6: correlation.max_lag: duration \"6\" has no unit"),
            ("correlation.max_lag=90d", "--set correlation.max_lag=90d: correlation.max_lag: \"90d\" is out of range"),
            ("max_lag=6h", "--set max_lag=6h: a key is named with its section; did you mean \"correlation.max_lag\"?"),
            ("corelation.max_lag=6h", "can be set here; did you mean \"correlation\"?"),
            ("storage.path=x", "only keys of [correlation], [collection], [engine] can be set here"),
            ("correlation.max_lag", "--set correlation.max_lag: has no value; write for example"),
            ("correlation.max_lag=", "has no value"),
        ];
        for (setting, expected) in cases {
            let errors = with(&[setting]).unwrap_err().to_string();
            assert!(errors.contains(expected), "{setting}: {errors}");
        }
        let twice = with(&["correlation.max_lag=6h", "correlation.max_lag=7h"]).unwrap_err().to_string();
        assert!(twice.contains("--set correlation.max_lag=7h: correlation.max_lag is set twice"), "{twice}");
        let between = with(&["correlation.horizon=1d", "correlation.max_lag=2d"]).unwrap_err().to_string();
        assert!(between.contains("--set correlation.max_lag=2d: correlation.max_lag (2d) is longer"), "{between}");
    }
}
