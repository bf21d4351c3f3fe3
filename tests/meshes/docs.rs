//! docs/mesh.md: its commands run in order, each of them unchanged except for ports.

use crate::support::page::{self, Background, fences, run, shell};
use serde_json::Value;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

/// Starts a process of the page; for a daemon, waits for its first line.
fn start(folder: &Path, line: &str) -> Background {
    let mut process = Background::start(folder, line);
    if line.starts_with("coral ") {
        let said = process.line();
        assert!(said.starts_with("listening on"), "{line}: {said:?}");
    }
    process
}

#[test]
fn every_command_of_the_page_works_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let change = |text: &str| text.replace("0.0.0.0:41580", &format!("127.0.0.1:{udp}")).replace("18080", &tcp);
    let page = page::read("docs/mesh.md");
    let yaml: Vec<String> = fences(&page, "yaml").iter().map(|text| change(text)).collect();
    let mut background = Vec::new();
    let blocks = fences(&page, "console");
    let lines: Vec<String> = blocks.iter().flat_map(|block| page::commands(block)).map(|line| change(&line)).collect();
    assert!(lines.len() >= 17, "{lines:#?}");
    for line in &lines {
        let is_running = ["coral discovery start", "coral colony start", "coral-pipeline run"];
        if is_running.iter().any(|start| line.starts_with(start)) {
            background.push(start(folder, line));
            if line.starts_with("coral-pipeline run") {
                until_its_tunnel_is_up(folder);
            }
        } else {
            let output = run(folder, line);
            check(line, &String::from_utf8_lossy(&output.stdout));
        }
        if line.starts_with("coral colony init") {
            let file = folder.join("home/colonies/my-shop-production-a3f2e1.yaml");
            let identity = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, identity + &yaml[0]).unwrap();
            std::fs::write(folder.join("reef.yaml"), &yaml[1]).unwrap();
        }
    }
}

/// What the page says of a command.
fn check(line: &str, told: &str) {
    let has = |text: &str| assert!(told.contains(text), "{line}: {told}");
    match line {
        line if line.starts_with("coral colony status") => has("public key"),
        line if line.starts_with("coral reef add-colony") => has("✓ WireGuard tunnel established"),
        line if line.starts_with("coral reef ping") => has("this reef is 10.42.0.100"),
        line if line.starts_with("coral-pipeline validate") => has("admits this reef as 10.42.0.100"),
        line if line.starts_with("coral-pipeline report") => has("Mesh of my-shop-production-a3f2e1: up"),
        line if line.starts_with("coral colony peers") => has("my-infrastructure-reef-x7y8z9"),
        line if line.starts_with("coral colony secret list") => has("auditors"),
        line if line.starts_with("coral colony unpeer") => has("revoked my-infrastructure-reef-x7y8z9"),
        _ => {}
    }
}

/// The reef that was started last answers queries, and its tunnel is up.
fn until_its_tunnel_is_up(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let output = shell(folder, "coral-pipeline report reef.yaml --json").output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if report["running"]["mesh"][0]["state"] == "up" {
            return;
        }
        assert!(Instant::now() < deadline, "{report:#}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}
