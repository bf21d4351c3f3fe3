//! `coral-pipeline copy`: copies a reef from one store to another and verifies that both are equal.

use super::meter::Meter;
use super::progress_line::share_done;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::signals::watch_shutdown;
use crate::text::{count, counted};
use pipelines::config::StorageKind;
use pipelines::open::address;
use pipelines::open::store::{describe_kind, has_tables, open_to_copy, open_to_count};
use pipelines::progress::Progress;
use serde::Serialize;
use sinks::copy::{CopyError, CopyProgress, CopySummary};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
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
    /// Say what would be copied, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What a copy would do.
#[derive(Debug, Serialize)]
struct Plan {
    dry_run: bool,
    from: String,
    to: String,
    /// Whether the target holds a part of the source already, which an earlier call has copied.
    resumes: bool,
    /// Rows of the source, by table.
    tables: BTreeMap<String, u64>,
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
        if args.dry_run {
            let plan = planned(&from, &to).await?;
            return output.result(&plan, |_| plan.page());
        }
        output.message(&format!("opening {} and {}", describe_kind(&from), describe_kind(&to)));
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

/// What the command would do. Neither store is changed, and the target is not created.
async fn planned(from: &StorageKind, to: &StorageKind) -> Result<Plan, Failure> {
    let failed = |error: sinks::SinkError| Failure::from_error(Exit::Failed, "store_failed", &error);
    let (source, target) = (describe_kind(from), describe_kind(to));
    let tables = open_to_count(from).await.map_err(failed)?.totals().await.map_err(failed)?.rows;
    let mut resumes = false;
    if has_tables(to).await.map_err(failed)? {
        let reader = open_to_count(to).await.map_err(failed)?;
        resumes = reader.positions().await.map_err(failed)?.contains_key(&format!("copy:{source}"));
        let filled = reader.totals().await.map_err(failed)?.rows.into_iter().find(|(_, rows)| *rows > 0);
        if let Some((table, rows)) = filled.filter(|_| !resumes) {
            let message =
                format!("{target} already holds {} in {table}: a copy needs an empty store", counted(rows, "row"));
            return Err(Failure::new(Exit::Usage, "target_not_empty", message).hint("name another target"));
        }
    }
    Ok(Plan { dry_run: true, from: source, to: target, resumes, tables })
}

impl Plan {
    fn page(&self) -> String {
        let mut lines = vec![format!("{} -> {}", self.from, self.to)];
        lines.extend(self.tables.iter().map(|(table, rows)| format!("  {table:22} {rows:>12}")));
        let rows = counted(self.tables.values().sum(), "row");
        let how = if self.resumes { "; an earlier copy would be resumed" } else { "" };
        lines.push(format!("{rows} would be copied{how}; nothing was written"));
        lines.join("\n")
    }
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
    let (started, mut meter) = (Instant::now(), Meter::default());
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
            let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            output.message(&progress_line(&now, &mut meter, elapsed_ms));
            shown = now;
        }
    }
}

/// `copying federated_metrics · 43 % of 3,000,000 rows, 12s left · 250,000 rows written (12,345/s)`.
fn progress_line(now: &CopyProgress, meter: &mut Meter, elapsed_ms: u64) -> String {
    // of all rows that are written or read again: that is what takes the time
    let progress = Progress { events: now.done, rows: Some((now.done, now.in_all)), ..Progress::default() };
    let reading = meter.read(&progress, elapsed_ms);
    let doing = if now.is_verifying { "comparing" } else { "copying" };
    let share = share_done(&progress, &reading).map(|share| format!(" · {share}")).unwrap_or_default();
    let speed = count(reading.rows_per_second as u64);
    format!("{doing} {}{share} · {} written ({speed}/s)", now.table, counted(now.rows, "row"))
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
        let args = CopyArgs { from: from.to_owned(), to: to.to_owned(), password_env: None, dry_run: false };
        run(&args, &output).unwrap_err()
    }

    #[test]
    fn a_line_says_how_much_is_done_how_fast_and_how_long_it_takes() {
        let mut meter = Meter::default();
        let at = |done: u64, is_verifying: bool| CopyProgress {
            table: "federated_events",
            rows: done.min(1_000),
            done,
            in_all: 3_000,
            is_verifying,
        };
        progress_line(&at(0, false), &mut meter, 0);
        assert_eq!(
            progress_line(&at(750, false), &mut meter, 5_000),
            "copying federated_events · 25 % of 3,000 rows, 15s left · 750 rows written (150/s)"
        );
        let comparing = progress_line(&at(3_000, true), &mut meter, 20_000);
        assert!(comparing.starts_with("comparing federated_events · 100 % of 3,000 rows · 1,000 rows "), "{comparing}");
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
