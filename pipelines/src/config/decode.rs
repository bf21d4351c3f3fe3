//! A tree checked against the table of keys: unknown keys, wrong types and invalid values become errors with their
//! position.

use super::errors::ConfigError;
use super::keys::{Default, KEYS, Key, find};
use super::kinds::{Setting, did_you_mean};
use super::node::{Entry, Node, Place, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The settings of one table and its sub-tables; each item of a list of tables is its own scope.
#[derive(Debug, Default)]
pub struct Scope {
    /// Where the table starts.
    pub place: Place,
    /// Sub-tables that are written, e.g. `colonies[].mesh`, and where.
    pub sections: BTreeMap<String, Place>,
    /// Lists of tables, e.g. `colonies`.
    pub lists: BTreeMap<String, Vec<Scope>>,
    /// Tables that the file names, e.g. those of `metrics`, with where their names are, in the order of the text.
    pub named: BTreeMap<String, Vec<(String, Place, Scope)>>,
    settings: BTreeMap<&'static str, (Setting, Place)>,
    /// Keys that are written, with a good value or a bad one.
    written: BTreeMap<&'static str, Place>,
}

impl Scope {
    /// The value of a key: as written, else its default, else absent.
    pub fn setting(&self, path: &str) -> Setting {
        if let Some((setting, _)) = self.settings.get(path) {
            return setting.clone();
        }
        match find(path).map(|key| (key.kind, key.default)) {
            // a test reads every default of the table
            Some((kind, Default::Value(text))) => kind.default(text).unwrap_or(Setting::Absent),
            _ => Setting::Absent,
        }
    }

    /// Where a key is written.
    pub fn place_of(&self, path: &str) -> Option<Place> {
        self.written.get(path).copied()
    }

    /// Where the value of a key is written.
    pub fn value_place_of(&self, path: &str) -> Option<Place> {
        self.settings.get(path).map(|(_, place)| *place)
    }

    /// Text, a choice, an address; empty when absent.
    pub fn text(&self, path: &str) -> String {
        self.optional_text(path).unwrap_or_default()
    }

    /// Text, a choice, an address.
    pub fn optional_text(&self, path: &str) -> Option<String> {
        match self.setting(path) {
            Setting::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list of texts; empty when absent.
    pub fn texts(&self, path: &str) -> Vec<String> {
        match self.setting(path) {
            Setting::Texts(texts) => texts,
            _ => Vec::new(),
        }
    }

    /// A truth value; false when absent.
    pub fn flag(&self, path: &str) -> bool {
        self.setting(path) == Setting::Bool(true)
    }

    /// A whole number.
    pub fn integer(&self, path: &str) -> Option<i64> {
        match self.setting(path) {
            Setting::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// A number; 0 when absent.
    pub fn number(&self, path: &str) -> f64 {
        match self.setting(path) {
            Setting::Number(number) => number,
            _ => 0.0,
        }
    }

    /// A duration in milliseconds; 0 when absent.
    pub fn duration_ms(&self, path: &str) -> i64 {
        match self.setting(path) {
            Setting::DurationMs(ms) => ms,
            _ => 0,
        }
    }
}

/// Checks a whole tree.
pub fn decode(root: &Node) -> (Scope, Vec<ConfigError>) {
    let mut errors = Vec::new();
    let scope = scope_of(root, "", &mut errors);
    (scope, errors)
}

fn scope_of(table: &Node, prefix: &str, errors: &mut Vec<ConfigError>) -> Scope {
    let mut scope = Scope { place: table.place, ..Scope::default() };
    walk(table, prefix, &mut scope, errors);
    check_required(prefix, &scope, errors);
    check_belonging(&scope, errors);
    scope
}

/// Reads the entries of a table whose keys start with `prefix`.
fn walk(table: &Node, prefix: &str, scope: &mut Scope, errors: &mut Vec<ConfigError>) {
    let Value::Table(entries) = &table.value else { return };
    for entry in entries {
        let path = format!("{prefix}{}", entry.key);
        if is_section(&format!("{prefix}*"), ".") {
            read_named(prefix, entry, scope, errors);
        } else if let Some(key) = find(&path) {
            read_key(key, entry, scope, errors);
        } else if is_section(&path, ".") {
            read_section(&path, entry, scope, errors);
        } else if is_section(&path, "[].") {
            read_list(&path, entry, scope, errors);
        } else {
            errors.push(ConfigError::at(entry.key_place, unknown_key(&entry.key, prefix)));
        }
    }
}

fn read_key(key: &'static Key, entry: &Entry, scope: &mut Scope, errors: &mut Vec<ConfigError>) {
    scope.written.insert(key.path, entry.key_place);
    // `key:` without a value means: as if it were not there
    if entry.node.value == Value::Null && key.default != Default::Required {
        return;
    }
    match key.kind.check(&entry.node.value) {
        Ok(setting) => {
            scope.settings.insert(key.path, (setting, entry.node.place));
        }
        Err(problem) => errors.push(ConfigError::at(entry.node.place, format!("{}: {problem}", plain(key.path)))),
    }
}

fn read_section(path: &str, entry: &Entry, scope: &mut Scope, errors: &mut Vec<ConfigError>) {
    match &entry.node.value {
        Value::Table(_) => {
            scope.sections.insert(path.to_owned(), entry.key_place);
            walk(&entry.node, &format!("{path}."), scope, errors);
        }
        Value::Null => {}
        other => {
            let message = format!("{} is a section with keys of its own, not {}", plain(path), other.describe());
            errors.push(ConfigError::at(entry.node.place, message));
        }
    }
}

/// A table under a name of the file's own choice.
fn read_named(prefix: &str, entry: &Entry, scope: &mut Scope, errors: &mut Vec<ConfigError>) {
    let section = prefix.trim_end_matches('.');
    match &entry.node.value {
        Value::Table(_) => {
            let table = scope_of(&entry.node, &format!("{prefix}*."), errors);
            let tables = scope.named.entry(section.to_owned()).or_default();
            tables.push((entry.key.clone(), entry.key_place, table));
        }
        Value::Null => {}
        other => {
            let message = format!("{section}.{:?} has keys of its own; this is {}", entry.key, other.describe());
            errors.push(ConfigError::at(entry.node.place, message));
        }
    }
}

fn read_list(path: &str, entry: &Entry, scope: &mut Scope, errors: &mut Vec<ConfigError>) {
    let items = match &entry.node.value {
        Value::List(items) => items.as_slice(),
        Value::Null => &[],
        _ => {
            let message = format!("{path} is a list; write [[{path}]] in TOML, or items that start with - in YAML");
            errors.push(ConfigError::at(entry.node.place, message));
            return;
        }
    };
    let mut scopes = Vec::with_capacity(items.len());
    for item in items {
        match &item.value {
            Value::Table(_) => scopes.push(scope_of(item, &format!("{path}[]."), errors)),
            other => {
                let message = format!("an item of {path} has keys of its own; this is {}", other.describe());
                errors.push(ConfigError::at(item.place, message));
            }
        }
    }
    scope.lists.insert(path.to_owned(), scopes);
}

/// Required keys of the table itself, and of those sub-tables that are written.
fn check_required(prefix: &str, scope: &Scope, errors: &mut Vec<ConfigError>) {
    for key in KEYS.iter().filter(|key| key.default == Default::Required && !scope.written.contains_key(key.path)) {
        if !key.path.starts_with(prefix) || (prefix.is_empty() && key.path.contains("[]")) {
            continue;
        }
        let section = key.path.rsplit_once('.').map_or("", |(section, _)| section);
        let place = if section == prefix.trim_end_matches('.') {
            Some(scope.place)
        } else {
            scope.sections.get(section).copied()
        };
        let chosen = key.only.is_none_or(|(selector, choice)| scope.text(selector) == choice);
        if let (Some(place), true) = (place, chosen) {
            let message = format!("{} is missing: {}", plain(key.path), key.meaning);
            errors.push(ConfigError::at(place, message));
        }
    }
}

/// Keys that belong to another choice: `brokers` under `kind = "files"`.
fn check_belonging(scope: &Scope, errors: &mut Vec<ConfigError>) {
    for (path, place) in &scope.written {
        let Some((selector, choice)) = find(path).and_then(|key| key.only) else { continue };
        let chosen = scope.text(selector);
        if !chosen.is_empty() && chosen != choice {
            let message = format!("{} belongs to {} = {choice:?}; here it is {chosen:?}", plain(path), plain(selector));
            errors.push(ConfigError::at(*place, message));
        }
    }
}

fn is_section(path: &str, separator: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with(separator)))
}

fn unknown_key(name: &str, prefix: &str) -> String {
    let section = prefix.trim_end_matches('.');
    let place = match section {
        "" => "at the top level".to_owned(),
        section => format!("in [{}]", plain(section)),
    };
    let siblings: BTreeSet<&str> = KEYS
        .iter()
        .filter_map(|key| key.path.strip_prefix(prefix))
        .filter_map(|rest| rest.split(['.', '[']).next())
        .collect();
    let mut near = did_you_mean(name, siblings.iter().copied());
    if near.is_empty() {
        near = elsewhere(name).unwrap_or_else(|| {
            let names: Vec<&str> = siblings.into_iter().collect();
            format!("; known keys: {}", names.join(", "))
        });
    }
    format!("unknown key {name:?} {place}{near}")
}

/// The key exists, in another section.
fn elsewhere(name: &str) -> Option<String> {
    let key = KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(name))?;
    let section = key.path.rsplit_once('.').map_or("", |(section, _)| section);
    Some(match section {
        "" => "; it belongs to the top level, before the first section".to_owned(),
        section => format!("; it belongs in [{}]", plain(section)),
    })
}

/// A path without the marks of lists, as people read it.
fn plain(path: &str) -> String {
    path.replace("[]", "")
}
