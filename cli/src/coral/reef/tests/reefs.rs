//! Commands about the reefs of a home: made, listed, chosen, and what is said of those that do not run.

use super::super::choice::ReefChoice;
use super::super::config_show::{self, ConfigCommand};
use super::super::doctor::{self, DoctorArgs};
use super::super::init::{self, InitArgs};
use super::super::life::reload::{self, ReloadArgs};
use super::super::life::start::{self, StartArgs};
use super::super::life::stop::{self, StopArgs};
use super::super::list::{self, ListArgs, UseArgs};
use super::super::running::run_file::{RunFile, RunPaths};
use super::super::status::{self, StatusArgs};
use super::super::validate::{self, ValidateArgs};
use super::parse;
use crate::exit::Exit;
use crate::output::Output;
use colony::config::Places;
use serde_json::Value;

struct Home {
    _folder: tempfile::TempDir,
    places: Places,
}

impl Home {
    /// A home with reefs `one` (two colonies), `two` (none yet) and `three` (broken).
    fn new() -> Home {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { home: folder.path().join("home"), project: folder.path().to_owned(), storage_path: None };
        std::fs::create_dir_all(places.home.join("reefs")).unwrap();
        let home = Home { _folder: folder, places };
        home.write("one-reef-a1b2c3.yaml", "reef_id: one-reef-a1b2c3\nname: one\ncolonies:\n  - {colony_id: a, endpoint: 'http://a:1'}\n  - {colony_id: b, endpoint: 'http://b:1'}\n");
        home.write("two-reef-d4e5f6.yaml", "reef_id: two-reef-d4e5f6\nname: two\n");
        home.write("three-reef-g7h8i9.toml", "reef_id = \"three-reef-g7h8i9\"\ncolonys = []\n");
        home
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.places.home.join("reefs").join(name), text).unwrap();
    }

    fn list(&self, json: bool) -> String {
        let (output, captured) = Output::captured(json);
        list::list(&parse::<ListArgs>("list"), &self.places, &output).unwrap();
        captured.stdout()
    }

    fn listed(&self) -> Value {
        serde_json::from_str(&self.list(true)).unwrap()
    }
}

#[test]
fn reefs_are_listed_with_their_state_and_the_current_one() {
    let home = Home::new();
    let listed = home.listed();
    assert_eq!(listed["current"], Value::Null, "three fit: {listed}");
    let row = |id: &str| {
        let reefs = listed["reefs"].as_array().unwrap();
        reefs.iter().find(|reef| reef["reef_id"].as_str().unwrap().starts_with(id)).unwrap().clone()
    };
    assert_eq!((&row("one")["colonies"], &row("one")["state"]), (&2.into(), &"stopped".into()));
    assert_eq!(row("two")["note"], "no colony yet: coral reef add-colony");
    assert!(row("three")["note"].as_str().unwrap().contains("unknown key \"colonys\""), "{listed}");
    let page = home.list(false);
    assert!(page.contains("one-reef-a1b2c3    – stopped  –      2  ") && page.contains("None is current"), "{page}");
}

#[test]
fn the_reef_in_use_is_current_and_a_process_that_died_is_told() {
    let home = Home::new();
    let (output, captured) = Output::captured(false);
    list::use_reef(&parse::<UseArgs>("use two"), &home.places, &output).unwrap();
    assert_eq!(captured.stdout(), "✓ Commands are about reef two-reef-d4e5f6 now\n");
    assert_eq!(
        (&home.listed()["current"], &home.listed()["chosen_by"]),
        (&"two-reef-d4e5f6".into(), &"coral reef use".into())
    );
    let file = std::fs::read(home.places.user_file()).unwrap();
    let (planning, planned) = Output::captured(true);
    list::use_reef(&parse::<UseArgs>("use one --dry-run"), &home.places, &planning).unwrap();
    let plan: Value = serde_json::from_str(&planned.stdout()).unwrap();
    assert_eq!((&plan["current"], &plan["would_be"]), (&"two-reef-d4e5f6".into(), &"one-reef-a1b2c3".into()));
    assert_eq!(std::fs::read(home.places.user_file()).unwrap(), file, "a dry run changes nothing");
    let unknown = list::use_reef(&parse::<UseArgs>("use tow"), &home.places, &output).unwrap_err();
    assert_eq!((unknown.exit, unknown.code), (Exit::NotFound, "reef_unknown"));
    let (output, captured) = Output::captured(true);
    list::use_reef(&parse::<UseArgs>("use"), &home.places, &output).unwrap();
    let shown: Value = serde_json::from_str(&captured.stdout()).unwrap();
    assert_eq!(shown["current"], "two-reef-d4e5f6");
    let left = RunFile { pid: 4711, started_at: String::new(), config: "r".into(), log: None, api: None, store: None };
    home.write("one-reef-a1b2c3.run", &serde_json::to_string(&left).unwrap());
    let page = home.list(false);
    assert!(page.contains("its process (pid 4711) ended without stopping") && page.contains("\n*  two-reef"), "{page}");
    assert!(page.ends_with("* current, chosen by coral reef use\n"), "{page}");
}

