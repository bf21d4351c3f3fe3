//! `coral colony import`: files into a colony.

use super::{ColonyChoice, failure, identity_of};
use crate::entry::runtime;
use crate::exit::Failure;
use crate::output::{Output, Style};
use crate::text::counted;
use colony::Store;
use colony::config::{Places, Resolved};
use colony::import::{FileReport, ImportError, Target, import};
use colony::record::Recorder;
use mesh::Network;
use model::clock::SystemClock;
use model::colony::ColonyIdentity;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral colony import metrics.parquet events.ndjson")]
pub struct ImportArgs {
    /// Files of metrics or events: .parquet, .csv or .ndjson
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    colony: ColonyChoice,
    /// Address of the running colony; without it the colony must be stopped
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Read and check the files, and store nothing
    #[arg(long, conflicts_with = "endpoint")]
    dry_run: bool,
}

/// Loads the files and reports the result.
pub fn run(args: &ImportArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let resolved = args.colony.resolve(places)?;
    let identity = identity_of(&resolved);
    let reports = runtime()?.block_on(load(args, &resolved, &identity, output)).map_err(|e| failure::import(&e))?;
    let mut value = json!({
        "colony_id": identity.colony_id,
        "files": reports.iter().map(as_json).collect::<Vec<_>>(),
    });
    if args.dry_run {
        value["dry_run"] = true.into();
        output.message("only read: nothing was stored");
    }
    output.result(&value, |style| {
        reports.iter().map(|report| as_lines(report, args.dry_run, style)).collect::<Vec<_>>().join("\n")
    })
}

async fn load(
    args: &ImportArgs,
    resolved: &Resolved,
    identity: &ColonyIdentity,
    output: &Output,
) -> Result<Vec<FileReport>, ImportError> {
    let (mut target, store) = match &args.endpoint {
        None if args.dry_run => (Target::Nowhere, None),
        Some(endpoint) => (Target::running(&Network::plain(), endpoint, identity).await?, None),
        None => {
            let store = Store::open(&resolved.storage_path, &identity.colony_id).map_err(ImportError::Store)?;
            (Target::Stopped(Box::new(Recorder::new(store.clone()))), Some(store))
        }
    };
    let mut told_percent = 0;
    let result = import(&args.files, identity, &mut target, &SystemClock::shared(), |progress| {
        let percent = progress.bytes_done * 100 / progress.bytes_in_all.max(1);
        if percent < told_percent {
            told_percent = 0;
        }
        if percent >= told_percent + 10 && percent < 100 {
            told_percent = percent;
            output.message(&format!("{}: {percent} %, {} rows", progress.path.display(), progress.accepted));
        }
    })
    .await;
    if let Some(store) = store {
        store.close().map_err(ImportError::Store)?;
    }
    result
}

fn as_json(report: &FileReport) -> Value {
    json!({
        "path": report.path.display().to_string(),
        "accepted": report.accepted,
        "already_stored": report.already_stored,
        "of_other_colonies": report.passed_over,
        "rejects": report.rejects.iter().map(|(reason, rows)| (reason.as_str().to_owned(), json!(rows))).collect::<serde_json::Map<_, _>>(),
        "first_rejects": report.first_rejects,
        "notes": report.notes,
    })
}

fn as_lines(report: &FileReport, is_dry: bool, style: Style) -> String {
    let stored = if is_dry { "that can be stored" } else { "stored" };
    let mut lines = vec![format!(
        "{}: {} rows {stored} ({} of them before), {} of other colonies",
        report.path.display(),
        report.accepted,
        report.already_stored,
        report.passed_over
    )];
    let refused: u64 = report.rejects.values().sum();
    if refused > 0 {
        let reasons: Vec<String> =
            report.rejects.iter().map(|(reason, rows)| format!("{} {rows}", reason.as_str())).collect();
        lines.push(format!("  {} {refused} rows: {}", style.yellow("refused"), reasons.join(", ")));
        lines.extend(report.first_rejects.iter().map(|text| format!("    {text}")));
    }
    let notes = report.notes.iter().map(|(note, rows)| format!("  noted {}: {note}", counted(*rows, "row")));
    lines.extend(notes);
    lines.join("\n")
}
