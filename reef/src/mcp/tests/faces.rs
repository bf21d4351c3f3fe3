//! Faces: the same question by RPC, by a tool and as the library answers it has the same facts. The command line itself is
//! compared in `tests/questions/faces.rs`.

use super::client::{Client, here};
use crate::access::{Caller, Role};
use crate::answers::tests::by_effect::{BY_EFFECT, judged};
use crate::answers::tests::predictions::foreseen;
use crate::answers::{Question, Scope};
use crate::mcp::tools;
use crate::reading::Reading;
use crate::rpc::tests::client::Opened;
use crate::rpc::{Served, document, router};
use axum::Extension;
use serde_json::{Map, Value, json};
use sinks::StoreWriter;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const REEF: &str = "coral.reef.v1.ReefService";
const LLM: &str = "coral.reef.v1.ReefLLM";

/// `(tool, its arguments, method, its request)`.
fn same() -> Vec<(&'static str, Value, String, Value)> {
    let range = json!({ "start_time": "2024-11-13T10:00:00Z", "end_time": "2024-11-13T12:00:00Z" });
    let with = |mut value: Value| {
        value.as_object_mut().unwrap().extend(range.as_object().unwrap().clone());
        value
    };
    let (start, end) = ("2024-11-13T10:00:00Z", "2024-11-13T12:00:00Z");
    vec![
        ("reef_list_colonies", json!({}), format!("{REEF}/ListColonies"), json!({})),
        ("reef_get_status", json!({}), format!("{REEF}/GetStatus"), json!({})),
        (
            "reef_list_services",
            json!({ "environments": ["prod"] }),
            format!("{REEF}/ListVersions"),
            json!({ "environment": "prod" }),
        ),
        (
            "reef_query_metrics",
            json!({ "metrics": ["latency", "error_rate"], "start": start, "end": end, "step": "15m" }),
            format!("{REEF}/QueryMetrics"),
            with(json!({ "metric_names": ["latency", "error_rate"], "step": "15m" })),
        ),
        (
            "reef_query_events",
            json!({ "service": "api", "severity": "warning", "start": start, "end": end }),
            format!("{REEF}/QueryEvents"),
            with(json!({ "service_id": "api", "severity": "warning" })),
        ),
        (
            "reef_compare_environments",
            json!({ "environments": ["production", "staging"], "start": "now-4h" }),
            format!("{LLM}/CompareEnvironments"),
            json!({ "environment_a": "production", "environment_b": "staging", "time_window": "4h" }),
        ),
        (
            "reef_list_deployments",
            json!({ "application": "my-shop", "limit": 3 }),
            format!("{REEF}/ListDeployments"),
            json!({ "application_name": "my-shop", "limit": 3 }),
        ),
        (
            "reef_get_deployment_impact",
            json!({ "deployment_id": "deploy-abc123" }),
            format!("{LLM}/AnalyzeDeployment"),
            json!({ "deployment_id": "deploy-abc123" }),
        ),
        (
            "reef_list_correlations",
            json!({ "state": "all" }),
            format!("{REEF}/ListCorrelations"),
            json!({ "state": "all" }),
        ),
        (
            "reef_explain_correlation",
            json!({ "correlation_id": "c-" }),
            format!("{REEF}/GetCorrelation"),
            json!({ "correlation_id": "c-" }),
        ),
        (
            "reef_list_predictions",
            json!({ "outcome": "all", "environments": ["prod"] }),
            format!("{REEF}/ListPredictions"),
            json!({ "outcome": "all", "environment": "prod" }),
        ),
        ("reef_get_topology", json!({}), format!("{REEF}/GetTopology"), json!({})),
    ]
}

