//! Expands variables and `~` in the values of a configuration before the tree is checked.
//!
//! `${NAME}` and `$NAME` are environment variables, `${NAME:-text}` has a default, `$$` is a dollar sign; in a path
//! `~/` is the home folder. Only options marked in [`keys`](super::keys) are expanded. An unset variable is a separate
//! kind of error, so that a check of the file alone can ignore it.

use super::errors::ConfigError;
use super::keys::{Expands, find};
use super::kinds::Kind;
use super::node::{Entry, Node, Value};

/// Looks a variable of the environment up; `None` when it is not set or empty.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process.
pub(super) fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Expands every value of `root` that may hold a variable or `~`.
pub(super) fn expand(root: &mut Node, lookup: Lookup) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    walk(root, "", lookup, &mut errors);
    errors
}

fn walk(table: &mut Node, prefix: &str, lookup: Lookup, errors: &mut Vec<ConfigError>) {
    let Value::Table(entries) = &mut table.value else { return };
    for Entry { key, node, .. } in entries {
        let path = format!("{prefix}{key}");
        if let Some(key) = find(&path) {
            match key.expands {
                Expands::Never => refuse_placeholder(&path, key.kind, node, errors),
                how => each_text(node, &mut |node| expand_text(&path, how, node, lookup, errors)),
            }
        } else if let Value::List(items) = &mut node.value {
            items.iter_mut().for_each(|item| walk(item, &format!("{path}[]."), lookup, errors));
        } else {
            walk(node, &format!("{path}."), lookup, errors);
        }
    }
}

fn each_text(node: &mut Node, act: &mut dyn FnMut(&mut Node)) {
    match &mut node.value {
        Value::Text(_) => act(node),
        Value::List(items) => items.iter_mut().for_each(|item| each_text(item, act)),
        _ => {}
    }
}

fn expand_text(path: &str, how: Expands, node: &mut Node, lookup: Lookup, errors: &mut Vec<ConfigError>) {
    let Value::Text(text) = &mut node.value else { return };
    let expanded = with_variables(text, lookup).and_then(|text| match how {
        Expands::Path => with_home(text, lookup),
        _ => Ok(text),
    });
    match expanded {
        Ok(expanded) => *text = expanded,
        Err(problem) => {
            let message = format!("{}: {}", path.replace("[]", ""), problem.text);
            errors.push(ConfigError { is_unset: problem.is_unset, ..ConfigError::at(node.place, message) });
        }
    }
}

/// Why a text cannot be expanded.
struct Problem {
    text: String,
    is_unset: bool,
}

