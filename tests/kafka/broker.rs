//! A real Apache Kafka broker in KRaft mode: one shared by all tests, and brokers of a test's own that it may kill.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a broker may take to answer; it starts in seconds on an idle machine.
const START_MAX: Duration = Duration::from_secs(180);

/// A broker in a temporary folder. Killed when dropped.
pub struct Broker {
    folder: tempfile::TempDir,
    jars: PathBuf,
    port: u16,
    child: Child,
}

/// Addresses of a broker that all tests of this process share; `None`, with a loud line, where there can be none.
pub fn shared() -> Option<&'static str> {
    static SHARED: OnceLock<Option<String>> = OnceLock::new();
    let brokers = SHARED.get_or_init(|| {
        if let Ok(brokers) = std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
            return Some(brokers);
        }
        let broker = Broker::start()?;
        let brokers = broker.brokers();
        stop_with_this_process(broker);
        Some(brokers)
    });
    if brokers.is_none() {
        skipped();
    }
    brokers.as_deref()
}

#[allow(clippy::print_stderr)] // a skipped test must be seen
fn skipped() {
    eprintln!("SKIPPED a test on Apache Kafka: no jars or no java; `cargo xtask kafka` fetches them");
}

/// A static is never dropped: a shell waits for the end of this process and stops the broker then.
#[expect(clippy::zombie_processes, reason = "it waits for this process, not this process for it")]
fn stop_with_this_process(broker: Broker) {
    let (owner, child) = (std::process::id(), broker.child.id());
    let folder = broker.folder.path().display().to_string();
    let script = "while kill -0 $0 2>/dev/null; do sleep 1; done; kill -9 $1; rm -rf -- \"$2\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, &owner.to_string(), &child.to_string(), &folder]);
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::mem::forget(broker);
}

impl Broker {
    /// Starts a broker of the test's own; `None`, with a loud line, where there can be none.
    pub fn own() -> Option<Broker> {
        let broker = Broker::start();
        if broker.is_none() {
            skipped();
        }
        broker
    }

    fn start() -> Option<Broker> {
        let jars = jars()?;
        let folder = tempfile::tempdir().unwrap();
        // both ports are held until both are known, so they differ
        let free = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
        let [port, controller] = free.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(free);
        std::fs::write(folder.path().join("server.properties"), properties(folder.path(), port, controller)).unwrap();
        let formatted = java(&jars)
            .arg("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", "4L6g3nShT-eMCtK--X86sw", "--config"])
            .arg(folder.path().join("server.properties"))
            .output()
            .unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        let child = spawn(&jars, folder.path());
        let mut broker = Broker { folder, jars, port, child };
        broker.wait();
        Some(broker)
    }

    /// The address to dial.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts the killed broker again, on the same address and data.
    pub fn restart(&mut self) {
        self.child = spawn(&self.jars, self.folder.path());
        self.wait();
    }

    /// Waits until the broker answers a question; a port alone is open too early.
    fn wait(&mut self) {
        let deadline = Instant::now() + START_MAX;
        let answers = |port: u16| {
            TcpStream::connect(("127.0.0.1", port)).is_ok() && super::client::answers(&format!("127.0.0.1:{port}"))
        };
        while !answers(self.port) {
            let ended = self.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "the broker does not answer: {ended:?}\n{}", log());
            super::pause();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The newest jars that `cargo xtask kafka` has fetched.
fn jars() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let entries = std::fs::read_dir(cache.join("coral-pipeline")).ok()?;
    let is_kafka = |path: &PathBuf| path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("kafka-"));
    let jars = entries.flatten().map(|entry| entry.path()).filter(is_kafka).max()?;
    let runs = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    runs.then_some(jars)
}

fn java(jars: &Path) -> Command {
    let mut java = Command::new("java");
    java.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(jars.join("*"));
    java
}

fn spawn(jars: &Path, folder: &Path) -> Child {
    let log = File::create(folder.join("log")).unwrap();
    let mut command = java(jars);
    command.arg("kafka.Kafka").arg(folder.join("server.properties"));
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn properties(folder: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\nlog.dirs={}\nauto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n",
        folder.join("data").display()
    )
}