#[test]
fn a_home_without_reefs_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { home: folder.path().join("none"), project: folder.path().to_owned(), storage_path: None };
    let (output, captured) = Output::captured(false);
    list::list(&parse::<ListArgs>("list"), &places, &output).unwrap();
    assert_eq!(captured.stdout(), "No reef yet. Make one: coral reef init my-infrastructure\n");
}

/// `init` in a home of its own.
fn init(places: &Places, line: &str, json: bool) -> (Result<(), crate::exit::Failure>, String, String) {
    let (output, captured) = Output::captured(json);
    let result = init::run(&parse::<InitArgs>(line), places, &output);
    (result, captured.stdout(), captured.stderr())
}

#[test]
fn a_new_reef_is_told_as_the_seed_shows_it_and_is_current() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { home: folder.path().join("h"), project: folder.path().to_owned(), storage_path: None };
    let (result, page, _) = init(&places, "init my-infrastructure --description All", false);
    result.unwrap();
    let file = std::fs::read_dir(places.home.join("reefs")).unwrap().next().unwrap().unwrap().path();
    let id = file.file_stem().unwrap().to_str().unwrap();
    assert_eq!(
        page,
        format!(
            "Initializing Reef...\n✓ Created reef ID: {id}\n✓ Configuration saved to {}\n\nReef initialized successfully!\n\n\
             To add colonies:\n  coral reef add-colony my-shop-production\n  coral reef add-colony my-shop-staging\n\n\
             To start the reef:\n  coral reef start\n",
            file.display()
        )
    );
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ReefChoice { reef: Some("my-infra".to_owned()) }.resolve(&places).unwrap(), file);
    let before = std::fs::read_to_string(&file).unwrap();
    let (again, _, _) = init(&places, "init my-infrastructure", false);
    assert_eq!((again.as_ref().unwrap_err().exit, again.unwrap_err().code), (Exit::Usage, "reef_present"));
    let (taken, _, _) = init(&places, &format!("init other --reef-id {id}"), false);
    assert_eq!(taken.unwrap_err().code, "reef_present");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn a_broken_user_file_is_reported_before_a_reef_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { home: folder.path().join("h"), project: folder.path().to_owned(), storage_path: None };
    std::fs::create_dir_all(&places.home).unwrap();
    std::fs::write(places.user_file(), "- a list\n").unwrap();
    let (broken, _, _) = init(&places, "init first", false);
    assert_eq!(broken.unwrap_err().exit, Exit::Usage);
    assert!(!places.home.join("reefs").exists(), "nothing is written");
    // a form that takes no line: the reef is made, and what is left to do is told
    std::fs::write(places.user_file(), "{default_colony: c}\n").unwrap();
    let (made, page, told) = init(&places, "init first --reef-id one", false);
    made.unwrap();
    assert!(told.contains("write it by hand: default_reef: \"one\""), "{told}");
    assert!(page.contains("coral reef start --reef one"), "{page}");
}

