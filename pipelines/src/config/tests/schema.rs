//! The JSON Schema and the program agree: what the program accepts the schema accepts, and both refuse the same mistakes.

use super::*;
use crate::config::schema::schema;
use crate::config::{toml_text, yaml_text};

fn of_yaml(text: &str) -> serde_json::Value {
    yaml_text::parse(text).unwrap().document()
}

/// Whether the schema accepts a document, or why not.
struct Checked {
    schemas: boon::Schemas,
    place: boon::SchemaIndex,
}

impl Checked {
    fn new() -> Checked {
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource("schema.json", schema()).unwrap();
        let place = compiler.compile("schema.json", &mut schemas).unwrap();
        Checked { schemas, place }
    }

    fn problem(&self, document: &serde_json::Value) -> Option<String> {
        self.schemas.validate(document, self.place).err().map(|error| error.to_string())
    }
}

#[test]
fn the_schema_accepts_what_the_program_accepts() {
    let checked = Checked::new();
    for (key, snippet, _) in GOOD {
        let problem = checked.problem(&of_yaml(&complete(snippet)));
        assert_eq!(problem, None, "{key}: {snippet}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(root.join("../config/reef.toml")).unwrap();
    assert_eq!(checked.problem(&toml_text::parse(&example).unwrap().document()), None, "the example with every option");
    let sample = std::fs::read_to_string(root.join("src/config/testdata/rfd-003-sample.yaml")).unwrap();
    assert_eq!(checked.problem(&of_yaml(&sample)), None);
    // variables and the home folder stand for what only the program knows
    let text =
        "reef_id: '${REEF}'\nstorage: {path: ~/x.duckdb}\nsources: [{kind: kafka, brokers: $B, topics: {events: e}}]\n";
    assert_eq!(checked.problem(&of_yaml(text)), None);
}

/// A mistake of each kind in every key, which the program refuses too.
#[test]
fn the_schema_and_the_program_refuse_the_same_mistakes() {
    let checked = Checked::new();
    let mut refused = 0;
    for (key, snippet, wanted) in BAD {
        let is_refused = checked.problem(&of_yaml(&complete(snippet))).is_some();
        refused += usize::from(is_refused);
        // what is no duration, or out of its range, is left to the program
        let types = ["unknown key", "must be text", "must be true or false", "must be a ", " is not one of "];
        assert!(is_refused || !types.iter().any(|words| wanted.contains(words)), "{key}: {snippet}\n{wanted}");
    }
    assert!(refused * 3 > BAD.len(), "{refused} of {}", BAD.len());
    for mistake in [
        "corelation: {max_lag: 4h}",
        "correlation: {max_lags: 4h}",
        "correlation: {max_lag: 4}",
        "correlation: {max_lag: 4 hours}",
        "correlation: {min_occurrences: 1}",
        "correlation: {false_discovery_rate: 1.5}",
        "correlation: {metric_pairs: some}",
        "correlation: {enabled: 'yes'}",
        "sources: [{kind: files, events: e.csv, brokers: 'a:1'}]",
        "sources: [{kind: kafka, topics: {events: e}}]",
        "sources: [{events: e.csv}]",
        "storage: {type: clickhouse, connection: {host: h}}",
        "storage: {type: clickhouse, path: x.duckdb, connection: {host: h, database: d}}",
        "storage: {connection: {host: h, database: d}}",
        "colonies: {a: b}",
        "metrics: {latency: {unit: parsec}}",
        "ai: {llm: {timeout: 20s}}",
    ] {
        let text = complete(mistake);
        assert!(parse(&text, Format::Yaml, Path::new("reef.yaml")).is_err(), "the program accepts {mistake}");
        assert!(checked.problem(&of_yaml(&text)).is_some(), "the schema accepts {mistake}");
    }
    assert!(checked.problem(&of_yaml("sources: [{kind: files, events: e.csv}]\n")).is_some(), "a reef needs an id");
}

#[test]
fn every_key_has_a_description_in_the_schema() {
    let schema = schema();
    for key in KEYS {
        let mut place = &schema;
        for part in key.path.split('.') {
            place = match part.strip_suffix("[]") {
                Some(list) => &place["properties"][list]["items"],
                None if part == "*" => &place["additionalProperties"],
                None => &place["properties"][part],
            };
        }
        let description = place["description"].as_str().unwrap_or_else(|| panic!("{} is not in the schema", key.path));
        assert!(description.starts_with(key.meaning), "{description}");
    }
}
