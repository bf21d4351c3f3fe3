//! Values of metric series at some hours, read as columns with the numbers of their series.

use super::fault::Cause;
use super::fleet::time;
use super::rows::{ReadRow, selection};
use super::series::NAMES;
use crate::columns::ReportedRow;
use crate::values::{SeriesValues, ValuesOf, replaced};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};
use duckdb::types::Value;
use duckdb::{Connection, params_from_iter};
use model::metric::MetricPoint;
use model::series::{SeriesId, SeriesRef};
use model::time::{HOUR_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

/// As [`crate::StoreReader::values_of`].
pub(super) fn values_of(connection: &Connection, wanted: &ValuesOf) -> Result<Vec<SeriesValues>, Cause> {
    let Some(whole) = wanted.whole().filter(|_| !wanted.colonies.is_empty()) else { return Ok(Vec::new()) };
    let names = names(connection, wanted)?;
    let (of_names, named) = condition_of_names(wanted);
    let within = [time(whole.start), time(whole.end)];
    let mut on_time: Vec<SeriesValues> = Vec::new();
    if !names.is_empty() {
        let (of_hours, hours) = condition_of_hours(wanted);
        // sql: identifiers only
        let sql = format!(
            "SELECT series_id, epoch_ms(timestamp), coalesce(p95, mean) FROM metric_buckets
             WHERE timestamp >= ? AND timestamp < ? {of_hours}
               AND series_id IN (SELECT series_id FROM metric_series WHERE {of_names})"
        );
        let values = within.iter().cloned().chain(hours).chain(named.iter().cloned());
        on_time = grouped(connection, &sql, values.collect(), &names)?;
    }
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM {} AS stored WHERE timestamp >= ? AND timestamp < ? AND {of_names}",
        selection::<MetricPoint>("stored"),
        MetricPoint::LATE_TABLE
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(within.into_iter().chain(named)))?;
    let mut copies = Vec::new();
    while let Some(row) = rows.next()? {
        copies.push(MetricPoint::read(row, 0)?.row);
    }
    Ok(replaced(on_time, copies, wanted))
}

/// The values of rows on time, by series.
fn grouped(
    connection: &Connection,
    sql: &str,
    values: Vec<Value>,
    names: &BTreeMap<u32, SeriesId>,
) -> Result<Vec<SeriesValues>, Cause> {
    let mut statement = connection.prepare(sql)?;
    let mut of_number: BTreeMap<u32, Vec<(TimeMs, f64)>> = BTreeMap::new();
    for batch in statement.query_arrow(params_from_iter(values))? {
        let numbers = batch.column(0).as_primitive::<UInt32Type>().values();
        let times = batch.column(1).as_primitive::<Int64Type>().values();
        let values = batch.column(2).as_primitive::<Float64Type>();
        let mut first = 0;
        // rows of a series mostly follow each other
        for run in numbers.chunk_by(|one, next| one == next) {
            let places = first..first + run.len();
            first = places.end;
            let known = places.filter(|place| values.is_valid(*place));
            let known = known.map(|place| (TimeMs(times[place]), values.value(place)));
            of_number.entry(run[0]).or_default().extend(known);
        }
    }
    let of_series = of_number.into_iter().filter_map(|(number, mut values)| {
        if !values.is_sorted_by_key(|(time, _)| *time) {
            values.sort_unstable_by_key(|(time, _)| *time);
        }
        Some(SeriesValues { series: *names.get(&number)?, values })
    });
    Ok(of_series.collect())
}

/// The series of the wanted colonies and services, by their number in this file.
fn names(connection: &Connection, wanted: &ValuesOf) -> Result<BTreeMap<u32, SeriesId>, Cause> {
    let (condition, values) = condition_of_names(wanted);
    // sql: identifiers only
    let sql = format!("SELECT {NAMES}, series_id FROM metric_series WHERE {condition}");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut names = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let texts: [String; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let [colony_id, application_name, environment, service_id, metric_name] = texts.each_ref().map(String::as_str);
        let interval_seconds = Some(row.get(5)?);
        let names_of =
            SeriesRef { colony_id, application_name, environment, service_id, metric_name, interval_seconds };
        names.insert(row.get(6)?, SeriesId::of(names_of));
    }
    Ok(names)
}

fn condition_of_names(wanted: &ValuesOf) -> (String, Vec<Value>) {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    for (column, texts) in [("colony_id", &wanted.colonies), ("service_id", &wanted.services)] {
        if !texts.is_empty() {
            conditions.push(format!("{column} IN ({})", marks(texts)));
            values.extend(texts.iter().cloned().map(Value::Text));
        }
    }
    (conditions.join(" AND "), values)
}

/// Which hours count, where these are not all from the first to the last.
fn condition_of_hours(wanted: &ValuesOf) -> (String, Vec<Value>) {
    if wanted.spans().len() < 2 {
        return (String::new(), Vec::new());
    }
    // sql: identifiers only
    let condition = format!("AND epoch_ms(timestamp) // {HOUR_MS} IN ({})", marks(&wanted.hours));
    (condition, wanted.hours.iter().map(|hour| Value::BigInt(hour.0 / HOUR_MS)).collect())
}

fn marks<T>(of: &BTreeSet<T>) -> String {
    vec!["?"; of.len()].join(", ")
}
