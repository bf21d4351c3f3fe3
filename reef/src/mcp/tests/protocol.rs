//! The protocol: the list of tools, errors, and clients of both eras.

use super::client::{Client, connect, connect_with_all, here};
use crate::access::Who;
use crate::analysis::AnalyzeQuestion;
use crate::answers::tests::store;
use crate::answers::{Question, Scope};
use crate::mcp::asking::{Asking, Asks};
use crate::mcp::groups::Groups;
use crate::mcp::server::Server;
use crate::mcp::stdio::serve_over;
use rmcp::model::Tool;
use rmcp::service::ServiceError;
use serde_json::{Value, json};
use sinks::StoreWriter;
use sinks::memory::MemoryStore;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

/// Bytes of the list of tools: 5,000 tokens of four.
const LIST_MAX: usize = 20_000;

#[tokio::test]
async fn the_tools_are_few_read_only_ordered_and_short() {
    let listed = connect().await.listed().await;
    let names: Vec<&str> = listed.tools.iter().map(|tool| &*tool.name).collect();
    let expected = [
        "reef_list_colonies",
        "reef_get_status",
        "reef_list_services",
        "reef_query_metrics",
        "reef_query_events",
        "reef_compare_environments",
        "reef_list_deployments",
        "reef_get_deployment_impact",
        "reef_list_correlations",
        "reef_explain_correlation",
        "reef_list_predictions",
        "reef_get_topology",
    ];
    assert_eq!(names, expected);
    assert!(names.len() <= 12);
    let listed = serde_json::to_value(&listed).unwrap();
    assert_eq!((&listed["ttlMs"], &listed["cacheScope"]), (&json!(300_000), &json!("private")));
    for tool in listed["tools"].as_array().unwrap() {
        let hints = json!({
            "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
        });
        assert_eq!(tool["annotations"], hints, "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert!(!tool.to_string().contains("[\"string\",\"null\"]"), "some clients refuse it: {tool}");
    }
    let size = listed["tools"].to_string().len();
    eprintln!("{} tools: {size} bytes, about {} tokens", names.len(), size / 4);
    assert!(size <= LIST_MAX, "{size} bytes");
}

#[tokio::test]
async fn common_arguments_are_the_same_for_every_tool() {
    let mut known = std::collections::BTreeMap::new();
    for tool in connect().await.tools().await {
        let tool = serde_json::to_value(tool).unwrap();
        for (name, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
            let kind = schema["type"].clone();
            assert_eq!(known.entry(name.clone()).or_insert_with(|| kind.clone()), &kind, "{}: {name}", tool["name"]);
        }
        for name in ["reef", "limit", "cursor"] {
            assert!(tool["inputSchema"]["properties"].get(name).is_some(), "{} has no {name}", tool["name"]);
        }
    }
}

#[tokio::test]
async fn an_unknown_tool_is_an_error_of_the_protocol() {
    let error = connect().await.try_call("reef_drop_tables", json!({})).await.unwrap_err();
    let ServiceError::McpError(error) = error else { panic!("{error}") };
    assert_eq!(error.code.0, -32602);
    assert!(error.message.starts_with("there is no tool \"reef_drop_tables\"; there are: reef_list_colonies, "));
}

#[tokio::test]
async fn optional_tools_are_listed_after_the_others_and_offered_only_where_they_are_switched_on() {
    let usual: Vec<Tool> = connect().await.tools().await;
    let with_all = connect_with_all().await.tools().await;
    let (first, optional) = with_all.split_at(usual.len());
    assert_eq!(first, usual);
    assert_eq!(optional.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["reef_analyze", "reef_query_sql"]);
    for tool in optional {
        let tool = serde_json::to_value(tool).unwrap();
        assert_eq!(
            (&tool["annotations"]["readOnlyHint"], &tool["annotations"]["destructiveHint"]),
            (&json!(true), &json!(false))
        );
        assert!(
            tool["annotations"]["openWorldHint"].is_boolean() && tool["annotations"]["idempotentHint"].is_boolean()
        );
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
    }
    for (name, group) in [("reef_analyze", "analyze"), ("reef_query_sql", "sql")] {
        let error = connect().await.try_call(name, json!({})).await.unwrap_err();
        let ServiceError::McpError(error) = error else { panic!("{error}") };
        let message =
            format!("{name} is switched off; api.mcp_groups = [{group:?}] in the reef's configuration switches it on");
        assert_eq!((error.code.0, &*error.message), (-32602, message.as_str()));
    }
}

