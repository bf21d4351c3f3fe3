//! `coral reef sql` without a statement: a prompt on a real terminal. Ctrl-C ends a statement in the reef that runs.

use crate::api_page::{fences, serving};
use crate::services::Serving;
use crate::sql_page::{MARK, PAGE};
use crate::support::{Reef, files_source, program};
use model::clock::{Clock, SystemClock};
use model::time::MINUTE_MS;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a terminal may take to show something.
const SHOWN_WAIT: Duration = Duration::from_secs(60);
/// How long a statement may take to begin and to end; by itself it ends after 30 s.
const STATEMENT_WAIT: Duration = Duration::from_secs(20);
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b";
/// Ends after days as well; the store has sent few of its rows by then: each is compared with so many numbers.
const OF_MANY_ROWS: &str = "SELECT count(*) FROM generate_series(1, 3000000) AS a, federated_metrics AS m \
                            WHERE a.value + m.p95 < 0";
/// Buckets of that store: far more than wait between a store and a statement.
const BUCKETS: i64 = 40_000;
/// A running reef: no process listens there.
const BODY: &str = "[[colonies]]\ncolony_id = \"shop-production\"\nendpoint = \"http://127.0.0.1:1\"\n\
                    [api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";
/// Two events of one type, and one of another.
const EVENTS: [(&str, &str); 3] = [("a", "deploy"), ("b", "deploy"), ("c", "crash")];

fn coral(reef: &Reef, words: &[&str]) -> Command {
    let mut command = Command::new(program("coral"));
    command.args(["reef", "sql", "--reef"]).arg(reef.config()).args(words);
    command.env("CORAL_HOME", reef.folder.path().join("home")).stdin(Stdio::null());
    command
}

/// A reef that runs, has three events, and answers.
fn running() -> (Reef, Serving) {
    running_with("")
}

/// The same; `more` is added to its configuration.
fn running_with(more: &str) -> (Reef, Serving) {
    let reef = Reef::new(&(files_source(&[Path::new("events.ndjson")], &[]) + more + BODY));
    let line = |(id, kind): (&str, &str)| {
        let event = json!({
            "event_id": id, "colony_id": "shop-staging", "timestamp": "2024-11-13T09:00:00Z", "event_type": kind,
            "service_id": "api",
        });
        format!("{event}\n")
    };
    std::fs::write(reef.folder.path().join("events.ndjson"), EVENTS.map(line).concat()).unwrap();
    let serving = Serving::start("run", &reef);
    let began = Instant::now();
    let count = || coral(&reef, &["SELECT count(*) AS n FROM federated_events", "--as", "csv"]).output().unwrap();
    while count().stdout != b"n\n3\n" {
        assert!(began.elapsed() < SHOWN_WAIT, "{:?}", count());
    }
    (reef, serving)
}

