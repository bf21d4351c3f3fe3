//! Parquet as its writers have it: unmarked text, broken values, decimals and dates, huge texts, damaged bytes.

use super::*;
use arrow::array::{BinaryArray, Date32Array, Decimal128Array, Int32Array};
use arrow::array::{BinaryBuilder, MapBuilder};

fn events_batch(rows: usize, description: ArrayRef, metadata: Option<ArrayRef>) -> RecordBatch {
    let ids: Vec<String> = (0..rows).map(|row| format!("e{row}")).collect();
    let bytes = |text: &str| Arc::new(BinaryArray::from(vec![text.as_bytes(); rows])) as ArrayRef;
    let times = vec![1_672_772_778_000_000_i64; rows];
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("Event_ID", Arc::new(StringArray::from(ids))),
        ("colony_id", bytes("shop-production")),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(times))),
        ("event_type", bytes("deploy")),
        ("service_id", bytes("api")),
        ("description", description),
    ];
    columns.extend(metadata.map(|metadata| ("metadata", metadata)));
    RecordBatch::try_from_iter(columns).unwrap()
}

fn read(path: &Path, kind: RowKind) -> Result<Vec<Chunk>, SourceError> {
    open(path, kind)?.collect()
}

#[test]
fn bytes_that_are_text_are_text_and_one_bad_value_costs_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.parquet");
    let unmarked: Vec<&[u8]> = (0..30).map(|row| if row == 11 { &b"caf\xe9"[..] } else { &b"fine"[..] }).collect();
    let mut metadata = MapBuilder::new(None, BinaryBuilder::new(), BinaryBuilder::new());
    for _ in 0..30 {
        metadata.keys().append_value(b"sha");
        metadata.values().append_value(b"abc");
        metadata.append(true).unwrap();
    }
    let metadata = Arc::new(metadata.finish()) as ArrayRef;
    write_parquet(&path, &events_batch(30, Arc::new(BinaryArray::from(unmarked)), Some(metadata)), 7);
    let chunk = read(&path, RowKind::Events).unwrap().remove(0);
    assert_eq!(chunk.rows.events.len(), 29);
    assert_eq!(reasons(&chunk), [("e.parquet row 12".to_owned(), RejectReason::BadValue)]);
    assert!(chunk.rejects[0].detail.contains("description is not UTF-8 text"), "{}", chunk.rejects[0].detail);
    assert!(chunk.rows.events.iter().all(|event| event.metadata["sha"] == "abc"));

    // the same where the column says that it is text
    let marked: Vec<&str> = (0..30).map(|row| if row == 11 { "badbad" } else { "fine" }).collect();
    write_parquet(&path, &events_batch(30, Arc::new(StringArray::from(marked)), None), 100);
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 6).filter(|at| bytes[*at..].starts_with(b"badbad")).collect();
    places.into_iter().for_each(|at| bytes[at] = 0xff);
    fs::write(&path, bytes).unwrap();
    let chunk = read(&path, RowKind::Events).unwrap().remove(0);
    assert_eq!((chunk.rows.events.len(), reasons(&chunk)[0].0.as_str()), (29, "e.parquet row 12"));
}

#[test]
fn decimals_dates_and_nulls_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.parquet");
    let decimals = |values: Vec<Option<i128>>, precision, scale| {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap()) as ArrayRef
    };
    let texts = |text: &str| Arc::new(StringArray::from(vec![text; 3])) as ArrayRef;
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("colony_id", decimals(vec![Some(12_345_678_901_234_567_890); 3], 38, 0), false),
        ("service_id", texts("api"), false),
        ("metric_name", texts("m"), false),
        ("timestamp", Arc::new(Date32Array::from(vec![19_360; 3])) as ArrayRef, false),
        ("p50", decimals(vec![Some(1_500), None, Some(-25)], 9, 3), true),
        ("p95", decimals(vec![Some(200), Some(200), Some(200)], 18, 2), true),
        ("max", decimals(vec![Some(9_007_199_254_740_993), Some(3), None], 38, 0), true),
        ("count", decimals(vec![Some(70), Some(80), Some(15)], 9, 1), true),
        ("interval_seconds", Arc::new(Int32Array::from(vec![Some(60), None, Some(-60)])) as ArrayRef, true),
    ]);
    write_parquet(&path, &batch.unwrap(), 2);
    let chunk = read(&path, RowKind::Metrics).unwrap().remove(0);
    let [point] = &chunk.rows.metrics.to_vec()[..] else { panic!("one good row: {chunk:?}") };
    assert_eq!(
        (point.series.key.colony_id.as_str(), point.timestamp),
        ("12345678901234567890", TimeMs(19_360 * 86_400_000))
    );
    assert_eq!((point.p50, point.p95, point.max), (None, Some(2.0.into()), Some(3.0.into())));
    assert_eq!((point.count, point.series.interval_seconds), (Some(8), None));
    let details: Vec<&str> = chunk.rejects.iter().map(|reject| reject.detail.as_str()).collect();
    assert!(details[0].contains("max is 9007199254740993, which a 64-bit float does not hold exactly"), "{details:?}");
    assert!(details[1].contains("interval_seconds is -60, below 0"), "{details:?}");
}

#[test]
fn chunks_of_huge_texts_are_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.parquet");
    let text = "x".repeat(60_000);
    write_parquet(&path, &events_batch(2_000, Arc::new(StringArray::from(vec![text.as_str(); 2_000])), None), 2_000);
    let all = read(&path, RowKind::Events).unwrap();
    assert_eq!(all.iter().map(|chunk| chunk.rows.events.len()).sum::<usize>(), 2_000);
    assert!(all.iter().all(|chunk| chunk.rows.bytes() < chunk::CHUNK_BYTES_MAX + 100_000));
    let long = "x".repeat(300_000);
    write_parquet(&path, &events_batch(500, Arc::new(StringArray::from(vec![long.as_str(); 500])), None), 500);
    let all = read(&path, RowKind::Events).unwrap();
    assert!(all.iter().flat_map(|chunk| &chunk.rejects).all(|reject| reject.reason == RejectReason::Oversized));
    assert_eq!(all.iter().map(|chunk| chunk.rejects.len()).sum::<usize>(), 500);
}

#[test]
fn damaged_bytes_are_an_error_that_names_the_file_or_cost_rows_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.parquet");
    write_parquet(&path, &metric_batch(50), 20);
    let good = fs::read(&path).unwrap();
    let mut failed = 0;
    for at in (4..good.len() - 8).step_by(3) {
        for byte in [0x00, 0xff, good[at] ^ 0x10] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            fs::write(&path, bytes).unwrap();
            if let Err(error) = read(&path, RowKind::Metrics) {
                assert!(error.to_string().contains("m.parquet"), "{error}");
                failed += 1;
            }
        }
    }
    assert!(failed > 0);
}
