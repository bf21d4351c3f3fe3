//! Which copies of a row are kept when several have the same identity: the same answer in every store and in any order of
//! arrival.

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

/// A row as a store shows it. The greatest copy of a row is shown:
///
/// 1. a copy on time beats a late one, whatever their contents: what has been correlated stays what is shown, and a
///    rebuilt window is the window that was lost;
/// 2. then the row's own order decides: `(version, content)` of an event, [`MetricPoint::rank`] of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held<T> {
    /// Within the allowed lateness.
    pub on_time: bool,
    /// The row.
    pub row: T,
}

/// The copies of a row that are kept: the one that is shown, and a late one that says more than it (a newer version, a
/// withdrawal, a fuller bucket), until a backfill or a replay makes that one count.
///
/// Both are a function of the set of copies: the greatest copy on time, else the greatest late one; and the greatest late
/// one, if it is greater by the row's own order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// In the table of its kind.
    pub shown: Held<T>,
    /// In the table of late copies.
    pub aside: Option<T>,
}

impl<T: Ord> Kept<T> {
    /// Takes in another copy.
    pub fn take(&mut self, copy: Held<T>) {
        let smaller = if copy > self.shown { std::mem::replace(&mut self.shown, copy) } else { copy };
        let late = (!smaller.on_time).then_some(smaller.row);
        self.aside = self.aside.take().into_iter().chain(late).max().filter(|row| *row > self.shown.row);
    }

    /// The same after the copies that are stored.
    pub(crate) fn after(mut self, shown: Option<Held<T>>, aside: Option<T>) -> Kept<T> {
        let aside = aside.map(|row| Held { on_time: false, row });
        shown.into_iter().chain(aside).for_each(|copy| self.take(copy));
        self
    }
}

impl<T> Kept<T> {
    /// The same, borrowed.
    pub(crate) fn each_ref(&self) -> Kept<&T> {
        Kept { shown: self.shown.each_ref(), aside: self.aside.as_ref() }
    }
}

impl<T> Held<T> {
    /// The same, borrowed.
    pub(crate) fn each_ref(&self) -> Held<&T> {
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

/// The events of a commit, each once.
pub fn events(commit: &Commit) -> Vec<Kept<Event>> {
    by_identity(&commit.rows.events, &commit.late.events, |event| (event.colony_id.as_str(), event.event_id.as_str()))
}

/// The metric buckets of a commit, each once, with zeros unsigned: SQL takes -0 and 0 for the same number, so that which
/// of the two is kept would depend on the order of arrival.
pub fn metrics<'a>(commit: &'a Commit) -> Vec<Kept<MetricPoint>> {
    let identity = |point: &'a MetricPoint| {
        let series = &point.series;
        let place = (point.timestamp, point.interval_seconds.unwrap_or(0));
        (place, &series.service_id, &series.metric_name, &series.colony_id, &point.application_name, &point.environment)
    };
    let mut buckets = by_identity(&commit.rows.metrics, &commit.late.metrics, identity);
    for bucket in &mut buckets {
        unsign_zeros(&mut bucket.shown.row);
        bucket.aside.iter_mut().for_each(unsign_zeros);
    }
    buckets
}

fn unsign_zeros(row: &mut MetricPoint) {
    for value in [&mut row.mean, &mut row.p50, &mut row.p95, &mut row.p99, &mut row.max] {
        *value = value.map(|Real(number)| Real(number + 0.0));
    }
}

fn by_identity<'a, T: Ord + Clone, K: Eq + Hash>(
    on_time: &'a [T],
    late: &'a [T],
    identity: impl Fn(&'a T) -> K,
) -> Vec<Kept<T>> {
    let mut places: HashMap<K, usize> = HashMap::with_capacity(on_time.len() + late.len());
    let mut kept: Vec<Kept<&T>> = Vec::with_capacity(on_time.len() + late.len());
    let copies = on_time.iter().map(|row| Held { on_time: true, row });
    for copy in copies.chain(late.iter().map(|row| Held { on_time: false, row })) {
        match places.entry(identity(copy.row)) {
            Entry::Occupied(place) => kept[*place.get()].take(copy),
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(Kept { shown: copy, aside: None });
            }
        }
    }
    let owned = |copy: Held<&T>| Held { on_time: copy.on_time, row: copy.row.clone() };
    kept.into_iter().map(|kept| Kept { shown: owned(kept.shown), aside: kept.aside.cloned() }).collect()
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

    /// Every order of three copies, of every kind, ends in the same.
    #[test]
    fn what_is_kept_is_a_function_of_the_set_of_copies() {
        let copy = |number: usize| Held { on_time: number.is_multiple_of(2), row: number / 2 };
        for numbers in (0..512).map(|number| [number % 8, number / 8 % 8, number / 64]) {
            let [a, b, c] = numbers.map(copy);
            let kept = |first, others: [Held<usize>; 2]| {
                let mut kept = Kept { shown: first, aside: None };
                others.into_iter().for_each(|copy| kept.take(copy));
                kept
            };
            let greatest =
                |on_time: bool| [a, b, c].into_iter().filter(|copy| copy.on_time == on_time).map(|copy| copy.row).max();
            let expected = match (greatest(true), greatest(false)) {
                (Some(row), late) => {
                    Kept { shown: Held { on_time: true, row }, aside: late.filter(|late| *late > row) }
                }
                (None, late) => Kept { shown: Held { on_time: false, row: late.unwrap_or(0) }, aside: None },
            };
            for (first, others) in [(a, [b, c]), (a, [c, b]), (b, [a, c]), (b, [c, a]), (c, [a, b]), (c, [b, a])] {
                assert_eq!(kept(first, others), expected, "{a:?} {b:?} {c:?}");
            }
        }
    }
}
