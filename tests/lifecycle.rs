//! The life of a reef by the real program: started in both ways, asked, given new configurations, stopped, killed.

use crate::support::clickhouse::Server;
use crate::support::colonies::{COLONIES, Daemon, coral};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(60);
/// No process listens there.
const SILENT: &str = "colonies:\n  - {colony_id: shop-production, endpoint: 'http://127.0.0.1:1'}\n";

/// A home with one reef. What still runs at the end is killed.
struct Home {
    _leftover: KillAtEnd,
    folder: tempfile::TempDir,
    /// The reef's file without its colonies.
    base: String,
}

impl Home {
    fn new(colonies: &str) -> Home {
        Home::with_storage("{path: shop.duckdb}", colonies)
    }

    fn with_storage(storage: &str, colonies: &str) -> Home {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("reefs")).unwrap();
        let base = format!(
            "reef_id: shop-reef-a1b2c3\nname: shop\nstorage: {storage}\n\
             collection: {{summary_interval: 1s}}\napi: {{enabled: true, listen: '127.0.0.1:0'}}\n"
        );
        let leftover = KillAtEnd(folder.path().join("reefs/shop-reef-a1b2c3.run"));
        let home = Home { _leftover: leftover, folder, base };
        home.write(colonies);
        home
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("reefs/shop-reef-a1b2c3.{ending}"))
    }

    fn write(&self, more: &str) {
        std::fs::write(self.path("yaml"), self.base.clone() + more).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = coral(self.folder.path());
        command.env_remove("CORAL_REEF").arg("reef").args(line.split(' '));
        command
    }

    fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// The last document of a command with `--json`, whatever its exit code.
    fn json(&self, line: &str) -> (Option<i32>, Value) {
        let output = self.output(&format!("{line} --json"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let document = serde_json::from_str(&text).or_else(|_| serde_json::from_str(text.lines().last().unwrap_or("")));
        let document = document
            .unwrap_or_else(|error| panic!("{line}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), document)
    }

    /// The same of one that succeeds.
    fn done(&self, line: &str) -> Value {
        let (code, document) = self.json(line);
        assert_eq!(code, Some(0), "{line}: {document:#}{}", self.log());
        document
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until `is_so`.
    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < WAIT, "{what}: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// Kills the process of a run file at the end.
pub struct KillAtEnd(pub PathBuf);

impl Drop for KillAtEnd {
    fn drop(&mut self) {
        let run: Value =
            serde_json::from_str(&std::fs::read_to_string(&self.0).unwrap_or_default()).unwrap_or_default();
        if let Some(pid) = run["pid"].as_u64() {
            signal(pid, "KILL");
        }
    }
}

fn signal(pid: u64, name: &str) {
    let _ = Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
}

fn of_daemon(daemon: &Daemon) -> String {
    format!("  - {{colony_id: {}, endpoint: '{}'}}\n", daemon.colony_id, daemon.endpoint)
}

/// The body that a path of the services gives.
fn get(api: &str, path: &str) -> String {
    let address = api.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn a_reef_in_the_background_is_asked_takes_a_colony_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = COLONIES.map(|colony| Daemon::init(folder.path(), colony, ""));
    let one = format!("colonies:\n{}", of_daemon(&first));
    let home = Home::new(&one);
    let would = home.done("start --daemon --dry-run");
    assert_eq!((&would["dry_run"], &would["colonies"]), (&true.into(), &1.into()), "{would}");
    assert!(!home.path("run").exists() && !home.path("log").exists(), "nothing was started");
    let started = home.done("start --daemon");
    let (pid, api) = (started["pid"].as_u64().unwrap(), started["api"].as_str().unwrap().to_owned());
    assert_eq!((&started["event"], &started["colonies"][0]["connected"]), (&"running".into(), &true.into()));
    assert_eq!(get(&api, "/healthz"), "ok\n");

    // a second one is refused, and names the process
    assert_eq!(home.json("start --dry-run").1["error"]["code"], "already_running");
    let (code, again) = home.json("start --daemon");
    assert_eq!((code, &again["error"]["code"]), (Some(1), &"already_running".into()));
    assert!(again["error"]["message"].as_str().unwrap().contains(&format!("(pid {pid})")), "{again}");

    let status = home.done("status");
    assert_eq!((&status["state"], &status["reef_id"]), (&"running".into(), &"shop-reef-a1b2c3".into()));
    assert_eq!((status["api_url"].as_str(), status["colonies"].as_array().unwrap().len()), (Some(api.as_str()), 1));
    let listed = home.done("list");
    assert_eq!((&listed["reefs"][0]["state"], &listed["reefs"][0]["pid"]), (&"running".into(), &pid.into()));
    let run: Value = serde_json::from_str(&std::fs::read_to_string(home.path("run")).unwrap()).unwrap();
    assert_eq!((run["pid"].as_u64(), run["api"].as_str()), (Some(pid), Some(api.as_str())), "others find it");

    // a file that is wrong leaves the one in force
    home.write(&format!("{one}corelation: {{}}\n"));
    let (code, refused) = home.json("reload");
    assert_eq!((code, &refused["error"]["code"]), (Some(2), &"config_refused".into()));
    assert_eq!(home.json("reload --dry-run"), (code, refused.clone()));
    assert!(refused["error"]["details"][0].as_str().unwrap().contains("unknown key \"corelation\""), "{refused}");
    assert_eq!(home.done("list")["reefs"][0]["state"], "running");
    // and questions are answered with it; a message says what is wrong with the file
    for broken in [format!("{one}corelation: {{}}\n"), "colonies: [".to_owned()] {
        home.write(&broken);
        let status = home.done("status");
        assert_eq!((&status["state"], status["api_url"].as_str()), (&"running".into(), Some(api.as_str())), "{broken}");
        assert_eq!(home.done("health")["completeness"]["colonies"].as_array().unwrap().len(), 1, "{broken}");
        let told = String::from_utf8_lossy(&home.output("versions").stderr).into_owned();
        assert!(told.contains(&format!("answered by the process that runs the reef (pid {pid})")), "{told}");
        let analyzed = home.done("analyze what happened");
        assert!(analyzed["answer"].is_string() && analyzed["metadata"].is_object(), "{broken}: {analyzed}");
    }

    // a second colony takes effect without another process
    home.write(&format!("{one}{}", of_daemon(&second)));
    let would = home.done("reload --dry-run");
    assert_eq!(home.done("list")["reefs"][0]["state"], "running");
    let reloaded = home.done("reload");
    let keys: Vec<&str> =
        reloaded["changed"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap()).collect();
    let expected = ["colony_id", "endpoint"].map(|key| format!("colonies[{}].{key}", second.colony_id));
    assert_eq!(keys, expected);
    assert_eq!(
        (&would["dry_run"], &would["changed"]),
        (&true.into(), &reloaded["changed"]),
        "it changed nothing before"
    );
    home.until("both colonies are known", || {
        let colonies = home.done("status")["completeness"]["colonies"].as_array().unwrap().clone();
        colonies.len() == 2 && colonies.iter().all(|colony| colony["state"] == "current")
    });
    assert_eq!(home.done("list")["reefs"][0]["pid"], pid);
    assert_eq!(home.done("reload")["changed"], serde_json::json!([]), "it says the same now");

    let would = home.done("stop --dry-run");
    assert_eq!(
        (&would["dry_run"], would["pid"].as_u64(), &would["phase"]),
        (&true.into(), Some(pid), &"running".into())
    );
    let stopped = home.done("stop");
    assert_eq!((&stopped["was_running"], stopped["pid"].as_u64()), (&true.into(), Some(pid)));
    assert!(!home.path("run").exists() && !home.path("sock").exists());
    let status = home.done("status");
    assert_eq!((&status["state"], status["colonies"].as_array().unwrap().len()), (&"stopped".into(), 2));
    // of a reef that does not run nothing but its file says what is meant
    home.write("colonies: [");
    assert_eq!(home.json("status").0, Some(2));
    home.write(&one);
    assert_eq!(home.done("stop")["was_running"], false);
}

#[test]
fn a_reef_whose_store_is_a_server_answers_while_its_file_is_wrong() {
    let Some(server) = Server::any() else { return };
    let folder = tempfile::tempdir().unwrap();
    let colony = Daemon::init(folder.path(), COLONIES[0], "");
    let storage = format!(
        "{{type: clickhouse, connection: {{host: '{}', port: {}, protocol: http, database: {}}}}}",
        server.host(),
        server.port(),
        server.database()
    );
    // no process listens there
    let model = "ai: {llm: {provider: 'openai-compatible:small', endpoint: 'http://127.0.0.1:1', timeout: 1s}}\n";
    let home = Home::with_storage(&storage, &format!("{model}colonies:\n{}", of_daemon(&colony)));
    let pid = home.done("start --daemon")["pid"].as_u64().unwrap();
    home.until("it has its store", || home.path("answers.sock").exists());
    let analyzed = home.done("analyze what happened");
    let reason = analyzed["metadata"]["template_reason"].as_str().unwrap();
    assert!(!reason.is_empty() && !reason.contains("is stopped"), "its process asks the model: {analyzed}");
    home.write("colonies: [");
    home.until("it answers", || home.output("health").status.success());
    assert_eq!(home.done("status")["state"], "running");
    let told = String::from_utf8_lossy(&home.output("versions").stderr).into_owned();
    assert!(told.contains(&format!("answered by the process that runs the reef (pid {pid})")), "{told}");
    signal(pid, "TERM");
    home.until("it has ended", || !home.path("run").exists());
    assert!(!home.path("answers.sock").exists(), "nothing is left over");
}

#[test]
fn a_hang_up_reads_the_file_again_and_a_bad_one_changes_nothing() {
    let home = Home::new(SILENT);
    let pid = home.done("start --daemon")["pid"].as_u64().unwrap();
    home.write(&format!("{SILENT}correlation: {{max_lag: 0s}}\n"));
    signal(pid, "HUP");
    home.until("a bad file is refused", || home.log().contains("the configuration stays as it was"));
    assert_eq!(home.done("list")["reefs"][0]["state"], "running");
    home.write(&format!("{SILENT}correlation: {{max_lag: 2h}}\n"));
    signal(pid, "HUP");
    home.until("a good one is taken", || home.log().contains("a new configuration: the run is drained"));
    home.until("it runs again", || home.json("status").1["state"] == "running");
    assert_eq!(home.done("list")["reefs"][0]["pid"], pid);
    home.done("stop");
}

#[test]
fn a_configuration_that_is_right_and_cannot_be_run_is_put_back() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = Home::new(SILENT);
    let pid = home.done("start --daemon")["pid"].as_u64().unwrap();
    let base = home.base.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    std::fs::write(home.path("yaml"), base.clone() + SILENT).unwrap();
    let (code, reverted) = home.json("reload");
    assert_eq!((code, &reverted["error"]["code"]), (Some(1), &"config_reverted".into()), "{reverted}");
    home.until("the former one is in force", || home.json("status").1["state"] == "running");
    assert_eq!(home.done("list")["reefs"][0]["pid"], pid);
    home.done("stop");
    // a start with it fails, and says why
    let (code, failed) = home.json("start --daemon");
    assert_eq!((code, &failed["error"]["code"]), (Some(1), &"start_failed".into()));
    let details = failed["error"]["details"].to_string();
    assert!(details.contains("cannot listen on") && details.contains("set api.listen"), "{failed}");
    assert!(!home.path("run").exists());
}

#[test]
fn a_process_that_was_killed_is_told_and_the_reef_starts_again() {
    let home = Home::new(SILENT);
    let pid = home.done("start --daemon")["pid"].as_u64().unwrap();
    signal(pid, "KILL");
    home.until("it is gone", || home.json("list").1["reefs"][0]["state"] == "stopped");
    let status = home.output("status");
    let told = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(told.contains(&format!("its process (pid {pid}) ended without stopping")), "{told}");
    assert!(String::from_utf8_lossy(&status.stdout).starts_with("Reef: shop-reef-a1b2c3\nStatus: Stopped\n"));
    let second = home.done("start --daemon")["pid"].as_u64().unwrap();
    assert_ne!(second, pid);
    assert!(home.log().contains(&format!("(pid {pid}) ended without stopping")), "{}", home.log());
    // at once: without draining, and nothing is left over
    assert_eq!(home.done("stop --now")["drained"], false);
    assert!(!home.path("run").exists());
}

#[test]
fn in_the_foreground_the_steps_are_told_and_a_signal_drains() {
    let home = Home::new(SILENT);
    let mut start = home.command("start");
    let mut child = start.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (mut lines, mut line) = (Vec::new(), String::new());
    while line != "Reef is running!\n" {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "{lines:#?}");
        lines.push(line.trim_end().to_owned());
    }
    let expected = ["Starting Reef: shop-reef-a1b2c3", "✓ Loaded 1 colony", "✓ Connecting to colonies..."];
    assert_eq!(lines[..3], expected, "{lines:#?}");
    assert!(
        lines[3].starts_with("  - shop-production: Not connected ✗ ("),
        "a colony that fails stops nothing: {lines:#?}"
    );
    assert_eq!(
        lines[5..8],
        ["✓ Started event streams", "✓ Started summary collection (1s interval)", "✓ Started AI correlation engine"]
    );
    assert!(lines[8].starts_with("✓ Services: http://127.0.0.1:"), "{lines:#?}");
    signal(child.id().into(), "TERM");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(!home.path("run").exists() && !home.path("sock").exists());
}

#[test]
fn of_two_starts_at_once_one_wins() {
    let home = Home::new(SILENT);
    let start = || home.command("start --daemon --json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let outputs = [start(), start(), start()].map(|child| child.wait_with_output().unwrap());
    let won = outputs.iter().filter(|output| output.status.success()).count();
    assert_eq!(won, 1, "{outputs:#?}");
    home.done("stop");
}

#[test]
fn a_flag_goes_before_the_variable_and_the_variable_before_the_current_reef() {
    let folder = tempfile::tempdir().unwrap();
    let call = |line: &str, variable: Option<&str>| {
        let mut command = coral(folder.path());
        command.env_remove("CORAL_REEF").envs(variable.map(|reef| ("CORAL_REEF", reef)));
        let output = command.arg("reef").args(line.split(' ')).arg("--json").output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(output.status.success(), "{line}: {document}");
        document
    };
    for name in ["one", "two", "three"] {
        call(&format!("init {name} --reef-id {name}-reef-a1b2c3"), None);
    }
    let chosen = |line: &str, variable: Option<&str>| call(line, variable)["reef_id"].as_str().unwrap().to_owned();
    assert_eq!(chosen("status", None), "one-reef-a1b2c3", "the first one is current");
    call("use two", None);
    assert_eq!(chosen("status", None), "two-reef-a1b2c3");
    // a name, the start of an id, an id
    assert_eq!(chosen("status", Some("three")), "three-reef-a1b2c3");
    assert_eq!(chosen("status --reef one-r", Some("three")), "one-reef-a1b2c3");
    assert_eq!(chosen("status --reef two-reef-a1b2c3", Some("three")), "two-reef-a1b2c3");
}

/// The page docs/reef.md.
fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reef.md")).unwrap()
}

/// The contents of the page's code blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    page.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_command_of_the_page_works_in_its_order() {
    let page = page();
    let folder = tempfile::tempdir().unwrap();
    let colony = Daemon::init(folder.path(), COLONIES[0], "");
    let home = folder.path().join("home");
    let file = home.join("reefs/my-infrastructure-reef-x7y8z9.yaml");
    let _leftover = KillAtEnd(file.with_extension("run"));
    let commands = blocks(&page, "console").join("\n");
    let commands: Vec<&str> = commands.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 14, "{commands:#?}");
    let entry = blocks(&page, "yaml").remove(0).replace("http://127.0.0.1:9000", &colony.endpoint);
    let entry = entry.replace("my-shop-production", colony.colony_id);
    for line in commands {
        let words = line.split(" #").next().unwrap().trim();
        let words = words.strip_prefix("coral ").unwrap_or_else(|| panic!("{line}"));
        let mut command = coral(folder.path());
        command.env("CORAL_HOME", &home).env_remove("CORAL_REEF").args(words.split(' '));
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}\n{told}\n{}", String::from_utf8_lossy(&output.stderr));
        let has = |text: &str| assert!(told.contains(text), "{line}: {told}");
        match words {
            "reef init my-infrastructure --reef-id my-infrastructure-reef-x7y8z9" => {
                has("Reef initialized successfully!");
                let text = std::fs::read_to_string(&file).unwrap();
                let text = text.replace("colonies: []\n", &entry).replace("127.0.0.1:3101", "127.0.0.1:0");
                std::fs::write(&file, text).unwrap();
            }
            "reef start --daemon" => has("Reef is running!"),
            "reef status" => has("Status: Running"),
            "reef list" => has("✓ running"),
            "reef reload" => has("nothing changes"),
            "reef stop" => has("stopped (pid"),
            _ => {}
        }
    }
}
