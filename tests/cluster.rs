//! Clusters of real processes: the same results as one process, and a clean end for all when one is lost.

use crate::support::crash::{Line, phase_lines, seed_or};
use crate::support::recordings::Recording;
use crate::support::{Reef, files_source, json, program};
use fixtures::random::Random;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A process that takes longer to end hangs.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at what must happen. What is looked at needs the processors itself.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A reef that runs in several processes.
pub struct Cluster {
    pub reef: Reef,
    processes: usize,
    hosts: Vec<String>,
}

impl Cluster {
    /// `body` without `[engine]`; `engine` are further keys of it.
    pub fn new(processes: usize, body: &str, engine: &str) -> Cluster {
        // addresses that were free a moment ago
        let listeners: Vec<_> = (0..processes).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let hosts: Vec<String> = listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
        let reef = Reef::new(&format!("{body}\n[engine]\nworkers = 1\nhosts = {hosts:?}\n{engine}\n"));
        Cluster { reef, processes, hosts }
    }

    fn start(&self, process: usize) -> Running {
        self.start_with(process, self.reef.config())
    }

    fn start_with(&self, process: usize, config: &Path) -> Running {
        Self::spawn(self.command(process, config))
    }

    /// Process 0 tells its phases.
    fn start_telling(&self) -> Vec<Running> {
        let mut lead = self.command(0, self.reef.config());
        lead.env("RUST_LOG", "coral_pipelines=debug");
        let others = (1..self.processes).map(|process| self.start(process));
        std::iter::once(Self::spawn(lead)).chain(others).collect()
    }

    fn command(&self, process: usize, config: &Path) -> Command {
        let mut command = Command::new(program("coral-pipeline"));
        command.arg("run").arg(config).args(["--process", &process.to_string(), "--json"]);
        command
    }

