//! docs/clickhouse.md does what it says: its SQL runs on the engine, its configuration loads, its commands succeed.

use super::{coral_pipeline, files_source, json};
use crate::support::clickhouse::Server;
use crate::support::{Reef, program};
use std::process::Command;

/// Statements that a whole server understands and the embedded engine refuses to run; it parses them.
const NEED_A_SERVER: &[&str] =
    &["CREATE USER", "GRANT ", "BACKUP ", "RESTORE ", "CREATE DATABASE reef_replicated ENGINE = Replicated"];

/// The contents of the code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    text.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn page() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clickhouse.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_command_of_the_page_works() {
    let Some(server) = Server::start() else { return };
    let text = page();
    let sql = blocks(&text, "sql").join("\n");
    let statements: Vec<&str> = sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).collect();
    assert!(statements.len() >= 12, "{statements:?}");
    // the database first, then the program makes the tables, then everything else
    server.query("default", statements[0]);
    let storage = blocks(&text, "toml").remove(0).replace("port = 8123", &format!("port = {}", server.port()));
    let storage = storage.replace("user = \"reef_writer\"\npassword_env = \"REEF_CLICKHOUSE_PASSWORD\"\n", "");
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("e.ndjson");
    std::fs::write(&events, "").unwrap();
    let reef = Reef::with_storage(&files_source(&[&events], &[]), &storage);
    let commands = blocks(&text, "console").join("\n");
    assert_eq!(commands.lines().count(), 4, "{commands}");
    for command in commands.lines() {
        let words: Vec<&str> = command.strip_prefix("$ coral-pipeline ").unwrap().split(' ').collect();
        let words: Vec<&str> = words.into_iter().filter(|word| *word != "reef.toml").collect();
        json(&coral_pipeline(&words, &reef));
    }
    for statement in &statements[1..] {
        if NEED_A_SERVER.iter().any(|start| statement.starts_with(start)) {
            server.query("default", &format!("EXPLAIN AST {statement}"));
        } else {
            server.query("default", statement);
        }
    }
    let limits = server.query("default", statements.iter().find(|it| it.contains("create_table_query")).unwrap());
    assert!(limits.contains("federated_metrics\tTTL"), "{limits}");
}

#[test]
fn the_move_of_the_page_works() {
    let Some(server) = Server::start() else { return };
    let commands = blocks(&page(), "sh");
    assert_eq!(commands.len(), 1, "{commands:?}");
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("e.ndjson");
    std::fs::write(&events, "").unwrap();
    let reef = Reef::new(&files_source(&[&events], &[]));
    reef.run();
    let target = format!("default@127.0.0.1:{}/{}", server.port(), server.database());
    let command = commands[0]
        .replace(".coral/reef.duckdb", &reef.store().display().to_string())
        .replace("reef_writer@127.0.0.1:8123/reef", &target)
        .replace(" --password-env REEF_CLICKHOUSE_PASSWORD", "")
        .replace("\\\n", "");
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let moved = json(&Command::new(program("coral-pipeline")).args(words).arg("--json").output().unwrap());
    assert_eq!(moved["tables"].as_array().unwrap().len(), 15, "{moved:#}");
}

#[test]
fn every_configuration_of_the_page_loads() {
    for block in blocks(&page(), "toml") {
        let storage =
            if block.starts_with("[storage]") { block } else { format!("[storage]\ntype = \"clickhouse\"\n{block}") };
        let text = format!("reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n{storage}");
        let format = pipelines::config::Format::Toml;
        pipelines::config::parse(&text, format, std::path::Path::new("reef.toml")).unwrap();
    }
}
