//! `reef_query_sql`: one SELECT. It is in the optional group `sql`: a model writes better questions for the other tools,
//! whose answers say what they mean.

use super::arguments::{Argument, Kind, REEF, argument};
use super::asking::{Asks, Unanswered};
use super::content::{Content, into_map};
use super::fit::{STRUCTURED_MAX, TEXT_MAX, cut, shrink, size, text_size};
use super::{clean, known, schema};
use crate::answers::Refusal;
use crate::answers::names::near_hint;
use crate::printable::shortened;
use crate::rpc;
use crate::sql::SqlQuestion;
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Its name.
pub(super) const NAME: &str = "reef_query_sql";
/// Its arguments.
const ARGUMENTS: [Argument; 3] = [
    argument("sql", Kind::Text, "one SELECT over federated_metrics, federated_events, ... or colony.\"ID\".metrics"),
    argument("limit", Kind::Limit, "most rows; default 50"),
    REEF,
];
/// Rows of a result.
const ROWS_USUAL: usize = 50;
/// Most rows of a result.
const ROWS_MAX: u64 = 200;
/// Characters of a note.
const NOTE_MAX: usize = 300;
/// Most notes of a text.
const NOTES_MAX: usize = 5;
/// Bytes of the notes and of what was read.
const REST_MAX: usize = 3_000;

/// The tool as it is listed.
pub(super) fn listed() -> Tool {
    let output = json!({
        "type": "object",
        "properties": {
            "columns": { "type": "array", "items": { "type": "object" } },
            "rows": { "type": "array", "items": { "type": "array" } },
            "row_count": { "type": "integer" },
            "truncated": { "type": "boolean" },
            "notes": { "type": "array", "items": { "type": "object" } },
            "complete_to": { "type": "object", "additionalProperties": { "type": "string" } },
            "missing_colonies": { "type": "array", "items": { "type": "object" } },
        },
        "required": ["columns", "rows", "row_count", "truncated", "notes", "complete_to", "missing_colonies"],
    });
    let annotations = ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(false);
    let about = "Rows of one SELECT, where no other tool has them. Tables and columns: information_schema.columns.";
    Tool::new(NAME, about, schema::of_arguments(&ARGUMENTS, &["sql"]))
        .with_title("Query in SQL")
        .with_raw_output_schema(Arc::new(into_map(output)))
        .with_annotations(annotations)
}

/// The content of a call.
pub(super) async fn called(given: Map<String, Value>, asks: &dyn Asks) -> Result<Content, Unanswered> {
    let question = question(&given)?;
    let told = asks.select(reef(&given)?, question).await?;
    let table = rpc::sql_table(&told.document)
        .map_err(|error| Unanswered::Failed { message: error.to_string(), hint: error.hint().to_owned() })?;
    let rows = table.json_rows().into_iter().map(Value::Array).collect();
    let structured = fitted(into_map(told.document), rows)?;
    let text = text(&clean::page(&table.page()), &structured);
    Ok(Content { structured: into_map(structured), text })
}

/// The answer with as many rows as fit; fails where its columns alone do not.
fn fitted(mut document: Map<String, Value>, rows: Vec<Value>) -> Result<Value, Refusal> {
    document.shift_remove("arrow");
    let known = known::fields(&mut document);
    let columns = clean::value(document.shift_remove("columns").unwrap_or_else(|| json!([])));
    document.insert("rows".to_owned(), json!([]));
    let mut rest = clean::value(Value::Object(document));
    let noted = |rest: &Value| rest["notes"].as_array().map_or(0, Vec::len);
    let all = noted(&rest);
    while size(&rest) > REST_MAX && shrink(&mut rest) {}
    let notes_left_out = all - noted(&rest);
    let mut structured = into_map(rest);
    structured.extend(known);
    structured.insert("columns".to_owned(), columns);
    let mut bytes = size(&json!(structured));
    if bytes > STRUCTURED_MAX {
        let message = "the columns alone are more than a result has room for";
        return Err(Refusal::invalid(message, "select fewer columns").at("sql"));
    }
    let rows: Vec<Value> = rows.into_iter().map(clean::value).collect();
    let fits = |row: &&Value| {
        bytes += size(row) + 1;
        bytes <= STRUCTURED_MAX
    };
    let count = rows.iter().take_while(fits).count();
    let mut messages = Vec::new();
    if count < rows.len() {
        let all = rows.len();
        messages
            .push(format!("cut to {count} of {all} rows to stay below 25 kB: select fewer columns, or shorter texts"));
        structured.insert("truncated".to_owned(), json!(true));
        structured.insert("row_count".to_owned(), json!(count));
    }
    if notes_left_out > 0 {
        messages.push(format!("{notes_left_out} more notes are left out to stay below 25 kB"));
    }
    if let Some(notes) = structured.get_mut("notes").and_then(Value::as_array_mut) {
        let own = |message| json!({ "code": "size_limit", "message": message, "colony_id": "" });
        notes.splice(..0, messages.into_iter().map(own));
    }
    structured.insert("rows".to_owned(), rows.into_iter().take(count).collect());
    Ok(Value::Object(structured))
}

