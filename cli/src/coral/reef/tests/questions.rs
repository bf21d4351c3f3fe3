//! From files to the terminal: a reef is run, then asked.

use crate::coral_program::Coral;
use crate::entry::{Program, run};
use crate::exit::Exit;
use crate::output::{Captured, Output};
use crate::pipeline::CoralPipeline;
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;
use std::sync::OnceLock;

/// What tools send: a deployment in two events, one that a second tool repeats, one that fails, one that is put back.
const EVENTS: &str = r#"
{"event_id":"s1","colony_id":"my-shop-staging","timestamp":"2024-11-12T09:00:00Z","event_type":"deploy","service_id":"api","metadata":{"version":"v2.0.0"}}
{"event_id":"s2","colony_id":"my-shop-staging","timestamp":"2024-11-13T09:00:00Z","event_type":"deployment_started","service_id":"api","metadata":{"image":"registry.example.com/shop/api:v2.1.0","pipeline_id":"991"}}
{"event_id":"s3","colony_id":"my-shop-staging","timestamp":"2024-11-13T09:02:00Z","event_type":"deploy","service_id":"api","description":"Deployed v2.1.0 to staging"}
{"event_id":"s4","colony_id":"my-shop-staging","timestamp":"2024-11-13T09:08:00Z","event_type":"deployment_finished","service_id":"api","metadata":{"pipeline_id":"991"}}
{"event_id":"p1","colony_id":"my-shop-production","timestamp":"2024-11-12T10:00:00Z","event_type":"deploy","service_id":"api","metadata":{"tag":"v2.0.0"}}
{"event_id":"p2","colony_id":"my-shop-production","timestamp":"2024-11-13T14:30:00Z","event_type":"deploy","service_id":"api","metadata":{"version":"v2.1.0","deployment_id":"deploy-abc123"}}
{"event_id":"p3","colony_id":"my-shop-production","timestamp":"2024-11-13T14:45:00Z","event_type":"error_spike","service_id":"api","severity":"error","description":"5xx above limit"}
{"event_id":"p4","colony_id":"my-shop-production","timestamp":"2024-11-13T15:00:00Z","event_type":"rollback","service_id":"api"}
{"event_id":"p5","colony_id":"my-shop-production","timestamp":"2024-11-13T15:30:00Z","event_type":"deploy_failed","service_id":"web","metadata":{"git_sha":"9fceb02d0ae5"}}
"#;

/// From 8:00 to 16:00.
const METRIC_MINUTES: usize = 480;

/// A folder with a reef over files that has been run: once, for all tests, each of which has a copy.
pub(super) fn reef() -> tempfile::TempDir {
    static FILES: OnceLock<Vec<(OsString, Vec<u8>)>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let folder = reef_until(METRIC_MINUTES);
        let entries = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
    });
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// The same, run for one test, with fewer minutes of metrics in production.
pub(super) fn reef_until(production_minutes: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let mut metrics = "colony_id,service_id,metric_name,timestamp,p95,count\n".to_owned();
    for minute in 0..METRIC_MINUTES {
        let (hour, rest) = (8 + minute / 60, minute % 60);
        let both = [("production", 245), ("staging", 175)];
        for (environment, latency) in both.into_iter().skip(usize::from(minute >= production_minutes)) {
            let time = format!("2024-11-13T{hour:02}:{rest:02}:00Z");
            writeln!(metrics, "my-shop-{environment},api,latency,{time},{latency},10").unwrap();
        }
    }
    write("events.ndjson", EVENTS.trim_start());
    write("metrics.csv", &metrics);
    write(
        "reef.toml",
        "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"events.ndjson\"]\nmetrics = [\"metrics.csv\"]\n\
         [storage]\ntype = \"duckdb\"\npath = \"reef.duckdb\"\n[engine]\nworkers = 1\n",
    );
    let reef = folder.path().join("reef.toml");
    let (exit, streams) = call::<CoralPipeline>(&["coral-pipeline", "run", reef.to_str().unwrap(), "--json"]);
    assert_eq!(exit, Exit::Ok, "{}", streams.stdout());
    folder
}