/// Lines in, lines out.
struct Lines {
    ours: BufReader<DuplexStream>,
    _kept: MemoryStore,
}

impl Lines {
    async fn open() -> Lines {
        let store = store().await;
        let asks: Arc<dyn Asks> = Arc::new(here(store.reader()));
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(async move { serve_over(Server::new(asks, Groups::default()), reader, writer).await });
        Lines { ours: BufReader::new(ours), _kept: store }
    }

    async fn send(&mut self, message: Value) {
        self.ours.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, message: Value) -> Value {
        self.send(message).await;
        let mut line = String::new();
        self.ours.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// What each request of the newer era carries.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

#[tokio::test]
async fn clients_of_both_eras_list_and_call_tools() {
    let mut older = Lines::open().await;
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    });
    let answer = older.ask(request(1, "initialize", hello)).await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
    assert_eq!(answer["result"]["serverInfo"]["name"], "coral-reef");
    older.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    let answer = older.ask(request(2, "tools/list", json!({}))).await;
    assert_eq!(answer["result"]["tools"][0]["name"], "reef_list_colonies", "{answer}");
    let call = json!({ "name": "reef_list_colonies", "arguments": {} });
    let answer = older.ask(request(3, "tools/call", call.clone())).await;
    assert_eq!(answer["result"]["structuredContent"]["total"], 2, "{answer}");
    assert_eq!(answer["result"].get("resultType"), None, "{answer}");

    let mut newer = Lines::open().await;
    let answer = newer.ask(request(1, "server/discover", json!({ "_meta": meta() }))).await;
    let versions = answer["result"]["supportedVersions"].as_array().cloned().unwrap_or_default();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")), "{answer}");
    let mut call = call;
    call["_meta"] = meta();
    let answer = newer.ask(request(2, "tools/call", call)).await;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    assert_eq!(answer["result"]["structuredContent"]["total"], 2, "{answer}");
    let answer = newer.ask(request(3, "no/such", json!({ "_meta": meta() }))).await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
}

/// Panics when it is asked.
struct Faulty;

impl Asks for Faulty {
    fn ask<'a>(&'a self, _reef: Option<&'a str>, question: Question) -> Asking<'a> {
        Box::pin(async move {
            let store = MemoryStore::new();
            let reader = store.reader();
            match question {
                Question::Status(_) => panic!("planted"),
                question => Ok(crate::mcp::asking::Told {
                    text: question.answer(reader.as_ref(), &Scope::default()).await.unwrap().text(),
                    document: json!({}),
                }),
            }
        })
    }

    fn analyze<'a>(&'a self, _reef: Option<&'a str>, _question: AnalyzeQuestion, _who: &'a Who) -> Asking<'a> {
        Box::pin(async { panic!("planted") })
    }

    fn select<'a>(&'a self, _reef: Option<&'a str>, _question: crate::sql::SqlQuestion) -> Asking<'a> {
        Box::pin(async { panic!("planted") })
    }
}

#[tokio::test]
async fn a_fault_ends_one_call_only() {
    let client = Client::of(Arc::new(Faulty)).await;
    let refusal = client.refusal("reef_get_status", json!({})).await;
    assert!(refusal.starts_with("this call of reef_get_status hit a fault in the reef (fault-"), "{refusal}");
    let answer = client.structured("reef_list_colonies", json!({})).await;
    assert_eq!(answer["items"], json!([]));
}
