//! The services of a reef by its real programs: beside a run, and over a store without one.

use crate::support::colonies::{COLONIES, Daemon};
use crate::support::{Reef, files_source, program};
use model::exposition::Exposition;
use model::time::TimeMs;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const API: &str = "[api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";
/// How long a run may take to meet its colony's absence.
const WAIT: Duration = Duration::from_secs(60);
/// Between two looks at what must happen. What is looked at needs the processors itself.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A program with services. Killed when dropped.
pub struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    /// Starts `coral-pipeline COMMAND reef.toml --json`, and waits until it says where its services are.
    pub fn start(command: &str, reef: &Reef) -> Serving {
        let mut start = Command::new(program("coral-pipeline"));
        start.arg(command).arg(reef.config()).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = start.spawn().unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut all) = (String::new(), String::new());
        let address = loop {
            line.clear();
            assert!(messages.read_line(&mut line).unwrap() > 0, "it ended before its services were open: {all}");
            if let Some(rest) = line.split("services at http://").nth(1) {
                break rest.split(": ").next().unwrap().trim().to_owned();
            }
            all += &line;
        };
        // a full pipe would stop it
        let drain = move || drop(std::io::copy(&mut messages, &mut std::io::sink()));
        std::thread::Builder::new().name("messages".to_owned()).spawn(drain).unwrap();
        Serving { child, address }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Status and body of a request.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The response to a call of the RPC, as text.
    pub fn call(&self, method: &str, request: &Value) -> String {
        self.post(&format!("/coral.reef.v1.{method}"), request)
    }

    /// The response to a request in JSON, as text.
    pub fn post(&self, path: &str, request: &Value) -> String {
        let (mut stream, body) = (TcpStream::connect(&self.address).unwrap(), request.to_string());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, \
             text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.split(' ').nth(1), Some("200"), "{path}: {text}");
        if head.to_lowercase().contains("transfer-encoding: chunked") { joined(body) } else { body.to_owned() }
    }

    /// Its instruments.
    pub fn metrics(&self) -> Exposition {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "{body}");
        Exposition::parse(&body).unwrap_or_else(|error| panic!("{error}\n{body}"))
    }

    /// Asks it to stop; its one document.
    pub fn stop(mut self) -> Value {
        let status = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let mut document = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut document).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{document}");
        serde_json::from_str(document.lines().collect::<String>().as_str())
            .unwrap_or_else(|error| panic!("{error}: {document}"))
    }
}

/// A body that came in chunks, each after its length.
fn joined(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole += &rest[..length];
        body = &rest[(length + 2).min(rest.len())..];
    }
    whole
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serve_opens_the_services_over_a_store_that_no_run_has_open() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.ndjson");
    let line = |n: u64| {
        let at = 1_772_445_600_000 + n * 30_000;
        format!(
            "{{\"event_id\":\"e{n}\",\"colony_id\":\"shop-production\",\"timestamp\":{at},\"event_type\":\"deploy\",\
             \"service_id\":\"web\"}}\n"
        )
    };
    std::fs::write(&events, (0..200).map(line).collect::<String>()).unwrap();
    let reef = Reef::new(&(files_source(&[&events], &[]) + "[api]\nlisten = \"127.0.0.1:0\"\n"));
    reef.run();
    let serving = Serving::start("serve", &reef);
    assert_eq!(serving.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(serving.get("/readyz"), (200, "{\"ready\":true,\"reasons\":[]}".to_owned()));
    let rows = |read: &Exposition| read.sum("reef_store_rows", &[("table", "federated_events")]);
    let began = Instant::now();
    while rows(&serving.metrics()) != 200.0 {
        assert!(began.elapsed() < WAIT, "the rows of the store are not counted");
        std::thread::park_timeout(LOOK_EVERY);
    }
    let served = serving.stop();
    assert!(served["served"]["store"].as_str().unwrap().starts_with("DuckDB "), "{served}");
}

