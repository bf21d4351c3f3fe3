//! JSON: requests are checked key by key, responses have the names of the `.proto` files and all their fields.
//!
//! The library reads both spellings of a key, ignores keys that it does not know, and writes camelCase without defaults. A
//! mistyped key would then change an answer silently, and scripts would have to tell zero from absent.

use super::table::{self, Field, Kind, Message, Shape};
use crate::answers::names::near_hint;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub(super) struct Wrong {
    /// Where: `colony_ids[2]`.
    path: String,
    message: String,
}

/// Whether `body` is a message of this name in JSON.
///
/// # Errors
/// The first key or value that is not.
pub(super) fn check(name: &str, body: &[u8]) -> Result<(), Wrong> {
    let wrong = |message: String| Wrong { path: "request".to_owned(), message };
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| wrong(format!("the body is not JSON ({error}); send {{}} where nothing is to be said")))?;
    match (table::message(name), &value) {
        (Some(message), Value::Object(given)) => fields(message, given, ""),
        (Some(_), other) => Err(wrong(format!("an object is expected, not {}", word_of(other)))),
        (None, _) => Ok(()),
    }
}

fn fields(message: &Message, given: &Map<String, Value>, path: &str) -> Result<(), Wrong> {
    for (key, value) in given {
        let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match message.fields.iter().find(|field| field.name == key || field.json == key) {
            Some(field) => field_value(field, value, &at)?,
            None => {
                let known: BTreeSet<String> = message.fields.iter().map(|field| field.name.to_owned()).collect();
                let hint = if known.is_empty() {
                    "this request has no fields".to_owned()
                } else {
                    near_hint("field", &key.to_lowercase(), &known)
                };
                return Err(Wrong { path: at, message: format!("there is no such field; {hint}") });
            }
        }
    }
    Ok(())
}

fn field_value(field: &Field, value: &Value, path: &str) -> Result<(), Wrong> {
    let wrong = |what: &str| {
        Err(Wrong { path: path.to_owned(), message: format!("{what} is expected, not {}", word_of(value)) })
    };
    match (field.shape, value) {
        // the same as an absent field
        (_, Value::Null) => Ok(()),
        (Shape::Many, Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(place, item)| one(field.kind, item, &format!("{path}[{place}]")))
        }
        (Shape::Many, _) => wrong("a list"),
        (Shape::Map, Value::Object(given)) => {
            given.iter().try_for_each(|(key, item)| one(Kind::Text, item, &format!("{path}.{key}")))
        }
        (Shape::Map, _) => wrong("an object"),
        (Shape::One | Shape::Optional, value) => one(field.kind, value, path),
    }
}

fn one(kind: Kind, value: &Value, path: &str) -> Result<(), Wrong> {
    let small = |value: &Value| match value {
        Value::Number(number) => number.as_f64().is_some_and(|it| it.fract() == 0.0 && it.abs() <= f64::from(i32::MAX)),
        Value::String(text) => text.parse::<i32>().is_ok(),
        _ => false,
    };
    let (is_right, what) = match kind {
        Kind::Text => (value.is_string(), "a text"),
        Kind::Bool => (value.is_boolean(), "true or false"),
        Kind::Real => (value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok()), "a number"),
        Kind::Small => (small(value), "a whole number of 32 bits"),
        Kind::Large => (
            value.is_i64() || value.is_u64() || value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
            "a whole number",
        ),
        Kind::Time => (
            value.as_str().is_some_and(|text| model::time::TimeMs::parse_rfc3339(text).is_some()),
            "a time such as 2026-03-01T12:00:00Z",
        ),
        Kind::Message(name) => match (table::message(name), value) {
            (Some(message), Value::Object(given)) => return fields(message, given, path),
            (_, value) => (value.is_object(), "an object"),
        },
    };
    match is_right {
        true => Ok(()),
        false => Err(Wrong { path: path.to_owned(), message: format!("{what} is expected, not {}", word_of(value)) }),
    }
}

fn word_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// A message as the library writes it, with the names of the `.proto` files and all its fields. What may be absent and is
/// absent is null.
pub(super) fn whole(name: &str, value: Value) -> Value {
    let Some(message) = table::message(name) else { return value };
    let mut given = match value {
        Value::Object(given) => given,
        other => return other,
    };
    let field = |field: &Field| {
        let given = given.remove(field.json).or_else(|| given.remove(field.name));
        (field.name.to_owned(), given.map_or_else(|| absent(field), |value| present(field, value)))
    };
    Value::Object(message.fields.iter().map(field).collect())
}

fn present(field: &Field, value: Value) -> Value {
    match (field.kind, value) {
        // the library keeps maps in no order
        (_, Value::Object(map)) if field.shape == Shape::Map => {
            map.into_iter().collect::<BTreeMap<String, Value>>().into_iter().collect()
        }
        (Kind::Message(name), Value::Array(items)) => items.into_iter().map(|item| whole(name, item)).collect(),
        (Kind::Message(name), value) => whole(name, value),
        (_, value) => value,
    }
}

