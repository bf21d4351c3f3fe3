//! A real Apache Kafka broker in KRaft mode: one shared by all tests, brokers of a test's own that it may kill, and one
//! that also listens with TLS and asks for a password.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a broker may take to respond; it starts in seconds on an idle machine.
const START_MAX: Duration = Duration::from_secs(180);

/// A broker in a temporary folder. Killed when dropped.
pub struct Broker {
    folder: tempfile::TempDir,
    jars: PathBuf,
    port: u16,
    /// The listener that requires a certificate and a password, if any.
    secure_port: Option<u16>,
    child: Child,
}

/// Who may read from a secured broker, by SCRAM-SHA-512.
pub const USER: &str = "reef";
pub const PASSWORD: &str = "opens-sesame";

/// Addresses of a broker that all tests of this process share; `None`, with a loud line, where there can be none.
pub fn shared() -> Option<&'static str> {
    static SHARED: OnceLock<Option<String>> = OnceLock::new();
    let brokers = SHARED.get_or_init(|| {
        if let Ok(brokers) = std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
            return Some(brokers);
        }
        let broker = Broker::start(false)?;
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
    #[allow(dead_code, reason = "tests of the source start one")]
    pub fn own() -> Option<Broker> {
        let broker = Broker::start(false);
        if broker.is_none() {
            skipped();
        }
        broker
    }

    /// The same, which also listens with TLS for [`USER`] with [`PASSWORD`].
    pub fn secured() -> Option<Broker> {
        let broker = Broker::start(true);
        if broker.is_none() {
            skipped();
        }
        broker
    }

    fn start(is_secured: bool) -> Option<Broker> {
        let jars = jars()?;
        let folder = tempfile::tempdir().unwrap();
        // all ports are held until all are known, so they differ
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, controller, secure] = free.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(free);
        let mut text = properties(folder.path(), port, controller);
        let mut format = java(&jars);
        format.args(["kafka.tools.StorageTool", "format", "--cluster-id", "4L6g3nShT-eMCtK--X86sw"]);
        if is_secured {
            make_keys(folder.path());
            text = with_secure_listener(&text, folder.path(), secure);
            format.args(["--add-scram", &format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")]);
        }
        std::fs::write(folder.path().join("server.properties"), text).unwrap();
        let formatted = format.arg("--config").arg(folder.path().join("server.properties")).output().unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        let child = spawn(&jars, folder.path());
        let mut broker = Broker { folder, jars, port, secure_port: is_secured.then_some(secure), child };
        broker.wait();
        Some(broker)
    }

    /// The address that asks for a password, and the file with the certificate that vouches for the broker.
    pub fn secure(&self) -> (String, PathBuf) {
        (format!("127.0.0.1:{}", self.secure_port.unwrap()), self.folder.path().join("ca.pem"))
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

    /// Waits until the broker answers a request, because its port is open too early.
    fn wait(&mut self) {
        let deadline = Instant::now() + START_MAX;
        let answers = |port: u16| {
            TcpStream::connect(("127.0.0.1", port)).is_ok() && super::client::answers(&format!("127.0.0.1:{port}"))
        };
        while !answers(self.port) {
            let ended = self.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "the broker does not respond: {ended:?}\n{}", log());
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

/// A key of the broker, and the certificate that its clients trust.
fn make_keys(folder: &Path) {
    let keytool = |arguments: &[&str]| {
        let mut keytool = Command::new("keytool");
        keytool.args(arguments).args(["-alias", "broker", "-keystore", "keys.p12", "-storepass", "changeit"]);
        let output = keytool.current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    let subject = ["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1", "-validity", "2"];
    keytool(&[&["-genkeypair", "-keyalg", "RSA", "-storetype", "PKCS12"], &subject[..]].concat());
    keytool(&["-exportcert", "-rfc", "-file", "ca.pem"]);
}

fn with_secure_listener(properties: &str, folder: &Path, port: u16) -> String {
    let properties = properties
        .replace(",CONTROLLER://", &format!(",SECURE://127.0.0.1:{port},CONTROLLER://"))
        .replace("PLAINTEXT:PLAINTEXT\n", "PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL\n")
        .replace("advertised.listeners=", &format!("advertised.listeners=SECURE://127.0.0.1:{port},"));
    format!(
        "{properties}sasl.enabled.mechanisms=SCRAM-SHA-512\n\
         listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         ssl.keystore.type=PKCS12\nssl.keystore.location={}\nssl.keystore.password=changeit\n",
        folder.join("keys.p12").display()
    )
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
