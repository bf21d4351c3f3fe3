//! Cache of the hourly sums that a session has fully written, so that a commit need not re-read them.
//!
//! The sums of an hour are integers, so adding rows incrementally equals adding all stored rows.

use crate::resolve::SeriesRows;
use crate::rollup::Sums;
use crate::stored::StoredRow;
use foldhash::fast::RandomState as FastHash;
use model::columns::MetricRow;
use model::metric::SeriesKey;
use model::rows::RollupKey;
use model::series::Series;
use model::time::{HOUR_MS, TimeMs};
use std::collections::HashMap;

/// Summaries remembered; beyond that all are forgotten and read again.
const SUMMARIES_MAX: usize = 200_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct HourSums {
    /// Every stored bucket of these is in their sums.
    whole: HashMap<RollupKey, Sums, FastHash>,
    /// No bucket of a later hour was stored that is not in `whole`; `None` when that is not known.
    empty_after: Option<TimeMs>,
    /// The latest hour of any commit.
    latest: Option<TimeMs>,
}

/// The summaries that a commit touches.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Touched<'a> {
    /// With the rows of the commit; nothing need be read.
    pub(crate) known: Vec<(&'a RollupKey, Sums)>,
    /// To be read from the store once the rows are written.
    pub(crate) to_read: Vec<&'a RollupKey>,
}

/// Key of a summary, borrowed from a row.
type Identity<'a> = (TimeMs, &'a str, &'a str, &'a str);

impl HourSums {
    /// Records that no bucket is stored after `newest`, or none at all.
    pub(crate) fn begin(&mut self, newest: Option<TimeMs>) {
        self.whole.clear();
        self.empty_after = Some(newest.map_or(TimeMs(i64::MIN), |newest| newest.floor_to(HOUR_MS)));
    }

    /// Notes that rows of these summaries are about to be written: should that fail, their hours are not known to be empty.
    pub(crate) fn announce(&mut self, keys: &[RollupKey]) {
        self.latest = self.latest.max(keys.iter().map(|key| key.hour).max());
    }

    /// Forgets all sums: stored rows were deleted, or the written rows are unknown.
    pub(crate) fn forget(&mut self) {
        self.whole.clear();
        self.empty_after = self.empty_after.max(self.latest).filter(|_| self.empty_after.is_some());
    }

    /// Sorts out `keys`, the summaries of a commit with the rows `new`, of which no copy is stored, and `needs_lookup`,
    /// of which one may be. Until [`store`](HourSums::store) records that they are written, their hours are forgotten.
    pub(crate) fn touch<'a>(
        &mut self,
        keys: &'a [RollupKey],
        new: &[SeriesRows<'_>],
        needs_lookup: &[StoredRow<MetricRow<'_>>],
    ) -> Touched<'a> {
        self.announce(keys);
        let mut sums: HashMap<Identity<'_>, (&'a RollupKey, Option<Sums>), FastHash> = HashMap::default();
        for key in keys {
            sums.entry(identity_of_key(key)).or_insert_with(|| (key, self.take(key)));
        }
        let mut unnamed = Vec::new();
        for SeriesRows { series, rows } in new {
            let Series { key: SeriesKey { metric_name, .. }, application_name, environment, .. } = series.series();
            let hour = |held: &StoredRow<MetricRow<'_>>| held.row.timestamp().floor_to(HOUR_MS);
            for rows in rows.chunk_by(|one, next| hour(one) == hour(next)) {
                match sums.get_mut(&(hour(&rows[0]), &**metric_name, &**application_name, &**environment)) {
                    Some((_, Some(sums))) => rows.iter().for_each(|held| sums.add(held.row.statistics())),
                    Some((_, None)) => {}
                    None => unnamed.push(rows[0].row),
                }
            }
        }
        for held in needs_lookup {
            match sums.get_mut(&identity(&held.row)) {
                Some((_, sums)) => *sums = None,
                None => unnamed.push(held.row),
            }
        }
        let mut touched = Touched::default();
        for (key, sums) in sums.into_values() {
            match sums {
                Some(sums) => touched.known.push((key, sums)),
                None => touched.to_read.push(key),
            }
        }
        // rows whose summary is not requested: its cached sum becomes invalid
        for row in unnamed {
            let key = RollupKey::at(row.series(), row.timestamp());
            self.whole.remove(&key);
            self.latest = self.latest.max(Some(key.hour));
            self.empty_after = self.empty_after.map(|after| after.max(key.hour));
        }
        touched.known.sort_unstable_by_key(|(key, _)| *key);
        touched.to_read.sort_unstable();
        touched
    }

    /// Notes the sums of summaries after a commit.
    pub(crate) fn store(&mut self, summaries: &[(&RollupKey, Sums)]) {
        if self.empty_after.is_none() {
            return;
        }
        self.whole.extend(summaries.iter().map(|(key, sums)| ((*key).clone(), *sums)));
        if self.whole.len() > SUMMARIES_MAX {
            self.forget();
        }
    }

    fn take(&mut self, key: &RollupKey) -> Option<Sums> {
        let is_empty = self.empty_after.is_some_and(|after| key.hour > after);
        self.whole.remove(key).or(is_empty.then(Sums::default))
    }
}

fn identity_of_key(key: &RollupKey) -> Identity<'_> {
    (key.hour, &key.metric_name, &key.application_name, &key.environment)
}