/// The response of the RPC as the tool's structured content has it: the other way round than the server does it.
fn as_structured(tool: &tools::Tool, response: &Value) -> Value {
    let mut expected = response.as_object().unwrap().clone();
    let completeness = expected.remove("completeness").unwrap();
    let complete_to: Map<String, Value> = completeness["colonies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|colony| (colony["colony_id"].as_str().unwrap().to_owned(), colony["complete_to"].clone()))
        .collect();
    expected.insert("complete_to".to_owned(), Value::Object(complete_to));
    expected.insert("missing_colonies".to_owned(), json!([]));
    let items = match tool.list {
        "impact/changes" => expected["impact"].as_object_mut().unwrap().remove("changes").unwrap(),
        list => expected.remove(list).unwrap(),
    };
    let items: Vec<Value> = items.as_array().unwrap().iter().cloned().map(tool.shaped).collect();
    let count = json!(items.len());
    expected.insert("items".to_owned(), json!(items));
    let paging = [("total", count), ("truncated", json!(false)), ("next_cursor", json!("")), ("notes", json!([]))];
    for (name, value) in paging {
        expected.entry(name.to_owned()).or_insert(value);
    }
    Value::Object(expected)
}

#[tokio::test]
async fn rpc_and_tools_have_the_facts_of_the_answer() {
    let store = foreseen().await;
    let (reader, scope) = (store.reader(), Scope { reef_id: "my-reef".to_owned(), ..Scope::default() });
    let client = Client::of(Arc::new(here(Arc::clone(&reader)))).await;
    let served =
        Served::new(Reading::Store(Arc::clone(&reader)), scope.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, 3101)));
    let opened = Opened::of(router(served).layer(Extension(Caller(Ok(Role::Readonly))))).await;
    let cases = same();
    assert_eq!(
        cases.iter().map(|case| case.0).collect::<Vec<_>>(),
        tools::TOOLS.iter().map(|it| it.name).collect::<Vec<_>>()
    );
    for (name, arguments, method, request) in cases {
        let tool = tools::find(name).unwrap();
        let by_tool = client.structured(name, arguments.clone()).await;
        let answer = opened.json(&method, &request).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        let by_rpc = answer.value();
        // each face has cursors of its own
        let without_cursor = |mut answer: Value| {
            answer.as_object_mut().unwrap().remove("next_cursor");
            answer
        };
        assert_eq!(without_cursor(by_tool), without_cursor(as_structured(tool, &by_rpc)), "{name}");
        // what both are made of
        let read = tool.read(arguments.as_object().unwrap().clone()).unwrap();
        let question: Question = (tool.question)(&read).unwrap();
        let by_library = document(question.answer(reader.as_ref(), &scope).await.unwrap()).unwrap();
        let paging = ["total", "truncated", "next_cursor"];
        for (field, value) in by_rpc.as_object().unwrap().iter().filter(|(field, _)| !paging.contains(&field.as_str()))
        {
            assert_eq!(&by_library[field], value, "{name}: {field}");
        }
    }
}

#[tokio::test]
async fn deployments_by_effect_are_the_same_by_rpc_by_a_tool_and_in_the_answer() {
    let store = judged().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let client = Client::of(Arc::new(here(Arc::clone(&reader)))).await;
    let served =
        Served::new(Reading::Store(Arc::clone(&reader)), scope.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, 3101)));
    let opened = Opened::of(router(served).layer(Extension(Caller(Ok(Role::Readonly))))).await;
    let ids = |list: &Value| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items.map(|one| one["deployment_id"].as_str().unwrap().to_owned()).collect()
    };
    let request = json!({ "order": "effect" });
    let by_rpc = opened.json(&format!("{REEF}/ListDeployments"), &request).await.value();
    assert_eq!(ids(&by_rpc["deployments"]), BY_EFFECT);
    let by_tool = client.structured("reef_list_deployments", request.clone()).await;
    assert_eq!(ids(&by_tool["items"]), BY_EFFECT);
    let tool = tools::find("reef_list_deployments").unwrap();
    let question = (tool.question)(&tool.read(request.as_object().unwrap().clone()).unwrap()).unwrap();
    let by_library = document(question.answer(reader.as_ref(), &scope).await.unwrap()).unwrap();
    assert_eq!(by_library["deployments"], by_rpc["deployments"]);
    let by_time = opened.json(&format!("{REEF}/ListDeployments"), &json!({})).await.value();
    assert_ne!(ids(&by_time["deployments"]), BY_EFFECT);
}
