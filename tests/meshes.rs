//! Two colonies behind meshes, in processes of their own, with a relay before each that sees what an eavesdropper sees.

mod docs;
mod processes;
mod relay;

use crate::statements::{answer, sql};
use crate::support::colonies::{COLONIES, Daemon, coral, cut, from_files, run_until_complete, stop};
use crate::support::recordings::Recording;
use crate::support::{Reef, program};
use relay::Relay;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// A free port on loopback; ports and tunnels of each start are new.
const MESH: &str = "\nmesh:\n  listen: 127.0.0.1:0\n";
/// How long something that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both colonies, each behind its relay, and a reef that knows only the relays.
struct Scene {
    folder: tempfile::TempDir,
    colonies: Vec<Daemon>,
    relays: Vec<Relay>,
    reef: Reef,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let colonies: Vec<Daemon> =
            COLONIES.into_iter().map(|colony| Daemon::init(folder.path(), colony, MESH)).collect();
        let relays: Vec<Relay> = colonies.iter().map(|colony| Relay::start(colony.mesh.as_ref().unwrap().0)).collect();
        let mut body = String::new();
        for (colony, relay) in colonies.iter().zip(&relays) {
            let secret = folder.path().join(format!("{}.secret", colony.colony_id));
            private(&secret, &own_secret(colony));
            body += &format!(
                "[[colonies]]\ncolony_id = \"{}\"\nmesh = {{ mesh_ip = \"10.42.0.1\", colony_secret_file = {:?}, \
                 endpoint = \"{}\", public_key = \"{}\" }}\n",
                colony.colony_id,
                secret.display().to_string(),
                relay.address(),
                colony.mesh.as_ref().unwrap().1
            );
        }
        let reef = Reef::new(&(body + "[collection]\nsummary_interval = \"1s\"\n"));
        Scene { folder, colonies, relays, reef }
    }

    fn crash_and_restart(&mut self, number: usize) {
        self.colonies[number].crash_and_restart();
        // its port is another one: what is before it, a router say, leads there
        self.relays[number].lead_to(self.colonies[number].mesh.as_ref().unwrap().0);
    }

    fn ping(&self) -> Output {
        let mut ping = coral(self.folder.path());
        ping.args(["reef", "ping", "--json", "--reef"]).arg(self.reef.config()).output().unwrap()
    }
}

pub fn private(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The secret that `init` wrote into the colony's file.
pub fn own_secret(colony: &Daemon) -> String {
    let file = colony.home.join("colonies").join(format!("{}.yaml", colony.colony_id));
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("colony_secret: ")).unwrap();
    line.trim_matches('"').to_owned()
}

/// Waits until `found` finds something.
fn await_some<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path))
        } else if path.is_file() {
            files.push(path)
        }
    }
    files
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Command lines and environments of a process.
fn shown_of(child: &Child) -> Vec<u8> {
    let read = |name: &str| std::fs::read(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
    [read("cmdline"), read("environ")].concat()
}

#[test]
fn meshes_give_what_files_give_while_colonies_and_reef_are_killed() {
    let recording = Recording::any("releases");
    let mut scene = Scene::new();
    let (parts, all, events) = cut(&recording.events(), scene.folder.path());
    let mut running = scene.reef.start();
    let mut shown = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        for (colony, file) in scene.colonies.iter().zip(part) {
            colony.import(file);
        }
        shown.extend(shown_of(&running));
        match number {
            1 | 3 => scene.crash_and_restart(number / 2),
            2 | 4 => {
                running.kill().unwrap();
                running.wait().unwrap();
                running = scene.reef.start();
            }
            _ => {}
        }
    }
    stop(running);
    run_until_complete(&scene.reef, events);
    assert_eq!(scene.reef.correlations(), from_files(&all));

    let known: Vec<Value> = scene.colonies.iter().map(|colony| colony.command(&["peers"])["peers"].clone()).collect();
    for peers in &known {
        assert_eq!((&peers[0]["reef_id"], &peers[0]["mesh_ip"]), (&"test-reef-a1b2c3".into(), &"10.42.0.100".into()));
        assert_eq!(peers.as_array().unwrap().len(), 1, "one reef, however often it was started");
    }
    let config = std::fs::read_to_string(scene.reef.config()).unwrap();
    assert_eq!(
        config.matches("reef_mesh_ip = \"10.42.0.100\"").count(),
        2,
        "the reef has stored its addresses: {config}"
    );
    only_wireguard(&scene);
    for colony in &scene.colonies {
        let calls: Vec<String> =
            colony.log().lines().filter(|line| line.contains("coral_audit")).map(str::to_owned).collect();
        let is_audited = |method: &str| {
            calls
                .iter()
                .any(|line| line.contains(method) && line.contains("10.42.0.100") && line.contains("test-reef-a1b2c3"))
        };
        assert!(is_audited("ColonyFederation/GetSummary"), "{calls:#?}");
        shown.extend(shown_of(&colony.child));
    }
    no_secret_is_found(&scene, &shown);
}

