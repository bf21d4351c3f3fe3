//! Two colonies in their own processes, streamed and pulled by a running reef while their events arrive.

use crate::support::recordings::Recording;
use crate::support::{Reef, files_source, json, program};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const COLONIES: [(&str, &str); 2] = [("aws-sdk-ruby", "aws-sdk-ruby-production"), ("boto3", "boto3-production")];
/// Files in which a colony's events arrive, one after the other.
const PARTS: usize = 6;

/// A colony's daemon. Killed when dropped.
struct Daemon {
    home: PathBuf,
    colony_id: &'static str,
    endpoint: String,
    child: Child,
}

impl Daemon {
    /// Initialises the colony in its own home and starts it on a free port.
    fn init(folder: &Path, (application, colony_id): (&str, &'static str)) -> Daemon {
        let home = folder.join(colony_id);
        std::fs::create_dir_all(&home).unwrap();
        let mut init = coral(&home);
        init.args(["colony", "init", application, "--environment", "production", "--colony-id", colony_id, "--json"]);
        json(&init.output().unwrap());
        let (child, endpoint) = start(&home, colony_id, "127.0.0.1:0");
        Daemon { home, colony_id, endpoint, child }
    }

    /// Loads a file through the running daemon.
    fn import(&self, file: &Path) {
        let mut import = coral(&self.home);
        import.args(["colony", "import", "--colony-id", self.colony_id, "--endpoint", &self.endpoint, "--json"]);
        json(&import.arg(file).output().unwrap());
    }

    /// `kill -9`, then start again on the same address.
    fn crash_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let address = self.endpoint.strip_prefix("http://").unwrap().to_owned();
        let (child, endpoint) = start(&self.home, self.colony_id, &address);
        assert_eq!(endpoint, self.endpoint);
        self.child = child;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn coral(home: &Path) -> Command {
    let mut command = Command::new(program("coral"));
    command.current_dir(home).env("CORAL_HOME", home).env_remove("CORAL_STORAGE_PATH");
    command
}

/// Starts a daemon and reads the address from its first line.
fn start(home: &Path, colony_id: &str, listen: &str) -> (Child, String) {
    let mut command = coral(home);
    command.args(["colony", "start", "--colony-id", colony_id, "--listen", listen, "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let listening: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{colony_id}: {error}: {line:?}"));
    (child, listening["endpoint"].as_str().unwrap().to_owned())
}

/// Each colony's events, cut into files in the order of time, and one file of both.
fn cut(events: &Path, folder: &Path) -> (Vec<[PathBuf; 2]>, PathBuf, usize) {
    let text = std::fs::read_to_string(events).unwrap();
    let lines_of = |colony_id: &str| -> Vec<&str> {
        let of_colony = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["colony_id"] == colony_id;
        text.lines().filter(of_colony).collect()
    };
    let both: Vec<Vec<&str>> = COLONIES.iter().map(|(_, colony_id)| lines_of(colony_id)).collect();
    let write = |name: String, lines: &[&str]| {
        let path = folder.join(name);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        path
    };
    let part = |colony: usize, part: usize| {
        let lines = &both[colony];
        let (from, to) = (lines.len() * part / PARTS, lines.len() * (part + 1) / PARTS);
        write(format!("part-{colony}-{part}.ndjson"), &lines[from..to])
    };
    let parts = (0..PARTS).map(|number| [part(0, number), part(1, number)]).collect();
    let all = both.concat();
    let count = all.len();
    (parts, write("all.ndjson".to_owned(), &all), count)
}

/// A reef over the colonies.
fn live_reef(colonies: &[Daemon]) -> Reef {
    let mut body = String::new();
    for colony in colonies {
        body += &format!("[[colonies]]\ncolony_id = \"{}\"\nendpoint = \"{}\"\n", colony.colony_id, colony.endpoint);
    }
    Reef::new(&(body + "[collection]\nsummary_interval = \"1s\"\n"))
}

/// SIGTERM, and the exit that must follow.
fn stop(mut reef: Child) {
    assert!(Command::new("kill").arg(reef.id().to_string()).status().unwrap().success());
    let status = reef.wait().unwrap();
    assert_eq!(status.code(), Some(0), "SIGTERM drains and exits 0");
}

/// Lets the reef run, stops it and looks, until it holds every event.
fn run_until_complete(reef: &Reef, events: usize) {
    let deadline = Instant::now() + Duration::from_secs(120);
    for wait_ms in (1..).map(|round| 500 * round) {
        let child = reef.start();
        #[expect(
            clippy::disallowed_methods,
            reason = "a live reef never ends on its own, and no other process can open its store"
        )]
        std::thread::sleep(Duration::from_millis(wait_ms));
        stop(child);
        let stored = reef.query("SELECT count(*) FROM federated_events");
        if stored.trim() == events.to_string() {
            return;
        }
        assert!(Instant::now() < deadline, "{} of {events} events arrived", stored.trim());
    }
}

fn from_files(all: &Path) -> String {
    let reef = Reef::new(&files_source(&[all], &[]));
    reef.run();
    let correlations = reef.correlations();
    assert!(correlations.contains("confirmed"), "the relation exists: {correlations}");
    correlations
}

#[test]
fn live_colonies_give_what_files_give() {
    let recording = Recording::any("releases");
    let folder = tempfile::tempdir().unwrap();
    let (parts, all, events) = cut(&recording.events(), folder.path());
    let colonies: Vec<Daemon> = COLONIES.into_iter().map(|colony| Daemon::init(folder.path(), colony)).collect();
    let reef = live_reef(&colonies);

    let running = reef.start();
    for part in &parts {
        for (colony, file) in colonies.iter().zip(part) {
            colony.import(file);
        }
    }
    stop(running);
    run_until_complete(&reef, events);
    assert_eq!(reef.correlations(), from_files(&all));
    assert_eq!(reef.query("SELECT count(*) FROM federated_events WHERE late"), "0\n");
    let health = "SELECT colony_id, application_name, environment FROM colony_status ORDER BY ALL";
    let expected = "aws-sdk-ruby-production\taws-sdk-ruby\tproduction\nboto3-production\tboto3\tproduction\n";
    assert_eq!(reef.query(health), expected);
}

#[test]
fn killing_colony_and_reef_on_the_way_changes_nothing() {
    let recording = Recording::any("releases");
    let folder = tempfile::tempdir().unwrap();
    let (parts, all, events) = cut(&recording.events(), folder.path());
    let mut colonies: Vec<Daemon> = COLONIES.into_iter().map(|colony| Daemon::init(folder.path(), colony)).collect();
    let reef = live_reef(&colonies);

    let mut running = reef.start();
    for (number, part) in parts.iter().enumerate() {
        for (colony, file) in colonies.iter().zip(part) {
            colony.import(file);
        }
        match number {
            1 | 3 => colonies[number / 2].crash_and_restart(),
            2 | 4 => {
                running.kill().unwrap();
                running.wait().unwrap();
                running = reef.start();
            }
            _ => {}
        }
    }
    stop(running);
    run_until_complete(&reef, events);
    assert_eq!(reef.correlations(), from_files(&all));
}
