//! Foreign clients of Arrow Flight SQL over the real programs: ADBC in Python, a JDBC driver in Java, and the examples
//! of docs/sql.md.

use crate::api_page::{ADDRESS, fences, serving};
use crate::services::Serving;
use crate::support::{Reef, program};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PAGE: &str = "docs/sql.md";
/// What `cargo xtask flight-clients` fetches; xtask/src/flight_clients.rs names the same versions.
const ADBC: &str = "tools/adbc-1.13.0";
const JDBC: &str = "tools/flight-sql-jdbc-driver-18.3.0";
/// What the refusal of a client says.
const HINT: &str = "coral reef token create --role readonly";

/// Where fetched tools are.
fn cache() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("coral-pipeline"))
}

/// Python with ADBC; says that a test is skipped where there is none.
fn python(test: &str) -> Option<Command> {
    let tag = Command::new("python3").args(["-c", "import sys; print(sys.implementation.cache_tag)"]).output();
    let tag = tag.ok().filter(|output| output.status.success());
    let tag = tag.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let folder = tag.and_then(|tag| Some(cache()?.join(format!("{ADBC}-{tag}")))).filter(|folder| folder.is_dir());
    let Some(folder) = folder else { return skipped(test, "there is no python3, or no ADBC for it") };
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", folder);
    Some(python)
}

/// Java with the JDBC driver; says that a test is skipped where there is none.
fn java(test: &str) -> Option<Command> {
    let starts = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    let folder = cache().map(|cache| cache.join(JDBC)).filter(|folder| starts && folder.is_dir());
    let Some(folder) = folder else { return skipped(test, "there is no java, or no JDBC driver") };
    let mut java = Command::new("java");
    java.args(["-Xmx384m", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC"]);
    java.arg("--add-opens=java.base/java.nio=ALL-UNNAMED").arg("-cp").arg(folder.join("*"));
    Some(java)
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn skipped<T>(test: &str, why: &str) -> Option<T> {
    eprintln!("SKIPPED flight::{test}: {why}; `cargo xtask flight-clients` fetches what can be fetched");
    None
}

fn support(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/flight").join(file)
}

/// A reef over files whose services answer to a token only; the token is that of a reader.
fn guarded(folder: &Path) -> (Reef, Serving, String) {
    let (reef, open) = serving(folder);
    open.stop();
    let text = std::fs::read_to_string(reef.config()).unwrap();
    std::fs::write(reef.config(), text.replace("[api]", "[api]\nrequire_token = true")).unwrap();
    let mut create = Command::new(program("coral"));
    create.args(["reef", "token", "create", "--role", "readonly", "--name", "data team", "--json", "--reef"]);
    let created: Value = serde_json::from_str(&printed(create.arg(reef.config()))).unwrap();
    let token = created["token"].as_str().unwrap().to_owned();
    let serving = Serving::start("serve", &reef);
    (reef, serving, token)
}

/// What a program prints that succeeds.
fn printed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout
}

/// Each of these is a refusal with these words.
fn refused<'a>(seen: impl Fn(&str) -> &'a str, words: &[(&str, &str)]) {
    for (name, words) in words {
        assert!(seen(name).to_lowercase().contains(&words.to_lowercase()), "{name}: {}", seen(name));
    }
}

#[test]
fn adbc_reads_what_the_reef_has() {
    let Some(mut python) = python("adbc_reads_what_the_reef_has") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_reef, serving, token) = guarded(folder.path());
    let text = printed(python.arg(support("adbc.py")).args([serving.address(), token.as_str()]));
    serving.stop();
    let seen: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let expected = json!({
        "by_password": [{ "one": 1 }],
        "events": ["p1", "p2", "p3", "p4", "p5", "s2"],
        "grouped": [{
            "service_id": "api", "n": 480, "worst": 175.0, "text": "api!", "none": null, "metrics": ["latency"]
        }],
        "with_values": [["p1", "p2"], ["p5"]],
        "planned": { "event_id": "string", "version": "uint64" },
        "server": ["coral-pipeline", env!("CARGO_PKG_VERSION")],
        "table_types": ["TABLE"],
        "as_listed": true,
        "objects": { "reef.store.federated_events": 15, "reef.store.federated_metrics": 15 },
        "after_all": [{ "n": 6 }],
    });
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&seen[name], expected, "{name}");
    }
    assert_eq!(seen["times"][0], "2024-11-12T10:00:00+00:00");
    assert_eq!(seen["types"]["timestamp"], "timestamp[ms, tz=UTC]");
    refused(
        |name| seen[name].as_str().unwrap(),
        &[
            ("without_token", HINT),
            ("wrong_token", HINT),
            ("wrong_password", HINT),
            ("wrong_sql", "Line: 1, Column:"),
            ("changed", "not a plain SELECT"),
            ("too_many_rows", "more than 100000 rows"),
            ("ingested", "nothing can be changed"),
            ("cancelled", "cancel"),
        ],
    );
}

