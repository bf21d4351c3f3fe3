//! `cargo xtask eval WHAT`: runs a long evaluation and writes its figures to `docs/evaluation`.

use crate::browser::{self, BROWSER, Browser, FOLDER};
use crate::chosen::{self, Wanted};
use crate::{checkout, setup};
use anyhow::{Context, bail};
use std::process::{Command, ExitCode};

/// One evaluation: a test that writes its figures where it is asked to.
struct Evaluation {
    name: &'static str,
    /// The crate that has it, and of its tests those that have it, as cargo selects them.
    package: &'static str,
    target: &'static [&'static str],
    module: &'static str,
    /// Whether it drives a browser over the real programs.
    in_browser: bool,
}

const EVALUATIONS: [Evaluation; 5] = [
    Evaluation {
        name: "deployments",
        package: "coral-reef",
        target: &["--lib"],
        module: "answers::tests::evaluation",
        in_browser: false,
    },
    Evaluation {
        name: "analysis",
        package: "coral-reef",
        target: &["--lib"],
        module: "analysis::tests::evaluation",
        in_browser: false,
    },
    Evaluation {
        name: "events",
        package: "coral-operators",
        target: &["--lib"],
        module: "events::tests::evaluation",
        in_browser: false,
    },
    Evaluation {
        name: "metrics",
        package: "coral-operators",
        target: &["--lib"],
        module: "metrics::tests::evaluation",
        in_browser: false,
    },
    Evaluation {
        name: "dashboard",
        package: "coral-pipeline-workspace",
        target: &["--test", "all"],
        module: "dashboard::evaluation",
        in_browser: true,
    },
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
    setup::openssl()?;
    setup::duckdb()?;
    let page = checkout::root().join("docs/evaluation").join(format!("{what}.md"));
    let before = chosen::written(&page);
    let mut cargo = evaluation.command(release);
    cargo.env("CORAL_EVAL_COMMIT", String::from_utf8_lossy(&commit.stdout).trim()).env("CORAL_EVAL_REPORT", &page);
    if let Some(data) = data {
        cargo.env("CORAL_EVAL_DATA", data);
    }
    if evaluation.in_browser {
        let Browser { tools, program } = match browser::browser()? {
            Ok(found) => found,
            Err(reason) => bail!("nothing can be measured: {reason}"),
        };
        cargo.env(FOLDER, tools).env(BROWSER, program);
    }
    let done = chosen::run(&mut cargo, Wanted::One)?;
    if done == ExitCode::SUCCESS && chosen::written(&page) == before {
        bail!("the test has passed, and has written no figures to {}", page.display());
    }
    Ok(done)
}

impl Evaluation {
    /// Runs its test. Optimised, the checks have compiled nothing of it: then only its own crate is built.
    fn command(&self, release: bool) -> Command {
        let mut cargo = if release {
            let mut cargo = checkout::cargo();
            cargo.args(["test", "--package", self.package, "--locked", "--release"]).args(self.target);
            cargo
        } else {
            chosen::tests(self.target)
        };
        cargo.args(["--", "--exact", "--nocapture", &format!("{}::{}", self.module, self.name)]);
        cargo
    }
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
    fn a_test_is_built_as_the_checks_build_it_and_alone_where_it_is_optimised() {
        let words = |release: bool| -> Vec<String> {
            let events = EVALUATIONS.iter().find(|one| one.name == "events").map(|one| one.command(release));
            let args = events.iter().flat_map(Command::get_args).map(|arg| arg.to_string_lossy().into_owned());
            args.collect()
        };
        let exact = ["--", "--exact", "--nocapture", "events::tests::evaluation::events"];
        assert_eq!(words(false), [&["test", "--workspace", "--locked", "--lib"][..], &exact].concat());
        let alone = ["test", "--package", "coral-operators", "--locked", "--release", "--lib"];
        assert_eq!(words(true), [&alone[..], &exact].concat());
    }

    #[test]
    fn flags_are_read_in_any_order() {
        let args = of(&["events", "--release", "--data", "x"]);
        assert_eq!(read(&args), Some(("events", Some("x"), true)));
        assert_eq!(read(&of(&["dashboard"])), Some(("dashboard", None, false)));
    }
}
