//! Every decoder with broken input: stored examples, repeatedly mutated by a seeded generator.
//!
//! A short run of fixed length is an ordinary test; `cargo xtask fuzz TARGET SECONDS` runs one for as long as you like.
//! What a target finds is written to a file in the temporary folder, and belongs into `fuzz/corpus/TARGET` with the
//! fix.

mod mutate;
mod targets;

use mutate::Mutator;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many inputs a short run tries.
const SHORT_RUN_INPUTS: u64 = 3_000;

/// What a target does with an input: it panics where a promise is broken.
type Target = fn(&[u8]);

fn fuzz(name: &str, target: Target, words: &'static [&'static str]) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no stored inputs");
    for (path, input) in &corpus {
        assert!(survives(target, input), "{name} fails on {}", path.display());
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    let asked: Option<u64> = std::env::var("CORAL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let (begun, limit) = (Instant::now(), asked.map(Duration::from_secs));
    let mut tried = 0_u64;
    while limit.map_or(tried < SHORT_RUN_INPUTS, |limit| begun.elapsed() < limit) {
        let input = Mutator::new(tried, words).change(&inputs);
        if !survives(target, &input) {
            let kept = std::env::temp_dir().join(format!("coral-fuzz-{name}-{tried}"));
            std::fs::write(&kept, &input).unwrap();
            panic!("{name} fails on input {tried}, stored as {}", kept.display());
        }
        tried += 1;
    }
    if limit.is_some() {
        let line = format!("{name}: {tried} inputs in {:.0?}\n", begun.elapsed());
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

fn survives(target: Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(input))).is_ok()
}

/// The stored inputs of a target, by name.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

const RECORD_WORDS: &[&str] = &[
    "\"",
    "\"\"",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "{",
    "}",
    "[",
    "]",
    ":",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "NaN",
    "-Infinity",
    "1e999",
    "-1",
    "18446744073709551616",
    "9007199254740993",
    "0.1",
    "true",
    "timestamp",
    "colony_id",
    "metadata",
    "2023-01-03T19:06:18Z",
    "2023-01-03 19:06:18+00",
    "1672772778000",
    "\u{feff}",
    "\u{0}",
    "\u{202e}",
    "\u{1f600}",
    "#",
    "''",
    "severity",
    "version",
];
const CONFIG_WORDS: &[&str] = &[
    "\"",
    "'",
    "\n",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ":",
    "- ",
    "  ",
    "#",
    "&a",
    "*a",
    "!!str",
    "|",
    "reef_id",
    "sources",
    "kind",
    "files",
    "kafka",
    "colonies",
    "storage",
    "4h",
    "-1",
    "0.5",
    "999999999999999999999d",
    "true",
    "null",
    "~",
    "\t",
    "\u{0}",
    "\u{feff}",
    "events",
    "[correlation]",
    "max_lag",
    "engine",
    "hosts",
];
const BINARY_WORDS: &[&str] =
    &["\u{0}", "\u{1}", "\u{7f}", "PAR1", "\u{0}\u{0}\u{0}\u{7}", "shop", "\u{8}", "\u{12}", "\u{fff}"];

#[test]
fn csv() {
    fuzz("csv", targets::csv, RECORD_WORDS);
}

#[test]
fn ndjson() {
    fuzz("ndjson", targets::ndjson, RECORD_WORDS);
}

#[test]
fn parquet() {
    fuzz("parquet", targets::parquet, BINARY_WORDS);
}

#[test]
fn kafka() {
    fuzz("kafka", targets::kafka, RECORD_WORDS);
}

#[test]
fn config() {
    fuzz("config", targets::config, CONFIG_WORDS);
}

#[test]
fn grpc() {
    fuzz("grpc", targets::grpc, BINARY_WORDS);
}
