//! `cargo xtask fuzz TARGET SECONDS`: feeds one decoder with broken input for the given time.

use crate::chosen::{self, Wanted};
use crate::setup;
use anyhow::{Context, bail};
use std::process::ExitCode;

const TARGETS: [&str; 6] = ["csv", "ndjson", "parquet", "kafka", "config", "grpc"];

/// `cargo xtask fuzz`.
pub fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let [target, seconds] = args else {
        bail!("say what and how long: cargo xtask fuzz TARGET SECONDS, TARGET one of {}", TARGETS.join(", "));
    };
    if !TARGETS.contains(&target.as_str()) {
        bail!("there is no target {target:?}: it is one of {}", TARGETS.join(", "));
    }
    let seconds: u64 = seconds.parse().with_context(|| format!("{seconds:?} is no number of seconds"))?;
    setup::openssl()?;
    setup::duckdb()?;
    let mut cargo = chosen::tests(&["--test", "all"]);
    cargo.args(["--", "--exact", "--nocapture", &format!("fuzz::{target}")]);
    chosen::run(cargo.env("CORAL_FUZZ_SECONDS", seconds.to_string()), Wanted::One)
}
