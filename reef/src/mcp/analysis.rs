//! `reef_analyze`: a question in words. It may spend tokens, so it is in the optional group `analyze`.

use super::arguments::{Argument, COLONIES, Kind, REEF, argument};
use super::asking::{Asks, Told, Unanswered};
use super::content::{Content, into_map, text_before};
use super::fit::{STRUCTURED_MAX, cut, shrink, size};
use super::{clean, known, schema};
use crate::access::{Asker, Caller, Role, Who};
use crate::analysis::AnalyzeQuestion;
use crate::answers::Refusal;
use crate::answers::names::near_hint;
use model::time::parse_duration_ms;
use rmcp::RoleServer;
use rmcp::model::{Tool, ToolAnnotations};
use rmcp::service::RequestContext;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Its name.
pub(super) const NAME: &str = "reef_analyze";
/// Its arguments.
const ARGUMENTS: [Argument; 4] = [
    argument("question", Kind::Text, "in words"),
    COLONIES,
    argument("time_window", Kind::Text, "how far back from the newest row, e.g. 24h"),
    REEF,
];
/// Bytes of the answer in the structured content, as JSON has it; the rest is for its evidence.
const ANSWER_MAX: usize = 6_000;
/// Most evidences that a note names.
const NAMED_MAX: usize = 30;
/// Bytes of what is beside the answer and its evidence.
const REST_MAX: usize = 3_000;

/// The tool as it is listed.
pub(super) fn listed() -> Tool {
    let output = json!({
        "type": "object",
        "properties": {
            "answer": { "type": "string" },
            "evidence": {
                "type": "array",
                "items": { "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] },
            },
            "complete_to": { "type": "object", "additionalProperties": { "type": "string" } },
            "missing_colonies": { "type": "array", "items": { "type": "object" } },
            "notes": { "type": "array", "items": { "type": "string" } },
        },
        "required": ["answer", "evidence", "complete_to", "missing_colonies", "notes"],
    });
    // a model of another machine may word the answer, and each call counts
    let annotations = ToolAnnotations::new().read_only(true).destructive(false).idempotent(false).open_world(true);
    let about =
        "A question in words about what happened and why. The answer cites evidence (E1, ...); it may spend tokens.";
    Tool::new(NAME, about, schema::of_arguments(&ARGUMENTS, &["question"]))
        .with_title("Ask in words")
        .with_raw_output_schema(Arc::new(into_map(output)))
        .with_annotations(annotations)
}

/// Who calls; an error where the caller may not. Over standard input it is the user who started the program.
pub(super) fn caller(context: &RequestContext<RoleServer>) -> Result<Who, Unanswered> {
    let Some(parts) = context.extensions.get::<http::request::Parts>() else { return Ok(Who::default()) };
    let caller = parts.extensions.get::<Caller>();
    let permitted = caller.map(|caller| caller.permit(Role::Analyst));
    match permitted {
        Some(Ok(())) => Ok(Who::of(parts.extensions.get::<Asker>(), caller)),
        Some(Err(denied)) => Err(Unanswered::Failed { message: denied.message, hint: denied.hint.to_owned() }),
        None => {
            Err(Unanswered::Failed { message: "it is not known who calls".to_owned(), hint: "send a token".to_owned() })
        }
    }
}

/// The content of a call.
pub(super) async fn called(given: Map<String, Value>, who: &Who, asks: &dyn Asks) -> Result<Content, Unanswered> {
    let reef = text(&given, "reef")?.map(str::to_owned);
    Ok(content(asks.analyze(reef.as_deref(), question(&given)?, who).await?))
}

fn question(given: &Map<String, Value>) -> Result<AnalyzeQuestion, Refusal> {
    if let Some(name) = given.keys().find(|name| !ARGUMENTS.iter().any(|known| known.name == **name)) {
        let known: BTreeSet<String> = ARGUMENTS.iter().map(|known| known.name.to_owned()).collect();
        let hint = near_hint("argument", &name.to_lowercase(), &known);
        return Err(Refusal::invalid(format!("{NAME} has no argument {name:?}"), hint));
    }
    let window = text(given, "time_window")?.filter(|text| !text.is_empty());
    let window = window.map(parse_duration_ms).transpose();
    // its words are checked where it is recorded
    Ok(AnalyzeQuestion {
        question: text(given, "question")?.unwrap_or_default().to_owned(),
        colonies: texts(given, "colonies")?,
        window_ms: window.map_err(|error| {
            Refusal::invalid(error.to_string(), "the usual ones are 1h, 24h and 7d").at("time_window")
        })?,
        patterns: true,
    })
}

/// An argument that is text; none where it is absent.
fn text<'a>(given: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::invalid(format!("{name} is no text"), "give a string").at(name)),
    }
}

/// An argument that is a list of texts; empty where it is absent.
fn texts(given: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::invalid(format!("{name} is no list of texts"), "give an array of strings").at(name);
    let list = match given.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_array().ok_or_else(wrong)?,
    };
    list.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