#[test]
fn a_second_reef_has_a_port_of_its_own_and_leaves_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { home: folder.path().join("h"), project: folder.path().to_owned(), storage_path: None };
    init(&places, "init first", true).0.unwrap();
    let (_, planned, _) = init(&places, "init second --dry-run", false);
    assert!(planned.contains("listen: 127.0.0.1:3102"), "{planned}");
    assert_eq!(std::fs::read_dir(places.home.join("reefs")).unwrap().count(), 1, "nothing is written");
    let (_, second, told) = init(&places, "init second --reef-id two", true);
    let second: Value = serde_json::from_str(&second).unwrap();
    assert_eq!((&second["reef_id"], &second["current"]), (&"two".into(), &false.into()));
    assert!(told.contains("the current reef stays first-reef-"), "{told}");
    let (wrong, _, _) = init(&places, "init näme!", false);
    let wrong = wrong.unwrap_err();
    assert_eq!((wrong.exit, wrong.hint.as_deref()), (Exit::Usage, Some("for example \"n-me\"")));
}

#[test]
fn a_reef_without_colonies_has_a_status_and_cannot_start() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { home: folder.path().join("h"), project: folder.path().to_owned(), storage_path: None };
    init(&places, "init first --reef-id one", true).0.unwrap();
    let (output, captured) = Output::captured(true);
    status::run(&parse::<StatusArgs>("status --reef one"), &places, &output).unwrap();
    let shown: Value = serde_json::from_str(&captured.stdout()).unwrap();
    assert_eq!(
        (&shown["reef_id"], &shown["state"], &shown["colonies"]),
        (&"one".into(), &"stopped".into(), &serde_json::json!([]))
    );
    assert!(captured.stderr().contains("coral reef add-colony"), "{}", captured.stderr());
    let failure = start::run(&parse::<StartArgs>("start --reef one"), &places, &output).unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Usage, "no_colony"));
}

/// A process that answers each request at a control socket with its state, as long as the value lives.
fn answering(socket: &std::path::Path, phase: &str) -> tokio::runtime::Runtime {
    use super::super::running::control::{Link, Reply, RunState};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let state = RunState {
        reef_id: "one".to_owned(),
        pid: 71,
        started_at: "2026-11-30T12:00:00.000Z".to_owned(),
        config: "r.yaml".into(),
        log: None,
        phase: phase.to_owned(),
        api: None,
        dashboard: None,
        colonies: vec![Link { colony_id: "former".to_owned(), connected: true, error: String::new() }],
        generation: 1,
        reload_problem: None,
    };
    let reply = serde_json::to_string(&Reply::State { state: Box::new(state) }).unwrap() + "\n";
    let runtime = crate::entry::runtime().unwrap();
    let listener = {
        let _inside = runtime.enter();
        tokio::net::UnixListener::bind(socket).unwrap()
    };
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (from, mut to) = stream.into_split();
            let mut line = String::new();
            // a caller that only connects asks nothing
            let _ = BufReader::new(from).read_line(&mut line).await;
            let _ = to.write_all(reply.as_bytes()).await;
        }
    });
    runtime
}

#[test]
fn a_reef_that_runs_is_not_called_stopped_when_its_file_has_no_colony_now() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { home: folder.path().join("h"), project: folder.path().to_owned(), storage_path: None };
    init(&places, "init first --reef-id one", true).0.unwrap();
    let _running = answering(&RunPaths::of(&places, "one").socket, "running");
    let (output, captured) = Output::captured(true);
    status::run(&parse::<StatusArgs>("status --reef one"), &places, &output).unwrap();
    let shown: Value = serde_json::from_str(&captured.stdout()).unwrap();
    assert_eq!((&shown["state"], &shown["colonies"][0]["colony_id"]), (&"running".into(), &"former".into()));
    assert!(captured.stderr().contains("keeps the former configuration"), "{}", captured.stderr());
}

#[test]
fn a_reef_that_answers_nothing_yet_has_its_colonies_and_is_not_complete() {
    let home = Home::new();
    let _running = answering(&RunPaths::of(&home.places, "one-reef-a1b2c3").socket, "restoring");
    let (output, captured) = Output::captured(true);
    status::run(&parse::<StatusArgs>("status --reef one"), &home.places, &output).unwrap();
    let shown: Value = serde_json::from_str(&captured.stdout()).unwrap();
    assert_eq!((&shown["state"], &shown["completeness"]["complete"]), (&"restoring".into(), &false.into()));
    let ids = ["a", "b"].map(Value::from);
    assert_eq!([&shown["colonies"][0]["colony_id"], &shown["colonies"][1]["colony_id"]], [&ids[0], &ids[1]]);
    assert!(captured.stderr().contains("starting for the first time"), "{}", captured.stderr());
}

