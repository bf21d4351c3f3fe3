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

/// Not the command `help` that clap adds to groups.
fn is_ours(command: &clap::Command, path: &str) -> bool {
    command.get_name() != "help" || !path.contains(' ')
}

/// Every command with its path, the program first.
fn commands(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
    found.push((path.to_owned(), command.clone().render_help().to_string()));
    for sub in command.get_subcommands().filter(|sub| is_ours(sub, path)) {
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
        assert!(help.lines().count() < LINES_MAX, "{path} has {} lines", help.lines().count());
        assert!(!help.contains('\x1b'), "{path}");
    }
    assert!(found.len() >= 4, "{found:?}");
    for command in ["replay", "publish", "run"] {
        let (_, streams) = call::<CoralPipeline>(&[command, "--help"]);
        assert!(streams.stdout().lines().count() < LINES_MAX, "{}", streams.stdout());
    }
}

/// How long a help page may be, so that it fits a screen.
const LINES_MAX: usize = 40;

#[test]
fn help_of_every_command_of_coral_starts_with_an_example_and_is_short() {
    let mut command = Coral::command();
    command.build();
    let mut found = Vec::new();
    commands(&command, "coral", &mut found);
    for (path, help) in &found {
        assert!(help.starts_with("Example:  "), "{path}:\n{help}");
        assert!(help.lines().count() < LINES_MAX, "{path} has {} lines", help.lines().count());
        assert!(!help.contains('\x1b'), "{path}");
        let words: Vec<&str> = path.split(' ').skip(1).chain(["--help"]).collect();
        let (exit, streams) = call::<Coral>(&words);
        assert_eq!((exit, streams.stderr()), (Exit::Ok, String::new()), "{path}");
        assert!(streams.stdout().lines().count() < LINES_MAX, "{path}:\n{}", streams.stdout());
    }
    let of_group = call::<Coral>(&["reef", "--help"]).1.stdout();
    assert!(
        of_group.contains("\nUsage: coral reef <COMMAND>\n") || of_group.contains("\nUsage: coral reef ["),
        "{of_group}"
    );
    for flag in ["--json", "--format json", "--no-color", "-v", "--help"] {
        assert!(of_group.contains(flag), "{flag}: {of_group}");
    }
    let of_command = call::<Coral>(&["reef", "status", "--help"]).1.stdout();
    assert!(of_command.contains("\nOutput:\n"), "the template is that of the group alone: {of_command}");
    let current = call::<Coral>(&["reef", "current", "--help"]).1.stdout();
    assert!(current.contains("Make a reef the current one, or show it"), "{current}");
    let reef: Vec<&str> = found.iter().filter_map(|(path, _)| path.strip_prefix("coral reef ")).collect();
    let some = ["init", "add-colony", "start", "stop", "list", "use", "status", "doctor", "validate", "test", "reload"];
    for name in some.iter().chain(&["config show"]) {
        assert!(reef.contains(name), "{name}: {reef:?}");
    }
}

#[test]
fn the_schema_of_a_configuration_is_printed_for_editors() {
    for words in [&["config", "schema"][..], &["config", "schema", "--json"]] {
        let (exit, streams) = call::<CoralPipeline>(words);
        let schema: serde_json::Value = serde_json::from_str(&streams.stdout()).unwrap();
        assert_eq!((exit, &schema), (Exit::Ok, &pipelines::config::schema::schema()), "{words:?}");
    }
}

/// The commands that do something: those without commands of their own.
fn leaves(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
    for sub in command.get_subcommands().filter(|sub| path.is_empty() || sub.get_name() != "help") {
        let path = [path, &[sub.get_name().to_owned()]].concat();
        if sub.has_subcommands() { leaves(sub, &path, found) } else { found.push(path) }
    }
}

