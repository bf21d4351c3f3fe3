//! The rows of a statement as a message.

use super::shared::{completeness, large, small};
use crate::rpc::wire;
use crate::sql::{Note, Read, SqlAnswer, SqlError};
use buffa_types::google::protobuf::{ListValue, Value};
use serde_json::Value as Json;

/// How rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rpc) enum Form {
    /// As lists of values.
    Json,
    /// As a stream of Arrow's interprocess format.
    Arrow,
}

pub(in crate::rpc) fn rows(answer: SqlAnswer, form: Form) -> Result<wire::QueryResponse, SqlError> {
    let column = |(name, r#type)| wire::QueryColumn { name, r#type, ..Default::default() };
    let (rows, arrow) = match form {
        Form::Json => (answer.table.json_rows().into_iter().map(list).collect(), Vec::new()),
        Form::Arrow => (Vec::new(), answer.table.to_arrow()?),
    };
    Ok(wire::QueryResponse {
        columns: answer.table.columns().into_iter().map(column).collect(),
        rows,
        arrow,
        row_count: small(answer.table.len()),
        truncated: answer.truncated,
        notes: answer.notes.into_iter().map(note).collect(),
        reads: answer.reads.into_iter().map(read).collect(),
        completeness: completeness(answer.completeness),
        ..Default::default()
    })
}

fn list(row: Vec<Json>) -> ListValue {
    row.into_iter().map(value).collect()
}

fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::null(),
        Json::Bool(truth) => Value::from(truth),
        Json::Number(number) => number.as_f64().map_or_else(Value::null, Value::from),
        Json::String(text) => Value::from(text),
        Json::Array(items) => Value::from(list(items)),
        // no column is one
        Json::Object(_) => Value::from(json.to_string()),
    }
}

fn note(note: Note) -> wire::QueryNote {
    wire::QueryNote { code: note.code, message: note.message, colony_id: note.colony_id, ..Default::default() }
}

fn read(read: Read) -> wire::QueryRead {
    wire::QueryRead { table: read.table, pushed: read.pushed, rows: large(read.rows), ..Default::default() }
}
