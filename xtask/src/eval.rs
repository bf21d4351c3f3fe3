//! `cargo xtask eval WHAT`: runs a long evaluation and writes its figures to `docs/evaluation`.

use crate::checkout;
use anyhow::{Context, bail};
use std::process::{Command, ExitCode};

const EVALUATIONS: [&str; 1] = ["deployments"];
/// The module of their tests.
const MODULE: &str = "answers::tests::evaluation";

/// `cargo xtask eval`.
pub fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let (what, data) = match args {
        [what] => (what, None),
        [what, flag, data] if flag == "--data" => (what, Some(data)),
        _ => bail!("say what: cargo xtask eval WHAT [--data DIR], WHAT one of {}", EVALUATIONS.join(", ")),
    };
    if !EVALUATIONS.contains(&what.as_str()) {
        bail!("there is no evaluation {what:?}: it is one of {}", EVALUATIONS.join(", "));
    }
    let commit = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(checkout::root()).output();
    let commit = commit.context("cannot start git")?;
    let mut cargo = checkout::cargo();
    cargo
        .args(["test", "-p", "coral-reef", "--lib", "--", "--exact", "--nocapture", &format!("{MODULE}::{what}")])
        .env("CORAL_EVAL_COMMIT", String::from_utf8_lossy(&commit.stdout).trim())
        .env("CORAL_EVAL_REPORT", checkout::root().join("docs/evaluation").join(format!("{what}.md")));
    if let Some(data) = data {
        cargo.env("CORAL_EVAL_DATA", data);
    }
    checkout::run(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_call_says_what_there_is() {
        let refused = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            run(&args).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(
            refused(&[]),
            Err("say what: cargo xtask eval WHAT [--data DIR], WHAT one of deployments".to_owned())
        );
        assert_eq!(refused(&["x"]), Err("there is no evaluation \"x\": it is one of deployments".to_owned()));
    }
}
