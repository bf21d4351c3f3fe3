//! The command lines of both programs: help, mistakes, exit codes.
#![allow(clippy::unwrap_used)]

use crate::coral_program::Coral;
use crate::entry::{Program, run};
use crate::exit::Exit;
use crate::output::{Captured, Output};
use crate::pipeline::CoralPipeline;
use clap::CommandFactory;
use std::ffi::OsString;

fn call<P: Program>(words: &[&str]) -> (Exit, Captured) {
    let arguments: Vec<OsString> = std::iter::once(P::NAME).chain(words.iter().copied()).map(OsString::from).collect();
    let mut captured = None;
    let exit = run::<P>(&arguments, |args| {
        let (output, streams) = Output::captured(args.json);
        captured = Some(streams);
        output
    });
    (exit, captured.unwrap())
}

/// Every command with its path, the program first.
fn commands(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
    found.push((path.to_owned(), command.clone().render_help().to_string()));
    for sub in command.get_subcommands() {
        commands(sub, &format!("{path} {}", sub.get_name()), found);
    }
}

#[test]
fn help_of_every_command_of_coral_pipeline_starts_with_an_example_and_is_short() {
    let mut command = CoralPipeline::command();
    command.build();
    let mut found = Vec::new();
    commands(&command, "coral-pipeline", &mut found);
    for (path, help) in &found {
        assert!(help.starts_with("Example:  "), "{path}:\n{help}");
        assert!(help.lines().count() < 40, "{path} has {} lines", help.lines().count());
        assert!(!help.contains('\x1b'), "{path}");
    }
    assert!(found.len() >= 4, "{found:?}");
    for command in ["replay", "publish", "run"] {
        let (_, streams) = call::<CoralPipeline>(&[command, "--help"]);
        assert!(streams.stdout().lines().count() < 40, "{}", streams.stdout());
    }
}

#[test]
fn the_arguments_of_both_programs_are_consistent() {
    CoralPipeline::command().debug_assert();
    Coral::command().debug_assert();
}

#[test]
fn versions_and_help_are_results() {
    let (exit, streams) = call::<CoralPipeline>(&["--version"]);
    assert_eq!((exit, streams.stdout()), (Exit::Ok, format!("coral-pipeline {}\n", env!("CARGO_PKG_VERSION"))));
    let (exit, streams) = call::<Coral>(&["--version"]);
    assert_eq!((exit, streams.stdout()), (Exit::Ok, format!("coral {}\n", env!("CARGO_PKG_VERSION"))));
    let (exit, streams) = call::<CoralPipeline>(&["help", "exit-codes"]);
    assert_eq!(exit, Exit::Ok);
    assert!(streams.stdout().contains("130  interrupted"), "{}", streams.stdout());
    let (_, by_flag) = call::<CoralPipeline>(&["run", "--help"]);
    let (_, by_word) = call::<CoralPipeline>(&["help", "run"]);
    assert_eq!(by_flag.stdout(), by_word.stdout());
}

#[test]
fn a_mistyped_command_names_the_right_one() {
    let (exit, streams) = call::<CoralPipeline>(&["vaildate", "reef.toml"]);
    assert_eq!(exit, Exit::Usage);
    assert_eq!(streams.stdout(), "");
    assert!(streams.stderr().starts_with("error: unrecognized subcommand 'vaildate'\n"), "{}", streams.stderr());
    assert!(streams.stderr().contains("hint: a similar subcommand exists: 'validate'"), "{}", streams.stderr());
}

#[test]
fn a_wrong_command_line_is_json_too_when_asked_for() {
    for form in [&["run", "--json"][..], &["run", "--format", "json"], &["run", "--format=json"]] {
        let (exit, streams) = call::<CoralPipeline>(form);
        assert_eq!((exit, streams.stderr()), (Exit::Usage, String::new()));
        let document: serde_json::Value = serde_json::from_str(&streams.stdout()).unwrap();
        assert_eq!(document["error"]["code"], "usage");
        assert_eq!(document["error"]["docs"], "coral-pipeline run --help");
    }
}

#[test]
fn a_wrong_command_line_has_no_colours_when_asked_for_none() {
    for (words, expected) in [
        (&["vaildate", "--no-color"][..], true),
        (&["--no-color", "run"], true),
        (&["--no-color"], true),
        (&["run", "--help", "--no-color"], true),
        (&["vaildate"], false),
    ] {
        let arguments: Vec<OsString> =
            std::iter::once("coral-pipeline").chain(words.iter().copied()).map(OsString::from).collect();
        let mut no_color = None;
        run::<CoralPipeline>(&arguments, |args| {
            no_color = Some(args.no_color);
            Output::captured(false).0
        });
        assert_eq!(no_color, Some(expected), "{words:?}");
    }
}

#[test]
fn an_unknown_topic_names_those_of_its_program() {
    let (exit, streams) = call::<CoralPipeline>(&["help", "nope"]);
    assert_eq!(exit, Exit::Usage);
    assert!(streams.stderr().contains("topics: exit-codes, config, records\n"), "{}", streams.stderr());
    let (_, streams) = call::<Coral>(&["help", "nope"]);
    assert!(streams.stderr().contains("topics: exit-codes\n"), "{}", streams.stderr());
}

#[test]
fn a_bare_program_shows_its_help_and_fails() {
    let (exit, streams) = call::<CoralPipeline>(&[]);
    assert_eq!(exit, Exit::Usage);
    assert!(streams.stderr().contains("Usage: coral-pipeline"), "{}", streams.stderr());
}

#[test]
fn errors_of_a_configuration_as_people_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.toml");
    let text = "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n\n[collection]\n\
                summary_intervall = \"60s\"\n[dashboard]\nport = 70000\n";
    std::fs::write(&path, text).unwrap();
    let shown = path.to_str().unwrap();
    let (exit, streams) = call::<CoralPipeline>(&["run", shown]);
    assert_eq!(exit, Exit::Usage);
    assert_eq!(
        streams.stderr(),
        format!(
            "error: {shown} has 2 errors\n  \
             {shown}:7:1: unknown key \"summary_intervall\" in [collection]; did you mean \"summary_interval\"?\n  \
             {shown}:9:8: dashboard.port: must be a whole number from 1 to 65535, not the number 70000\n\
             more: coral-pipeline help config\n"
        )
    );
    let (exit, streams) = call::<CoralPipeline>(&["validate", shown, "--json"]);
    let document: serde_json::Value = serde_json::from_str(&streams.stdout()).unwrap();
    assert_eq!((exit, document["error"]["details"].as_array().unwrap().len()), (Exit::Usage, 2));
    let (exit, _) = call::<CoralPipeline>(&["run", folder.path().join("none.toml").to_str().unwrap()]);
    assert_eq!(exit, Exit::NotFound);
}
