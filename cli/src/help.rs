//! `help`: topics that belong to no single command, and `help <command>` as an alias of `<command> --help`.

use crate::exit::{Exit, Failure};
use crate::help_errors;
use crate::output::{Output, Style};
use clap::CommandFactory;
use serde_json::json;

/// Arguments of `help`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  help exit-codes")]
pub struct Topic {
    /// exit-codes, errors [CODE], config and records (coral-pipeline), or a command
    topic: Vec<String>,
}

impl Topic {
    /// The topic's name.
    pub fn word(&self) -> &str {
        self.topic.first().map_or("", String::as_str)
    }
}

/// Prints the topic; `own` are those that the program explains itself.
pub fn run<P: CommandFactory>(topic: &Topic, own: &[&str], output: &Output) -> Result<(), Failure> {
    match topic.word() {
        "exit-codes" => exit_codes(output),
        "errors" => help_errors::print(topic.topic.get(1).map(String::as_str), output),
        _ => command_help(P::command(), &topic.topic, own, output),
    }
}

fn exit_codes(output: &Output) -> Result<(), Failure> {
    let rows = Exit::TABLE.map(|(exit, meaning)| json!({ "code": exit.code(), "meaning": meaning }));
    output.result(&json!({ "exit_codes": rows }), exit_code_page)
}

fn exit_code_page(style: Style) -> String {
    let mut page = style.bold("Exit codes");
    for (exit, meaning) in Exit::TABLE {
        page.push_str(&format!("\n  {:>3}  {meaning}", exit.code()));
    }
    page
}

fn command_help(mut command: clap::Command, path: &[String], own: &[&str], output: &Output) -> Result<(), Failure> {
    command.build();
    let mut command = &mut command;
    for word in path {
        let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            Failure::new(Exit::Usage, "usage", format!("no help on {word:?}")).hint(format!(
                "commands: {}; topics: {}",
                names.join(", "),
                [&["exit-codes", "errors"], own].concat().join(", ")
            ))
        })?;
    }
    let page = command.render_help().to_string();
    output.result(&json!({ "help": page }), |_| page.clone())
}
