//! Rows of the small tables that describe a fleet, from pages: services, calls, hourly summaries.

use crate::resolve::Seen;
use crate::rollup::Summary;
use crate::schema::{Table, table};
use crate::transfer::Page;
use model::derived::Value;
use model::rows::RollupKey;
use model::time::TimeMs;
use model::topology::{ServiceEdge, ServiceNode};

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
