//! One table of cells, read through every format: CSV, NDJSON, parquet and Kafka's values say the same of each.

use super::*;
use crate::kafka::decode_values;
use model::clock::ManualClock;
use model::reject::Reject;

/// One clock for all formats: it is in the words of some faults.
fn clock() -> SharedClock {
    ManualClock::at(TimeMs(1_700_000_000_000))
}

fn read_file(name: &str, bytes: &[u8], kind: RowKind) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let chunk = super::super::open(&path, kind, &clock()).unwrap().next().unwrap().unwrap();
    outcome(&chunk.rows, &chunk.rejects)
}

/// What became of a record: a row, or a reject with its reason and words.
type Outcome = Result<String, (RejectReason, String)>;

const EVENT: [(&str, &str); 5] = [
    ("event_id", "e1"),
    ("colony_id", "shop-production"),
    ("timestamp", "2023-01-03T19:06:18.000Z"),
    ("event_type", "deploy"),
    ("service_id", "api"),
];
const METRIC: [(&str, &str); 5] = [
    ("colony_id", "shop-production"),
    ("service_id", "api"),
    ("metric_name", "m"),
    ("timestamp", "2023-01-03T19:06:18.000Z"),
    ("max", "9007199254740992"),
];

/// A good record of text cells with one cell replaced or added.
fn record(kind: RowKind, (name, value): (&str, &str)) -> Vec<(String, String)> {
    let good: &[(&str, &str)] = if kind == RowKind::Events { &EVENT } else { &METRIC };
    let letters = |name: &str| name.to_lowercase().replace(['_', ' ', '-'], "");
    let mut cells: Vec<(String, String)> = good.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    match cells.iter_mut().find(|(known, _)| letters(known) == letters(name)) {
        Some(cell) => *cell = (name.to_owned(), value.to_owned()),
        None => cells.push((name.to_owned(), value.to_owned())),
    }
    cells
}

fn outcome(rows: &model::rows::Rows, rejects: &[Reject]) -> Outcome {
    match (&rows.events[..], &rows.metrics.to_vec()[..], rejects) {
        ([event], [], []) => Ok(format!("{event:?}")),
        ([], [point], []) => Ok(format!("{point:?}")),
        ([], [], [reject]) => Err((reject.reason, reject.detail.clone())),
        other => panic!("one row or one reject: {other:?}"),
    }
}

fn as_csv(kind: RowKind, cells: &[(String, String)]) -> Outcome {
    let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
    let names: Vec<String> = cells.iter().map(|(name, _)| quoted(name)).collect();
    let values: Vec<String> = cells.iter().map(|(_, value)| quoted(value)).collect();
    read_file("x.csv", format!("{}\n{}\n", names.join(","), values.join(",")).as_bytes(), kind)
}

fn json(cells: &[(String, String)]) -> String {
    let object: serde_json::Map<String, serde_json::Value> =
        cells.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    serde_json::Value::Object(object).to_string()
}

fn as_ndjson(kind: RowKind, cells: &[(String, String)]) -> Outcome {
    read_file("x.ndjson", format!("\u{feff}{}\n", json(cells)).as_bytes(), kind)
}

fn as_kafka(kind: RowKind, cells: &[(String, String)]) -> Outcome {
    let mut framed = vec![0, 0, 0, 0, 7];
    framed.extend_from_slice(json(cells).as_bytes());
    let all = [json(cells).into_bytes(), format!("\u{feff}{}", json(cells)).into_bytes(), framed]
        .map(|value| decode_values(kind, None, &[&value], clock()))
        .map(|(rows, rejects)| outcome(&rows, &rejects));
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    all.into_iter().next().unwrap()
}

