//! The hourly summary of a metric in an environment, in exact arithmetic: the same bits in every store, for any order
//! of rows.

use model::real::Real;
use model::statistics::Statistics;

/// Fixed-point units in one unit of a metric.
pub const UNITS_PER_ONE: f64 = 1e6;
/// Values are held to this magnitude before they are added, so that no sum can leave 128 bits.
pub const VALUE_ABS_MAX: f64 = 1e15;
/// Samples of one bucket count at most this much as a weight, for the same reason.
pub const WEIGHT_MAX: u64 = 1 << 36;

/// Sums over the buckets of one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Sum of value * weight, in fixed-point units.
    pub weighted_units: i128,
    /// Sum of weights.
    pub weight: i128,
    /// Largest maximum.
    pub max: Option<Real>,
    /// Samples, where buckets state them.
    pub samples: u128,
    /// Buckets.
    pub points: u64,
}

/// One row of `env_metric_summary`, without its key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Mean of the buckets' p95 (their mean where p95 is absent), weighted by samples; a bucket without a count weighs 1.
    pub mean_p95: Option<f64>,
    /// Largest maximum.
    pub max_value: Option<f64>,
    /// Samples, held to 64 bits.
    pub total_samples: u64,
    /// Buckets.
    pub points: u64,
}

impl Sums {
    /// Adds one bucket.
    pub fn add(&mut self, bucket: &Statistics) {
        if let Some(Real(value)) = bucket.value().filter(|value| value.0.is_finite()) {
            let units = (value.clamp(-VALUE_ABS_MAX, VALUE_ABS_MAX) * UNITS_PER_ONE).round() as i128;
            let weight = i128::from(bucket.count().unwrap_or(1).min(WEIGHT_MAX));
            self.weighted_units += units * weight;
            self.weight += weight;
        }
        self.max = self.max.max(bucket.max().map(|Real(value)| Real(value + 0.0)));
        self.samples += u128::from(bucket.count().unwrap_or(0));
        self.points += 1;
    }

    /// Adds the sums of other buckets.
    pub fn merge(&mut self, other: &Sums) {
        self.weighted_units += other.weighted_units;
        self.weight += other.weight;
        self.max = self.max.max(other.max);
        self.samples += other.samples;
        self.points += other.points;
    }

    /// The row. The only place that converts the sums to floats.
    pub fn summary(&self) -> Summary {
        let mean = || self.weighted_units as f64 / self.weight as f64 / UNITS_PER_ONE;
        Summary {
            mean_p95: (self.weight > 0).then(mean),
            max_value: self.max.map(|value| value.0),
            total_samples: u64::try_from(self.samples).unwrap_or(u64::MAX),
            points: self.points,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compliance::rows::bucket;
    use model::metric::MetricPoint;

    fn summary(points: &[MetricPoint]) -> Summary {
        let mut sums = Sums::default();
        points.iter().for_each(|point| sums.add(&Statistics::of(point)));
        sums.summary()
    }

    #[test]
    fn the_mean_is_weighted_by_samples() {
        let mut few = bucket("svc", 0);
        (few.p95, few.count) = (Some(Real(100.0)), Some(10));
        let mut many = bucket("svc", 60_000);
        (many.p95, many.count) = (Some(Real(200.0)), Some(90));
        assert_eq!(summary(&[few, many]).mean_p95, Some(190.0));
    }

    #[test]
    fn without_p95_the_mean_counts_and_without_a_count_one_sample() {
        let mut point = bucket("svc", 0);
        (point.p95, point.mean, point.count) = (None, Some(Real(4.0)), None);
        let mut other = bucket("svc", 60_000);
        (other.p95, other.count) = (Some(Real(8.0)), Some(3));
        assert_eq!(summary(&[point, other]).mean_p95, Some(7.0));
    }

    #[test]
    fn order_does_not_change_a_bit() {
        let points: Vec<MetricPoint> = (0..100)
            .map(|i| {
                let mut point = bucket("svc", i * 60_000);
                (point.p95, point.count) = (Some(Real(0.1 + 1e9 / (i + 1) as f64)), Some(1 + i as u64));
                point
            })
            .collect();
        let reversed: Vec<MetricPoint> = points.iter().rev().copied().collect();
        let bits = |points: &[MetricPoint]| summary(points).mean_p95.map(f64::to_bits);
        assert_eq!(bits(&points), bits(&reversed));
    }

    #[test]
    fn extreme_values_are_held_not_fatal() {
        let mut point = bucket("svc", 0);
        (point.p95, point.count) = (Some(Real(f64::MAX)), Some(u64::MAX));
        let sums = summary(&[point, point]);
        assert_eq!(sums.mean_p95, Some(VALUE_ABS_MAX));
        assert_eq!(sums.total_samples, u64::MAX);
    }
}
