//! A real ClickHouse engine for tests: started on a free port, killed, restarted, made to fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The package that `cargo xtask setup` fetches; xtask/src/setup.rs names the same version.
const ENGINE: &str = "tools/chdb-core-26.9.0";
/// What a whole server needs to know.
const SERVER_CONFIG: &str = "<clickhouse>
  <listen_host>127.0.0.1</listen_host><http_port>PORT</http_port>
  <path>FOLDER/data/</path><tmp_path>FOLDER/tmp/</tmp_path><user_files_path>FOLDER/files/</user_files_path>
  <logger><level>warning</level><log>FOLDER/server.log</log></logger>
  <users><default><password/><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota></default></users>
  <profiles><default/></profiles><quotas><default/></quotas>
</clickhouse>";

/// Timeout of a direct request to a server.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// A server of this test's own, or the one that `CLICKHOUSE_URL` names.
pub struct Server {
    engine: Engine,
    child: Option<Child>,
    host: String,
    /// Databases to drop at the end, on a server that is not ours.
    borrowed: Option<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
    port: u16,
    password: String,
    /// Size of its own disk for data, if it has one.
    disk_megabytes: Option<u32>,
    /// Its configuration, when it has another than the engine's own.
    config: Option<PathBuf>,
}

/// The kind of server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Engine {
    /// An external server.
    Elsewhere { host: String, port: u16 },
    /// The fetched package behind the front of this folder.
    Package(PathBuf),
    /// A program of this machine.
    Program(PathBuf),
}

/// The configured one; otherwise the downloaded package, whose version is known; otherwise that of this machine.
fn choose(url: Option<&str>, package: Result<PathBuf, String>, program: Option<PathBuf>) -> Result<Engine, String> {
    if let Some(url) = url {
        let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "8123"));
        let port = port.parse().map_err(|_| format!("CLICKHOUSE_URL={url} is not http://host:port"))?;
        return Ok(Engine::Elsewhere { host: host.to_owned(), port });
    }
    match (package, program) {
        (Ok(folder), _) => Ok(Engine::Package(folder)),
        (Err(_), Some(program)) => Ok(Engine::Program(program)),
        (Err(reason), None) => Err(format!("{reason}, and no `clickhouse` is on the PATH")),
    }
}

/// Where the fetched package is, or the reason why it cannot be had.
fn package() -> Result<PathBuf, String> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let folder = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("coral-pipeline").join(ENGINE);
    if !folder.join("chdb").is_dir() {
        return Err(format!("{} is missing: `cargo xtask setup` fetches it", folder.display()));
    }
    match Command::new("python3").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(folder),
        _ => Err("python3 is not on the PATH".to_owned()),
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("clickhouse")).find(|file| file.is_file())
}

impl Server {
    /// A server for tests that neither kill it nor make it fail; `CLICKHOUSE_URL` (`http://host:port`, user `default`
    /// without a password) may name it.
    pub fn any() -> Option<Server> {
        let url = std::env::var("CLICKHOUSE_URL").ok();
        match choose(url.as_deref(), package(), program()) {
            Ok(engine) => Some(Server::of(engine, "", None)),
            Err(reason) => skipped(&reason),
        }
    }

    /// Starts a server with injectable faults, which requires the front, or prints why not.
    pub fn start() -> Option<Server> {
        Server::start_with("", None)
    }

    /// The same, for the user `default` with a password.
    pub fn start_with_password(password: &str) -> Option<Server> {
        Server::start_with(password, None)
    }

    /// The same, with its data on its own small disk (in memory, visible only to that process).
    pub fn start_on_small_disk(megabytes: u32) -> Option<Server> {
        let tried = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output();
        if !tried.is_ok_and(|output| output.status.success()) {
            return skipped("unshare cannot mount a small disk here");
        }
        Server::start_with("", Some(megabytes))
    }

    fn start_with(password: &str, disk_megabytes: Option<u32>) -> Option<Server> {
        match package() {
            Ok(folder) => Some(Server::of(Engine::Package(folder), password, disk_megabytes)),
            Err(reason) => skipped(&reason),
        }
    }

    fn of(engine: Engine, password: &str, disk_megabytes: Option<u32>) -> Server {
        let mut server = Server {
            engine,
            child: None,
            host: "127.0.0.1".to_owned(),
            borrowed: None,
            folder: tempfile::tempdir().unwrap(),
            port: 0,
            password: password.to_owned(),
            disk_megabytes,
            config: None,
        };
        if let Engine::Elsewhere { host, port } = &server.engine {
            (server.host, server.port, server.borrowed) = (host.clone(), *port, Some(Mutex::new(Vec::new())));
        }
        server.restart();
        server
    }

    /// Restarts it on the same data and port, with another configuration of the engine: files of its folder, the first
    /// of which is the main one. `FOLDER` in their text is replaced by that folder.
    pub fn restart_with(&mut self, files: &[(&str, &str)]) {
        let folder = self.folder.path().to_owned();
        for (name, text) in files {
            std::fs::write(folder.join(name), text.replace("FOLDER", &folder.display().to_string())).unwrap();
        }
        self.config = files.first().map(|(name, _)| folder.join(name));
        self.restart();
    }

