//! What pages cost: a generated fleet of 50 services over 7 days, and a series of 100,800 points.
//!
//! A short run is an ordinary test; `cargo xtask eval dashboard` runs the long one and writes `docs/evaluation/dashboard.md`.

use super::{script, tools};
use crate::services::Serving;
use crate::support::{Reef, program};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// 5 January 2026, where generated fleets begin.
const START_MS: i64 = 1_767_571_200_000;
const DAY_MS: i64 = 86_400_000;

/// A fleet: its colonies in turn have three services and two, so that 20 of them have 50.
struct Size {
    colonies: &'static str,
    days: i64,
    /// Between two points of the widest series.
    step_ms: i64,
}

const SHORT: Size = Size { colonies: "2", days: 2, step_ms: 60_000 };
const LONG: Size = Size { colonies: "20", days: 7, step_ms: 6_000 };

#[test]
fn dashboard() {
    if tools("dashboard").is_none() {
        return;
    }
    // the path is where `cargo xtask eval` wants the figures
    let report = std::env::var_os("CORAL_EVAL_REPORT").map(PathBuf::from);
    let size = if report.is_some() { LONG } else { SHORT };
    let folder = tempfile::tempdir().unwrap();
    let reef = stored(folder.path(), &size);
    if report.is_none() {
        std::fs::write(folder.path().join("short"), "").unwrap();
    }
    let serving = Serving::start("serve", &reef);
    let url = format!("http://{}", serving.address());
    let output = script("measure", &url).arg(folder.path()).stderr(Stdio::inherit()).output().unwrap();
    serving.stop();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut documents = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let measured = documents.find_map(|one| one.get("measured").cloned());
    let measured = measured.unwrap_or_else(|| panic!("nothing was measured: {text}"));
    let series = &measured["series"];
    let points = size.days * DAY_MS / size.step_ms;
    assert_eq!(series["stored_points"], points, "{series}");
    assert_eq!(series["steps_with_exact_extremes"], series["steps"], "an extreme of a step is lost: {series}");
    assert!(series["served_points"].as_i64().unwrap() <= 200, "{series}");
    assert_eq!(series["drag"]["moved"], true, "{series}");
    for page in measured["pages"].as_array().unwrap() {
        assert!(page["html_bytes"].as_u64().unwrap() > 0 && page["requests"].as_u64().unwrap() > 0, "{page}");
    }
    if let Some(path) = report {
        std::fs::write(path, page(&measured, &size)).unwrap();
    }
}

