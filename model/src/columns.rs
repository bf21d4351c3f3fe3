//! Metric rows as columns, and a view of one row. Serialised columns hold each series' names once.

use crate::metric::MetricPoint;
use crate::series::{Series, SeriesId};
use crate::statistics::Statistics;
use crate::time::TimeMs;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

/// Some metric rows, column by column.
#[derive(Clone, Default)]
pub struct MetricColumns {
    series: Vec<SeriesId>,
    times: Vec<TimeMs>,
    statistics: Vec<Statistics>,
}

impl MetricColumns {
    /// Room for so many rows.
    pub fn with_capacity(rows: usize) -> MetricColumns {
        MetricColumns {
            series: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            statistics: Vec::with_capacity(rows),
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series of each row.
    pub fn series(&self) -> &[SeriesId] {
        &self.series
    }

    /// The start of each row's bucket.
    pub fn times(&self) -> &[TimeMs] {
        &self.times
    }

    /// The numbers of each row.
    pub fn statistics(&self) -> &[Statistics] {
        &self.statistics
    }

    /// Adds a row.
    pub fn push(&mut self, point: &MetricPoint) {
        self.add(point.series, point.timestamp, Statistics::of(point));
    }

    fn add(&mut self, series: SeriesId, time: TimeMs, statistics: Statistics) {
        self.series.push(series);
        self.times.push(time);
        self.statistics.push(statistics);
    }

    /// Takes the last row out.
    pub(crate) fn pop(&mut self) {
        self.series.pop();
        self.times.pop();
        self.statistics.pop();
    }

    /// Adds all rows of `other`.
    pub(crate) fn extend_from(&mut self, other: &MetricColumns) {
        self.series.extend_from_slice(&other.series);
        self.times.extend_from_slice(&other.times);
        self.statistics.extend_from_slice(&other.statistics);
    }

    /// A view of a row.
    pub fn row(&self, place: usize) -> MetricRow<'_> {
        MetricRow { columns: self, place: place as u32 }
    }

    /// A view of every row.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = MetricRow<'_>> + ExactSizeIterator + Clone {
        (0..self.len()).map(|place| self.row(place))
    }

    /// The rows at these places.
    pub fn select(&self, places: impl ExactSizeIterator<Item = usize>) -> MetricColumns {
        let mut selected = MetricColumns::with_capacity(places.len());
        places.for_each(|place| selected.add(self.series[place], self.times[place], self.statistics[place]));
        selected
    }
}

impl fmt::Debug for MetricColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

/// A view of one row of columns.
#[derive(Clone, Copy)]
pub struct MetricRow<'a> {
    columns: &'a MetricColumns,
    place: u32,
}

impl<'a> MetricRow<'a> {
    /// Which series.
    pub fn series(&self) -> SeriesId {
        self.columns.series[self.place as usize]
    }

    /// Start of the bucket.
    pub fn timestamp(&self) -> TimeMs {
        self.columns.times[self.place as usize]
    }

    /// The numbers.
    pub fn statistics(&self) -> &'a Statistics {
        &self.columns.statistics[self.place as usize]
    }

    /// The row, by value.
    pub fn point(&self) -> MetricPoint {
        self.statistics().point(self.series(), self.timestamp())
    }
}

impl fmt::Debug for MetricRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.point().fmt(f)
    }
}

/// The order of [`MetricPoint`].
impl Ord for MetricRow<'_> {
    fn cmp(&self, other: &MetricRow<'_>) -> Ordering {
        let place = |row: &MetricRow<'_>| (row.series(), row.timestamp());
        place(self).cmp(&place(other)).then_with(|| self.statistics().rank().cmp(&other.statistics().rank()))
    }
}

impl PartialOrd for MetricRow<'_> {
    fn partial_cmp(&self, other: &MetricRow<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for MetricRow<'_> {
    fn eq(&self, other: &MetricRow<'_>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for MetricRow<'_> {}

/// Columns as they are sent: each name once.
#[derive(Serialize, Deserialize)]
struct Sent {
    names: Vec<Series>,
    /// By row: the place of its name.
    series: Vec<u32>,
    times: Vec<TimeMs>,
    statistics: Vec<Statistics>,
}

impl Serialize for MetricColumns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut names, mut places) = (Vec::new(), HashMap::new());
        let place = |id: &SeriesId| {
            *places.entry(*id).or_insert_with(|| {
                names.push(id.series().clone());
                names.len() as u32 - 1
            })
        };
        let series: Vec<u32> = self.series.iter().map(place).collect();
        Sent { names, series, times: self.times.clone(), statistics: self.statistics.clone() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MetricColumns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MetricColumns, D::Error> {
        let Sent { names, series, times, statistics } = Sent::deserialize(deserializer)?;
        let ids: Vec<SeriesId> = names.iter().map(|series| SeriesId::of(series.names())).collect();
        let series: Option<Vec<SeriesId>> = series.iter().map(|place| ids.get(*place as usize).copied()).collect();
        match series.filter(|series| series.len() == times.len() && times.len() == statistics.len()) {
            Some(series) => Ok(MetricColumns { series, times, statistics }),
            None => Err(serde::de::Error::custom("columns of metric rows differ in length, or name no series")),
        }
    }
}
