//! A colony and a reef as processes of a user with no right at all: what they may do, and what they show of secrets.

use super::{MESH, all_files, await_some, holds, private, shown_of};
use crate::support::program;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const COLONY: &str = "shop-production";
/// The user nobody.
const NOBODY: u32 = 65_534;

/// A file that other users may read, without a copy where the file system allows it.
fn shared(from: &Path, folder: &Path) -> PathBuf {
    let to = folder.join(from.file_name().unwrap());
    std::fs::hard_link(from, &to).or_else(|_| std::fs::copy(from, &to).map(drop)).unwrap();
    to
}

fn status_of(pid: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap()
}

/// The programs where every user can start them, and a folder of the user who does.
struct User {
    folder: tempfile::TempDir,
    /// Whether this is root, who becomes nobody; any other user has no capability to drop.
    is_root: bool,
}

impl User {
    fn new() -> User {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        shared(Path::new(program("coral")), &programs);
        shared(Path::new(program("coral-pipeline")), &programs);
        // these tests are linked with the same library; a bundled one is in the programs
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        if let Some(library) = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| {
            Path::new(path).file_name().is_some_and(|name| name.to_string_lossy().starts_with("libduckdb"))
        }) {
            shared(Path::new(library), &programs);
        }
        let uid = status_of("self").lines().find_map(|line| line.strip_prefix("Uid:").map(str::to_owned)).unwrap();
        let is_root = uid.split_whitespace().nth(1) == Some("0");
        if is_root {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        User { folder, is_root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One of the programs with all of its log, without a right.
    fn command(&self, name: &str, words: &[&str]) -> Command {
        let programs = self.path("programs");
        let mut command = match self.is_root {
            true => {
                let mut setpriv = Command::new("setpriv");
                setpriv.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]);
                setpriv.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
                setpriv.arg(programs.join(name));
                setpriv
            }
            false => Command::new(programs.join(name)),
        };
        command.args(words).current_dir(self.folder.path()).env("LD_LIBRARY_PATH", &programs);
        command.env("CORAL_HOME", self.path("home")).env("HOME", self.folder.path()).env("TMPDIR", self.folder.path());
        command.env("RUST_LOG", "trace").env_remove("CORAL_STORAGE_PATH").env_remove("CORAL_REEF");
        command
    }

