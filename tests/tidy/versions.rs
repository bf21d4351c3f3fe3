//! One version of each library whose types cross a crate boundary and of each foreign client, and exact pins where an
//! API changes monthly.

use super::manifests;
use super::tree::{Violations, root};
use std::collections::BTreeMap;
use std::fs;

/// Families with one version of each member: the name itself, or the name with `-…` behind it.
const ONE_VERSION: &[&str] = &["arrow", "parquet", "prost", "tonic", "timely", "differential-dataflow", "duckdb"];
/// Single crates with one version.
const ONE_VERSION_ALONE: &[&str] = &["tokio"];
/// Requirements that must stay pinned until another version is tested.
const PINNED: &[(&str, &str)] = &[
    ("timely", "=0.32.0"),
    ("differential-dataflow", "=0.26.0"),
    ("duckdb", "=1.10506.1"),
    ("datafusion", "=54.1.0"),
    ("arrow-flight", "=58.4.1"),
    ("boringtun", "=0.7.1"),
];

/// The versions in Cargo.lock by package name.
fn locked() -> BTreeMap<String, Vec<String>> {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let text = |field: &str| package[field].as_str().unwrap().to_string();
        versions.entry(text("name")).or_default().push(text("version"));
    }
    versions
}

fn in_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[test]
fn shared_libraries_have_one_version() {
    let mut violations = Violations::default();
    let locked = locked();
    for family in ONE_VERSION {
        assert!(locked.keys().any(|name| in_family(name, family)), "Cargo.lock has no `{family}`: is the list stale?");
    }
    for (name, versions) in &locked {
        let one =
            ONE_VERSION.iter().any(|family| in_family(name, family)) || ONE_VERSION_ALONE.contains(&name.as_str());
        if one && versions.len() > 1 {
            violations.push("Cargo.lock", 1, format!("`{name}` in versions {}", versions.join(" and ")));
        }
    }
    violations.assert_none("`cargo tree -i NAME@VERSION` shows who wants it; choose versions that agree.");
}

#[test]
fn arrow_and_parquet_are_of_one_release() {
    let locked = locked();
    let release = |version: &String| version.split('.').next().unwrap_or_default().to_string();
    let mut releases: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, versions) in locked.iter().filter(|(name, _)| in_family(name, "arrow") || *name == "parquet") {
        versions.iter().for_each(|version| releases.entry(release(version)).or_default().push(name));
    }
    assert_eq!(releases.len(), 1, "record batches pass only within one release of arrow: {releases:?}");
}

/// What is between two texts in a file, where the first of them is found.
fn between(file: &str, before: &str, after: &str) -> String {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let rest = text.split_once(before).unwrap_or_else(|| panic!("{file} has no `{before}`")).1;
    rest.split(after).next().unwrap_or_default().to_string()
}

#[test]
fn foreign_clients_are_fetched_in_the_version_that_is_tested() {
    const FETCHED: &str = "xtask/src/flight_clients.rs";
    let adbc = between(FETCHED, "const ADBC_VERSION: &str = \"", "\"");
    assert_eq!(adbc, between("tests/flight.rs", "\"tools/adbc-", "\""));
    for package in ["adbc-driver-flightsql", "adbc-driver-manager"] {
        assert_eq!(adbc, between("tests/support/flight/requirements.txt", &format!("\n{package}=="), " "), "{package}");
    }
    let jdbc = between(FETCHED, "name: \"flight-sql-jdbc-driver\", version: \"", "\"");
    assert_eq!(jdbc, between("tests/flight.rs", "\"tools/flight-sql-jdbc-driver-", "\""));
}

#[test]
fn fast_moving_libraries_are_pinned() {
    let mut violations = Violations::default();
    let workspace = manifests::workspace();
    for (name, pin) in PINNED {
        let spec = &workspace["workspace"]["dependencies"][*name];
        let requirement =
            spec.as_str().or_else(|| spec.get("version").and_then(toml::Value::as_str)).unwrap_or_default();
        if requirement != *pin {
            violations.push("Cargo.toml", 1, format!("`{name}` is `{requirement}`, not `{pin}`"));
        }
        let version = pin.trim_start_matches('=').to_string();
        if locked().get(*name) != Some(&vec![version]) {
            violations.push("Cargo.lock", 1, format!("`{name}` is not locked at {pin} alone"));
        }
    }
    violations
        .assert_none("Try the new version on a branch, with all tests, then change the pin here and there together.");
}
