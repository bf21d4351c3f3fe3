//! What a configuration means in full: every option with its value, and where the value comes from. Secrets are masked.

use super::decode::Scope;
use super::errors::ConfigErrors;
use super::keys::{Default, KEYS, Key};
use super::kinds::{Kind, Setting};
use super::node::{Node, Place, Value};
use super::secret::Secret;
use super::types::{ReefConfig, StorageKind};
use super::{Format, build, decode, read, toml_text, variables, yaml_text};
use model::time::format_duration_ms;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// An option in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// Its key; items of a list by their number, or by the colony's id: `colonies[my-shop].endpoint`.
    pub key: String,
    /// Its value; of a secret a mask.
    pub value: Setting,
    /// Where that comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is written in the file.
    File {
        /// The line.
        line: usize,
    },
    /// It is written there with a variable of the environment, or `~`.
    Variable {
        /// The line.
        line: usize,
    },
    /// It is not written; this is the default.
    Default,
    /// It is not written; it was worked out.
    Computed {
        /// How.
        from: &'static str,
    },
}

/// Reads a configuration file, with every option that is in force, in the order of `help config`.
///
/// # Errors
/// Those of a file that is wrong, and variables that are not set.
pub fn effective(path: &Path) -> Result<(ReefConfig, Vec<Effective>), ConfigErrors> {
    let (text, format) = read(path)?;
    of_text(&text, format, path, &variables::of_process)
}

fn of_text(
    text: &str,
    format: Format,
    origin: &Path,
    lookup: variables::Lookup,
) -> Result<(ReefConfig, Vec<Effective>), ConfigErrors> {
    let written = match format {
        Format::Toml => toml_text::parse(text),
        Format::Yaml => yaml_text::parse(text),
    };
    let written = written.map_err(|errors| ConfigErrors::new(origin, errors))?;
    let mut expanded = written.clone();
    let mut errors = variables::expand(&mut expanded, lookup);
    let (scope, more) = decode::decode(&expanded);
    errors.extend(more);
    let config = build::build(&scope, origin, &mut errors);
    if !errors.is_empty() {
        return Err(ConfigErrors::new(origin, errors));
    }
    let mut changed = BTreeSet::new();
    note_changed(&written, &expanded, &mut changed);
    let listed = listed(&scope, &config, &changed);
    Ok((config, listed))
}

/// Places whose values expansion has changed, those of lists too.
fn note_changed(written: &Node, expanded: &Node, changed: &mut BTreeSet<Place>) {
    if written.value == expanded.value {
        return;
    }
    changed.insert(written.place);
    match (&written.value, &expanded.value) {
        (Value::List(before), Value::List(after)) => {
            before.iter().zip(after).for_each(|(before, after)| note_changed(before, after, changed));
        }
        (Value::Table(before), Value::Table(after)) => {
            before.iter().zip(after).for_each(|(before, after)| note_changed(&before.node, &after.node, changed));
        }
        _ => {}
    }
}

fn listed(scope: &Scope, config: &ReefConfig, changed: &BTreeSet<Place>) -> Vec<Effective> {
    let mut found = Vec::new();
    let mut lists_done = BTreeSet::new();
    for key in KEYS {
        if let Some((table, _)) = key.path.split_once(".*.") {
            let is_first = lists_done.insert(table);
            found.extend(is_first.then(|| named(table, scope, changed)).into_iter().flatten());
            continue;
        }
        let Some((list, _)) = key.path.split_once("[].") else {
            found.extend(option(key, key.path.to_owned(), scope, changed).or_else(|| computed(key, scope, config)));
            continue;
        };
        if !lists_done.insert(list) {
            continue;
        }
        for (number, item) in scope.lists.get(list).into_iter().flatten().enumerate() {
            let name = item.optional_text(&format!("{list}[].colony_id")).unwrap_or_else(|| (number + 1).to_string());
            let prefix = format!("{list}[].");
            for key in KEYS.iter().filter(|key| key.path.starts_with(&prefix)) {
                let shown = key.path.replacen("[]", &format!("[{name}]"), 1);
                found.extend(option(key, shown, item, changed));
            }
        }
    }
    found
}