fn as_parquet(kind: RowKind, cells: &[(String, String)]) -> Outcome {
    let column = |value: &String| Arc::new(StringArray::from(vec![value.as_str()])) as ArrayRef;
    let batch = RecordBatch::try_from_iter(cells.iter().map(|(name, value)| (name.as_str(), column(value)))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("written.parquet");
    write_parquet(&path, &batch, 10);
    read_file("x.parquet", &fs::read(path).unwrap(), kind)
}

/// Reads a record through every format, and asserts that they agree.
fn read(kind: RowKind, cell: (&str, &str)) -> Outcome {
    let cells = record(kind, cell);
    let csv = as_csv(kind, &cells);
    assert_eq!(as_ndjson(kind, &cells), csv, "NDJSON and CSV of {cell:?}");
    assert_eq!(as_kafka(kind, &cells), csv, "Kafka and CSV of {cell:?}");
    assert_eq!(as_parquet(kind, &cells), csv, "parquet and CSV of {cell:?}");
    csv
}

#[test]
fn cells_of_events_are_read_alike_in_every_format() {
    use RejectReason::{BadTimestamp, BadValue, FarFuture, MissingField};
    let good = read(RowKind::Events, ("severity", "info")).unwrap();
    let same = [
        ("severity", ""),
        ("severity", "NOTICE"),
        ("Severity", "Info"),
        ("eventId", "e1"),
        ("EVENT ID", "e1"),
        ("timestamp", "1672772778000"),
        ("timestamp", "1672772778000.0"),
        ("Timestamp", "2023-01-03 19:06:18+00"),
        ("timestamp", "2023-01-03 21:06:18.000 +0200"),
        ("time_stamp", "2023-01-03 19:06:18 UTC"),
        ("metadata", ""),
        ("metadata", "null"),
        ("metadata", "[]"),
        ("metadata", "{}"),
        ("withdrawn", "f"),
        ("withdrawn", "NULL"),
        ("application_name", "NULL"),
        ("environment", "null"),
        ("version", "0"),
    ];
    for cell in same {
        assert_eq!(read(RowKind::Events, cell), Ok(good.clone()), "{cell:?}");
    }
    let kept = [
        ("severity", "WARN", "severity: Warning"),
        ("severity", "fatal", "severity: Critical"),
        ("severity", "P1", "metadata: {\"severity\": \"P1\"}"),
        ("metadata", "{\"branch\":\"main\",\"pr\":226}", "metadata: {\"branch\": \"main\", \"pr\": \"226\"}"),
        ("metadata", "hotfix", "metadata: {\"metadata\": \"hotfix\"}"),
        ("event_id", "18446744073709551616", "event_id: \"18446744073709551616\""),
        ("version", "18446744073709551615", "version: 18446744073709551615"),
        ("withdrawn", "TRUE", "withdrawn: true"),
    ];
    for (name, value, expected) in kept {
        let row = read(RowKind::Events, (name, value)).unwrap();
        assert!(row.contains(expected), "{name} {value}: {row}");
    }
    let refused = [
        ("timestamp", "2023-01-03 19:06:18", BadTimestamp, "names no time zone"),
        ("timestamp", "2023-01-03 19:06:18 CET", BadTimestamp, "names a time zone that is no offset"),
        ("timestamp", "03/01/2023 19:06Z", BadTimestamp, "expected RFC 3339"),
        ("timestamp", "1672772778", BadTimestamp, "in seconds, the likely unit"),
        ("timestamp", "1672772778000000", BadTimestamp, "in microseconds, the likely unit"),
        ("timestamp", "1672772778000000000", BadTimestamp, "in nanoseconds, the likely unit"),
        ("timestamp", "1.67277E+12", BadTimestamp, "whole milliseconds"),
        ("timestamp", "2223-01-03T19:06:18Z", FarFuture, "after the reader's clock"),
        ("timestamp", "", MissingField, "timestamp is missing"),
        ("service_id", "", MissingField, "service_id is missing"),
        ("version", "-1", BadValue, "below 0"),
        ("version", "18446744073709551616", BadValue, "the greatest is 18446744073709551615"),
        ("withdrawn", "perhaps", BadValue, "expected true or false"),
    ];
    for (name, value, reason, words) in refused {
        let (found, detail) = read(RowKind::Events, (name, value)).unwrap_err();
        assert!(found == reason && detail.contains(words), "{name} {value}: {found:?} {detail}");
    }
}

#[test]
fn cells_of_metrics_are_read_alike_in_every_format() {
    use RejectReason::{BadValue, NotFinite};
    let good = read(RowKind::Metrics, ("p50", "")).unwrap();
    for cell in [("p50", "NULL"), ("p50", "\\N"), ("p50", "n/a"), ("count", "None"), ("Max", "9007199254740992")] {
        assert_eq!(read(RowKind::Metrics, cell), Ok(good.clone()), "{cell:?}");
    }
    let kept = [
        ("p50", "0.1", "p50: Some(Real(0.1))"),
        ("p50", " 1.5e-05 ", "p50: Some(Real(1.5e-5))"),
        ("count", "9223372036854775807", "count: Some(9223372036854775807)"),
        ("count", "7.0", "count: Some(7)"),
        ("interval_seconds", "60", "interval_seconds: Some(60)"),
    ];
    for (name, value, expected) in kept {
        let row = read(RowKind::Metrics, (name, value)).unwrap();
        assert!(row.contains(expected), "{name} {value}: {row}");
    }
    let refused = [
        ("p50", "NaN", NotFinite, "p50 is NaN"),
        ("p50", "-inf", NotFinite, "p50 is -inf"),
        ("p50", "1,5", BadValue, "write the decimal point as a point"),
        ("p50", "fast", BadValue, "expected a number"),
        ("max", "9007199254740993", BadValue, "does not hold exactly"),
        ("count", "9223372036854775808", BadValue, "the greatest is 9223372036854775807"),
        ("count", "1.5", BadValue, "expected a whole number"),
        ("interval_seconds", "4294967296", BadValue, "the greatest is 4294967295"),
    ];
    for (name, value, reason, words) in refused {
        let (found, detail) = read(RowKind::Metrics, (name, value)).unwrap_err();
        assert!(found == reason && detail.contains(words), "{name} {value}: {found:?} {detail}");
    }
}

#[test]
fn numbers_of_json_arrive_exactly_or_are_refused() {
    let event =
        |id: &str| event_line(1).replace("\"e1\"", id).replace("\"metadata\":{}", "\"metadata\":{\"load\":NaN}");
    let chunk = chunks(
        "e.ndjson",
        &[event("12345678901234567890"), event("7"), event("1.5"), event("NaN")].join("\n"),
        RowKind::Events,
    );
    let chunk = chunk.unwrap();
    let ids: Vec<&str> = chunk.rows.events.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(
        ids,
        ["12345678901234567890", "7"],
        "what is beside the point does not cost the event: {:?}",
        chunk.rejects
    );
    assert_eq!(chunk.rows.events[0].metadata["load"], "NaN");
    let reasons: Vec<_> = chunk.rejects.iter().map(|reject| reject.reason).collect();
    assert_eq!(reasons, [RejectReason::BadValue, RejectReason::MissingField]);
}

#[test]
fn the_exact_name_of_a_column_counts_before_a_similar_one() {
    let text = "colony_id,Service_ID,service_id,metric_name,timestamp,p50,P50\nc,wrong,right,m,1672772778000,1,2\n";
    let chunk = chunks("m.csv", text, RowKind::Metrics).unwrap();
    let point = chunk.rows.metrics.first().unwrap();
    assert_eq!((point.series.key.service_id.as_str(), point.p50), ("right", Some(1.0.into())));
    let line = r#"{"colony_id":"c","service_id":"right","Service_ID":"wrong","metric_name":"m","timestamp":1672772778000,"P50":1,"p 50":3}"#;
    let chunk = chunks("m.ndjson", line, RowKind::Metrics).unwrap();
    let point = chunk.rows.metrics.first().unwrap();
    assert_eq!((point.series.key.service_id.as_str(), point.p50), ("right", Some(3.0.into())));
}
