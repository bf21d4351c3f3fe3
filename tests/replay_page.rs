//! docs/replay.md: every command on the page is run, in the order of the page, on a reef that has recorded a fleet.

use crate::kafka::unique;
use crate::support::page::{self, fences, run};
use crate::support::{json, program};
use std::path::Path;
use std::process::Command;

/// A fence that a test can run; commands that need a broker are in ```` ```sh broker ````.
const FENCE: &str = "sh";
const BROKER: &str = "sh broker";

/// The commands of the page's fences with this head, continuation lines joined.
fn commands(page: &str, fence: &str) -> Vec<String> {
    let bodies = fences(page, fence).concat().replace("\\\n", " ");
    bodies.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

fn page() -> String {
    page::read("docs/replay.md")
}

/// Runs the page's commands with this fence, in a folder where a fleet has been generated.
fn run_commands(folder: &Path, page: &str, fence: &str) {
    let commands = commands(page, fence);
    assert!(commands.len() >= 4, "the page's commands are found: {commands:?}");
    for command in commands {
        run(folder, &command);
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
    let config = fences(&page, "toml").remove(0);
    std::fs::write(folder.path().join("recorded.toml"), config).unwrap();
    run_commands(folder.path(), &page, BROKER);
}
