//! One raw record: named cells of a few simple types, before any rule is applied.

use super::Notes;
use super::metadata::metadata_of_text;
use std::collections::BTreeMap;

/// The columns of DESIGN 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    ColonyId,
    ApplicationName,
    Environment,
    ServiceId,
    MetricName,
    Timestamp,
    P50,
    P95,
    P99,
    Mean,
    Max,
    Count,
    IntervalSeconds,
    EventId,
    EventType,
    Severity,
    Description,
    Metadata,
    Version,
    Withdrawn,
}

impl Field {
    /// Every column, in the order of the discriminants.
    pub(crate) const ALL: [Field; 20] = [
        Field::ColonyId,
        Field::ApplicationName,
        Field::Environment,
        Field::ServiceId,
        Field::MetricName,
        Field::Timestamp,
        Field::P50,
        Field::P95,
        Field::P99,
        Field::Mean,
        Field::Max,
        Field::Count,
        Field::IntervalSeconds,
        Field::EventId,
        Field::EventType,
        Field::Severity,
        Field::Description,
        Field::Metadata,
        Field::Version,
        Field::Withdrawn,
    ];

    /// The statistics, of which a metric row needs at least one.
    pub(crate) const STATISTICS: [Field; 5] = [Field::P50, Field::P95, Field::P99, Field::Mean, Field::Max];

    /// What identifies a row: a row with another value here is another row.
    pub(crate) fn is_identity(self) -> bool {
        use Field::{ColonyId, EventId, IntervalSeconds, MetricName, ServiceId, Timestamp};
        matches!(self, ColonyId | ServiceId | MetricName | Timestamp | IntervalSeconds | EventId)
    }

    /// The column of exactly this name.
    pub(crate) fn of_name(name: &str) -> Option<Field> {
        Some(match name {
            "colony_id" => Field::ColonyId,
            "application_name" => Field::ApplicationName,
            "environment" => Field::Environment,
            "service_id" => Field::ServiceId,
            "metric_name" => Field::MetricName,
            "timestamp" => Field::Timestamp,
            "p50" => Field::P50,
            "p95" => Field::P95,
            "p99" => Field::P99,
            "mean" => Field::Mean,
            "max" => Field::Max,
            "count" => Field::Count,
            "interval_seconds" => Field::IntervalSeconds,
            "event_id" => Field::EventId,
            "event_type" => Field::EventType,
            "severity" => Field::Severity,
            "description" => Field::Description,
            "metadata" => Field::Metadata,
            "version" => Field::Version,
            "withdrawn" => Field::Withdrawn,
            _ => return None,
        })
    }

    /// The column's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Field::ColonyId => "colony_id",
            Field::ApplicationName => "application_name",
            Field::Environment => "environment",
            Field::ServiceId => "service_id",
            Field::MetricName => "metric_name",
            Field::Timestamp => "timestamp",
            Field::P50 => "p50",
            Field::P95 => "p95",
            Field::P99 => "p99",
            Field::Mean => "mean",
            Field::Max => "max",
            Field::Count => "count",
            Field::IntervalSeconds => "interval_seconds",
            Field::EventId => "event_id",
            Field::EventType => "event_type",
            Field::Severity => "severity",
            Field::Description => "description",
            Field::Metadata => "metadata",
            Field::Version => "version",
            Field::Withdrawn => "withdrawn",
        }
    }
}

/// The longest name that is compared without case and separators.
const NAME_BYTES_MAX: usize = 48;

/// The rule for column names in every format: the exact name, otherwise the same letters and digits in any case with
/// any separators (`Timestamp`, `colonyId`, `EVENT ID`). Of several names for one column the exact one wins, otherwise
/// the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Naming {
    /// Columns that were named exactly, by discriminant.
    exact: u32,
    /// Columns that were named nearly.
    near: u32,
    /// Whether two names nearly named one column.
    pub is_ambiguous: bool,
}

impl Naming {
    /// The column of this name, if it is to be read from here.
    pub(crate) fn field(&mut self, name: &str) -> Option<Field> {
        if let Some(field) = Field::of_name(name) {
            self.exact |= 1 << field as u32;
            return Some(field);
        }
        let field = Field::ALL.into_iter().find(|field| has_letters_of(name, field.name()))?;
        let bit = 1 << field as u32;
        self.is_ambiguous |= self.near & bit != 0;
        self.near |= bit;
        (self.exact & bit == 0).then_some(field)
    }
}

fn has_letters_of(name: &str, other: &str) -> bool {
    name.len() <= NAME_BYTES_MAX && letters(name).eq(letters(other))
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '\t')).map(|c| c.to_ascii_lowercase())
}

/// The value of one column of one record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Null, absent or (in CSV) empty.
    Missing,
    /// A whole number.
    Int(i64),
    /// A whole number beyond those.
    Uint(u64),
    /// A float, possibly not finite.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// True or false.
    Bool(bool),
    /// A type that no column may have; the text describes it.
    Unusable(&'static str),
}

/// A record with accessible columns.
pub(crate) trait Record {
    /// The value of a column; `Missing` when the record does not have it.
    fn cell(&self, field: Field) -> Cell<'_>;

    /// The metadata, in any form; unusual forms are noted.
    fn metadata(&self, notes: &mut Notes) -> BTreeMap<String, String> {
        metadata_of_cell(self.cell(Field::Metadata), notes)
    }
}

/// Metadata in one cell, where a format has no nested values.
pub(crate) fn metadata_of_cell(cell: Cell<'_>, notes: &mut Notes) -> BTreeMap<String, String> {
    match cell {
        Cell::Text(text) => metadata_of_text(text, notes),
        Cell::Unusable(what) => {
            notes.push(format!("metadata is {what} and was omitted"));
            BTreeMap::new()
        }
        _ => BTreeMap::new(),
    }
}
