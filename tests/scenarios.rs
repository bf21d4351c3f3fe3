//! The end-to-end scenarios of RFD 003, each with real colonies and a real reef in the background.

use crate::lifecycle::KillAtEnd;
use crate::meshes::{own_secret, private};
use crate::support::colonies::{Daemon, coral};
use model::clock::{Clock, SystemClock};
use model::time::{HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const APPLICATION: &str = "my-shop";
const PRODUCTION: &str = "my-shop-production";
const STAGING: &str = "my-shop-staging";
const MESH: &str = "\nmesh:\n  listen: 127.0.0.1:0\n";
/// How long something that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home with a reef that `coral reef init` has made. What still runs at the end is killed.
struct Home {
    _leftover: KillAtEnd,
    folder: PathBuf,
    config: PathBuf,
}

impl Home {
    /// A reef `my-infra` in `folder`, with free ports and a short interval.
    fn init(folder: &Path) -> Home {
        let folder = folder.join("home");
        std::fs::create_dir(&folder).unwrap();
        let output = coral(&folder).env_remove("CORAL_REEF").args(["reef", "init", "my-infra", "--json"]).output();
        let made: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        let config = folder.join(format!("reefs/{}.yaml", made["reef_id"].as_str().unwrap()));
        let port = |line: &str| if line.starts_with("  listen: ") { "  listen: 127.0.0.1:0" } else { line }.to_owned();
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.lines().map(port).collect::<Vec<_>>().join("\n") + "\n";
        let text = text.replace("summary_interval: 60s", "summary_interval: 1s");
        let text = text.replace("dashboard:\n  enabled: true", "dashboard:\n  enabled: false");
        std::fs::write(&config, text).unwrap();
        Home { _leftover: KillAtEnd(config.with_extension("run")), folder, config }
    }

    /// Writes entries in place of `colonies: []`.
    fn with_colonies(&self, entries: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, text.replace("colonies: []\n", &format!("colonies:\n{entries}"))).unwrap();
    }

    fn output(&self, line: &str) -> Output {
        let mut command: Command = coral(&self.folder);
        command.env_remove("CORAL_REEF").arg("reef").args(line.split(' ')).output().unwrap()
    }

    /// What a command prints that succeeds.
    fn text(&self, line: &str) -> String {
        let output = self.output(line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{line}\n{}{}{}", text(&output.stdout), text(&output.stderr), self.log());
        text(&output.stdout)
    }

    /// Its last document.
    fn json(&self, line: &str) -> Value {
        let text = self.text(&format!("{line} --json"));
        let document = serde_json::from_str(&text).or_else(|_| serde_json::from_str(text.lines().last().unwrap_or("")));
        document.unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "{what} did not happen: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// States of the colonies of an answer, by id.
    fn states(&self, line: &str) -> Vec<(String, String)> {
        let document = self.json(line);
        let colonies = document["completeness"]["colonies"].as_array().unwrap().iter();
        let text = |colony: &Value, name: &str| colony[name].as_str().unwrap().to_owned();
        colonies.map(|colony| (text(colony, "colony_id"), text(colony, "state"))).collect()
    }
}

fn entry(daemon: &Daemon) -> String {
    format!("  - {{colony_id: {}, endpoint: '{}'}}\n", daemon.colony_id, daemon.endpoint)
}

/// Writes a file into `folder`.
fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// An event as a line of a file.
fn event(colony_id: &str, event_type: &str, event_id: &str, at: TimeMs) -> String {
    let event = json!({
        "event_id": event_id, "colony_id": colony_id, "timestamp": at.to_string(), "event_type": event_type,
        "service_id": "checkout", "severity": "info",
    });
    format!("{event}\n")
}

/// A deployment of a version as a line of a file.
fn deployed(colony_id: &str, event_id: &str, version: &str, at: TimeMs) -> String {
    let event = json!({
        "event_id": event_id, "colony_id": colony_id, "timestamp": at.to_string(), "event_type": "deploy",
        "service_id": "checkout", "severity": "info", "metadata": { "version": version },
    });
    format!("{event}\n")
}

/// Three hours of a metric, a bucket each five minutes.
fn latency(colony_id: &str, end: TimeMs, value: u32) -> String {
    let mut text = "colony_id,service_id,metric_name,timestamp,p95,count\n".to_owned();
    for minutes in (5..=180).rev().step_by(5) {
        let at = end - minutes * MINUTE_MS;
        writeln!(text, "{colony_id},checkout,latency,{at},{value},10").unwrap();
    }
    text
}

/// The command that adds a colony with its own secret.
fn added(folder: &Path, colony: &Daemon) -> String {
    let secret = folder.join(format!("{}.secret", colony.colony_id));
    private(&secret, &own_secret(colony));
    let (address, key) = colony.mesh.clone().unwrap();
    format!(
        "add-colony {} --endpoint {address} --public-key {key} --mesh-ip 10.42.0.1 --colony-secret-file {}",
        colony.colony_id,
        secret.display()
    )
}

#[test]
fn a_reef_is_made_gets_two_colonies_and_has_the_data_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let colonies = [PRODUCTION, STAGING].map(|colony_id| Daemon::init(folder, (APPLICATION, colony_id), MESH));
    let end = SystemClock.now().floor_to(HOUR_MS);
    for (colony, value, version) in [(&colonies[0], 245, "v2.0.0"), (&colonies[1], 175, "v2.1.0")] {
        let id = colony.colony_id;
        colony.import(&write(folder, &format!("{id}.csv"), &latency(id, end, value)));
        let deploy = deployed(id, "deploy-1", version, end - HOUR_MS);
        colony.import(&write(folder, &format!("{id}.ndjson"), &deploy));
    }
    let home = Home::init(folder);
    for colony in &colonies {
        let told = home.text(&added(folder, colony));
        assert!(told.contains("✓ Colony added to reef configuration\n✓ WireGuard tunnel established"), "{told}");
    }
    let told = home.text("start --daemon");
    for line in ["✓ Loaded 2 colonies", "  - my-shop-production: Connected ✓", "  - my-shop-staging: Connected ✓"]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(told.contains("Reef is running!"), "{told}");

    let compare = "compare production staging --metric latency";
    let expected = "Latency (p95):\n  Production: 245ms\n  Staging:    175ms\n  Difference: +40.0% slower";
    home.until("the metrics of both are compared", || {
        let output = home.output(compare);
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains(expected)
    });
    home.until("the deployments of both are known", || home.json("deployments")["total"] == 2);
    let status = home.json("status");
    assert_eq!(status["state"], "running");
    let ids: Vec<&str> =
        status["colonies"].as_array().unwrap().iter().map(|colony| colony["colony_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [PRODUCTION, STAGING]);
    let current = [PRODUCTION, STAGING].map(|id| (id.to_owned(), "current".to_owned()));
    for line in ["status", "health", "deployments", "versions", "topology", "correlations", compare] {
        assert_eq!(home.states(line), current, "{line}");
    }

    // a third one is added while the reef runs
    let dev = Daemon::init(folder, (APPLICATION, "my-shop-dev"), MESH);
    let told = home.text(&added(folder, &dev));
    assert!(told.contains("✓ The running reef reads it now"), "{told}");
    home.until("the third colony is current", || {
        home.states("status").contains(&("my-shop-dev".to_owned(), "current".to_owned()))
    });

    // a reef that is stopped has the same
    assert!(home.text("stop").contains("stopped (pid"));
    assert!(home.text(compare).contains(expected));
    assert_eq!(home.json("deployments")["total"], 2);
}

/// How many events a running reef has stored.
fn events(api: &str) -> u64 {
    let (address, body) = (api.strip_prefix("http://").unwrap(), "{\"time_window\":\"30d\",\"limit\":1}");
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /coral.reef.v1.ReefService/QueryEvents HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (Some(begin), Some(end)) = (text.find('{'), text.rfind('}')) else { return 0 };
    let answer: Value = serde_json::from_str(&text[begin..=end]).unwrap_or_default();
    answer["total"].as_u64().unwrap_or_default()
}

/// Lets the reef read the events of some repeats, and stops it: then all of them are evaluated.
fn take_in(home: &Home, colonies: &[Daemon; 2], files: [&Path; 2], count: u64) {
    let started = home.json("start --daemon");
    let api = started["api"].as_str().unwrap();
    colonies.iter().zip(files).for_each(|(colony, file)| colony.import(file));
    home.until("every event is stored", || events(api) == count);
    home.text("stop");
}

#[test]
fn a_pattern_is_absent_after_two_repeats_and_listed_after_three() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let colonies = [STAGING, PRODUCTION].map(|colony_id| Daemon::init(folder, (APPLICATION, colony_id), ""));
    let home = Home::init(folder);
    home.with_colonies(&colonies.iter().map(entry).collect::<String>());
    // a deploy to staging, and errors in production 2 h 15 min later, within a minute
    let time = |text: &str| TimeMs::parse_rfc3339(text).unwrap();
    let repeats = [("2024-11-04T09:20:00Z", 0), ("2024-11-07T14:05:00Z", 40), ("2024-11-12T11:40:00Z", -30)];
    let deploy = |number: usize| {
        let (id, version) = (format!("deploy-{number}"), format!("v1.{number}.0"));
        deployed(STAGING, &id, &version, time(repeats[number - 1].0))
    };
    let spike = |number: usize| {
        let (deployed, seconds) = repeats[number - 1];
        let at = time(deployed) + 135 * MINUTE_MS + seconds * SECOND_MS;
        event(PRODUCTION, "error_spike", &format!("spike-{number}"), at)
    };
    // now comes from the rows: something else happens the day after
    let note = |at: &str| event(STAGING, "note", at, time(at));

    let of_staging = deploy(1) + &deploy(2) + &note("2024-11-08T08:00:00Z");
    let two = [write(folder, "two-s.ndjson", &of_staging), write(folder, "two-p.ndjson", &(spike(1) + &spike(2)))];
    take_in(&home, &colonies, [&two[0], &two[1]], 5);
    let listed = home.json("correlations --state all");
    assert_eq!(listed["correlations"], json!([]), "two repeats are none");
    assert!(home.text("correlations --state all").starts_with("No pattern.\n"));

    let third = [
        write(folder, "third-s.ndjson", &(deploy(3) + &note("2024-11-13T08:00:00Z"))),
        write(folder, "third-p.ndjson", &spike(3)),
    ];
    take_in(&home, &colonies, [&third[0], &third[1]], 8);
    let listed = home.json("correlations");
    let pattern = &listed["correlations"][0];
    assert_eq!(listed["total"], 1, "{listed:#}");
    let text = |name: &str| pattern[name].as_str().unwrap();
    assert_eq!((text("source_colony_id"), text("source_signal")), (STAGING, "deploy"), "{pattern}");
    assert_eq!((text("target_colony_id"), text("target_signal")), (PRODUCTION, "error_spike"), "{pattern}");
    assert_eq!((text("state"), &pattern["occurrence_count"]), ("confirmed", &json!(3)), "{pattern}");
    let lag_seconds = pattern["lag_seconds"].as_i64().unwrap();
    assert!((8_040..=8_160).contains(&lag_seconds), "{pattern}");

    // the next deploy to production is warned of by what followed the last one to staging
    let id = text("correlation_id");
    let told = home.text("deployment deploy-3");
    assert!(
        told.contains("  - error_spike spike-3 in my-shop-production (2h14m after deploy, correlation: "),
        "{told}"
    );
    let advice = format!("A confirmed pattern joins it with what followed: coral reef correlation {id}.");
    assert!(told.contains(&advice), "{told}");
    let rows = home.text(&format!("correlation {id}"));
    for number in 1..=3 {
        assert!(rows.contains(&format!("deploy-{number}")) && rows.contains(&format!("spike-{number}")), "{rows}");
    }

    // and a restart keeps it
    home.text("start --daemon");
    home.until("it answers again", || home.json("status")["state"] == "running");
    assert_eq!(home.json("correlations")["correlations"][0]["correlation_id"], id);
    home.text("stop");
}

#[test]
fn every_answer_says_which_colony_is_down_late_or_never_seen_and_since_when() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut colonies = [PRODUCTION, STAGING].map(|colony_id| Daemon::init(folder, (APPLICATION, colony_id), ""));
    let home = Home::init(folder);
    // the metrics of a file end an hour ago
    let ended = (SystemClock.now() - HOUR_MS).floor_to(5 * MINUTE_MS);
    let dev = write(folder, "dev.csv", &latency("my-shop-dev", ended, 180));
    let files = format!("sources:\n  - {{kind: files, metrics: ['{}']}}\n", dev.display());
    home.with_colonies(&(colonies.iter().map(entry).collect::<String>() + &files));
    home.text("start --daemon");
    let state = |colony_id: &str| {
        let found = home.states("status").into_iter().find(|(id, _)| id == colony_id);
        found.map(|(_, state)| state).unwrap_or_default()
    };
    home.until("both answer and the file is read", || {
        [state(PRODUCTION), state(STAGING), state("my-shop-dev")] == ["current", "current", "late"]
    });
    let [_, staging] = &mut colonies;
    staging.child.kill().unwrap();
    staging.child.wait().unwrap();
    home.until("one is lost", || state(STAGING) == "unreachable");
    home.text("stop");
    let text = std::fs::read_to_string(&home.config).unwrap();
    let never = "colonies:\n  - {colony_id: my-shop-qa, endpoint: 'http://127.0.0.1:1'}\n";
    std::fs::write(&home.config, text.replace("colonies:\n", never)).unwrap();

    let expected = [
        ("my-shop-dev", "late", "nothing since "),
        (PRODUCTION, "current", ""),
        ("my-shop-qa", "never_seen", "nothing has been received from it"),
        (STAGING, "unreachable", "no answer since "),
    ];
    for line in ["status", "health", "deployments", "versions", "topology", "correlations"] {
        let document = home.json(line);
        assert_eq!(document["completeness"]["complete"], false, "{line}");
        let found = document["completeness"]["colonies"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{line}: {document}");
        for (colony, (colony_id, state, reason)) in found.iter().zip(expected) {
            assert_eq!((&colony["colony_id"], &colony["state"]), (&colony_id.into(), &state.into()), "{line}");
            let told = colony["reason"].as_str().unwrap();
            assert!(told.starts_with(reason), "{line}: {colony}");
            assert_eq!(colony["complete_to"].is_string(), state != "never_seen", "{line}: {colony}");
        }
        let page = home.text(line);
        assert!(page.contains("⚠ Incomplete: 3 of 4 colonies not current: my-shop-dev late (nothing since "), "{page}");
        let refused = home.output(&format!("{line} --require-complete"));
        assert_eq!(refused.status.code(), Some(5), "{line}");
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        for words in ["my-shop-dev: late", "my-shop-qa: never_seen", "my-shop-staging: unreachable"] {
            assert!(why.contains(words), "{line}: {why}");
        }
    }
    // an answer of which they are no part is complete
    for line in ["health", "deployments", "topology", "correlations"] {
        home.text(&format!("{line} --environment production --require-complete"));
    }
    // any of them may have a newer version
    let refused = home.output("versions --behind --environment production --require-complete");
    assert_eq!(refused.status.code(), Some(5));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("my-shop-staging: unreachable") && why.contains("my-shop-qa: never_seen"), "{why}");
}
