//! The RPC by real requests over one listener: each method, each protocol, each error.
#![allow(clippy::unwrap_used)]

mod analysis;
pub(crate) mod client;
mod parts;
mod sql;

use super::table::{METHODS, Shape, message};
use super::*;
use crate::access::{Caller, Role};
use crate::answers::Question;
use crate::answers::compare::CompareQuestion;
use crate::answers::deployment::DeploymentQuestion;
use crate::answers::tests::predictions::foreseen;
use crate::answers::tests::store;
use axum::Extension;
use client::Opened;
use mesh::Network;
use model::clock::SystemClock;
use pipelines::progress::{Phase, Progress};
use pipelines::run::RunningReef;
use serde_json::{Value, json};
use sinks::StoreWriter;

const LLM: &str = "coral.reef.v1.ReefLLM";
const REEF: &str = "coral.reef.v1.ReefService";
/// Where the services say that they are.
const ADDRESS: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3101);

fn scope() -> Scope {
    Scope { reef_id: "my-reef".to_owned(), ..Scope::default() }
}

/// The RPC over the rows of the tests of answers, for a caller with every right.
async fn open() -> Opened {
    open_for(Caller(Ok(Role::Admin))).await
}

async fn open_for(caller: Caller) -> Opened {
    let store = foreseen().await;
    let reading = Reading::Store(store.reader());
    let opened = Opened::of(router(Served::new(reading, scope(), ADDRESS)).layer(Extension(caller))).await;
    opened.keeping(store)
}

/// A response as a JSON object.
async fn ask(opened: &Opened, method: &str, request: Value) -> Value {
    let answer = opened.json(method, &request).await;
    assert_eq!(answer.status, 200, "{method}: {}", answer.text());
    answer.value()
}

#[tokio::test]
async fn every_method_answers_with_all_its_fields_and_what_it_is_complete_to() {
    let opened = open().await;
    for (method, request) in [
        ("GetStatus", json!({})),
        ("ListColonies", json!({})),
        ("GetHealth", json!({})),
        ("ListVersions", json!({})),
        ("GetTopology", json!({})),
        ("QueryMetrics", json!({ "metric_names": ["latency"] })),
        ("QueryEvents", json!({})),
        ("ListDeployments", json!({})),
        ("GetDeployment", json!({ "deployment_id": "deploy-abc123" })),
        ("ListCorrelations", json!({ "state": "all" })),
        ("GetCorrelation", json!({ "correlation_id": "c-" })),
        ("ListPredictions", json!({ "outcome": "all" })),
        ("ListAffected", json!({ "id": "deploy-abc123" })),
        ("AssessPromotion", promotion("v2.2.0")),
    ] {
        let value = ask(&opened, &format!("{REEF}/{method}"), request).await;
        let path = format!("/{REEF}/{method}");
        let output = METHODS.iter().find(|method| method.path == path).unwrap().output;
        has_all_fields(output, &value);
        assert_eq!(value["completeness"]["complete"], true, "{method}: {value}");
        assert_eq!(value["completeness"]["colonies"][0]["complete_to"], "2024-11-13T12:00:00Z", "{method}: {value}");
    }
}

fn promotion(version: &str) -> Value {
    json!({ "service_id": "api", "version": version, "from_environment": "staging", "to_environment": "prod" })
}

/// Each message in the value has the fields of its type, and no other.
fn has_all_fields(name: &str, value: &Value) {
    let message = message(name).unwrap();
    let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, message.fields.iter().map(|field| field.name).collect::<Vec<_>>(), "{name}");
    for field in message.fields {
        let (super::table::Kind::Message(name), value) = (field.kind, &value[field.name]) else { continue };
        match (field.shape, value) {
            (Shape::Many, Value::Array(items)) => items.iter().for_each(|item| has_all_fields(name, item)),
            (_, Value::Null) => {}
            (_, value) => has_all_fields(name, value),
        }
    }
}

