//! Which copies of a row are stored if several have the same identity: the same in every store and for any order of
//! arrival.

use crate::commit::Commit;
use crate::outcome::{Met, Outcome};
use crate::stored::{StoredCopies, StoredRow};
use foldhash::fast::RandomState as FastHash;
use model::columns::MetricRow;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Finding, SignalKind};
use model::series::SeriesId;
use model::time::TimeMs;
use model::topology::{ServiceEdge, ServiceNode};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Identity of a stored metric bucket: `(colony, application, environment, service, metric, interval, timestamp)`.
pub type MetricKey = (String, String, String, String, String, u32, i64);

/// The identity of `point`.
pub fn metric_key(point: &MetricPoint) -> MetricKey {
    let series = point.series.series();
    (
        series.key.colony_id.clone(),
        series.application_name.clone(),
        series.environment.clone(),
        series.key.service_id.clone(),
        series.key.metric_name.clone(),
        series.interval_seconds.unwrap_or(0),
        point.timestamp.0,
    )
}

/// The events of a commit, each once. What copies have in each other's way is counted.
pub fn events<'a>(commit: &'a Commit, outcome: &mut Outcome) -> Vec<StoredCopies<&'a Event>> {
    let copies = copies(&commit.rows.events, &commit.late.events);
    by_identity(copies, |event| (event.colony_id.as_str(), event.event_id.as_str()), outcome)
}

/// Two copies of a row in one commit. Which of them came first says nothing, and of two states of a bucket the fuller one
/// is the later.
fn meet<T: Met + Ord>(one: StoredRow<&T>, other: StoredRow<&T>, outcome: &mut Outcome) {
    let mut met = Outcome::default();
    T::met(one.min(other), one.max(other), &mut met);
    if met.fewer_samples == 0 {
        outcome.add(met);
    }
}

/// The buckets of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeriesBuckets<'a> {
    pub(crate) series: SeriesId,
    /// Each once, in the order of time.
    pub(crate) buckets: Vec<StoredCopies<MetricRow<'a>>>,
}

/// Rows of one series, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeriesRows<'a> {
    pub(crate) series: SeriesId,
    pub(crate) rows: Vec<StoredRow<MetricRow<'a>>>,
}

/// The metric buckets of a commit, each once, by series in the order of their names: so stores look up, write and sum.
pub(crate) fn metrics<'a>(commit: &'a Commit, outcome: &mut Outcome) -> Vec<SeriesBuckets<'a>> {
    let mut of_series: Vec<SeriesBuckets<'_>> = Vec::new();
    let mut numbers: HashMap<SeriesId, usize, FastHash> = HashMap::default();
    let late = commit.late.metrics.rows().map(|row| StoredRow { on_time: false, row });
    for copy in commit.rows.metrics.rows().map(|row| StoredRow { on_time: true, row }).chain(late) {
        let series = copy.row.series();
        let number = *numbers.entry(series).or_insert_with(|| {
            of_series.push(SeriesBuckets { series, buckets: Vec::new() });
            of_series.len() - 1
        });
        of_series[number].buckets.push(StoredCopies { current: copy, late: None });
    }
    of_series.iter_mut().for_each(|series| series.order(outcome));
    of_series.sort_unstable_by_key(|of| of.series.series().names());
    of_series
}

impl SeriesBuckets<'_> {
    /// In the order of time, copies of one bucket as one. Nearly always they come so.
    fn order(&mut self, outcome: &mut Outcome) {
        let time = |kept: &StoredCopies<MetricRow<'_>>| kept.current.row.timestamp();
        if self.buckets.is_sorted_by(|one, next| time(one) < time(next)) {
            return;
        }
        self.buckets.sort_by_key(time);
        let mut ordered: Vec<StoredCopies<MetricRow<'_>>> = Vec::with_capacity(self.buckets.len());
        for kept in self.buckets.drain(..) {
            match ordered.last_mut() {
                Some(last) if time(last) == time(&kept) => {
                    meet(last.current.each_ref(), kept.current.each_ref(), outcome);
                    last.take(kept.current);
                }
                _ => ordered.push(kept),
            }
        }
        self.buckets = ordered;
    }
}

impl StoredRow<MetricRow<'_>> {
    /// The row by itself.
    pub(crate) fn point(&self) -> StoredRow<MetricPoint> {
        StoredRow { on_time: self.on_time, row: self.row.point() }
    }
}

impl StoredCopies<MetricRow<'_>> {
    /// The rows by themselves.
    pub(crate) fn points(&self) -> StoredCopies<MetricPoint> {
        StoredCopies { current: self.current.point(), late: self.late.map(|row| row.point()) }
    }
}

fn copies<'a, T>(on_time: &'a [T], late: &'a [T]) -> impl Iterator<Item = StoredRow<&'a T>> {
    let on_time = on_time.iter().map(|row| StoredRow { on_time: true, row });
    on_time.chain(late.iter().map(|row| StoredRow { on_time: false, row }))
}