pub(super) fn call<P: Program>(words: &[&str]) -> (Exit, Captured) {
    let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
    let mut streams = None;
    let exit = run::<P>(&arguments, |args| {
        let (output, captured) = Output::captured(args.json);
        streams = Some(captured);
        output
    });
    (exit, streams.unwrap())
}

/// Runs `coral reef …` over the reef of `folder`.
pub(super) fn coral(folder: &Path, line: &str) -> (Exit, Captured) {
    let reef = folder.join("reef.toml");
    let words: Vec<&str> =
        ["coral", "reef"].into_iter().chain(line.split(' ')).chain(["--reef", reef.to_str().unwrap()]).collect();
    call::<Coral>(&words)
}

fn text(folder: &Path, line: &str) -> String {
    let (exit, streams) = coral(folder, line);
    assert_eq!(exit, Exit::Ok, "{line}: {}", streams.stderr());
    streams.stdout()
}

fn document(folder: &Path, line: &str) -> Value {
    let (_, streams) = coral(folder, &format!("{line} --json"));
    serde_json::from_str(&streams.stdout()).unwrap_or_else(|_| panic!("{line}: {}", streams.stdout()))
}

#[test]
fn events_in_files_become_deployments_on_the_terminal() {
    let folder = reef();
    let expected = "Deployments (6, the newest first):\n  \
        2024-11-13 15:30:00 UTC  ✗ failed       my-shop-production  web  9fceb02d0ae5                –   p5\n  \
        2024-11-13 15:00:00 UTC  ✓ success      my-shop-production  api  v2.1.0 → v2.0.0 (rollback)  –   p4\n  \
        2024-11-13 14:30:00 UTC  ⚠ rolled back  my-shop-production  api  v2.0.0 → v2.1.0             –   p2\n  \
        2024-11-13 09:00:00 UTC  ✓ success      my-shop-staging     api  v2.0.0 → v2.1.0             8m  s2\n  \
        2024-11-12 10:00:00 UTC  ✓ success      my-shop-production  api  v2.0.0                      –   p1\n  \
        2024-11-12 09:00:00 UTC  ✓ success      my-shop-staging     api  v2.0.0                      –   s1\n\n";
    let list = text(folder.path(), "deployments");
    assert!(list.starts_with(expected), "{list}");
    assert!(list.ends_with("Complete to 2024-11-13 15:59:00 UTC for all 2 colonies.\n"), "{list}");
    let json = document(folder.path(), "deployments --environment staging --limit 1");
    assert_eq!((&json["total"], &json["truncated"]), (&2.into(), &true.into()));
    assert_eq!(json["deployments"][0]["reported_by"], serde_json::json!(["s2", "s3", "s4"]));
    assert_eq!(json["deployments"][0]["reported_as"], serde_json::json!(["991"]));
    // the worst verdict first
    let json = document(folder.path(), "deployments --order effect");
    let first = [0, 1].map(|place: usize| json["deployments"][place]["deployment_id"].as_str());
    assert_eq!((first, &json["total"]), ([Some("p5"), Some("p2")], &6.into()), "{json}");
    assert_eq!(coral(folder.path(), "deployments --order size").0, Exit::Usage);
}

#[test]
fn one_deployment_by_the_name_that_its_tool_gives_it() {
    let folder = reef();
    let one = text(folder.path(), "deployment deploy-abc123");
    let expected = "Analyzing deployment: api v2.1.0 (production)\nStarted: 2024-11-13 14:30:00 UTC\nStatus: Rolled back\n\
                    Version before: v2.0.0\nVerdict: Failed (the deployment itself was rolled back)\n\nImpact:\n  ✓ Latency: \
                    Stable (245ms)\n\nRelated incidents:\n  - error_spike p3 (15m after deploy, in time only)\n";
    assert!(one.starts_with(expected), "{one}");
    let (exit, streams) = coral(folder.path(), "deployment deploy-abc124");
    assert_eq!(exit, Exit::NotFound);
    assert!(streams.stderr().contains("did you mean \"deploy-abc123\"?"), "{}", streams.stderr());
}

