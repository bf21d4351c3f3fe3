//! docs/api.md: every call on the page is made, to `coral-pipeline serve` over a reef of files, and answers as the page says.

use crate::services::Serving;
use crate::support::{Reef, files_source, program};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// What the examples are about: a deployment that is put back, one that fails, others that went well.
const EVENTS: &str = r#"{"event_id":"s2","colony_id":"my-shop-staging","timestamp":"2024-11-13T09:00:00Z","event_type":"deploy","service_id":"api","metadata":{"version":"v2.1.0"}}
{"event_id":"p1","colony_id":"my-shop-production","timestamp":"2024-11-12T10:00:00Z","event_type":"deploy","service_id":"api","metadata":{"tag":"v2.0.0"}}
{"event_id":"p2","colony_id":"my-shop-production","timestamp":"2024-11-13T14:30:00Z","event_type":"deploy","service_id":"api","metadata":{"version":"v2.1.0","deployment_id":"deploy-abc123"}}
{"event_id":"p3","colony_id":"my-shop-production","timestamp":"2024-11-13T14:45:00Z","event_type":"error_spike","service_id":"api","severity":"error","description":"5xx above limit"}
{"event_id":"p4","colony_id":"my-shop-production","timestamp":"2024-11-13T15:00:00Z","event_type":"rollback","service_id":"api"}
{"event_id":"p5","colony_id":"my-shop-production","timestamp":"2024-11-13T15:30:00Z","event_type":"deploy_failed","service_id":"web","metadata":{"git_sha":"9fceb02d0ae5"}}
"#;
const PAGE: &str = "docs/api.md";
/// The address on the page.
pub const ADDRESS: &str = "127.0.0.1:3101";

/// A fence of the page.
pub struct Fence {
    pub kind: String,
    pub body: String,
}

/// The fences of a page.
pub fn fences(page: &str) -> Vec<Fence> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let (mut fences, mut lines) = (Vec::new(), page.lines());
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            fences.push(Fence { kind: kind.to_owned(), body: body.join("\n") });
        }
    }
    fences
}

/// A reef over files that has been run, and its store served.
pub fn serving(folder: &Path) -> (Reef, Serving) {
    let mut metrics = "colony_id,service_id,metric_name,timestamp,p95,count\n".to_owned();
    for minute in 0..480 {
        for (environment, latency) in [("production", 245), ("staging", 175)] {
            let time = format!("2024-11-13T{:02}:{:02}:00Z", 8 + minute / 60, minute % 60);
            writeln!(metrics, "my-shop-{environment},api,latency,{time},{latency},10").unwrap();
        }
    }
    let (events, points) = (folder.join("events.ndjson"), folder.join("metrics.csv"));
    std::fs::write(&events, EVENTS).unwrap();
    std::fs::write(&points, metrics).unwrap();
    let reef = Reef::new(&(files_source(&[&events], &[&points]) + "[api]\nlisten = \"127.0.0.1:0\"\n"));
    reef.run();
    let serving = Serving::start("serve", &reef);
    (reef, serving)
}

/// Whether everything in `part` is in `whole`; a list begins with the items of the page.
pub fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| holds(whole, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().enumerate().all(|(place, item)| whole.get(place).is_some_and(|whole| holds(whole, item)))
        }
        (whole, part) => whole == part,
    }
}

pub fn shell(commands: &str, reef: &Reef, address: &str) -> String {
    let programs = Path::new(program("coral-pipeline")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let commands = commands.replace(ADDRESS, address);
    let mut shell = Command::new("bash");
    shell.args(["-ec", &commands]).current_dir(reef.config().parent().unwrap()).env("PATH", path);
    let output = shell.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{commands}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Whether a program that a test needs is here; says that the test is skipped where it is not.
pub fn has(program: &str, test: &str) -> bool {
    let has = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("SKIPPED {test}: `{program}` does not start");
        }
    }
    has
}

/// The program `buf`: that of `cargo xtask test`, otherwise that on the `PATH`.
fn buf() -> String {
    std::env::var("BUF").unwrap_or_else(|_| "buf".to_owned())
}

#[test]
fn every_call_of_the_page_answers_as_the_page_says() {
    if !has("curl", "api_page::every_call_of_the_page_answers_as_the_page_says") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (reef, serving) = serving(folder.path());
    let fences = fences(PAGE);
    let mut answers = 0;
    for (place, fence) in fences.iter().enumerate().filter(|(_, fence)| fence.kind == "sh") {
        let printed = shell(&fence.body, &reef, serving.address());
        let Some(expected) = fences.get(place + 1).filter(|next| next.kind == "json") else { continue };
        let expected = expected.body.replace("\"my-shop\"", "\"test-reef-a1b2c3\"");
        let expected: Value = serde_json::from_str(&expected).unwrap_or_else(|error| panic!("{error}: {expected}"));
        let answer =
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {}\n{printed}", fence.body));
        assert!(holds(&answer, &expected), "{}\nthe page: {expected:#}\nanswered: {answer:#}", fence.body);
        answers += 1;
    }
    assert_eq!(answers, fences.iter().filter(|fence| fence.kind == "json").count());
    assert!(answers >= 7, "the calls of the page are found");
}

#[test]
fn the_statement_of_an_evidence_gives_its_row_again() {
    if !has("curl", "api_page::the_statement_of_an_evidence_gives_its_row_again") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (reef, serving) = serving(folder.path());
    let call = "curl -s http://127.0.0.1:3101/coral.reef.v1.ReefLLM/AnalyzeDeployment -H 'content-type: application/json' \
                -d '{\"deployment_id\": \"deploy-abc123\"}'";
    let answer: Value = serde_json::from_str(&shell(call, &reef, serving.address())).unwrap();
    serving.stop();
    let evidence = answer["evidence"].as_array().unwrap();
    assert!(!evidence.is_empty(), "{answer}");
    for one in evidence {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let data = &one["data"];
        let expected = ["event_id", "event_type", "service_id"].map(|name| text(&data[name])).join("\t") + "\n";
        assert_eq!(reef.query(&text(&one["query"])), expected, "{one}");
    }
}

#[test]
fn every_call_of_the_page_by_buf_is_answered() {
    if !has(&buf(), "api_page::every_call_of_the_page_by_buf_is_answered") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (reef, serving) = serving(folder.path());
    let fences = fences(PAGE);
    let calls: Vec<&str> =
        fences.iter().filter(|fence| fence.kind == "sh buf").flat_map(|it| it.body.lines()).collect();
    let answers: Vec<String> = calls
        .iter()
        .map(|call| shell(&call.replacen("buf ", &format!("{} ", buf()), 1), &reef, serving.address()))
        .collect();
    let [methods, health, deployments] = answers.as_slice() else { panic!("three calls: {calls:?}") };
    assert!(methods.contains("coral.reef.v1.ReefLLM/CompareEnvironments"), "{methods}");
    assert!(health.contains("my-shop-production") && !health.contains("my-shop-staging"), "{health}");
    assert!(deployments.contains("\"truncated\": true"), "{deployments}");
}