fn by_identity<'a, T: Ord + Met, K: Eq + Hash>(
    copies: impl Iterator<Item = StoredRow<&'a T>>,
    identity: impl Fn(&'a T) -> K,
    outcome: &mut Outcome,
) -> Vec<StoredCopies<&'a T>> {
    let mut places: HashMap<K, usize, FastHash> = HashMap::default();
    let mut kept: Vec<StoredCopies<&T>> = Vec::new();
    for copy in copies {
        match places.entry(identity(copy.row)) {
            Entry::Occupied(place) => {
                let before = &mut kept[*place.get()];
                meet(before.current, copy, outcome);
                before.take(copy);
            }
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(StoredCopies { current: copy, late: None });
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

/// A row with the time of its observation.
pub trait Sighting: Ord + Clone {
    /// When the colony reported it.
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
    /// The stored row after `row`, if `stored` was stored before.
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

/// The side of a pattern that an event is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The source.
    Source,
    /// The target.
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

/// The events of the matched pairs behind a finding: `(colony_id, event_id, role)`, each once. Metric sides have none.
pub fn event_links(finding: &Finding) -> BTreeSet<(String, String, Role)> {
    let key = &finding.correlation.key;
    let mut links = BTreeSet::new();
    for row in finding.evidence.iter().filter(|row| row.is_match()) {
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
        commit_of(0, Rows { metrics: metrics.into(), ..Rows::default() })
    }

    fn buckets(commit: &Commit) -> Vec<StoredCopies<MetricPoint>> {
        let of_series = metrics(commit, &mut Outcome::default());
        of_series.iter().flat_map(|of_series| &of_series.buckets).map(StoredCopies::points).collect()
    }

    #[test]
    fn of_two_copies_in_one_commit_the_greater_is_left() {
        let (open, mut closed, other) = (bucket("api", 60_000), bucket("api", 60_000), bucket("web", 0));
        closed.count = open.count.map(|count| count + 1);
        for copies in [[&open, &closed, &other], [&closed, &other, &open], [&other, &closed, &open]] {
            let commit = commit(&copies.map(|point| *point));
            let rows: Vec<MetricPoint> = buckets(&commit).into_iter().map(|kept| kept.current.row).collect();
            assert_eq!(rows, [closed, other]);
        }
    }

    #[test]
    fn a_late_copy_that_says_more_is_put_aside_in_the_same_commit() {
        let (open, mut closed) = (bucket("api", 60_000), bucket("api", 60_000));
        closed.count = open.count.map(|count| count + 1);
        let late = Rows { metrics: [closed].into(), ..Rows::default() }.into();
        let commit = Commit { late, ..commit(std::slice::from_ref(&open)) };
        let current = StoredRow { on_time: true, row: open };
        assert_eq!(buckets(&commit), [StoredCopies { current, late: Some(closed) }]);
    }

    /// By series and time, in any order.
    #[test]
    fn buckets_stand_by_series_and_time() {
        let all = [("api", 60_000), ("api", 120_000), ("api", 180_000), ("db", 60_000), ("web", 0)];
        let rows = all.map(|(service, ms)| bucket(service, ms));
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1], [1, 3, 0, 2, 4], [0, 3, 1, 3, 2]] {
            let commit = commit(&order.map(|place| rows[place]));
            let expected: BTreeSet<usize> = order.into_iter().collect();
            let expected: Vec<MetricPoint> = expected.into_iter().map(|place| rows[place]).collect();
            let found: Vec<MetricPoint> = buckets(&commit).into_iter().map(|kept| kept.current.row).collect();
            assert_eq!(found, expected, "{order:?}");
            let of_series = metrics(&commit, &mut Outcome::default());
            let series: Vec<&str> = of_series.iter().map(|of| &*of.series.series().key.service_id).collect();
            assert!(series.is_sorted_by(|one, next| one < next), "each series once: {series:?}");
        }
    }

    /// Every order of three copies, of every kind, ends in the same.
    #[test]
    fn what_is_kept_is_a_function_of_the_set_of_copies() {
        let copy = |number: usize| StoredRow { on_time: number.is_multiple_of(2), row: number / 2 };
        for numbers in (0..512).map(|number| [number % 8, number / 8 % 8, number / 64]) {
            let [a, b, c] = numbers.map(copy);
            let kept = |first, others: [StoredRow<usize>; 2]| {
                let mut kept = StoredCopies { current: first, late: None };
                others.into_iter().for_each(|copy| kept.take(copy));
                kept
            };
            let greatest =
                |on_time: bool| [a, b, c].into_iter().filter(|copy| copy.on_time == on_time).map(|copy| copy.row).max();
            let expected = match (greatest(true), greatest(false)) {
                (Some(row), late) => {
                    StoredCopies { current: StoredRow { on_time: true, row }, late: late.filter(|late| *late > row) }
                }
                (None, late) => {
                    StoredCopies { current: StoredRow { on_time: false, row: late.unwrap_or(0) }, late: None }
                }
            };
            for (first, others) in [(a, [b, c]), (a, [c, b]), (b, [a, c]), (b, [c, a]), (c, [a, b]), (c, [b, a])] {
                assert_eq!(kept(first, others), expected, "{a:?} {b:?} {c:?}");
            }
        }
    }
}
