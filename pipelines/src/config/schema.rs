//! The configuration as a JSON Schema (2020-12), from the table that decoding uses: editors then know what the program does.
//!
//! It accepts every file that the program accepts. Checks between options, such as that one of two is given, are left to the
//! program.

use super::keys::{Default, Expands, KEYS, Key};
use super::kinds::Kind;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A duration as `parse_duration_ms` reads it.
const DURATION: &str = r"^\s*([0-9]+(ms|s|m|h|d|y))+\s*$";
/// Text that is not blank.
const SOME: &str = r"\S";

/// A table of the configuration.
#[derive(Default)]
struct Section {
    keys: BTreeMap<&'static str, &'static Key>,
    tables: BTreeMap<&'static str, Section>,
    lists: BTreeMap<&'static str, Section>,
    /// Tables whose names the file chooses.
    named: Option<Box<Section>>,
}

/// The schema.
///
/// ```
/// let schema = coral_pipelines::config::schema::schema();
/// assert_eq!(schema["properties"]["correlation"]["properties"]["max_lag"]["default"], "4h");
/// ```
pub fn schema() -> Value {
    let mut root = Section::default();
    for key in KEYS {
        root.add(key.path, key);
    }
    let mut schema = root.schema("");
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("Configuration of a reef"));
    schema.insert("type".to_owned(), json!("object"));
    Value::Object(schema)
}

impl Section {
    fn add(&mut self, path: &'static str, key: &'static Key) {
        let Some((first, rest)) = path.split_once('.') else {
            self.keys.insert(path, key);
            return;
        };
        let section = match first.strip_suffix("[]") {
            Some(list) => self.lists.entry(list).or_default(),
            None if first == "*" => &mut **self.named.get_or_insert_default(),
            None => self.tables.entry(first).or_default(),
        };
        section.add(rest, key);
    }

    /// Its schema; `path` is what its keys start with.
    fn schema(&self, path: &str) -> Map<String, Value> {
        let mut properties = Map::new();
        for (name, key) in &self.keys {
            properties.insert((*name).to_owned(), of_key(key));
        }
        for (name, table) in &self.tables {
            properties.insert((*name).to_owned(), Value::Object(table.schema(&format!("{path}{name}."))));
        }
        for (name, list) in &self.lists {
            let mut item = list.schema(&format!("{path}{name}[]."));
            item.insert("type".to_owned(), json!("object"));
            properties.insert((*name).to_owned(), json!({ "type": ["array", "null"], "items": item }));
        }
        let others = match &self.named {
            Some(named) => Value::Object(named.schema(&format!("{path}*."))),
            None => Value::Bool(false),
        };
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!(["object", "null"]));
        schema.insert("properties".to_owned(), Value::Object(properties));
        schema.insert("additionalProperties".to_owned(), others);
        let is_always = |key: &&&Key| key.default == Default::Required && key.only.is_none();
        let required: Vec<&str> = self.keys.iter().filter(|(_, key)| is_always(key)).map(|(name, _)| *name).collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        let choices: Vec<Value> = self.keys.values().filter_map(|key| of_choices(key, path)).flatten().collect();
        if !choices.is_empty() {
            schema.insert("allOf".to_owned(), Value::Array(choices));
        }
        schema
    }
}

/// What each choice of a key asks for and rules out among the keys of its section.
fn of_choices(selector: &Key, path: &str) -> Option<Vec<Value>> {
    let Kind::Choice(words) = selector.kind else { return None };
    let dependent: Vec<(&'static Key, &str)> = KEYS
        .iter()
        .filter_map(|key| key.only.filter(|(of, _)| *of == selector.path).map(|(_, choice)| (key, choice)))
        .collect();
    if dependent.is_empty() {
        return None;
    }
    let name = selector.path.strip_prefix(path)?;
    let of_word = |word: &&'static str| {
        let chosen = match selector.default {
            // also where it is not written
            Default::Value(default) if default == *word => json!({ "properties": { name: { "enum": [word, null] } } }),
            _ => json!({ "properties": { name: { "const": word } }, "required": [name] }),
        };
        let mut then = json!({});
        for (key, choice) in &dependent {
            let Some(relative) = key.path.strip_prefix(path) else { continue };
            if choice != word {
                rule_out(&mut then, relative);
            } else if key.default == Default::Required {
                ask_for(&mut then, relative);
            }
        }
        json!({ "if": chosen, "then": then })
    };
    Some(words.iter().map(of_word).collect())
}

