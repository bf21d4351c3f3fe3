//! Rows: what a colony sends, with the columns of the stored table of its kind.

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use model::event::Event;
use model::metric::MetricPoint;
use model::real::Real;
use model::topology::{ServiceEdge, ServiceNode};
use std::sync::Arc;

/// A table of a colony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Live {
    Metrics,
    Events,
    Services,
    Connections,
}

/// A named column.
type Column = (&'static str, ArrayRef);

impl Live {
    pub(super) const ALL: [Live; 4] = [Live::Metrics, Live::Events, Live::Services, Live::Connections];

    pub(super) fn name(self) -> &'static str {
        match self {
            Live::Metrics => "metrics",
            Live::Events => "events",
            Live::Services => "services",
            Live::Connections => "connections",
        }
    }

    /// Its columns: those of a batch without rows.
    pub(super) fn schema(self) -> SchemaRef {
        match self {
            Live::Metrics => metrics(&[]).schema(),
            Live::Events => events(&[]).schema(),
            Live::Services => services(Vec::new()).schema(),
            Live::Connections => connections(Vec::new()).schema(),
        }
    }
}

pub(super) fn metrics(rows: &[MetricPoint]) -> RecordBatch {
    let names: Vec<_> = rows.iter().map(|row| row.series.names()).collect();
    let real = |value: fn(&MetricPoint) -> Option<Real>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| value(row).map(Real::unsigned_zero)).collect::<Float64Array>())
    };
    batch(vec![
        ("timestamp", times(rows.iter().map(|row| row.timestamp.0))),
        ("colony_id", texts(names.iter().map(|names| names.colony_id))),
        ("service_id", texts(names.iter().map(|names| names.service_id))),
        ("metric_name", texts(names.iter().map(|names| names.metric_name))),
        (
            "interval_seconds",
            Arc::new(UInt32Array::from_iter_values(names.iter().map(|names| names.interval_seconds.unwrap_or(0)))),
        ),
        ("application_name", texts(names.iter().map(|names| names.application_name))),
        ("environment", texts(names.iter().map(|names| names.environment))),
        ("p50", real(|row| row.p50)),
        ("p95", real(|row| row.p95)),
        ("p99", real(|row| row.p99)),
        ("mean", real(|row| row.mean)),
        ("max_value", real(|row| row.max)),
        ("sample_count", Arc::new(rows.iter().map(|row| row.count).collect::<UInt64Array>())),
        ("version", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.version)))),
    ])
}

pub(super) fn events(rows: &[Event]) -> RecordBatch {
    let metadata: Vec<String> =
        rows.iter().map(|row| serde_json::to_string(&row.metadata).unwrap_or_default()).collect();
    batch(vec![
        ("timestamp", times(rows.iter().map(|row| row.timestamp.0))),
        ("colony_id", texts(rows.iter().map(|row| row.colony_id.as_str()))),
        ("event_id", texts(rows.iter().map(|row| row.event_id.as_str()))),
        ("application_name", texts(rows.iter().map(|row| row.application_name.as_str()))),
        ("environment", texts(rows.iter().map(|row| row.environment.as_str()))),
        ("event_type", texts(rows.iter().map(|row| row.event_type.as_str()))),
        ("service_id", texts(rows.iter().map(|row| row.service_id.as_str()))),
        ("severity", texts(rows.iter().map(|row| row.severity.as_str()))),
        ("description", texts(rows.iter().map(|row| row.description.as_str()))),
        ("metadata", texts(metadata.iter().map(String::as_str))),
        ("version", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.version)))),
        ("withdrawn", Arc::new(rows.iter().map(|row| Some(row.withdrawn)).collect::<BooleanArray>())),
    ])
}

pub(super) fn services(rows: Vec<ServiceNode>) -> RecordBatch {
    batch(vec![
        ("colony_id", texts(rows.iter().map(|row| row.colony_id.as_str()))),
        ("service_id", texts(rows.iter().map(|row| row.service_id.as_str()))),
        ("name", texts(rows.iter().map(|row| row.name.as_str()))),
        ("version", texts(rows.iter().map(|row| row.version.as_str()))),
        ("status", texts(rows.iter().map(|row| row.status.as_str()))),
    ])
}

pub(super) fn connections(rows: Vec<ServiceEdge>) -> RecordBatch {
    batch(vec![
        ("colony_id", texts(rows.iter().map(|row| row.colony_id.as_str()))),
        ("from_service", texts(rows.iter().map(|row| row.from_service.as_str()))),
        ("to_service", texts(rows.iter().map(|row| row.to_service.as_str()))),
        ("protocol", texts(rows.iter().map(|row| row.protocol.as_str()))),
        ("request_count", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.request_count)))),
    ])
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(values).with_timezone("UTC"))
}

/// The columns as a batch; each may have absent values, as those of a store may.
fn batch(columns: Vec<Column>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .unwrap_or_else(|error| unreachable!("columns of one length: {error}"))
}
