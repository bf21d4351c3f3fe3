//! Metadata of an event in any form. It never causes a reject: anything but an object is stored unchanged, and noted.

use super::Notes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The key for metadata that is not an object.
const WHOLE: &str = "metadata";
/// What lists of pairs call the two.
const PAIR_NAMES: [(&str, &str); 3] = [("key", "value"), ("name", "value"), ("k", "v")];

/// Metadata from a JSON value: an object, text with an object, a list of pairs.
pub(crate) fn metadata_of_value(value: &Value, notes: &mut Notes) -> BTreeMap<String, String> {
    match value {
        Value::Null => BTreeMap::new(),
        Value::Object(object) => of_object(object),
        Value::String(text) => metadata_of_text(text, notes),
        Value::Array(items) => match of_pairs(items) {
            Some(metadata) => metadata,
            None => whole("a list", value.to_string(), notes),
        },
        Value::Bool(_) | Value::Number(_) => whole("a single value", value.to_string(), notes),
    }
}

/// Metadata from text, as in CSV and parquet columns: JSON, or stored unchanged.
pub(crate) fn metadata_of_text(text: &str, notes: &mut Notes) -> BTreeMap<String, String> {
    let trimmed = text.trim();
    if matches!(trimmed, "" | "\\N" | "NULL") {
        return BTreeMap::new();
    }
    match serde_json::from_str(trimmed) {
        Err(_) => whole("text", trimmed.to_owned(), notes),
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(Value::Object(object)) => of_object(&object),
            _ if inner.trim().is_empty() => BTreeMap::new(),
            _ => whole("text", inner, notes),
        },
        Ok(value) => metadata_of_value(&value, notes),
    }
}

fn whole(what: &str, text: String, notes: &mut Notes) -> BTreeMap<String, String> {
    notes.push(format!("metadata is {what}, not an object: stored unchanged under the key \"{WHOLE}\""));
    [(WHOLE.to_owned(), text)].into()
}

/// Strings unchanged, other values as compact JSON, nulls omitted.
fn of_object(object: &Map<String, Value>) -> BTreeMap<String, String> {
    object.iter().filter_map(|(key, value)| Some((key.clone(), shown(value)?))).collect()
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// `[{"key": "a", "value": "b"}]`, as maps leave some writers; an empty list is no metadata.
fn of_pairs(items: &[Value]) -> Option<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::new();
    for item in items {
        let object = item.as_object().filter(|object| object.len() == 2)?;
        let (name, value) =
            PAIR_NAMES.iter().find_map(|(name, value)| Some((object.get(*name)?, object.get(*value)?)))?;
        if let Some(value) = shown(value) {
            metadata.insert(name.as_str()?.to_owned(), value);
        }
    }
    Some(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, usize) {
        let mut notes = Notes::new();
        let metadata = match serde_json::from_str(text) {
            Ok(value) => metadata_of_value(&value, &mut notes),
            Err(_) => metadata_of_text(text, &mut notes),
        };
        let pairs: Vec<String> = metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        (pairs.join(" "), notes.len())
    }

    #[test]
    fn every_shape_of_metadata_is_kept() {
        for (text, expected, notes) in [
            ("null", "", 0),
            ("{}", "", 0),
            ("[]", "", 0),
            ("\"\"", "", 0),
            (r#"{"a":"b","n":1.5,"o":{"k":[1]},"z":null}"#, r#"a=b n=1.5 o={"k":[1]}"#, 0),
            (r#""{\"branch\":\"main\",\"pr\":226}""#, "branch=main pr=226", 0),
            (r#""\"{\\\"a\\\":1}\"""#, "a=1", 0),
            (r#"[{"key":"a","value":"b"},{"key":"c","value":null}]"#, "a=b", 0),
            (r#"[{"name":"a","value":1}]"#, "a=1", 0),
            (r#"["x","y"]"#, r#"metadata=["x","y"]"#, 1),
            ("\"hotfix\"", "metadata=hotfix", 1),
            ("hotfix 7", "metadata=hotfix 7", 1),
            ("7", "metadata=7", 1),
            ("true", "metadata=true", 1),
        ] {
            assert_eq!(read(text), (expected.to_owned(), notes), "{text}");
        }
    }
}