#[test]
fn environments_compared_as_the_seed_shows_it() {
    let folder = reef();
    let found = text(folder.path(), "compare production staging --metric latency --time-window 24h");
    let expected = "Comparing production vs staging (last 24h):\n\nLatency (p95):\n  Production: 245ms\n  Staging:    175ms\n  \
                    Difference: +40.0% slower";
    assert!(found.starts_with(expected), "{found}");
    let (exit, _) = coral(folder.path(), "compare production staging --time-window soon");
    assert_eq!(exit, Exit::Usage);
}

#[test]
fn a_gate_ends_with_its_verdict_as_exit_code() {
    let folder = reef();
    let line = "gate api@v2.1.0 --from staging --to production";
    let (exit, streams) = coral(folder.path(), line);
    assert_eq!((exit, exit.code()), (Exit::NotEnoughData, 11), "{}", streams.stderr());
    assert!(streams.stdout().starts_with("Gate: api v2.1.0 (staging → production)\nVerdict: – not enough data ("));
    assert_eq!(streams.stderr(), "", "the answer says everything");
    let json = document(folder.path(), line);
    assert_eq!((&json["verdict"], &json["pairs"]), (&"not_enough_data".into(), &0.into()));
    assert_eq!(json["expected"], serde_json::json!([]));
    let (exit, streams) = coral(folder.path(), "gate api --from staging --to production");
    assert_eq!(exit, Exit::Usage);
    assert!(streams.stderr().contains("write for example api@v2.1.0"), "{}", streams.stderr());
    let (exit, _) = coral(folder.path(), "gate api@v7 --from staging --to production");
    assert_eq!(exit, Exit::NotFound);
}

#[test]
fn neighbours_of_a_deployment_are_none_where_no_topology_is_known() {
    let folder = reef();
    let page = text(folder.path(), "affected deploy-abc123");
    let begin = "Effect of deployment p2 of api in my-shop-production (2024-11-13 14:30:00 UTC) on its neighbours:\n\n\
                 No neighbour is known: no call and no confirmed pattern begins there.\n";
    assert!(page.starts_with(begin), "{page}");
    assert_eq!(document(folder.path(), "affected p3")["kind"], "event");
    assert_eq!(coral(folder.path(), "affected p99").0, Exit::NotFound);
}

/// Two weeks in which each deployment of staging is followed by an error spike in production after 2 h 15 m, except the
/// last, which is still to come.
pub(super) fn foreseen(sources: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut events = String::new();
    let mut event = |id: &str, environment: &str, event_type: &str, day: i64, minutes: i64| {
        let (day, hour, minute) = (1 + day + minutes / 1440, minutes / 60 % 24, minutes % 60);
        let time = format!("2024-11-{day:02}T{hour:02}:{minute:02}:00Z");
        writeln!(
            events,
            "{{\"event_id\":\"{id}\",\"colony_id\":\"my-shop-{environment}\",\"timestamp\":\"{time}\",\
             \"event_type\":\"{event_type}\",\"service_id\":\"checkout\"}}"
        )
        .unwrap();
    };
    for day in 0..14 {
        // at no fixed hour
        let minutes = 360 + (day * day * 37 % 11) * 60 + day * 7;
        event(&format!("s{day}"), "staging", "deploy", day, minutes);
        if day < 13 {
            event(&format!("p{day}"), "production", "error_spike", day, minutes + 135);
        }
    }
    std::fs::write(folder.path().join("events.ndjson"), events).unwrap();
    std::fs::write(
        folder.path().join("reef.toml"),
        format!(
            "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"events.ndjson\"]\n{sources}[storage]\n\
             type = \"duckdb\"\npath = \"reef.duckdb\"\n[engine]\nworkers = 1\n"
        ),
    )
    .unwrap();
    let reef = folder.path().join("reef.toml");
    let (exit, streams) = call::<CoralPipeline>(&["coral-pipeline", "run", reef.to_str().unwrap(), "--json"]);
    assert_eq!(exit, Exit::Ok, "{}", streams.stdout());
    folder
}