#[test]
fn jdbc_reads_what_the_reef_has() {
    let Some(mut java) = java("jdbc_reads_what_the_reef_has") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_reef, serving, token) = guarded(folder.path());
    let text = printed(java.arg(support("Jdbc.java")).args([serving.address(), token.as_str()]));
    serving.stop();
    let seen: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    for (name, expected) in [
        ("by_password", "[1]"),
        ("events", "[p1, p2, p3, p4, p5, s2]"),
        ("time", "2024-11-12T10:00:00Z"),
        ("typed", "p1 true false null 1.5 api!"),
        ("parameters", "2"),
        ("with_values", "[[p2, p3], [p5]]"),
        ("server", "coral-pipeline true false \" true true"),
        ("numbers", "65536 0 0 0"),
        ("catalogs", "[colony, reef]"),
        ("schemas", "[store.reef]"),
        ("table_types", "[TABLE]"),
        ("tables", "[federated_events, federated_metrics]"),
        ("primary_keys", "[]"),
        ("imported_keys", "[]"),
        ("exported_keys", "[]"),
        ("cancelled", "[cancelled, cancelled, cancelled, cancelled, cancelled, cancelled]"),
        ("after_all", "[6]"),
    ] {
        assert_eq!(seen.get(name), Some(&expected), "{name} of {text}");
    }
    assert!(seen["columns"].starts_with("[colony_id, application_name, environment, health, "), "{}", seen["columns"]);
    refused(
        |name| seen[name],
        &[
            ("without_token", HINT),
            ("wrong_token", HINT),
            ("wrong_sql", "Line: 1, Column:"),
            ("changed", "not a plain SELECT"),
            ("too_many_rows", "more than 100000 rows"),
        ],
    );
}

/// Runs the examples of a kind, as files of this name; each prints what the page says.
fn examples(kind: &str, file: &str, command: impl Fn() -> Command) {
    let folder = tempfile::tempdir().unwrap();
    let (_reef, serving) = serving(folder.path());
    let (fences, mut count) = (fences(PAGE), 0);
    for (place, fence) in fences.iter().enumerate().filter(|(_, fence)| fence.kind == kind) {
        let path = folder.path().join(file);
        std::fs::write(&path, fence.body.replace(ADDRESS, serving.address())).unwrap();
        assert_eq!(fences[place + 1].kind, "text", "{}", fence.body);
        assert_eq!(printed(command().arg(&path)).trim_end(), fences[place + 1].body, "{}", fence.body);
        count += 1;
    }
    serving.stop();
    assert!(count > 0, "{PAGE} has an example in {kind}");
}

#[test]
fn the_python_of_the_page_prints_what_the_page_says() {
    let test = "the_python_of_the_page_prints_what_the_page_says";
    if python(test).is_some() {
        examples("python", "example.py", || python(test).unwrap());
    }
}

#[test]
fn the_java_of_the_page_prints_what_the_page_says() {
    let test = "the_java_of_the_page_prints_what_the_page_says";
    if java(test).is_some() {
        examples("java", "Example.java", || java(test).unwrap());
    }
}
