//! The commands of a colony, each run in its own folder.
#![allow(clippy::unwrap_used)]

use super::import::ImportArgs;
use super::init::InitArgs;
use super::peers::{PeersArgs, UnpeerArgs};
use super::secret::SecretCommand;
use super::status::StatusArgs;
use super::{import, init, peers, secret, status};
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
    let line = "init my-shop --environment staging --colony-id c2 --dry-run";
    let plan = scene.run(|places, output| init::run(args::<InitArgs>(line), places, output));
    assert_eq!((&plan["dry_run"], plan["files"].as_array().unwrap().len()), (&true.into(), 1));
    assert!(!scene.places.colony_file("c2").exists());
    assert_eq!(scene.status()["state"], "not_created");
    let file = scene.events(&format!("{EVENT}\n{{broken\n"));
    let line = format!("import {file} --dry-run");
    let plan = scene.run(|places, output| import::run(&args::<ImportArgs>(&line), places, output));
    assert_eq!((&plan["dry_run"], &plan["files"][0]["accepted"]), (&true.into(), &1.into()));
    assert_eq!(plan["files"][0]["rejects"]["malformed"], 1);
    assert_eq!(scene.status()["state"], "not_created", "nothing is stored");
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

#[derive(Debug, Parser)]
struct SecretLine {
    #[command(subcommand)]
    command: SecretCommand,
}

impl Scene {
    /// The colony's file gets a mesh.
    fn with_mesh(self) -> Scene {
        let file = self.places.colony_file("c1");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text + "\nmesh:\n  listen: 127.0.0.1:0\n").unwrap();
        self
    }

    fn secret(&self, line: &str) -> Result<Value, Failure> {
        let (output, captured) = Output::captured(true);
        let command = SecretLine::try_parse_from(line.split(' ')).unwrap().command;
        secret::run(&command, &self.places, &output)?;
        Ok(serde_json::from_str(&captured.stdout()).unwrap())
    }
}

#[test]
fn secrets_are_shown_once_and_listed_without_themselves() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new().with_mesh();
    let plan = scene.secret("secret create auditors --read-only --dry-run").unwrap();
    assert_eq!((&plan["dry_run"], &plan["name"]), (&true.into(), &"auditors".into()));
    let made = scene.secret("secret create auditors --read-only --expires 90d").unwrap();
    let text = made["secret"].as_str().unwrap();
    assert_eq!((text.len(), made["read_only"].as_bool()), (43, Some(true)));
    let file = scene.dir.path().join("reef.secret");
    let line = format!("secret create partner --reef r1 --out {}", file.display());
    assert_eq!(scene.secret(&line).unwrap()["secret"], Value::Null);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(scene.secret(&line).unwrap_err().code, "file_exists");
    let list = scene.secret("secret list").unwrap();
    let names: Vec<&str> = list["secrets"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["auditors", "partner"]);
    assert_eq!((&list["secrets"][1]["reef_id"], &list["secrets"][0]["expired"]), (&"r1".into(), &false.into()));
    assert!(!list.to_string().contains(text));
    let twice = scene.secret("secret create auditors").unwrap_err();
    assert!(twice.exit == Exit::Usage && twice.message.contains("revoke it first"), "{twice:?}");
    assert_eq!(scene.secret("secret create auditors --dry-run").unwrap_err(), twice);
    assert_eq!(scene.secret("secret create x --expires never").unwrap_err().exit, Exit::Usage);
    let before = std::fs::read_to_string(scene.places.colony_file("c1")).unwrap();
    assert_eq!(scene.secret("secret rotate --dry-run").unwrap()["dry_run"], true);
    assert_eq!(std::fs::read_to_string(scene.places.colony_file("c1")).unwrap(), before);
    let rotated = scene.secret("secret rotate --grace 1h").unwrap();
    let stored = std::fs::read_to_string(scene.places.colony_file("c1")).unwrap();
    assert!(stored.contains(rotated["secret"].as_str().unwrap()));
    assert_eq!(scene.secret("secret revoke auditors --no-input").unwrap_err().code, "confirmation_missing");
    assert_eq!(scene.secret("secret revoke auditors --dry-run").unwrap()["dry_run"], true);
    scene.secret("secret revoke auditors --yes").unwrap();
    assert_eq!(scene.secret("secret revoke auditors").unwrap_err().exit, Exit::NotFound);
}

#[test]
fn a_colony_shows_its_mesh_when_it_does_not_run() {
    let scene = Scene::new();
    assert_eq!(scene.status()["mesh"], Value::Null);
    let failure = scene.fails(|places, output| peers::peers(&args::<PeersArgs>("peers"), places, output));
    assert_eq!((failure.exit, failure.code), (Exit::Usage, "mesh"));
    let scene = scene.with_mesh();
    let shown = scene.run(|places, output| peers::peers(&args::<PeersArgs>("peers"), places, output));
    assert_eq!((&shown["running"], &shown["peers"]), (&Value::Null, &serde_json::json!([])));
    assert_eq!(scene.status()["mesh"]["public_key"], shown["public_key"]);
    let failure = scene.fails(|places, output| peers::unpeer(&args::<UnpeerArgs>("unpeer r1"), places, output));
    assert_eq!(failure.exit, Exit::NotFound);
    assert!(failure.message.contains("there is no reef \"r1\""), "{failure:?}");
}