#[tokio::test]
async fn answers_say_what_the_store_holds() {
    let opened = open().await;
    let reef = async |method: &str, request: Value| ask(&opened, &format!("{REEF}/{method}"), request).await;
    let status = reef("GetStatus", json!({})).await;
    assert_eq!((&status["reef_id"], &status["state"]), (&json!("my-reef"), &json!("stopped")));
    let production = json!({ "colony_id": "my-shop-production", "health": "degraded", "services": 20, "agents": 45 });
    assert_eq!(status["colonies"][0], production);
    assert_eq!(status["colonies"][1]["agents"], Value::Null, "not stated");
    assert_eq!(status["recent_correlations"].as_array().unwrap().len(), 1);

    let first = reef("ListColonies", json!({ "limit": 1 })).await;
    assert_eq!((&first["total"], &first["truncated"]), (&json!(2), &json!(true)));
    let colonies = reef("ListColonies", json!({ "limit": 1, "cursor": first["next_cursor"] })).await;
    assert_eq!(
        (&colonies["total"], &colonies["truncated"], &colonies["next_cursor"]),
        (&json!(2), &json!(false), &json!(""))
    );
    assert_eq!(colonies["colonies"][0]["colony_id"], "my-shop-staging");
    assert_eq!(colonies["colonies"][0]["state"], "current");

    let health = reef("GetHealth", json!({ "environment": "prod" })).await;
    assert_eq!(health["environments"][0]["healthy_percent"], 95.0);
    let versions = reef("ListVersions", json!({ "service_id": "api", "behind": true })).await;
    assert_eq!((&versions["total"], &versions["services"][0]["newest"]), (&json!(1), &json!("v2.2.0")));
    let topology = reef("GetTopology", json!({})).await;
    assert_eq!(topology["connections"][0]["request_count"], "1234", "64 bits are a text in JSON");

    let deployments = reef("ListDeployments", json!({ "environment": "production", "limit": 1 })).await;
    assert_eq!((&deployments["total"], &deployments["truncated"]), (&json!(2), &json!(true)));
    let next =
        reef("ListDeployments", json!({ "environment": "production", "cursor": deployments["next_cursor"] })).await;
    assert_eq!(next["deployments"][0]["deployment_id"], "e-3");
    assert_eq!(next["deployments"][0]["duration_seconds"], 480);
    let one = reef("GetDeployment", json!({ "deployment_id": "e-3" })).await;
    assert_eq!(one["impact"]["incidents"][0]["event_id"], "spike-1");
    assert_eq!(one["impact"]["incidents"][0]["occurred_at"], "2024-11-13T10:45:00Z");

    let patterns = reef("ListCorrelations", json!({})).await;
    let id = patterns["correlations"][0]["correlation_id"].as_str().unwrap();
    let pattern = reef("GetCorrelation", json!({ "correlationId": id })).await;
    assert_eq!(pattern["pattern"], patterns["correlations"][0]);
    assert_eq!(pattern["evidence"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rows_of_a_range_are_filtered_summed_and_paged() {
    let opened = open().await;
    let reef = async |method: &str, request: Value| ask(&opened, &format!("{REEF}/{method}"), request).await;
    let ids = |answer: &Value| -> Vec<String> {
        let events = answer["events"].as_array().unwrap().iter();
        events.map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = reef("QueryEvents", json!({})).await;
    assert_eq!(ids(&all), ["note", "spike-2", "spike-1", "e-3"], "the newest first");
    assert_eq!(
        (&all["start_time"], &all["end_time"]),
        (&json!("2024-11-12T11:59:00.001Z"), &json!("2024-11-13T11:59:00.001Z"))
    );
    assert_eq!(
        ids(&reef("QueryEvents", json!({ "severity": "warn", "service_id": "api" })).await),
        ["spike-2", "spike-1"]
    );
    let first = reef("QueryEvents", json!({ "limit": 1 })).await;
    let page = reef("QueryEvents", json!({ "limit": 2, "cursor": first["next_cursor"] })).await;
    assert_eq!((ids(&page), &page["total"], &page["truncated"]), (ids(&all)[1..3].to_vec(), &json!(4), &json!(true)));
    let some = json!({ "start_time": "2024-11-13T10:30:00Z", "end_time": "2024-11-13T10:45:00Z", "event_types": ["deploy", "error_spike"] });
    assert_eq!(ids(&reef("QueryEvents", some).await), ["e-3"], "the end is beyond the range");
    assert_eq!(ids(&reef("QueryEvents", json!({ "time_window": "55m", "environment": "staging" })).await).len(), 0);

    let request =
        json!({ "metric_names": ["latency"], "end_time": "2024-11-13T12:00:00Z", "time_window": "8h", "step": "4h" });
    let metrics = reef("QueryMetrics", request).await;
    assert_eq!((&metrics["total"], &metrics["step_seconds"]), (&json!(2), &json!(14_400)));
    let points = metrics["series"][0]["points"].as_array().unwrap();
    assert_eq!((points.len(), &points[0]["timestamp"]), (2, &json!("2024-11-13T04:00:00Z")));
    assert_eq!((&points[0]["bucket_count"], &points[0]["sample_count"]), (&json!(240), &json!("2400")));
    // half of the buckets are 2 % higher
    assert!((points[0]["value"].as_f64().unwrap() - 245.0 * 1.01).abs() < 1e-9, "{}", points[0]);
    assert_eq!(points[0]["max"], Value::Null, "no bucket has one");
    let fine = reef("QueryMetrics", json!({ "environment": "prod", "limit": 1 })).await;
    assert_eq!((&fine["step_seconds"], &fine["total"], &fine["truncated"]), (&json!(900), &json!(4), &json!(true)));
    for (method, request, message) in [
        (
            "QueryMetrics",
            json!({ "metric_names": ["latency", "latncy"] }),
            "metric_names[1]: no metric \"latncy\" was observed in the range; did you mean \"latency\"?",
        ),
        (
            "QueryMetrics",
            json!({ "step": "1s" }),
            "step: 86401 points of 1s are too many; take at least 7m15s, or leave it empty",
        ),
        (
            "QueryEvents",
            json!({ "severity": "awful" }),
            "severity: no event has the severity \"awful\"; one of: info, warning, error, critical",
        ),
        (
            "QueryEvents",
            json!({ "severity": "error", "cursor": first["next_cursor"] }),
            "cursor: the cursor is of another question; send the question that it came with, only its limit may change, or send no cursor",
        ),
        (
            "QueryEvents",
            json!({ "time_window": "60d" }),
            "time_window: the range is 60d long; ask for at most 31d, part by part",
        ),
        (
            "QueryEvents",
            json!({ "end_time": "0001-01-01T00:00:00Z" }),
            "end_time: the time 0001-01-01T00:00:00.000Z is out of range; give one from 1970 to 2262",
        ),
        (
            "QueryMetrics",
            json!({ "step": "9223372036854775807ms" }),
            "step: a step of 106751991167d7h is longer than the range; take at most 1d, or leave it empty",
        ),
        (
            "QueryEvents",
            json!({ "start_time": "2025-01-01T00:00:00Z" }),
            "start_time: the range 2025-01-01T00:00:00.000Z to 2024-11-13T11:59:00.001Z is empty; start before the end",
        ),
    ] {
        let answer = opened.json(&format!("{REEF}/{method}"), &request).await;
        assert_eq!(answer.value()["message"], message, "{method} {request}");
    }
}

#[tokio::test]
async fn the_methods_of_rfd_003_that_need_no_model_answer_as_the_command_line_does() {
    let opened = open().await;
    let store = store().await;
    let reader = store.reader();
    let document =
        async |question: Question| super::document(question.answer(reader.as_ref(), &scope()).await.unwrap()).unwrap();
    let request = json!({
        "reefId": "my-reef", "environment_a": "prod", "environmentB": "staging", "metric": "latency", "timeWindow": "8h",
    });
    let compared = ask(&opened, &format!("{LLM}/CompareEnvironments"), request).await;
    assert_eq!(compared["summary"], "Production is 40.0% slower than staging (latency)");
    let difference = &compared["differences"][0];
    assert_eq!((&difference["significance"], &difference["has_percent_change"]), (&json!("critical"), &json!(true)));
    assert!((difference["percent_change"].as_f64().unwrap() - 40.0).abs() < 1e-9, "{difference}");
    let question = CompareQuestion {
        environment_a: "production".to_owned(),
        environment_b: "staging".to_owned(),
        metric: Some("latency".to_owned()),
        window_ms: Some(8 * model::time::HOUR_MS),
        ..CompareQuestion::default()
    };
    assert_eq!(compared, document(Question::Compare(question)).await);

    let analysed = ask(&opened, &format!("{LLM}/AnalyzeDeployment"), json!({ "deployment_id": "deploy-abc123" })).await;
    assert_eq!(analysed["impact"]["incidents_total"], 2);
    let kinds: Vec<&Value> = analysed["evidence"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["event", "correlation", "event"]);
    assert!(analysed["evidence"][0]["query"].as_str().unwrap().ends_with("event_id = 'spike-1'"), "{analysed}");
    let question = DeploymentQuestion { id: "deploy-abc123".to_owned() };
    assert_eq!(analysed, document(Question::Deployment(question)).await);
}

#[tokio::test]
async fn a_question_that_has_no_answer_is_refused_with_its_field_and_near_names() {
    let opened = open().await;
    for (method, request, status, code, message) in [
        (
            "ReefService/ListDeployments",
            json!({ "envronment": "prod" }),
            400,
            "invalid_argument",
            "envronment: there is no such field; did you mean \"environment\"?",
        ),
        (
            "ReefService/ListDeployments",
            json!({ "limit": 201 }),
            400,
            "invalid_argument",
            "limit: limit is 201; give 1 to 200",
        ),
        (
            "ReefService/ListDeployments",
            json!({ "limit": -1 }),
            400,
            "invalid_argument",
            "limit: limit is -1; give 1 to 200",
        ),
        (
            "ReefService/ListDeployments",
            json!({ "cursor": "x" }),
            400,
            "invalid_argument",
            "cursor: cursor is \"x\"; give the next_cursor of an answer",
        ),
        (
            "ReefService/ListDeployments",
            json!({ "status": "odd" }),
            400,
            "invalid_argument",
            "status: no deployment has the status \"odd\"; one of: running, success, failed, rolled_back",
        ),
        (
            "ReefService/ListColonies",
            json!({ "colony_ids": ["my-shop-production", "x"] }),
            404,
            "not_found",
            "colony_ids[1]: there is no colony \"x\"; known: my-shop-production, my-shop-staging",
        ),
        (
            "ReefService/GetDeployment",
            json!({}),
            400,
            "invalid_argument",
            "deployment_id: no deployment is named; name a deployment, or list them: ListDeployments",
        ),
        (
            "ReefService/ListAffected",
            json!({}),
            400,
            "invalid_argument",
            "id: nothing is named; name a deployment or an event, or list them: ListDeployments, QueryEvents",
        ),
        (
            "ReefService/AssessPromotion",
            json!({ "service_id": "api" }),
            400,
            "invalid_argument",
            "version: no version is named; name the version",
        ),
        (
            "ReefService/AssessPromotion",
            promotion("v2.2.1"),
            404,
            "not_found",
            "version: api v2.2.1 has never been deployed; did you mean one of: v2.2.0, v2.1.0?",
        ),
        (
            "ReefLLM/AnalyzeDeployment",
            json!({ "deployment_id": "deploy-abc124" }),
            404,
            "not_found",
            "deployment_id: there is no deployment \"deploy-abc124\"; did you mean \"deploy-abc123\"?; list them: coral reef deployments",
        ),
        (
            "ReefLLM/CompareEnvironments",
            json!({ "environment_a": "prodution", "environment_b": "staging" }),
            404,
            "not_found",
            "environment_a: there is no environment \"prodution\"; did you mean \"production\"?",
        ),
        (
            "ReefLLM/CompareEnvironments",
            json!({ "environment_a": "production" }),
            400,
            "invalid_argument",
            "environment_b: no environment is named; name two",
        ),
        (
            "ReefLLM/CompareEnvironments",
            json!({ "environment_a": "production", "environment_b": "staging", "metric": "latncy" }),
            404,
            "not_found",
            "metric: no metric \"latncy\" was observed on both sides in the window; did you mean \"latency\"?",
        ),
        (
            "ReefLLM/CompareEnvironments",
            json!({ "environment_a": "production", "environment_b": "staging", "time_window": "abc" }),
            400,
            "invalid_argument",
            "time_window: \"abc\" is not a duration; write for example 90s, 15m, 2h15m, 30d or 1y; the usual ones are 1h, 24h and 7d",
        ),
        (
            "ReefLLM/CompareEnvironments",
            json!({ "reef_id": "other" }),
            404,
            "not_found",
            "reef_id: there is no reef \"other\" here; this one is \"my-reef\"; leave reef_id empty",
        ),
    ] {
        let answer = opened.json(&format!("coral.reef.v1.{method}"), &request).await;
        assert_eq!(answer.status, status, "{method} {request}: {}", answer.text());
        assert_eq!(answer.value(), json!({ "code": code, "message": message }), "{method} {request}");
    }
    let large = json!({ "environment": "x".repeat(REQUEST_MAX) });
    let large = opened.json(&format!("{REEF}/GetHealth"), &large).await;
    assert_eq!((large.status, &large.value()["code"]), (429, &json!("resource_exhausted")));
}

#[tokio::test]
async fn a_request_that_reaches_no_method_is_told_what_to_send() {
    let opened = open().await;
    let json_type: &[(&str, &str)] = &[("content-type", "application/json")];
    let post = "send a JSON object by POST: curl -H 'content-type: application/json' -d '{}' …";
    for (verb, path, headers, body, status, message) in [
        (
            "POST",
            format!("/{REEF}/GetStats"),
            json_type,
            "{}",
            501,
            format!("{REEF} has no method GetStats; did you mean \"GetStatus\"?"),
        ),
        (
            "GET",
            format!("/{REEF}/GetStatus"),
            &[],
            "",
            400,
            format!("a GET without a query says nothing; {post}/{REEF}/GetStatus"),
        ),
        (
            "POST",
            format!("/{REEF}/GetStatus"),
            &[],
            "{}",
            415,
            format!("no content type is not served; {post}/{REEF}/GetStatus"),
        ),
        (
            "POST",
            format!("/{REEF}/GetStatus"),
            &[("content-type", "text/plain")],
            "{}",
            415,
            format!("the content type \"text/plain\" is not served; {post}/{REEF}/GetStatus"),
        ),
        (
            "PUT",
            format!("/{REEF}/GetStatus"),
            json_type,
            "{}",
            405,
            format!("PUT is not served; {post}/{REEF}/GetStatus"),
        ),
    ] {
        let answer = opened.send(verb, &path, headers, body.as_bytes()).await;
        assert_eq!((answer.status, &answer.value()["message"]), (status, &json!(message)), "{verb} {path}");
    }
    let types = [("content-type", "application/grpc-web+proto")];
    let of_grpc = opened.send("POST", &format!("/{REEF}/GetStats"), &types, &[0; 5]).await;
    assert_eq!(of_grpc.status, 200);
    assert!(of_grpc.head.contains("grpc-status: 12") || of_grpc.frames().1.contains("12"), "{}", of_grpc.head);
}

#[tokio::test]
async fn roles_bound_what_a_caller_may_ask_and_a_probe_needs_none() {
    let denied = crate::access::Denied {
        kind: crate::access::DeniedKind::Unauthenticated,
        message: "this reef answers only to a token".to_owned(),
        hint: "send a token",
    };
    let readonly = open_for(Caller(Ok(Role::Readonly))).await;
    let analyst = open_for(Caller(Ok(Role::Analyst))).await;
    let stranger = open_for(Caller(Err(denied))).await;
    let code = async |opened: &Opened, method: &str| {
        let answer = opened.json(method, &json!({})).await;
        let code = answer.value()["code"].as_str().unwrap_or("ok").to_owned();
        (answer.status, code)
    };
    let (status, analyze) = (format!("{REEF}/GetStatus"), format!("{LLM}/Analyze"));
    assert_eq!(code(&readonly, &status).await, (200, "ok".to_owned()));
    assert_eq!(code(&readonly, &analyze).await, (403, "permission_denied".to_owned()));
    assert_eq!(code(&analyst, &analyze).await, (400, "invalid_argument".to_owned()), "it may ask, and asks nothing");
    // a stream says so in its last piece
    let streamed = async |opened: &Opened, path: &str| {
        let types = [("content-type", "application/connect+json")];
        opened.send("POST", path, &types, &client::envelope(b"{}")).await.text()
    };
    let stream = format!("/{LLM}/StreamAnalysis");
    for method in METHODS.iter().filter(|method| method.path != stream) {
        let answer = stranger.json(method.path.trim_start_matches('/'), &json!({})).await;
        assert_eq!(answer.status, 401, "{}: {}", method.path, answer.text());
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    let reflection = ["v1", "v1alpha"].map(|it| format!("/grpc.reflection.{it}.ServerReflection/ServerReflectionInfo"));
    for path in reflection.iter().chain([&stream]) {
        let answer = streamed(&stranger, path).await;
        assert!(answer.contains("\"code\":\"unauthenticated\""), "{path}: {answer}");
    }
    let refused = streamed(&readonly, &stream).await;
    assert!(refused.contains("\"code\":\"permission_denied\""), "{refused}");
    let permitted = streamed(&analyst, &stream).await;
    assert!(permitted.contains("\"code\":\"invalid_argument\""), "{permitted}");
    let health = ask(&stranger, "grpc.health.v1.Health/Check", json!({})).await;
    assert_eq!(health["status"], "SERVING");
    let named = ask(&stranger, "grpc.health.v1.Health/Check", json!({ "service": REEF })).await;
    assert_eq!(named["status"], "SERVING");
}

#[tokio::test]
async fn connect_by_get_and_grpc_web_and_reflection_answer_on_the_same_paths() {
    let opened = open().await;
    let message = "%7B%22environment_a%22%3A%22prod%22%2C%22environment_b%22%3A%22stage%22%7D";
    let path = format!("/{LLM}/CompareEnvironments?connect=v1&encoding=json&message={message}");
    let got = opened.send("GET", &path, &[], b"").await;
    assert_eq!((got.status, &got.value()["environment_a"]), (200, &json!("production")), "{}", got.text());
    let analyze =
        opened.send("GET", &format!("/{LLM}/Analyze?connect=v1&encoding=json&message=%7B%7D"), &[], b"").await;
    assert_eq!(analyze.status, 405, "what spends tokens is no GET");

    // an empty message in a frame of gRPC
    let framed = [0_u8; 5];
    let types = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    let web = opened.send("POST", &format!("/{REEF}/GetStatus"), &types, &framed).await;
    let (frames, trailers) = web.frames();
    assert_eq!((web.status, frames.len()), (200, 1));
    let status: wire::GetStatusResponse = buffa::Message::decode_from_slice(&frames[0]).unwrap();
    assert_eq!((status.reef_id.as_str(), status.colonies.len()), ("my-reef", 2));
    assert!(trailers.contains("grpc-status:0") || trailers.contains("grpc-status: 0"), "{trailers}");

    let body = client::envelope(br#"{"listServices":""}"#);
    let types = [("content-type", "application/connect+json"), ("connect-protocol-version", "1")];
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let reflected = opened.send("POST", path, &types, &body).await;
    let names = [LLM, REEF, "grpc.reflection.v1.ServerReflection", "grpc.health.v1.Health"];
    for name in names {
        assert!(reflected.text().contains(name), "{name}: {}", reflected.text());
    }
    // what it names it can describe
    for name in names {
        let body = client::envelope(json!({ "fileContainingSymbol": name }).to_string().as_bytes());
        let described = opened.send("POST", path, &types, &body).await;
        assert!(described.text().contains("fileDescriptorProto"), "{name}: {}", described.text());
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call_that_waits_for_its_store() {
    // a run whose store does not come
    let (reef, options, _announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    options.progress.send_replace(Progress { phase: Phase::Running, ..Progress::default() });
    let router = router(Served::new(Reading::Run(reef), scope(), ADDRESS)).layer(Extension(Caller(Ok(Role::Admin))));
    let opened = Opened::of(router).await;
    let types = [("content-type", "application/json"), ("connect-timeout-ms", "50")];
    let late = opened.send("POST", &format!("/{REEF}/GetHealth"), &types, b"{}").await;
    assert_eq!((late.status, &late.value()["code"]), (504, &json!("deadline_exceeded")));
    drop(_announcer);
    let closed = opened.json(&format!("{REEF}/GetHealth"), &json!({})).await;
    assert_eq!((closed.status, &closed.value()["code"]), (503, &json!("unavailable")), "{}", closed.text());
}

#[tokio::test]
async fn a_run_that_opens_its_store_says_so_at_once() {
    let (reef, options, _announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    options.progress.send_replace(Progress { phase: Phase::Restoring, ..Progress::default() });
    let router = router(Served::new(Reading::Run(reef), scope(), ADDRESS)).layer(Extension(Caller(Ok(Role::Admin))));
    let opened = Opened::of(router).await;
    assert_eq!(ask(&opened, &format!("{REEF}/GetStatus"), json!({})).await["state"], "restoring");
    let health = opened.json(&format!("{REEF}/GetHealth"), &json!({})).await;
    assert_eq!((health.status, &health.value()["code"]), (503, &json!("unavailable")));
    assert!(health.text().contains("being opened"), "{}", health.text());
}

#[tokio::test]
async fn while_the_windows_are_rebuilt_questions_are_answered_from_what_is_stored() {
    let (reef, options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    let store = store().await;
    announcer.open(store.reader()).await.unwrap();
    options.progress.send_replace(Progress { phase: Phase::Restoring, ..Progress::default() });
    let router = router(Served::new(Reading::Run(reef), scope(), ADDRESS)).layer(Extension(Caller(Ok(Role::Admin))));
    let opened = Opened::of(router).await;
    let status = ask(&opened, &format!("{REEF}/GetStatus"), json!({})).await;
    assert_eq!((&status["state"], status["colonies"].as_array().unwrap().len()), (&json!("restoring"), 2));
    let stored = open().await;
    for method in ["GetHealth", "ListDeployments", "ListCorrelations"] {
        let method = format!("{REEF}/{method}");
        assert_eq!(ask(&opened, &method, json!({})).await, ask(&stored, &method, json!({})).await, "{method}");
    }
}
