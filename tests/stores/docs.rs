//! docs/clickhouse.md is correct: its SQL runs on the engine, its configuration loads, its commands succeed.

use super::{coral_pipeline, files_source, json, refused};
use crate::crash::{body_over, input_in};
use crate::support::clickhouse::Server;
use crate::support::page::{self, fences};
use crate::support::tables::{assert_equal, tables_in};
use crate::support::{Reef, program};
use std::path::Path;
use std::process::Command;

/// Statements that the embedded engine refuses: it stores no users (those of its configuration are fixed), and has no
/// Keeper. It parses them. The rights of the page are still tested: [`the_rights_of_the_page_are_enough`].
const NEED_A_SERVER: &[&str] = &["CREATE USER", "GRANT ", "CREATE DATABASE reef_replicated ENGINE = Replicated"];

/// A disk for backups, as a server's administrator configures one.
const WITH_BACKUPS: &str = "<clickhouse>
  <storage_configuration><disks><backups><type>local</type><path>FOLDER/backups/</path></backups></disks>
  </storage_configuration>
  <backups><allowed_disk>backups</allowed_disk></backups>
</clickhouse>";

/// Users of a file, and the one user there is with certain rights.
const WITH_USERS: &str = "<clickhouse><user_directories><users_xml><path>FOLDER/users.xml</path></users_xml>
</user_directories></clickhouse>";
const USERS: &str = "<clickhouse><profiles><default/></profiles><quotas><default/></quotas>
  <users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
  <grants><query>RIGHTS</query></grants></default></users>
</clickhouse>";

fn page() -> String {
    page::read("docs/clickhouse.md")
}

fn statements(text: &str) -> Vec<String> {
    let sql = fences(text, "sql").join("\n");
    sql.split(";\n").map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

/// The reef of the page over some rows, on this server, as the user there is.
fn reef(text: &str, server: &Server, folder: &Path) -> Reef {
    let storage = fences(text, "toml").remove(0).replace("port = 8123", &format!("port = {}", server.port()));
    let storage = storage.replace("user = \"reef_writer\"\npassword_env = \"REEF_CLICKHOUSE_PASSWORD\"\n", "");
    Reef::with_storage(&body_over(&input_in(folder, 1)), &storage)
}

/// The commands of the page, which end with a run.
fn run_the_commands(text: &str, reef: &Reef) {
    let commands = fences(text, "console").join("\n");
    assert_eq!(commands.lines().count(), 4, "{commands}");
    for command in commands.lines() {
        let words: Vec<&str> = command.strip_prefix("$ coral-pipeline ").unwrap().split(' ').collect();
        let words: Vec<&str> = words.into_iter().filter(|word| *word != "reef.toml").collect();
        json(&coral_pipeline(&words, reef));
    }
}

#[test]
fn every_command_of_the_page_works() {
    let Some(mut server) = Server::start() else { return };
    server.restart_with(&[("config.xml", WITH_BACKUPS)]);
    let (text, folder) = (page(), tempfile::tempdir().unwrap());
    let statements = statements(&text);
    assert!(statements.len() >= 12, "{statements:?}");
    // the database first, then the program makes the tables, then everything else
    server.query("default", &statements[0]);
    let reef = reef(&text, &server, folder.path());
    run_the_commands(&text, &reef);
    let stored = tables_in(&server, "reef");
    assert!(stored["correlations"].contains("confirmed") && stored["correlation_evidence"].lines().count() > 10);
    let mut were_restored = false;
    for statement in &statements[1..] {
        if NEED_A_SERVER.iter().any(|start| statement.starts_with(start)) {
            server.query("default", &format!("EXPLAIN AST {statement}"));
            continue;
        }
        let is_restore = statement.starts_with("RESTORE ");
        if is_restore {
            server.query("default", "DROP DATABASE reef SYNC");
        }
        server.query("default", statement);
        if is_restore {
            were_restored = true;
            assert_equal(&tables_in(&server, "reef"), &stored, "restored");
        }
    }
    assert!(were_restored);
    let limits = server.query("default", statements.iter().find(|it| it.contains("create_table_query")).unwrap());
    assert!(limits.contains("federated_metrics\tTTL"), "{limits}");
    // the last statement of the page deletes the positions: the same rows are read again and change nothing
    assert!(tables_in(&server, "reef")["source_positions"].is_empty());
    reef.run();
    assert_equal(&tables_in(&server, "reef"), &stored, "read again after the backup came back");
}

#[test]
fn the_rights_of_the_page_are_enough() {
    let Some(mut server) = Server::start() else { return };
    let (text, folder) = (page(), tempfile::tempdir().unwrap());
    let statements = statements(&text);
    server.query("default", &statements[0]);
    server.query("default", "CREATE DATABASE another");
    let rights = statements.iter().find(|it| it.starts_with("GRANT SELECT")).unwrap();
    let rights = rights.strip_suffix(" TO reef_writer").unwrap();
    server.restart_with(&[("config.xml", WITH_USERS), ("users.xml", &USERS.replace("RIGHTS", rights))]);
    run_the_commands(&text, &reef(&text, &server, folder.path()));
    assert!(tables_in(&server, "reef")["correlations"].contains("confirmed"));
    for beyond in ["DROP TABLE reef.correlations", "CREATE TABLE another.t (a UInt8) ENGINE = Memory"] {
        assert!(server.try_query("reef", beyond).unwrap_err().contains("ACCESS_DENIED"), "{beyond}");
    }
    // without one of them, the check names it
    let fewer = rights.replace("INSERT, ", "");
    server.restart_with(&[("config.xml", WITH_USERS), ("users.xml", &USERS.replace("RIGHTS", &fewer))]);
    let error = refused(&coral_pipeline(&["validate"], &reef(&text, &server, folder.path())));
    assert!(error.contains("lacks rights: GRANT INSERT"), "{error}");
}

#[test]
fn the_move_of_the_page_works() {
    let Some(server) = Server::start() else { return };
    let commands = fences(&page(), "sh");
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
    assert_eq!(moved["tables"].as_array().unwrap().len(), 22, "{moved:#}");
}

#[test]
fn every_configuration_of_the_page_loads() {
    for block in fences(&page(), "toml") {
        let storage =
            if block.starts_with("[storage]") { block } else { format!("[storage]\ntype = \"clickhouse\"\n{block}") };
        let text = format!("reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n{storage}");
        let format = pipelines::config::Format::Toml;
        pipelines::config::parse(&text, format, Path::new("reef.toml")).unwrap();
    }
}