/// What passed the relays is WireGuard's four messages, and none of the text that was in them.
fn only_wireguard(scene: &Scene) {
    for (relay, colony) in scene.relays.iter().zip(&scene.colonies) {
        let seen = relay.seen();
        let mut kinds = BTreeSet::new();
        for datagram in &seen {
            let (kind, length) = (datagram[0], datagram.len());
            assert_eq!(datagram[1..4], [0, 0, 0], "reserved bytes");
            assert!(matches!((kind, length), (1, 148) | (2, 92) | (3, 64) | (4, 32..)), "type {kind}, {length} bytes");
            kinds.insert(kind);
            for text in [colony.colony_id, "test-reef-a1b2c3", "PRI * HTTP/2", "ColonyFederation"] {
                assert!(!holds(datagram, text), "{text} can be read");
            }
        }
        assert!(
            kinds.is_superset(&BTreeSet::from([1, 2, 4])) && seen.len() > 20,
            "{kinds:?}, {} datagrams",
            seen.len()
        );
    }
}

/// Secrets are in the files that are made for them, and nowhere else.
fn no_secret_is_found(scene: &Scene, shown: &[u8]) {
    for colony in &scene.colonies {
        let (secret, id) = (own_secret(colony), colony.colony_id);
        let mesh = colony.home.join("mesh").join(id);
        let key = std::fs::read_to_string(mesh.join("mesh.key")).unwrap();
        let registry: Value = serde_json::from_slice(&std::fs::read(mesh.join("mesh.json")).unwrap()).unwrap();
        let derived = registry["grants"][0]["psk"].as_str().unwrap();
        let places = |name: &str| -> Vec<PathBuf> {
            match name {
                "secret" => vec![
                    colony.home.join("colonies").join(format!("{id}.yaml")),
                    scene.folder.path().join(format!("{id}.secret")),
                ],
                "key" => vec![mesh.join("mesh.key")],
                _ => vec![mesh.join("mesh.json")],
            }
        };
        for (name, text) in [("secret", secret.as_str()), ("key", key.trim()), ("derived", derived)] {
            assert!(text.len() >= 40, "{name}: {text}");
            let files = all_files(scene.folder.path()).into_iter().chain(all_files(scene.reef.folder.path()));
            let found: Vec<PathBuf> = files.filter(|file| holds(&std::fs::read(file).unwrap(), text)).collect();
            assert_eq!(found.iter().collect::<BTreeSet<_>>(), places(name).iter().collect(), "{name} of {id}");
            assert!(!holds(shown, text), "{name} of {id} is in a command line or an environment");
        }
    }
}

#[test]
fn a_removed_reef_loses_one_colony_at_once_and_for_good() {
    let recording = Recording::any("releases");
    let mut scene = Scene::new();
    let (parts, _, _) = cut(&recording.events(), scene.folder.path());
    for (colony, file) in scene.colonies.iter().zip(&parts[0]) {
        colony.import(file);
    }
    let running = scene.reef.start();
    for colony in &scene.colonies {
        await_some("an event stream", || {
            let peers = colony.command(&["peers"]);
            peers["peers"][0]["tunnel"]["answer_age_seconds"].as_u64()
        });
        await_some("events", || {
            scene.reef.asked()["running"]["progress"]["events"].as_u64().filter(|count| *count > 0)
        });
        await_some("a summary", || colony.log().contains("ColonyFederation/GetSummary").then_some(()));
    }
    let removed = &scene.colonies[0];
    let told = removed.command(&["unpeer", "test-reef-a1b2c3", "--yes"]);
    assert_eq!(told["knows_shared_secret"], true);
    let ended = await_some("the end of the stream", || {
        let is_end = |line: &&str| line.contains("StreamEvents") && line.contains("PermissionDenied");
        removed.log().lines().find(is_end).map(str::to_owned)
    });
    assert!(ended.contains("10.42.0.100"), "{ended}");
    await_some("the end of its tunnel", || removed.command(&["peers"])["peers"][0]["tunnel"].is_null().then_some(()));
    // the other colony continues
    let other = &scene.colonies[1];
    let calls = |log: &str| log.lines().filter(|line| line.contains("GetSummary") && line.contains("code=Ok")).count();
    let before = calls(&other.log());
    await_some("further summaries", || (calls(&other.log()) > before + 1).then_some(()));
    stop(running);
    // a reef that starts again stores what the colony says to it
    let removed_id = removed.colony_id;
    await_some("a colony that is stored as revoked", || {
        // a query at this point could open the store before the reef does
        let before = calls(&other.log());
        let running = scene.reef.start();
        await_some("summaries of the other colony", || (calls(&other.log()) > before + 2).then_some(()));
        stop(running);
        let sql = format!("SELECT health, last_error FROM colony_status WHERE colony_id = '{removed_id}'");
        let stored = scene.reef.query(&sql);
        (stored.contains("revoked") && stored.contains("refused this reef")).then_some(())
    });

    revoked_after_a_restart(&mut scene);

    // a secret of its own brings it back
    let file = scene.folder.path().join(format!("{}.secret", scene.colonies[0].colony_id));
    std::fs::remove_file(&file).unwrap();
    let file = file.display().to_string();
    let words = ["secret", "create", "again", "--reef", "test-reef-a1b2c3", "--out", &file];
    assert_eq!(scene.colonies[0].command(&words)["secret"], Value::Null, "it is in the file");
    assert_eq!(scene.ping().status.code(), Some(0));
    // until that secret is revoked
    assert_eq!(scene.colonies[0].command(&["secret", "revoke", "again", "--yes"])["name"], "again");
    revoked_after_a_restart(&mut scene);
}

