//! Guarantees of each decoder for any input: it terminates, does not panic, and is deterministic.

use model::clock::{ManualClock, SharedClock};
use model::colony::ColonyIdentity;
use model::position::Positions;
use model::time::TimeMs;
use pipelines::config::{self, Format};
use prost::Message;
use proto::convert::{event_from_wire, event_to_wire, metric_from_wire, metric_to_wire};
use proto::reef::v1;
use sources::RowKind;
use sources::files::{Chunk, FilesConfig};
use sources::{Batch, Source};
use std::path::Path;

const NOW: TimeMs = TimeMs(1_800_000_000_000);

fn clock() -> SharedClock {
    ManualClock::at(NOW)
}

pub fn csv(input: &[u8]) {
    file("x.csv", input, RowKind::Events);
    file("x.csv", input, RowKind::Metrics);
}

pub fn ndjson(input: &[u8]) {
    file("x.ndjson", input, RowKind::Events);
    file("x.ndjson", input, RowKind::Metrics);
}

pub fn parquet(input: &[u8]) {
    file("x.parquet", input, RowKind::Events);
    file("x.parquet", input, RowKind::Metrics);
}

thread_local! {
    /// One folder for all inputs, in memory where there is such a place: making one for each took most of the time.
    static FOLDER: tempfile::TempDir =
        tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap());
}

/// A file is read to its end, or reported as invalid; the same bytes give the same rows. For some, also as a source:
/// reading again gives nothing new.
fn file(name: &str, input: &[u8], kind: RowKind) {
    let folder = FOLDER.with(|folder| folder.path().to_owned());
    let path = folder.join(name);
    std::fs::write(&path, input).unwrap();
    let first = chunks(&path, kind);
    // a library may panic on a damaged parquet file, which is caught; our own readers must not
    if let Err(problem) = &first {
        assert!(name.ends_with("parquet") || !problem.contains("does not survive"), "{problem}");
    }
    if !input.len().is_multiple_of(16) {
        return;
    }
    assert_eq!(chunks(&path, kind), first);
    let files = files(&folder, name, kind);
    let (first, positions) = read(&files, &Positions::default());
    if first.report.failed_inputs == 0 {
        let (again, _) = read(&files, &positions);
        assert_eq!((again.rows.len() + again.rejects.len(), again.report.failed_inputs), (0, 0), "nothing is new");
    }
}

fn chunks(path: &Path, kind: RowKind) -> Result<Vec<Chunk>, String> {
    let reader = sources::files::open(path, kind, &clock()).map_err(|error| error.to_string())?;
    reader.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn files(base_dir: &Path, name: &str, kind: RowKind) -> FilesConfig {
    let (mut metrics, mut events) = (Vec::new(), Vec::new());
    match kind {
        RowKind::Metrics => metrics.push(name.to_owned()),
        RowKind::Events => events.push(name.to_owned()),
    }
    FilesConfig { metrics, events, base_dir: base_dir.to_owned(), ..FilesConfig::default() }
}

fn read(files: &FilesConfig, positions: &Positions) -> (Batch, Positions) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut source = files.build(positions, &clock()).unwrap();
        let (mut all, mut reached) = (Batch::default(), positions.clone());
        while let Some(batch) = source.next_batch().await.unwrap() {
            reached.advance(batch.positions);
            all.rows.append(batch.rows);
            all.rejects.extend(batch.rejects);
            all.report.absorb(batch.report);
        }
        (all, reached)
    })
}

/// Every value is a row or a reject.
pub fn kafka(input: &[u8]) {
    for kind in [RowKind::Events, RowKind::Metrics] {
        for content_type in [None, Some(&b"application/x-protobuf"[..])] {
            let (rows, rejects) = sources::kafka::decode_values(kind, content_type, &[input], clock());
            assert_eq!(rows.len() + rejects.len(), 1);
        }
    }
}

/// A configuration is read or refused; a mistake has a place in the text.
pub fn config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for format in [Format::Toml, Format::Yaml] {
        if let Err(errors) = config::parse(&text, format, Path::new("reef")) {
            assert!(!errors.to_string().is_empty());
        }
    }
}

/// A message that is taken says the same after a way over the wire.
pub fn grpc(input: &[u8]) {
    let colony = ColonyIdentity {
        colony_id: "shop-production".to_owned(),
        application_name: "shop".to_owned(),
        environment: "production".to_owned(),
    };
    if let Ok(Ok(row)) = v1::Event::decode(input).map(|wire| event_from_wire(&colony, wire, NOW)) {
        let wire = v1::Event::decode(&event_to_wire(&row).encode_to_vec()[..]).unwrap();
        assert_eq!(event_from_wire(&colony, wire, NOW).unwrap(), row);
    }
    if let Ok(Ok(row)) = v1::MetricSummary::decode(input).map(|wire| metric_from_wire(&colony, wire, NOW)) {
        let wire = v1::MetricSummary::decode(&metric_to_wire(&row).encode_to_vec()[..]).unwrap();
        assert_eq!(metric_from_wire(&colony, wire, NOW).unwrap(), row);
    }
    for message in [
        v1::GetSummaryResponse::decode(input).map(|message| message.encode_to_vec()),
        v1::StreamEventsRequest::decode(input).map(|message| message.encode_to_vec()),
    ] {
        drop(message);
    }
}
