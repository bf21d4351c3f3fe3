//! docs/replay.md: every command on the page is run, in the order of the page, on a reef that has recorded a fleet.

use crate::kafka::unique;
use crate::support::{json, program};
use std::path::Path;
use std::process::Command;

/// A fence that a test can run; commands that need a broker are in ```` ```sh broker ````.
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

/// Runs the page's commands with this fence, in a folder where a fleet has been generated.
fn run_commands(folder: &Path, page: &str, fence: &str) {
    let programs = Path::new(program("coral-pipeline")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let commands = commands(page, fence);
    assert!(commands.len() >= 4, "the page's commands are found: {commands:?}");
    for command in commands {
        let mut shell = Command::new("bash");
        let output = shell.args(["-ec", &command]).current_dir(folder).env("PATH", &path).output().unwrap();
        assert!(
            output.status.success(),
            "{command}\nexit {:?}\n{}\n{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn fleet() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut generate = Command::new(program("coral-pipeline"));
    generate.args(["generate", "--seed", "7", "--colonies", "4", "--days", "20", "--json", "--out"]);
    json(&generate.arg(folder.path()).output().unwrap());
    folder
}

#[test]
fn every_command_of_the_page_works() {
    let folder = fleet();
    run_commands(folder.path(), &page(), FENCE);
}

#[test]
fn every_command_of_the_page_that_needs_a_broker_works() {
    let Some(brokers) = crate::kafka::broker::shared() else { return };
    let folder = fleet();
    let page = page().replace("localhost:9092", brokers).replace("coral.metrics", &unique("metrics"));
    let page = page.replace("coral.events", &unique("events"));
    let config = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    std::fs::write(folder.path().join("recorded.toml"), config).unwrap();
    run_commands(folder.path(), &page, BROKER);
}
