//! Where a colony's secret comes from, and how the reef's file refers to it.

use crate::exit::{Exit, Failure};
use crate::mesh_failure;
use crate::output::Output;
use console::Term;
use mesh::MeshError;
use mesh::secret::{Secret, SecretSource};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

/// Most characters of a secret on standard input.
const INPUT_BYTES_MAX: u64 = 4_096;

/// The flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SecretArgs {
    /// The secret itself (visible in the process list and the shell's history), or - for standard input
    #[arg(long, value_name = "SECRET", conflicts_with_all = ["colony_secret_file", "colony_secret_env"])]
    colony_secret: Option<String>,
    /// Private file (mode 0600) that holds it, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "colony_secret_env")]
    colony_secret_file: Option<PathBuf>,
    /// Environment variable that holds it
    #[arg(long, value_name = "NAME")]
    colony_secret_env: Option<String>,
    /// Fail instead of asking for the secret
    #[arg(long)]
    pub(super) no_input: bool,
}

/// A secret to use now, and how it is kept.
#[derive(Debug)]
pub struct Given {
    /// What admits to the colony.
    pub source: SecretSource,
    /// A secret that is nowhere yet: it becomes a private file beside the reef's.
    pub loose: Option<Secret>,
}

impl SecretArgs {
    /// The secret: from the flag, or from a prompt on a terminal.
    pub fn read(&self, output: &Output) -> Result<Given, Failure> {
        let is_stdin = |text: Option<&str>| text == Some("-");
        let file = self.colony_secret_file.as_deref();
        if is_stdin(self.colony_secret.as_deref()) || is_stdin(file.and_then(Path::to_str)) {
            return loose(&from_stdin()?, "standard input");
        }
        if let Some(text) = &self.colony_secret {
            output.message("warning: a secret on the command line is visible to other users of this machine; --colony-secret-file is safer");
            return loose(text, "--colony-secret");
        }
        let source = match (file, &self.colony_secret_env) {
            (Some(path), _) => {
                let absolute = std::path::absolute(path);
                SecretSource::File(absolute.unwrap_or_else(|_| path.to_owned()))
            }
            (None, Some(name)) => SecretSource::Env(name.clone()),
            (None, None) => return loose(&from_terminal(self.no_input)?, "the prompt"),
        };
        // now, not after the colony has been looked up
        source.read().map_err(|error| mesh_failure::failure(&error))?;
        Ok(Given { source, loose: None })
    }
}

fn loose(text: &str, found_in: &str) -> Result<Given, Failure> {
    let weak = |cause| mesh_failure::failure(&MeshError::WeakSecret { found_in: found_in.to_owned(), cause });
    let secret = Secret::parse(text).map_err(weak)?;
    Ok(Given { source: SecretSource::Text(secret.clone()), loose: Some(secret) })
}

fn from_stdin() -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, "secret_unreadable", "cannot read the secret from standard input")
            .caused_by(Some(&error))
    };
    let mut text = String::new();
    std::io::stdin().take(INPUT_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn from_terminal(no_input: bool) -> Result<String, Failure> {
    let terminal = Term::stderr();
    if no_input || !std::io::stdin().is_terminal() || !terminal.is_term() {
        let why = if no_input { "--no-input forbids to ask for it" } else { "there is no terminal to ask at" };
        let message = format!("the colony's secret is missing, and {why}");
        return Err(Failure::new(Exit::Usage, "secret_missing", message).hint(
            "give --colony-secret-file FILE, --colony-secret-env NAME, or --colony-secret - for standard input",
        ));
    }
    let asked = terminal.write_str("Colony secret: ").and_then(|()| terminal.read_secure_line());
    asked.map_err(|error| {
        Failure::new(Exit::Failed, "secret_unreadable", "cannot read the secret").caused_by(Some(&error))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn without_input_a_missing_secret_names_the_flags() {
        let (output, _captured) = Output::captured(false);
        let args = SecretArgs { no_input: true, ..SecretArgs::default() };
        let failure = args.read(&output).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "secret_missing"));
        assert!(failure.message.contains("--no-input") && failure.hint.unwrap().contains("--colony-secret-file"));
    }
}
