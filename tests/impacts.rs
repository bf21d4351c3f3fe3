//! Impacts of deployments: what a run stores is what is computed where none is stored, on both stores, by several processes.

use crate::clickhouse::InDatabase;
use crate::cluster::Cluster;
use crate::stores::clickhouse_storage;
use crate::support::clickhouse::Server;
use crate::support::colonies::coral;
use crate::support::crash::{Line, phase_lines};
use crate::support::{Reef, files_source};
use model::derived::Value;
use serde_json::Value as Json;
use sinks::StoreReader;
use sinks::clickhouse::ClickHouseReader;
use sinks::duckdb::{DuckDbConfig, DuckDbReader};
use sinks::schema::DERIVED;
use sources::generator::{Fleet, FleetConfig};
use std::path::Path;
use std::process::Stdio;

const OFF: &str = "[correlation]\ndeployment_impact = false\n";
/// With a known outcome; there are others.
const PLANTED: usize = 12;
/// One in so many deployments is asked for.
const STEP: usize = 4;

/// Two environments over ten days, with six deployments in each; the configuration that reads them.
fn fleet(folder: &Path) -> String {
    let config = FleetConfig { colonies: 2, days: 10, interval_seconds: 60, deployments: 6, ..FleetConfig::default() };
    let written = Fleet::generate(&config).unwrap().write_files(folder).unwrap();
    files_source(&[&written.events], &[&written.metrics])
}

/// The rows of the timeline and of impacts by metric.
async fn stored(reader: &dyn StoreReader) -> [Vec<Vec<Value>>; 2] {
    let mut tables = [Vec::new(), Vec::new()];
    for (name, rows) in ["deployment_timeline", "deployment_impact"].into_iter().zip(&mut tables) {
        let table = DERIVED.iter().find(|derived| derived.table.name == name).unwrap();
        *rows = reader.rows_of(table, None, 10_000).await.unwrap().rows();
    }
    tables
}

fn on_duckdb(reef: &Reef) -> [Vec<Vec<Value>>; 2] {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let reader = DuckDbReader::open(DuckDbConfig::at(reef.store())).await.unwrap();
        stored(&reader).await
    })
}

/// What `coral reef deployment` says of some deployments of the timeline.
fn answered(reef: &Reef, timeline: &[Vec<Value>]) -> Vec<Json> {
    let ask = |row: &Vec<Value>| {
        let [Value::Text(colony_id), Value::Text(deployment_id), ..] = row.as_slice() else { panic!("{row:?}") };
        let id = format!("{colony_id}/{deployment_id}");
        let mut command = coral(reef.folder.path());
        command.env_remove("CORAL_REEF").args(["reef", "deployment", &id, "--json", "--reef"]).arg(reef.config());
        crate::support::json(&command.output().unwrap())
    };
    timeline.iter().step_by(STEP).map(ask).collect()
}

/// The verdict, its reason and its look in a row of the timeline, as an answer has them.
fn verdict(row: &[Value]) -> [Json; 3] {
    let table = DERIVED.iter().find(|derived| derived.table.name == "deployment_timeline").unwrap();
    ["verdict", "verdict_reason", "look_minutes"].map(|column| {
        let place = table.table.columns.iter().position(|(name, _)| *name == column).unwrap();
        match &row[place] {
            Value::Text(text) => text.as_str().into(),
            Value::Whole(number) => (*number).into(),
            _ => Json::Null,
        }
    })
}

/// Answers without what the timeline says of verdicts, which it says only where impacts are stored.
fn without_stored_verdicts(answers: &[Json]) -> Vec<Json> {
    let mut answers = answers.to_vec();
    for answer in &mut answers {
        let mut deployments = vec![answer["deployment"].take()];
        for list in ["similar", "overlapping"] {
            deployments.append(answer[list].as_array_mut().unwrap());
        }
        for one in &mut deployments {
            for field in ["verdict", "verdict_reason"] {
                one[field].take();
            }
        }
        answer["deployment"] = deployments.into();
    }
    answers
}

#[test]
fn what_a_run_stores_is_what_is_computed_without_it_on_both_stores() {
    let folder = tempfile::tempdir().unwrap();
    let body = fleet(folder.path());
    let (with, without) = (Reef::new(&body), Reef::new(&format!("{body}{OFF}")));
    with.run();
    without.run();
    let [timeline, impacts] = on_duckdb(&with);
    assert!(timeline.len() >= PLANTED && impacts.len() >= PLANTED);
    let [unjudged, none] = on_duckdb(&without);
    assert!(none.is_empty() && unjudged.iter().all(|row| verdict(row) == [Json::Null, Json::Null, Json::Null]));
    let (found, computed) = (answered(&with, &timeline), answered(&without, &unjudged));
    assert_eq!(without_stored_verdicts(&found), without_stored_verdicts(&computed));
    for (row, answer) in timeline.iter().step_by(STEP).zip(&found) {
        let impact = &answer["impact"];
        let of_answer = ["overall_status", "verdict_reason", "look_minutes"].map(|field| impact[field].clone());
        assert_eq!(verdict(row), of_answer);
        let of_deployment = ["verdict", "verdict_reason"].map(|field| answer["deployment"][field].clone());
        assert_eq!(of_deployment, of_answer[..2]);
        let of_metrics = impacts.iter().filter(|impact| impact[..2] == row[..2]).count();
        assert_eq!(of_metrics, impact["changes"].as_array().unwrap().len());
    }

    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let on_clickhouse = Reef::with_storage(&body, &clickhouse_storage(&server, fixture.name()));
    on_clickhouse.run();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tables = runtime.block_on(async {
        let reader = ClickHouseReader::open(fixture.config()).await.unwrap();
        stored(&reader).await
    });
    assert_eq!(tables, [timeline.clone(), impacts]);
    assert_eq!(answered(&on_clickhouse, &timeline), found);
}

#[test]
fn several_processes_and_a_run_that_was_killed_store_the_same_and_a_further_run_judges_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let body = fleet(folder.path());
    let reef = Reef::new(&body);
    reef.run();
    let expected = on_duckdb(&reef);
    let written_at = || reef.query("SELECT max(stored_at), count(*) FROM deployment_impact");
    let once = written_at();
    reef.run();
    assert_eq!((written_at(), on_duckdb(&reef)), (once, expected.clone()), "a second run writes none of them");

    let cluster = Cluster::new(2, &body, "tick_rows_max = 50000");
    cluster.run();
    assert!(on_duckdb(&cluster.reef) == expected, "two processes");

    // the last rows are committed first, then impacts
    for commits in 1..4 {
        let killed = Reef::new(&body);
        kill_while_draining(&killed, commits);
        killed.run();
        assert!(on_duckdb(&killed) == expected, "after a kill in commit {commits} of those at the end");
    }
}

/// Starts a run and kills it once it has begun so many commits after its input has ended, or has ended.
fn kill_while_draining(reef: &Reef, commits: usize) {
    let mut command = reef.command();
    command.env("RUST_LOG", "coral_pipelines=debug").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = phase_lines(&mut child).into_iter();
    let phases = lines.map_while(|line| match line {
        Line::Phase(phase) => Some(phase),
        Line::End(_) => None,
    });
    let drained = phases.skip_while(|phase| phase != "drain");
    drained.filter(|phase| phase == "commit").nth(commits - 1);
    child.kill().unwrap();
    child.wait().unwrap();
}
