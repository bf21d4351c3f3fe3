//! Calls: each tool answers as its schema says; what is wrong is refused in words; what is empty says why.

use super::client::{connect, connect_with_all};
use crate::mcp::fit::RESULT_MAX;
use serde_json::{Value, json};

/// A call of each tool that has items over the rows of the tests of answers.
pub(super) fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("reef_list_colonies", json!({})),
        ("reef_get_status", json!({})),
        ("reef_list_services", json!({ "service": "api" })),
        ("reef_query_metrics", json!({ "metrics": ["latency"], "environments": ["prod"], "start": "now-2h" })),
        ("reef_query_events", json!({ "severity": "warning" })),
        ("reef_compare_environments", json!({ "environments": ["production", "staging"], "start": "now-6h" })),
        ("reef_list_deployments", json!({ "status": "success" })),
        ("reef_get_deployment_impact", json!({ "deployment_id": "e-3" })),
        ("reef_list_correlations", json!({ "state": "all" })),
        ("reef_explain_correlation", json!({ "correlation_id": "c-" })),
        ("reef_list_predictions", json!({ "outcome": "hit" })),
        ("reef_get_topology", json!({})),
    ]
}

/// What is wrong with a value by a schema.
fn problem(schema: &Value, value: &Value) -> Option<String> {
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("schema.json", schema.clone()).unwrap();
    let index = compiler.compile("schema.json", &mut schemas).unwrap();
    schemas.validate(value, index).err().map(|error| format!("{error:#}"))
}

#[tokio::test]
async fn every_tool_answers_as_its_schema_says() {
    let client = connect().await;
    let tools = client.tools().await;
    let calls = calls();
    let (names, called): (Vec<&str>, Vec<&str>) =
        (tools.iter().map(|tool| &*tool.name).collect(), calls.iter().map(|(name, _)| *name).collect());
    assert_eq!(names, called, "each tool is called");
    for (tool, (name, arguments)) in tools.iter().zip(calls) {
        let tool = serde_json::to_value(tool).unwrap();
        assert_eq!(problem(&tool["inputSchema"], &arguments), None, "{name}");
        let answer = client.structured(name, arguments).await;
        assert_eq!(problem(&tool["outputSchema"], &answer), None, "{name}: {answer}");
        assert!(!answer["items"].as_array().unwrap().is_empty(), "{name}: {answer}");
        assert_eq!(answer["complete_to"]["my-shop-production"], "2024-11-13T12:00:00Z", "{name}: {answer}");
        assert_eq!((&answer["missing_colonies"], &answer["notes"]), (&json!([]), &json!([])), "{name}");
    }
}

#[test]
fn a_result_that_breaks_its_schema_is_noticed() {
    let schema = Value::Object(crate::mcp::schema::output(crate::mcp::tools::find("reef_query_events").unwrap()));
    let right = json!({
        "items": [], "total": 0, "truncated": false, "next_cursor": "", "complete_to": {}, "missing_colonies": [],
        "notes": [],
    });
    assert_eq!(problem(&schema, &right), None);
    for (name, value) in [("total", json!("7")), ("items", json!([{ "event_id": "x" }])), ("complete_to", json!([]))] {
        let mut wrong = right.clone();
        wrong[name] = value;
        assert!(problem(&schema, &wrong).is_some(), "{wrong}");
    }
}

#[tokio::test]
async fn arguments_narrow_and_now_is_the_time_of_the_newest_row() {
    let client = connect().await;
    let ids = |answer: &Value, field: &str| -> Vec<String> {
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| item[field].as_str().unwrap().to_owned()).collect()
    };
    let events = async |arguments: Value| ids(&client.structured("reef_query_events", arguments).await, "event_id");
    assert_eq!(events(json!({})).await, ["note", "spike-2", "spike-1", "e-3"]);
    assert_eq!(events(json!({ "start": "now-80m" })).await, ["note", "spike-2", "spike-1"]);
    assert_eq!(events(json!({ "start": "now-80m", "end": "now-55m" })).await, ["spike-2", "spike-1"]);
    assert_eq!(events(json!({ "start": "2024-11-13T10:40:00Z", "end": "2024-11-13T10:50:00Z" })).await, ["spike-1"]);
    assert_eq!(events(json!({ "event_types": ["deploy"], "service": "api" })).await, ["e-3"]);
    assert_eq!(events(json!({ "environments": ["stage", "prod"], "colonies": ["my-shop-production"] })).await.len(), 4);
    assert_eq!(events(json!({ "environments": null, "colonies": [], "service": "" })).await.len(), 4, "left out");

    let colonies = async |names: Value| {
        ids(&client.structured("reef_list_colonies", json!({ "environments": names })).await, "colony_id")
    };
    assert_eq!(colonies(json!(["prod"])).await, ["my-shop-production"]);
    assert_eq!(colonies(json!(["staging", "production"])).await, ["my-shop-production", "my-shop-staging"]);

    let metrics = client.structured("reef_query_metrics", json!({ "metrics": ["latency"] })).await;
    let points = metrics["items"][0]["points"].as_array().unwrap();
    assert!(points.len() <= 25 && points[0].as_array().unwrap().len() == 5, "{metrics}");
    assert_eq!(metrics["step_seconds"], 3_600);
}

