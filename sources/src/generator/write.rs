//! Rows as files, and a fleet as events.ndjson, metrics.parquet and truth.json, in the formats of DESIGN 3.3.

use super::Fleet;
use crate::error::SourceError;
use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array,
};
use arrow::error::ArrowError;
use model::event::Event;
use model::metric::MetricPoint;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows per parquet row group.
const GROUP_ROWS: usize = 65_536;

/// What is written of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFiles {
    /// `events.ndjson`.
    pub events: PathBuf,
    /// `metrics.parquet`.
    pub metrics: PathBuf,
    /// `truth.json`.
    pub truth: PathBuf,
    /// Rows of `metrics.parquet`.
    pub metric_rows: u64,
}

impl WrittenFiles {
    /// Names of the files, in the order of the fields.
    pub const NAMES: [&str; 3] = ["events.ndjson", "metrics.parquet", "truth.json"];
}

impl Fleet {
    /// What would be written into `dir`.
    pub fn files_in(&self, dir: &Path) -> WrittenFiles {
        let [events, metrics, truth] = WrittenFiles::NAMES.map(|name| dir.join(name));
        WrittenFiles { events, metrics, truth, metric_rows: self.metric_rows() }
    }

    /// Writes the fleet into `dir`, which is created if it does not exist; files of the same names are replaced.
    pub fn write_files(&self, dir: &Path) -> Result<WrittenFiles, SourceError> {
        std::fs::create_dir_all(dir).map_err(|cause| SourceError::File { path: dir.to_owned(), cause })?;
        let written = self.files_in(dir);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| SourceError::File { path, cause }
        };
        write_events(&written.events, &self.events).map_err(failed(&written.events))?;
        write_metrics(&written.metrics, self.metrics()).map_err(failed(&written.metrics))?;
        let truth = serde_json::to_string_pretty(&self.truth).map_err(std::io::Error::other);
        truth.and_then(|text| std::fs::write(&written.truth, text + "\n")).map_err(failed(&written.truth))?;
        Ok(written)
    }
}

/// Writes events as NDJSON, one record per line; a file of that name is replaced.
pub fn write_events(path: &Path, events: &[Event]) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for event in events {
        serde_json::to_writer(&mut out, &event_record(event))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes metric rows as parquet; a file of that name is replaced.
pub fn write_metrics(path: &Path, points: impl Iterator<Item = MetricPoint>) -> std::io::Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut points = points.peekable();
    let mut writer: Option<ArrowWriter<File>> = None;
    // without rows there is still a file with its columns
    while writer.is_none() || points.peek().is_some() {
        let group: Vec<MetricPoint> = points.by_ref().take(GROUP_ROWS).collect();
        let batch = record_batch(&group).map_err(std::io::Error::other)?;
        let open = match writer.take() {
            Some(open) => open,
            None => ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties.clone()))?,
        };
        writer.insert(open).write(&batch)?;
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(())
}

fn event_record(event: &Event) -> serde_json::Value {
    serde_json::json!({
        "event_id": event.event_id,
        "colony_id": event.colony_id,
        "application_name": event.application_name,
        "environment": event.environment,
        "timestamp": event.timestamp.to_string(),
        "event_type": event.event_type,
        "service_id": event.service_id,
        "severity": event.severity.as_str(),
        "description": event.description,
        "metadata": event.metadata,
    })
}

fn record_batch(points: &[MetricPoint]) -> Result<RecordBatch, ArrowError> {
    let texts =
        |text: fn(&MetricPoint) -> &str| Arc::new(StringArray::from_iter_values(points.iter().map(text))) as ArrayRef;
    let numbers = |number: fn(&MetricPoint) -> Option<f64>| {
        Arc::new(points.iter().map(number).collect::<Float64Array>()) as ArrayRef
    };
    let times = TimestampMillisecondArray::from_iter_values(points.iter().map(|point| point.timestamp.0));
    let counts: Int64Array = points.iter().map(|point| point.count.map(|count| count as i64)).collect();
    let intervals: UInt32Array = points.iter().map(|point| point.series.interval_seconds).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("colony_id", texts(|point| &point.series.series().key.colony_id), false),
        ("application_name", texts(|point| &point.series.series().application_name), false),
        ("environment", texts(|point| &point.series.series().environment), false),
        ("service_id", texts(|point| &point.series.series().key.service_id), false),
        ("metric_name", texts(|point| &point.series.series().key.metric_name), false),
        ("timestamp", Arc::new(times.with_timezone("UTC")) as ArrayRef, false),
        ("p50", numbers(|point| point.p50.map(|v| v.0)), true),
        ("p95", numbers(|point| point.p95.map(|v| v.0)), true),
        ("p99", numbers(|point| point.p99.map(|v| v.0)), true),
        ("mean", numbers(|point| point.mean.map(|v| v.0)), true),
        ("max", numbers(|point| point.max.map(|v| v.0)), true),
        ("count", Arc::new(counts) as ArrayRef, true),
        ("interval_seconds", Arc::new(intervals) as ArrayRef, true),
    ])
}
