//! docs/replay.md: every command on the page is run, in the order of the page, on a reef that has recorded a fleet.

use crate::support::{json, program};
use std::path::Path;
use std::process::Command;

/// A fence that a test can run; commands that need a broker stand in ```` ```sh broker ````.
const FENCE: &str = "```sh";
const BROKER: &str = "```sh broker";

/// The commands of the page's fences with this head, continuation lines joined.
fn commands(page: &str, fence: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() != fence {
            continue;
        }
        let body: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        let joined = body.join("\n").replace("\\\n", " ");
        commands.extend(joined.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()));
    }
    commands
}

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/replay.md")).unwrap()
}

#[test]
fn every_command_of_the_page_works() {
    let folder = tempfile::tempdir().unwrap();
    let mut generate = Command::new(program("coral-pipeline"));
    generate.args(["generate", "--seed", "7", "--colonies", "4", "--days", "20", "--json", "--out"]);
    json(&generate.arg(folder.path()).output().unwrap());

    let programs = Path::new(program("coral-pipeline")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let page = page();
    let commands = commands(&page, FENCE);
    assert!(commands.len() >= 8, "the page's commands are found: {commands:?}");
    for command in commands {
        let output = Command::new("bash")
            .args(["-ec", &command])
            .current_dir(folder.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{command}\nexit {:?}\n{}\n{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn commands_that_need_a_broker_are_set_apart() {
    let page = page();
    let of_broker = commands(&page, BROKER);
    assert!(!of_broker.is_empty(), "a replay from Kafka is on the page");
    assert!(of_broker.iter().all(|command| command.contains("kafka")), "{of_broker:?}");
    assert!(commands(&page, FENCE).iter().all(|command| !command.contains("kafka")));
}
