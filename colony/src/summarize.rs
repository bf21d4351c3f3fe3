//! Aggregates buckets into coarser ones: into stored intervals when written, into requested ones when read.
//!
//! Count and maximum of a bucket are those of all its samples. The mean is weighted by count. A percentile of a bucket
//! cannot be computed from percentiles of its parts. Their mean weighted by count is used instead, as in the
//! correlation grid (a part without a count weighs as one sample). A statistic that is missing in one part is missing
//! in the bucket, because it would not represent all of it.

use model::metric::{MetricPoint, SeriesKey};
use model::real::Real;
use model::statistics::Statistics;
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

/// The intervals that a colony stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// Five minutes.
    Minutes5,
    /// A quarter of an hour.
    Minutes15,
    /// One hour.
    Hour1,
    /// One day.
    Day1,
}

impl Interval {
    /// From fine to coarse.
    pub const ALL: [Interval; 4] = [Interval::Minutes5, Interval::Minutes15, Interval::Hour1, Interval::Day1];

    /// As stored and as answered: `5m`, `15m`, `1h`, `1d`.
    pub fn as_str(self) -> &'static str {
        match self {
            Interval::Minutes5 => "5m",
            Interval::Minutes15 => "15m",
            Interval::Hour1 => "1h",
            Interval::Day1 => "1d",
        }
    }

    /// The interval of that name.
    pub fn parse(text: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.as_str() == text)
    }

    /// Length in seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Interval::Minutes5 => 300,
            Interval::Minutes15 => 900,
            Interval::Hour1 => 3_600,
            Interval::Day1 => 86_400,
        }
    }

    /// The finest interval that is not finer than `seconds`. `None` above one day.
    pub fn at_least(seconds: u32) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.seconds() >= seconds)
    }

    /// Start of the bucket that holds `time`.
    pub fn start_of(self, time: TimeMs) -> TimeMs {
        time.floor_to(i64::from(self.seconds()) * 1_000)
    }
}

/// The numbers of a point as a colony stores them: without a version. Of two copies of a bucket the one of higher rank
/// replaces the other.
pub fn statistics_of(point: &MetricPoint) -> Statistics {
    Statistics::of(&MetricPoint { version: 0, ..*point })
}

/// The bucket that the parts make up together. Parts are added in the order given.
pub fn merge(parts: &[Statistics]) -> Statistics {
    if let [only] = parts {
        return *only;
    }
    let weight = |part: &Statistics| part.count().unwrap_or(1) as f64;
    let total: f64 = parts.iter().map(weight).sum();
    let mean_of = |statistic: fn(&Statistics) -> Option<Real>| -> Option<f64> {
        let mut sum = 0.0;
        for part in parts {
            sum += statistic(part)?.0 * weight(part);
        }
        (total > 0.0).then(|| sum / total)
    };
    let max = parts.iter().map(|part| part.max().map(|v| v.0)).try_fold(f64::NEG_INFINITY, |a, b| Some(a.max(b?)));
    let max = max.filter(|max| max.is_finite());
    // rounding must not push a percentile above the next one
    let at_most = |value: Option<f64>, limit: Option<f64>| value.map(|v| limit.map_or(v, |l| v.min(l)));
    let p99 = at_most(mean_of(Statistics::p99), max);
    let p95 = at_most(at_most(mean_of(Statistics::p95), p99), max);
    let p50 = at_most(at_most(at_most(mean_of(Statistics::p50), p95), p99), max);
    Statistics::of(&MetricPoint {
        count: Some(samples(parts)),
        mean: mean_of(Statistics::mean).map(Real),
        p50: p50.map(Real),
        p95: p95.map(Real),
        p99: p99.map(Real),
        max: max.map(Real),
        ..MetricPoint::default()
    })
}

fn samples(parts: &[Statistics]) -> u64 {
    parts.iter().map(|part| part.count().unwrap_or(1)).fold(0, u64::saturating_add)
}

/// The most fine points that are held for buckets that are still filling.
const FINE_POINTS_MAX: usize = 200_000;

