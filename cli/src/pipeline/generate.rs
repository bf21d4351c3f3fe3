//! `coral-pipeline generate`: a synthetic fleet as files, with the planted relations and a reef that reads them.

use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::text::counted;
use crate::waiting::Waiting;
use serde_json::json;
use sources::generator::{Fleet, FleetConfig, WrittenFiles};
use std::path::{Path, PathBuf};

/// Arguments of `generate`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline generate --out fleet && coral-pipeline run fleet/reef.toml",
    after_help = "The same seed gives the same files on every machine. The truth file lists the planted \
                  relations, and pairs that only look related."
)]
pub struct GenerateArgs {
    /// Folder for the files; created if missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Seed of the fleet
    #[arg(long, default_value_t = FleetConfig::default().seed)]
    pub seed: u64,
    /// Number of colonies: staging and production of each application in turn
    #[arg(long, default_value_t = FleetConfig::default().colonies)]
    pub colonies: usize,
    /// Length of the history
    #[arg(long, default_value_t = FleetConfig::default().days)]
    pub days: u32,
    /// Deployments of each colony with a known outcome, at most 2 a day; metric buckets are then a minute long
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub deployments: u32,
    /// Replace files of the same names in that folder
    #[arg(long)]
    pub force: bool,
    /// Say which files would be written, and write none
    #[arg(long)]
    pub dry_run: bool,
}

/// The configuration beside the files.
const REEF: &str = "reef.toml";

/// Generates the fleet and writes it.
pub fn run(args: &GenerateArgs, output: &Output) -> Result<(), Failure> {
    let default = FleetConfig::default();
    let interval_seconds = if args.deployments > 0 { 60 } else { default.interval_seconds };
    let (seed, colonies, days, deployments) = (args.seed, args.colonies, args.days, args.deployments);
    let config = FleetConfig { seed, colonies, days, interval_seconds, deployments, ..default };
    let waiting = Waiting::start("generating the fleet", None, output);
    let fleet = Fleet::generate(&config)
        .map_err(|problem| Failure::new(Exit::Usage, "usage", problem).docs("coral-pipeline generate --help"))?;
    if !args.force {
        refuse_to_replace(&args.out)?;
    }
    let (events, metric_rows) = (fleet.events.len() as u64, fleet.metric_rows());
    let planted = (fleet.truth.event_relations.len() + fleet.truth.metric_relations.len()) as u64;
    let (written, reef) = match args.dry_run {
        true => (fleet.files_in(&args.out), args.out.join(REEF)),
        false => {
            let written = fleet.write_files(&args.out);
            let written = written.map_err(|error| Failure::from_error(Exit::Failed, "write_failed", &error))?;
            let reef = write_reef(&args.out, &written)?;
            (written, reef)
        }
    };
    drop(waiting);
    let document = json!({
        "dry_run": args.dry_run,
        "seed": args.seed,
        "colonies": fleet.truth.colonies,
        "events": { "file": written.events, "rows": events },
        "metrics": { "file": written.metrics, "rows": metric_rows },
        "truth": { "file": written.truth, "relations": planted },
        "reef": reef,
    });
    output.result(&document, |style| page(&written, (&reef, args.dry_run), [events, metric_rows, planted], style))
}

/// Existing files may be the user's: they are replaced only with --force.
fn refuse_to_replace(folder: &Path) -> Result<(), Failure> {
    let mut paths = std::iter::once(REEF).chain(WrittenFiles::NAMES).map(|name| folder.join(name));
    match paths.find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => Err(Failure::new(Exit::Usage, "file_exists", format!("{} exists already", path.display()))
            .hint("choose another --out, or replace it with --force")
            .docs("coral-pipeline generate --help")),
    }
}

