//! docs/mesh.md: its commands run in order, each of them unchanged except for ports.

use crate::support::program;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The bodies of the page's fences of a language, in order.
fn fences(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/mesh.md")).unwrap();
    let mut bodies = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            bodies.push(body.join("\n") + "\n");
        }
    }
    bodies
}

/// The commands of all console blocks, without remarks.
fn commands() -> Vec<String> {
    let command = |line: &str| {
        let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("a command begins with $: {line}"));
        command.split(" #").next().unwrap().trim().to_owned()
    };
    fences("console").iter().flat_map(|block| block.lines().map(command).collect::<Vec<_>>()).collect()
}

/// A command line of the page, in `folder`, with our programs on the path.
fn shell(folder: &Path, line: &str) -> Command {
    let programs = Path::new(program("coral-pipeline")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-ec", &format!("exec {line}")]).current_dir(folder).env("PATH", path);
    command.env("CORAL_HOME", folder.join("home")).env_remove("CORAL_STORAGE_PATH").env_remove("CORAL_REEF");
    command
}

fn run(folder: &Path, line: &str) -> Output {
    let output = shell(folder, line).output().unwrap();
    assert!(
        output.status.success(),
        "{line}\nexit {:?}\n{}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A process of the page that runs until it is stopped. Ended when dropped.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Background {
    /// Starts it; for a daemon, waits for its first line.
    fn start(folder: &Path, line: &str) -> Background {
        let mut child = shell(folder, line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        if line.starts_with("coral ") {
            let mut told = String::new();
            BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut told).unwrap();
            assert!(told.starts_with("listening on"), "{line}: {told:?}");
        }
        Background(child)
    }
}

#[test]
fn every_command_of_the_page_works_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let change = |text: &str| text.replace("0.0.0.0:41580", &format!("127.0.0.1:{udp}")).replace("18080", &tcp);
    let yaml: Vec<String> = fences("yaml").iter().map(|text| change(text)).collect();
    let mut background = Vec::new();
    let lines: Vec<String> = commands().iter().map(|line| change(line)).collect();
    assert!(lines.len() >= 17, "{lines:#?}");
    for line in &lines {
        let is_running = ["coral discovery start", "coral colony start", "coral-pipeline run"];
        if is_running.iter().any(|start| line.starts_with(start)) {
            background.push(Background::start(folder, line));
            if line.starts_with("coral-pipeline run") {
                until_its_tunnel_is_up(folder);
            }
        } else {
            let output = run(folder, line);
            check(line, &String::from_utf8_lossy(&output.stdout));
        }
        if line.starts_with("coral colony init") {
            let file = folder.join("home/colonies/my-shop-production-a3f2e1.yaml");
            let identity = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, identity + &yaml[0]).unwrap();
            std::fs::write(folder.join("reef.yaml"), &yaml[1]).unwrap();
        }
    }
}

/// What the page says of a command.
fn check(line: &str, told: &str) {
    let has = |text: &str| assert!(told.contains(text), "{line}: {told}");
    match line {
        line if line.starts_with("coral colony status") => has("public key"),
        line if line.starts_with("coral reef add-colony") => has("✓ WireGuard tunnel established"),
        line if line.starts_with("coral reef ping") => has("this reef is 10.42.0.100"),
        line if line.starts_with("coral-pipeline validate") => has("admits this reef as 10.42.0.100"),
        line if line.starts_with("coral-pipeline report") => has("Mesh of my-shop-production-a3f2e1: up"),
        line if line.starts_with("coral colony peers") => has("my-infrastructure-reef-x7y8z9"),
        line if line.starts_with("coral colony secret list") => has("auditors"),
        line if line.starts_with("coral colony unpeer") => has("revoked my-infrastructure-reef-x7y8z9"),
        _ => {}
    }
}

/// The reef that was started last answers queries, and its tunnel is up.
fn until_its_tunnel_is_up(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let output = shell(folder, "coral-pipeline report reef.yaml --json").output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if report["running"]["mesh"][0]["state"] == "up" {
            return;
        }
        assert!(Instant::now() < deadline, "{report:#}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}