    /// The one document of a command of `coral colony`, and everything that it shows.
    fn colony(&self, words: &[&str]) -> (Value, Vec<u8>) {
        let output = self.command("coral", &[["colony"].as_slice(), words, &["--json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        (serde_json::from_slice(&output.stdout).unwrap(), [output.stdout, output.stderr].concat())
    }

    fn log(&self, name: &str) -> std::fs::File {
        std::fs::File::create(self.path(name)).unwrap()
    }

    fn logged(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap()).into_owned()
    }
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both at work: the reef has pulled from the colony.
struct AtWork {
    colony: Running,
    reef: Running,
    user: User,
    /// What the commands before have shown.
    shown: Vec<u8>,
}

impl AtWork {
    /// Fails on a machine where root cannot become nobody.
    fn start() -> Result<AtWork, String> {
        let user = User::new();
        if user.is_root && Command::new("setpriv").arg("--version").output().is_err() {
            return Err("there is no setpriv, with which root becomes nobody".to_owned());
        }
        let (_, mut shown) = user.colony(&["init", "shop", "--environment", "production", "--colony-id", COLONY]);
        let file = user.path("home").join(format!("colonies/{COLONY}.yaml"));
        let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(MESH.as_bytes()).unwrap();
        let mut colony = user.command("coral", &["colony", "start", "--json"]);
        let colony = colony.stdout(Stdio::piped()).stderr(user.log("colony.log")).spawn().unwrap();
        let (mut colony, mut line) = (Running(colony), String::new());
        BufReader::new(colony.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}", user.logged("colony.log")));
        shown.extend(user.colony(&["secret", "create", "reef", "--out", "reef.secret"]).1);
        let mesh = &listening["mesh"];
        let text = format!(
            "reef_id = \"reef-a1b2c3\"\nname = \"r\"\n[[colonies]]\ncolony_id = \"{COLONY}\"\nmesh = {{ mesh_ip = \
             \"10.42.0.1\", colony_secret_file = \"reef.secret\", endpoint = {}, public_key = {} }}\n[collection]\n\
             summary_interval = \"1s\"\n[api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n[storage]\ntype = \
             \"duckdb\"\npath = \"reef.duckdb\"\n",
            mesh["listen"], mesh["public_key"]
        );
        private(&user.path("reef.toml"), &text);
        if user.is_root {
            chown(user.path("reef.toml"), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut reef = user.command("coral-pipeline", &["run", "reef.toml", "--json"]);
        let reef = Running(reef.stdout(user.log("reef.out")).stderr(user.log("reef.log")).spawn().unwrap());
        let at_work = AtWork { user, colony, reef, shown };
        await_some("a pull through the mesh", || {
            let log = at_work.user.logged("colony.log");
            let is_pull = |line: &&str| line.contains("coral_audit") && line.contains("ColonyFederation/GetSummary");
            log.lines().find(|line| is_pull(line) && line.contains("code=Ok")).map(drop)
        });
        Ok(at_work)
    }

    fn metrics(&self) -> Vec<u8> {
        let log = self.user.logged("reef.log");
        let address = log.split("services at http://").nth(1).unwrap().split(": ").next().unwrap().trim().to_owned();
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        assert!(holds(&text, "reef_colonies_answering"), "{}", String::from_utf8_lossy(&text));
        text
    }
}

#[test]
fn both_programs_work_as_nobody_with_every_capability_dropped() {
    let at_work = match AtWork::start() {
        Ok(at_work) => at_work,
        Err(reason) => {
            return eprintln!("SKIPPED both_programs_work_as_nobody_with_every_capability_dropped: {reason}");
        }
    };
    for child in [&at_work.colony, &at_work.reef] {
        let pid = child.0.id().to_string();
        let status = status_of(&pid);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
        }
        if at_work.user.is_root {
            assert!(status.contains("CapBnd:\t0000000000000000") && status.contains("Uid:\t65534\t65534"), "{status}");
        }
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let open: Vec<PathBuf> = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).collect();
        assert!(open.iter().any(|path| path.to_string_lossy().starts_with("socket:")), "{open:?}");
        assert!(!open.iter().any(|path| path.starts_with("/dev/net")), "{open:?}");
    }
}

#[test]
fn no_output_of_the_programs_holds_a_secret_or_a_key() {
    let mut at_work = match AtWork::start() {
        Ok(at_work) => at_work,
        Err(reason) => return eprintln!("SKIPPED no_output_of_the_programs_holds_a_secret_or_a_key: {reason}"),
    };
    let home = at_work.user.path("home");
    for words in [["status"].as_slice(), &["peers"], &["secret", "list"]] {
        let shown = at_work.user.colony(words).1;
        at_work.shown.extend(shown);
    }
    let report = at_work.user.command("coral-pipeline", &["report", "reef.toml"]).output().unwrap();
    assert!(report.status.success(), "{report:?}");
    at_work.shown.extend([report.stdout, report.stderr].concat());
    let ping = at_work.user.command("coral", &["reef", "ping", "--reef", "reef.toml"]).output().unwrap();
    assert!(ping.status.success(), "{ping:?}");
    let metrics = at_work.metrics();
    at_work.shown.extend([ping.stdout, ping.stderr, metrics].concat());
    for child in [&at_work.colony, &at_work.reef] {
        at_work.shown.extend(shown_of(&child.0));
    }
    let read = |path: &Path| std::fs::read_to_string(path).unwrap().trim().to_owned();
    let mesh = home.join("mesh").join(COLONY);
    let registry: Value = serde_json::from_str(&read(&mesh.join("mesh.json"))).unwrap();
    let own = read(&home.join(format!("colonies/{COLONY}.yaml")));
    let own = own.lines().find_map(|line| line.strip_prefix("colony_secret: ")).unwrap().trim_matches('"').to_owned();
    let derived: Vec<String> =
        registry["grants"].as_array().unwrap().iter().map(|grant| grant["psk"].as_str().unwrap().to_owned()).collect();
    assert_eq!(derived.len(), 2);
    let reef = read(&at_work.user.path("reef.secret"));
    let hidden = [vec![own, reef, read(&mesh.join("mesh.key"))], derived].concat();
    let logs = all_files(at_work.user.folder.path());
    let logs: Vec<PathBuf> = logs.into_iter().filter(|file| file.extension().is_some_and(|it| it == "log")).collect();
    assert_eq!(logs.len(), 2, "{logs:?}");
    for text in &hidden {
        assert!(text.len() >= 40, "{text}");
        assert!(!holds(&at_work.shown, text), "in what a command, a process list or a metric shows");
        for log in &logs {
            let bytes = std::fs::read(log).unwrap();
            assert!(bytes.len() > 10_000, "{log:?} has everything");
            assert!(!holds(&bytes, text), "in {log:?}");
        }
    }
}