type WindowKey = (&'static SeriesKey, Interval, TimeMs);

/// Buckets that are still filling, with their finer points.
///
/// A bucket is rewritten for each of its points. Its count rises, so the newer version replaces the older one. The
/// points themselves are not stored. A bucket that was evicted (the least recently used first when there are too many
/// points, or all at a restart) starts over, and replaces the stored one only once it has more samples.
#[derive(Debug, Default)]
pub struct FineWindows {
    windows: BTreeMap<WindowKey, Window>,
    by_touch: BTreeSet<(u64, WindowKey)>,
    points: usize,
    touches: u64,
}

#[derive(Debug, Default)]
struct Window {
    parts: BTreeMap<TimeMs, Statistics>,
    touched: u64,
}

impl FineWindows {
    /// Takes a point finer than `interval`; gives the start of its bucket of that interval, and what the bucket holds
    /// by now.
    pub fn take(&mut self, point: &MetricPoint, interval: Interval) -> (TimeMs, Statistics) {
        let start = interval.start_of(point.timestamp);
        let key = (&point.series.series().key, interval, start);
        self.touches += 1;
        let window = self.windows.entry(key).or_default();
        self.by_touch.remove(&(window.touched, key));
        window.touched = self.touches;
        self.by_touch.insert((window.touched, key));
        let statistics = statistics_of(point);
        match window.parts.get_mut(&point.timestamp) {
            Some(known) if statistics.rank() > known.rank() => *known = statistics,
            Some(_) => {}
            None => {
                window.parts.insert(point.timestamp, statistics);
                self.points += 1;
            }
        }
        let parts: Vec<Statistics> = window.parts.values().copied().collect();
        // a single part is counted too, so that the next version of the bucket counts more
        let bucket = merge(&parts).point(point.series, start);
        self.let_go();
        (start, Statistics::of(&MetricPoint { count: Some(samples(&parts)), ..bucket }))
    }

    fn let_go(&mut self) {
        while self.points > FINE_POINTS_MAX {
            let Some((_, key)) = self.by_touch.pop_first() else { return };
            if let Some(window) = self.windows.remove(&key) {
                self.points -= window.parts.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::series::SeriesRef;
    use proptest::prelude::*;

    fn part(count: Option<u64>, mean: f64, p95: Option<f64>, max: f64) -> Statistics {
        let (mean, p95, max) = (Some(Real(mean)), p95.map(Real), Some(Real(max)));
        Statistics::of(&MetricPoint { count, mean, p95, max, ..MetricPoint::default() })
    }

    fn point(minute: i64, count: Option<u64>, mean: f64) -> MetricPoint {
        let names = SeriesRef { interval_seconds: Some(60), ..fixtures::series("c", "s", "m") };
        MetricPoint { count, ..fixtures::point(names, TimeMs(1_690_000_200_000 + minute * 60_000), mean) }
    }

    #[test]
    fn mean_is_weighted_by_count_and_max_is_the_largest() {
        let merged = merge(&[part(Some(10), 1.0, Some(2.0), 5.0), part(Some(30), 2.0, Some(6.0), 4.0)]);
        assert_eq!(merged, part(Some(40), 1.75, Some(5.0), 5.0));
    }

    #[test]
    fn a_statistic_that_one_part_lacks_is_missing() {
        let merged = merge(&[part(None, 1.0, Some(2.0), 5.0), part(Some(1), 3.0, None, 4.0)]);
        assert_eq!(merged, part(Some(2), 2.0, None, 5.0));
    }

    #[test]
    fn intervals_go_up_to_the_next_kept_one() {
        let found: Vec<_> = [1, 300, 301, 900, 3_600, 3_601, 86_400].map(Interval::at_least).into();
        use Interval::{Day1, Hour1, Minutes5, Minutes15};
        assert_eq!(found, [Minutes5, Minutes5, Minutes15, Minutes15, Hour1, Day1, Day1].map(Some));
        assert_eq!(Interval::at_least(86_401), None);
        assert!(Interval::ALL.into_iter().all(|i| Interval::parse(i.as_str()) == Some(i)));
    }

    #[test]
    fn a_filling_bucket_counts_more_with_every_point_and_repeats_change_nothing() {
        let mut windows = FineWindows::default();
        let mut last = 0;
        for minute in 0..5 {
            let (start, bucket) = windows.take(&point(minute, None, minute as f64), Interval::Minutes5);
            assert_eq!(start, TimeMs(1_690_000_200_000));
            assert!(bucket.count().unwrap() > last);
            last = bucket.count().unwrap();
        }
        let (_, again) = windows.take(&point(2, None, 2.0), Interval::Minutes5);
        assert_eq!((again.count(), again.mean()), (Some(5), Some(Real(2.0))));
        let (next, _) = windows.take(&point(5, Some(7), 1.0), Interval::Minutes5);
        assert_eq!(next, TimeMs(1_690_000_500_000));
    }

    #[test]
    fn memory_is_bounded_and_the_longest_untouched_bucket_goes_first() {
        let mut windows = FineWindows { points: FINE_POINTS_MAX, ..FineWindows::default() };
        windows.take(&point(0, None, 1.0), Interval::Minutes5);
        assert!(windows.windows.is_empty() && windows.by_touch.is_empty());
    }

    proptest! {
        #[test]
        fn merged_percentiles_stay_in_order(parts in proptest::collection::vec((0_u64..1_000, proptest::array::uniform4(-1e6_f64..1e6)), 1..20)) {
            let parts: Vec<Statistics> = parts.into_iter().map(|(count, mut values)| {
                values.sort_by(f64::total_cmp);
                let [p50, p95, p99, max] = values.map(|v| Some(Real(v)));
                Statistics::of(&MetricPoint { count: Some(count), mean: p50, p50, p95, p99, max, ..MetricPoint::default() })
            }).collect();
            let merged = merge(&parts);
            let present: Vec<f64> = [merged.p50(), merged.p95(), merged.p99(), merged.max()].into_iter().flatten().map(|v| v.0).collect();
            prop_assert!(present.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }
}