/// The answer within what a client accepts: without the statements, of which a model has no use.
fn content(told: Told) -> Content {
    let mut rest = into_map(told.document);
    let answer = clean::page(rest.shift_remove("answer").as_ref().and_then(Value::as_str).unwrap_or_default());
    let mut evidence = match rest.shift_remove("evidence") {
        Some(Value::Array(evidence)) => evidence,
        _ => Vec::new(),
    };
    for fields in evidence.iter_mut().filter_map(Value::as_object_mut) {
        fields.remove("query");
    }
    let evidence = evidence.into_iter().map(clean::value).collect();
    let known = known::fields(&mut rest);
    let mut rest = clean::value(Value::Object(rest));
    while size(&rest) > REST_MAX && shrink(&mut rest) {}
    let short = cut(&answer, ANSWER_MAX);
    let mut structured = Map::new();
    structured.insert("answer".to_owned(), json!(short.unwrap_or(&answer).trim_end()));
    structured.insert("evidence".to_owned(), json!([]));
    structured.insert("notes".to_owned(), json!([]));
    structured.extend(known);
    structured.extend(into_map(rest));
    let (evidence, left_out) = fitted(evidence, &answer, STRUCTURED_MAX.saturating_sub(size(&json!(structured))));
    let mut notes = Vec::new();
    if short.is_some() {
        notes.push("The answer is cut to stay below 25 kB.".to_owned());
    }
    if !left_out.is_empty() {
        let (kept, all) = (evidence.len(), evidence.len() + left_out.len());
        let named = left_out.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if left_out.len() > NAMED_MAX { ", …" } else { "" };
        notes.push(format!(
            "Cut to {kept} of {all} evidences to stay below 25 kB, without {named}{more}: name colonies, or a shorter \
             time_window."
        ));
    }
    let lines: String = notes.iter().map(|note| format!("{note}\n")).collect();
    structured.insert("evidence".to_owned(), Value::Array(evidence));
    structured.insert("notes".to_owned(), json!(notes));
    Content { structured, text: text_before(&clean::page(&told.text), &lines) }
}

/// The evidence that fits into so many bytes, in its order, and the ids of the others. What the answer does not cite is left
/// out first.
fn fitted(evidence: Vec<Value>, answer: &str, bytes_max: usize) -> (Vec<Value>, Vec<String>) {
    let cited: BTreeSet<&str> = answer.split(|one: char| !one.is_ascii_alphanumeric()).collect();
    let is_cited = |one: &Value| one["id"].as_str().is_some_and(|id| cited.contains(id));
    let mut bytes = 0;
    let mut places: BTreeSet<usize> = BTreeSet::new();
    for wanted in [true, false] {
        for (place, one) in evidence.iter().enumerate().filter(|(_, one)| is_cited(one) == wanted) {
            bytes += size(one) + 1;
            if bytes > bytes_max {
                break;
            }
            places.insert(place);
        }
    }
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for (place, one) in evidence.into_iter().enumerate() {
        if places.contains(&place) {
            kept.push(one);
        } else {
            left_out.push(one["id"].as_str().unwrap_or_default().to_owned());
        }
    }
    (kept, left_out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_argument_of_another_type_is_refused_by_its_name() {
        let given = |name: &str, value: Value| {
            let mut given = json!({ "question": "what happened?" }).as_object().unwrap().clone();
            given.insert(name.to_owned(), value);
            given
        };
        for (name, value) in [
            ("question", json!(1)),
            ("colonies", json!("my-shop")),
            ("colonies", json!([1])),
            ("time_window", json!(3_600)),
        ] {
            assert_eq!(question(&given(name, value)).unwrap_err().field.as_deref(), Some(name));
        }
        assert!(question(&given("colonies", Value::Null)).unwrap().colonies.is_empty());
    }

    #[test]
    fn a_long_answer_is_cut_with_its_evidence_says_so_and_is_clean() {
        let evidence: Vec<Value> = (1..=100)
            .map(|place| {
                let description = format!("{}\u{202e}", "x".repeat(300));
                json!({ "id": format!("E{place}"), "description": description, "query": "SELECT 1", "data": {} })
            })
            .collect();
        let answer = format!("Cause: it is slow. [E1, E99]\n{}", "a line \"of\" the answer\u{1b}[2J\n".repeat(2_000));
        let colonies = json!([{ "colony_id": "a", "state": "late", "complete_to": null, "reason": "no answer" }]);
        let document = json!({
            "answer": answer, "evidence": evidence, "actions": [], "completeness": { "colonies": colonies },
        });
        let content = content(Told { document, text: answer });
        let (structured, text) = (Value::Object(content.structured), json!(content.text));
        let bytes = size(&structured) + size(&text);
        assert!((20_000..24_900).contains(&bytes), "{bytes} bytes");
        assert!(
            !structured.to_string().contains(['\u{202e}', '\u{1b}']) && !structured.to_string().contains("\\u001b")
        );
        let kept: Vec<&str> =
            structured["evidence"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert!(kept.starts_with(&["E1", "E2"]) && kept.ends_with(&["E99"]), "what is cited stays: {kept:?}");
        assert!(structured["evidence"][0].get("query").is_none());
        assert_eq!(structured["missing_colonies"][0]["colony_id"], "a");
        let notes: Vec<&str> = structured["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let cut = format!("Cut to {} of 100 evidences", kept.len());
        assert!(notes[0].starts_with("The answer is cut") && notes[1].starts_with(&cut), "{notes:?}");
        assert!(notes.iter().all(|note| content.text.contains(note)), "{}", content.text);
    }

    #[test]
    fn a_short_answer_is_whole() {
        let document = json!({ "answer": "Finding: one. [E1]\nAnother.", "evidence": [{ "id": "E1" }] });
        let content = content(Told { document, text: "Finding: one. [E1]\n".to_owned() });
        assert_eq!(content.structured["answer"], "Finding: one. [E1]\nAnother.");
        assert_eq!(content.structured["evidence"], json!([{ "id": "E1" }]));
        assert_eq!((&content.structured["notes"], content.text.as_str()), (&json!([]), "Finding: one. [E1]\n"));
    }
}
