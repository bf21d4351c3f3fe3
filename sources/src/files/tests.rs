//! Files of every format: real data, broken data, resumption, and bounded memory.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::record::RowKind;
mod cells;
mod csv;
mod layouts;
mod parquet;
mod resume;

use crate::compliance::{self, Harness, Scenario};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use model::clock::SystemClock;
use model::reject::RejectReason;
use model::time::TimeMs;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn open(path: &Path, kind: RowKind) -> Result<FileReader, SourceError> {
    super::open(path, kind, &SystemClock::shared())
}

/// Files that later tests read: a folder and its content.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn config(folder: &Path, metrics: &[&str], events: &[&str]) -> FilesConfig {
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    FilesConfig {
        metrics: owned(metrics),
        events: owned(events),
        base_dir: folder.to_owned(),
        ..FilesConfig::default()
    }
}

fn event_line(number: usize) -> String {
    format!(
        r#"{{"event_id":"e{number}","colony_id":"shop-production","timestamp":"2023-01-03T19:{:02}:{:02}.000Z","event_type":"deploy","service_id":"api","severity":"info","description":"","metadata":{{}}}}"#,
        (number / 60) % 60,
        number % 60
    )
}

fn metric_line(number: usize) -> String {
    format!("shop-production,api,latency_ms,{},1.5,{number},\n", 1_672_770_000_000_i64 + number as i64 * 60_000)
}

const METRIC_HEADER: &str = "colony_id,service_id,metric_name,timestamp,p50,p95,count\n";

async fn read_all(config: &FilesConfig) -> Result<Batch, SourceError> {
    read_from(config, &Positions::default()).await
}

async fn read_from(config: &FilesConfig, positions: &Positions) -> Result<Batch, SourceError> {
    let mut source = config.build(positions, &SystemClock::shared())?;
    let mut all = Batch::default();
    while let Some(batch) = source.next_batch().await? {
        all.rows.append(batch.rows);
        all.rejects.extend(batch.rejects);
        all.positions.advance(batch.positions);
        all.restarted.extend(batch.restarted);
        all.settled.extend(batch.settled);
        all.report.absorb(batch.report);
    }
    let (done, in_all) = source.progress_bytes().unwrap();
    assert_eq!(done, in_all, "all bytes are done at the end");
    assert_eq!(source.next_batch().await?, None, "the end stays the end");
    Ok(all)
}

/// Reads one file of the given name and text.
fn chunks(name: &str, text: &str, kind: RowKind) -> Result<Chunk, SourceError> {
    let folder = folder(&[(name, text)]);
    let mut all = Chunk::default();
    for chunk in open(&folder.path().join(name), kind)? {
        let chunk = chunk?;
        all.rows.append(chunk.rows);
        all.rejects.extend(chunk.rejects);
        all.report.absorb(chunk.report);
    }
    Ok(all)
}

fn reasons(chunk: &Chunk) -> Vec<(String, RejectReason)> {
    let place = |place: &str| place.rsplit('/').next().unwrap_or_default().to_owned();
    chunk.rejects.iter().map(|reject| (place(&reject.place), reject.reason)).collect()
}

fn write_parquet(path: &Path, batch: &RecordBatch, rows_per_group: usize) {
    let properties = ::parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows_per_group))
        .build();
    let file = fs::File::create(path).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn metric_batch(rows: usize) -> RecordBatch {
    let texts = |text: &str| Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
    let times: Vec<i64> = (0..rows as i64).map(|row| 1_672_770_000_000_000 + row * 60_000_000).collect();
    RecordBatch::try_from_iter([
        ("colony_id", texts("shop-production")),
        ("service_id", texts("api")),
        ("metric_name", texts("latency_ms")),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef),
        ("mean", Arc::new(Float64Array::from((0..rows).map(|row| row as f64).collect::<Vec<_>>())) as ArrayRef),
        ("count", Arc::new(Int64Array::from(vec![3; rows])) as ArrayRef),
        ("ignored", texts("x")),
    ])
    .unwrap()
}

