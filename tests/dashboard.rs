//! The dashboard in a real browser, over the store of a generated fleet with hostile texts.

mod cost;
mod evaluation;

use crate::services::Serving;
use crate::support::colonies::{COLONIES, Daemon};
use crate::support::{Reef, program};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The script that drives the browser.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dashboard/browser.mjs");
/// Checks that the script reports.
const CHECKS: [&str; 13] = [
    "pages",
    "axe",
    "narrow",
    "turned",
    "keyboard",
    "quiet",
    "clicks",
    "shift",
    "moves",
    "labels",
    "asks",
    "renewals",
    "scriptless",
];
/// Text of which nothing may reach a browser as more than text.
const HOSTILE: &str = "\\\"'><script>alert(1)</script><img src=x onerror=alert(2)>\\u202e";

/// The browser's tools; says what is missing.
fn tools(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BROWSER_TOOLS").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.join("node_modules/playwright-core").is_dir());
    if folder.is_none() || std::env::var_os("CHROMIUM").is_none() {
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("SKIPPED {name}: BROWSER_TOOLS, CHROMIUM name no browser; cargo xtask test fetches what it can");
        }
        return None;
    }
    folder
}

/// The script in one of its modes.
fn script(mode: &str, url: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(SCRIPT).arg(mode).arg(url).stdout(Stdio::piped()).stdin(Stdio::piped());
    node
}

/// Generates a fleet into `folder`.
fn generate(folder: &Path, (colonies, days): (&str, &str)) {
    let fleet = folder.join("fleet");
    let generate = Command::new(program("coral-pipeline"))
        .args(["generate", "--colonies", colonies, "--days", days, "--out"])
        .arg(&fleet)
        .output()
        .unwrap();
    assert!(generate.status.success(), "{}", String::from_utf8_lossy(&generate.stderr));
}

/// Runs a reef over the fleet of `folder`; `extra` are more lines of events.
fn reef_over(folder: &Path, extra: &str) -> Reef {
    let fleet = folder.join("fleet");
    let (mut events, hostile) = (vec![fleet.join("events.ndjson")], folder.join("hostile.ndjson"));
    if !extra.is_empty() {
        std::fs::write(&hostile, extra).unwrap();
        events.push(hostile);
    }
    let metrics = fleet.join("metrics.parquet");
    let body = format!(
        "[[sources]]\nkind = \"files\"\nmetrics = [{metrics:?}]\nevents = {events:?}\n\n\
         [api]\nenabled = false\nlisten = \"127.0.0.1:0\"\n"
    );
    let reef = Reef::new(&body);
    reef.run();
    reef
}

/// An event whose every text is hostile, at the time of the newest generated events.
fn hostile(at_ms: i64) -> String {
    format!(
        "{{\"event_id\":\"{HOSTILE}\",\"colony_id\":\"evil-production\",\"timestamp\":{at_ms},\"event_type\":\"deploy\",\
         \"service_id\":\"{HOSTILE}\",\"severity\":\"error\",\"description\":\"{HOSTILE}\",\
         \"application_name\":\"{HOSTILE}\",\"environment\":\"{HOSTILE}\",\
         \"metadata\":{{\"version\":\"{HOSTILE}\",\"{HOSTILE}\":\"{HOSTILE}\"}}}}\n"
    )
}

/// The newest time of a generated fleet, in milliseconds since 1970.
fn newest(folder: &Path) -> i64 {
    let events = std::fs::read_to_string(folder.join("fleet/events.ndjson")).unwrap();
    let times = events.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["timestamp"]
            .as_i64()
            .or_else(|| model::time::TimeMs::parse_rfc3339(event["timestamp"].as_str()?).map(|at| at.0))
    });
    times.max().unwrap()
}

#[test]
fn every_page_is_sound_in_a_real_browser() {
    if tools("every_page_is_sound_in_a_real_browser").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), ("4", "20"));
    let reef = reef_over(folder.path(), &hostile(newest(folder.path())));
    let serving = Serving::start("serve", &reef);
    let output = script("check", &format!("http://{}", serving.address())).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let reports: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let wrong: Vec<&Value> = reports.iter().filter(|one| !one["faults"].as_array().unwrap().is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let done: Vec<&str> = reports.iter().map(|one| one["check"].as_str().unwrap()).collect();
    assert_eq!(done, CHECKS, "{}", String::from_utf8_lossy(&output.stderr));
    serving.stop();
}

/// A browser that watches a page, step by step.
struct Watching {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watching {
    fn start(mode: &str, url: &str) -> Watching {
        let mut child = script(mode, url).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut watching = Watching { child, lines };
        assert_eq!(watching.next()["step"], "watching");
        watching
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the browser ended: {error} {line:?}"))
    }

    /// Waits until the page shows a step.
    fn until(&mut self, step: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{step}").unwrap();
        assert_eq!(self.next()["step"], step);
    }