fn absent(field: &Field) -> Value {
    match (field.shape, field.kind) {
        (Shape::Many, _) => Value::Array(Vec::new()),
        (Shape::Map, _) => Value::Object(Map::new()),
        (Shape::Optional, _) | (Shape::One, Kind::Message(_) | Kind::Time) => Value::Null,
        (Shape::One, Kind::Text) => Value::from(""),
        (Shape::One, Kind::Bool) => Value::from(false),
        (Shape::One, Kind::Real) => Value::from(0.0),
        (Shape::One, Kind::Small) => Value::from(0),
        (Shape::One, Kind::Large) => Value::from("0"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn problem(name: &str, body: &Value) -> Option<String> {
        check(&format!("coral.reef.v1.{name}"), body.to_string().as_bytes()).err().map(|wrong| wrong.to_string())
    }

    #[test]
    fn both_spellings_are_keys_and_a_mistyped_one_is_refused_with_its_path() {
        for right in
            [json!({}), json!({ "environment_a": "a", "environmentB": "b", "time_window": null, "colonyIds": ["x"] })]
        {
            assert_eq!(problem("CompareRequest", &right), None, "{right}");
        }
        for (name, given, message) in [
            (
                "CompareRequest",
                json!({ "timewindow": "1h" }),
                "timewindow: there is no such field; did you mean \"time_window\"?",
            ),
            ("CompareRequest", json!({ "colony_ids": "x" }), "colony_ids: a list is expected, not \"x\""),
            ("CompareRequest", json!({ "colony_ids": ["x", 2] }), "colony_ids[1]: a text is expected, not 2"),
            ("ListVersionsRequest", json!({ "limit": 1.5 }), "limit: a whole number of 32 bits is expected, not 1.5"),
            (
                "ListVersionsRequest",
                json!({ "limit": 4e9 }),
                "limit: a whole number of 32 bits is expected, not 4000000000.0",
            ),
            ("ListVersionsRequest", json!({ "behind": 1 }), "behind: true or false is expected, not 1"),
            ("GetStatusRequest", json!({ "x": 1 }), "x: there is no such field; this request has no fields"),
            ("GetStatusRequest", json!([]), "request: an object is expected, not a list"),
            // messages in messages
            (
                "DeploymentResponse",
                json!({ "impact": { "changes": [{ "metric": 1 }] } }),
                "impact.changes[0].metric: there is no such field; did you mean \"metric_name\"?",
            ),
            (
                "Colony",
                json!({ "complete_to": "soon" }),
                "complete_to: a time such as 2026-03-01T12:00:00Z is expected, not \"soon\"",
            ),
            ("Evidence", json!({ "data": { "a": 1 } }), "data.a: a text is expected, not 1"),
            ("MetricChange", json!({ "sample_count": "7x" }), "sample_count: a whole number is expected, not \"7x\""),
        ] {
            assert_eq!(problem(name, &given).as_deref(), Some(message), "{given}");
        }
        assert!(
            check("coral.reef.v1.GetStatusRequest", b"").unwrap_err().to_string().contains("send {} where nothing")
        );
    }

    #[test]
    fn a_response_has_all_its_fields_by_the_names_of_the_file() {
        let short = json!({ "metricName": "latency", "sampleCount": "12" });
        let expected = json!({
            "metric_name": "latency", "before_value": 0.0, "after_value": 0.0, "percent_change": 0.0, "significance": "",
            "sample_count": "12", "service_id": "", "change": 0.0, "change_low": 0.0, "change_high": 0.0, "q_value": 0.0,
            "cliffs_delta": 0.0, "effective_points": 0.0, "adjusted_for": [], "has_percent_change": false,
        });
        assert_eq!(whole("coral.reef.v1.MetricChange", short.clone()), expected);
        let impact = whole("coral.reef.v1.DeploymentImpact", json!({ "changes": [short] }));
        assert_eq!((&impact["changes"][0], &impact["impact_score"]), (&expected, &Value::Null));
        let response = whole("coral.reef.v1.DeploymentResponse", json!({}));
        assert_eq!((&response["impact"], &response["evidence"]), (&Value::Null, &json!([])));
        assert_eq!(whole("coral.reef.v1.Evidence", json!({}))["data"], json!({}));
        let data = whole("coral.reef.v1.Evidence", json!({ "data": { "b": "1", "a": "2" } }))["data"].to_string();
        assert_eq!(data, r#"{"a":"2","b":"1"}"#);
        assert_eq!(whole("coral.reef.v1.MetricChange", json!({}))["sample_count"], "0");
    }
}
