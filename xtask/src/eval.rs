//! `cargo xtask eval WHAT`: runs a long evaluation and writes its figures to `docs/evaluation`.

use crate::browser::{self, BROWSER, Browser, FOLDER};
use crate::{checkout, setup};
use anyhow::{Context, bail};
use std::process::{Command, ExitCode};

/// One evaluation: a test that writes its figures where it is asked to.
struct Evaluation {
    name: &'static str,
    /// The tests that have it, as cargo selects them.
    target: &'static [&'static str],
    module: &'static str,
    /// Whether it drives a browser over the real programs.
    in_browser: bool,
}

const EVALUATIONS: [Evaluation; 5] = [
    Evaluation {
        name: "deployments",
        target: &["-p", "coral-reef", "--lib"],
        module: "answers::tests::evaluation",
        in_browser: false,
    },
    Evaluation {
        name: "analysis",
        target: &["-p", "coral-reef", "--lib"],
        module: "analysis::tests::evaluation",
        in_browser: false,
    },
    Evaluation {
        name: "events",
        target: &["-p", "coral-operators", "--lib"],
        module: "events::tests::evaluation",
        in_browser: false,
    },
    Evaluation {
        name: "metrics",
        target: &["-p", "coral-operators", "--lib"],
        module: "metrics::tests::evaluation",
        in_browser: false,
    },
    Evaluation { name: "dashboard", target: &["--test", "all"], module: "dashboard::evaluation", in_browser: true },
];

/// `cargo xtask eval`.
pub fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let (what, data, release) = match read(args) {
        Some(read) => read,
        None => bail!("say what: cargo xtask eval WHAT [--data DIR] [--release], WHAT one of {}", names().join(", ")),
    };
    let Some(evaluation) = EVALUATIONS.iter().find(|one| one.name == what) else {
        bail!("there is no evaluation {what:?}: it is one of {}", names().join(", "));
    };
    let commit = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(checkout::root()).output();
    let commit = commit.context("cannot start git")?;
    let mut cargo = checkout::cargo();
    cargo.arg("test").args(evaluation.target).args(release.then_some("--release"));
    cargo
        .args(["--", "--exact", "--nocapture", &format!("{}::{what}", evaluation.module)])
        .env("CORAL_EVAL_COMMIT", String::from_utf8_lossy(&commit.stdout).trim())
        .env("CORAL_EVAL_REPORT", checkout::root().join("docs/evaluation").join(format!("{what}.md")));
    if let Some(data) = data {
        cargo.env("CORAL_EVAL_DATA", data);
    }
    if evaluation.in_browser {
        let Browser { tools, program } = match browser::browser()? {
            Ok(found) => found,
            Err(reason) => bail!("nothing can be measured: {reason}"),
        };
        setup::duckdb()?;
        cargo.env(FOLDER, tools).env(BROWSER, program);
    }
    checkout::run(&mut cargo)
}

/// What is evaluated, the folder of recordings, and whether programs are optimised; `None` where the call is wrong.
fn read(args: &[String]) -> Option<(&str, Option<&str>, bool)> {
    let (what, mut rest) = args.split_first()?;
    let (mut data, mut release) = (None, false);
    while let Some((flag, others)) = rest.split_first() {
        rest = match (flag.as_str(), others.split_first()) {
            ("--release", _) => {
                release = true;
                others
            }
            ("--data", Some((folder, others))) => {
                data = Some(folder.as_str());
                others
            }
            _ => return None,
        };
    }
    Some((what.as_str(), data, release))
}

fn names() -> Vec<&'static str> {
    EVALUATIONS.iter().map(|one| one.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    #[test]
    fn a_wrong_call_says_what_there_is() {
        let refused = |args: &[&str]| run(&of(args)).map(|_| ()).map_err(|error| error.to_string());
        let usage = "say what: cargo xtask eval WHAT [--data DIR] [--release], WHAT one of deployments, analysis, events, \
                     metrics, dashboard";
        let wrong: [&[&str]; 3] = [&[], &["events", "--data"], &["events", "--slow"]];
        for wrong in wrong {
            assert_eq!(refused(wrong), Err(usage.to_owned()), "{wrong:?}");
        }
        assert_eq!(
            refused(&["x"]),
            Err("there is no evaluation \"x\": it is one of deployments, analysis, events, metrics, dashboard"
                .to_owned())
        );
    }

    #[test]
    fn flags_are_read_in_any_order() {
        let args = of(&["events", "--release", "--data", "x"]);
        assert_eq!(read(&args), Some(("events", Some("x"), true)));
        assert_eq!(read(&of(&["dashboard"])), Some(("dashboard", None, false)));
    }
}
