//! Kafka to DuckDB with correlation off, against DuckDB's own COPY of the same rows as NDJSON, in one run.
//!
//! ```text
//! cargo xtask kafka && cargo bench --workspace --bench replay               2 million metric rows
//! REPLAY_ROWS=20000000 cargo bench --workspace --bench replay               the size that the target is stated for
//! ```
//! The run has a memory limit, and its peak is held against it. With correlation on, the first rows are enough: every
//! pair of 400 series is searched for its lag.
//! `KAFKA_BOOTSTRAP_SERVERS` names other brokers than one that is started here.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measurement: its figures are printed, and what fails ends it

#[expect(dead_code, reason = "a measurement kills no broker")]
#[path = "../tests/kafka/broker.rs"]
mod broker;
#[expect(dead_code, reason = "the tests send messages of every kind, a measurement does not")]
#[path = "../tests/kafka/client.rs"]
mod client;
mod stopwatch;

use model::clock::{Clock, SystemClock};
use model::position::Positions;
use model::time::TimeMs;
use sources::Source;
use sources::kafka::{KafkaConfig, KafkaEnd};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use stopwatch::{Took, machine, stopwatch};

const ROWS_DEFAULT: u64 = 2_000_000;
const PARTITIONS: &str = "6";
const CORRELATED_ROWS_MAX: u64 = 200_000;
const MEMORY_LIMIT_MIB: u64 = 2_048;

#[expect(clippy::disallowed_methods, reason = "the condition is the broker's")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

fn main() {
    // `cargo test --all-targets` starts benches too
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rows = std::env::var("REPLAY_ROWS").map_or(ROWS_DEFAULT, |text| text.parse().unwrap());
    let Some(brokers) = broker::shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.ndjson");
    write_rows(&file, rows);
    let bytes = std::fs::metadata(&file).unwrap().len();
    println!("machine   {}", machine());
    println!("command   REPLAY_ROWS={rows} {}", std::env::args().collect::<Vec<_>>().join(" "));
    println!("input     {rows} metric rows, {bytes} bytes as NDJSON");

    let topic = format!("replay-{}-{}", std::process::id(), SystemClock.now().0);
    let publish = published(folder.path(), brokers, &topic);
    line("publish", rows, publish, "files to topic, every message acknowledged");
    let source = source_alone(brokers, &topic, rows);
    line("source", rows, source, "topic to rows, nothing behind it, 1 reader thread");
    let copy = copied(folder.path(), &file, rows);
    line("copy", rows, copy, "DuckDB: COPY … FROM NDJSON into a plain table");
    let replay = replayed(folder.path(), brokers, &topic, rows, false);
    line("replay", rows, replay, "Kafka to DuckDB, correlation off");
    let (wall, cpu) = (copy.wall_s / replay.wall_s, copy.cpu_s / replay.cpu_s);
    println!("ratio     {wall:.2} of COPY's speed (target 0.5); {cpu:.2} by processor time");
    let rows = rows.min(CORRELATED_ROWS_MAX);
    let topic = format!("{topic}-first");
    write_rows(&file, rows);
    published(folder.path(), brokers, &topic);
    let correlated = replayed(folder.path(), brokers, &topic, rows, true);
    line("replay+", rows, correlated, "the same with correlation on");
}

fn line(what: &str, rows: u64, Took { wall_s, cpu_s }: Took, note: &str) {
    let speed = rows as f64 / wall_s;
    println!("{what:9} {wall_s:8.2} s  {cpu_s:8.2} s cpu  {speed:10.0} rows/s  {note}");
}

/// Rows as a fleet gives them: colonies, services, one bucket a minute, several statistics each.
fn write_rows(file: &Path, rows: u64) {
    let mut out = BufWriter::new(std::fs::File::create(file).unwrap());
    for row in 0..rows {
        let (series, minute) = (row % 400, row / 400);
        let at = TimeMs(1_672_531_200_000 + minute as i64 * 60_000);
        let mean = 10.0 + ((row.wrapping_mul(2_654_435_761) >> 8) % 100_000) as f64 / 997.0;
        writeln!(
            out,
            r#"{{"colony_id":"shop-{}-production","application_name":"shop-{}","environment":"production","service_id":"service-{}","metric_name":"latency_ms","timestamp":"{at}","p50":{mean},"p95":{},"p99":{},"mean":{mean},"max":{},"count":{},"interval_seconds":60}}"#,
            series % 8,
            series % 8,
            series / 8,
            mean * 2.0,
            mean * 3.0,
            mean * 4.0,
            row % 1_000,
        )
        .unwrap();
    }
    out.flush().unwrap();
}

