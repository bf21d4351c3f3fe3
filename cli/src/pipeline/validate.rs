//! `coral-pipeline validate`: all checks that are possible before a run, as a checklist.

use super::checklist::{self, Check, Outcome};
use super::load::{load, load_offline};
use super::{check_colony, check_kafka, check_store};
use crate::entry::runtime;
use crate::exit::{Exit, Failure, tells_refusal};
use crate::output::Output;
use crate::text::{bytes, counted};
use crate::waiting::Waiting;
use mesh::MeshError;
use model::clock::SystemClock;
use model::error::one_line;
use model::position::Positions;
use pipelines::config::{ReefConfig, SecretSource, SourceConfig, StorageKind};
use pipelines::memory::Memory;
use pipelines::metric_plan::MetricPlan;
use pipelines::open::network;
use serde_json::json;
use sources::files::{FileLook, FilesConfig};
use std::path::PathBuf;

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline validate reef.toml",
    after_help = "Shows every mistake at once, with its line and the nearest key. Exits 2 when a run would fail, \
                  and 4 when a missing permission is all that it would fail for."
)]
pub struct ValidateArgs {
    /// The reef: a .toml or .yaml file
    pub config: PathBuf,
    /// Check only local settings: no colony, broker or server is contacted, no secret must be set
    #[arg(long)]
    pub no_network: bool,
}

/// Checks the configuration, then its inputs and store.
pub fn run(args: &ValidateArgs, output: &Output) -> Result<(), Failure> {
    let waiting = Waiting::start("checking", None, output);
    let (config, unset) = if args.no_network { load_offline(&args.config)? } else { (load(&args.config)?, Vec::new()) };
    let mut checks = vec![Check::new("configuration", Outcome::Ok, summary(&config))];
    checks.extend(unset.into_iter().map(|text| Check::new("variable", Outcome::Warning, text)));
    checks.extend(config.unsupported().into_iter().map(|text| Check::new("this version", Outcome::Warning, text)));
    checks.extend(processes_check(&config));
    checks.extend(memory_check(&config));
    checks.extend(file_checks(&config));
    match &config.storage.kind {
        StorageKind::DuckDb { path } => checks.push(check_store::check(&config, path)?),
        StorageKind::ClickHouse { .. } if args.no_network => {
            checks.push(Check::new("store", Outcome::Skipped, "not asked (--no-network)"));
        }
        StorageKind::ClickHouse { .. } => checks.push(check_store::check_server(&config)?),
    }
    checks.extend(secret_checks(&config, args.no_network));
    checks.extend(check_kafka::check_all(&config, args.no_network));
    checks.extend(if args.no_network {
        skipped_colonies(&config)
    } else {
        check_colony::check_all(&config, &runtime()?)?
    });
    drop(waiting);
    conclude(&args.config.display().to_string(), checks, output)
}

fn conclude(file: &str, checks: Vec<Check>, output: &Output) -> Result<(), Failure> {
    let failed = checklist::failed(&checks);
    let document = json!({ "valid": failed == 0, "checks": checks });
    let failure = (failed > 0).then(|| {
        let message = format!("{file}: {} of {} failed", failed, counted(checks.len() as u64, "check"));
        Failure::new(exit_of(&checks), "validation_failed", message)
    });
    output.concluded(&document, |style| checklist::page(&checks, style), failure)
}

/// The code that a run would end with: refusals have their own, where nothing else is wrong.
fn exit_of(checks: &[Check]) -> Exit {
    let mut failed = checks.iter().filter(|check| check.outcome == Outcome::Failed);
    if failed.all(|check| tells_refusal(&check.note)) { Exit::NotAuthorised } else { Exit::Usage }
}

fn summary(config: &ReefConfig) -> String {
    let store = pipelines::open::store::describe(config);
    let colonies = match config.colonies.len() as u64 {
        1 => "1 colony".to_owned(),
        number => format!("{number} colonies"),
    };
    format!("{}: {colonies}, {}, {store}", config.reef_id, counted(config.sources.len() as u64, "source"))
}