#[tokio::test]
async fn a_cursor_continues_where_the_part_ended() {
    let client = connect().await;
    for (name, field) in [
        ("reef_query_events", "event_id"),
        ("reef_list_deployments", "deployment_id"),
        ("reef_list_services", "service_id"),
        ("reef_get_topology", "service_id"),
        ("reef_list_colonies", "colony_id"),
    ] {
        let whole = client.structured(name, json!({})).await;
        let (mut cursor, mut parts) = (String::new(), Vec::new());
        loop {
            let part = client.structured(name, json!({ "limit": 1, "cursor": cursor })).await;
            assert_eq!(part["total"], whole["total"], "{name}");
            parts.extend(part["items"].as_array().unwrap().clone());
            cursor = part["next_cursor"].as_str().unwrap().to_owned();
            assert_eq!(part["truncated"], !cursor.is_empty());
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!(Value::Array(parts), whole["items"], "{name} by {field}");
    }
}

#[tokio::test]
async fn wrong_arguments_are_refused_in_words() {
    let client = connect().await;
    for (name, arguments, words) in [
        ("reef_list_colonies", json!({ "colony": "x" }), "has no argument \"colony\"; did you mean \"colonies\"?"),
        (
            "reef_list_colonies",
            json!({ "colonies": "x" }),
            "colonies: a list of texts is expected, not \"x\"; only these",
        ),
        ("reef_list_colonies", json!({ "colonies": [1] }), "colonies[0]: a text is expected, not 1"),
        ("reef_list_colonies", json!({ "limit": 0 }), "limit: limit is 0; give 1 to 200"),
        ("reef_list_colonies", json!({ "limit": 201 }), "limit: limit is 201; give 1 to 200"),
        ("reef_list_colonies", json!({ "cursor": "x" }), "cursor: cursor is \"x\"; give the next_cursor of a result"),
        (
            "reef_list_colonies",
            json!({ "environments": ["prodction"] }),
            "environments[0]: there is no environment \"prodction\"; did you mean \"production\"?",
        ),
        ("reef_list_colonies", json!({ "colonies": ["my-shop-qa"] }), "colonies[0]: there is no colony \"my-shop-qa\""),
        ("reef_list_colonies", json!({ "reef": "other" }), "reef: there is no reef \"other\" here"),
        ("reef_query_events", json!({ "start": "yesterday" }), "start: \"yesterday\" is no time; write RFC 3339"),
        ("reef_query_events", json!({ "start": "now-1h", "end": "now-2h" }), "start: the range "),
        (
            "reef_query_events",
            json!({ "service": "apy" }),
            "service: no service \"apy\" was observed in the range; did you mean \"api\"?",
        ),
        ("reef_query_events", json!({ "start": "now-90d" }), "start: the range is 90d long; ask for at most 31d"),
        ("reef_query_events", json!({ "severity": "bad" }), "severity: \"bad\" is none; one of: info, warning"),
        (
            "reef_query_metrics",
            json!({ "metrics": ["latancy"] }),
            "metrics[0]: no metric \"latancy\" was observed in the range; did you mean \"latency\"?",
        ),
        ("reef_query_metrics", json!({ "step": "fast" }), "step: "),
        (
            "reef_compare_environments",
            json!({}),
            "environments: reef_compare_environments needs it; give the one looked at",
        ),
        (
            "reef_compare_environments",
            json!({ "environments": ["production"] }),
            "environments: 1 names are given; give two",
        ),
        (
            "reef_compare_environments",
            json!({ "environments": ["production", "prod"] }),
            "environments[1]: both environments are production",
        ),
        (
            "reef_compare_environments",
            json!({ "environments": ["production", "staging"], "start": "2024-11-13T10:40:00Z" }),
            "start: hours are compared back",
        ),
        ("reef_get_deployment_impact", json!({ "deployment_id": "e-33" }), "deployment_id: "),
        (
            "reef_explain_correlation",
            json!({ "correlation_id": "nope" }),
            "list them: reef_list_correlations with state all",
        ),
    ] {
        let refusal = client.refusal(name, arguments.clone()).await;
        assert!(refusal.contains(words), "{name} {arguments}: {refusal}");
        assert!(!refusal.contains("coral reef") && !refusal.contains("--"), "{refusal}");
    }
}

#[tokio::test]
async fn an_empty_result_says_why_and_what_to_call() {
    let client = connect().await;
    for (name, arguments, words) in [
        (
            "reef_query_events",
            json!({ "start": "now-1m" }),
            vec!["nothing fits from 2024-11-13T11:58:00.001Z to", "now-7d"],
        ),
        (
            "reef_list_deployments",
            json!({ "status": "failed" }),
            vec!["nothing that is stored fits", "reef_query_events"],
        ),
        ("reef_list_correlations", json!({ "state": "withdrawn" }), vec!["state all"]),
        // a service of staging, asked for in production
        (
            "reef_list_services",
            json!({ "service": "web", "colonies": ["my-shop-production"] }),
            vec![
                "no topology and no deployment of these colonies names the service \"web\", known: api, payment-processor",
                "reef_get_topology",
            ],
        ),
    ] {
        let called = client.call(name, arguments.clone()).await;
        assert!(!called.is_error(), "{name}: {}", called.text());
        let note = called.value["structuredContent"]["notes"][0].as_str().unwrap_or_default().to_owned();
        for word in words {
            assert!(note.contains(word), "{name} {arguments}: {note}");
        }
        assert!(called.text().contains(&note), "the text says it too: {}", called.text());
    }
}

#[tokio::test]
async fn a_question_in_words_is_answered_as_its_schema_says() {
    let client = connect_with_all().await;
    let tools = client.tools().await;
    let tool = serde_json::to_value(tools.iter().find(|tool| &*tool.name == "reef_analyze").unwrap()).unwrap();
    let arguments = json!({ "question": "why is prod slower than staging?" });
    assert_eq!(problem(&tool["inputSchema"], &arguments), None);
    let called = client.call("reef_analyze", arguments).await;
    assert!(!called.is_error() && called.value.to_string().len() <= RESULT_MAX, "{}", called.value);
    let answer = &called.value["structuredContent"];
    assert_eq!(problem(&tool["outputSchema"], answer), None, "{answer}");
    assert_eq!(answer["complete_to"]["my-shop-production"], "2024-11-13T12:00:00Z", "{answer}");
    assert!(answer["answer"].as_str().unwrap().starts_with("Finding: Production latency"), "{answer}");
    assert_eq!(answer["evidence"][0]["id"], "E1");
    assert!(answer["evidence"][0].get("query").is_none());
    let empty = client.refusal("reef_analyze", json!({})).await;
    assert!(empty.starts_with("question: no question is asked"), "{empty}");
    let typo = client.refusal("reef_analyze", json!({ "questoin": "x" })).await;
    assert!(typo.contains("did you mean \"question\"?"), "{typo}");
    let colony = client.refusal("reef_analyze", json!({ "question": "x", "colonies": ["nowhere"] })).await;
    assert!(colony.contains("there is no colony"), "{colony}");
}

#[tokio::test]
async fn a_statement_is_answered_as_its_schema_says() {
    let client = connect_with_all().await;
    let tools = client.tools().await;
    let tool = serde_json::to_value(tools.iter().find(|tool| &*tool.name == "reef_query_sql").unwrap()).unwrap();
    let sql = "SELECT value AS n, 'a text' AS t FROM generate_series(1, 3)";
    let called = client.call("reef_query_sql", json!({ "sql": sql, "limit": 2 })).await;
    assert!(!called.is_error() && called.text().contains("a text"), "{}", called.text());
    assert!(called.text().contains("Note: only the first 2 rows"), "{}", called.text());
    assert!(called.text().contains("more rows exist"), "{}", called.text());
    let answer = &called.value["structuredContent"];
    assert_eq!(problem(&tool["outputSchema"], answer), None, "{answer}");
    assert_eq!((&answer["rows"], &answer["truncated"]), (&json!([[1, "a text"], [2, "a text"]]), &json!(true)));
    // as many rows as fit
    let long = format!("SELECT value AS n, '{}' AS t FROM generate_series(1, 200)", "x".repeat(150));
    let called = client.call("reef_query_sql", json!({ "sql": long, "limit": 200 })).await;
    let answer = &called.value["structuredContent"];
    let rows = answer["rows"].as_array().unwrap().len();
    assert!((50..200).contains(&rows) && answer["truncated"] == true, "{rows} rows");
    assert_eq!(answer["row_count"], json!(rows));
    let size = called.value.to_string().len();
    assert!(size <= RESULT_MAX, "{size} bytes");
    let note = format!("cut to {rows} of 200 rows");
    assert!(answer["notes"].to_string().contains(&note) && called.text().contains(&note), "{}", called.text());
    let hostile = "SELECT concat('x', chr(8238), chr(27), 'y') AS t";
    let called = client.call("reef_query_sql", json!({ "sql": hostile })).await;
    assert_eq!(called.value["structuredContent"]["rows"], json!([["x··y"]]), "{}", called.value);
    let empty = client.refusal("reef_query_sql", json!({})).await;
    assert!(empty.starts_with("sql: there is no statement"), "{empty}");
    let typo = client.refusal("reef_query_sql", json!({ "sqll": "SELECT 1" })).await;
    assert!(typo.contains("did you mean \"sql\"?"), "{typo}");
    for sql in ["DROP TABLE federated_events", "SELECT * FROM analyses", "SELECT 1; SELECT 2"] {
        let refused = client.refusal("reef_query_sql", json!({ "sql": sql })).await;
        assert!(refused.starts_with("sql: "), "{sql}: {refused}");
    }
}
