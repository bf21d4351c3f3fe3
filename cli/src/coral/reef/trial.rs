//! `coral reef test`: settings tried on given events: which patterns must be found, and which must not.

use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::pipeline::load::load_with;
use crate::text::counted;
use mesh::Network;
use model::clock::SystemClock;
use model::pattern::{Correlation, PatternState, Signal};
use model::time::{MINUTE_MS, SECOND_MS, TimeMs, format_duration_ms, parse_duration_ms};
use pipelines::config::document_of;
use pipelines::open::store;
use pipelines::run::RunOptions;
use rand::RngExt;
use serde::Deserialize;
use serde_json::{Value, json};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Most events of a test.
const EVENTS_MAX: u64 = 100_000;
/// What an expected state may be; `unconfirmed`: not confirmed, or not there at all.
const STATES: [&str; 4] = ["confirmed", "candidate", "withdrawn", "unconfirmed"];

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef test patterns.test.yaml",
    after_help = "The file, YAML or TOML, has settings of [correlation], events, and what is expected of them:\n  \
                  settings: [correlation.max_lag=6h]\n  \
                  events: [{at: 2026-03-02T10:00:00Z, colony: lib, service: api, type: deploy, every: 35h, times: 12}]\n  \
                  expect: [{source: lib/api/deploy, target: app/web/alert, state: confirmed, lag: 17m, within: 1m}]\n\
                  States: confirmed, candidate, withdrawn, unconfirmed. Exits 1 when something else is found."
)]
pub struct TestArgs {
    /// The file
    file: PathBuf,
}

/// A test as its file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    #[serde(default)]
    settings: Vec<String>,
    events: Vec<Given>,
    expect: Vec<Expected>,
}

/// Events of one kind: one, or several at a distance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    at: String,
    colony: String,
    service: String,
    r#type: String,
    every: Option<String>,
    #[serde(default = "once")]
    times: u64,
}

/// What must be found; ends are `colony/service/type`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    source: String,
    target: String,
    #[serde(default = "confirmed")]
    state: String,
    lag: Option<String>,
    within: Option<String>,
    occurrences: Option<u32>,
}

fn once() -> u64 {
    1
}

fn confirmed() -> String {
    STATES[0].to_owned()
}

/// A folder that is removed with its files.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Folder> {
        let name = format!("coral-reef-test-{}-{}", std::process::id(), rand::rng().random_range(0..u32::MAX));
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the test.
///
/// # Errors
/// When the file is wrong, or what is expected is not found.
pub fn run(args: &TestArgs, output: &Output) -> Result<(), Failure> {
    let trial = read(&args.file)?;
    let events = lines(&trial).map_err(|problem| invalid(&args.file, vec![problem]))?;
    let found = patterns(&trial, &events)?;
    let problems: Vec<Option<String>> = trial
        .expect
        .iter()
        .map(|expected| problem(expected, &found))
        .collect::<Result<_, _>>()
        .map_err(|problem| invalid(&args.file, vec![problem]))?;
    let unmet = problems.iter().flatten().count();
    let judged: Vec<(&Expected, &Option<String>)> = trial.expect.iter().zip(&problems).collect();
    let document = json!({
        "met": problems.len() - unmet,
        "unmet": unmet,
        "expectations": judged.iter().map(|(expected, problem)| as_json(expected, problem)).collect::<Vec<_>>(),
    });
    let failure = (unmet > 0).then(|| {
        let all = counted(problems.len() as u64, "expectation");
        Failure::new(Exit::Failed, "trial_unmet", format!("{}: {unmet} of {all} not met", args.file.display()))
    });
    output.concluded(&document, |style| page(&judged, style), failure)
}

fn invalid(file: &Path, details: Vec<String>) -> Failure {
    let message = format!("{} is no test of patterns", file.display());
    let failure = Failure::new(Exit::Usage, "trial_invalid", message).docs("coral reef test --help");
    Failure { details, ..failure }
}

fn read(file: &Path) -> Result<Trial, Failure> {
    let document = document_of(file).map_err(|errors| match errors.is_missing_file() {
        true => Failure::new(Exit::NotFound, "file_missing", format!("{} does not exist", file.display())),
        false => invalid(file, errors.lines().collect()),
    })?;
    let trial: Trial = serde_json::from_value(document).map_err(|error| invalid(file, vec![error.to_string()]))?;
    // other sections change no result of a test, and may name other processes
    if let Some(other) = trial.settings.iter().find(|setting| !setting.trim_start().starts_with("correlation.")) {
        let problem = format!("settings: {other:?} is no setting of [correlation], such as correlation.max_lag=6h");
        return Err(invalid(file, vec![problem]));
    }
    match trial.expect.is_empty() {
        true => Err(invalid(file, vec!["it expects nothing".to_owned()])),
        false => Ok(trial),
    }
}

fn duration(field: &str, text: &str) -> Result<i64, String> {
    parse_duration_ms(text).map_err(|error| format!("{field}: {error}"))
}

