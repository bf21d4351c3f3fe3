//! Signals: the second one ends a run at once, and programs are told so.

use crate::support::Reef;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// Sends signals by name.
fn send(child: &Child, signals: &[&str]) {
    for signal in signals {
        let status = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success(), "kill -s {signal}");
    }
}

#[test]
fn a_second_signal_ends_the_run_at_once_with_an_error_for_programs() {
    // nobody listens there: the run waits for its colony for ever
    let reef = Reef::new("[[colonies]]\ncolony_id = \"shop-production\"\nendpoint = \"http://127.0.0.1:1\"\n");
    let mut told = Value::Null;
    for _ in 0..20 {
        let mut command = reef.command();
        command.env("RUST_LOG", "coral_pipelines=debug").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("phase=\"read\"") {
            line.clear();
            assert!(messages.read_line(&mut line).unwrap() > 0, "it ended before it ran");
        }
        // both are there when it goes on
        send(&child, &["STOP", "INT", "TERM", "CONT"]);
        let mut rest = String::new();
        messages.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.code() == Some(130) {
            told = serde_json::from_slice(&output.stdout).unwrap();
            break;
        }
        // it had drained before it saw the second one
        assert_eq!(output.status.code(), Some(0), "{rest}");
    }
    assert_eq!(told["error"]["code"], "interrupted", "{told:#}");
    assert!(told["error"]["hint"].as_str().unwrap().contains("start again"), "{told:#}");
}