/// Commands that only read, or print what they make.
const READING: [&str; 38] = [
    "coral ask",
    "coral colony peers",
    "coral colony secret list",
    "coral colony status",
    "coral completions",
    "coral help",
    "coral reef affected",
    "coral reef analyze",
    "coral reef compare",
    "coral reef config show",
    "coral reef correlation",
    "coral reef correlations",
    "coral reef dashboard",
    "coral reef deployment",
    "coral reef deployments",
    "coral reef doctor",
    "coral reef gate",
    "coral reef health",
    "coral reef list",
    "coral reef mcp",
    "coral reef ping",
    "coral reef predictions",
    "coral reef sql",
    "coral reef status",
    "coral reef test",
    "coral reef token list",
    "coral reef topology",
    "coral reef validate",
    "coral reef versions",
    "coral version",
    "coral-pipeline config schema",
    "coral-pipeline help",
    "coral-pipeline report",
    "coral-pipeline serve",
    "coral-pipeline show",
    "coral-pipeline validate",
    // processes in the foreground
    "coral colony start",
    "coral discovery start",
];
/// The same of a run and of the demo, which makes a folder of its own.
const RUNNING: [&str; 2] = ["coral-pipeline demo", "coral-pipeline run"];

fn with_and_without_dry_run<P: Program + CommandFactory>(with: &mut Vec<String>, without: &mut Vec<String>) {
    let mut command = P::command();
    command.build();
    let mut found = Vec::new();
    leaves(&command, &[], &mut found);
    for path in found {
        let mut at = &command;
        for word in &path {
            at = at.find_subcommand(word).unwrap();
        }
        let has_flag = at.get_arguments().any(|argument| argument.get_long() == Some("dry-run"));
        let list = if has_flag { &mut *with } else { &mut *without };
        list.push(format!("{} {}", P::NAME, path.join(" ")));
    }
}

#[test]
fn a_command_that_changes_something_can_say_what_it_would_change() {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    with_and_without_dry_run::<Coral>(&mut with, &mut without);
    with_and_without_dry_run::<CoralPipeline>(&mut with, &mut without);
    without.sort();
    let mut expected: Vec<&str> = READING.into_iter().chain(RUNNING).collect();
    expected.sort_unstable();
    assert_eq!(without, expected, "a new command has --dry-run, or is in one of the lists");
    for name in
        ["coral reef use", "coral reef start", "coral reef token revoke", "coral colony unpeer", "coral-pipeline copy"]
    {
        assert!(with.iter().any(|path| path == name), "{name}: {with:?}");
    }
}

fn wrong_flags_are_json<P: Program + CommandFactory>(least: usize) {
    let mut command = P::command();
    command.build();
    let mut found = Vec::new();
    leaves(&command, &[], &mut found);
    assert!(found.len() >= least, "{found:?}");
    for path in &found {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--no-such-flag", "--json"]).collect();
        let (exit, streams) = call::<P>(&words);
        assert_eq!((exit, streams.stderr()), (Exit::Usage, String::new()), "{path:?}");
        let document: serde_json::Value = serde_json::from_str(&streams.stdout()).unwrap();
        assert_eq!(document["error"]["code"], "usage", "{path:?}: {document}");
        assert!(document["error"]["message"].as_str().unwrap().contains("--no-such-flag"), "{path:?}: {document}");
        let docs = format!("{} {} --help", P::NAME, path.join(" "));
        assert_eq!(document["error"]["docs"], docs, "{path:?}");
    }
}

#[test]
fn a_wrong_flag_of_any_command_is_one_json_document_that_names_its_help() {
    wrong_flags_are_json::<CoralPipeline>(12);
    wrong_flags_are_json::<Coral>(25);
}

