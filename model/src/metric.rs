//! A metric summary: the statistics of one series of a colony in one time bucket.

use crate::real::Real;
use crate::time::TimeMs;
use serde::{Deserialize, Serialize};

/// One series: a metric of a service of a colony.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// Colony.
    pub colony_id: String,
    /// Service.
    pub service_id: String,
    /// Metric name.
    pub metric_name: String,
}

/// One bucket of one series. `(series, interval_seconds, timestamp)` is its identity; an open bucket is sent again
/// with a higher count until it is closed, and the row with the greatest `(version, count, statistics)` wins.
///
/// A correction that lowers a value needs a higher version (test `a_correction_wins_by_its_version`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricPoint {
    /// Which series.
    pub series: SeriesKey,
    /// Start of the bucket.
    pub timestamp: TimeMs,
    /// Length of the bucket; `None` if the source does not state it (it is then derived from the spacing).
    pub interval_seconds: Option<u32>,
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
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony; may be empty.
    pub environment: String,
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

    #[test]
    fn a_correction_wins_by_its_version() {
        let wrong = MetricPoint {
            series: SeriesKey {
                colony_id: "shop-production".to_owned(),
                service_id: "api".to_owned(),
                metric_name: "latency_ms".to_owned(),
            },
            timestamp: TimeMs(60_000),
            interval_seconds: Some(60),
            version: 0,
            count: Some(60),
            mean: Some(Real(5_000.0)),
            p50: None,
            p95: None,
            p99: None,
            max: None,
            application_name: "shop".to_owned(),
            environment: "production".to_owned(),
        };
        let lower = MetricPoint { mean: Some(Real(5.0)), ..wrong.clone() };
        let corrected = MetricPoint { version: 1, count: Some(1), ..lower.clone() };
        assert!(lower.rank() < wrong.rank() && lower < wrong, "without a version the greater value wins");
        assert!(corrected.rank() > wrong.rank() && corrected > wrong);
    }
}
