//! Every key, whole files, and error messages.
#![allow(clippy::unwrap_used)]

mod cases;
mod schema;

use super::keys::{Default, KEYS};
use super::*;
use cases::{BAD, GOOD, colony, mesh, store};
use std::path::{Path, PathBuf};

/// A snippet of YAML, completed to a valid configuration; the snippet is first, so it starts on line 1.
fn complete(snippet: &str) -> String {
    let mut text = format!("{snippet}\n");
    if !snippet.contains("reef_id:") {
        text.push_str("reef_id: r\n");
    }
    if !snippet.contains("sources:") && !snippet.contains("colonies:") {
        text.push_str("sources: [{kind: files, events: [e.ndjson]}]\n");
    }
    text
}

fn good(snippet: &str) -> ReefConfig {
    parse(&complete(snippet), Format::Yaml, Path::new("dir/reef.yaml"))
        .unwrap_or_else(|errors| panic!("{snippet}\n{errors}"))
}

fn bad(snippet: &str) -> String {
    parse(&complete(snippet), Format::Yaml, Path::new("reef.yaml")).unwrap_err().to_string()
}

#[test]
fn every_key_accepts_good_values() {
    for (key, snippet, holds) in GOOD {
        assert!(holds(&good(snippet)), "{key}: {snippet}\n{:#?}", good(snippet));
    }
}

#[test]
fn every_key_refuses_bad_values_and_says_why() {
    for (key, snippet, wanted) in BAD {
        let errors = bad(snippet);
        assert!(errors.contains(wanted), "{key}: {snippet}\nwanted: {wanted}\ngot: {errors}");
    }
}

#[test]
fn every_key_of_the_table_is_covered_by_both_lists() {
    for key in KEYS {
        assert!(GOOD.iter().any(|(path, ..)| *path == key.path), "no good case for {}", key.path);
        assert!(BAD.iter().any(|(path, ..)| *path == key.path), "no bad case for {}", key.path);
    }
}

#[test]
fn every_default_is_a_value_of_its_own_type() {
    for key in KEYS {
        if let Default::Value(text) = key.default {
            assert!(key.kind.default(text).is_ok(), "{}: {text}", key.path);
        }
    }
}

#[test]
fn the_sample_of_rfd_003_loads_unchanged() {
    let text = include_str!("testdata/rfd-003-sample.yaml");
    let config = parse(text, Format::Yaml, Path::new("reef.yaml")).unwrap();
    assert_eq!(config.reef_id, "my-infrastructure-reef-x7y8z9");
    assert_eq!(config.colonies.len(), 3);
    assert_eq!(mesh(&config).mesh_ip.to_string(), "10.42.0.1");
    assert_eq!(colony(&config).reef_mesh_ip.unwrap().to_string(), "10.42.0.100");
    assert_eq!(
        store(&config),
        "clickhouse-reef.internal:9000 Native coral_reef_my_infrastructure reef_writer Some(\"REEF_CLICKHOUSE_PASSWORD\")"
    );
    assert_eq!(config.unsupported().len(), 1, "ClickHouse's native protocol");
    assert!(config.correlation.enabled);
    assert_eq!(config.correlation.interval_ms, 300_000);
    assert_eq!(config.ai.llm.unwrap().fallback_provider.as_deref(), Some("openai:gpt-4o"));
    assert_eq!((config.dashboard.enabled, config.dashboard.port), (true, 3100));
}

#[test]
fn toml_and_yaml_of_the_same_configuration_are_the_same() {
    let yaml = "reef_id: r\ncolonies:\n- colony_id: a\n  mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}\nsources:\n- kind: kafka\n  brokers: a:1\n  topics: {events: e}\n  start: 2023-01-01T00:00:00Z\ncorrelation: {max_lag: 1h, false_discovery_rate: 0.1}\n";
    let toml = "reef_id = \"r\"\n[[colonies]]\ncolony_id = \"a\"\nmesh = { mesh_ip = \"10.42.0.1\", colony_secret_env = \"S\" }\n[[sources]]\nkind = \"kafka\"\nbrokers = \"a:1\"\ntopics.events = \"e\"\nstart = 2023-01-01T00:00:00Z\n[correlation]\nmax_lag = \"1h\"\nfalse_discovery_rate = 0.1\n";
    let from_yaml = parse(yaml, Format::Yaml, Path::new("x/r.yaml")).unwrap();
    let from_toml = parse(toml, Format::Toml, Path::new("x/r.toml")).unwrap();
    assert_eq!(from_yaml, from_toml);
}