/// The rules for the table of a key, and the key's own name.
fn table_of<'a, 'b>(rules: &'a mut Value, path: &'b str) -> (&'a mut Value, &'b str) {
    match path.split_once('.') {
        Some((table, rest)) => table_of(&mut rules["properties"][table], rest),
        None => (rules, path),
    }
}

fn rule_out(rules: &mut Value, path: &str) {
    let (table, name) = table_of(rules, path);
    table["properties"][name] = json!(false);
}

fn ask_for(rules: &mut Value, path: &str) {
    let (table, name) = table_of(rules, path);
    match &mut table["required"] {
        Value::Array(names) => names.push(json!(name)),
        none => *none = json!([name]),
    }
}

fn of_key(key: &Key) -> Value {
    let own = of_kind(key.kind);
    // what a variable or the home folder gives is known only to the program
    let own = match key.expands {
        Expands::Never => own,
        Expands::Variables => json!({ "anyOf": [own, { "type": "string", "pattern": r"\$" }] }),
        Expands::Path => json!({ "anyOf": [own, { "type": "string", "pattern": r"\$|^~" }] }),
    };
    let mut schema = match key.default {
        Default::Required => json!({ "allOf": [own] }),
        _ => json!({ "anyOf": [own, { "type": "null" }] }),
    };
    let default = match key.default {
        Default::Required | Default::None => String::new(),
        Default::Computed(how) => format!("; default: {how}"),
        Default::Value(text) => {
            schema["default"] = typed(key.kind, text);
            format!("; default: {}", if text.is_empty() { "empty" } else { text })
        }
    };
    schema["description"] = json!(format!("{}: {}{default}", key.meaning, key.kind.describe()));
    schema
}

/// A default as the file would hold it.
fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Bool | Kind::Integer { .. } | Kind::Fraction => serde_json::from_str(text).unwrap_or(json!(text)),
        _ => json!(text),
    }
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Text { may_be_empty: true } => json!({ "type": "string" }),
        Kind::Id => json!({ "type": "string", "pattern": r"^[^\s/\\]{1,128}$" }),
        Kind::EnvName => json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }),
        Kind::Secret => json!({ "type": "string", "minLength": 1 }),
        Kind::Texts => {
            let text = json!({ "type": "string", "pattern": SOME });
            json!({ "anyOf": [text, { "type": "array", "items": text }] })
        }
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer { min, max: i64::MAX } => json!({ "type": "integer", "minimum": min }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Fraction => json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": DURATION }),
        Kind::Bytes => json!({ "type": "string", "pattern": "[0-9]" }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Choices(words) => {
            json!({ "anyOf": [{ "enum": words }, { "type": "array", "items": { "enum": words } }] })
        }
        Kind::Properties => {
            let value = json!({ "type": ["string", "number", "boolean", "object", "null"] });
            json!({ "type": "object", "additionalProperties": value })
        }
        Kind::EnvNames => json!({ "type": "object" }),
        Kind::Text { may_be_empty: false }
        | Kind::Moment(_)
        | Kind::Offsets(_)
        | Kind::Ip
        | Kind::Url
        | Kind::Address
        | Kind::WebAddress
        | Kind::PublicKey
        | Kind::Addresses
        | Kind::Listen
        | Kind::Model => json!({ "type": "string", "pattern": SOME }),
    }
}