#[test]
fn a_run_says_why_it_is_not_ready_and_counts_while_it_runs() {
    // no process listens there
    let body = format!("[[colonies]]\ncolony_id = \"shop-production\"\nendpoint = \"http://127.0.0.1:1\"\n{API}");
    let reef = Reef::new(&body);
    let serving = Serving::start("run", &reef);
    let began = Instant::now();
    let failures = |read: &Exposition| read.sum("reef_source_failures_total", &[]);
    while failures(&serving.metrics()) < 2.0 || serving.metrics().sum("reef_sources_unreachable", &[]) < 1.0 {
        assert!(began.elapsed() < WAIT, "the colony is not tried");
        std::thread::park_timeout(LOOK_EVERY);
    }
    let (status, body) = serving.get("/readyz");
    assert_eq!((status, body.as_str()), (503, "{\"ready\":false,\"reasons\":[\"none of 1 colonies has responded\"]}"));
    let read = serving.metrics();
    assert_eq!((read.sum("reef_phase", &[]), read.sum("reef_colonies", &[])), (1.0, 1.0));
    assert!(read.sum("reef_requests_total", &[("route", "/metrics")]) >= 2.0);
    let page = include_str!("../docs/counted.md");
    for family in read.families() {
        assert!(page.contains(&format!("`{family}")), "docs/counted.md does not name {family}");
    }
    let summary = serving.stop();
    assert_eq!(summary["summary"]["ended"], "stopped", "{summary}");
}

/// What the engine and the store have done.
fn work_done(read: &Exposition) -> Vec<(&'static str, f64)> {
    const COUNTED: [&str; 8] = [
        "reef_rows_total",
        "reef_rejects_total",
        "reef_ticks_total",
        "reef_committed_rows_total",
        "reef_commit_duration_seconds_count",
        "reef_evaluation_duration_seconds_count",
        "reef_evaluation_timestamp_seconds",
        "reef_pairs_tested",
    ];
    COUNTED.map(|name| (name, read.sum(name, &[]))).to_vec()
}

#[test]
fn a_thousand_questions_make_a_run_compute_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // the run continues because of a colony, which says nothing for minutes
    let colony = Daemon::init(folder.path(), COLONIES[0], "");
    let (mut events, mut points) = (String::new(), "colony_id,service_id,metric_name,timestamp,p95,count\n".to_owned());
    for minute in 0..480_i64 {
        let at = 1_772_445_600_000 + minute * 60_000;
        for (environment, latency) in [("production", 245), ("staging", 175)] {
            let id = format!("shop-{environment}");
            points += &format!("{id},api,latency,{},{latency},10\n", TimeMs(at));
            if minute % 60 == 0 {
                let event = json!({
                    "event_id": format!("e{minute}"), "colony_id": id, "timestamp": at, "event_type": "deploy",
                    "service_id": "api",
                });
                events += &format!("{event}\n");
            }
        }
    }
    let files = [("events.ndjson", events), ("metrics.csv", points)].map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    let body = format!(
        "[[colonies]]\ncolony_id = \"{}\"\nendpoint = \"{}\"\n{}[collection]\nsummary_interval = \"10m\"\n{API}",
        colony.colony_id,
        colony.endpoint,
        files_source(&[&files[0]], &[&files[1]]),
    );
    let reef = Reef::new(&body);
    let serving = Serving::start("run", &reef);
    let began = Instant::now();
    let stored = |read: &Exposition| read.sum("reef_committed_rows_total", &[]) >= 960.0 + 16.0;
    let mut before = Vec::new();
    // until it has read everything, the colony has answered, and nothing is done any more
    loop {
        let read = serving.metrics();
        let now = work_done(&read);
        if stored(&read) && read.sum("reef_colonies_answering", &[]) == 1.0 && now == before {
            break;
        }
        before = now;
        assert!(began.elapsed() < WAIT, "the run has not settled: {before:?}");
        std::thread::park_timeout(Duration::from_secs(2));
    }
    let compare = json!({ "environment_a": "production", "environment_b": "staging", "metric": "latency" });
    let questions = [
        ("ReefLLM/CompareEnvironments", compare),
        ("ReefService/GetHealth", json!({})),
        ("ReefService/ListCorrelations", json!({ "state": "all" })),
        ("ReefService/ListDeployments", json!({})),
    ];
    let first = questions.clone().map(|(method, request)| serving.call(method, &request));
    for _ in 1..250 {
        for ((method, request), first) in questions.iter().zip(&first) {
            assert_eq!(&serving.call(method, request), first, "{method}");
        }
    }
    let read = serving.metrics();
    assert_eq!(work_done(&read), before);
    assert!(read.sum("reef_requests_total", &[("status", "200")]) >= 1_000.0);
    serving.stop();
}
