//! `reef_query_sql`: one SELECT. It is called by its name only, and is in no list: a model writes better questions for
//! the other tools, whose answers say what they mean.

use super::asking::{Asks, Unanswered};
use crate::answers::Refusal;
use crate::answers::names::near_hint;
use crate::printable::shortened;
use crate::rpc;
use crate::sql::SqlQuestion;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Its name.
pub(super) const NAME: &str = "reef_query_sql";
/// Its arguments.
const ARGUMENTS: [&str; 3] = ["sql", "limit", "reef"];
/// Rows of a result.
const ROWS_USUAL: usize = 50;
/// Most rows of a result.
const ROWS_MAX: u64 = 200;
/// Most bytes of a result; about as many are left for the text.
const BYTES_MAX: usize = 25_000;
/// Characters of a note.
const NOTE_MAX: usize = 300;

/// The result of a call.
pub(super) async fn called(given: Map<String, Value>, asks: &dyn Asks) -> Result<CallToolResult, Unanswered> {
    let question = question(&given)?;
    let told = asks.select(reef(&given)?, question).await?;
    let mut document = told.document;
    let table = rpc::sql_table(&document)
        .map_err(|error| Unanswered::Failed { message: error.to_string(), hint: error.hint().to_owned() })?;
    let mut rows = table.json_rows();
    document["arrow"] = json!("");
    document["rows"] = json!([]);
    let mut bytes = document.to_string().len();
    let mut fits = |row: &Vec<Value>| {
        bytes += serde_json::to_string(row).map_or(0, |text| text.len() + 1);
        bytes <= BYTES_MAX
    };
    let count = rows.iter().take_while(|row| fits(row)).count();
    if count < rows.len() {
        rows.truncate(count);
        document["truncated"] = json!(true);
        document["row_count"] = json!(count);
    }
    document["rows"] = json!(rows);
    let text = text(&table.page(), &document);
    let mut result = CallToolResult::success(vec![ContentBlock::text(super::clean::page(&text))]);
    result.structured_content = Some(document);
    Ok(result)
}

/// The page of the rows, and what is to be known about them.
fn text(page: &str, document: &Value) -> String {
    let noted = |note: &Value| {
        let message = note["message"].as_str().unwrap_or_default();
        format!("\nNote: {}", shortened(message, NOTE_MAX))
    };
    let notes: String = document["notes"].as_array().into_iter().flatten().map(noted).collect();
    let mut text: String = page.chars().take(BYTES_MAX.saturating_sub(notes.len())).collect();
    let is_cut = text.len() < page.len();
    text.push_str(&notes);
    if document["truncated"] == true {
        text.push_str("\n(more rows exist: narrow the statement)");
    }
    if is_cut {
        text.push_str("\n(this text is cut: select fewer columns or rows)");
    }
    text
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
    if let Some(name) = given.keys().find(|name| !ARGUMENTS.contains(&name.as_str())) {
        let known: BTreeSet<String> = ARGUMENTS.iter().map(|name| (*name).to_owned()).collect();
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
        let cut = text(&"x".repeat(BYTES_MAX), &document);
        assert!(cut.contains("x\nNote: a colony is missing\n(this text is cut"), "{}", &cut[BYTES_MAX - 50..]);
    }
}
