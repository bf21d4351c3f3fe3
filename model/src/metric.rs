//! A metric summary: the statistics of one series of a colony in one time bucket.

use crate::real::Real;
pub use crate::series::SeriesKey;
use crate::series::{Series, SeriesId};
use crate::time::TimeMs;
use serde::{Deserialize, Serialize};

/// One bucket of one series. `(series, timestamp)` is its identity; an open bucket is sent again with a higher count until
/// it is closed, and the row with the greatest `(version, count, statistics)` wins.
///
/// A correction that lowers a value needs a higher version (test `a_correction_wins_by_its_version`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct MetricPoint {
    /// Which series, the length of its buckets included.
    pub series: SeriesId,
    /// Start of the bucket.
    pub timestamp: TimeMs,
    /// A correction has a higher version than what it corrects; 0 if the source has no versions.
    pub version: u64,
    /// Samples in the bucket.
    pub count: Option<u64>,
    /// Mean of the samples.
    pub mean: Option<Real>,
    /// 50th percentile.
    pub p50: Option<Real>,
    /// 95th percentile.
    pub p95: Option<Real>,
    /// 99th percentile.
    pub p99: Option<Real>,
    /// Largest sample.
    pub max: Option<Real>,
}

/// A bucket as it is written for others: with its names.
#[derive(Serialize, Deserialize)]
struct Written {
    series: SeriesKey,
    timestamp: TimeMs,
    interval_seconds: Option<u32>,
    version: u64,
    count: Option<u64>,
    mean: Option<Real>,
    p50: Option<Real>,
    p95: Option<Real>,
    p99: Option<Real>,
    max: Option<Real>,
    application_name: String,
    environment: String,
}

impl From<MetricPoint> for Written {
    fn from(point: MetricPoint) -> Written {
        let Series { key, interval_seconds, application_name, environment } = point.series.series().clone();
        let MetricPoint { timestamp, version, count, mean, p50, p95, p99, max, .. } = point;
        let series = key;
        Written {
            series,
            timestamp,
            interval_seconds,
            version,
            count,
            mean,
            p50,
            p95,
            p99,
            max,
            application_name,
            environment,
        }
    }
}

impl From<Written> for MetricPoint {
    fn from(written: Written) -> MetricPoint {
        let Written { series: key, interval_seconds, application_name, environment, .. } = written;
        let Written { timestamp, version, count, mean, p50, p95, p99, max, .. } = written;
        let series = Series { key, interval_seconds, application_name, environment };
        let series = SeriesId::of(series.names());
        MetricPoint { series, timestamp, version, count, mean, p50, p95, p99, max }
    }
}

impl MetricPoint {
    /// The number that is correlated: p95, else the mean (DESIGN 3.5). `None` when the row has neither.
    pub fn value(&self) -> Option<f64> {
        self.p95.or(self.mean).map(|v| v.0)
    }

    /// Decides between two rows of the same bucket: the greater one wins, in any order of arrival.
    pub fn rank(&self) -> (u64, Option<u64>, [Option<Real>; 5]) {
        (self.version, self.count, [self.mean, self.p50, self.p95, self.p99, self.max])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesRef;

    #[test]
    fn a_correction_wins_by_its_version() {
        let names = SeriesRef {
            colony_id: "shop-production",
            service_id: "api",
            metric_name: "latency_ms",
            interval_seconds: Some(60),
            ..SeriesRef::default()
        };
        let wrong = MetricPoint {
            series: SeriesId::of(names),
            timestamp: TimeMs(60_000),
            count: Some(60),
            mean: Some(Real(5_000.0)),
            ..MetricPoint::default()
        };
        let lower = MetricPoint { mean: Some(Real(5.0)), ..wrong };
        let corrected = MetricPoint { version: 1, count: Some(1), ..lower };
        assert!(lower.rank() < wrong.rank() && lower < wrong, "without a version the greater value wins");
        assert!(corrected.rank() > wrong.rank() && corrected > wrong);
    }
}