    fn spawn(mut command: Command) -> Running {
        Running(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    fn start_all(&self) -> Vec<Running> {
        (0..self.processes).map(|process| self.start(process)).collect()
    }

    /// Runs until the input ends; the documents of all processes.
    pub fn run(&self) -> Vec<Value> {
        let running = self.start_all();
        running.into_iter().map(|process| json(&process.end())).collect()
    }
}

/// One process. Killed when dropped.
struct Running(Option<Child>);

impl Running {
    fn id(&self) -> String {
        self.0.as_ref().unwrap().id().to_string()
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.id()]).status().unwrap().success());
    }

    fn kill(&mut self) {
        let child = self.0.as_mut().unwrap();
        // it may have ended already
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Waits for its end, with a limit.
    fn end(mut self) -> Output {
        let pid = self.id();
        let child = self.0.take().unwrap();
        let (done, wait) = mpsc::sync_channel(1);
        // no process listens any more once the limit has passed
        let body = move || drop(done.send(child.wait_with_output()));
        std::thread::Builder::new().name("waits for a process".to_owned()).spawn(body).unwrap();
        match wait.recv_timeout(LIMIT) {
            Ok(output) => output.unwrap(),
            Err(_) => {
                let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
                panic!("a process hangs");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Exit code and message of a process that failed; nothing but our own words may be on its screen.
fn failure(output: &Output) -> (i32, String) {
    let screen = String::from_utf8_lossy(&output.stderr);
    assert!(!screen.contains("panicked") && !screen.contains("timely"), "{screen}");
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{screen}", String::from_utf8_lossy(&output.stdout)));
    (output.status.code().unwrap(), document["error"]["message"].as_str().unwrap().to_owned())
}

fn from_one_process(body: &str) -> String {
    let reef = Reef::new(body);
    reef.run();
    let correlations = reef.correlations();
    assert!(correlations.contains("confirmed"), "there is something to be found: {correlations}");
    correlations
}

#[test]
fn two_processes_give_what_one_process_gives() {
    let recording = Recording::any("releases");
    let body = files_source(&[&recording.events()], &[]);
    let cluster = Cluster::new(2, &body, "tick_rows_max = 700");
    let documents = cluster.run();
    assert_eq!(cluster.reef.correlations(), from_one_process(&body));
    assert!(documents[0]["report"]["confirmed"].as_array().is_some_and(|found| found.len() > 5), "{documents:?}");
    assert_eq!(documents[1]["served"]["process"], 1);
    assert_eq!(documents[1]["served"]["ended"], "input_finished");
}

#[test]
fn a_generated_fleet_is_the_same_in_one_two_and_three_processes() {
    let folder = tempfile::tempdir().unwrap();
    let mut generate = Command::new(program("coral-pipeline"));
    generate.args(["generate", "--colonies", "4", "--days", "21", "--seed", "5", "--json", "--out"]);
    json(&generate.arg(folder.path()).output().unwrap());
    let files = |name: &str| {
        let found = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        found.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(name)).collect::<Vec<_>>()
    };
    let (events, metrics) = (files("events"), files("metrics"));
    assert!(!events.is_empty() && !metrics.is_empty());
    let events: Vec<&Path> = events.iter().map(PathBuf::as_path).collect();
    let metrics: Vec<&Path> = metrics.iter().map(PathBuf::as_path).collect();
    let body = files_source(&events, &metrics);
    let expected = from_one_process(&body);
    for processes in [2, 3] {
        let cluster = Cluster::new(processes, &body, "tick_rows_max = 3000");
        cluster.run();
        assert_eq!(cluster.reef.correlations(), expected, "{processes} processes");
    }
}

/// Before the processes have met, and the phases of the run that process 0 leads.
const CLUSTER_PHASES: [&str; 6] = ["meeting", "restore", "read", "tick", "commit", "drain"];
const SEED: u64 = 20_261_130;
/// More journeys than any phase needs to be hit.
const JOURNEYS_MAX: u32 = 60;

/// Where a kill is aimed: at which process, after so many lines of a phase of process 0, and how much later.
struct Aim {
    victim: usize,
    phase: &'static str,
    repeats: u64,
    delay: Duration,
}

/// Starts all processes, kills one, and sees the other one end as it should. The phase that was hit; `None` when the run
/// had ended before.
fn run_and_kill(cluster: &Cluster, aim: &Aim) -> Option<String> {
    let mut processes = cluster.start_telling();
    let lines = phase_lines(processes[0].0.as_mut().unwrap());
    let mut hit = "meeting".to_owned();
    let mut seen = 0;
    let mut kill_at = (aim.phase == "meeting").then(|| Instant::now() + aim.delay);
    loop {
        let wait = kill_at.map_or(LIMIT, |at| at.saturating_duration_since(Instant::now()));
        match lines.recv_timeout(wait) {
            Ok(Line::Phase(phase)) => {
                seen += u64::from(phase == aim.phase);
                hit = phase;
                if seen == aim.repeats && kill_at.is_none() {
                    kill_at = Some(Instant::now() + aim.delay);
                }
            }
            Ok(Line::End(_)) => break,
            Err(_) => {
                assert!(kill_at.is_some(), "a run hangs after phase {hit}");
                break;
            }
        }
    }
    processes[aim.victim].kill();
    let output = processes.remove(1 - aim.victim).end();
    // what process 0 had still said says which phase was hit
    while let Ok(Line::Phase(phase)) = lines.recv_timeout(LIMIT) {
        if aim.victim == 0 {
            hit = phase;
        }
    }
    if output.status.success() {
        return None;
    }
    let (code, message) = failure(&output);
    assert_eq!(code, 1, "{message}");
    let named = format!("process {} ({})", aim.victim, cluster.hosts[aim.victim]);
    assert!(message.contains(&named), "{message}");
    Some(hit)
}

/// Each process is killed in each phase.
#[test]
fn killing_either_process_ends_the_other_and_a_restart_resumes() {
    let recording = Recording::any("releases");
    let events = recording.events();
    let body = files_source(&[&events], &[]);
    let expected = from_one_process(&body);
    let rows = std::fs::read_to_string(&events).unwrap().lines().count();
    // small ticks, so that there are many moments with work in progress
    let engine = "tick_rows_max = 40\npeer_wait = \"5s\"";

    let seed = seed_or(SEED);
    let mut random = Random(seed);
    let mut hits: BTreeMap<(usize, &str), u32> =
        [0, 1].into_iter().flat_map(|victim| CLUSTER_PHASES.map(|phase| ((victim, phase), 0))).collect();
    let mut journeys = 0;
    while hits.values().any(|hits| *hits == 0) {
        journeys += 1;
        assert!(journeys <= JOURNEYS_MAX, "seed {seed}: some phase is hardly ever hit: {hits:?}");
        let cluster = Cluster::new(2, &body, engine);
        for _ in 0..2 {
            let mut missing: Vec<(usize, &str)> =
                hits.iter().filter(|(_, hits)| **hits == 0).map(|(aim, _)| *aim).collect();
            random.shuffle(&mut missing);
            let Some(&(victim, phase)) = missing.first() else { break };
            let repeats = if ["read", "tick", "commit"].contains(&phase) { 1 + random.below(9) } else { 1 };
            let delay_us = match phase {
                "meeting" => 100_000,
                "read" => 100,
                _ => 3_000,
            };
            let delay = Duration::from_micros(random.below(delay_us));
            let hit = run_and_kill(&cluster, &Aim { victim, phase, repeats, delay });
            let count = hit.and_then(|hit| hits.iter_mut().find(|(aim, _)| **aim == (victim, hit.as_str())));
            if let Some((_, count)) = count {
                *count += 1;
            }
        }
        cluster.run();
        assert_eq!(cluster.reef.correlations(), expected, "seed {seed}: {hits:?}");
        let stored = cluster.reef.query("SELECT count(*) FROM federated_events");
        assert_eq!(stored, format!("{rows}\n"), "seed {seed}: {hits:?}");
    }
    eprintln!("crash test of a cluster: seed {seed}, {journeys} runs until done; hits: {hits:?}");
}

/// A reef that runs until it is stopped: its colony is never there.
const ENDLESS: &str = "[[colonies]]\ncolony_id = \"nobody\"\nendpoint = \"http://127.0.0.1:9\"\n";

/// Waits until the store exists: the processes are connected, and the run continues.
fn wait_for_the_run(cluster: &Cluster) {
    let deadline = Instant::now() + LIMIT;
    while !cluster.reef.store().exists() {
        assert!(Instant::now() < deadline, "the processes never met");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

#[test]
fn sigterm_at_any_process_ends_all_with_0() {
    for asked in [0, 1] {
        let cluster = Cluster::new(2, ENDLESS, "");
        let processes = cluster.start_all();
        wait_for_the_run(&cluster);
        processes[asked].signal("TERM");
        let documents: Vec<Value> = processes.into_iter().map(|process| json(&process.end())).collect();
        assert_eq!(documents[0]["summary"]["ended"], "stopped");
        assert_eq!(documents[1]["served"]["ended"], "stopped");
    }
}

#[test]
fn process_0_can_be_asked_while_all_run() {
    let cluster = Cluster::new(2, ENDLESS, "");
    let processes = cluster.start_all();
    wait_for_the_run(&cluster);
    let deadline = Instant::now() + LIMIT;
    let report = loop {
        let mut ask = Command::new(program("coral-pipeline"));
        let output = ask.arg("report").arg(cluster.reef.config()).arg("--json").output().unwrap();
        if output.status.success() {
            break json(&output);
        }
        // it is just starting
        assert_eq!(failure(&output).0, 1);
        assert!(Instant::now() < deadline, "it never answered");
        std::thread::park_timeout(LOOK_EVERY);
    };
    assert_eq!(report["running"]["pid"].as_u64().unwrap().to_string(), processes[0].id());
    processes[1].signal("TERM");
    processes.into_iter().for_each(|process| drop(json(&process.end())));
}

#[test]
fn a_process_that_hangs_ends_the_others() {
    for hung in [1, 0] {
        let cluster = Cluster::new(2, ENDLESS, "peer_silence = \"2s\"");
        let mut processes = cluster.start_all();
        wait_for_the_run(&cluster);
        processes[hung].signal("STOP");
        let (code, message) = failure(&processes.remove(1 - hung).end());
        assert_eq!(code, 1);
        let host = &cluster.hosts[hung];
        assert!(message.starts_with(&format!("process {hung} ({host}) has been silent for 2 s")), "{message}");
    }
}

#[test]
fn a_process_that_never_comes_is_named() {
    let cluster = Cluster::new(2, ENDLESS, "peer_wait = \"2s\"");
    for process in [0, 1] {
        let output = cluster.start(process).end();
        let screen = String::from_utf8_lossy(&output.stderr).into_owned();
        let (code, message) = failure(&output);
        let other = format!("process {} ({})", 1 - process, cluster.hosts[1 - process]);
        assert_eq!(code, 1);
        assert!(message.contains(&format!("waited 2 s for {other}")), "{message}");
        assert!(screen.contains(&format!("waits for {other}, at most 2 s")), "{screen}");
        assert!(!cluster.reef.store().exists(), "nothing was started");
    }
}

#[test]
fn different_settings_are_reported_by_both() {
    let cluster = Cluster::new(2, ENDLESS, "");
    let other = cluster.reef.folder.path().join("other.toml");
    let text = std::fs::read_to_string(cluster.reef.config()).unwrap();
    std::fs::write(&other, text + "[correlation]\nmetric_threshold = 0.9\n").unwrap();
    let (lead, second) = (cluster.start(0), cluster.start_with(1, &other));
    let (code, message) = failure(&lead.end());
    assert_eq!(code, 2);
    assert!(message.contains("correlation.metric_threshold (0.8 here, 0.9 there)"), "{message}");
    let (code, message) = failure(&second.end());
    assert_eq!(code, 2);
    assert!(message.contains("correlation.metric_threshold (0.9 here, 0.8 there)"), "{message}");
}

#[test]
fn a_wrong_process_is_a_usage_error() {
    let cluster = Cluster::new(2, ENDLESS, "");
    let run = |config: &Path, more: &[&str]| {
        let mut command = Command::new(program("coral-pipeline"));
        failure(&command.arg("run").arg(config).arg("--json").args(more).output().unwrap())
    };
    let (code, message) = run(cluster.reef.config(), &["--process", "2"]);
    assert_eq!(code, 2);
    assert!(message.contains("there is no process 2") && message.contains("names 2, counted from 0"), "{message}");
    let (code, message) = run(cluster.reef.config(), &[]);
    assert_eq!(code, 2);
    assert!(message.contains("is for 2 processes"), "{message}");
    let alone = Reef::new(ENDLESS);
    let (code, message) = run(alone.config(), &["--process", "0"]);
    assert_eq!(code, 2);
    assert!(message.contains("is for one process"), "{message}");
}

#[test]
fn a_missing_file_in_process_0_ends_both() {
    let cluster = Cluster::new(2, &files_source(&[Path::new("none.ndjson")], &[]), "");
    let mut processes = cluster.start_all();
    let (code, message) = failure(&processes.remove(0).end());
    assert_eq!(code, 3, "{message}");
    let (code, message) = failure(&processes.remove(0).end());
    assert_eq!(code, 1);
    assert!(message.contains("process 0 (") && message.contains("none.ndjson"), "{message}");
}