fn identity(row: &MetricRow<'_>) -> Identity<'static> {
    let (hour, series) = (row.timestamp().floor_to(HOUR_MS), row.series().series());
    (hour, &series.key.metric_name, &series.application_name, &series.environment)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compliance::rows::bucket;
    use model::chunks::Metrics;
    use model::metric::MetricPoint;
    use model::statistics::Statistics;

    fn held(metrics: &Metrics) -> Vec<StoredRow<MetricRow<'_>>> {
        metrics.rows().map(|row| StoredRow { on_time: true, row }).collect()
    }

    /// Rows of one series.
    fn rows(metrics: &Metrics) -> SeriesRows<'_> {
        SeriesRows { series: metrics.rows().next().unwrap().series(), rows: held(metrics) }
    }

    /// Commits a new bucket; the sums that are known, or nothing when the hour is to be read.
    fn commit(hours: &mut HourSums, point: &MetricPoint) -> Option<Sums> {
        let keys = [RollupKey::of(point)];
        let point = Metrics::from([*point]);
        let touched = hours.touch(&keys, &[rows(&point)], &[]);
        hours.store(&touched.known);
        touched.known.first().map(|(_, sums)| *sums)
    }

    fn sums(points: &[&MetricPoint]) -> Sums {
        let mut sums = Sums::default();
        points.iter().for_each(|point| sums.add(&Statistics::of(point)));
        sums
    }

    #[test]
    fn new_rows_are_added_to_hours_that_are_known_from_their_first_row() {
        let mut hours = HourSums::default();
        let (stored, first, second) = (bucket("api", 0), bucket("api", HOUR_MS), bucket("web", HOUR_MS + 60_000));
        assert_eq!(commit(&mut hours, &first), None, "the state of a store is unknown before a query");
        hours.begin(Some(stored.timestamp));
        assert_eq!(commit(&mut hours, &stored), None, "its hour may have other rows");
        assert_eq!(commit(&mut hours, &first), Some(sums(&[&first])));
        assert_eq!(commit(&mut hours, &second), Some(sums(&[&first, &second])));
    }

    #[test]
    fn an_hour_is_read_once_and_then_known() {
        let mut hours = HourSums::default();
        let (stored, more) = (bucket("api", 0), bucket("api", 60_000));
        hours.begin(Some(stored.timestamp));
        let keys = [RollupKey::of(&stored)];
        let row = Metrics::from([stored]);
        assert_eq!(hours.touch(&keys, &[rows(&row)], &[]).to_read, [&keys[0]]);
        hours.store(&[(&keys[0], sums(&[&stored]))]);
        assert_eq!(commit(&mut hours, &more), Some(sums(&[&stored, &more])));
    }

    #[test]
    fn a_row_that_may_be_stored_makes_its_hour_be_read() {
        let mut hours = HourSums::default();
        hours.begin(None);
        let (point, other) = (bucket("api", 0), bucket("api", 60_000));
        assert!(commit(&mut hours, &point).is_some());
        let keys = [RollupKey::of(&point)];
        let (point, other) = (Metrics::from([point]), Metrics::from([other]));
        let touched = hours.touch(&keys, &[rows(&other)], &held(&point));
        assert_eq!(touched, Touched { known: Vec::new(), to_read: vec![&keys[0]] });
    }

    #[test]
    fn a_commit_that_was_not_stored_leaves_its_hours_to_be_read() {
        let mut hours = HourSums::default();
        hours.begin(None);
        let (point, later) = (bucket("api", HOUR_MS), bucket("api", 5 * HOUR_MS));
        let keys = [RollupKey::of(&point)];
        let row = Metrics::from([point]);
        assert!(hours.touch(&keys, &[rows(&row)], &[]).to_read.is_empty());
        hours.forget();
        assert_eq!(commit(&mut hours, &point), None);
        let keys = [RollupKey::of(&bucket("api", 3 * HOUR_MS))];
        hours.announce(&keys);
        hours.forget();
        assert_eq!(commit(&mut hours, &bucket("api", 2 * HOUR_MS)), None, "also when it failed before that");
        assert!(commit(&mut hours, &later).is_some(), "no commit has come so far");
    }

    #[test]
    fn a_series_adds_to_each_of_its_hours_and_an_hour_has_several_series() {
        let mut hours = HourSums::default();
        hours.begin(None);
        let api = [bucket("api", 0), bucket("api", 60_000), bucket("api", HOUR_MS)];
        let web = bucket("web", 120_000);
        let keys = [RollupKey::of(&api[0]), RollupKey::of(&api[2])];
        let (of_api, of_web) = (Metrics::from(api), Metrics::from([web]));
        let touched = hours.touch(&keys, &[rows(&of_api), rows(&of_web)], &[]);
        let expected = vec![(&keys[0], sums(&[&api[0], &api[1], &web])), (&keys[1], sums(&[&api[2]]))];
        assert_eq!(touched, Touched { known: expected, to_read: vec![] });
    }

    #[test]
    fn rows_whose_summary_is_not_asked_for_make_their_hour_unknown() {
        let mut hours = HourSums::default();
        hours.begin(None);
        let point = Metrics::from([bucket("api", HOUR_MS)]);
        assert_eq!(hours.touch(&[], &[rows(&point)], &[]), Touched::default());
        assert_eq!(commit(&mut hours, &bucket("api", HOUR_MS + 60_000)), None);
    }
}