#[test]
fn a_reef_that_does_not_run_is_stopped_already_and_cannot_reload() {
    let home = Home::new();
    let paths = RunPaths::of(&home.places, "one-reef-a1b2c3");
    let left = RunFile { pid: 4711, started_at: String::new(), config: "r".into(), log: None, api: None, store: None };
    std::fs::write(&paths.run, serde_json::to_string(&left).unwrap()).unwrap();
    let (output, captured) = Output::captured(false);
    let stop = || stop::run(&parse::<StopArgs>("stop --reef one"), &home.places, &output);
    stop().unwrap();
    assert!(captured.stdout().contains("is not running; its process (pid 4711) had ended without stopping"));
    assert!(!paths.run.exists(), "what it left over is removed");
    stop().unwrap();
    assert!(captured.stdout().ends_with("Reef one-reef-a1b2c3 is not running\n"), "{}", captured.stdout());
    let failure = reload::run(&parse::<ReloadArgs>("reload --reef one"), &home.places, &output).unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "not_running"));
    let wrong = stop::run(&parse::<StopArgs>("stop --reef one --wait soon"), &home.places, &output).unwrap_err();
    assert_eq!(wrong.exit, Exit::Usage);
}

/// Name, outcome and note of a check.
type Seen = (String, String, String);

/// `doctor` on the reef of a file: exit and code of its failure, and its checks by name.
fn doctor(folder: &std::path::Path, text: &str) -> (Option<(Exit, &'static str)>, Vec<Seen>) {
    let path = folder.join("reef.yaml");
    std::fs::write(&path, text).unwrap();
    let places = Places { home: folder.join("h"), project: folder.to_owned(), storage_path: None };
    let (output, captured) = Output::captured(true);
    let args = parse::<DoctorArgs>(&format!("doctor --reef {}", path.display()));
    let failure = doctor::run(&args, &places, &output).err();
    let document = failure
        .as_ref()
        .map_or_else(|| serde_json::from_str(&captured.stdout()).unwrap(), |failure| failure.report.clone().unwrap());
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let checks = document["checks"].as_array().unwrap().iter();
    let checks = checks.map(|check| (text(check, "name"), text(check, "outcome"), text(check, "note"))).collect();
    (failure.map(|failure| (failure.exit, failure.code)), checks)
}

const EVENT: &str = "{\"event_id\":\"e\",\"colony_id\":\"c\",\"timestamp\":\"2026-09-01T00:00:00Z\",\"event_type\":\"deploy\",\
                     \"service_id\":\"s\"}\n";

#[test]
fn a_reef_that_is_well_passes_every_check() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.ndjson"), EVENT).unwrap();
    let reef =
        "reef_id: r\nsources: [{kind: files, events: [e.ndjson]}]\napi: {enabled: true, listen: '127.0.0.1:0'}\n";
    let (failure, checks) = doctor(folder.path(), reef);
    assert_eq!(failure, None, "{checks:?}");
    let names: Vec<&str> = checks.iter().map(|(name, _, _)| name.as_str()).collect();
    for name in ["file", "process", "store", "disk", "events e.ndjson", "tokens", "services"] {
        assert!(names.contains(&name), "{name}: {checks:?}");
    }
    assert!(checks.iter().all(|(name, outcome, _)| outcome == "ok" || name == "disk"), "{checks:?}");
}

#[test]
fn a_configuration_is_validated_without_running_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.yaml");
    std::fs::write(folder.path().join("e.ndjson"), EVENT).unwrap();
    let validated = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let line = format!("validate --no-network --reef {}", path.display());
        let home = folder.path().to_owned();
        let places = Places { home: home.clone(), project: home, storage_path: None };
        let (output, captured) = Output::captured(true);
        validate::run(&parse::<ValidateArgs>(&line), &places, &output).map(|()| captured.stdout())
    };
    let good = validated("reef_id: r\nsources: [{kind: files, events: [e.ndjson]}]\n").unwrap();
    let document: Value = serde_json::from_str(&good).unwrap();
    assert_eq!(document["checks"][0]["outcome"], "ok", "{document}");
    let failure = validated("reef_id: r\nsources: [{kind: files, events: [e.ndjson]}]\ncorelation: {}\n").unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Usage, "config_invalid"));
    assert!(!folder.path().join(".coral").exists(), "no store is made");
}

