//! Settings: what must agree between the processes of a cluster, and how two sets of them differ.

use crate::config::ReefConfig;
use operators::shard::fixed_hash;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Key to value as text. Sources are included as a hash, because their addresses are not for others.
pub(super) type Settings = BTreeMap<String, String>;

/// The settings of this process that change what a run computes or who reads what.
pub(super) fn of(config: &ReefConfig) -> Settings {
    let mut settings = Settings::new();
    flatten("reef_id", &json!(config.reef_id), &mut settings);
    flatten("correlation", &json!(config.correlation), &mut settings);
    flatten("engine.workers", &json!(config.engine.workers), &mut settings);
    flatten("engine.hosts", &json!(config.engine.hosts.join(" ")), &mut settings);
    let sources = json!(config.sources).to_string();
    settings.insert("sources".to_owned(), format!("{:016x}", fixed_hash(&[&sources])));
    settings.insert("version of coral-pipeline".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    settings
}

fn flatten(path: &str, value: &Value, settings: &mut Settings) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                flatten(&format!("{path}.{name}"), field, settings);
            }
        }
        Value::String(text) => drop(settings.insert(path.to_owned(), text.clone())),
        other => drop(settings.insert(path.to_owned(), other.to_string())),
    }
}

/// `engine.workers (2 here, 4 there), …`; `None` when nothing differs.
pub(super) fn differences(here: &Settings, there: &Settings) -> Option<String> {
    let keys: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let side = |settings: &Settings, key: &String| settings.get(key).map_or("absent".to_owned(), Clone::clone);
    let differences: Vec<String> = keys
        .into_iter()
        .filter(|key| here.get(*key) != there.get(*key))
        .map(|key| match key.as_str() {
            "sources" => "sources".to_owned(),
            _ => format!("{key} ({} here, {} there)", side(here, key), side(there, key)),
        })
        .collect();
    (!differences.is_empty()).then(|| differences.join(", "))
}
