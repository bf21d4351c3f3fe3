//! The same questions to the real programs: the command line, the RPC and the tools of MCP have the same facts.

use super::{ask, fleet, on_duckdb_with, unread};
use crate::services::Serving;
use serde_json::{Value, json};

/// Facts of the process that answers: a stopped reef has none.
const OF_THE_PROCESS: [&str; 4] = ["state", "uptime_seconds", "api_url", "dashboard_url"];
/// Each face has parts of its own.
const PAGING: [&str; 3] = ["total", "truncated", "next_cursor"];

/// One question.
struct Same {
    /// To the command line.
    line: String,
    /// To the RPC.
    method: &'static str,
    request: Value,
    /// To the tool, where there is one, with the list of the response that its items are.
    tool: Option<(&'static str, Value, &'static str)>,
}

fn same() -> Vec<Same> {
    let id = fleet::from_staging_to_production().correlation.key.correlation_id();
    let all = || json!({ "limit": 200 });
    let case = |line: &str, method, request, tool| Same { line: line.to_owned(), method, request, tool };
    vec![
        case("status", "ReefService/GetStatus", json!({}), Some(("reef_get_status", all(), "colonies"))),
        case("health", "ReefService/GetHealth", all(), None),
        case(
            "compare production staging --metric latency",
            "ReefLLM/CompareEnvironments",
            json!({ "environment_a": "production", "environment_b": "staging", "metric": "latency" }),
            Some((
                "reef_compare_environments",
                json!({ "environments": ["production", "staging"], "metric": "latency" }),
                "differences",
            )),
        ),
        case(
            "deployments --environment production --limit 200",
            "ReefService/ListDeployments",
            json!({ "environment": "production", "limit": 200 }),
            Some(("reef_list_deployments", json!({ "environments": ["production"], "limit": 200 }), "deployments")),
        ),
        case(
            "deployments --order effect --limit 200",
            "ReefService/ListDeployments",
            json!({ "order": "effect", "limit": 200 }),
            Some(("reef_list_deployments", json!({ "order": "effect", "limit": 200 }), "deployments")),
        ),
        case(
            "deployment web-310",
            "ReefLLM/AnalyzeDeployment",
            json!({ "deployment_id": "web-310" }),
            Some(("reef_get_deployment_impact", json!({ "deployment_id": "web-310" }), "impact/changes")),
        ),
        case("versions", "ReefService/ListVersions", all(), Some(("reef_list_services", all(), "services"))),
        case("topology", "ReefService/GetTopology", all(), Some(("reef_get_topology", all(), "services"))),
        case(
            "correlations --state all --limit 200",
            "ReefService/ListCorrelations",
            json!({ "state": "all", "limit": 200 }),
            Some(("reef_list_correlations", json!({ "state": "all", "limit": 200 }), "correlations")),
        ),
        case(
            &format!("correlation {id}"),
            "ReefService/GetCorrelation",
            json!({ "correlation_id": id }),
            Some(("reef_explain_correlation", json!({ "correlation_id": id, "limit": 200 }), "evidence")),
        ),
        case(
            "predictions --outcome all --limit 200",
            "ReefService/ListPredictions",
            json!({ "outcome": "all", "limit": 200 }),
            Some(("reef_list_predictions", json!({ "outcome": "all", "limit": 200 }), "predictions")),
        ),
    ]
}

#[test]
fn the_command_line_the_rpc_and_the_tools_have_the_same_facts() {
    let reef = on_duckdb_with(&(unread() + "[api]\nlisten = \"127.0.0.1:0\"\n"));
    let cases = same();
    let by_command: Vec<Value> = cases.iter().map(|case| ask(&reef, &case.line).json).collect();
    let serving = Serving::start("serve", &reef);
    let mut items = 0;
    for (Same { line, method, request, tool }, by_command) in cases.into_iter().zip(by_command) {
        let by_rpc: Value = serde_json::from_str(&serving.call(method, &request)).unwrap();
        let mut facts = by_rpc.as_object().unwrap().clone();
        facts.retain(|field, _| !PAGING.contains(&field.as_str()));
        if line == "status" {
            facts.retain(|field, _| !OF_THE_PROCESS.contains(&field.as_str()));
        }
        assert!(!facts.is_empty(), "{line}: {by_rpc}");
        for (field, value) in &facts {
            assert_eq!(&by_command[field], value, "{line}: {field}");
        }
        let Some((tool, arguments, list)) = tool else { continue };
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments },
        });
        let answer: Value = serde_json::from_str(&serving.post("/mcp", &call)).unwrap();
        let by_tool = &answer["result"]["structuredContent"];
        let listed = match list.split_once('/') {
            None => facts.remove(list),
            Some((outer, list)) => facts[outer].as_object_mut().unwrap().remove(list),
        };
        let listed = listed.unwrap_or_else(|| panic!("{tool}: {by_rpc}"));
        items += listed.as_array().unwrap().len();
        assert_eq!(by_tool["items"], listed, "{tool}: {answer}");
        // a tool says this in fewer words
        let completeness = facts.remove("completeness").unwrap();
        for colony in completeness["colonies"].as_array().unwrap() {
            let id = colony["colony_id"].as_str().unwrap();
            assert_eq!(by_tool["complete_to"][id], colony["complete_to"], "{tool}: {id}");
        }
        for (field, value) in &facts {
            assert_eq!(&by_tool[field], value, "{tool}: {field}");
        }
    }
    assert!(items > 15, "{items} items are compared");
    serving.stop();
}