    /// Ends it; nothing that must not happen has happened.
    fn end(&mut self, check: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "end").unwrap();
        let report = self.next();
        assert_eq!((&report["check"], report["faults"].as_array().unwrap().len()), (&check.into(), 0), "{report}");
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_page_says_that_the_reef_is_away_and_comes_back_by_itself() {
    if tools("a_page_says_that_the_reef_is_away_and_comes_back_by_itself").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), ("4", "20"));
    let reef = reef_over(folder.path(), "");
    let serving = Serving::start("serve", &reef);
    let address = serving.address().to_owned();
    let mut watching = Watching::start("watch", &format!("http://{address}"));
    serving.stop();
    watching.until("gone");
    let text = std::fs::read_to_string(reef.config()).unwrap();
    std::fs::write(reef.config(), text.replace("127.0.0.1:0", &address)).unwrap();
    let again = Serving::start("serve", &reef);
    watching.until("back");
    watching.end("restart");
    again.stop();
}

#[test]
fn a_revoked_token_leads_to_the_login_and_another_one_back_to_the_page() {
    if tools("a_revoked_token_leads_to_the_login_and_another_one_back_to_the_page").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), ("2", "3"));
    let reef = reef_over(folder.path(), "");
    let text = std::fs::read_to_string(reef.config()).unwrap();
    std::fs::write(reef.config(), text.replace("[api]", "[api]\nrequire_token = true")).unwrap();
    let token = |words: &[&str]| -> Value {
        let output = Command::new(program("coral"))
            .args(["reef", "token"])
            .args(words)
            .arg("--reef")
            .arg(reef.config())
            .arg("--json")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let [first, second] = ["first", "second"].map(|name| {
        let created = token(&["create", "--role", "readonly", "--name", name]);
        created["token"].as_str().unwrap().to_owned()
    });
    let serving = Serving::start("serve", &reef);
    let mut watching = Watching::start("session", &format!("http://{}", serving.address()));
    watching.until(&format!("login {first}"));
    token(&["revoke", "--yes", first.split('_').nth(1).unwrap()]);
    watching.until("revoked");
    watching.until(&format!("login {second}"));
    watching.end("session");
    serving.stop();
}

#[test]
fn events_of_a_live_colony_appear_without_a_reload() {
    if tools("events_of_a_live_colony_appear_without_a_reload").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let colony = Daemon::init(folder.path(), COLONIES[0], "");
    let happens = |name: &str, minute: i64| {
        let file = folder.path().join(format!("{name}.ndjson"));
        let event = serde_json::json!({
            "event_id": name, "colony_id": colony.colony_id, "timestamp": 1_772_445_600_000 + minute * 60_000,
            "event_type": "error_spike", "service_id": "web", "severity": "error", "description": name,
        });
        std::fs::write(&file, format!("{event}\n")).unwrap();
        colony.import(&file);
    };
    happens("first-spike", 0);
    // its port is taken all the time, so that no other test can race for it: the pages are at the other listener
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let reef = Reef::new(&format!(
        "[[colonies]]\ncolony_id = \"{}\"\nendpoint = \"{}\"\n[collection]\nsummary_interval = \"1s\"\n\
         [api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n[dashboard]\nenabled = true\nport = {}\n",
        colony.colony_id,
        colony.endpoint,
        taken.local_addr().unwrap().port()
    ));
    let serving = Serving::start("run", &reef);
    let mut watching = Watching::start("rows", &format!("http://{}", serving.address()));
    watching.until("first-spike");
    happens("second-spike", 1);
    watching.until("second-spike");
    watching.end("rows");
    serving.stop();
}

/// A demo that shows its store. Killed when dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_demo_ends_with_the_address_of_a_dashboard_over_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(program("coral-pipeline"));
    demo.args(["demo", "--serve", "--listen", "127.0.0.1:0", "--colonies", "2", "--days", "3", "--out"]);
    demo.arg(folder.path().join("demo")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut demo = Demo(demo.spawn().unwrap());
    let mut messages = BufReader::new(demo.0.stderr.take().unwrap());
    let (mut line, mut all) = (String::new(), String::new());
    let address = loop {
        line.clear();
        assert!(messages.read_line(&mut line).unwrap() > 0, "it ended without an address: {all}");
        if let Some((_, rest)) = line.split_once("dashboard at http://") {
            break rest.trim().trim_end_matches('/').to_owned();
        }
        all += &line;
    };
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<title>Overview"), "{page}");
    assert!(page.contains("-staging") && !page.contains("data-tag=\"none\""), "its colonies are known: {page}");
}

/// Not a test: `cargo xtask screenshots` makes the pictures of docs/dashboard with it.
#[test]
fn pictures() {
    let Ok(pictures) = std::env::var("DASHBOARD_PICTURES") else { return };
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), ("8", "30"));
    let reef = reef_over(folder.path(), "");
    let serving = Serving::start("serve", &reef);
    std::fs::create_dir_all(&pictures).unwrap();
    let status = script("pictures", &format!("http://{}", serving.address()))
        .arg(&pictures)
        .stdout(Stdio::inherit())
        .status()
        .unwrap();
    assert!(status.success());
    serving.stop();
}