fn with_variables(text: &str, lookup: Lookup) -> Result<String, Problem> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let (name, default, after) = match rest.strip_prefix('{') {
            Some(inside) => {
                let Some((inside, after)) = inside.split_once('}') else {
                    return Err(broken(format!("{text:?} has a ${{ without its }}")));
                };
                let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, it)| (name, Some(it)));
                if name_length(name) != name.len() || name.is_empty() {
                    let problem = format!("{text:?} holds ${{{inside}}}, which names no variable; a dollar sign is $$");
                    return Err(broken(problem));
                }
                (name, default, after)
            }
            None => {
                let (name, after) = rest.split_at(name_length(rest));
                (name, None, after)
            }
        };
        rest = after;
        if name.is_empty() {
            // a dollar sign before anything else means itself
            expanded.push('$');
            continue;
        }
        match lookup(name).or(default.map(str::to_owned)) {
            Some(value) => expanded.push_str(&value),
            None => return Err(unset(format!("{text:?} needs the environment variable {name}, which is not set"))),
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Length of the variable's name that `text` begins with.
fn name_length(text: &str) -> usize {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_next = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match text.starts_with(is_first) {
        true => text.find(|c| !is_next(c)).unwrap_or(text.len()),
        false => 0,
    }
}

fn with_home(text: String, lookup: Lookup) -> Result<String, Problem> {
    let Some(rest) = text.strip_prefix('~') else { return Ok(text) };
    if !rest.is_empty() && !rest.starts_with('/') {
        let problem =
            format!("{text:?}: ~ with a name is not expanded; write the path out (a file of that name: ./~…)");
        return Err(broken(problem));
    }
    match lookup("HOME") {
        Some(home) => Ok(home.trim_end_matches('/').to_owned() + rest),
        None => Err(unset(format!("{text:?} needs the environment variable HOME, which is not set"))),
    }
}

fn broken(text: String) -> Problem {
    Problem { text, is_unset: false }
}

fn unset(text: String) -> Problem {
    Problem { text, is_unset: true }
}

/// Secrets are not expanded; one that is only a variable is an error.
fn refuse_placeholder(path: &str, kind: Kind, node: &Node, errors: &mut Vec<ConfigError>) {
    let is_placeholder = |text: &str| {
        let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        name.is_some_and(|name| !name.is_empty() && name_length(name) == name.len())
    };
    let mut refuse = |node: &Node, instead: &str| {
        if let Value::Text(text) = &node.value
            && is_placeholder(text)
        {
            let message =
                format!("{}: {text} is not expanded here; name the variable in {instead}", path.replace("[]", ""));
            errors.push(ConfigError::at(node.place, message));
        }
    };
    match (kind, &node.value) {
        (Kind::Secret, _) => refuse(node, "colony_secret_env"),
        (Kind::Properties, Value::Table(entries)) => {
            entries.iter().for_each(|entry| refuse(&entry.node, "options_env"))
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Format, ReefConfig, StorageKind, parse_in};
    use super::*;
    use std::path::{Path, PathBuf};

    fn lookup(name: &str) -> Option<String> {
        let value = match name {
            "HOME" => "/home/ann/",
            "STATE_DIR" => "/var/lib/reef",
            "HOST" => "ch.example.com",
            "NAME" => "reef",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn text(written: &str) -> Result<String, String> {
        with_variables(written, &lookup).map_err(|problem| problem.text)
    }

    #[test]
    fn variables_are_expanded() {
        for (written, expected) in [
            ("${STATE_DIR}/reef.duckdb", "/var/lib/reef/reef.duckdb"),
            ("$STATE_DIR/reef.duckdb", "/var/lib/reef/reef.duckdb"),
            ("http://${HOST}:9000", "http://ch.example.com:9000"),
            ("${NOT_SET:-localhost}:9092", "localhost:9092"),
            ("${HOST:-localhost}", "ch.example.com"),
            ("${NOT_SET:-}x", "x"),
            ("price$$HOST", "price$HOST"),
            ("a$", "a$"),
            ("$1/x", "$1/x"),
            ("plain", "plain"),
        ] {
            assert_eq!(text(written).as_deref(), Ok(expected), "{written}");
        }
        assert_eq!(
            text("x/$NOT_SET").unwrap_err(),
            "\"x/$NOT_SET\" needs the environment variable NOT_SET, which is not set"
        );
        assert!(text("${HOST").unwrap_err().contains("without its }"));
        assert!(text("${a b}").unwrap_err().contains("names no variable"));
    }

    fn load(body: &str) -> Result<ReefConfig, String> {
        let text = format!("reef_id = \"r\"\n{body}");
        parse_in(&text, Format::Toml, Path::new("conf/reef.toml"), &[], &lookup).map_err(|errors| errors.to_string())
    }

    #[test]
    fn paths_start_at_the_home_folder_or_are_refused() {
        let store = |path: &str| {
            load(&format!("[[sources]]\nkind = \"files\"\nevents = [\"~/e.ndjson\"]\n[storage]\npath = {path:?}\n"))
                .map(|config| config.storage.kind)
        };
        let at = |path: &str| Ok(StorageKind::DuckDb { path: PathBuf::from(path) });
        assert_eq!(store("~/reef.duckdb"), at("/home/ann/reef.duckdb"));
        assert_eq!(store("$HOME/reef.duckdb"), at("/home/ann//reef.duckdb"));
        assert_eq!(store("${STATE_DIR}/r.duckdb"), at("/var/lib/reef/r.duckdb"));
        assert_eq!(store("./~x"), at("conf/./~x"));
        let refused = store("~ben/r.duckdb").unwrap_err();
        assert!(refused.contains("reef.toml:6:8: storage.path: \"~ben/r.duckdb\": ~ with a name"), "{refused}");
        let unset = store("${NOT_SET}/r.duckdb").unwrap_err();
        assert!(
            unset.contains("storage.path: \"${NOT_SET}/r.duckdb\" needs the environment variable NOT_SET"),
            "{unset}"
        );
    }

    #[test]
    fn addresses_and_lists_are_expanded_and_free_text_is_not() {
        let config = load(
            "description = \"costs $5 at ${HOST}\"\n[[colonies]]\ncolony_id = \"c\"\nendpoint = \"http://${HOST}:9000\"\n\
             [[sources]]\nkind = \"kafka\"\nbrokers = \"${HOST}:9092\"\ntopics = { events = \"${NOT_SET:-e}\" }\n",
        )
        .unwrap();
        assert_eq!(config.description, "costs $5 at ${HOST}");
        assert_eq!(config.colonies[0].endpoint.as_deref(), Some("http://ch.example.com:9000"));
        let shown = format!("{:?}", config.sources);
        assert!(shown.contains("ch.example.com:9092") && shown.contains("Some(\"e\")"), "{shown}");
    }

    #[test]
    fn the_host_of_a_server_is_expanded_or_refused_and_never_dialled_as_written() {
        let storage = |host: &str| {
            let connection = format!("{{ host = {host:?}, port = 8123, protocol = \"http\", database = \"$NAME\" }}");
            let colonies = "[[colonies]]\ncolony_id = \"c\"\nendpoint = \"http://127.0.0.1:9000\"\n";
            load(&format!("{colonies}[storage]\ntype = \"clickhouse\"\nconnection = {connection}\n"))
                .map(|config| config.storage.kind)
        };
        for written in ["$HOST", "${HOST}", "${NOT_SET:-ch.example.com}"] {
            let StorageKind::ClickHouse { host, database, .. } = storage(written).unwrap() else { panic!("{written}") };
            assert_eq!((host.as_str(), database.as_str()), ("ch.example.com", "reef"), "{written}");
        }
        for written in ["$CH_HOST", "${CH_HOST}"] {
            let refused = storage(written).unwrap_err();
            let words = format!("storage.connection.host: {written:?} needs the environment variable CH_HOST");
            assert!(refused.contains(&words), "{refused}");
        }
    }

    #[test]
    fn a_secret_that_is_only_a_placeholder_is_refused_and_its_dollar_signs_are_its_own() {
        let reef = |secret: &str| {
            load(&format!(
                "[[colonies]]\ncolony_id = \"c\"\n[colonies.mesh]\nmesh_ip = \"10.42.0.1\"\ncolony_secret = {secret:?}\n"
            ))
        };
        let refused = reef("${SHOP_SECRET}").unwrap_err();
        assert!(refused.contains("name the variable in colony_secret_env"), "{refused}");
        assert!(reef("pa$$word$HOST").is_ok());
        let kafka = load(
            "[[sources]]\nkind = \"kafka\"\nbrokers = \"b:1\"\ntopics = { events = \"e\" }\n\
             options = { \"sasl.password\" = \"${KAFKA_PASSWORD}\" }\n",
        );
        assert!(kafka.unwrap_err().contains("name the variable in options_env"));
    }
}
