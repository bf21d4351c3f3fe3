//! `coral-pipeline copy`: copies a reef from one store to another and verifies that both are equal.

use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::signals::watch_shutdown;
use crate::text::counted;
use pipelines::config::StorageKind;
use pipelines::open::address;
use pipelines::open::store::open_to_copy;
use sinks::copy::{CopyError, CopyProgress, CopySummary};
use std::time::Duration;
use tokio::sync::watch;

/// Arguments of `copy`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline copy --from duckdb:.coral/reef.duckdb --to clickhouse:http://reef@db.example.com:8123/reef",
    after_help = "Stop the reef first: a store that is written to during the copy differs at the end. The target must be empty. \
                  After an interruption the same command resumes. At the end the tables of both stores are compared by \
                  count and checksum."
)]
pub struct CopyArgs {
    /// The source store: duckdb:PATH or clickhouse:http://user@host:port/database[?cluster=NAME]
    #[arg(long)]
    pub from: String,
    /// The target store
    #[arg(long)]
    pub to: String,
    /// Environment variable with the password for ClickHouse
    #[arg(long, value_name = "NAME")]
    pub password_env: Option<String>,
}

/// Copies and prints every table's count and checksum.
pub fn run(args: &CopyArgs, output: &Output) -> Result<(), Failure> {
    let parse = |text| {
        address::parse(text, args.password_env.as_deref())
            .map_err(|error| Failure::from_error(Exit::Usage, "address_invalid", &error))
    };
    let (from, to) = (parse(&args.from)?, parse(&args.to)?);
    if from == to || is_same_file(&from, &to) {
        return Err(Failure::new(Exit::Usage, "same_store", "--from and --to name the same store"));
    }
    if let StorageKind::DuckDb { path } = &from
        && !path.exists()
    {
        let message = format!("{} does not exist", path.display());
        return Err(Failure::new(Exit::NotFound, "store_missing", message));
    }
    runtime()?.block_on(async {
        let failed = |error: sinks::SinkError| Failure::from_error(Exit::Failed, "store_failed", &error);
        let notices = output.clone();
        let shutdown = watch_shutdown(output, move || {
            notices.message(
                "stopping after this page (press Ctrl-C again to \
                                                                    abort)",
            )
        })?;
        let (source, target) = (open_to_copy(&from).await.map_err(failed)?, open_to_copy(&to).await.map_err(failed)?);
        let (progress, snapshots) = watch::channel(CopyProgress::default());
        let display = tokio::spawn(show(snapshots, output.clone()));
        let result = sinks::copy::copy(source, target, progress, shutdown).await;
        // the sender has been dropped, so the display ends
        let _ = display.await;
        let summary = result.map_err(|error| failure(&error))?;
        output.result(&summary, |style| page(&summary, style))
    })
}

/// Whether both name the same file.
fn is_same_file(from: &StorageKind, to: &StorageKind) -> bool {
    let real = |kind: &StorageKind| match kind {
        StorageKind::DuckDb { path } => path.canonicalize().ok(),
        StorageKind::ClickHouse { .. } => None,
    };
    real(from).is_some_and(|from| Some(from) == real(to))
}

fn failure(error: &CopyError) -> Failure {
    let (exit, code) = match error {
        CopyError::Store(_) => (Exit::Failed, "store_failed"),
        CopyError::NotEmpty { .. } => (Exit::Usage, "target_not_empty"),
        CopyError::Differs { .. } => (Exit::Failed, "stores_differ"),
        CopyError::Stopped { .. } => (Exit::Interrupted, "interrupted"),
    };
    Failure::from_error(exit, code, error)
}

/// How often a line is written.
const LINE_EVERY: Duration = Duration::from_secs(2);

async fn show(mut snapshots: watch::Receiver<CopyProgress>, output: Output) {
    let mut line = tokio::time::interval(LINE_EVERY);
    line.tick().await;
    let mut shown = CopyProgress::default();
    loop {
        tokio::select! {
            changed = async { while snapshots.changed().await.is_ok() {} } => return changed,
            _ = line.tick() => {}
        }
        let now = snapshots.borrow_and_update().clone();
        if now != shown {
            let doing = if now.is_verifying { "comparing" } else { "copying" };
            output.message(&format!("{doing} {}: {} written", now.table, counted(now.rows, "row")));
            shown = now;
        }
    }
}

fn page(summary: &CopySummary, style: Style) -> String {
    let mut lines = vec![format!("{} -> {}", summary.from, summary.to)];
    for copied in &summary.tables {
        let rows = copied.target.rows;
        lines.push(format!(
            "  {:22} {rows:>12}  {:016x}  {}",
            copied.table,
            copied.target.checksum,
            style.green("equal")
        ));
    }
    let resumed = if summary.was_resumed { ", the rest by an earlier call" } else { "" };
    lines.push(format!("{} written{resumed}; both stores hold the same", counted(summary.rows_written, "row")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(from: &str, to: &str) -> Failure {
        let (output, _) = Output::captured(false);
        let args = CopyArgs { from: from.to_owned(), to: to.to_owned(), password_env: None };
        run(&args, &output).unwrap_err()
    }

    #[test]
    fn mistakes_are_reported_before_anything_is_opened() {
        assert_eq!(refused("reef.duckdb", "duckdb:b").code, "address_invalid");
        assert_eq!(refused("duckdb:a", "duckdb:a").code, "same_store");
        let folder = tempfile::tempdir().unwrap();
        let none = format!("duckdb:{}/none.duckdb", folder.path().display());
        let missing = refused(&none, &format!("duckdb:{}/b.duckdb", folder.path().display()));
        assert_eq!((missing.exit, missing.code), (Exit::NotFound, "store_missing"));
        assert!(!folder.path().join("b.duckdb").exists());
    }
}