#[test]
fn what_a_pattern_expects_next_and_how_often_it_was_right() {
    let folder = foreseen("");
    let page = text(folder.path(), "predictions");
    // 2024-11-14 12:31, and 2 h 15 m
    let begin = "1 open prediction:\n\n  … error spike in production checkout expected between 2024-11-14 ";
    assert!(page.starts_with(begin), "{page}");
    assert!(page.contains(" %, because of deploy of checkout in staging at 2024-11-14 12:31:00 UTC (c-"), "{page}");
    assert!(page.contains("\n  ✓ error spike in production checkout came at 2024-11-"), "{page}");
    assert!(page.contains(" came true, 100 % (") && page.contains(" · 2h15m ahead · predicts with "), "{page}");
    let open = document(folder.path(), "predictions --outcome open");
    let (first, id) = (&open["predictions"][0], open["predictions"][0]["correlation_id"].as_str().unwrap());
    assert_eq!(
        (&open["total"], &first["outcome"], &first["source_event_id"]),
        (&1.into(), &"open".into(), &"s13".into())
    );
    let expected = "2024-11-14T14:46:00Z";
    assert!(first["expected_from"].as_str().unwrap() < expected && expected <= first["expected_to"].as_str().unwrap());
    let one = text(folder.path(), &format!("correlation {id}"));
    let hits = document(folder.path(), &format!("predictions --pattern {id}"))["total"].as_u64().unwrap() - 1;
    assert!(hits >= 5 && one.contains(&format!("predicted {} times: {hits} hits, 1 open\n", hits + 1)), "{one}");
    assert_eq!(coral(folder.path(), "predictions --pattern c-none").0, Exit::NotFound);
    // what the reef knows now, and what it knew before it first ran
    let all = document(folder.path(), "predictions");
    let known = document(folder.path(), "predictions --as-of 2200-01-01");
    assert_eq!((&known["predictions"], &known["as_of"]), (&all["predictions"], &"2200-01-01T00:00:00Z".into()));
    assert_eq!(document(folder.path(), "predictions --as-of 2024-01-01")["total"], 0);
}

#[test]
fn every_question_has_one_json_document_with_its_completeness() {
    let folder = reef();
    for line in [
        "deployments",
        "deployment p2",
        "compare production staging",
        "health",
        "versions",
        "topology",
        "correlations --state all",
        "predictions",
    ] {
        let json = document(folder.path(), line);
        assert_eq!(json["completeness"]["complete"], true, "{line}: {json}");
        // staging is what production's deployment is compared with
        assert_eq!(json["completeness"]["colonies"].as_array().unwrap().len(), 2, "{line}");
    }
    let versions = document(folder.path(), "versions");
    let standing = |place: usize| versions["services"][place]["standing"].as_str().unwrap().to_owned();
    assert_eq!(
        (versions["services"].as_array().unwrap().len(), standing(0), standing(1)),
        (2, "behind".into(), "newest".into())
    );
    let unknown = document(folder.path(), "health --environment prodction");
    assert_eq!(
        (&unknown["error"]["code"], &unknown["error"]["hint"]),
        (&"not_found".into(), &"did you mean \"production\"?".into())
    );
}

#[test]
fn a_document_is_the_response_of_the_rpc_of_the_same_name() {
    let folder = reef();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let compared = document(folder.path(), "compare production staging --metric latency");
    let of_comparison = [
        "summary",
        "differences",
        "recommendation",
        "application_name",
        "environment_a",
        "environment_b",
        "start_time",
        "end_time",
        "completeness",
    ];
    assert_eq!(keys(&compared), of_comparison);
    assert_eq!(
        (&compared["end_time"], &compared["differences"][0]["hours"]),
        (&"2024-11-13T16:00:00Z".into(), &8.into())
    );
    let one = document(folder.path(), "deployment deploy-abc123");
    let of_deployment =
        ["summary", "impact", "evidence", "recommendation", "deployment", "similar", "overlapping", "completeness"];
    assert_eq!(keys(&one), of_deployment);
    assert_eq!(one["impact"]["incidents"][0]["correlation_score"], 0.0, "zero is there, not absent");
    assert_eq!(one["impact"]["overall_status"], "failed");
}

