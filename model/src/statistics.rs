//! The numbers of a metric bucket, packed.

use crate::metric::MetricPoint;
use crate::real::Real;
use crate::series::SeriesId;
use crate::time::TimeMs;
use serde::{Deserialize, Serialize};

/// The numbers of a bucket in 64 bytes, the size of a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    version: u64,
    count: u64,
    /// Mean, p50, p95, p99, max; 0 where there is none.
    values: [f64; 5],
    /// Which of the values there are, by bit, and last whether there is a count.
    present: u8,
}

/// The bit of the count.
const HAS_COUNT: u8 = 1 << 5;

impl Statistics {
    /// Those of a row.
    pub fn of(point: &MetricPoint) -> Statistics {
        let MetricPoint { version, count, mean, p50, p95, p99, max, .. } = *point;
        let mut present = if count.is_some() { HAS_COUNT } else { 0 };
        let mut values = [0.0; 5];
        for (place, value) in [mean, p50, p95, p99, max].into_iter().enumerate() {
            if let Some(Real(value)) = value {
                values[place] = value;
                present |= 1 << place;
            }
        }
        Statistics { version, count: count.unwrap_or(0), values, present }
    }

    fn value_at(&self, place: usize) -> Option<Real> {
        (self.present & 1 << place != 0).then_some(Real(self.values[place]))
    }

    /// A correction has a higher version than what it corrects.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Samples in the bucket.
    pub fn count(&self) -> Option<u64> {
        (self.present & HAS_COUNT != 0).then_some(self.count)
    }

    /// Mean of the samples.
    pub fn mean(&self) -> Option<Real> {
        self.value_at(0)
    }

    /// 50th percentile.
    pub fn p50(&self) -> Option<Real> {
        self.value_at(1)
    }

    /// 95th percentile.
    pub fn p95(&self) -> Option<Real> {
        self.value_at(2)
    }

    /// 99th percentile.
    pub fn p99(&self) -> Option<Real> {
        self.value_at(3)
    }

    /// Largest sample.
    pub fn max(&self) -> Option<Real> {
        self.value_at(4)
    }

    /// The number that is correlated: see [`MetricPoint::value`].
    pub fn value(&self) -> Option<Real> {
        self.p95().or(self.mean())
    }

    /// What decides between two rows of the same bucket: see [`MetricPoint::rank`].
    pub fn rank(&self) -> (u64, Option<u64>, [Option<Real>; 5]) {
        (self.version, self.count(), [0, 1, 2, 3, 4].map(|place| self.value_at(place)))
    }

    /// The row of a series and a time that has these numbers.
    pub fn point(&self, series: SeriesId, timestamp: TimeMs) -> MetricPoint {
        let Statistics { version, .. } = *self;
        let (count, mean, p50) = (self.count(), self.mean(), self.p50());
        let (p95, p99, max) = (self.p95(), self.p99(), self.max());
        MetricPoint { series, timestamp, version, count, mean, p50, p95, p99, max }
    }
}
