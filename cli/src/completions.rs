//! `completions`: a script with which a shell completes the commands and flags of a program, and ids, for which it asks.

use crate::entry::Program;
use crate::exit::Failure;
use crate::output::Output;
use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral completions bash > ~/.local/share/bash-completion/completions/coral",
    after_help = "For zsh write it to a file named _coral in a folder of $fpath, for fish to \
                  ~/.config/fish/completions/coral.fish. It takes effect in the next shell."
)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, required_unless_present = "ids")]
    shell: Option<Known>,
    /// Print ids, one a line: what the scripts ask for
    #[arg(long, value_enum, hide = true, conflicts_with = "shell")]
    ids: Option<Ids>,
}

/// Ids that a shell can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ids {
    /// Of colonies.
    Colonies,
    /// Of reefs.
    Reefs,
}

/// Flags that take an id, and which.
const FLAGS: [(&str, &str); 3] = [("colony-id", "colonies"), ("colony", "colonies"), ("reef", "reefs")];

/// Shells that complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script, or the ids that it asks for.
pub fn run<P: Program + CommandFactory>(
    args: &CompletionsArgs,
    output: &Output,
    ids: impl FnOnce(Ids) -> Vec<String>,
) -> Result<(), Failure> {
    let known = match (args.ids, args.shell) {
        (Some(wanted), _) => {
            let ids = ids(wanted);
            return output.result(&json!({ "ids": ids }), |_| ids.join("\n"));
        }
        (None, Some(shell)) => shell,
        // the command line has one of the two
        (None, None) => return Ok(()),
    };
    let shell = match known {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut P::command(), P::NAME, &mut script);
    let script = with_ids(known, P::NAME, &String::from_utf8_lossy(&script));
    output.result(&json!({ "shell": shell.to_string(), "script": script }), |_| script.clone())
}

/// The script, which asks the program for ids where a flag takes one.
fn with_ids(shell: Known, program: &str, script: &str) -> String {
    let mut lines = Vec::new();
    let mut before = "";
    for line in script.lines() {
        let offer = |line: String, (flag, ids): &(&str, &str)| {
            offered(shell, before, line, flag, &format!("{program} completions --ids {ids} 2>/dev/null"))
        };
        lines.push(FLAGS.iter().fold(line.to_owned(), offer));
        before = line.trim();
    }
    lines.join("\n") + "\n"
}

/// The line, with what `call` prints offered if it says what follows `flag`.
fn offered(shell: Known, before: &str, line: String, flag: &str, call: &str) -> String {
    // a reef can be named by its file too
    let is_file_too = flag == "reef";
    let starts = |start: String| line.trim_start().starts_with(&start);
    match shell {
        Known::Bash if before == format!("--{flag})") => {
            let files = if is_file_too { "-f " } else { "" };
            line.replace(r#"compgen -f "${cur}""#, &format!(r#"compgen {files}-W "$({call})" -- "${{cur}}""#))
        }
        Known::Zsh if starts(format!("'--{flag}=[")) || starts(format!("'*--{flag}=[")) => {
            let action = if is_file_too { format!("{{compadd -- $({call}); _files}}") } else { format!("($({call}))") };
            line.replace(":_default'", &format!(":{action}'"))
        }
        Known::Fish if line.contains(&format!(" -l {flag} -d ")) && line.ends_with(" -r") => {
            let files = if is_file_too { "" } else { " -f" };
            format!("{line}{files} -a \"({call})\"")
        }
        _ => line,
    }
}