fn processes_check(config: &ReefConfig) -> Option<Check> {
    let hosts = &config.engine.hosts;
    let text = format!("{}, each started with its --process: {}", hosts.len(), hosts.join(", "));
    (!hosts.is_empty()).then(|| Check::new("processes", Outcome::Ok, text))
}

/// How many metric series fit into the memory.
fn memory_check(config: &ReefConfig) -> Option<Check> {
    let plan = MetricPlan::of(config, &Memory::of(config.engine.memory_limit_bytes));
    let text = config.correlation.enabled.then(|| plan.text())??;
    Some(Check::new("metric pairs", Outcome::Ok, text))
}

pub(crate) fn file_checks(config: &ReefConfig) -> Vec<Check> {
    let mut checks = Vec::new();
    for source in &config.sources {
        let SourceConfig::Files { metrics, events, .. } = source else { continue };
        // one pattern at a time, so that every missing file is reported
        let one = |metrics: &[String], events: &[String]| FilesConfig {
            metrics: metrics.to_vec(),
            events: events.to_vec(),
            base_dir: config.base_dir.clone(),
            ..FilesConfig::default()
        };
        for pattern in metrics {
            checks.extend(pattern_checks(&format!("metrics {pattern}"), &one(std::slice::from_ref(pattern), &[])));
        }
        for pattern in events {
            checks.extend(pattern_checks(&format!("events {pattern}"), &one(&[], std::slice::from_ref(pattern))));
        }
    }
    // and all together: a file may be listed as one kind here and as the other there
    let is_each_found = checks.iter().all(|check| check.outcome != Outcome::Failed);
    if is_each_found
        && let Some(files) = pipelines::open::inputs::files(config)
        && let Err(error) = files.build(&Positions::default(), &SystemClock::shared())
    {
        checks.push(Check::new("files", Outcome::Failed, one_line(&error)));
    }
    checks
}

/// Opens every file of a pattern and reads its first records. Files without fault are reported together.
fn pattern_checks(name: &str, files: &FilesConfig) -> Vec<Check> {
    let looks = match files.look(&SystemClock::shared()) {
        Ok(looks) => looks,
        Err(error) => return vec![Check::new(name, Outcome::Failed, one_line(&error))],
    };
    let size = looks.iter().map(|look| look.len_bytes).sum();
    let mut checks: Vec<Check> = looks.iter().filter_map(|look| file_fault(name, look)).collect();
    if checks.len() < looks.len() {
        let number = counted((looks.len() - checks.len()) as u64, "file");
        checks.insert(0, Check::new(name, Outcome::Ok, format!("{number}, {}", bytes(size))));
    }
    checks
}

/// What a run would stumble over in a file.
fn file_fault(name: &str, look: &FileLook) -> Option<Check> {
    if let Some(problem) = &look.problem {
        return Some(Check::new(name, Outcome::Failed, one_line(problem)));
    }
    let first = look.rejects.first()?;
    let (rows, file) = (look.rejects.len() as u64, look.path.display());
    let why = format!("{}: {}", first.place, first.detail);
    // nothing that was seen would be taken
    Some(match look.good_rows {
        0 => Check::new(
            name,
            Outcome::Failed,
            format!("{file}: each of its first {} is refused; {why}", counted(rows, "row")),
        ),
        good => Check::new(
            name,
            Outcome::Warning,
            format!("{file}: {rows} of its first {} are refused; {why}", counted(good as u64 + rows, "row")),
        ),
    })
}

/// Secrets that the configuration names but does not hold.
pub(crate) fn secret_checks(config: &ReefConfig, offline: bool) -> Vec<Check> {
    let of_colonies = config.colonies.iter().filter_map(|colony| {
        let mesh = colony.mesh.as_ref().filter(|_| colony.endpoint.is_none())?;
        Some((format!("secret of {}", colony.colony_id), &mesh.colony_secret))
    });
    let of_store = match &config.storage.kind {
        StorageKind::ClickHouse { password_env, .. } => password_env.clone(),
        StorageKind::DuckDb { .. } => None,
    };
    let of_store = of_store.map(|name| ("password of the store".to_owned(), SecretSource::Env(name)));
    let needed = if offline { Outcome::Warning } else { Outcome::Failed };
    let mut checks: Vec<Check> = of_colonies.map(|(name, secret)| colony_secret_check(name, secret, needed)).collect();
    checks.extend(of_store.map(|(name, secret)| secret_check(name, &secret, needed)));
    // a reef without it answers questions in the engine's own words
    let of_model = config.ai.llm.as_ref().and_then(|llm| llm.api_key_env.clone());
    checks.extend(
        of_model.map(|name| secret_check("key of the model".to_owned(), &SecretSource::Env(name), Outcome::Warning)),
    );
    checks
}

