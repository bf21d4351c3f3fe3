//! How far each metric series is stored: a bucket beyond that is new, and needs no look-up.
//!
//! Rows of one series come in the order of time, nearly always; rows of different series do not, since partitions and
//! colonies are read side by side. So the newest time is known by series.

use super::fault::Cause;
use crate::resolve::{Kept, SeriesBuckets, SeriesRef, SeriesRows};
use duckdb::Connection;
use foldhash::fast::RandomState as FastHash;
use model::metric::MetricPoint;
use model::time::TimeMs;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Series that are remembered; beyond that every bucket is looked up.
const SERIES_MAX: usize = 2_000_000;

/// Newest stored timestamp by series, in ms.
///
/// Series are told apart by a hash. Two with the same one have the greater of their times, which costs look-ups and
/// nothing else.
#[derive(Debug, Default)]
pub(super) struct NewestBuckets {
    by_series: HashMap<u64, i64, FastHash>,
    state: State,
    hasher: FastHash,
}

/// What was read from the file.
pub(super) struct Read {
    /// The newest bucket of all.
    pub(super) newest: Option<TimeMs>,
}

/// The metric buckets of a commit, each once.
#[derive(Debug, Default)]
pub(super) struct Split<'a> {
    /// Surely not stored under any copy.
    pub(super) new: Vec<SeriesRows<'a>>,
    /// To be looked up.
    pub(super) doubtful: Vec<Kept<&'a MetricPoint>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Not read from the file yet.
    #[default]
    Unread,
    /// Every stored series is known.
    Known,
    /// There are too many.
    TooMany,
}

impl NewestBuckets {
    /// Reads what is stored, once; nothing when it was read before.
    pub(super) fn load(&mut self, connection: &Connection) -> Result<Option<Read>, Cause> {
        if self.state != State::Unread {
            return Ok(None);
        }
        let mut newest = None;
        let mut read = NewestBuckets { state: State::Known, ..NewestBuckets::default() };
        let mut statement = connection.prepare(
            "SELECT colony_id, application_name, environment, service_id, metric_name, interval_seconds,
                    epoch_ms(max(timestamp))
             FROM federated_metrics GROUP BY ALL",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = |column: usize| row.get::<_, String>(column);
            let series = (text(0)?, text(1)?, text(2)?, text(3)?, text(4)?);
            let texts = [&series.0, &series.1, &series.2, &series.3, &series.4].map(String::as_str);
            let newest_of_series: i64 = row.get(6)?;
            newest = newest.max(Some(TimeMs(newest_of_series)));
            let [colony, application, environment, service, metric] = texts;
            let series: SeriesRef<'_> = (colony, application, environment, service, metric, row.get(5)?);
            read.raise(read.hasher.hash_one(series), newest_of_series);
        }
        *self = read;
        Ok(Some(Read { newest }))
    }

    /// Forgets everything: rows were written that were not told.
    pub(super) fn forget(&mut self) {
        *self = NewestBuckets::default();
    }

    /// Sorts out the buckets of a commit, and notes that they are stored.
    pub(super) fn split<'a>(&mut self, of_series: Vec<SeriesBuckets<'a>>) -> Split<'a> {
        let mut split = Split::default();
        let mut reached = Vec::with_capacity(of_series.len());
        for SeriesBuckets { series: names, buckets } in of_series {
            let series = self.hasher.hash_one(names);
            reached.extend(buckets.last().map(|newest| (series, newest.shown.row.timestamp.0)));
            // buckets after this time are surely not stored
            let newest_ms = match self.state {
                State::Known => self.by_series.get(&series).copied().unwrap_or(i64::MIN),
                State::Unread | State::TooMany => i64::MAX,
            };
            let mut rows = Vec::with_capacity(buckets.len());
            for kept in buckets {
                if kept.aside.is_none() && kept.shown.row.timestamp.0 > newest_ms {
                    rows.push(kept.shown);
                } else {
                    split.doubtful.push(kept);
                }
            }
            split.new.push(SeriesRows { series: names, rows });
        }
        reached.into_iter().for_each(|(series, newest_ms)| self.raise(series, newest_ms));
        split
    }

    fn raise(&mut self, series: u64, timestamp_ms: i64) {
        if self.state == State::TooMany {
            return;
        }
        let newest = self.by_series.entry(series).or_insert(timestamp_ms);
        *newest = (*newest).max(timestamp_ms);
        if self.by_series.len() > SERIES_MAX {
            *self = NewestBuckets { state: State::TooMany, ..NewestBuckets::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Commit;
    use crate::compliance::commit_of;
    use crate::compliance::rows::{START, bucket};
    use crate::resolve::{self, Held};
    use model::rows::Rows;

    fn commit(metrics: Vec<MetricPoint>) -> Commit {
        commit_of(0, Rows { metrics, ..Rows::default() })
    }

    /// Times of new and of doubtful buckets, from the start on.
    fn times(newest: &mut NewestBuckets, commit: &Commit) -> (Vec<i64>, Vec<i64>) {
        let Split { new, doubtful } = newest.split(resolve::metrics(commit));
        let time = |held: Held<&MetricPoint>| held.row.timestamp.0 - START.0;
        let new = new.into_iter().flat_map(|of_series| of_series.rows);
        (new.map(time).collect(), doubtful.into_iter().map(|kept| time(kept.shown)).collect())
    }

    #[test]
    fn a_series_is_known_up_to_its_own_newest_bucket() {
        let mut newest = NewestBuckets { state: State::Known, ..NewestBuckets::default() };
        let first = commit(vec![bucket("api", 60_000), bucket("api", 120_000)]);
        assert_eq!(times(&mut newest, &first), (vec![60_000, 120_000], vec![]));
        let second = commit(vec![bucket("api", 180_000), bucket("web", 0), bucket("api", 120_000), bucket("api", 0)]);
        assert_eq!(times(&mut newest, &second), (vec![180_000, 0], vec![0, 120_000]), "another series is by itself");
        newest.forget();
        assert_eq!(times(&mut newest, &commit(vec![bucket("web", 500_000)])), (vec![], vec![500_000]));
    }
}