/// What the file states about things that it names, such as metrics.
fn named(table: &str, scope: &Scope, changed: &BTreeSet<Place>) -> Vec<Effective> {
    let prefix = format!("{table}.*.");
    let mut found = Vec::new();
    for (name, _, item) in scope.named.get(table).into_iter().flatten() {
        for key in KEYS.iter().filter(|key| key.path.starts_with(&prefix)) {
            found.extend(option(key, key.path.replacen('*', name, 1), item, changed));
        }
    }
    found
}

/// An option that is written or has a default; `None` for one of another choice or of a section that is not written.
fn option(key: &Key, shown: String, scope: &Scope, changed: &BTreeSet<Place>) -> Option<Effective> {
    let chosen = key.only.is_none_or(|(selector, choice)| scope.text(selector) == choice);
    let alias = alias_of(key.path).filter(|alias| scope.place_of(alias).is_some());
    let path = alias.unwrap_or(key.path);
    let place = scope.place_of(path);
    if !chosen || is_alias(key.path) || (place.is_none() && is_of_absent_item_section(key.path, scope)) {
        return None;
    }
    let value = match scope.setting(path) {
        Setting::Absent => return None,
        _ if key.kind == Kind::Secret => masked(),
        Setting::Map(names) if key.kind == Kind::Properties => {
            Setting::Map(names.into_keys().map(|name| (name, Secret::new("").to_string())).collect::<BTreeMap<_, _>>())
        }
        value => value,
    };
    let was_expanded = scope.value_place_of(path).is_some_and(|place| changed.contains(&place));
    let origin = match place {
        Some(Place { line, .. }) if was_expanded => Origin::Variable { line },
        Some(Place { line, .. }) => Origin::File { line },
        None => Origin::Default,
    };
    Some(Effective { key: shown, value, origin })
}

fn masked() -> Setting {
    Setting::Text(Secret::new("").to_string())
}

/// Another spelling of a key.
fn alias_of(path: &str) -> Option<&'static str> {
    match path {
        "correlation.enabled" => Some("ai.correlation_enabled"),
        "correlation.interval" => Some("ai.correlation_interval"),
        _ => None,
    }
}

fn is_alias(path: &str) -> bool {
    ["ai.correlation_enabled", "ai.correlation_interval"].contains(&path)
}

/// Keys of `colonies[].mesh` mean nothing for a colony without a mesh.
fn is_of_absent_item_section(path: &str, scope: &Scope) -> bool {
    match path.rsplit_once('.') {
        Some((section, _)) if section.contains("[].") => !scope.sections.contains_key(section),
        _ => false,
    }
}

/// An option whose default is worked out.
fn computed(key: &Key, scope: &Scope, config: &ReefConfig) -> Option<Effective> {
    let Default::Computed(from) = key.default else { return None };
    if key.only.is_some_and(|(selector, choice)| scope.text(selector) != choice) {
        return None;
    }
    let text = |text: String| Some(Setting::Text(text));
    let value = match (key.path, &config.storage.kind) {
        ("name", _) => text(config.name.clone()),
        ("storage.path", StorageKind::DuckDb { path }) => text(path.display().to_string()),
        ("storage.connection.port", StorageKind::ClickHouse { port, .. }) => Some(Setting::Integer((*port).into())),
        ("storage.connection.protocol", StorageKind::ClickHouse { protocol, .. }) => {
            text(format!("{protocol:?}").to_lowercase())
        }
        ("ai.journal_file", _) => text(config.ai.journal_file.display().to_string()),
        ("api.tokens_file", _) => text(config.api.tokens_file.display().to_string()),
        ("engine.workers", _) => i64::try_from(config.engine.workers).ok().map(Setting::Integer),
        // a test finds what is missing here
        _ => None,
    }?;
    Some(Effective { key: key.path.to_owned(), value, origin: Origin::Computed { from } })
}

