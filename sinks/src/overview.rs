//! Rows of the small tables that describe a fleet, from pages: services, calls, hourly summaries; whose the colonies are.

use crate::resolve::Seen;
use crate::rollup::Summary;
use crate::schema::{Table, table};
use crate::transfer::Page;
use model::colony::ColonyIdentity;
use model::derived::Value;
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::RollupKey;
use model::time::TimeMs;
use model::topology::{ServiceEdge, ServiceNode};
use std::collections::BTreeMap;

/// Names that rows of a colony state, and the newest of these rows. The greatest of a colony are its own: metric buckets
/// before events, newer rows before older ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub is_of_bucket: bool,
    pub newest: TimeMs,
    pub identity: (String, String, String),
}

impl Named {
    pub fn of_event(row: &Event) -> Named {
        let identity = (row.colony_id.clone(), row.application_name.clone(), row.environment.clone());
        Named { is_of_bucket: false, newest: row.timestamp, identity }
    }

    pub fn of_bucket(row: &MetricPoint) -> Named {
        let series = row.series.series();
        let identity = (series.key.colony_id.clone(), series.application_name.clone(), series.environment.clone());
        Named { is_of_bucket: true, newest: row.timestamp, identity }
    }
}

/// The names of each colony.
pub(crate) fn identities(mut named: Vec<Named>) -> BTreeMap<String, ColonyIdentity> {
    named.sort();
    let identity = |Named { identity: (colony_id, application_name, environment), .. }| {
        (colony_id.clone(), ColonyIdentity { colony_id, application_name, environment })
    };
    // of several the last one stays
    named.into_iter().map(identity).collect()
}

/// The table of services.
pub(crate) fn nodes_table() -> &'static Table {
    table("service_nodes")
}

/// The table of calls between services.
pub(crate) fn edges_table() -> &'static Table {
    table("service_edges")
}

/// The table of hourly summaries.
pub(crate) fn hours_table() -> &'static Table {
    table("env_metric_summary")
}

/// The values of one row, taken in the order of the columns.
struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    fn text(&mut self) -> String {
        if let Some(Value::Text(text)) = self.0.next() { text } else { String::new() }
    }

    fn time(&mut self) -> TimeMs {
        if let Some(Value::Time(time)) = self.0.next() { time } else { TimeMs(0) }
    }

    fn count(&mut self) -> u64 {
        if let Some(Value::Count(count)) = self.0.next() { count } else { 0 }
    }

    fn real(&mut self) -> Option<f64> {
        if let Some(Value::Real(real)) = self.0.next() { Some(real.0) } else { None }
    }
}

fn each<T>(page: &Page, read: impl Fn(&mut Fields) -> T) -> Vec<T> {
    page.rows().into_iter().map(|row| read(&mut Fields(row.into_iter()))).collect()
}

/// Services, of a page of their table.
pub(crate) fn nodes(page: &Page) -> Vec<Seen<ServiceNode>> {
    each(page, |fields| {
        let (colony_id, service_id, name) = (fields.text(), fields.text(), fields.text());
        let (version, status, first_seen_at) = (fields.text(), fields.text(), fields.time());
        let latest = ServiceNode { colony_id, service_id, name, version, status, seen_at: fields.time() };
        Seen { first_seen_at, latest }
    })
}

/// Calls, of a page of their table.
pub(crate) fn edges(page: &Page) -> Vec<Seen<ServiceEdge>> {
    each(page, |fields| {
        let (colony_id, from_service, to_service) = (fields.text(), fields.text(), fields.text());
        let (protocol, request_count, first_seen_at) = (fields.text(), fields.count(), fields.time());
        let seen_at = fields.time();
        let latest = ServiceEdge { colony_id, from_service, to_service, protocol, request_count, seen_at };
        Seen { first_seen_at, latest }
    })
}

/// Hourly summaries, of a page of their table.
pub(crate) fn hours(page: &Page) -> Vec<(RollupKey, Summary)> {
    each(page, |fields| {
        let (hour, application_name, environment) = (fields.time(), fields.text(), fields.text());
        let key = RollupKey { application_name, environment, metric_name: fields.text(), hour };
        let (mean_p95, max_value) = (fields.real(), fields.real());
        (key, Summary { mean_p95, max_value, total_samples: fields.count(), points: fields.count() })
    })
}
