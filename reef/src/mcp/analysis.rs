//! `reef_analyze`: a question in words. It is called by its name only: it may spend tokens, and is in no list.

use super::asking::{Asks, Unanswered};
use crate::access::{Asker, Caller, Role, Who};
use crate::analysis::AnalyzeQuestion;
use crate::answers::Refusal;
use crate::answers::names::near_hint;
use model::time::parse_duration_ms;
use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::service::RequestContext;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Its name.
pub(super) const NAME: &str = "reef_analyze";
/// Its arguments.
const ARGUMENTS: [&str; 4] = ["question", "colonies", "time_window", "reef"];
/// Most bytes of a result.
const BYTES_MAX: usize = 25_000;

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

/// The result of a call.
pub(super) async fn called(
    given: Map<String, Value>,
    who: &Who,
    asks: &dyn Asks,
) -> Result<CallToolResult, Unanswered> {
    let reef = text(&given, "reef")?.map(str::to_owned);
    let told = asks.analyze(reef.as_deref(), question(&given)?, who).await?;
    let mut result = CallToolResult::success(vec![ContentBlock::text(super::clean::page(&told.text))]);
    result.structured_content = Some(fitted(told.document));
    Ok(result)
}

fn question(given: &Map<String, Value>) -> Result<AnalyzeQuestion, Refusal> {
    if let Some(name) = given.keys().find(|name| !ARGUMENTS.contains(&name.as_str())) {
        let known: BTreeSet<String> = ARGUMENTS.iter().map(|name| (*name).to_owned()).collect();
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

/// The response within what a client accepts: without the statements, of which a model has no use, and with the colonies that
/// are not current only.
fn fitted(mut document: Value) -> Value {
    for one in document["evidence"].as_array_mut().into_iter().flatten() {
        if let Some(fields) = one.as_object_mut() {
            fields.remove("query");
        }
    }
    if let Some(colonies) = document["completeness"]["colonies"].as_array_mut() {
        colonies.retain(|colony| colony["state"] != "current");
        colonies.truncate(20);
    }
    while document.to_string().len() > BYTES_MAX
        && document["evidence"].as_array_mut().is_some_and(|evidence| evidence.pop().is_some())
    {}
    document
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

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
}
