//! `coral-pipeline backfill`: recomputes patterns and summaries of a past range of stored rows, in the live store.

use super::replay::carry_out;
use crate::exit::Failure;
use crate::output::Output;
use pipelines::replay::{Recording, Request, Task};
use std::path::PathBuf;

/// Arguments of `backfill`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline backfill reef.toml --from 2026-03-02 --to 2026-03-09",
    after_help = "Late rows of the range become part of the patterns, hourly summaries are recomputed, and patterns \
                  follow the settings in reef.toml. Repeating it changes nothing. After Ctrl-C the same command \
                  resumes. Stop the reef first: only one process can open a DuckDB file. More: docs/replay.md"
)]
pub struct BackfillArgs {
    /// The reef: a .toml or .yaml file
    pub config: PathBuf,
    /// Start of the range: RFC 3339, a date, or an age (24h)
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// End of the range, exclusive
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub to: String,
    /// Count the rows of the range, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the backfill and reports what changed.
pub fn run(args: &BackfillArgs, output: &Output) -> Result<(), Failure> {
    carry_out((&args.config, args.dry_run), &[], output, |_config, now| {
        let (range, words) = super::moment::range(&args.from, &args.to, now)?;
        Ok(Request { task: Task::Backfill, range, words, recording: Recording::Stored, into: None, what_if: None })
    })
}
