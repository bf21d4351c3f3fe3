//! `manual`: the help of every command as pages of section 1, for `man`.

use crate::entry::Program;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use clap::{Arg, Command, CommandFactory};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `manual`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral manual --out ~/.local/share/man/man1",
    after_help = "Writes one page for each command: coral.1, coral-reef.1, coral-reef-status.1. Then: man coral-reef-status. \
                  Without --out the program's own page is printed."
)]
pub struct ManualArgs {
    /// Folder for the pages; it is made if it does not exist
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Say which pages would be written, and write none
    #[arg(long, requires = "out")]
    dry_run: bool,
}

/// Writes or prints the pages.
///
/// # Errors
/// When they cannot be written.
pub fn run<P: Program + CommandFactory>(args: &ManualArgs, output: &Output) -> Result<(), Failure> {
    let pages = pages(P::command(), P::NAME);
    let Some(folder) = &args.out else {
        let own = pages.first().map(|(_, text)| text.clone()).unwrap_or_default();
        return output.result(&json!({ "page": own }), |_| own.clone());
    };
    let failed = |path: &Path, error: &std::io::Error| {
        Failure::new(Exit::Failed, "write_failed", format!("cannot write {}", path.display())).caused_by(Some(error))
    };
    let names: Vec<&String> = pages.iter().map(|(name, _)| name).collect();
    let value = json!({ "dry_run": args.dry_run, "folder": folder.display().to_string(), "pages": names });
    if args.dry_run {
        return output.result(&value, |_| format!("{} pages would be written to {}", names.len(), folder.display()));
    }
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    for (name, text) in &pages {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    output.result(&value, |_| format!("{} pages written to {}", names.len(), folder.display()))
}

/// Every page with the name of its file, the program's own first.
fn pages(mut command: Command, name: &str) -> Vec<(String, String)> {
    command.build();
    let mut pages = Vec::new();
    add(&mut command, name, &mut pages);
    pages
}

fn add(command: &mut Command, path: &str, pages: &mut Vec<(String, String)>) {
    pages.push((format!("{}.1", path.replace(' ', "-")), page(command, path)));
    let is_ours = |sub: &&mut Command| !sub.is_hide_set() && (sub.get_name() != "help" || !path.contains(' '));
    for sub in command.get_subcommands_mut().filter(is_ours) {
        let path = format!("{path} {}", sub.get_name());
        add(sub, &path, pages);
    }
}

fn page(command: &mut Command, path: &str) -> String {
    let name = path.replace(' ', "-");
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let mut page = format!(".TH {} 1 \"\" \"{} {}\"\n", name.to_uppercase(), name, env!("CARGO_PKG_VERSION"));
    page.push_str(&section("NAME", &format!("{} \\- {}", escaped(&name), escaped(&text(command.get_about())))));
    page.push_str(&section("SYNOPSIS", &escaped(usage)));
    let after = text(command.get_after_help());
    if !after.is_empty() {
        page.push_str(&section("DESCRIPTION", &paragraphs(&after)));
    }
    let options: String = command.get_arguments().filter(|arg| !arg.is_hide_set()).map(option).collect();
    if !options.is_empty() {
        page.push_str(&section("OPTIONS", &options));
    }
    let of_sub = |sub: &Command| item(&escaped(sub.get_name()), &text(sub.get_about()));
    let is_shown = |sub: &&Command| !sub.is_hide_set() && (sub.get_name() != "help" || !path.contains(' '));
    let commands: String = command.get_subcommands().filter(is_shown).map(of_sub).collect();
    if !commands.is_empty() {
        page.push_str(&section("COMMANDS", &commands));
    }
    let example = text(command.get_before_help());
    let example = example.trim_start_matches("Example:").trim();
    if !example.is_empty() {
        page.push_str(&section("EXAMPLE", &escaped(example)));
    }
    page.push_str(&section("EXIT STATUS", "0 done; others: see coral help exit\\-codes"));
    page
}

fn section(name: &str, text: &str) -> String {
    format!(".SH {name}\n{}\n", text.trim_end())
}

fn item(term: &str, text: &str) -> String {
    format!(".TP\n\\fB{term}\\fR\n{}\n", paragraphs(text))
}

fn option(arg: &Arg) -> String {
    let values: Vec<String> = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let names = [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let mut term = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if term.is_empty() {
        term = values.join(" ");
    } else if arg.get_action().takes_values() && !values.is_empty() {
        term.push_str(&format!(" {}", values.join(" ")));
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    item(&escaped(&term), &help)
}

/// Paragraphs of a text.
fn paragraphs(text: &str) -> String {
    let lines = text.split("\n\n").map(|paragraph| escaped(paragraph.trim()));
    lines.collect::<Vec<_>>().join("\n.PP\n")
}

/// Text that `man` shows as it is: no line of it is a request.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim().replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::coral_program::Coral;

    /// Requests that the pages use.
    const REQUESTS: [&str; 4] = [".TH ", ".SH ", ".TP", ".PP"];

    #[test]
    fn every_command_has_a_page_that_man_can_show() {
        let folder = tempfile::tempdir().unwrap();
        let told = |dry_run: bool| {
            let (output, captured) = Output::captured(true);
            run::<Coral>(&ManualArgs { out: Some(folder.path().join("man1")), dry_run }, &output).unwrap();
            serde_json::from_str::<serde_json::Value>(&captured.stdout()).unwrap()
        };
        let planned = told(true);
        assert!(!folder.path().join("man1").exists(), "a dry run writes none");
        let told = told(false);
        assert_eq!(planned["pages"], told["pages"]);
        let names: Vec<&str> = told["pages"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        for name in ["coral.1", "coral-reef.1", "coral-reef-status.1", "coral-colony-secret-rotate.1"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        for name in &names {
            let text = std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
            let title = format!(".TH {} 1 ", name.trim_end_matches(".1").to_uppercase());
            assert!(
                text.starts_with(&title) && text.contains("\n.SH NAME\n") && text.contains("\n.SH EXAMPLE\n"),
                "{text}"
            );
            for line in text.lines().filter(|line| line.starts_with(['.', '\''])) {
                assert!(REQUESTS.iter().any(|request| line.starts_with(request)), "{name}: {line}");
            }
        }
        let status = std::fs::read_to_string(folder.path().join("man1/coral-reef-status.1")).unwrap();
        assert!(status.contains("\\fB\\-\\-reef REEF\\fR"), "{status}");
    }

    #[test]
    fn text_is_never_a_request() {
        assert_eq!(escaped(".a\n'b\\c -d"), "\\&.a\n\\&'b\\ec \\-d");
    }
}