fn secret_check(name: String, secret: &SecretSource, when_missing: Outcome) -> Check {
    match secret.resolve() {
        Ok(_) => Check::new(name, Outcome::Ok, "is there"),
        Err(error) => Check::new(name, when_missing, one_line(&error)),
    }
}

/// The secret of a mesh must also be private and unguessable.
fn colony_secret_check(name: String, secret: &SecretSource, when_missing: Outcome) -> Check {
    match network::secret_source(secret).and_then(|source| source.read()) {
        Ok(_) => Check::new(name, Outcome::Ok, "is there"),
        Err(error @ MeshError::NoSecret { .. }) => Check::new(name, when_missing, one_line(&error)),
        Err(error) => Check::new(name, Outcome::Failed, one_line(&error)),
    }
}

fn skipped_colonies(config: &ReefConfig) -> Vec<Check> {
    let skipped = |id: &str| Check::new(format!("colony {id}"), Outcome::Skipped, "not dialled (--no-network)");
    config.colonies.iter().map(|colony| skipped(&colony.colony_id)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EVENT: &str = "{\"event_id\":\"e\",\"colony_id\":\"c\",\"timestamp\":\"2026-09-01T00:00:00Z\",\"event_type\":\"deploy\",\
                         \"service_id\":\"s\"}\n";

    fn validate(folder: &std::path::Path, text: &str, json: bool) -> (Result<(), Failure>, String) {
        validate_with(folder, text, json, true)
    }

    fn validate_with(
        folder: &std::path::Path,
        text: &str,
        json: bool,
        no_network: bool,
    ) -> (Result<(), Failure>, String) {
        let config = folder.join("reef.yaml");
        std::fs::write(&config, text).unwrap();
        let (output, captured) = Output::captured(json);
        let result = run(&ValidateArgs { config, no_network }, &output);
        (result, captured.stdout())
    }

    #[test]
    fn only_refusals_have_the_code_of_a_refusal() {
        let failed = |note: &str| Check::new("events", Outcome::Failed, note);
        let (fine, denied) =
            (Check::new("store", Outcome::Ok, "new"), failed("cannot read closed: Permission denied (os error 13)"));
        assert_eq!(exit_of(&[fine.clone(), denied.clone(), denied.clone()]), Exit::NotAuthorised);
        assert_eq!(exit_of(&[fine, denied, failed("\"e.csv\" matches no file")]), Exit::Usage);
    }

    #[test]
    fn a_good_reef_passes_and_colonies_are_not_dialled_offline() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("e.ndjson"), EVENT).unwrap();
        let text = "reef_id: r\nsources: [{kind: files, events: [e.ndjson]}]\n\
                    colonies: [{colony_id: a, endpoint: 'http://127.0.0.1:9'}]\n";
        let (result, page) = validate(folder.path(), text, false);
        assert!(result.is_ok(), "{result:?}");
        assert!(page.contains("✓ ok       events e.ndjson"), "{page}");
        assert!(page.contains("- skipped  colony a"), "{page}");
    }

    #[test]
    fn it_says_how_many_metric_series_fit_into_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("e.ndjson"), EVENT).unwrap();
        let text = "reef_id: r\nsources: [{kind: files, events: [e.ndjson]}]\n\
                    engine: {memory_limit: 1GiB, workers: 2}\n";
        let (result, page) = validate(folder.path(), text, false);
        assert!(result.is_ok(), "{result:?}");
        let line = page.lines().find(|line| line.contains("metric pairs")).unwrap();
        assert!(line.contains("series of one-minute buckets") && line.contains("of 1024 MiB, 2 workers"), "{page}");
        let (_, page) = validate(folder.path(), &format!("{text}correlation: {{enabled: false}}\n"), false);
        assert!(!page.contains("metric pairs"), "{page}");
    }

    #[test]
    fn a_run_does_not_need_the_key_of_a_model() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("e.ndjson"), EVENT).unwrap();
        let text = "reef_id: r\nsources: [{kind: files, events: [e.ndjson]}]\n\
                    ai: {llm: {provider: 'openai:gpt-4o', api_key_env: CORAL_TEST_KEY_THAT_NOBODY_SETS}}\n";
        let (result, page) = validate_with(folder.path(), text, false, false);
        assert!(result.is_ok(), "{result:?}");
        assert!(page.contains("⚠ warning  key of the model"), "{page}");
    }

    #[test]
    fn variables_that_are_not_set_are_reported_offline_and_refused_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let text = "reef_id: r\ncolonies: [{colony_id: a, endpoint: 'http://${CORAL_TEST_HOST_NOBODY_SETS}:9'}]\n";
        let (result, page) = validate(folder.path(), text, false);
        assert!(result.is_ok(), "{result:?}");
        assert!(page.contains("⚠ warning  variable") && page.contains("needs the environment variable"), "{page}");
        let failure = validate_with(folder.path(), text, false, false).0.unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "config_invalid"));
        assert!(failure.details[0].contains("CORAL_TEST_HOST_NOBODY_SETS, which is not set"), "{failure:?}");
    }

    #[test]
    fn files_are_opened_and_their_first_rows_are_judged() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("good-1.ndjson", EVENT);
        write("good-2.ndjson", &format!("{EVENT}no json\n"));
        write("wrong.ndjson", &EVENT.replace("timestamp", "time"));
        write("cut.parquet", "PAR1");
        write("other.csv", "a,b\n1,2\n");
        let text = "reef_id: r\nsources: [{kind: files, events: ['*.ndjson', cut.parquet, other.csv]}]\n";
        let (result, page) = validate(folder.path(), text, false);
        assert_eq!(result.unwrap_err().exit, Exit::Usage);
        let line =
            |words: &str| page.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {page}"));
        assert!(
            line("events *.ndjson  ").starts_with("✓ ok") && line("events *.ndjson  ").contains("1 file,"),
            "{page}"
        );
        assert!(line("good-2.ndjson").starts_with("⚠ warning") && line("good-2").contains("1 of its first 2 rows"));
        assert!(line("wrong.ndjson").starts_with("✗ failed") && line("wrong").contains("timestamp"), "{page}");
        assert!(line("cut.parquet is not").starts_with("✗ failed"), "{page}");
        assert!(line("other.csv is not").starts_with("✗ failed"), "{page}");
    }

    #[test]
    fn a_file_that_is_listed_as_events_and_as_metrics_fails() {
        let folder = tempfile::tempdir().unwrap();
        // either kind takes each of its rows
        let row = EVENT.replace("\"event_id\"", "\"metric_name\":\"m\",\"p50\":1,\"event_id\"");
        std::fs::write(folder.path().join("both.ndjson"), row).unwrap();
        for sources in [
            "[{kind: files, events: [both.ndjson], metrics: ['b*.ndjson']}]",
            "[{kind: files, events: [both.ndjson]}, {kind: files, metrics: [both.ndjson]}]",
        ] {
            let (result, page) = validate(folder.path(), &format!("reef_id: r\nsources: {sources}\n"), false);
            assert_eq!(result.unwrap_err().exit, Exit::Usage, "{page}");
            assert!(page.contains("listed as metrics and as events"), "{page}");
        }
    }

    #[test]
    fn every_missing_file_is_reported_and_json_is_one_document() {
        let folder = tempfile::tempdir().unwrap();
        let text = "reef_id: r\nsources: [{kind: files, events: [e.ndjson], metrics: ['m*.csv']}]\n";
        let (result, page) = validate(folder.path(), text, false);
        let failure = result.unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "validation_failed"));
        assert!(page.contains("✗ failed   events e.ndjson") && page.contains("✗ failed   metrics m*.csv"), "{page}");
        let (result, document) = validate(folder.path(), text, true);
        assert_eq!(document, "");
        assert_eq!(result.unwrap_err().report.unwrap()["valid"], false);
    }
}
