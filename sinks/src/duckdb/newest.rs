//! How far each metric series is stored: a bucket beyond that is new, and needs no look-up.
//!
//! Rows of one series come in the order of time, nearly always; rows of different series do not, since partitions and
//! colonies are read side by side. So the newest time is known by series.

use super::fault::Cause;
use duckdb::Connection;
use model::metric::MetricPoint;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// Series that are remembered; beyond that every bucket is looked up.
const SERIES_MAX: usize = 2_000_000;

/// Newest stored timestamp by series, in ms.
///
/// Series are told apart by a hash. Two with the same one have the greater of their times, which costs look-ups and
/// nothing else.
#[derive(Debug, Default)]
pub(super) struct NewestBuckets {
    by_series: HashMap<u64, i64>,
    state: State,
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
    /// Reads what is stored, once.
    pub(super) fn load(&mut self, connection: &Connection) -> Result<(), Cause> {
        if self.state != State::Unread {
            return Ok(());
        }
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
            read.raise(hash(texts, row.get(5)?), row.get(6)?);
        }
        *self = read;
        Ok(())
    }

    /// Forgets everything: rows were written that were not told.
    pub(super) fn forget(&mut self) {
        *self = NewestBuckets::default();
    }

    /// Whether surely no bucket with this identity is stored.
    pub(super) fn is_beyond(&self, point: &MetricPoint) -> bool {
        self.state == State::Known && self.by_series.get(&of(point)).is_none_or(|newest| point.timestamp.0 > *newest)
    }

    /// Notes that this bucket is stored.
    pub(super) fn store(&mut self, point: &MetricPoint) {
        self.raise(of(point), point.timestamp.0);
    }

    fn raise(&mut self, series: u64, timestamp_ms: i64) {
        if self.state == State::TooMany {
            return;
        }
        let newest = self.by_series.entry(series).or_insert(timestamp_ms);
        *newest = (*newest).max(timestamp_ms);
        if self.by_series.len() > SERIES_MAX {
            *self = NewestBuckets { by_series: HashMap::new(), state: State::TooMany };
        }
    }
}

fn of(point: &MetricPoint) -> u64 {
    let series = &point.series;
    let texts =
        [&series.colony_id, &point.application_name, &point.environment, &series.service_id, &series.metric_name];
    hash(texts.map(String::as_str), point.interval_seconds.unwrap_or(0))
}

fn hash(texts: [&str; 5], interval_seconds: u32) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((texts, interval_seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::rows::bucket;

    #[test]
    fn a_series_is_known_up_to_its_own_newest_bucket() {
        let mut newest = NewestBuckets { state: State::Known, ..NewestBuckets::default() };
        newest.store(&bucket("api", 60_000));
        assert!(newest.is_beyond(&bucket("api", 120_000)));
        assert!(!newest.is_beyond(&bucket("api", 60_000)) && !newest.is_beyond(&bucket("api", 0)));
        assert!(newest.is_beyond(&bucket("web", 0)), "another series");
        newest.forget();
        assert!(!newest.is_beyond(&bucket("web", 0)), "nothing is known before it is read");
    }
}