/// Waits until so many statements run.
fn await_statements(serving: &Serving, count: f64) {
    let began = Instant::now();
    while serving.metrics().sum("reef_statements_running", &[]) != count {
        assert!(began.elapsed() < STATEMENT_WAIT, "not {count} statements run");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// What a terminal has shown.
#[derive(Default)]
struct Shown {
    bytes: Vec<u8>,
    is_ended: bool,
}

/// A program on a terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    /// Up to where it has been looked at.
    seen: usize,
}

impl Terminal {
    /// Starts `coral reef sql` on a terminal of 120 columns; `None` where none can be made.
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
    fn start(reef: &Reef) -> Option<Terminal> {
        if Command::new("script").arg("--version").output().is_err() {
            eprintln!("SKIPPED prompt: there is no `script` to make a terminal");
            return None;
        }
        let line =
            format!("stty rows 40 cols 120; exec {} reef sql --reef {}", program("coral"), reef.config().display());
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("NO_COLOR", "1").env("SHELL", "/bin/sh");
        command.env("CORAL_HOME", reef.folder.path().join("home")).env_remove("CORAL_REEF");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let shown = Arc::new((Mutex::new(Shown::default()), Condvar::new()));
        let read = {
            let shown = Arc::clone(&shown);
            move || {
                let mut buffer = [0; 4096];
                loop {
                    let count = screen.read(&mut buffer).unwrap_or(0);
                    let mut now = shown.0.lock().unwrap();
                    now.bytes.extend_from_slice(&buffer[..count]);
                    now.is_ended = count == 0;
                    shown.1.notify_all();
                    if count == 0 {
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new().name("screen".to_owned()).spawn(read).unwrap();
        Some(Terminal { child, keys, shown, seen: 0 })
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for a text after the one that was waited for before; returns what is between them.
    fn until(&mut self, text: &str) -> String {
        let (mut shown, changed) = (self.shown.0.lock().unwrap(), &self.shown.1);
        let began = Instant::now();
        loop {
            let new = &shown.bytes[self.seen..];
            if let Some(at) = new.windows(text.len()).position(|window| window == text.as_bytes()) {
                let between = String::from_utf8_lossy(&new[..at]).into_owned();
                self.seen += at + text.len();
                return between;
            }
            let all = String::from_utf8_lossy(&shown.bytes).into_owned();
            assert!(!shown.is_ended && began.elapsed() < SHOWN_WAIT, "{text:?} is not shown: {all:?}");
            shown = changed.wait_timeout(shown, Duration::from_secs(1)).unwrap().0;
        }
    }

    /// The exit code.
    fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

#[test]
fn statements_are_typed_completed_and_interrupted_at_a_prompt() {
    let (reef, serving) = running();
    let Some(mut terminal) = Terminal::start(&reef) else { return };
    assert!(terminal.until("sql> ").contains("Reef test-reef-a1b2c3."));
    // Tab completes the table, and a statement goes over several lines
    terminal.press("SELECT event_type, count(*) AS n FROM federated_ev\t");
    terminal.until("federated_events");
    terminal.press(" WHERE colony_id = 'shop;'\r OR true\r GROUP BY event_type ORDER BY n;\r");
    let page = terminal.until("2 rows");
    let rows: Vec<&str> = page.lines().rev().take(5).collect();
    let rows: Vec<String> = rows.iter().rev().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(rows.join("|").contains("event_type n|---------- -|crash 1|deploy 2"), "{page:?}");
    terminal.until("sql> ");
    // a mark is below the place of an error
    terminal.press("SELECT 1 FORM x y;\r");
    terminal.until("error: ");
    assert!(terminal.until("^").contains("SELECT 1 FORM x y"));
    terminal.until("sql> ");
    // Ctrl-C cancels what runs, in the reef too, and then clears a line
    terminal.press(&format!("{ENDLESS};\r"));
    await_statements(&serving, 1.0);
    terminal.press("\x03");
    terminal.until("Cancelled");
    await_statements(&serving, 0.0);
    terminal.until("sql> ");
    terminal.press("SELECT nonsense");
    terminal.until("nonsense");
    terminal.press("\x03");
    terminal.until("sql> ");
    terminal.press("SELECT 40 + 2 AS answer;\r");
    terminal.until("42");
    terminal.until("1 row");
    terminal.until("sql> ");
    terminal.press("\\d federated_events\r");
    terminal.until("event_id");
    terminal.until("sql> ");
    terminal.press("\x04");
    assert_eq!(terminal.end(), Some(0));
    let history = reef.folder.path().join("home/sql_history");
    assert!(std::fs::read_to_string(&history).unwrap().contains("AS answer;"));
    assert_eq!(history.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_prompt_of_the_page_shows_what_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let (reef, serving) = serving(folder.path());
    let Some(mut terminal) = Terminal::start(&reef) else { return };
    let in_one_line = |text: &str| -> String {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("|")
    };
    terminal.until(MARK);
    let mut count = 0;
    for block in fences(PAGE).iter().filter_map(|fence| fence.body.strip_prefix(MARK)) {
        let (statement, shown) = block.split_once(";\n").unwrap();
        let (rows, last) = shown.rsplit_once('\n').unwrap();
        terminal.press(&format!("{};\r", statement.replace('\n', "\r")));
        let seen = terminal.until(last);
        assert!(in_one_line(&seen).contains(&in_one_line(rows)), "{block}\nshows: {seen:?}");
        terminal.until(MARK);
        count += 1;
    }
    assert!(count > 0, "{PAGE} has a block that begins with {MARK:?}");
    terminal.press("\x04");
    assert_eq!(terminal.end(), Some(0));
    serving.stop();
}

/// Asks, and interrupts the command once its statement does what it is to do before.
fn interrupt(reef: &Reef, serving: &Serving, sql: &str, begun: impl FnOnce()) {
    // where a shell runs the tests in the background, they ignore it, and so would the command
    let mut asked = Command::new("env");
    let command = coral(reef, &[sql]);
    asked.arg("--default-signal=INT").arg(command.get_program()).args(command.get_args());
    asked.env("CORAL_HOME", reef.folder.path().join("home"));
    let mut asked = asked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    await_statements(serving, 1.0);
    begun();
    let status = Command::new("kill").args(["-s", "INT", &asked.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(asked.wait().unwrap().signal(), Some(2));
    await_statements(serving, 0.0);
}

#[test]
fn a_statement_that_is_interrupted_ends_in_the_reef_that_runs() {
    let (reef, serving) = running();
    interrupt(&reef, &serving, ENDLESS, || {});
}

/// Scans of DuckDB in a process: each has a thread with a name.
fn scans(serving: &Serving) -> usize {
    let threads = std::fs::read_dir(format!("/proc/{}/task", serving.pid())).unwrap();
    let name =
        |thread: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok();
    threads.filter_map(name).filter(|name| name.trim() == "duckdb-scan").count()
}

/// Waits until so many of them run.
fn await_scans(serving: &Serving, count: usize) {
    let began = Instant::now();
    while scans(serving) != count {
        assert!(began.elapsed() < STATEMENT_WAIT, "{} scans run, not {count}", scans(serving));
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_statement_that_is_interrupted_ends_in_the_store_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("buckets.csv");
    let last = SystemClock.now().floor_to(MINUTE_MS);
    let mut text = "colony_id,service_id,metric_name,timestamp,p95,count,interval_seconds\n".to_owned();
    for n in 1..=BUCKETS {
        let time = last - n * MINUTE_MS;
        writeln!(text, "shop-staging,api,latency,{time},20,10,60").unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let (reef, serving) = running_with(&(files_source(&[], &[&path]) + "[correlation]\nenabled = false\n"));
    let began = Instant::now();
    let count = || coral(&reef, &["SELECT count(*) AS n FROM federated_metrics", "--as", "csv"]).output().unwrap();
    while count().stdout != format!("n\n{BUCKETS}\n").into_bytes() {
        assert!(began.elapsed() < SHOWN_WAIT, "{:?}", count());
    }
    interrupt(&reef, &serving, OF_MANY_ROWS, || await_scans(&serving, 1));
    await_scans(&serving, 0);
}

#[test]
fn without_a_terminal_there_is_no_prompt_and_it_is_said_what_to_do() {
    let reef = Reef::new(&files_source(&[Path::new("events.ndjson")], &[]));
    for (words, why) in [(&[][..], "no terminal"), (&["--no-input"], "--no-input"), (&["--out", "x.csv"], "--out")] {
        let output = coral(&reef, words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{told}");
        assert!(told.starts_with("error: the statement is missing, and ") && told.contains(why), "{told}");
        assert!(told.contains("-f FILE; -f - reads standard input"), "{told}");
    }
}
