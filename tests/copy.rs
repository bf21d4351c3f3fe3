//! `coral-pipeline copy`: a reef moves, interrupted or not, and both stores hold the same.

use crate::support::{Reef, program, shared_data};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn copy(from: &Path, to: &Path) -> Output {
    Command::new(program("coral-pipeline"))
        .args(["copy", "--json", "--from", &format!("duckdb:{}", from.display()), "--to"])
        .arg(format!("duckdb:{}", to.display()))
        .output()
        .unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_reef_moves_with_every_row_and_goes_on_in_its_new_place() {
    let Some(data) = shared_data("releases") else { return };
    let body = format!("[[sources]]\nkind = \"files\"\nevents = [\"{}\"]\n", data.join("events.ndjson").display());
    let reef = Reef::new(&body);
    reef.run();
    let target = reef.folder.path().join("moved.duckdb");
    let output = copy(&reef.store(), &target);
    let summary = document(&output);
    assert!(output.status.success(), "{summary}");
    let tables = summary["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 13);
    assert!(tables.iter().all(|table| table["source"] == table["target"]));
    let rows = |name: &str| tables.iter().find(|table| table["table"] == name).unwrap()["target"]["rows"].clone();
    assert_eq!((rows("federated_events"), rows("source_positions")), (1_591.into(), 1.into()));

    // a second copy would mix two reefs
    let again = copy(&reef.store(), &target);
    assert_eq!((again.status.code(), &document(&again)["error"]["code"]), (Some(2), &"target_not_empty".into()));

    // the reef goes on in its new place and has nothing left to read
    let moved = Reef::new(&body);
    std::fs::rename(&target, moved.store()).unwrap();
    let went_on = moved.run();
    assert_eq!(went_on["summary"]["progress"]["events"], 0, "{went_on}");
}