fn reef(folder: &Path, name: &str, source: &str, correlate: bool) -> std::path::PathBuf {
    let path = folder.join(format!("{name}.toml"));
    let text = format!(
        "reef_id = \"{name}\"\n{source}\n[storage]\npath = \"{name}.duckdb\"\n[correlation]\nenabled = {correlate}\n\
         [engine]\nmemory_limit = \"{MEMORY_LIMIT_MIB}MiB\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn pipeline(command: &str, reef: &Path, arguments: &[&str]) -> (serde_json::Value, Took) {
    let watch = stopwatch(&[]);
    let mut program = Command::new(env!("CARGO_BIN_EXE_coral-pipeline"));
    program.arg(command).arg(reef).args(arguments).arg("--json");
    let child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (done, is_done) = mpsc::sync_channel::<()>(0);
    let watch_memory = move || {
        let mut peak_kib = 0;
        while is_done.recv_timeout(Duration::from_millis(100)) == Err(mpsc::RecvTimeoutError::Timeout) {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak_kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0).max(peak_kib);
        }
        peak_kib / 1_024
    };
    let peak = std::thread::Builder::new().name("memory".to_owned()).spawn(watch_memory).unwrap();
    let output = child.wait_with_output().unwrap();
    let took = watch();
    drop(done);
    let peak_mib: u64 = peak.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    if command == "run" {
        println!("memory    {peak_mib} MiB at most, engine.memory_limit is {MEMORY_LIMIT_MIB} MiB");
        assert!(peak_mib <= MEMORY_LIMIT_MIB);
    }
    (serde_json::from_slice(&output.stdout).unwrap(), took)
}

fn published(folder: &Path, brokers: &str, topic: &str) -> Took {
    let reef = reef(folder, "files", "[[sources]]\nkind = \"files\"\nmetrics = [\"metrics.ndjson\"]", false);
    pipeline("publish", &reef, &["--brokers", brokers, "--metrics-topic", topic, "--partitions", PARTITIONS]).1
}

fn source_alone(brokers: &str, topic: &str, rows: u64) -> Took {
    let config = KafkaConfig { end: KafkaEnd::Now, ..KafkaConfig::new(brokers, Some(topic), None) };
    let mut source = config.build(&Positions::default(), &SystemClock::shared()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let watch = stopwatch(&[]);
    let mut read = 0;
    while let Some(batch) = runtime.block_on(source.next_batch()).unwrap() {
        assert!(batch.rejects.is_empty(), "{:?}", batch.rejects[0]);
        read += batch.rows.metrics.len() as u64;
    }
    assert_eq!(read, rows);
    watch()
}

fn copied(folder: &Path, file: &Path, rows: u64) -> Took {
    let db = duckdb::Connection::open(folder.join("copy.duckdb")).unwrap();
    db.execute_batch(
        "CREATE TABLE metrics (colony_id VARCHAR, application_name VARCHAR, environment VARCHAR, service_id VARCHAR,
         metric_name VARCHAR, timestamp TIMESTAMP, p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, mean DOUBLE, max DOUBLE,
         count UBIGINT, interval_seconds UINTEGER)",
    )
    .unwrap();
    let watch = stopwatch(&[]);
    db.execute_batch(&format!("COPY metrics FROM '{}' (FORMAT json); CHECKPOINT;", file.display())).unwrap();
    let took = watch();
    assert_eq!(db.query_row("SELECT count(*) FROM metrics", [], |row| row.get::<_, u64>(0)).unwrap(), rows);
    took
}

fn replayed(folder: &Path, brokers: &str, topic: &str, rows: u64, correlate: bool) -> Took {
    let source =
        format!("[[sources]]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\ntopics.metrics = \"{topic}\"\nend = \"now\"");
    let reef = reef(folder, if correlate { "correlated" } else { "replayed" }, &source, correlate);
    let (document, took) = pipeline("run", &reef, &[]);
    assert_eq!(document["summary"]["progress"]["metrics"], rows);
    took
}
