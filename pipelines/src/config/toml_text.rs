//! TOML text as a tree.

use super::errors::ConfigError;
use super::node::{Entry, Node, Place, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parses the text; all syntax errors at once.
pub fn parse(text: &str) -> Result<Node, Vec<ConfigError>> {
    let lines = Lines::new(text);
    let (table, faults) = DeTable::parse_recoverable(text);
    if !faults.is_empty() {
        let error = |fault: &toml::de::Error| {
            ConfigError::at(lines.place(fault.span().map_or(0, |span| span.start)), one_line(fault.message()))
        };
        return Err(faults.iter().map(error).collect());
    }
    let mut errors = Vec::new();
    let node = table_node(lines.place(0), table.get_ref(), &lines, &mut errors);
    if errors.is_empty() { Ok(node) } else { Err(errors) }
}

fn table_node(place: Place, table: &DeTable<'_>, lines: &Lines<'_>, errors: &mut Vec<ConfigError>) -> Node {
    let mut entries: Vec<Entry> = Vec::with_capacity(table.len());
    for (key, value) in table {
        let key_place = lines.place(key.span().start);
        entries.push(Entry { key: key.get_ref().to_string(), key_place, node: node(value, lines, errors) });
    }
    entries.sort_by_key(|entry| entry.key_place);
    Node { place, value: Value::Table(entries) }
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>, errors: &mut Vec<ConfigError>) -> Node {
    let place = lines.place(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                errors.push(ConfigError::at(place, format!("{} is too large for a number", number.as_str())));
                Value::Null
            }
        },
        DeValue::Float(number) => match number.as_str().replace('_', "").parse() {
            Ok(number) => Value::Number(number),
            Err(_) => {
                errors.push(ConfigError::at(place, format!("{} is not a number", number.as_str())));
                Value::Null
            }
        },
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, lines, errors)).collect()),
        DeValue::Table(table) => return table_node(place, table, lines, errors),
    };
    Node { place, value }
}

fn one_line(message: &str) -> String {
    message.replace('\n', ", ")
}

/// From byte offsets to places.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Lines<'a> {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        Lines { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        Place { line, column: before.chars().count() + 1 }
    }
}
