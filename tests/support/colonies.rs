//! Two real colonies in processes of their own, their events in parts, and a reef over them.

use super::{Reef, files_source, json, program};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Applications with their colonies.
pub const COLONIES: [(&str, &str); 2] = [("aws-sdk-ruby", "aws-sdk-ruby-production"), ("boto3", "boto3-production")];
/// Files in which a colony's events arrive, one after the other.
pub const PARTS: usize = 6;

/// A colony's daemon. Killed when dropped.
pub struct Daemon {
    pub home: PathBuf,
    pub colony_id: &'static str,
    pub endpoint: String,
    /// UDP address and public key of its mesh.
    pub mesh: Option<(SocketAddr, String)>,
    pub child: Child,
}

impl Daemon {
    /// Initialises the colony in its own home and starts it on a free port. Its environment is the end of its id. `more`
    /// is added to its file.
    pub fn init(folder: &Path, (application, colony_id): (&str, &'static str), more: &str) -> Daemon {
        let home = folder.join(colony_id);
        std::fs::create_dir_all(&home).unwrap();
        let environment = colony_id.rsplit('-').next().unwrap();
        let mut init = coral(&home);
        init.args(["colony", "init", application, "--environment", environment, "--colony-id", colony_id, "--json"]);
        json(&init.output().unwrap());
        let file = home.join("colonies").join(format!("{colony_id}.yaml"));
        let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(more.as_bytes()).unwrap();
        let (child, listening) = start(&home, colony_id, "127.0.0.1:0");
        let endpoint = listening["endpoint"].as_str().unwrap().to_owned();
        Daemon { home, colony_id, endpoint, mesh: mesh_of(&listening), child }
    }

    /// What it has logged since it was initialised.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("log")).unwrap()
    }

    /// A command of this colony with `--json`; its one document.
    pub fn command(&self, words: &[&str]) -> Value {
        json(&coral(&self.home).args(["colony"]).args(words).arg("--json").output().unwrap())
    }

    /// Loads a file through the running daemon.
    pub fn import(&self, file: &Path) {
        let mut import = coral(&self.home);
        import.args(["colony", "import", "--colony-id", self.colony_id, "--endpoint", &self.endpoint, "--json"]);
        json(&import.arg(file).output().unwrap());
    }

    /// `kill -9`, then start again on the same address.
    pub fn crash_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let address = self.endpoint.strip_prefix("http://").unwrap().to_owned();
        let (child, listening) = start(&self.home, self.colony_id, &address);
        assert_eq!(listening["endpoint"], self.endpoint);
        (self.child, self.mesh) = (child, mesh_of(&listening));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mesh_of(listening: &Value) -> Option<(SocketAddr, String)> {
    let mesh = &listening["mesh"];
    Some((mesh["listen"].as_str()?.parse().unwrap(), mesh["public_key"].as_str()?.to_owned()))
}

/// `coral` with a home of its own.
pub fn coral(home: &Path) -> Command {
    let mut command = Command::new(program("coral"));
    command.current_dir(home).env("CORAL_HOME", home).env_remove("CORAL_STORAGE_PATH");
    command
}

/// Starts a daemon whose messages go to the file `log`, and reads its first line.
fn start(home: &Path, colony_id: &str, listen: &str) -> (Child, Value) {
    let mut command = coral(home);
    command.args(["colony", "start", "--colony-id", colony_id, "--listen", listen, "--json"]);
    let log = std::fs::OpenOptions::new().create(true).append(true).open(home.join("log")).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let listening = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{colony_id}: {error}: {line:?}"));
    (child, listening)
}

/// Each colony's events, cut into files in the order of time, and one file of both.
pub fn cut(events: &Path, folder: &Path) -> (Vec<[PathBuf; 2]>, PathBuf, usize) {
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
pub fn live_reef(colonies: &[Daemon]) -> Reef {
    let mut body = String::new();
    for colony in colonies {
        body += &format!("[[colonies]]\ncolony_id = \"{}\"\nendpoint = \"{}\"\n", colony.colony_id, colony.endpoint);
    }
    Reef::new(&(body + "[collection]\nsummary_interval = \"1s\"\n"))
}

/// SIGTERM, and the exit that must follow.
pub fn stop(mut reef: Child) {
    assert!(Command::new("kill").arg(reef.id().to_string()).status().unwrap().success());
    let status = reef.wait().unwrap();
    assert_eq!(status.code(), Some(0), "SIGTERM drains and exits 0");
}

/// Lets the reef run, stops it and looks, until it holds every event.
pub fn run_until_complete(reef: &Reef, events: usize) {
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

pub fn from_files(all: &Path) -> String {
    let reef = Reef::new(&files_source(&[all], &[]));
    reef.run();
    let correlations = reef.correlations();
    assert!(correlations.contains("confirmed"), "the relation exists: {correlations}");
    correlations
}