#[test]
fn all_errors_of_a_file_come_at_once_in_the_order_of_the_text() {
    let text = "\
reef_id = \"my reef\"
max_lag = \"4h\"

[[colonies]]
colony_id = \"shop\"

[[colonies]]
colony_id = \"shop\"
mesh = { mesh_ip = \"10.42.0.300\", connect_port = 70000, colony_secret_env = \"S\" }

[collection]
summary_intervall = \"60s\"
allowed_lateness = 90

[storage]
type = \"sqlite\"
";
    let errors = parse(text, Format::Toml, Path::new("conf/reef.toml")).unwrap_err();
    let wanted = "\
conf/reef.toml:1:11: reef_id: \"my reef\" is not an id: 1 to 128 characters, no blanks, no slashes
conf/reef.toml:2:1: unknown key \"max_lag\" at the top level; it belongs in [correlation]
conf/reef.toml:4:1: colony \"shop\" cannot be reached: give endpoint or mesh
conf/reef.toml:8:1: colony_id \"shop\" is already used on line 5
conf/reef.toml:9:20: colonies.mesh.mesh_ip: \"10.42.0.300\" is not an IP address; write for example 10.42.0.1
conf/reef.toml:9:50: colonies.mesh.connect_port: must be a whole number from 1 to 65535, not the number 70000
conf/reef.toml:12:1: unknown key \"summary_intervall\" in [collection]; did you mean \"summary_interval\"?
conf/reef.toml:13:20: collection.allowed_lateness: duration \"90\" has no unit; write for example 90s, 15m, 4h, 30d or 1y
conf/reef.toml:16:8: storage.type: \"sqlite\" is not one of duckdb, clickhouse";
    assert_eq!(errors.to_string(), wanted);
}

#[test]
fn broken_text_is_an_error_with_its_place() {
    let toml = parse("reef_id = \"r\"\nname = \n", Format::Toml, Path::new("r.toml")).unwrap_err().to_string();
    assert!(toml.starts_with("r.toml:2:"), "{toml}");
    let twice = parse("reef_id = \"r\"\nreef_id = \"s\"\n", Format::Toml, Path::new("r.toml")).unwrap_err().to_string();
    assert!(twice.starts_with("r.toml:2:1: duplicate key"), "{twice}");
    let yaml = parse("reef_id: r\n  name: x\n", Format::Yaml, Path::new("r.yaml")).unwrap_err().to_string();
    assert!(yaml.starts_with("r.yaml:2:"), "{yaml}");
    let twice = parse("name: r\nname: s\n", Format::Yaml, Path::new("r.yaml")).unwrap_err().to_string();
    assert!(twice.contains("duplicated key"), "{twice}");
    for text in ["", "- a\n", "hello\n"] {
        assert!(parse(text, Format::Yaml, Path::new("r.yaml")).is_err(), "{text:?}");
    }
}

#[test]
fn an_empty_file_says_what_a_reef_needs() {
    let errors = parse("", Format::Toml, Path::new("r.toml")).unwrap_err().to_string();
    assert_eq!(
        errors,
        "r.toml:1:1: nothing to read: a reef needs at least one entry in colonies or in sources\n\
         r.toml:1:1: reef_id is missing: unique id of this reef"
    );
}

#[test]
fn no_secret_reaches_debug_output_json_or_errors() {
    for snippet in [
        "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret: hunter2}}]",
        "sources: [{kind: kafka, brokers: 'k:9092', topics: {events: e}, options: {sasl.password: hunter2}}]",
    ] {
        let config = good(snippet);
        assert!(!format!("{config:#?}").contains("hunter2"), "{snippet}");
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"), "{snippet}");
    }
    for snippet in [
        "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret: 471147}}]",
        "colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: 'p-471147'}}]",
        "ai: {llm: {provider: 'a:b', api_key_env: 'sk-471147'}}",
    ] {
        assert!(!bad(snippet).contains("471147"), "{snippet}");
    }
}

#[test]
fn what_this_version_lacks_is_reported_with_a_way_out() {
    assert!(good("colonies: [{colony_id: a, endpoint: 'http://a:1'}]").unsupported().is_empty());
    assert!(good("sources: [{kind: kafka, brokers: 'k:9092', topics: {events: e}}]").unsupported().is_empty());
    let through_mesh = good("colonies: [{colony_id: a, mesh: {mesh_ip: 10.42.0.1, colony_secret_env: S}}]");
    assert!(through_mesh.unsupported().is_empty());
    let config = good("storage: {type: clickhouse, connection: {host: h, port: 9000, database: d}}");
    let lines = config.unsupported();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("ClickHouse h:9000:") && lines[0].contains("protocol = "), "{lines:?}");
}

#[test]
fn the_examples_load_and_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let toml = load(&folder.join("reef.toml")).unwrap();
    let yaml = load(&folder.join("reef.yaml")).unwrap();
    assert_eq!(toml, yaml);
    assert!(toml.unsupported().is_empty());
}

/// Options of the example, commented out or not.
#[test]
fn the_example_names_every_option() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/reef.toml")).unwrap();
    for key in KEYS {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(text.contains(&format!("{name} =")), "config/reef.toml does not show {}", key.path);
    }
}

#[test]
fn files_are_found_by_extension_and_mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let text = "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.csv\"]\n";
    std::fs::write(path("reef.toml"), text).unwrap();
    std::fs::write(path("reef.json"), "{}").unwrap();
    std::fs::write(path("latin.toml"), [b'a', 0xe9]).unwrap();
    assert_eq!(load(&path("reef.toml")).unwrap().base_dir, folder.path());
    let missing = load(&path("other.toml")).unwrap_err();
    assert!(missing.is_missing_file() && missing.to_string().ends_with("no such file"), "{missing}");
    for (name, wanted) in [("", "is a directory"), ("reef.json", "ends in .toml"), ("latin.toml", "not UTF-8")] {
        let error = load(&path(name)).unwrap_err();
        assert!(error.to_string().contains(wanted) && !error.is_missing_file(), "{error}");
    }
}

#[test]
fn files_of_the_home_folder_are_named_after_their_reef() {
    let text = complete("reef_id: one-reef-abc123");
    let wrong = parse(&text, Format::Yaml, Path::new("/home/u/.coral/reefs/two.yaml")).unwrap_err().to_string();
    assert!(wrong.contains("two.yaml:1:1: reef_id \"one-reef-abc123\" differs from the file name \"two\""), "{wrong}");
    assert!(parse(&text, Format::Yaml, Path::new("/home/u/.coral/reefs/one-reef-abc123.yaml")).is_ok());
}
