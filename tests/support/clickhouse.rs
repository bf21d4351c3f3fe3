//! A real ClickHouse engine for tests: started on a free port, killed, restarted, made to fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The package that `cargo xtask setup` fetches; xtask/src/setup.rs names the same version.
const ENGINE: &str = "tools/chdb-core-26.9.0";
/// Longest wait for an answer of a server that is asked directly.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// A server of this test's own, or the one that `CLICKHOUSE_URL` names.
pub struct Server {
    child: Option<Child>,
    host: String,
    /// Databases to drop at the end, on a server that is not ours.
    borrowed: Option<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
    port: u16,
    password: String,
    /// Size of the disk for its data, when it has one of its own.
    disk_megabytes: Option<u32>,
}

/// Where the engine is, or the reason why it cannot be had.
fn engine() -> Result<PathBuf, String> {
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

impl Server {
    /// The server that `CLICKHOUSE_URL` (`http://host:port`, user `default` without a password) names, else one of our
    /// own: for tests that neither kill it nor make it fail.
    pub fn any() -> Option<Server> {
        let Ok(url) = std::env::var("CLICKHOUSE_URL") else { return Server::start() };
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "8123"));
        Some(Server {
            child: None,
            host: host.to_owned(),
            borrowed: Some(Mutex::new(Vec::new())),
            folder: tempfile::tempdir().unwrap(),
            port: port.parse().unwrap(),
            password: String::new(),
            disk_megabytes: None,
        })
    }

    /// Starts a server, or says loudly why not.
    pub fn start() -> Option<Server> {
        Server::start_with("", None)
    }

    /// The same, for the user `default` with a password.
    pub fn start_with_password(password: &str) -> Option<Server> {
        Server::start_with(password, None)
    }

    /// The same, with its data on a small disk of its own (in memory, seen by that process alone).
    pub fn start_on_small_disk(megabytes: u32) -> Option<Server> {
        let tried = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output();
        if !tried.is_ok_and(|output| output.status.success()) {
            skipped("unshare cannot mount a small disk here");
            return None;
        }
        Server::start_with("", Some(megabytes))
    }

    fn start_with(password: &str, disk_megabytes: Option<u32>) -> Option<Server> {
        if let Err(reason) = engine() {
            skipped(&reason);
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server {
            child: None,
            host: "127.0.0.1".to_owned(),
            borrowed: None,
            folder,
            port: 0,
            password: password.to_owned(),
            disk_megabytes,
        };
        server.restart();
        Some(server)
    }

    /// Starts it again on the same data and the same port.
    pub fn restart(&mut self) {
        self.kill();
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
        command.args(["--port", &self.port.to_string()]).env("PYTHONPATH", engine().unwrap());
        // no file of the tests is written into the cache
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("listening ")?.parse().ok());
        self.port = port.unwrap_or_else(|| panic!("the server did not start: {:?}", child.wait()));
        self.child = Some(child);
        assert_eq!(self.request("GET", "/ping", &[]).unwrap().1, "Ok.\n");
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

    /// Waits until it has ended by itself.
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

    /// Runs a statement in `database`; its answer as tab-separated text.
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
fn skipped(reason: &str) {
    eprintln!("SKIPPED ClickHouse: {reason}");
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        for name in self.borrowed.iter().flat_map(|names| names.lock().unwrap().clone()) {
            let _ = self.try_query("default", &format!("DROP DATABASE {name}"));
        }
    }
}
