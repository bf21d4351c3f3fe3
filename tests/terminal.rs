//! What a terminal gets and a pipe does not: colours and moving lines; and that results and messages go to their own
//! streams.

use crate::support::program;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Command lines that print headings, marks and errors.
const LINES: [&str; 6] = [
    "coral help exit-codes",
    "coral reef list",
    "coral reef statsu",
    "coral reef status --reef none.toml",
    "coral reef doctor --no-network --reef reef.yaml",
    "coral-pipeline validate --no-network reef.yaml",
];
const ESCAPE: u8 = 0x1b;

/// A folder with a reef over no file.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let reef = "reef_id: r\nsources: [{kind: files, events: [none.ndjson]}]\n";
    std::fs::write(folder.path().join("reef.yaml"), reef).unwrap();
    folder
}

fn command(words: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder).env("CORAL_HOME", folder.join("home")).stdin(Stdio::null());
    command.env_remove("NO_COLOR").env_remove("CORAL_REEF").env("TERM", "xterm-256color");
    command
}

fn has_colour(output: &Output) -> bool {
    output.stdout.contains(&ESCAPE) || output.stderr.contains(&ESCAPE)
}

#[test]
fn a_pipe_gets_no_escape_codes() {
    let folder = folder();
    for line in LINES {
        let mut words: Vec<&str> = line.split(' ').collect();
        words[0] = program(words[0]);
        let output = command(&words, folder.path()).output().unwrap();
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{line}");
        assert!(!has_colour(&output), "{line}: {output:?}");
    }
}

#[test]
fn a_terminal_gets_colours_unless_they_are_unwanted() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("SKIPPED a_terminal_gets_colours_unless_they_are_unwanted: there is no `script` to make a terminal");
        return;
    }
    let folder = folder();
    for line in LINES {
        let (name, rest) = line.split_once(' ').unwrap();
        let on_terminal = |flag: &str, variable: Option<(&str, &str)>| {
            let line = format!("{} {rest}{flag}", program(name));
            let mut command = command(&["script", "-qec", &line, "/dev/null"], folder.path());
            command.envs(variable);
            command.output().unwrap()
        };
        assert!(has_colour(&on_terminal("", None)) || line == "coral reef list", "{line}");
        for (flag, variable) in [(" --no-color", None), ("", Some(("NO_COLOR", "1"))), ("", Some(("TERM", "dumb")))] {
            let output = on_terminal(flag, variable);
            assert!(!has_colour(&output), "{line}{flag} {variable:?}: {output:?}");
        }
    }
}

#[test]
fn results_go_to_one_stream_and_errors_to_the_other() {
    let folder = folder();
    let run = |line: &str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words[0] = program(words[0]);
        let output = command(&words, folder.path()).output().unwrap();
        (output.status.code(), output.stdout, output.stderr)
    };
    let (code, stdout, stderr) = run("coral help exit-codes");
    assert!(code == Some(0) && !stdout.is_empty() && stderr.is_empty());
    let (code, stdout, stderr) = run("coral reef status --reef none.toml");
    assert!(code == Some(3) && stdout.is_empty() && stderr.starts_with(b"error: none.toml does not exist\n"));
    let (code, stdout, stderr) = run("coral reef status --reef none.toml --format json");
    assert!(code == Some(3) && stdout.starts_with(b"{") && stderr.is_empty());
    // a checklist that fails is a result; what it means is an error
    let (code, stdout, stderr) = run("coral reef doctor --no-network --reef reef.yaml");
    assert!(code == Some(1) && stdout.starts_with("✓ ok".as_bytes()), "{}", String::from_utf8_lossy(&stdout));
    assert!(stderr.starts_with(b"error: ") && !stderr.contains(&b'{'), "{}", String::from_utf8_lossy(&stderr));
}

/// What a command writes to `stderr`, or to a terminal, until the reef of `reef.yaml` answers, and its exit code. The reef
/// answers only once something was written.
fn written_before_an_answer(mut command: Command, socket: &UnixListener, is_terminal: bool) -> (String, Option<i32>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut caller = loop {
        match socket.accept() {
            Ok((caller, _)) => break caller,
            Err(_) => assert!(child.try_wait().unwrap().is_none(), "it ended without a question"),
        }
        std::thread::park_timeout(Duration::from_millis(10));
    };
    let mut stream: Box<dyn Read> = match is_terminal {
        true => Box::new(child.stdout.take().unwrap()),
        false => Box::new(child.stderr.take().unwrap()),
    };
    let (mut written, mut bytes) = (Vec::new(), [0; 256]);
    while !String::from_utf8_lossy(&written).contains("waiting for the answer") {
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&written));
        written.extend_from_slice(&bytes[..count]);
    }
    caller.write_all(b"{\"answer\":\"failed\",\"message\":\"the store is at work\"}\n").unwrap();
    stream.read_to_end(&mut written).unwrap();
    (String::from_utf8_lossy(&written).into_owned(), child.wait().unwrap().code())
}

#[test]
fn a_command_that_waits_says_so_before_it_has_an_answer() {
    let folder = folder();
    let reef = "reef_id: r\nsources: [{kind: files, events: [none.ndjson]}]\nstorage: {path: r.duckdb}\n";
    std::fs::write(folder.path().join("reef.yaml"), reef).unwrap();
    let socket = UnixListener::bind(folder.path().join("r.duckdb.sock")).unwrap();
    socket.set_nonblocking(true).unwrap();
    let words = [program("coral"), "reef", "health", "--reef", "reef.yaml"];
    let (told, code) = written_before_an_answer(command(&words, folder.path()), &socket, false);
    assert!(told.starts_with("waiting for the answer · "), "{told}");
    assert!(told.contains("error: the store is at work\n") && !told.contains('\x1b'), "{told}");
    assert_eq!(code, Some(1), "{told}");
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!(
            "SKIPPED a_command_that_waits_says_so_before_it_has_an_answer: there is no `script` to make a terminal"
        );
        return;
    }
    let line = words.join(" ");
    let on_terminal = command(&["script", "-qec", &line, "/dev/null"], folder.path());
    let (told, _) = written_before_an_answer(on_terminal, &socket, true);
    let (moving, rest) = told.split_once("error:").unwrap_or_else(|| panic!("{told:?}"));
    assert!(moving.contains("waiting for the answer") && !rest.contains("waiting"), "the line is gone: {told:?}");
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_flag_that_is_missing_is_named() {
    let folder = folder();
    let line =
        "reef add-colony my-shop-production --endpoint 127.0.0.1:1 --public-key k --mesh-ip 10.42.0.1 --reef reef.yaml";
    let words: Vec<&str> = [program("coral")].into_iter().chain(line.split(' ')).collect();
    let output = command(&words, folder.path()).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("error: the colony's secret is missing"), "{told}");
    assert!(told.contains("--colony-secret-file"), "{told}");
}
