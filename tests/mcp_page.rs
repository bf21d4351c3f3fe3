//! docs/mcp.md: every client configuration on the page is started or called, and answers as the page says.

use crate::api_page::{ADDRESS, Fence, fences, holds, serving, shell};
use crate::support::{Reef, program};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const PAGE: &str = "docs/mcp.md";

/// The servers of a configuration.
fn servers(fence: &Fence) -> Vec<Value> {
    let Ok(config) = serde_json::from_str::<Value>(&fence.body) else { return Vec::new() };
    ["mcpServers", "servers"]
        .iter()
        .filter_map(|key| config[*key].as_object())
        .flat_map(|servers| servers.values().cloned())
        .collect()
}

/// The names of the tools that a server lists which is started as its client would.
fn listed(server: &Value, home: &Path) -> Vec<String> {
    let programs = Path::new(program("coral")).parent().unwrap();
    let mut command = Command::new(programs.join(server["command"].as_str().unwrap()));
    let args = server["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    command.args(args).env("CORAL_HOME", home).env_remove("CORAL_REEF").current_dir(home);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stdin = child.stdin.take().unwrap();
    let client = json!({ "name": "test", "version": "1" });
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
            "name": "reef_list_deployments", "arguments": { "environments": ["production"], "status": "failed" } } }),
    ] {
        writeln!(stdin, "{message}").unwrap();
    }
    let mut answer = |id: u64| -> Value {
        let line = lines.next().unwrap().unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(answer["id"], id, "{answer}");
        answer["result"].clone()
    };
    answer(1);
    let tools = answer(2)["tools"].as_array().unwrap().clone();
    let failed = answer(3);
    assert_eq!(failed["structuredContent"]["items"][0]["deployment_id"], "p5", "{failed}");
    drop(stdin);
    assert!(child.wait().unwrap().success(), "it ends when its client does");
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// The folder of a user who has the reef under the name on the page.
fn home_of(reef: &Reef, folder: &Path) -> std::path::PathBuf {
    let text = std::fs::read_to_string(reef.config()).unwrap();
    let store = format!("{:?}", reef.store().to_str().unwrap());
    let text = text.replace("\"reef.duckdb\"", &store).replace("name = \"test\"", "name = \"my-shop\"");
    let home = folder.join("home");
    std::fs::create_dir_all(home.join("reefs")).unwrap();
    std::fs::write(home.join("reefs/my-shop.toml"), text).unwrap();
    home
}

#[test]
fn every_configuration_of_the_page_works_and_its_call_answers_as_the_page_says() {
    if !Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED mcp_page::every_configuration_of_the_page_works: `curl` does not start");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (reef, serving) = serving(folder.path());
    let fences = fences(PAGE);
    let calls: Vec<usize> = (0..fences.len()).filter(|place| fences[*place].kind == "sh").collect();
    for place in &calls {
        let answer = shell(&fences[*place].body, &reef, serving.address());
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let part: Value = serde_json::from_str(&fences[place + 1].body).unwrap();
        assert!(holds(&answer, &part), "{answer:#}");
    }
    let all: Vec<Value> = fences.iter().flat_map(servers).collect();
    let by_url: Vec<&Value> = all.iter().filter(|server| server["url"].is_string()).collect();
    for server in &by_url {
        let url = server["url"].as_str().unwrap();
        assert!(url.contains(ADDRESS), "{url}");
        let list = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}"#;
        let headers = "-H 'content-type: application/json' -H 'accept: application/json, text/event-stream'";
        let answer = shell(&format!("curl -sf {url} {headers} -d '{list}'"), &reef, serving.address());
        assert!(answer.contains("reef_get_topology"), "{answer}");
    }
    serving.stop();
    let home = home_of(&reef, folder.path());
    let started: Vec<&Value> = all.iter().filter(|server| server["command"].is_string()).collect();
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    for server in &started {
        for tool in listed(server, &home) {
            assert!(page.contains(&format!("| `{tool}` |")), "the page does not have {tool}");
        }
    }
    assert_eq!((calls.len(), by_url.len(), started.len()), (1, 1, 2));
}
