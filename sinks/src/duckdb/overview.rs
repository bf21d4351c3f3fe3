//! Reads the small tables that describe a fleet, events of some types, metrics of some colonies.

use super::fault::Cause;
use super::fleet::time;
use super::reader::{self, PagedRow};
use super::rows::{ReadRow, selection};
use super::select::select;
use crate::columns::ReportedRow;
use crate::overview::{self, Named};
use crate::resolve::Seen;
use crate::rollup::Summary;
use crate::store::{MetricFilter, Span};
use duckdb::Connection;
use duckdb::types::Value;
use model::colony::ColonyIdentity;
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::RollupKey;
use model::time::TimeMs;
use model::topology::{ServiceEdge, ServiceNode};
use std::collections::BTreeMap;

pub(super) fn services(connection: &Connection) -> Result<Vec<Seen<ServiceNode>>, Cause> {
    let page = select(connection, overview::nodes_table(), "ORDER BY colony_id, service_id", Vec::new())?;
    Ok(overview::nodes(&page))
}

pub(super) fn calls(connection: &Connection) -> Result<Vec<Seen<ServiceEdge>>, Cause> {
    let which = "ORDER BY colony_id, from_service, to_service, protocol";
    Ok(overview::edges(&select(connection, overview::edges_table(), which, Vec::new())?))
}

pub(super) fn hours(connection: &Connection, from: TimeMs, to: TimeMs) -> Result<Vec<(RollupKey, Summary)>, Cause> {
    let which = "WHERE hour >= ? AND hour < ? ORDER BY hour, application_name, environment, metric_name";
    Ok(overview::hours(&select(connection, overview::hours_table(), which, vec![time(from), time(to)])?))
}

/// Series are named once, so that only their numbers are grouped.
pub(super) fn identities(connection: &Connection) -> Result<BTreeMap<String, ColonyIdentity>, Cause> {
    let sql = "SELECT true, epoch_ms(max(newest)), colony_id, application_name, environment
               FROM (SELECT series_id, max(timestamp) AS newest FROM metric_buckets WHERE NOT late GROUP BY series_id)
               JOIN metric_series USING (series_id) GROUP BY colony_id, application_name, environment
               UNION ALL
               SELECT false, epoch_ms(max(timestamp)), colony_id, application_name, environment
               FROM federated_events WHERE NOT late GROUP BY colony_id, application_name, environment";
    let mut statement = connection.prepare(sql)?;
    let named = statement.query_map([], |row| {
        let identity = (row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Named { is_of_bucket: row.get(0)?, newest: TimeMs(row.get(1)?), identity })
    })?;
    Ok(overview::identities(named.collect::<Result<_, _>>()?))
}

pub(super) fn event_types(connection: &Connection) -> Result<Vec<String>, Cause> {
    let sql = "SELECT DISTINCT event_type FROM federated_events WHERE NOT late ORDER BY event_type";
    let mut statement = connection.prepare(sql)?;
    let types = statement.query_map([], |row| row.get(0))?;
    Ok(types.collect::<Result<_, _>>()?)
}

pub(super) fn service_names(connection: &Connection) -> Result<Vec<String>, Cause> {
    let sql = "SELECT service_id FROM metric_series UNION SELECT service_id FROM federated_events \
               UNION SELECT service_id FROM late_event_copies ORDER BY service_id";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// A page of the events of these types.
pub(super) fn events_of(
    connection: &Connection,
    types: &[String],
    after: Option<&Event>,
    limit: usize,
) -> Result<Vec<Event>, Cause> {
    if types.is_empty() {
        return Ok(Vec::new());
    }
    let marks = |count: usize| vec!["?"; count].join(", ");
    let mut values: Vec<Value> = types.iter().cloned().map(Value::Text).collect();
    let place = after.map(PagedRow::place).unwrap_or_default();
    let beyond = match place.len() {
        0 => String::new(),
        count => format!("AND ({}) > ({})", Event::ORDER, marks(count)),
    };
    values.extend(place);
    values.push(Value::BigInt(i64::try_from(limit).unwrap_or(i64::MAX)));
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM {} AS stored WHERE NOT late AND event_type IN ({}) {beyond} ORDER BY {} LIMIT ?",
        selection::<Event>("stored"),
        Event::TABLE,
        marks(types.len()),
        Event::ORDER
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(duckdb::params_from_iter(values))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(Event::read(row, 0)?.row);
    }
    Ok(events)
}

/// The metric buckets of these colonies in a span of time, each by its late copy, if there is one.
pub(super) fn metrics_of(
    connection: &Connection,
    colonies: &[String],
    (from, to): (TimeMs, TimeMs),
) -> Result<Vec<MetricPoint>, Cause> {
    metrics_where(
        connection,
        &MetricFilter { colonies: Some(colonies.to_vec()), ..MetricFilter::default() },
        (from, to),
    )
}

/// The same of the buckets that a filter takes.
pub(super) fn metrics_where(
    connection: &Connection,
    filter: &MetricFilter,
    (from, to): (TimeMs, TimeMs),
) -> Result<Vec<MetricPoint>, Cause> {
    let mut values: Vec<Value> = vec![time(from), time(to)];
    let mut conditions = String::new();
    for (column, wanted) in filter.columns() {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        // sql: identifiers only
        conditions.push_str(&format!(" AND {column} IN ({})", vec!["?"; wanted.len()].join(", ")));
        values.extend(wanted.into_iter().map(Value::Text));
    }
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM {} AS stored WHERE timestamp >= ? AND timestamp < ?{conditions} ORDER BY {}",
        selection::<MetricPoint>("stored"),
        reader::rows_of::<MetricPoint>(Span { from, to: Some(to), with_late: true }),
        MetricPoint::ORDER
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(duckdb::params_from_iter(values))?;
    let mut points = Vec::new();
    while let Some(row) = rows.next()? {
        points.push(MetricPoint::read(row, 0)?.row);
    }
    Ok(points)
}
