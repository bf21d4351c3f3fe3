//! Metric rows in chunks of columns. A chunk is filled once, when rows are decoded, and is shared after that, not copied:
//! gate, engine and store read the same memory.

use crate::columns::{MetricColumns, MetricRow};
use crate::metric::MetricPoint;
use crate::series::SeriesId;
use crate::statistics::Statistics;
use crate::time::TimeMs;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Rows of one chunk that is filled row by row.
const CHUNK_ROWS: usize = 8_192;

/// Metric rows in chunks. Clones share the chunks.
#[derive(Clone, Default)]
pub struct Metrics {
    chunks: Vec<Arc<MetricColumns>>,
    len: usize,
}

impl Metrics {
    /// Rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The memory that the rows take, roughly.
    pub fn bytes(&self) -> usize {
        self.len * (size_of::<SeriesId>() + size_of::<TimeMs>() + size_of::<Statistics>())
    }

    /// The rows, chunk by chunk.
    pub fn chunks(&self) -> &[Arc<MetricColumns>] {
        &self.chunks
    }

    /// Every row, borrowed.
    pub fn rows(&self) -> impl Iterator<Item = MetricRow<'_>> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.rows())
    }

    /// Every row, by value.
    pub fn iter(&self) -> impl Iterator<Item = MetricPoint> + Clone + '_ {
        self.rows().map(|row| row.point())
    }

    /// The first row.
    pub fn first(&self) -> Option<MetricPoint> {
        Some(self.chunks.first()?.row(0).point())
    }

    /// The last row.
    pub fn last(&self) -> Option<MetricPoint> {
        let chunk = self.chunks.last()?;
        Some(chunk.row(chunk.len() - 1).point())
    }

    /// All rows, by value.
    pub fn to_vec(&self) -> Vec<MetricPoint> {
        self.iter().collect()
    }

    /// Adds a row.
    pub fn push(&mut self, point: MetricPoint) {
        let last = self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK_ROWS).and_then(Arc::get_mut);
        match last {
            Some(chunk) => chunk.push(&point),
            None => {
                let mut chunk = MetricColumns::default();
                chunk.push(&point);
                self.chunks.push(Arc::new(chunk));
            }
        }
        self.len += 1;
    }

    /// Takes the last row out.
    pub fn pop(&mut self) -> Option<MetricPoint> {
        let chunk = self.chunks.last_mut()?;
        let point = chunk.row(chunk.len() - 1).point();
        let columns = Arc::make_mut(chunk);
        columns.pop();
        if columns.is_empty() {
            self.chunks.pop();
        }
        self.len -= 1;
        Some(point)
    }

    /// Appends the chunks of `other`; no row is copied.
    pub fn append(&mut self, mut other: Metrics) {
        self.len += other.len;
        self.chunks.append(&mut other.chunks);
    }

    /// Keeps the rows that `keeps` says. Chunks that stay whole are not copied.
    pub fn retain(&mut self, mut keeps: impl FnMut(MetricRow<'_>) -> bool) {
        self.split_off(|row| !keeps(row));
    }

    /// Moves the rows that `goes` says out. Chunks of which all rows stay, or all go, are not copied.
    pub fn split_off(&mut self, mut goes: impl FnMut(MetricRow<'_>) -> bool) -> Metrics {
        let (mut kept, mut gone) = (Metrics::default(), Metrics::default());
        for chunk in std::mem::take(&mut self.chunks) {
            let Some(first) = chunk.rows().position(&mut goes) else {
                kept.take(chunk);
                continue;
            };
            let (mut out, mut stays): (Vec<usize>, Vec<usize>) = (vec![first], (0..first).collect());
            for place in first + 1..chunk.len() {
                if goes(chunk.row(place)) { out.push(place) } else { stays.push(place) }
            }
            if stays.is_empty() {
                gone.take(chunk);
            } else {
                kept.take(Arc::new(chunk.select(stays.into_iter())));
                gone.take(Arc::new(chunk.select(out.into_iter())));
            }
        }
        *self = kept;
        gone
    }

    fn take(&mut self, chunk: Arc<MetricColumns>) {
        self.len += chunk.len();
        self.chunks.push(chunk);
    }
}

impl From<MetricColumns> for Metrics {
    fn from(columns: MetricColumns) -> Metrics {
        let mut metrics = Metrics::default();
        if !columns.is_empty() {
            metrics.take(Arc::new(columns));
        }
        metrics
    }
}

impl From<Vec<MetricPoint>> for Metrics {
    fn from(points: Vec<MetricPoint>) -> Metrics {
        points.into_iter().collect()
    }
}

impl From<&[MetricPoint]> for Metrics {
    fn from(points: &[MetricPoint]) -> Metrics {
        points.iter().copied().collect()
    }
}

impl<const N: usize> From<[MetricPoint; N]> for Metrics {
    fn from(points: [MetricPoint; N]) -> Metrics {
        points.into_iter().collect()
    }
}

impl IntoIterator for Metrics {
    type Item = MetricPoint;
    type IntoIter = std::vec::IntoIter<MetricPoint>;

    fn into_iter(self) -> Self::IntoIter {
        self.to_vec().into_iter()
    }
}

impl Extend<MetricPoint> for Metrics {
    fn extend<I: IntoIterator<Item = MetricPoint>>(&mut self, points: I) {
        points.into_iter().for_each(|point| self.push(point));
    }
}

impl FromIterator<MetricPoint> for Metrics {
    fn from_iter<I: IntoIterator<Item = MetricPoint>>(points: I) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.extend(points);
        metrics
    }
}

/// The same rows in the same order, however they are cut into chunks.
impl PartialEq for Metrics {
    fn eq(&self, other: &Metrics) -> bool {
        self.len == other.len && self.rows().eq(other.rows())
    }
}

impl Eq for Metrics {}

impl PartialEq<Vec<MetricPoint>> for Metrics {
    fn eq(&self, other: &Vec<MetricPoint>) -> bool {
        self.len == other.len() && self.iter().eq(other.iter().copied())
    }
}

impl<const N: usize> PartialEq<[MetricPoint; N]> for Metrics {
    fn eq(&self, other: &[MetricPoint; N]) -> bool {
        self.len == N && self.iter().eq(other.iter().copied())
    }
}

impl PartialEq<Metrics> for Vec<MetricPoint> {
    fn eq(&self, other: &Metrics) -> bool {
        other == self
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = MetricColumns::with_capacity(self.len);
        for chunk in &self.chunks {
            all.extend_from(chunk);
        }
        all.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Metrics, D::Error> {
        MetricColumns::deserialize(deserializer).map(Metrics::from)
    }
}
