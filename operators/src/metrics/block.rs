//! Metric rows between workers: a selection of shared columns, and the samples derived from them. Inside a process they
//! are shared, not copied; another process receives the names of a series once per block.

use model::chunks::Metrics;
use model::columns::{MetricColumns, MetricRow};
use model::real::Real;
use model::series::{Series, SeriesId};
use model::time::TimeMs;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Rows of one chunk that belong to one worker.
#[derive(Clone, Debug)]
pub struct MetricBlock {
    /// Which worker, modulo the number of workers.
    pub owner: u64,
    columns: Arc<MetricColumns>,
    /// The rows; `None` for all of them.
    places: Option<Vec<u32>>,
}

impl MetricBlock {
    /// All rows of a chunk, for one worker.
    pub fn whole(owner: u64, columns: Arc<MetricColumns>) -> MetricBlock {
        MetricBlock { owner, columns, places: None }
    }

    /// These rows of `metrics`, each for the worker that has its series.
    pub fn divide(metrics: &Metrics, rows: Range<usize>, peers: usize) -> Vec<MetricBlock> {
        let (mut blocks, mut begin) = (Vec::new(), 0);
        for chunk in metrics.chunks() {
            let end = begin + chunk.len();
            let (first, last) = (rows.start.clamp(begin, end) - begin, rows.end.clamp(begin, end) - begin);
            begin = end;
            if first >= last {
                continue;
            }
            if peers == 1 && last - first == chunk.len() {
                blocks.push(MetricBlock::whole(0, Arc::clone(chunk)));
                continue;
            }
            let mut of_owner = vec![Vec::new(); peers];
            for (place, series) in (first..last).zip(&chunk.series()[first..last]) {
                of_owner[(series.owner_hash() % peers as u64) as usize].push(place as u32);
            }
            let of_owner = (0_u64..).zip(of_owner).filter(|(_, places)| !places.is_empty());
            blocks.extend(of_owner.map(|(owner, places)| {
                let places = (places.len() < chunk.len()).then_some(places);
                MetricBlock { owner, columns: Arc::clone(chunk), places }
            }));
        }
        blocks
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.places.as_ref().map_or(self.columns.len(), Vec::len)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every row, borrowed.
    pub fn rows(&self) -> impl Iterator<Item = MetricRow<'_>> {
        let place = |n: usize| self.places.as_ref().map_or(n, |places| places[n] as usize);
        (0..self.len()).map(move |n| self.columns.row(place(n)))
    }
}

/// An order to cancel by: nothing depends on it.
impl Ord for MetricBlock {
    fn cmp(&self, other: &MetricBlock) -> Ordering {
        let key = |row: MetricRow<'_>| (row.series().index(), row.timestamp(), row.statistics().rank());
        self.owner.cmp(&other.owner).then_with(|| self.rows().map(key).cmp(other.rows().map(key)))
    }
}

