//! README.md: its commands for files and live colonies run unchanged and lead to patterns.

use crate::support::page::{self, Background, run};
use crate::support::{json, program};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The bodies of the README's fences of a language, in order.
fn fences(language: &str) -> Vec<String> {
    page::fences(&page::read("README.md"), language)
}

/// The commands of the one console block that holds `mark`, without remarks.
fn commands(mark: &str) -> Vec<String> {
    let blocks = fences("console");
    let block = blocks.iter().find(|block| block.contains(mark)).unwrap_or_else(|| panic!("no block with {mark}"));
    page::commands(block)
}

/// Writes the configuration that names itself in its first line.
fn write_config(folder: &Path, name: &str, change: impl Fn(&str) -> String) {
    let all = fences("toml");
    let text = all.iter().find(|text| text.starts_with(&format!("# {name}\n"))).unwrap();
    std::fs::write(folder.join(name), change(text)).unwrap();
}

#[test]
fn files_are_read_as_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let help = json(&Command::new(program("coral-pipeline")).args(["help", "records", "--json"]).output().unwrap());
    let tables = fences("csv");
    for (name, kind, text) in [("events.csv", "events", &tables[0]), ("metrics.csv", "metrics", &tables[1])] {
        assert_eq!(help[kind]["csv"].as_str().unwrap(), text, "the page and `help records` show the same rows");
        std::fs::write(folder.join(name), text).unwrap();
    }
    write_config(folder, "reef.toml", str::to_owned);
    for line in commands("coral-pipeline run reef.toml") {
        run(folder, &line);
    }
    let report: Value = serde_json::from_slice(&run(folder, "coral-pipeline report reef.toml --json").stdout).unwrap();
    assert_eq!(report["report"]["totals"]["rows"]["federated_events"], 3);
    assert_eq!(report["report"]["totals"]["rejects"], serde_json::json!({}));
}

#[test]
fn live_colonies_lead_to_a_pattern_that_can_be_looked_at_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (staging, production) = (free(), free());
    let change = |text: &str| {
        text.replace("127.0.0.1:9000", &format!("127.0.0.1:{staging}"))
            .replace("127.0.0.1:9010", &format!("127.0.0.1:{production}"))
    };
    write_config(folder, "live.toml", change);
    for line in commands("coral-pipeline generate --out fleet") {
        run(folder, &line);
    }
    let mut background = Vec::new();
    let lines = commands("coral-pipeline run live.toml");
    for line in lines.iter().map(|line| change(line)) {
        if line.starts_with("coral colony start") || line == "coral-pipeline run live.toml" {
            let mut process = Background::start(folder, &line);
            let first_line = process.line();
            background.push(process);
            let expected = if line.starts_with("coral colony") { "listening on" } else { "confirmed  " };
            assert!(first_line.starts_with(expected), "{line}: {first_line:?}");
        } else {
            run(folder, &line);
        }
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let report = loop {
        let report: Value =
            serde_json::from_slice(&run(folder, "coral-pipeline report live.toml --json").stdout).unwrap();
        if report["report"]["counts"]["confirmed"].as_u64().unwrap() > 0 || Instant::now() > deadline {
            break report;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    };
    assert!(report["running"]["pid"].is_u64(), "the running process answers: {report:#}");
    let id = report["report"]["confirmed"][0]["correlation_id"].as_str().unwrap();
    let rows = run(folder, &format!("coral-pipeline show {} live.toml", &id[..12]));
    assert!(String::from_utf8_lossy(&rows.stdout).contains("The rows behind it"), "{rows:?}");
}