/// The colony remembers it when it starts again, and says so to a reef that starts again.
fn revoked_after_a_restart(scene: &mut Scene) {
    scene.crash_and_restart(0);
    let answer = scene.ping();
    assert_eq!(answer.status.code(), Some(4), "{answer:?}");
    let failure: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let colonies = &failure["error"]["report"]["colonies"];
    assert_eq!((&colonies[0]["state"], &colonies[1]["state"]), (&"refused".into(), &"ok".into()), "{failure:#}");
    assert!(colonies[0]["error"].as_str().unwrap().contains("revoked on"), "{failure:#}");
}

#[test]
fn a_statement_reads_colonies_in_their_meshes_while_the_reef_runs() {
    let recording = Recording::any("releases");
    let scene = Scene::new();
    let (parts, _, _) = cut(&recording.events(), scene.folder.path());
    let ask = |colony: &Daemon| {
        let output = sql(&scene.reef, &[&format!("SELECT count(*) FROM colony.\"{}\".events", colony.colony_id)]);
        output.status.success().then(|| answer(&output))
    };
    for (colony, file) in scene.colonies.iter().zip(&parts[0]) {
        colony.import(file);
    }
    let running = scene.reef.start();
    for (colony, file) in scene.colonies.iter().zip(&parts[0]) {
        let events = std::fs::read_to_string(file).unwrap().lines().count();
        // until the reef has its store and has joined the mesh
        let is_whole = |found: &Value| found["notes"] == json!([]);
        let found = await_some("a whole answer", || ask(colony).filter(is_whole));
        assert_eq!(found["rows"], json!([[events]]), "{found:#}");
    }
    stop(running);
    // a command by itself joins no mesh
    let found = ask(&scene.colonies[0]).unwrap();
    assert_eq!((&found["rows"], &found["notes"][0]["code"]), (&json!([[0]]), &json!("colony_missing")), "{found:#}");
    assert!(found["notes"][0]["message"].as_str().unwrap().contains("it is in a mesh"), "{found:#}");
}

#[test]
fn with_a_mesh_plain_tcp_is_off_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut colony = Daemon::init(folder.path(), COLONIES[0], MESH);
    assert_eq!(listening_sockets(&colony.child), 1, "asked for with --listen");
    colony.child.kill().unwrap();
    colony.child.wait().unwrap();
    let mut start = coral(&colony.home);
    start.args(["colony", "start", "--json"]).stdout(std::process::Stdio::piped());
    let mut child = start.stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    colony.child = child;
    let listening: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&listening["endpoint"], listening_sockets(&colony.child)), (&Value::Null, 0), "{listening}");
    assert_eq!(listening["mesh"]["address"], "10.42.0.1:9000");
}

/// TCP sockets on which a process listens.
fn listening_sockets(child: &Child) -> usize {
    let folder = format!("/proc/{}/fd", child.id());
    let links = std::fs::read_dir(folder).unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let own: BTreeSet<String> =
        links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect();
    let tables = ["tcp", "tcp6"].map(|name| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
    let is_listening = |line: &&str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        cells.get(3) == Some(&"0A") && cells.get(9).is_some_and(|inode| own.contains(*inode))
    };
    tables.iter().flat_map(|table| table.lines()).filter(is_listening).count()
}

#[test]
fn a_demo_behind_meshes_finds_what_was_planted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let mut demo = Command::new(program("coral-pipeline"));
    demo.args(["demo", "--mesh", "--colonies", "4", "--days", "12", "--json", "--out"]).arg(&out);
    let output = demo.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["summary"]["unreachable"], serde_json::json!({}), "{:#}", document["summary"]);
    let config = std::fs::read_to_string(out.join("reef.toml")).unwrap();
    assert!(
        config.matches("mesh = { mesh_ip = \"10.42.0.1\"").count() == 4 && !config.contains("\nendpoint"),
        "{config}"
    );
}
