//! `coral-pipeline copy`: a reef moves, interrupted or not, and both stores hold the same.

use crate::support::clickhouse::Server;
use crate::support::recordings::Recording;
use crate::support::tables::{assert_equal, tables};
use crate::support::{Reef, files_source, program};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn copy(from: &Path, to: &Path) -> Output {
    between(&format!("duckdb:{}", from.display()), &format!("duckdb:{}", to.display()))
}

fn between(from: &str, to: &str) -> Output {
    Command::new(program("coral-pipeline")).args(["copy", "--json", "--from", from, "--to", to]).output().unwrap()
}

/// What a copy would do.
fn planned(from: &str, to: &str) -> Output {
    let mut command = Command::new(program("coral-pipeline"));
    command.args(["copy", "--dry-run", "--json", "--from", from, "--to", to]).output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// From a laptop to a server and back: every table is unchanged.
#[test]
fn a_reef_that_has_outgrown_its_laptop_moves_to_a_server_and_back() {
    let Some(server) = Server::start() else { return };
    let recording = Recording::any("releases");
    let reef = Reef::new(&files_source(&[&recording.events()], &[]));
    reef.run();
    let name = server.database();
    let database = format!("clickhouse:http://default@127.0.0.1:{}/{name}", server.port());
    let laptop = |path: &Path| format!("duckdb:{}", path.display());
    let back = reef.folder.path().join("back.duckdb");
    let plan = planned(&laptop(&reef.store()), &database);
    assert_eq!((plan.status.code(), &document(&plan)["resumes"]), (Some(0), &false.into()), "{plan:?}");
    assert_eq!(server.query(&name, "SHOW TABLES"), "", "a dry run creates nothing");
    for (from, to) in [(laptop(&reef.store()), database.clone()), (database, laptop(&back))] {
        let output = between(&from, &to);
        let summary = document(&output);
        assert!(output.status.success(), "{summary:#}");
        let tables = summary["tables"].as_array().unwrap();
        assert!(tables.iter().all(|table| table["source"] == table["target"]), "{summary:#}");
    }
    assert_equal(&tables(&back), &tables(&reef.store()), "there and back");
}

#[test]
fn a_reef_moves_with_every_row_and_resumes_in_its_new_place() {
    let recording = Recording::any("releases");
    let body = format!("[[sources]]\nkind = \"files\"\nevents = [\"{}\"]\n", recording.events().display());
    let reef = Reef::new(&body);
    reef.run();
    let target = reef.folder.path().join("moved.duckdb");
    let [from, to] = [reef.store(), target.clone()].map(|path| format!("duckdb:{}", path.display()));
    let plan = document(&planned(&from, &to));
    let events = plan["tables"]["federated_events"].as_u64();
    assert_eq!((&plan["dry_run"], events), (&true.into(), Some(recording.event_count() as u64)), "{plan}");
    assert!(!target.exists(), "a dry run creates nothing");
    let output = copy(&reef.store(), &target);
    let summary = document(&output);
    assert!(output.status.success(), "{summary}");
    let tables = summary["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 22);
    assert!(tables.iter().all(|table| table["source"] == table["target"]));
    let rows = |name: &str| tables.iter().find(|table| table["table"] == name).unwrap()["target"]["rows"].clone();
    assert_eq!((rows("federated_events"), rows("source_positions")), (recording.event_count().into(), 7.into()));

    // a second copy would mix two reefs
    let again = copy(&reef.store(), &target);
    assert_eq!((again.status.code(), &document(&again)["error"]["code"]), (Some(2), &"target_not_empty".into()));
    let plan = planned(&from, &to);
    assert_eq!((plan.status.code(), &document(&plan)["error"]["code"]), (Some(2), &"target_not_empty".into()));

    // the reef resumes on its new store and has nothing left to read
    let moved = Reef::new(&body);
    std::fs::rename(&target, moved.store()).unwrap();
    let went_on = moved.run();
    assert_eq!(went_on["summary"]["progress"]["events"], 0, "{went_on}");
}

/// The parts of an address reach the server: the test engine has no cluster and does not listen on IPv6.
#[test]
fn addresses_of_ipv6_and_names_of_clusters_are_used() {
    let Some(server) = Server::start() else { return };
    let reef = Reef::new("[[colonies]]\ncolony_id = \"c\"\nendpoint = \"http://127.0.0.1:1\"\n");
    reef.program("migrate");
    let from = format!("duckdb:{}", reef.store().display());
    let error_of = |to: &str| {
        let output = between(&from, to);
        assert_eq!(output.status.code(), Some(1), "{to}");
        document(&output)["error"].to_string()
    };
    let text = error_of("clickhouse:http://[::1]:1/reef");
    assert!(text.contains("ClickHouse [::1]:1, database reef"), "{text}");
    let database = server.database();
    server.clear_log();
    error_of(&format!("clickhouse:http://127.0.0.1:{}/{database}?cluster=three_replicas", server.port()));
    assert!(server.log().iter().any(|sql| sql.contains("ON CLUSTER 'three_replicas'")), "{:?}", server.log());
    assert_eq!(server.query(&database, "SHOW TABLES"), "", "no single-server table is created instead");
}