/// The events as lines of a file, in the order of their times.
fn lines(trial: &Trial) -> Result<String, String> {
    let count: u64 = trial.events.iter().fold(0, |sum, given| sum.saturating_add(given.times));
    if count > EVENTS_MAX {
        return Err(format!("{count} events are too many; at most {EVENTS_MAX}"));
    }
    let mut rows = Vec::new();
    for (number, given) in trial.events.iter().enumerate() {
        let Given { at, colony, service, r#type, every, times } = given;
        let wrong = || format!("events[{number}].at: {at:?} is not a time such as 2026-03-02T10:00:00Z");
        let begin = TimeMs::parse_rfc3339(at).ok_or_else(wrong)?;
        let every_ms = match every {
            Some(text) => duration(&format!("events[{number}].every"), text)?,
            None if *times > 1 => return Err(format!("events[{number}]: times needs every beside it")),
            None => 0,
        };
        for turn in 0..*times {
            let after_ms = i64::try_from(turn).ok().and_then(|turn| every_ms.checked_mul(turn));
            let at = after_ms.and_then(|after_ms| begin.0.checked_add(after_ms)).map(TimeMs);
            let at = at.ok_or_else(|| format!("events[{number}]: they end too late"))?;
            let row = json!({
                "event_id": format!("e{number}-{turn}"),
                "colony_id": colony,
                "timestamp": at.to_string(),
                "event_type": r#type,
                "service_id": service,
            });
            rows.push((at, format!("{row}\n")));
        }
    }
    rows.sort_by_key(|(at, _)| *at);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The patterns that a reef with these settings finds in the events.
fn patterns(trial: &Trial, events: &str) -> Result<Vec<Correlation>, Failure> {
    let failed = |what: &str, error: &std::io::Error| {
        Failure::new(Exit::Failed, "write_failed", format!("cannot write {what}")).caused_by(Some(error))
    };
    let folder = Folder::new().map_err(|error| failed("a folder for the test", &error))?;
    let path = folder.0.join("reef.yaml");
    let reef = "reef_id: trial\nsources: [{kind: files, events: [events.ndjson]}]\nstorage: {path: trial.duckdb}\n";
    for (file, text) in [(&path, reef), (&folder.0.join("events.ndjson"), events)] {
        std::fs::write(file, text).map_err(|error| failed(&file.display().to_string(), &error))?;
    }
    let config = load_with(&path, &trial.settings)?;
    runtime()?.block_on(async {
        let (options, controls) = RunOptions::new(SystemClock::shared(), Network::plain());
        let summary = pipelines::run::run(&config, options).await;
        drop(controls);
        let summary = summary.map_err(|error| Failure::from_error(Exit::Failed, "source_failed", &error))?;
        if summary.progress.rejects > 0 {
            let reasons: Vec<String> = summary.rejects_by_reason.keys().cloned().collect();
            let message = format!("{} of the test are refused", counted(summary.progress.rejects, "event"));
            return Err(Failure { details: reasons, ..Failure::new(Exit::Usage, "trial_invalid", message) });
        }
        let read = async { store::open_for_reading(&config).await?.correlations().await };
        read.await.map_err(|error| Failure::from_error(Exit::Failed, "store_failed", &error))
    })
}

/// Colony, service and type of an end.
fn end<'a>(field: &str, text: &'a str) -> Result<[&'a str; 3], String> {
    let parts = text.split_once('/').and_then(|(colony, rest)| Some((colony, rest.rsplit_once('/')?)));
    let (colony, (service, event_type)) =
        parts.ok_or_else(|| format!("{field}: {text:?} is not colony/service/type"))?;
    Ok([colony, service, event_type])
}

/// What is found instead of what is expected.
///
/// # Errors
/// When it is not said right what is expected.
fn problem(expected: &Expected, found: &[Correlation]) -> Result<Option<String>, String> {
    let Expected { source, target, state, lag, within, occurrences } = expected;
    if !STATES.contains(&state.as_str()) {
        return Err(format!("state: {state:?} is not one of {}", STATES.join(", ")));
    }
    let (source, target) = (end("source", source)?, end("target", target)?);
    let is = |signal: &Signal, end: [&str; 3]| [signal.colony_id.as_str(), &signal.service_id, &signal.name] == end;
    let row = found.iter().find(|row| is(&row.key.source, source) && is(&row.key.target, target));
    if state == STATES[3] {
        let confirmed = row.filter(|row| row.state == PatternState::Confirmed);
        return Ok(confirmed.map(|row| format!("it is confirmed, {} of {}", row.occurrence_count, row.sample_count)));
    }
    let Some(row) = row else { return Ok(Some("there is no such pattern".to_owned())) };
    if row.state.as_str() != state {
        let why = row.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return Ok(Some(format!("it is {}{why}", row.state.as_str())));
    }
    if let Some(lag) = lag {
        let within_ms = within.as_ref().map_or(Ok(MINUTE_MS), |text| duration("within", text))?;
        let (wanted_ms, lag_ms) = (duration("lag", lag)?, i64::from(row.lag_seconds) * SECOND_MS);
        if (lag_ms - wanted_ms).abs() > within_ms {
            return Ok(Some(format!("its lag is {}, not {lag}", format_duration_ms(lag_ms))));
        }
    }
    let differs = occurrences.is_some_and(|count| count != row.occurrence_count);
    Ok(differs.then(|| format!("it happened {} times", row.occurrence_count)))
}

fn as_json(expected: &Expected, problem: &Option<String>) -> Value {
    json!({
        "source": expected.source, "target": expected.target, "state": expected.state,
        "met": problem.is_none(), "problem": problem,
    })
}

fn page(judged: &[(&Expected, &Option<String>)], style: Style) -> String {
    let line = |(expected, problem): &(&Expected, &Option<String>)| {
        let what = format!("{} -> {}: {}", expected.source, expected.target, expected.state);
        match problem {
            None => format!("{} ok      {what}", style.green("✓")),
            Some(problem) => format!("{} failed  {what}; {problem}", style.red("✗")),
        }
    };
    judged.iter().map(line).collect::<Vec<_>>().join("\n")
}