#[test]
fn json_lines_decode_and_broken_ones_are_refused() {
    let text = [
        r#"{"event_id":"a","colony_id":"my-shop-production-a3f2e1","timestamp":1672770000000,"event_type":"deploy","service_id":"api","severity":"Error","metadata":{"n":1.5,"s":"x","o":{"k":[1]},"z":null}}"#,
        "",
        r#"{"event_id":"b","colony_id":"#,
        r#"{"event_id":"c","timestamp":"2023-01-03T19:06:18.000Z","event_type":"deploy","service_id":"api"}"#,
        r#"{"event_id":"d","colony_id":"c","timestamp":"yesterday","event_type":"deploy","service_id":"api"}"#,
        r#"{"event_id":"e","colony_id":"c","timestamp":"2023-01-03T19:06:18Z","event_type":"deploy","service_id":["api"]}"#,
        r#"{"event_id":"f","colony_id":"c","timestamp":"2223-01-03T19:06:18Z","event_type":"deploy","service_id":"api"}"#,
        r#"{"event_id":"g","colony_id":"c","timestamp":1672770,"event_type":"deploy","service_id":"api"}"#,
        r#"{"event_id":"h","colony_id":"c","timestamp":"2023-01-03T19:06:18Z","event_type":"deploy","service_id":"api","severity":"loud"}"#,
        r#"[1]"#,
        r#"{"event_id":7,"colony_id":"c","timestamp":"2023-01-03T21:06:18+02:00","event_type":"new-kind","service_id":"api","application_name":"app","environment":"qa","extra":true}"#,
    ]
    .join("\n");
    let chunk = chunks("events.ndjson", &text, RowKind::Events).unwrap();
    let [first, loud, last] = &chunk.rows.events[..] else { panic!("three good rows: {:?}", chunk.rows.events) };
    assert_eq!((loud.severity, loud.metadata["severity"].as_str()), (model::event::Severity::Info, "loud"));
    assert_eq!(chunk.report.notes.len(), 1, "it is said: {:?}", chunk.report.notes);
    assert_eq!((first.application_name.as_str(), first.environment.as_str()), ("my-shop", "production"));
    assert_eq!(first.severity, model::event::Severity::Error);
    let metadata: Vec<_> = first.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(metadata, ["n=1.5", r#"o={"k":[1]}"#, "s=x"]);
    assert_eq!((last.event_id.as_str(), last.application_name.as_str(), last.environment.as_str()), ("7", "app", "qa"));
    assert_eq!(last.timestamp.to_string(), "2023-01-03T19:06:18.000Z");
    let expected = [
        (3, RejectReason::Malformed),
        (4, RejectReason::MissingField),
        (5, RejectReason::BadTimestamp),
        (6, RejectReason::BadValue),
        (7, RejectReason::FarFuture),
        (8, RejectReason::BadTimestamp),
        (10, RejectReason::Malformed),
    ];
    let expected: Vec<_> = expected.iter().map(|(line, reason)| (format!("events.ndjson:{line}"), *reason)).collect();
    assert_eq!(reasons(&chunk), expected);
    assert_eq!(chunk.rejects[2].colony_id.as_deref(), Some("c"), "the colony is kept where it can be read");
    assert!(chunk.rejects[0].raw.starts_with(r#"{"event_id":"b""#));
}

/// `(event_id, version, withdrawn)` of the events of a chunk.
fn versions(chunk: &Chunk) -> Vec<(&str, u64, bool)> {
    chunk.rows.events.iter().map(|event| (event.event_id.as_str(), event.version, event.withdrawn)).collect()
}

#[test]
fn amended_and_withdrawn_events_decode_in_every_format() {
    let expected = vec![("a", 0, false), ("b", 2, true), ("c", 3, false)];
    let line = |id: &str, more: &str| {
        let rest = r#""colony_id":"c","timestamp":1672770000000,"event_type":"deploy","service_id":"api""#;
        format!("{{\"event_id\":\"{id}\",{rest}{more}}}\n")
    };
    let json = [
        line("a", ""),
        line("b", r#","version":2,"withdrawn":true"#),
        line("c", r#","version":3.0,"withdrawn":null"#),
        line("d", r#","version":-1"#),
        line("e", r#","withdrawn":"perhaps""#),
        line("f", r#","version":true"#),
    ];
    let chunk = chunks("e.ndjson", &json.concat(), RowKind::Events).unwrap();
    assert_eq!(versions(&chunk), expected);
    let refused = |line: usize| (format!("e.ndjson:{line}"), RejectReason::BadValue);
    assert_eq!(reasons(&chunk), [refused(4), refused(5), refused(6)]);
    assert_eq!(chunk.rejects[1].detail, "withdrawn is \"perhaps\", expected true or false");

    let csv = "event_id,colony_id,timestamp,event_type,service_id,version,withdrawn\n\
               a,c,1672770000000,deploy,api,,\nb,c,1672770000000,deploy,api,2,True\nc,c,1672770000000,deploy,api,3,0\n";
    assert_eq!(versions(&chunks("e.csv", csv, RowKind::Events).unwrap()), expected);

    let texts = |texts: [&str; 3]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("event_id", texts(["a", "b", "c"]), false),
        ("colony_id", texts(["c"; 3]), false),
        ("timestamp", Arc::new(Int64Array::from(vec![1_672_770_000_000; 3])) as ArrayRef, false),
        ("event_type", texts(["deploy"; 3]), false),
        ("service_id", texts(["api"; 3]), false),
        ("version", Arc::new(UInt64Array::from(vec![None, Some(2), Some(3)])) as ArrayRef, true),
        ("withdrawn", Arc::new(BooleanArray::from(vec![None, Some(true), Some(false)])) as ArrayRef, true),
    ]);
    let folder = tempfile::tempdir().unwrap();
    write_parquet(&folder.path().join("e.parquet"), &batch.unwrap(), 10);
    let chunk = open(&folder.path().join("e.parquet"), RowKind::Events).unwrap().next().unwrap().unwrap();
    assert_eq!(versions(&chunk), expected);
}

#[test]
fn numbers_that_are_not_finite_are_named_so_in_every_format() {
    let json = |p50: &str| {
        format!(r#"{{"colony_id":"c","service_id":"s","metric_name":"m","timestamp":1672770000000,"p50":{p50}}}"#)
    };
    let text = [json("NaN"), json("-Infinity"), json("1e999"), json("null"), json("true")].join("\n");
    let chunk = chunks("m.jsonl", &text, RowKind::Metrics).unwrap();
    let kinds: Vec<_> = chunk.rejects.iter().map(|reject| reject.reason).collect();
    use RejectReason::{BadValue, MissingField, NotFinite};
    assert_eq!(kinds, [NotFinite, NotFinite, NotFinite, MissingField, BadValue]);

    let text = "colony_id,service_id,metric_name,timestamp,p50\nc,s,m,1672770000000,NaN\nc,s,m,1672770000000,inf\nc,s,m,1672770000000,x\n";
    let chunk = chunks("m.csv", text, RowKind::Metrics).unwrap();
    let kinds: Vec<_> = chunk.rejects.iter().map(|reject| reject.reason).collect();
    assert_eq!(kinds, [NotFinite, NotFinite, BadValue]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.parquet");
    let mut columns = metric_batch(3).columns().to_vec();
    columns[4] = Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.0), None]));
    let names = ["colony_id", "service_id", "metric_name", "timestamp", "mean"];
    write_parquet(&path, &RecordBatch::try_from_iter(names.into_iter().zip(columns)).unwrap(), 100);
    let chunk = open(&path, RowKind::Metrics).unwrap().next().unwrap().unwrap();
    assert_eq!(chunk.rows.metrics.len(), 1);
    let expected = [("m.parquet row 1".to_owned(), NotFinite), ("m.parquet row 3".to_owned(), MissingField)];
    assert_eq!(reasons(&chunk), expected);
    assert!(chunk.rejects[0].raw.contains("colony_id=\"shop-production\""), "{}", chunk.rejects[0].raw);
}

#[test]
fn csv_reads_by_header_name_with_quotes_and_nulls() {
    let text = "\u{feff}metric_name,p95,p50,colony_id,timestamp,service_id,extra,count\r\n\
        \"latency, \"\"ms\"\"\",2.5,,shop-staging,2023-01-03T19:06:18.250Z,api,\"two\nlines\",7.0\r\n\
        short,row\r\n\
        latency,1,2,shop-staging,1672770000000,api,,\r\n\
        latency,2,1,shop-staging,1672770000000,api,,-1\r\n\
        latency,3,1,shop-staging,1672770000000,api,,\r\n";
    let chunk = chunks("m.csv", text, RowKind::Metrics).unwrap();
    let [first, last] = &chunk.rows.metrics.to_vec()[..] else { panic!("two good rows: {:?}", chunk.rows.metrics) };
    assert_eq!(first.series.key.metric_name, "latency, \"ms\"");
    assert_eq!((first.p50, first.p95, first.count), (None, Some(2.5.into()), Some(7)));
    assert_eq!((first.series.environment.as_str(), first.timestamp), ("staging", TimeMs(1_672_772_778_250)));
    assert_eq!((last.p95, last.count), (Some(3.0.into()), None));
    let expected = [
        ("m.csv:4".to_owned(), RejectReason::Malformed),
        ("m.csv:5".to_owned(), RejectReason::PercentilesOutOfOrder),
        ("m.csv:6".to_owned(), RejectReason::BadValue),
    ];
    assert_eq!(reasons(&chunk), expected);
}

#[test]
fn oversized_records_are_refused_and_the_next_one_is_read() {
    let long = "x".repeat(crate::record::LINE_BYTES_MAX + 10);
    let text = format!("{}\n{long}\n{}", event_line(1), event_line(2));
    let chunk = chunks("e.ndjson", &text, RowKind::Events).unwrap();
    assert_eq!(chunk.rows.events.len(), 2);
    assert_eq!(reasons(&chunk), [("e.ndjson:2".to_owned(), RejectReason::Oversized)]);
    assert_eq!(chunk.rejects[0].raw.len(), 1_024);
}

#[test]
fn a_file_that_is_wrong_as_a_whole_is_an_error_that_says_why() {
    let error = |name: &str, text: &str, kind| chunks(name, text, kind).map(|_| ()).unwrap_err().to_string();
    let missing = error("m.csv", "colony_id,timestamp\n", RowKind::Metrics);
    assert!(missing.contains("required columns are missing: service_id, metric_name"), "{missing}");
    let no_statistic = error("m.csv", "colony_id,service_id,metric_name,timestamp\n", RowKind::Metrics);
    assert!(no_statistic.contains("none of the columns p50"), "{no_statistic}");
    let broken = error("m.parquet", "PAR1 not really", RowKind::Metrics);
    assert!(broken.contains("m.parquet is not a readable parquet file"), "{broken}");
    let unknown = error("m.txt", "", RowKind::Metrics);
    assert!(unknown.contains("no known extension"), "{unknown}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.parquet");
    write_parquet(&path, &metric_batch(1), 10);
    let wrong_kind = open(&path, RowKind::Events).map(|_| ()).unwrap_err().to_string();
    assert!(wrong_kind.contains("required columns are missing: event_id, event_type"), "{wrong_kind}");
    let batch = metric_batch(1);
    let mut columns = batch.columns().to_vec();
    columns[0] = columns[4].clone();
    let named = ["colony_id", "service_id", "metric_name", "timestamp", "mean"].into_iter().zip(columns);
    write_parquet(&path, &RecordBatch::try_from_iter(named).unwrap(), 10);
    let wrong_type = open(&path, RowKind::Metrics).map(|_| ()).unwrap_err().to_string();
    assert!(wrong_type.contains("column colony_id has the type DOUBLE"), "{wrong_type}");
}

#[test]
fn parquet_columns_of_many_types_decode() {
    use arrow::array::{
        DictionaryArray, Float32Array, Int32Array, LargeStringArray, MapBuilder, StringBuilder, StringViewArray,
        TimestampNanosecondArray, UInt64Array,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.parquet");
    let dictionary: DictionaryArray<arrow::datatypes::Int32Type> = vec!["shop-production"; 2].into_iter().collect();
    let columns: [(&str, ArrayRef); 8] = [
        ("colony_id", Arc::new(dictionary)),
        ("service_id", Arc::new(LargeStringArray::from(vec!["api"; 2]))),
        ("metric_name", Arc::new(StringViewArray::from(vec!["m"; 2]))),
        ("timestamp", Arc::new(TimestampNanosecondArray::from(vec![1_672_770_000_123_999_999; 2]))),
        ("p50", Arc::new(Int32Array::from(vec![1, 2]))),
        ("p95", Arc::new(Float32Array::from(vec![Some(1.5), None]))),
        ("count", Arc::new(UInt64Array::from(vec![4, u64::MAX]))),
        ("interval_seconds", Arc::new(Float64Array::from(vec![60.0, 60.0]))),
    ];
    write_parquet(&path, &RecordBatch::try_from_iter(columns).unwrap(), 10);
    let chunk = open(&path, RowKind::Metrics).unwrap().next().unwrap().unwrap();
    let [point] = &chunk.rows.metrics.to_vec()[..] else { panic!("one good row: {chunk:?}") };
    assert_eq!(
        (point.timestamp, point.series.interval_seconds, point.count),
        (TimeMs(1_672_770_000_123), Some(60), Some(4))
    );
    assert_eq!((point.p50, point.p95, point.mean), (Some(1.0.into()), Some(1.5.into()), None));
    assert_eq!(reasons(&chunk), [("m.parquet row 2".to_owned(), RejectReason::BadValue)]);

    let path = folder.path().join("e.parquet");
    let mut metadata = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    metadata.keys().append_value("commit");
    metadata.values().append_value("abc");
    metadata.keys().append_value("none");
    metadata.values().append_null();
    metadata.append(true).unwrap();
    let texts = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let columns = [
        ("event_id", texts("e1")),
        ("colony_id", texts("shop-production")),
        ("timestamp", texts("2023-01-03T19:06:18Z")),
        ("event_type", texts("deploy")),
        ("service_id", texts("api")),
        ("metadata", Arc::new(metadata.finish()) as ArrayRef),
    ];
    write_parquet(&path, &RecordBatch::try_from_iter(columns).unwrap(), 10);
    let chunk = open(&path, RowKind::Events).unwrap().next().unwrap().unwrap();
    assert_eq!(chunk.rejects, []);
    assert_eq!(chunk.rows.events[0].metadata, [("commit".to_owned(), "abc".to_owned())].into());
}

#[test]
fn validate_needs_no_disk_and_names_every_fault() {
    let nowhere = Path::new("/nowhere/at/all");
    assert!(config(nowhere, &["*.parquet"], &["**/e-[0-9].ndjson"]).validate().is_ok());
    let problems = config(nowhere, &["m.txt"], &["e[.ndjson"]).validate().unwrap_err();
    let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(words[0].contains("\"m.txt\" has no known extension"), "{words:?}");
    assert!(words[1].contains("is not a glob"), "{words:?}");
    assert!(config(nowhere, &[], &[]).validate().is_err());
}

#[tokio::test]
async fn a_reader_thread_that_dies_is_an_error_and_no_end() {
    let (sender, chunks) = mpsc::channel(1);
    let thread = std::thread::Builder::new().name("dies".to_owned()).spawn(move || {
        let _sender = sender;
        panic!("a bug in a reader")
    });
    let mut source = FilesSource { bytes_done: 0, bytes_in_all: 1, state: State::Reading(chunks) };
    let error = source.next_batch().await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("ended early"));
    assert!(thread.unwrap().join().is_err());
}

#[tokio::test]
async fn globs_are_expanded_once_in_order_and_say_where_they_looked() {
    let folder = folder(&[("b.ndjson", &event_line(2)), ("a.ndjson", &event_line(1))]);
    let error = config(folder.path(), &["*.parquet"], &[])
        .build(&Positions::default(), &SystemClock::shared())
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains(&folder.path().join("*.parquet").display().to_string()), "{error}");
    let both = config(folder.path(), &["a.ndjson"], &["*.ndjson"])
        .build(&Positions::default(), &SystemClock::shared())
        .map(|_| ())
        .unwrap_err();
    assert!(both.to_string().contains("as metrics and as events"), "{both}");

    let twice = config(folder.path(), &[], &["*.ndjson", "a.*"]);
    let twice = FilesConfig { events: vec![twice.events[0].clone(), "a.ndjson".to_owned()], ..twice };
    let mut source = twice.build(&Positions::default(), &SystemClock::shared()).unwrap();
    fs::write(folder.path().join("c.ndjson"), event_line(3)).unwrap();
    let mut partitions = Vec::new();
    while let Some(batch) = source.next_batch().await.unwrap() {
        partitions.extend(batch.positions.0.into_keys());
    }
    assert_eq!(partitions, ["a.ndjson", "b.ndjson"], "sorted, each once, fixed at build");
}

#[tokio::test]
async fn metrics_and_events_take_turns() {
    let many: String = (2..20_000).map(metric_line).collect();
    let events: Vec<String> = (0..20_000).map(event_line).collect();
    let folder = folder(&[("m.csv", &format!("{METRIC_HEADER}{many}")), ("e.ndjson", &events.join("\n"))]);
    let mut source =
        config(folder.path(), &["m.csv"], &["e.ndjson"]).build(&Positions::default(), &SystemClock::shared()).unwrap();
    let mut order = String::new();
    while let Some(batch) = source.next_batch().await.unwrap() {
        assert!(batch.rows.len() + batch.rejects.len() <= CHUNK_ROWS_MAX);
        order.push(if batch.rows.events.is_empty() { 'm' } else { 'e' });
    }
    assert_eq!(order, "mememe");
}

/// A files source over `rows` records of one format, a broken one among them.
struct FilesScenario {
    folder: TempDir,
    config: FilesConfig,
}

impl FilesScenario {
    fn new(format: FileFormat, rows: usize) -> FilesScenario {
        let broken = rows / 2;
        let folder = tempfile::tempdir().unwrap();
        let lines = |good: &dyn Fn(usize) -> String, bad: &str| -> String {
            (0..rows).map(|row| if row == broken { bad.to_owned() } else { good(row) }).collect()
        };
        let config = match format {
            FileFormat::Ndjson => {
                let text = lines(&|row| event_line(row) + "\n", "{\"event_id\":\n");
                fs::write(folder.path().join("e.ndjson"), text).unwrap();
                config(folder.path(), &[], &["e.ndjson"])
            }
            FileFormat::Csv => {
                let text = lines(&|row| metric_line(row + 2), "shop-production,\"api\nB\",latency_ms,never,1,2,\n");
                fs::write(folder.path().join("m.csv"), format!("{METRIC_HEADER}{text}")).unwrap();
                config(folder.path(), &["m.csv"], &[])
            }
            FileFormat::Parquet => {
                let batch = metric_batch(rows);
                let mut columns = batch.columns().to_vec();
                let mean = (0..rows).map(|row| if row == broken { f64::NAN } else { row as f64 });
                columns[4] = Arc::new(Float64Array::from(mean.collect::<Vec<_>>()));
                let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
                write_parquet(&folder.path().join("m.parquet"), &batch, rows / 3);
                config(folder.path(), &["m.parquet"], &[])
            }
        };
        FilesScenario { folder, config }
    }
}

#[async_trait]
impl Harness for FilesScenario {
    async fn build(&self, positions: &Positions) -> Box<dyn Source> {
        assert!(self.folder.path().exists());
        Box::new(self.config.build(positions, &SystemClock::shared()).unwrap())
    }
}

#[tokio::test]
async fn files_of_every_format_keep_the_contract() {
    for format in [FileFormat::Ndjson, FileFormat::Csv, FileFormat::Parquet] {
        let rows = 30_000;
        let scenario = FilesScenario::new(format, rows);
        compliance::check(&scenario, &Scenario { rows: rows - 1, rejects: 1, can_fail: false }).await;
    }
}

/// The folder of a real recording, if this machine has it.
fn real_data(scenario: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(scenario);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED real_data_is_read_in_full: {} is absent; its twin is tested", path.display());
    None
}

/// Reads a recording and expects so many rows of it.
async fn is_read_in_full(scenario: &str, folder: &Path, metrics: usize, events: usize) {
    let metric_files: &[&str] = if metrics > 0 { &["metrics.parquet"] } else { &[] };
    let all = read_all(&config(folder, metric_files, &["events.ndjson"])).await.unwrap();
    assert_eq!(all.rejects, [], "{scenario}");
    assert_eq!((all.rows.metrics.len(), all.rows.events.len()), (metrics, events), "{scenario}");
    assert!(all.rows.events.iter().all(|event| event.environment == "production"), "{scenario}");
}

#[tokio::test]
async fn real_data_is_read_in_full() {
    for (scenario, metrics, events) in [("releases", 0, 1_591), ("delta", 66_106, 1_372), ("boutique", 165_639, 345)] {
        let Some(folder) = real_data(scenario) else { continue };
        is_read_in_full(scenario, &folder, metrics, events).await;
    }
}

#[tokio::test]
async fn the_twins_of_the_recordings_are_read_in_full() {
    for scenario in ["releases", "delta", "boutique"] {
        let twin = fixtures::twins::Twin::of(scenario).unwrap();
        let folder = tempfile::tempdir().unwrap();
        crate::generator::write_events(&folder.path().join("events.ndjson"), &twin.events).unwrap();
        let (metrics, events) = (twin.metrics.len(), twin.events.len());
        crate::generator::write_metrics(&folder.path().join("metrics.parquet"), twin.metrics.into_iter()).unwrap();
        is_read_in_full(scenario, folder.path(), metrics, events).await;
    }
}
