//! What a terminal gets and a pipe does not: colours; and that results and messages go to their own streams.

use crate::support::program;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
