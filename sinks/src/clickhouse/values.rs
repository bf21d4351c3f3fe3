//! Values of metric series at some hours, each series as one row of the response.

use super::fault::Fault;
use super::pages;
use super::server::Server;
use crate::store::Span;
use crate::values::{SeriesValues, ValuesOf};
use model::metric::MetricPoint;
use model::series::{SeriesId, SeriesRef};
use model::time::{HOUR_MS, TimeMs};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(clickhouse::Row, Deserialize)]
struct SeriesAnswer {
    colony_id: String,
    application_name: String,
    environment: String,
    service_id: String,
    metric_name: String,
    interval_seconds: u32,
    found: Vec<(i64, f64)>,
}

/// As [`crate::StoreReader::values_of`].
pub(super) async fn values_of(server: &Server, wanted: &ValuesOf) -> Result<Vec<SeriesValues>, Fault> {
    let Some(whole) = wanted.whole().filter(|_| !wanted.colonies.is_empty()) else { return Ok(Vec::new()) };
    let of_services = if wanted.services.is_empty() { "" } else { "AND service_id IN {services:Array(String)}" };
    // sql: identifiers only
    let sql = format!(
        "SELECT colony_id, application_name, environment, service_id, metric_name, interval_seconds,
                arraySort(groupArray((toUnixTimestamp64Milli(timestamp), assumeNotNull(coalesce(p95, mean))))) AS found
         FROM ({})
         WHERE colony_id IN {{colonies:Array(String)}} {of_services}
           AND intDiv(toUnixTimestamp64Milli(timestamp), {HOUR_MS}) IN {{hours:Array(Int64)}}
           AND coalesce(p95, mean) IS NOT NULL
         GROUP BY colony_id, application_name, environment, service_id, metric_name, interval_seconds",
        pages::rows_of::<MetricPoint>(Span { from: whole.start, to: Some(whole.end), with_late: true })
    );
    let texts = |texts: &BTreeSet<String>| texts.iter().cloned().collect::<Vec<String>>();
    let hours: Vec<i64> = wanted.hours.iter().map(|hour| hour.0 / HOUR_MS).collect();
    let mut query = server.query(&sql).param("begin", whole.start.0).param("end", whole.end.0);
    query = query.param("colonies", texts(&wanted.colonies)).param("hours", hours);
    if !wanted.services.is_empty() {
        query = query.param("services", texts(&wanted.services));
    }
    let answers = server.rows::<SeriesAnswer>(query).await?;
    let mut found: Vec<SeriesValues> = answers.into_iter().map(SeriesValues::from).collect();
    found.sort_by_key(|one| one.series);
    Ok(found)
}

impl From<SeriesAnswer> for SeriesValues {
    fn from(answer: SeriesAnswer) -> SeriesValues {
        let names = SeriesRef {
            colony_id: &answer.colony_id,
            application_name: &answer.application_name,
            environment: &answer.environment,
            service_id: &answer.service_id,
            metric_name: &answer.metric_name,
            interval_seconds: Some(answer.interval_seconds),
        };
        let values = answer.found.into_iter().map(|(time, value)| (TimeMs(time), value));
        SeriesValues { series: SeriesId::of(names), values: values.collect() }
    }
}
