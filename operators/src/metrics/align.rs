//! `Align`: one winner per metric bucket, and the number of it that is correlated.

use model::metric::{MetricPoint, SeriesKey};
use model::real::Real;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The number that one bucket contributes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// Which series.
    pub series: SeriesKey,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony.
    pub environment: String,
    /// Length of the bucket, when the source said.
    pub interval_seconds: Option<u32>,
    /// Start of the bucket.
    pub at: TimeMs,
    /// p95, else the mean.
    pub value: Real,
    /// Samples in the bucket, at least 1: the weight when buckets are merged.
    pub weight: u64,
}

/// What makes rows versions of one another, apart from the time.
type Bucket = (SeriesKey, Option<u32>);

/// One state of a bucket, in the order that decides: `MetricPoint::rank`, then the identity, never arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    version: u64,
    count: Option<u64>,
    mean: Option<Real>,
    p50: Option<Real>,
    p95: Option<Real>,
    p99: Option<Real>,
    max: Option<Real>,
    /// Application, environment.
    identity: Arc<(String, String)>,
}

/// The states of a bucket, each with how often it was received; mostly one.
type Versions = Vec<(Version, i64)>;

/// Rows of every bucket, so that a retraction restores the loser.
#[derive(Debug, Default)]
pub struct Align {
    buckets: BTreeMap<Bucket, BTreeMap<TimeMs, Versions>>,
    /// One copy of each (application, environment).
    identities: BTreeSet<Arc<(String, String)>>,
}

/// The sample of the winning row; `None` without rows, or when the winner has neither p95 nor mean.
fn winner(bucket: &Bucket, at: TimeMs, versions: &Versions) -> Option<Sample> {
    let (best, _) = versions.iter().filter(|(_, n)| *n > 0).max()?;
    Some(Sample {
        series: bucket.0.clone(),
        application_name: best.identity.0.clone(),
        environment: best.identity.1.clone(),
        interval_seconds: bucket.1,
        at,
        value: best.p95.or(best.mean)?,
        weight: best.count.unwrap_or(1).max(1),
    })
}

impl Align {
    /// Takes rows in and out (any order, any multiplicity) and returns how the samples change.
    ///
    /// An open bucket is sent again with a higher count; the greatest `(version, count, statistics)` wins.
    ///
    /// ```
    /// use coral_operators::metrics::Align;
    /// use model::metric::{MetricPoint, SeriesKey};
    /// use model::{real::Real, time::TimeMs};
    /// let open = MetricPoint {
    ///     series: SeriesKey { colony_id: "a".into(), service_id: "s".into(), metric_name: "m".into() },
    ///     timestamp: TimeMs(60_000), interval_seconds: Some(60), version: 0, count: Some(2),
    ///     mean: Some(Real(1.0)), p50: None, p95: None, p99: None, max: None, application_name: "a".into(), environment: "prod".into(),
    /// };
    /// let closed = MetricPoint { count: Some(5), mean: Some(Real(3.0)), ..open.clone() };
    /// let mut align = Align::default();
    /// align.apply(vec![(closed.clone(), 1)]);
    /// assert!(align.apply(vec![(open, 1)]).is_empty(), "an older state of the bucket changes nothing");
    /// let changes = align.apply(vec![(closed, -1)]);
    /// assert_eq!(changes.iter().map(|(s, d)| (s.value.0, *d)).collect::<Vec<_>>(), [(1.0, 1), (3.0, -1)]);
    /// ```
    pub fn apply(&mut self, mut changes: Vec<(MetricPoint, i64)>) -> Vec<(Sample, i64)> {
        changes.sort();
        let same = |a: &(MetricPoint, i64), b: &(MetricPoint, i64)| {
            (&a.0.series, a.0.timestamp, a.0.interval_seconds) == (&b.0.series, b.0.timestamp, b.0.interval_seconds)
        };
        let mut out = Vec::new();
        for rows in changes.chunk_by(same) {
            let (bucket, at) = ((rows[0].0.series.clone(), rows[0].0.interval_seconds), rows[0].0.timestamp);
            let mut versions = self.buckets.get_mut(&bucket).and_then(|times| times.remove(&at)).unwrap_or_default();
            let old = winner(&bucket, at, &versions);
            for (point, diff) in rows {
                let version = self.version(point);
                match versions.iter_mut().find(|(known, _)| *known == version) {
                    Some((_, count)) => *count += diff,
                    None => versions.push((version, *diff)),
                }
            }
            versions.retain(|(_, count)| *count != 0);
            let new = winner(&bucket, at, &versions);
            if old != new {
                out.extend(old.map(|sample| (sample, -1)));
                out.extend(new.map(|sample| (sample, 1)));
            }
            if !versions.is_empty() {
                versions.shrink_to_fit();
                self.buckets.entry(bucket).or_default().insert(at, versions);
            } else if self.buckets.get(&bucket).is_some_and(BTreeMap::is_empty) {
                self.buckets.remove(&bucket);
            }
        }
        out.sort();
        out
    }

    fn version(&mut self, point: &MetricPoint) -> Version {
        let identity = Arc::new((point.application_name.clone(), point.environment.clone()));
        let identity = match self.identities.get(&identity) {
            Some(known) => known.clone(),
            None => {
                self.identities.insert(identity.clone());
                identity
            }
        };
        let MetricPoint { version, count, mean, p50, p95, p99, max, .. } = *point;
        Version { version, count, mean, p50, p95, p99, max, identity }
    }

    /// Drops rows before `time`. Their samples are not retracted: nothing looks at them any more.
    pub fn forget_before(&mut self, time: TimeMs) {
        self.buckets.retain(|_, times| {
            *times = times.split_off(&time);
            !times.is_empty()
        });
        // an identity that no row has any more
        self.identities.retain(|identity| Arc::strong_count(identity) > 1);
    }

    /// Rows held.
    pub fn len(&self) -> usize {
        self.buckets.values().flat_map(BTreeMap::values).map(Vec::len).sum()
    }

    /// Whether no row is held.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}