/// A reef over a generated fleet and the widest series, whose points are in `wide.ndjson` of the folder as well.
fn stored(folder: &Path, size: &Size) -> Reef {
    let fleet = folder.join("fleet");
    let generate = Command::new(program("coral-pipeline"))
        .args(["generate", "--colonies", size.colonies, "--days", &size.days.to_string(), "--out"])
        .arg(&fleet)
        .output()
        .unwrap();
    assert!(generate.status.success(), "{}", String::from_utf8_lossy(&generate.stderr));
    let wide = folder.join("wide.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&wide).unwrap());
    for number in 0..size.days * DAY_MS / size.step_ms {
        writeln!(
            file,
            "{{\"colony_id\":\"wide-production\",\"application_name\":\"wide\",\"environment\":\"production\",\
             \"service_id\":\"pump\",\"metric_name\":\"flow\",\"timestamp\":{},\"p95\":{}}}",
            START_MS + number * size.step_ms,
            value(number)
        )
        .unwrap();
    }
    drop(file);
    let (events, metrics) = (fleet.join("events.ndjson"), [fleet.join("metrics.parquet"), wide]);
    let body = format!(
        "[[sources]]\nkind = \"files\"\nmetrics = {metrics:?}\nevents = [{events:?}]\n\n\
         [api]\nenabled = false\nlisten = \"127.0.0.1:0\"\n"
    );
    let reef = Reef::new(&body);
    reef.run();
    reef
}

/// A value of the widest series: a wave, with a spike up or down at every 997th point, each of another size.
fn value(number: i64) -> f64 {
    let wave = 500 + (number % 1_200 - 600).abs() / 4;
    let spike = match (number % 997, number % 2) {
        (0, 0) => 2_000 + number % 541,
        (0, _) => -400 - number % 53,
        _ => 0,
    };
    (wave + spike) as f64 + (number % 7) as f64 / 8.0
}

fn page(measured: &Value, size: &Size) -> String {
    let commit = std::env::var("CORAL_EVAL_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
    let profile =
        if cfg!(debug_assertions) { "development profile (most of it not optimised)" } else { "release profile" };
    let command =
        if cfg!(debug_assertions) { "cargo xtask eval dashboard" } else { "cargo xtask eval dashboard --release" };
    let rounds = &measured["rounds"];
    let mut text = format!(
        "# What pages cost\n\n\
         Written by `{command}` at commit {commit} on {}; {profile}; chromium {}, without a display, on the same machine.\n\n\
         The fleet is generated: {} colonies with 50 services over {} days, in five-minute buckets, with its events, and one\n\
         series of {} points. A finite run stores it in DuckDB, `coral-pipeline serve` serves it. Each page is loaded {rounds} times\n\
         by a browser without a cache; times are medians. *First paint* is the browser's first contentful paint; *settled* is\n\
         when the charts are drawn. Goal: first paint below 1 s.\n\n\
         | page | first paint, ms | settled, ms | requests | HTML, bytes | JSON, bytes | scripts and style, bytes | sent, bytes |\n\
         |---|---|---|---|---|---|---|---|\n",
        machine(),
        measured["browser"].as_str().unwrap_or("?"),
        size.colonies,
        size.days,
        size.days * DAY_MS / size.step_ms,
    );
    let pages = measured["pages"].as_array().unwrap();
    for one in pages {
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | {} | {} |",
            shown(one["path"].as_str().unwrap()),
            one["paint_ms"],
            one["settled_ms"],
            one["requests"],
            one["html_bytes"],
            one["json_bytes"],
            one["asset_bytes"],
            one["sent_bytes"]
        )
        .unwrap();
    }
    let is_compressed = pages.iter().any(|one| one["compressed"] == true);
    text.push_str(if is_compressed { "\nResponses are compressed.\n" } else { "\nResponses are not compressed.\n" });
    let series = &measured["series"];
    let drag = &series["drag"];
    let number = |value: &Value| format!("{:.1}", value.as_f64().unwrap_or(f64::NAN));
    write!(
        text,
        "\n## A series of very many points\n\n\
         | what | value |\n|---|---|\n\
         | points in the store | {} |\n\
         | points that a browser receives | {} |\n\
         | JSON of the chart, bytes | {} |\n\
         | steps whose lowest and highest point are both kept exactly | {} of {} |\n\
         | frames of a drag with Shift, zoomed in four times | {} |\n\
         | between two frames: median, 95th percentile, longest, ms | {}, {}, {} |\n",
        series["stored_points"],
        series["served_points"],
        series["json_bytes"],
        series["steps_with_exact_extremes"],
        series["steps"],
        drag["frames"],
        number(&drag["p50_ms"]),
        number(&drag["p95_ms"]),
        number(&drag["max_ms"])
    )
    .unwrap();
    text
}

/// An address without ids, which differ from run to run.
fn shown(path: &str) -> String {
    let path = if path.starts_with("/analyses/") { "/analyses/…" } else { path };
    match path.split_once("id=") {
        Some((before, _)) => format!("{before}id=…"),
        None => path.to_owned(),
    }
}

/// The processors of this machine.
fn machine() -> String {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(':'));
    match model {
        Some((_, name)) => format!("{count} processors ({})", name.trim()),
        None => format!("{count} processors"),
    }
}