impl Setting {
    /// For people, on one line.
    pub fn shown(&self) -> String {
        match self {
            Setting::Absent => String::new(),
            Setting::Text(text) => text.clone(),
            Setting::Texts(texts) => texts.join(", "),
            Setting::Bool(value) => value.to_string(),
            Setting::Integer(number) => number.to_string(),
            Setting::Number(number) => number.to_string(),
            Setting::DurationMs(ms) => format_duration_ms(*ms),
            Setting::Bytes(bytes) => format!("{bytes} bytes"),
            Setting::Ip(ip) => ip.to_string(),
            Setting::Time(time) => time.to_string(),
            Setting::Offsets(offsets) => offsets.to_string(),
            Setting::Map(names) => {
                names.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const REEF: &str = "reef_id = \"r\"\nname = \"${TEAM}-reef\"\n[correlation]\nmax_lag = \"90m\"\n[ai]\n\
        correlation_interval = \"60s\"\n[[colonies]]\ncolony_id = \"a\"\n\
        mesh = { mesh_ip = \"10.42.0.1\", colony_secret = \"hunter2hunter2\" }\n[[colonies]]\ncolony_id = \"b\"\n\
        endpoint = \"http://b:1\"\n[[sources]]\nkind = \"kafka\"\nbrokers = \"k:9092\"\ntopics = { events = \"e\" }\n\
        options = { \"sasl.password\" = \"hunter3\" }\n[metrics]\n\"*latency*\" = { unit = \"ms\" }\n";

    fn of(text: &str) -> Vec<Effective> {
        let lookup = |name: &str| (name == "TEAM").then(|| "shop".to_owned());
        of_text(text, Format::Toml, Path::new("conf/reef.toml"), &lookup).unwrap().1
    }

    #[test]
    fn each_value_says_where_it_comes_from_and_secrets_are_masked() {
        let all = of(REEF);
        let of_key = |key: &str| {
            let found = all.iter().find(|it| it.key == key).unwrap_or_else(|| panic!("{key}: {all:#?}"));
            (found.value.shown(), found.origin)
        };
        let texts = |text: &str, origin| (text.to_owned(), origin);
        assert_eq!(of_key("name"), texts("shop-reef", Origin::Variable { line: 2 }));
        assert_eq!(of_key("correlation.max_lag"), texts("1h30m", Origin::File { line: 4 }));
        assert_eq!(of_key("correlation.interval"), texts("1m", Origin::File { line: 6 }));
        assert_eq!(of_key("correlation.min_occurrences"), texts("3", Origin::Default));
        let computed = Origin::Computed { from: ".coral/<reef_id>.duckdb" };
        assert_eq!(of_key("storage.path"), texts("conf/.coral/r.duckdb", computed));
        assert_eq!(of_key("colonies[a].mesh.colony_secret").0, "<redacted>");
        assert_eq!(of_key("colonies[a].mesh.connect_port"), texts("9000", Origin::Default));
        assert_eq!(of_key("colonies[b].endpoint"), texts("http://b:1", Origin::File { line: 12 }));
        assert_eq!(of_key("sources[1].options").0, "sasl.password=<redacted>");
        assert_eq!(of_key("metrics.*latency*.unit"), texts("ms", Origin::File { line: 19 }));
        let has = |key: &str| all.iter().any(|it| it.key == key);
        assert!(!has("colonies[b].mesh.connect_port") && !has("storage.connection.user") && !has("sources[1].version"));
        assert!(!has("ai.correlation_interval") && !format!("{all:?}").contains("hunter"));
    }

    #[test]
    fn every_option_with_a_default_is_in_force() {
        let duckdb = of(REEF);
        let clickhouse = of(&(REEF.to_owned()
            + "[storage]\ntype = \"clickhouse\"\nconnection = { host = \"h\", port = 8123, database = \"d\" }\n"));
        let is_one =
            |key: &&Key| !key.path.contains("[]") && !key.path.contains(".*.") && !key.path.starts_with("ai.llm");
        for key in KEYS.iter().filter(is_one) {
            if matches!(key.default, Default::Value(_) | Default::Computed(_)) {
                let is_shown = duckdb.iter().chain(&clickhouse).any(|it| it.key == key.path);
                assert!(is_shown, "{} has a default and is not shown", key.path);
            }
        }
    }

    #[test]
    fn a_wrong_file_and_an_unset_variable_are_errors() {
        let lookup = |_: &str| None;
        let error = of_text(REEF, Format::Toml, Path::new("reef.toml"), &lookup).unwrap_err();
        assert!(
            error.to_string().contains("reef.toml:2:8: name: \"${TEAM}-reef\" needs the environment variable TEAM")
        );
    }
}
