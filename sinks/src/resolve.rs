//! Which copy of a row is kept when two have the same identity: the same answer in every store and in any order of arrival.

use crate::Commit;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Finding, SignalKind};
use model::real::Real;
use model::time::TimeMs;
use model::topology::{ServiceEdge, ServiceNode};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// A row as a store holds it. The greatest copy of a row is kept:
///
/// 1. a copy on time beats a late one, whatever their contents: what has been correlated stays what is stored, and a
///    rebuilt window is the window that was lost;
/// 2. then the row's own order decides: `(version, content)` of an event, [`MetricPoint::rank`] of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held<T> {
    /// Within the allowed lateness.
    pub on_time: bool,
    /// The row.
    pub row: T,
}

/// Identity of a stored metric bucket: `(colony, application, environment, service, metric, interval, timestamp)`.
pub type MetricKey = (String, String, String, String, String, u32, i64);

/// The identity of `point`.
pub fn metric_key(point: &MetricPoint) -> MetricKey {
    (
        point.series.colony_id.clone(),
        point.application_name.clone(),
        point.environment.clone(),
        point.series.service_id.clone(),
        point.series.metric_name.clone(),
        point.interval_seconds.unwrap_or(0),
        point.timestamp.0,
    )
}

/// The events of a commit, one copy each.
pub fn events(commit: &Commit) -> Vec<Held<Event>> {
    winners(&commit.rows.events, &commit.late.events, |event| (event.colony_id.as_str(), event.event_id.as_str()))
}

/// The metric buckets of a commit, one copy each, with zeros unsigned: SQL takes -0 and 0 for the same number, so
/// that which of the two is kept would depend on the order of arrival.
pub fn metrics<'a>(commit: &'a Commit) -> Vec<Held<MetricPoint>> {
    let identity = |point: &'a MetricPoint| {
        let series = &point.series;
        let place = (point.timestamp, point.interval_seconds.unwrap_or(0));
        (place, &series.service_id, &series.metric_name, &series.colony_id, &point.application_name, &point.environment)
    };
    let mut held = winners(&commit.rows.metrics, &commit.late.metrics, identity);
    for bucket in &mut held {
        let row = &mut bucket.row;
        for value in [&mut row.mean, &mut row.p50, &mut row.p95, &mut row.p99, &mut row.max] {
            *value = value.map(|Real(number)| Real(number + 0.0));
        }
    }
    held
}

fn winners<'a, T: Ord + Clone, K: Eq + Hash>(
    on_time: &'a [T],
    late: &'a [T],
    identity: impl Fn(&'a T) -> K,
) -> Vec<Held<T>> {
    let mut places: HashMap<K, usize> = HashMap::with_capacity(on_time.len() + late.len());
    let mut kept: Vec<Held<&T>> = Vec::with_capacity(on_time.len() + late.len());
    let copies = on_time.iter().map(|row| Held { on_time: true, row });
    for copy in copies.chain(late.iter().map(|row| Held { on_time: false, row })) {
        match places.entry(identity(copy.row)) {
            Entry::Occupied(place) if copy > kept[*place.get()] => kept[*place.get()] = copy,
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(copy);
            }
        }
    }
    kept.into_iter().map(|copy| Held { on_time: copy.on_time, row: copy.row.clone() }).collect()
}

/// A topology row as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    /// Least time of a sighting.
    pub first_seen_at: TimeMs,
    /// The latest sighting; among equals the greatest row.
    pub latest: T,
}

/// A row that says when it was true.
pub trait Sighting: Ord + Clone {
    /// When the colony said so.
    fn seen_at(&self) -> TimeMs;
}

impl Sighting for ServiceNode {
    fn seen_at(&self) -> TimeMs {
        self.seen_at
    }
}

impl Sighting for ServiceEdge {
    fn seen_at(&self) -> TimeMs {
        self.seen_at
    }
}

impl<T: Sighting> Seen<T> {
    /// What is held after `row`, when `stored` was held before it.
    pub fn with(stored: Option<Seen<T>>, row: &T) -> Seen<T> {
        let Some(stored) = stored else {
            return Seen { first_seen_at: row.seen_at(), latest: row.clone() };
        };
        let is_newer = (row.seen_at(), row) > (stored.latest.seen_at(), &stored.latest);
        Seen {
            first_seen_at: stored.first_seen_at.min(row.seen_at()),
            latest: if is_newer { row.clone() } else { stored.latest },
        }
    }
}

/// Which side of a pattern an event stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// What comes first.
    Source,
    /// What follows.
    Target,
}

impl Role {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Target => "target",
        }
    }
}

/// The events that stand behind a finding: `(colony_id, event_id, role)`, each once. Metric sides have none.
pub fn event_links(finding: &Finding) -> BTreeSet<(String, String, Role)> {
    let key = &finding.correlation.key;
    let mut links = BTreeSet::new();
    for row in &finding.evidence {
        for (signal, reference, role) in
            [(&key.source, &row.source_ref, Role::Source), (&key.target, &row.target_ref, Role::Target)]
        {
            if signal.kind == SignalKind::Event {
                links.insert((signal.colony_id.clone(), reference.clone(), role));
            }
        }
    }
    links
}
