//! YAML text as a tree.

use super::errors::ConfigError;
use super::node::{Entry, Node, Place, Value};
use saphyr::{LoadableYamlNode, MarkedYaml, Marker, Scalar, YamlData};

/// Parses the text, one document. The reader stops at the first syntax error.
pub fn parse(text: &str) -> Result<Node, Vec<ConfigError>> {
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|fault| vec![ConfigError::at(place(fault.marker()), fault.info().to_owned())])?;
    if let Some(second) = documents.get(1) {
        let message = "a second document starts here; a configuration is one document";
        return Err(vec![ConfigError::at(place(&second.span.start), message)]);
    }
    let empty = Node { place: Place { line: 1, column: 1 }, value: Value::Table(Vec::new()) };
    let Some(root) = documents.first() else { return Ok(empty) };
    let mut errors = Vec::new();
    let root = node(root, &mut errors);
    match root.value {
        _ if !errors.is_empty() => Err(errors),
        Value::Table(_) => Ok(root),
        Value::Null => Ok(empty),
        other => {
            let message = format!("a configuration is a list of `key: value` lines, not {}", other.describe());
            Err(vec![ConfigError::at(root.place, message)])
        }
    }
}

fn node(yaml: &MarkedYaml<'_>, errors: &mut Vec<ConfigError>) -> Node {
    let at = place(&yaml.span.start);
    let value = match &yaml.data {
        YamlData::Value(scalar) => scalar_value(scalar),
        YamlData::Sequence(items) => Value::List(items.iter().map(|item| node(item, errors)).collect()),
        YamlData::Mapping(mapping) => {
            let mut entries = Vec::with_capacity(mapping.len());
            for (key, value) in mapping {
                let key_place = place(&key.span.start);
                match &key.data {
                    YamlData::Value(Scalar::String(name)) => {
                        entries.push(Entry { key: name.to_string(), key_place, node: node(value, errors) });
                    }
                    _ => errors.push(ConfigError::at(key_place, "a key must be a plain word")),
                }
            }
            Value::Table(entries)
        }
        YamlData::Representation(text, ..) => Value::Text(text.to_string()),
        YamlData::Tagged(..) | YamlData::Alias(_) | YamlData::BadValue => {
            errors.push(ConfigError::at(at, "tags (!name) have no meaning here; write the value alone"));
            Value::Null
        }
    };
    Node { place: at, value }
}

fn scalar_value(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(*value),
        Scalar::Integer(value) => Value::Integer(*value),
        Scalar::FloatingPoint(value) => Value::Number(value.into_inner()),
        Scalar::String(text) => Value::Text(text.to_string()),
    }
}

/// Columns of the reader count from 0.
fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}
