//! `completions`: a script with which a shell completes the commands and flags of a program.

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
    #[arg(value_enum)]
    shell: Known,
}

/// Shells that complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub fn run<P: Program + CommandFactory>(args: &CompletionsArgs, output: &Output) -> Result<(), Failure> {
    let shell = match args.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut P::command(), P::NAME, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    output.result(&json!({ "shell": shell.to_string(), "script": script }), |_| script.clone())
}
