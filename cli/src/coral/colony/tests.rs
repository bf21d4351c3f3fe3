//! The commands of a colony, each run in its own folder.
#![allow(clippy::unwrap_used)]

use super::import::ImportArgs;
use super::init::InitArgs;
use super::status::StatusArgs;
use super::{import, init, status};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use clap::{CommandFactory, FromArgMatches, Parser};
use colony::config::Places;
use serde_json::Value;

#[derive(Debug, Parser)]
struct Line<A: clap::Args> {
    #[command(flatten)]
    args: A,
}

fn args<A: clap::Args>(line: &str) -> A {
    let matches = Line::<A>::command().get_matches_from(line.split(' '));
    Line::<A>::from_arg_matches(&matches).unwrap().args
}

struct Scene {
    dir: tempfile::TempDir,
    places: Places,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { home: dir.path().join("home"), project: dir.path().join("project"), storage_path: None };
        let scene = Scene { dir, places };
        scene.run(|places, output| {
            init::run(args::<InitArgs>("init my-shop --environment production --colony-id c1"), places, output)
        });
        scene
    }

    /// Runs a command that succeeds; gives its JSON.
    fn run(&self, command: impl FnOnce(&Places, &Output) -> Result<(), Failure>) -> Value {
        let (output, captured) = Output::captured(true);
        command(&self.places, &output).unwrap();
        serde_json::from_str(&captured.stdout()).unwrap()
    }

    fn fails(&self, command: impl FnOnce(&Places, &Output) -> Result<(), Failure>) -> Failure {
        let (output, _captured) = Output::captured(false);
        command(&self.places, &output).unwrap_err()
    }

    fn status(&self) -> Value {
        self.run(|places, output| status::run(&args::<StatusArgs>("status"), places, output))
    }

    fn events(&self, text: &str) -> String {
        let path = self.dir.path().join("events.ndjson");
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

const EVENT: &str = r#"{"event_id":"e1","colony_id":"c1","timestamp":"2023-01-03T19:06:18.000Z","event_type":"deploy","service_id":"s"}"#;

#[test]
fn a_colony_is_made_filled_and_looked_at() {
    let scene = Scene::new();
    assert_eq!(scene.status()["state"], "not_created");
    let file = scene.events(&format!("{EVENT}\n{{broken\n"));
    let report =
        scene.run(|places, output| import::run(&args::<ImportArgs>(&format!("import {file}")), places, output));
    assert_eq!(report["files"][0]["accepted"], 1);
    assert_eq!(report["files"][0]["rejects"]["malformed"], 1);
    let status = scene.status();
    assert_eq!((&status["state"], &status["rows"]["events"]), (&Value::from("stopped"), &Value::from(1)));
    assert_eq!(status["newest_event"], "2023-01-03T19:06:18.000Z");
}

#[test]
fn a_damaged_database_ends_with_1_and_its_path() {
    let scene = Scene::new();
    let path = scene.places.project.join(".coral/c1.duckdb");
    std::fs::write(&path, "no database".repeat(2_000)).unwrap();
    let failure = scene.fails(|places, output| status::run(&args::<StatusArgs>("status"), places, output));
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.message.contains(path.to_str().unwrap()) && !failure.details.is_empty(), "{failure:?}");
}

#[test]
fn what_is_missing_ends_with_3() {
    let scene = Scene::new();
    let import = |line: &str| scene.fails(|places, output| import::run(&args::<ImportArgs>(line), places, output));
    assert_eq!(import("import nowhere.ndjson").exit, Exit::NotFound);
    let failure = import("import x.ndjson --colony-id other");
    assert_eq!((failure.exit, failure.code), (Exit::NotFound, "colony_unknown"));
    assert!(failure.message.contains("c1"), "{failure:?}");
}

#[test]
fn a_colony_is_made_once() {
    let scene = Scene::new();
    let again = "init my-shop --environment production --colony-id c1";
    let failure = scene.fails(|places, output| init::run(args::<InitArgs>(again), places, output));
    assert_eq!(failure.exit, Exit::Usage);
}