#[test]
fn what_a_reef_lacks_is_named_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tokens = folder.path().join("tokens.json");
    std::fs::write(&tokens, "[]").unwrap();
    std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(folder.path().join("store.txt"), "no database, only text").unwrap();
    let reef = format!(
        "reef_id: r\ncolonies:\n  - {{colony_id: a, endpoint: 'http://127.0.0.1:1'}}\n  - {{colony_id: b, mesh: {{mesh_ip: \
         10.42.0.1, colony_secret_file: none.secret}}}}\nsources: [{{kind: files, events: [none.ndjson]}}]\nstorage: {{path: \
         store.txt}}\napi: {{enabled: true, listen: '{}', tokens_file: tokens.json}}\n",
        taken.local_addr().unwrap()
    );
    let (failure, checks) = doctor(folder.path(), &reef);
    assert_eq!(failure, Some((Exit::Failed, "unhealthy")));
    let failed = |name: &str, words: &str| {
        let found = checks.iter().find(|(it, _, _)| it == name).unwrap_or_else(|| panic!("{name}: {checks:?}"));
        assert!(found.1 == "failed" && found.2.contains(words), "{found:?}");
    };
    failed("store", "choose another storage.path");
    failed("events none.ndjson", "none.ndjson");
    failed("secret of b", "none.secret");
    failed("colony a", "127.0.0.1:1");
    failed("colony b", "");
    failed("tokens", "chmod 600");
    failed("services", "set api.listen to another one");
    let (failure, checks) = doctor(folder.path(), "reef_id: r\ncolonys: []\n");
    assert_eq!(failure, Some((Exit::Failed, "unhealthy")));
    assert!(
        checks.iter().any(|(name, outcome, note)| name == "file" && outcome == "failed" && note.contains("colonys"))
    );
}

#[test]
fn the_configuration_in_force_is_shown_with_its_lines_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.yaml");
    let secret = "5f0c2e7a9b1d4c6e8f0a2b4c6d8e0f1a3b5c7d9e1f3a5b7c9d1e3f5a7b9c1d3e";
    let reef = format!(
        "reef_id: r\ncorrelation:\n  max_lag: 90m\ncolonies:\n  - colony_id: shop\n    mesh:\n      mesh_ip: 10.42.0.1\n      \
         colony_secret: {secret}\n"
    );
    std::fs::write(&path, reef).unwrap();
    let places = Places { home: folder.path().join("h"), project: folder.path().to_owned(), storage_path: None };
    let show = |json: bool, line: &str| {
        let (output, captured) = Output::captured(json);
        let args = parse(&format!("{line} --reef {}", path.display()));
        config_show::run(ConfigCommand::Show(args), &places, &output).unwrap();
        captured.stdout()
    };
    let page = show(false, "show");
    let line = |page: &str, key: &str| page.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    let lag = line(&page, "correlation.max_lag ");
    assert!(lag.contains(" 1h30m ") && lag.ends_with("reef.yaml:3"), "{page}");
    assert!(line(&page, "correlation.horizon ").ends_with("default"), "{page}");
    assert!(line(&page, "colonies[shop].mesh.colony_secret ").contains("<redacted>"), "{page}");
    assert!(line(&page, "storage.path ").ends_with("default: .coral/<reef_id>.duckdb"), "{page}");
    let changed = show(false, "show --changed");
    assert_eq!(changed.lines().count(), 8, "file, blank, heading and five options: {changed}");
    let document: Value = serde_json::from_str(&show(true, "show")).unwrap();
    let options = document["options"].as_array().unwrap();
    let option = |key: &str| options.iter().find(|it| it["key"] == key).unwrap();
    assert_eq!(
        (&option("correlation.max_lag")["value"], &option("correlation.max_lag")["line"]),
        (&"1h30m".into(), &3.into())
    );
    assert_eq!((&option("api.enabled")["value"], &option("api.enabled")["from"]), (&false.into(), &"default".into()));
    assert!(!page.contains(secret) && !document.to_string().contains(secret));
}