    /// Starts it again on the same data and the same port.
    pub fn restart(&mut self) {
        self.kill();
        match self.engine.clone() {
            Engine::Elsewhere { .. } => {}
            Engine::Package(folder) => self.start_front(&folder),
            Engine::Program(program) => self.start_program(&program),
        }
        assert_eq!(self.request("GET", "/ping", &[]).unwrap().1, "Ok.\n");
    }

    fn start_front(&mut self, package: &Path) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/clickhouse_front.py");
        let data = self.folder.path().join("data");
        let mut command = match self.disk_megabytes {
            None => Command::new("python3"),
            Some(megabytes) => {
                std::fs::create_dir_all(&data).unwrap();
                let mut command = Command::new("unshare");
                let mount = "mount -t tmpfs -o size=$1m tmpfs \"$2\" && shift 2 && exec python3 \"$@\"";
                command.args(["-rm", "sh", "-c", mount, "sh", &megabytes.to_string()]).arg(&data);
                command
            }
        };
        command.arg(script).arg(&data).args(["--password", &self.password]);
        command.args(["--port", &self.port.to_string()]).env("PYTHONPATH", package);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        // no file of the tests is written into the cache
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("listening ")?.parse().ok());
        self.port = port.unwrap_or_else(|| panic!("the server did not start: {:?}", child.wait()));
        self.child = Some(child);
    }

    /// A complete server, which prints nothing when it listens: it is polled until it responds.
    fn start_program(&mut self, program: &Path) {
        if self.port == 0 {
            self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        }
        let config = self.folder.path().join("server.xml");
        let text = SERVER_CONFIG.replace("PORT", &self.port.to_string());
        std::fs::write(&config, text.replace("FOLDER", &self.folder.path().display().to_string())).unwrap();
        let mut command = Command::new(program);
        command.arg("server").arg(format!("--config-file={}", config.display())).current_dir(self.folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let child = self.child.insert(child);
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(child.try_wait().unwrap().is_none(), "{} ended at once", program.display());
            std::thread::park_timeout(Duration::from_millis(100));
        }
        panic!("{} does not listen", program.display());
    }

    /// The server's process, for measurements; 0 when it is not ours.
    #[allow(dead_code, reason = "tests ask for no processor time")]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Waits until it has ended.
    pub fn await_end(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates a database that no other test uses.
    pub fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("reef_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        self.query("default", &format!("CREATE DATABASE {name}"));
        if let Some(borrowed) = &self.borrowed {
            borrowed.lock().unwrap().push(name.clone());
        }
        name
    }

    /// Runs a statement in `database`; returns its result as tab-separated text.
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.try_query(database, sql).unwrap_or_else(|text| panic!("{sql}: {text}"))
    }

    /// The same, when the server may refuse it.
    pub fn try_query(&self, database: &str, sql: &str) -> Result<String, String> {
        let (status, text) = self.request("POST", &format!("/?database={database}"), sql.as_bytes()).unwrap();
        if status == 200 { Ok(text) } else { Err(text) }
    }

    /// Arms a fault: `do=refuse&at=3`, … (see clickhouse_front.py).
    pub fn control(&self, words: &str) {
        assert_eq!(self.request("POST", &format!("/control?{words}"), &[]).unwrap().0, 200);
    }

    /// Statements that ran since [`Server::clear_log`].
    pub fn log(&self) -> Vec<String> {
        let text = self.request("GET", "/log", &[]).unwrap().1;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn clear_log(&self) {
        self.request("POST", "/log", &[]).unwrap();
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n",
            self.password,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok((status, body.to_owned()))
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn skipped(reason: &str) -> Option<Server> {
    eprintln!("SKIPPED ClickHouse: {reason}");
    None
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        for name in self.borrowed.iter().flat_map(|names| names.lock().unwrap().clone()) {
            let _ = self.try_query("default", &format!("DROP DATABASE {name}"));
        }
    }
}

#[test]
fn the_server_that_was_named_comes_first_then_the_package_then_the_program() {
    let package = || Ok(PathBuf::from("package"));
    let program = || Some(PathBuf::from("clickhouse"));
    let missing = || Err("no package".to_owned());
    let named = Engine::Elsewhere { host: "db.example.com".to_owned(), port: 8124 };
    assert_eq!(choose(Some("http://db.example.com:8124/"), package(), program()), Ok(named));
    let Ok(Engine::Elsewhere { port, .. }) = choose(Some("db.example.com"), missing(), None) else { panic!() };
    assert_eq!(port, 8123);
    assert!(choose(Some("http://h:many"), package(), None).unwrap_err().contains("CLICKHOUSE_URL"));
    assert_eq!(choose(None, package(), program()), Ok(Engine::Package("package".into())));
    assert_eq!(choose(None, missing(), program()), Ok(Engine::Program("clickhouse".into())));
    let reason = choose(None, missing(), None).unwrap_err();
    assert!(reason.contains("no package") && reason.contains("PATH"), "{reason}");
}
