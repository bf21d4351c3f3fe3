//! `coral-pipeline migrate`: upgrades a store's tables to this version; `run` does the same automatically.

use super::load::load_runnable;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::waiting::Waiting;
use migrations::{CLICKHOUSE, DUCKDB, Migration, pending};
use pipelines::config::StorageKind;
use pipelines::open::store;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline migrate reef.toml --dry-run",
    after_help = "`run` migrates automatically; this command does it at a time of your choice."
)]
pub struct MigrateArgs {
    /// The reef: a .toml or .yaml file
    pub config: PathBuf,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// Applies the missing steps, or lists them.
pub fn run(args: &MigrateArgs, output: &Output) -> Result<(), Failure> {
    let config = load_runnable(&args.config)?;
    let (shown, known) = match &config.storage.kind {
        StorageKind::DuckDb { path } => (path.display().to_string(), DUCKDB),
        StorageKind::ClickHouse { .. } => (store::describe(&config), CLICKHOUSE),
    };
    let failed = |error: sinks::SinkError| Failure::from_error(Exit::Failed, "store_failed", &error);
    runtime()?.block_on(async {
        let waiting = Waiting::start("bringing the tables up to date", None, output);
        let before = store::stored_version(&config).await.map_err(failed)?;
        let steps = pending(known, before.unwrap_or(0))
            .map_err(|error| Failure::from_error(Exit::Failed, "store_too_new", &error))?;
        // tables of derived rows have no numbered step: a store that cannot be read may lack one
        let is_current = steps.is_empty() && store::open_for_reading(&config).await.is_ok();
        if !args.dry_run && !is_current {
            store::open(&config).await.map_err(failed)?.close().await.map_err(failed)?;
        }
        drop(waiting);
        let document = json!({
            "dry_run": args.dry_run,
            "store": shown,
            "version_before": before,
            "steps": steps.iter().map(|step| json!({ "version": step.version, "name": step.name })).collect::<Vec<_>>(),
            "applied": !args.dry_run,
        });
        output.result(&document, |style| page(&shown, before, steps, args.dry_run, style))
    })
}

fn page(shown: &str, before: Option<u32>, steps: &[Migration], dry_run: bool, style: Style) -> String {
    let mut lines = vec![match before {
        Some(version) => format!("{shown} has schema version {version}"),
        None => format!("{shown} does not exist yet"),
    }];
    for step in steps {
        let word = if dry_run { "would apply" } else { "applied" };
        lines.push(format!("  {} {}: {}", style.green(word), step.version, step.name));
    }
    if steps.is_empty() {
        lines.push("  nothing to do".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_dry_run_creates_nothing_and_a_second_run_has_nothing_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("reef.yaml");
        std::fs::write(&config, "reef_id: r\nsources: [{kind: files, events: [e.csv]}]\nstorage: {path: s.duckdb}\n")
            .unwrap();
        let migrate = |dry_run| {
            let (output, captured) = Output::captured(true);
            run(&MigrateArgs { config: config.clone(), dry_run }, &output).unwrap();
            serde_json::from_str::<serde_json::Value>(&captured.stdout()).unwrap()
        };
        let all = DUCKDB.len();
        let planned = migrate(true);
        assert_eq!((&planned["version_before"], planned["steps"].as_array().unwrap().len()), (&json!(null), all));
        assert!(!folder.path().join("s.duckdb").exists());
        assert_eq!(migrate(false)["steps"].as_array().unwrap().len(), all);
        let again = migrate(false);
        assert_eq!((&again["version_before"], again["steps"].as_array().unwrap().len()), (&json!(all), 0));
    }
}
