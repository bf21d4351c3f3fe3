//! `cargo xtask eval WHAT`: runs a long evaluation and writes its figures to `docs/evaluation`.

use crate::checkout;
use anyhow::{Context, bail};
use std::process::{Command, ExitCode};

/// Each with the crate and the module of its test.
const EVALUATIONS: [(&str, &str, &str); 3] = [
    ("deployments", "coral-reef", "answers::tests::evaluation"),
    ("analysis", "coral-reef", "analysis::tests::evaluation"),
    ("events", "coral-operators", "events::tests::evaluation"),
];

/// `cargo xtask eval`.
pub fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let (what, data) = match args {
        [what] => (what, None),
        [what, flag, data] if flag == "--data" => (what, Some(data)),
        _ => bail!("say what: cargo xtask eval WHAT [--data DIR], WHAT one of {}", names().join(", ")),
    };
    let Some((_, package, module)) = EVALUATIONS.iter().find(|(name, ..)| name == what) else {
        bail!("there is no evaluation {what:?}: it is one of {}", names().join(", "));
    };
    let commit = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(checkout::root()).output();
    let commit = commit.context("cannot start git")?;
    let mut cargo = checkout::cargo();
    cargo
        .args(["test", "-p", package, "--lib", "--", "--exact", "--nocapture", &format!("{module}::{what}")])
        .env("CORAL_EVAL_COMMIT", String::from_utf8_lossy(&commit.stdout).trim())
        .env("CORAL_EVAL_REPORT", checkout::root().join("docs/evaluation").join(format!("{what}.md")));
    if let Some(data) = data {
        cargo.env("CORAL_EVAL_DATA", data);
    }
    checkout::run(&mut cargo)
}

fn names() -> Vec<&'static str> {
    EVALUATIONS.iter().map(|(name, ..)| *name).collect()
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
            Err("say what: cargo xtask eval WHAT [--data DIR], WHAT one of deployments, analysis, events".to_owned())
        );
        assert_eq!(
            refused(&["x"]),
            Err("there is no evaluation \"x\": it is one of deployments, analysis, events".to_owned())
        );
    }
}