/// The page of the rows, and what is to be known about them.
fn text(page: &str, document: &Value) -> String {
    let noted = |note: &Value| {
        let message = note["message"].as_str().unwrap_or_default();
        format!("\nNote: {}", shortened(message, NOTE_MAX))
    };
    let all = document["notes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut notes: String = all.iter().take(NOTES_MAX).map(noted).collect();
    if all.len() > NOTES_MAX {
        notes.push_str(&format!("\n({} more notes are in the structured content)", all.len() - NOTES_MAX));
    }
    if document["truncated"] == true {
        notes.push_str("\n(more rows exist: narrow the statement)");
    }
    let is_cut = "\n(this text is cut: select fewer columns or rows)";
    let room = TEXT_MAX.saturating_sub(text_size(&notes) + text_size(is_cut));
    match cut(page, room) {
        None => format!("{}{notes}", page.trim_end()),
        Some(begin) => format!("{}{notes}{is_cut}", begin.trim_end()),
    }
}

/// The reef that is asked; `None` for the usual one.
fn reef(given: &Map<String, Value>) -> Result<Option<&str>, Refusal> {
    match given.get("reef") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(reef)) => Ok(Some(reef.as_str())),
        Some(other) => Err(Refusal::invalid(format!("reef is {other}"), "give its id as a string").at("reef")),
    }
}

fn question(given: &Map<String, Value>) -> Result<SqlQuestion, Refusal> {
    if let Some(name) = given.keys().find(|name| !ARGUMENTS.iter().any(|known| known.name == **name)) {
        let known: BTreeSet<String> = ARGUMENTS.iter().map(|known| known.name.to_owned()).collect();
        let hint = near_hint("argument", &name.to_lowercase(), &known);
        return Err(Refusal::invalid(format!("{NAME} has no argument {name:?}"), hint));
    }
    let sql = match given.get("sql") {
        Some(Value::String(sql)) => sql.clone(),
        _ => return Err(Refusal::invalid("there is no statement", "give one SELECT as a string").at("sql")),
    };
    let limit = match given.get("limit") {
        None | Some(Value::Null) => ROWS_USUAL,
        Some(limit) => {
            let rows = limit.as_u64().filter(|rows| (1..=ROWS_MAX).contains(rows));
            let wrong = || Refusal::invalid(format!("limit is {limit}"), format!("give 1 to {ROWS_MAX}")).at("limit");
            rows.and_then(|rows| usize::try_from(rows).ok()).ok_or_else(wrong)?
        }
    };
    Ok(SqlQuestion { sql, limit: Some(limit), timeout_ms: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn arguments_are_a_statement_and_a_limit() {
        let read = |given: Value| question(given.as_object().unwrap());
        let asked = read(json!({ "sql": "SELECT 1", "limit": 7 })).unwrap();
        assert_eq!((asked.sql.as_str(), asked.limit), ("SELECT 1", Some(7)));
        assert_eq!(read(json!({ "sql": "SELECT 1" })).unwrap().limit, Some(ROWS_USUAL));
        for (given, field) in [
            (json!({}), Some("sql")),
            (json!({ "sql": 1 }), Some("sql")),
            (json!({ "sql": "SELECT 1", "limit": 0 }), Some("limit")),
            (json!({ "sql": "SELECT 1", "limit": 201 }), Some("limit")),
            (json!({ "sql": "SELECT 1", "limt": 1 }), None),
        ] {
            assert_eq!(read(given.clone()).unwrap_err().field.as_deref(), field, "{given}");
        }
        let named = |given: Value| reef(given.as_object().unwrap()).map(|name| name.map(str::to_owned));
        assert_eq!(named(json!({ "reef": null })).unwrap(), None);
        assert_eq!(named(json!({ "reef": "one" })).unwrap().as_deref(), Some("one"));
        assert_eq!(named(json!({ "reef": 5 })).unwrap_err().field.as_deref(), Some("reef"));
    }

    #[test]
    fn a_text_has_the_notes_and_says_that_it_is_cut() {
        let document = json!({ "truncated": false, "notes": [{ "message": "a colony is missing" }] });
        assert_eq!(text("n\n-\n1", &document), "n\n-\n1\nNote: a colony is missing");
        let cut = text(&"x".repeat(TEXT_MAX), &document);
        assert!(
            cut.contains("x\nNote: a colony is missing\n(this text is cut") && text_size(&cut) <= TEXT_MAX,
            "{cut}"
        );
    }

    #[test]
    fn rows_and_text_share_one_limit_and_are_clean() {
        let document = json!({
            "columns": [{ "name": "a\u{202e}", "type": "Utf8" }], "arrow": "QQ==", "row_count": 200, "truncated": false,
            "notes": [], "reads": [], "completeness": { "colonies": [] },
        });
        let row = |place: usize| json!([format!("{place} \"quoted\"\u{1b}[2J {}", "x".repeat(600))]);
        let rows: Vec<Value> = (0..200).map(row).collect();
        let page: String = rows.iter().map(|row| format!("{}\n", row[0].as_str().unwrap())).collect();
        let structured = fitted(document.as_object().unwrap().clone(), rows).unwrap();
        let text = text(&clean::page(&page), &structured);
        let bytes = size(&structured) + size(&json!(text));
        assert!((20_000..24_900).contains(&bytes), "{bytes} bytes");
        let whole = structured.to_string() + &text;
        assert!(!whole.contains(['\u{202e}', '\u{1b}']) && !whole.contains("\\u001b"), "{whole}");
        let count = structured["rows"].as_array().unwrap().len();
        assert_eq!((&structured["row_count"], &structured["truncated"]), (&json!(count), &json!(true)));
        let note = format!("cut to {count} of 200 rows");
        assert!(
            structured["notes"][0]["message"].as_str().unwrap().starts_with(&note) && text.contains(&note),
            "{text}"
        );
        let columns: Vec<Value> =
            (0..1_000).map(|place| json!({ "name": format!("column_{place}"), "type": "" })).collect();
        let document = json!({ "columns": columns, "notes": [] });
        let refused = fitted(document.as_object().unwrap().clone(), Vec::new()).unwrap_err();
        assert_eq!((refused.field.as_deref(), refused.hint.as_str()), (Some("sql"), "select fewer columns"));
    }
}