#[test]
fn a_token_is_made_listed_without_its_secret_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("reef.toml"),
        "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"*.ndjson\"]\n[storage]\ntype = \"duckdb\"\n\
         path = \"r.duckdb\"\n",
    )
    .unwrap();
    assert!(text(folder.path(), "token list").starts_with("No token in "));
    let (exit, streams) = coral(folder.path(), "token create --role readonly --name grafana");
    assert_eq!(exit, Exit::Ok, "{}", streams.stderr());
    let token = streams.stdout().trim().to_owned();
    assert!(token.starts_with("coral_") && streams.stderr().contains("the only time"), "{}", streams.stderr());
    let list = document(folder.path(), "token list");
    let id = list["tokens"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((&list["tokens"][0]["role"], token.split('_').nth(1)), (&"readonly".into(), Some(id.as_str())));
    assert!(!list.to_string().contains(token.rsplit('_').next().unwrap()), "{list}");
    assert_eq!(document(folder.path(), "token create --role admin --dry-run")["dry_run"], true);
    assert_eq!(
        document(folder.path(), &format!("token revoke {id} --no-input"))["error"]["code"],
        "confirmation_missing"
    );
    assert_eq!(document(folder.path(), &format!("token revoke {id} --dry-run"))["dry_run"], true);
    assert_eq!(document(folder.path(), "token list"), list, "nothing was changed");
    assert_eq!(document(folder.path(), &format!("token revoke {id} --yes"))["revoked"], id.as_str());
    let (exit, streams) = coral(folder.path(), &format!("token revoke {id}"));
    assert_eq!(exit, Exit::NotFound, "{}", streams.stderr());
}

#[test]
fn a_reef_without_colonies_can_have_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("reef.toml"), text).unwrap();
    write("reef_id = \"r\"\n[api]\nenabled = true\n");
    let token = text(folder.path(), "token create --role admin --name me");
    assert!(token.starts_with("coral_"), "{token}");
    let list = document(folder.path(), "token list");
    assert_eq!((&list["tokens"][0]["name"], &list["tokens"][0]["role"]), (&"me".into(), &"admin".into()));
    // any other fault of the file is still one
    write("reef_id = \"r\"\n[api]\nenabld = true\n");
    let (exit, streams) = coral(folder.path(), "token list");
    assert_eq!(exit, Exit::Usage);
    assert!(streams.stderr().contains("reef.toml has 1 error\n"), "{}", streams.stderr());
    assert!(streams.stderr().contains("unknown key \"enabld\""), "{}", streams.stderr());
}

#[test]
fn a_colony_that_was_never_heard_is_named_and_fails_where_completeness_is_required() {
    let folder = reef();
    let reef = folder.path().join("reef.toml");
    let colony = "[[colonies]]\ncolony_id = \"my-shop-qa\"\nendpoint = \"http://127.0.0.1:1\"\n";
    std::fs::write(&reef, std::fs::read_to_string(&reef).unwrap() + colony).unwrap();
    for line in ["deployments", "health", "versions", "topology", "correlations", "predictions"] {
        let page = text(folder.path(), line);
        assert!(page.contains("⚠ Incomplete: 1 of 3 colonies not current: my-shop-qa never seen"), "{line}: {page}");
        let (exit, streams) = coral(folder.path(), &format!("{line} --require-complete"));
        assert_eq!(exit, Exit::Incomplete, "{line}");
        assert!(streams.stderr().contains("my-shop-qa: never_seen"), "{}", streams.stderr());
    }
    // of what the missing colony is no part
    let (exit, _) = coral(folder.path(), "deployments --environment staging --require-complete");
    assert_eq!(exit, Exit::Ok);
}

#[test]
fn help_begins_with_an_example_and_fits_a_screen() {
    for command in [
        "compare",
        "deployment",
        "deployments",
        "affected",
        "gate",
        "health",
        "versions",
        "topology",
        "correlations",
        "correlation",
        "predictions",
    ] {
        let (exit, streams) = call::<Coral>(&["coral", "reef", command, "--help"]);
        let page = streams.stdout();
        assert_eq!(exit, Exit::Ok);
        assert!(page.starts_with(&format!("Example:  coral reef {command}")), "{page}");
        assert!(page.lines().count() < 40, "{command}: {} lines", page.lines().count());
    }
}
