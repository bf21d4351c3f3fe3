//! Schemas of arguments and results. Short: all tools together fill a model's context before the first question.

use super::arguments::{Argument, Kind, NAMES_MAX};
use super::tools::Tool;
use crate::answers::part::LIMIT_MAX;
use serde_json::{Map, Value, json};

/// Of the arguments.
pub(super) fn input(tool: &Tool) -> Map<String, Value> {
    of_arguments(tool.arguments, tool.required)
}

/// Of these arguments.
pub(super) fn of_arguments(arguments: &[Argument], required: &[&str]) -> Map<String, Value> {
    let properties: Map<String, Value> =
        arguments.iter().map(|argument| (argument.name.to_owned(), of_argument(argument))).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

fn of_argument(argument: &Argument) -> Value {
    let mut schema = match argument.kind {
        Kind::Text | Kind::Moment | Kind::Cursor => json!({ "type": "string" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" }, "maxItems": NAMES_MAX }),
        Kind::Two => json!({ "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2 }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Limit => json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX }),
    };
    schema["description"] = json!(argument.about);
    schema
}

/// Of the structured content. It has more fields than these: those of the RPC.
pub(super) fn output(tool: &Tool) -> Map<String, Value> {
    let names: Vec<&str> = tool.item.iter().map(|(name, _)| *name).collect();
    let fields: Map<String, Value> =
        tool.item.iter().map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind }))).collect();
    let properties = json!({
        "items": { "type": "array", "items": { "type": "object", "properties": fields, "required": names } },
        "total": { "type": "integer" },
        "truncated": { "type": "boolean" },
        "next_cursor": { "type": "string" },
        "complete_to": { "type": "object", "additionalProperties": { "type": "string" } },
        "missing_colonies": { "type": "array", "items": { "type": "object" } },
        "notes": { "type": "array", "items": { "type": "string" } },
    });
    let required = ["items", "total", "truncated", "next_cursor", "complete_to", "missing_colonies", "notes"];
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), json!(required));
    schema
}