/// A reef over the files, in their folder.
fn write_reef(folder: &Path, written: &WrittenFiles) -> Result<PathBuf, Failure> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let text = format!(
        "reef_id = \"generated\"\n\n[[sources]]\nkind = \"files\"\nmetrics = [{:?}]\nevents = [{:?}]\n",
        name(&written.metrics),
        name(&written.events)
    );
    let path = folder.join(REEF);
    std::fs::write(&path, text).map_err(|error| {
        Failure::new(Exit::Failed, "write_failed", format!("cannot write {}", path.display())).caused_by(Some(&error))
    })?;
    Ok(path)
}

fn page(
    written: &WrittenFiles,
    (reef, is_dry_run): (&Path, bool),
    [events, metric_rows, planted]: [u64; 3],
    style: Style,
) -> String {
    let last = match is_dry_run {
        true => format!("{} would be written too; nothing was written", reef.display()),
        false => style.bold(&format!("next: coral-pipeline run {}", reef.display())),
    };
    [
        format!("{}  {}", written.events.display(), counted(events, "event")),
        format!("{}  {}", written.metrics.display(), counted(metric_rows, "metric row")),
        format!("{}  {}", written.truth.display(), counted(planted, "planted relation")),
        last,
    ]
    .join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn args(out: &Path, days: u32, force: bool) -> GenerateArgs {
        GenerateArgs { out: out.to_owned(), seed: 3, colonies: 2, days, deployments: 0, force, dry_run: false }
    }

    fn generate(out: &Path, days: u32) -> Result<serde_json::Value, Failure> {
        generate_with(out, days, false)
    }

    fn generate_with(out: &Path, days: u32, force: bool) -> Result<serde_json::Value, Failure> {
        let (output, captured) = Output::captured(true);
        run(&args(out, days, force), &output)?;
        Ok(serde_json::from_str(&captured.stdout()).unwrap())
    }

    #[test]
    fn the_same_seed_gives_the_same_files_and_a_reef_that_loads() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let document = generate(&one, 2).unwrap();
        generate(&two, 2).unwrap();
        let file = |folder: &Path| {
            let path = document["events"]["file"].as_str().unwrap();
            std::fs::read(folder.join(Path::new(path).file_name().unwrap())).unwrap()
        };
        assert_eq!(file(&one), file(&two));
        assert!(document["events"]["rows"].as_u64().unwrap() > 0);
        let reef = pipelines::config::load(&one.join("reef.toml")).unwrap();
        assert!(reef.unsupported().is_empty());
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_by_force() {
        for name in ["reef.toml", "events.ndjson", "metrics.parquet", "truth.json"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, "mine").unwrap();
            let failure = generate(folder.path(), 2).unwrap_err();
            assert_eq!((failure.exit, failure.code), (Exit::Usage, "file_exists"));
            assert_eq!(failure.message, format!("{} exists already", path.display()));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
            generate_with(folder.path(), 2, true).unwrap();
            assert_ne!(std::fs::read(&path).unwrap(), b"mine");
        }
    }

    #[test]
    fn a_dry_run_counts_what_would_be_written_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("fleet");
        let plan = |json: bool, force: bool| {
            let (output, captured) = Output::captured(json);
            run(&GenerateArgs { dry_run: true, ..args(&out, 2, force) }, &output).map(|()| captured.stdout())
        };
        let planned: serde_json::Value = serde_json::from_str(&plan(true, false).unwrap()).unwrap();
        assert!(plan(false, false).unwrap().ends_with("reef.toml would be written too; nothing was written\n"));
        assert!(!out.exists());
        let written = generate(&out, 2).unwrap();
        assert_eq!((&planned["dry_run"], &written["dry_run"]), (&true.into(), &false.into()));
        for part in ["events", "metrics", "truth", "reef", "colonies"] {
            assert_eq!(planned[part], written[part], "{part}");
        }
        assert_eq!(plan(true, false).unwrap_err().code, "file_exists", "as the command without it");
        assert!(plan(true, true).is_ok());
    }

    #[test]
    fn impossible_fleets_are_a_wrong_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let failure = generate(folder.path(), 0).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("choose 1 to 730"), "{failure:?}");
    }
}
