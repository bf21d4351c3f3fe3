//! Reads the small tables that describe a fleet, events of some types, metrics of some colonies.

use super::fault::Fault;
use super::pages::{self, PagedRow};
use super::rows::{ReadRow, selection};
use super::select::{read, selected};
use super::server::Server;
use crate::columns::ReportedRow;
use crate::overview;
use crate::resolve::Seen;
use crate::rollup::Summary;
use crate::store::{MetricFilter, Span};
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::RollupKey;
use model::time::TimeMs;
use model::topology::{ServiceEdge, ServiceNode};
use serde::Deserialize;

pub(super) async fn services(server: &Server) -> Result<Vec<Seen<ServiceNode>>, Fault> {
    let table = overview::nodes_table();
    let query = selected(server, table, "ORDER BY stored.colony_id, stored.service_id");
    Ok(overview::nodes(&read(server, table, query).await?))
}

pub(super) async fn calls(server: &Server) -> Result<Vec<Seen<ServiceEdge>>, Fault> {
    let table = overview::edges_table();
    let which = "ORDER BY stored.colony_id, stored.from_service, stored.to_service, stored.protocol";
    Ok(overview::edges(&read(server, table, selected(server, table, which)).await?))
}

pub(super) async fn hours(server: &Server, from: TimeMs, to: TimeMs) -> Result<Vec<(RollupKey, Summary)>, Fault> {
    let table = overview::hours_table();
    let which = "WHERE stored.hour >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
                   AND stored.hour < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
                 ORDER BY stored.hour, stored.application_name, stored.environment, stored.metric_name";
    let query = selected(server, table, which).param("from", from.0).param("to", to.0);
    Ok(overview::hours(&read(server, table, query).await?))
}

#[derive(clickhouse::Row, Deserialize)]
struct TypeAnswer {
    event_type: String,
}

pub(super) async fn event_types(server: &Server) -> Result<Vec<String>, Fault> {
    let sql = "SELECT DISTINCT toString(event_type) AS event_type FROM federated_events FINAL WHERE NOT late \
               ORDER BY event_type";
    Ok(server.rows::<TypeAnswer>(server.query(sql)).await?.into_iter().map(|row| row.event_type).collect())
}

#[derive(clickhouse::Row, Deserialize)]
struct ServiceAnswer {
    service: String,
}

pub(super) async fn service_names(server: &Server) -> Result<Vec<String>, Fault> {
    let sql = "SELECT DISTINCT service FROM (SELECT toString(service_id) AS service FROM federated_metrics UNION ALL \
               SELECT toString(service_id) AS service FROM federated_events UNION ALL \
               SELECT toString(service_id) AS service FROM late_metric_copies UNION ALL \
               SELECT toString(service_id) AS service FROM late_event_copies) ORDER BY service";
    Ok(server.rows::<ServiceAnswer>(server.query(sql)).await?.into_iter().map(|row| row.service).collect())
}

/// A page of the events of these types.
pub(super) async fn events_of(
    server: &Server,
    types: &[String],
    after: Option<&Event>,
    limit: usize,
) -> Result<Vec<Event>, Fault> {
    let beyond = match after {
        // sql: identifiers only
        Some(_) => format!("WHERE ({}) > ({})", Event::ORDER, Event::PLACE),
        None => String::new(),
    };
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM (SELECT {} FROM {} FINAL WHERE NOT late AND event_type IN {{types:Array(String)}}) {beyond}
         ORDER BY {} LIMIT {{limit:UInt64}}",
        [Event::KEY, Event::CONTENT, Event::OWN].concat().join(", "),
        selection::<Event>(),
        Event::TABLE,
        Event::ORDER
    );
    let mut query = server.query(&sql).param("types", types).param("limit", u64::try_from(limit).unwrap_or(u64::MAX));
    if let Some(event) = after {
        query = event.bind(query);
    }
    let rows = server.rows::<<Event as ReadRow>::Answer>(query).await?;
    rows.into_iter().map(|row| Ok(Event::read(row)?.row)).collect()
}

/// The metric buckets of these colonies in a span of time, each by its late copy, if there is one.
pub(super) async fn metrics_of(
    server: &Server,
    colonies: &[String],
    (from, to): (TimeMs, TimeMs),
) -> Result<Vec<MetricPoint>, Fault> {
    let filter = MetricFilter { colonies: Some(colonies.to_vec()), ..MetricFilter::default() };
    metrics_where(server, &filter, (from, to)).await
}

/// The same of the buckets that a filter takes.
pub(super) async fn metrics_where(
    server: &Server,
    filter: &MetricFilter,
    (from, to): (TimeMs, TimeMs),
) -> Result<Vec<MetricPoint>, Fault> {
    let columns = filter.columns();
    // sql: identifiers only
    let condition = |(column, _): &(&str, _)| format!(" AND {column} IN {{{column}:Array(String)}}");
    // sql: identifiers only
    let sql = format!(
        "SELECT {} FROM ({}) WHERE true{} ORDER BY {}",
        [MetricPoint::KEY, MetricPoint::CONTENT, MetricPoint::OWN].concat().join(", "),
        pages::rows_of::<MetricPoint>(Span { from, to: Some(to), with_late: true }),
        columns.iter().map(condition).collect::<String>(),
        MetricPoint::ORDER
    );
    let mut query = server.query(&sql).param("begin", from.0).param("end", to.0);
    for (column, wanted) in &columns {
        query = query.param(column, wanted);
    }
    let rows = server.rows::<<MetricPoint as ReadRow>::Answer>(query).await?;
    rows.into_iter().map(|row| Ok(MetricPoint::read(row)?.row)).collect()
}
