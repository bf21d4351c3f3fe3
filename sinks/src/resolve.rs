//! Which copy of a row is kept when two have the same identity: the same answer in every store and in any order of arrival.

use crate::Commit;
use foldhash::fast::RandomState as FastHash;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Finding, SignalKind};
use model::time::TimeMs;
use model::topology::{ServiceEdge, ServiceNode};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

/// A row as a store holds it. The greatest copy of a row is kept:
///
/// 1. a copy on time beats a late one, whatever their contents: what has been correlated stays what is stored, and a
///    rebuilt window is the window that was lost;
/// 2. then the row's own order decides: `(version, content)` of an event, [`MetricPoint::rank`] of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held<T> {
    /// Within the allowed lateness.
    pub on_time: bool,
    /// The row.
    pub row: T,
}

impl<T> Held<T> {
    /// The same of a borrowed row.
    pub fn as_ref(&self) -> Held<&T> {
        Held { on_time: self.on_time, row: &self.row }
    }
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
pub fn events(commit: &Commit) -> Vec<Held<&Event>> {
    let copies = copies(&commit.rows.events, &commit.late.events);
    winners(copies, |event| (event.colony_id.as_str(), event.event_id.as_str()))
}

/// The metric buckets of a commit, one copy each, in no particular order.
///
/// A series whose buckets come in the order of time has no two copies of one: nearly all do, and need no comparison.
pub fn metrics(commit: &Commit) -> Vec<Held<&MetricPoint>> {
    let copies = || copies(&commit.rows.metrics, &commit.late.metrics);
    let hasher = FastHash::default();
    let hashes: Vec<u64> = copies().map(|copy| hasher.hash_one(series_of(copy.row))).collect();
    let mut reached: HashMap<u64, TimeMs, FastHash> = HashMap::default();
    let mut disordered: HashSet<u64, FastHash> = HashSet::default();
    for (copy, hash) in copies().zip(&hashes) {
        let before = reached.insert(*hash, copy.row.timestamp);
        if before.is_some_and(|before| before >= copy.row.timestamp) {
            disordered.insert(*hash);
        }
    }
    if disordered.is_empty() {
        return copies().collect();
    }
    let (rest, rows): (Vec<_>, Vec<_>) = copies().zip(&hashes).partition(|(_, hash)| disordered.contains(hash));
    let mut kept: Vec<Held<&MetricPoint>> = rows.into_iter().map(|(copy, _)| copy).collect();
    kept.extend(winners(rest.into_iter().map(|(copy, _)| copy), |point| (point.timestamp, series_of(point))));
    kept
}

/// What tells series apart: colony, application, environment, service, metric, interval.
pub(crate) type SeriesRef<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, u32);

/// The series of `point`.
pub(crate) fn series_of(point: &MetricPoint) -> SeriesRef<'_> {
    (
        &point.series.colony_id,
        &point.application_name,
        &point.environment,
        &point.series.service_id,
        &point.series.metric_name,
        point.interval_seconds.unwrap_or(0),
    )
}

fn copies<'a, T>(on_time: &'a [T], late: &'a [T]) -> impl Iterator<Item = Held<&'a T>> {
    let on_time = on_time.iter().map(|row| Held { on_time: true, row });
    on_time.chain(late.iter().map(|row| Held { on_time: false, row }))
}

fn winners<'a, T: Ord, K: Eq + Hash>(
    copies: impl Iterator<Item = Held<&'a T>>,
    identity: impl Fn(&'a T) -> K,
) -> Vec<Held<&'a T>> {
    let mut places: HashMap<K, usize, FastHash> = HashMap::default();
    let mut kept: Vec<Held<&T>> = Vec::new();
    for copy in copies {
        match places.entry(identity(copy.row)) {
            Entry::Occupied(place) if copy > kept[*place.get()] => kept[*place.get()] = copy,
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(copy);
            }
        }
    }
    kept
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::commit_of;
    use crate::compliance::rows::bucket;
    use model::rows::Rows;

    fn commit(metrics: &[MetricPoint]) -> Commit {
        commit_of(0, Rows { metrics: metrics.to_vec(), ..Rows::default() })
    }

    #[test]
    fn of_two_copies_in_one_commit_the_greater_is_left() {
        let (open, mut closed, other) = (bucket("api", 60_000), bucket("api", 60_000), bucket("web", 0));
        closed.count = open.count.map(|count| count + 1);
        for copies in [[&open, &closed, &other], [&closed, &other, &open], [&other, &closed, &open]] {
            let commit = commit(&copies.map(Clone::clone));
            let mut rows: Vec<&MetricPoint> = metrics(&commit).into_iter().map(|held| held.row).collect();
            rows.sort();
            assert_eq!(rows, [&closed, &other]);
        }
    }

    #[test]
    fn buckets_against_the_order_of_time_are_all_left() {
        let commit = commit(&[bucket("api", 120_000), bucket("api", 60_000), bucket("api", 180_000)]);
        assert_eq!(metrics(&commit).len(), 3);
    }
}