impl PartialOrd for MetricBlock {
    fn partial_cmp(&self, other: &MetricBlock) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for MetricBlock {
    fn eq(&self, other: &MetricBlock) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for MetricBlock {}

impl Serialize for MetricBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.places {
            None => (self.owner, &*self.columns).serialize(serializer),
            Some(places) => {
                let selected = self.columns.select(places.iter().map(|place| *place as usize));
                (self.owner, selected).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for MetricBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MetricBlock, D::Error> {
        let (owner, columns) = <(u64, MetricColumns)>::deserialize(deserializer)?;
        Ok(MetricBlock::whole(owner, Arc::new(columns)))
    }
}

/// The number that one bucket contributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// Which series, with the application and environment that the winning row came with.
    pub series: SeriesId,
    /// Start of the bucket.
    pub at: TimeMs,
    /// p95, else the mean.
    pub value: Real,
    /// Samples in the bucket, at least 1: the weight when buckets are merged.
    pub weight: u64,
}

/// An order to cancel by. It differs from process to process, and no result depends on it.
impl Ord for Sample {
    fn cmp(&self, other: &Sample) -> Ordering {
        let key = |sample: &Sample| (sample.series.index(), sample.at, sample.value, sample.weight);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Sample {
    fn partial_cmp(&self, other: &Sample) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Samples that came and went.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Samples(pub Arc<Vec<(Sample, i64)>>);

/// Samples as they are sent: each name once.
#[derive(Serialize, Deserialize)]
struct Sent {
    names: Vec<Series>,
    /// Place of the name, time, value, weight, sign.
    samples: Vec<(u32, TimeMs, Real, u64, i64)>,
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut names, mut places) = (Vec::new(), BTreeMap::new());
        let sent = |(sample, diff): &(Sample, i64)| {
            let place = *places.entry(sample.series.index()).or_insert_with(|| {
                names.push(sample.series.series().clone());
                names.len() as u32 - 1
            });
            (place, sample.at, sample.value, sample.weight, *diff)
        };
        let samples = self.0.iter().map(sent).collect();
        Sent { names, samples }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Samples, D::Error> {
        let Sent { names, samples } = Sent::deserialize(deserializer)?;
        let ids: Vec<SeriesId> = names.iter().map(|series| SeriesId::of(series.names())).collect();
        let read = |(place, at, value, weight, diff): (u32, TimeMs, Real, u64, i64)| {
            let series = ids.get(place as usize).copied();
            series.map(|series| (Sample { series, at, value, weight }, diff))
        };
        let samples: Option<Vec<(Sample, i64)>> = samples.into_iter().map(read).collect();
        samples
            .map(|samples| Samples(Arc::new(samples)))
            .ok_or_else(|| serde::de::Error::custom("a sample names no series"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::metric::MetricPoint;
    use model::series::SeriesRef;

    fn metrics(rows: i64) -> Metrics {
        let services: Vec<String> = (0..7).map(|n| format!("block-{n}")).collect();
        let point = |n: i64| {
            let service_id = &services[(n % 7) as usize];
            let names = SeriesRef { colony_id: "c", service_id, metric_name: "m", ..SeriesRef::default() };
            let (series, timestamp) = (SeriesId::of(names), TimeMs(n));
            MetricPoint { series, timestamp, mean: Some(Real(n as f64)), ..MetricPoint::default() }
        };
        (0..rows).map(point).collect()
    }

    #[test]
    fn every_row_goes_to_one_worker_and_that_one_has_its_series() {
        let mut all = metrics(100);
        all.append(metrics(9_000));
        for peers in [1, 2, 3] {
            let shares = [0..4_000, 4_000..4_100, 4_100..all.len()];
            let blocks: Vec<MetricBlock> =
                shares.into_iter().flat_map(|rows| MetricBlock::divide(&all, rows, peers)).collect();
            let owned =
                |block: &MetricBlock| block.rows().all(|row| row.series().owner_hash() % peers as u64 == block.owner);
            assert!(blocks.iter().all(owned), "{peers}");
            let mut found: Vec<MetricPoint> =
                blocks.iter().flat_map(MetricBlock::rows).map(|row| row.point()).collect();
            let mut expected = all.to_vec();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{peers}");
        }
    }

    #[test]
    fn one_worker_reads_the_columns_where_they_are() {
        let all = metrics(50);
        let blocks = MetricBlock::divide(&all, 0..50, 1);
        assert_eq!(blocks.len(), 1);
        assert!(Arc::ptr_eq(&blocks[0].columns, &all.chunks()[0]));
    }

    #[test]
    fn blocks_and_samples_arrive_as_they_were_sent() {
        let all = metrics(60);
        for block in MetricBlock::divide(&all, 5..40, 2) {
            let read: MetricBlock = serde_json::from_str(&serde_json::to_string(&block).unwrap()).unwrap();
            assert_eq!(read, block);
        }
        let sample =
            |row: MetricRow<'_>| Sample { series: row.series(), at: row.timestamp(), value: Real(1.5), weight: 2 };
        let samples = Samples(Arc::new(all.rows().map(|row| (sample(row), -1)).collect()));
        let text = serde_json::to_string(&samples).unwrap();
        assert_eq!(serde_json::from_str::<Samples>(&text).unwrap(), samples);
        assert_eq!(text.matches("block-").count(), 7, "each name once");
    }
}