#[test]
fn an_unknown_reef_has_one_exit_code_whatever_is_asked_and_keeps_the_streams_apart() {
    let commands = [
        "status",
        "health",
        "versions",
        "topology",
        "deployments",
        "deployment d",
        "compare a b",
        "correlations",
        "correlation c",
        "ping",
        "start",
        "stop",
        "reload",
        "doctor",
        "validate",
        "config show",
    ];
    for line in commands {
        let words: Vec<&str> = ["reef"].into_iter().chain(line.split(' ')).chain(["--reef", "none.toml"]).collect();
        let (exit, streams) = call::<Coral>(&words);
        assert_eq!((exit, streams.stdout()), (Exit::NotFound, String::new()), "{line}: {}", streams.stderr());
        assert_eq!(streams.stderr().lines().next(), Some("error: none.toml does not exist"), "{line}");
        let (exit, streams) = call::<Coral>(&[&words[..], &["--json"]].concat());
        assert_eq!((exit, streams.stderr()), (Exit::NotFound, String::new()), "{line}");
        let document: serde_json::Value = serde_json::from_str(&streams.stdout()).unwrap();
        assert_eq!(document["error"]["code"], "config_missing", "{line}: {document}");
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
    let (exit, streams) = call::<Coral>(&["version"]);
    assert_eq!((exit, streams.stdout().trim_end()), (Exit::Ok, concat!("coral ", env!("CARGO_PKG_VERSION"))));
    let (exit, streams) = call::<Coral>(&["version", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&streams.stdout()).unwrap();
    assert_eq!((exit, document["version"].as_str()), (Exit::Ok, Some(env!("CARGO_PKG_VERSION"))));
    assert!(document["schema_version"].as_u64().is_some_and(|version| version > 0), "{document}");
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
fn every_mistyped_command_of_coral_names_the_right_one() {
    let mut command = Coral::command();
    command.build();
    let mut found = Vec::new();
    leaves(&command, &[], &mut found);
    let mut tried = 0;
    for path in &found {
        let (last, before) = path.split_last().unwrap();
        let mut letters: Vec<char> = last.chars().collect();
        if letters.len() < 4 {
            continue;
        }
        let end = letters.len();
        letters.swap(end - 2, end - 1);
        let wrong: String = letters.into_iter().collect();
        let words: Vec<&str> = before.iter().map(String::as_str).chain([wrong.as_str()]).collect();
        let (exit, streams) = call::<Coral>(&words);
        assert_eq!((exit, streams.stdout()), (Exit::Usage, String::new()), "{words:?}");
        let hint = streams.stderr().lines().find(|line| line.starts_with("hint: ")).unwrap_or_default().to_owned();
        assert!(hint.contains(&format!("'{last}'")), "{words:?}: {}", streams.stderr());
        tried += 1;
    }
    assert!(tried >= 25, "{found:?}");
}

#[test]
fn a_shell_completes_the_commands_and_flags_of_coral() {
    let script = |shell: &str| {
        let (exit, streams) = call::<Coral>(&["completions", shell]);
        assert_eq!((exit, streams.stderr()), (Exit::Ok, String::new()), "{shell}");
        streams.stdout()
    };
    for shell in ["zsh", "fish"] {
        let text = script(shell);
        for word in ["reef", "add-colony", "correlations", "require-complete", "completions"] {
            assert!(text.contains(word), "{shell} has no {word}");
        }
        for ids in ["colonies", "reefs"] {
            assert!(
                text.contains(&format!("(coral completions --ids {ids} 2>/dev/null)")),
                "{shell} asks for no {ids}"
            );
        }
    }
    let offered = |words: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("coral.bash");
        std::fs::write(&file, script("bash")).unwrap();
        let (last, before) = (words.last().unwrap(), words[words.len() - 2]);
        let place = words.len() - 1;
        let line = format!(
            "coral() {{ [ \"$*\" = 'completions --ids colonies' ] && echo shop-a shop-b other; }}; \
             source {}; COMP_WORDS=({}); COMP_CWORD={place}; \
             _coral coral '{last}' '{before}'; echo ${{COMPREPLY[@]}}",
            file.display(),
            words.join(" "),
        );
        let output = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(offered(&["coral", "reef", "dep"]), "deployment deployments");
    assert_eq!(offered(&["coral", "reef", "gate", "--fr"]), "--from");
    assert_eq!(offered(&["coral", "reef", "health", "--colony", "sh"]), "shop-a shop-b");
    assert_eq!(offered(&["coral", "colony", "status", "--colony-id", "o"]), "other");
    for wrong in [&["completions"][..], &["completions", "tcsh"], &["completions", "bash", "--ids", "reefs"]] {
        assert_eq!(call::<Coral>(wrong).0, Exit::Usage, "{wrong:?}");
    }
    let (exit, streams) = call::<Coral>(&["completions", "--ids", "colonies", "--json"]);
    assert_eq!((exit, streams.stderr()), (Exit::Ok, String::new()));
    let document: serde_json::Value = serde_json::from_str(&streams.stdout()).unwrap();
    assert!(document["ids"].is_array(), "{document}");
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
    assert!(streams.stderr().contains("topics: exit-codes, errors, config, records\n"), "{}", streams.stderr());
    let (_, streams) = call::<Coral>(&["help", "nope"]);
    assert!(streams.stderr().contains("topics: exit-codes, errors\n"), "{}", streams.stderr());
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
