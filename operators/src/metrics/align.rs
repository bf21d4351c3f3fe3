//! `Align`: one winner per metric bucket, and its correlated value.

use super::block::{MetricBlock, Sample};
use super::by_time::ByTime;
use super::columns::{Named, Pack, Whole, all_or_none};
use model::columns::{MetricColumns, MetricRow};
use model::metric::{MetricPoint, SeriesKey};
use model::real::Real;
use model::series::SeriesId;
use model::statistics::Statistics;
use model::time::TimeMs;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A state of a bucket, with the application and environment that it came with.
type Version = (SeriesId, Statistics);

/// The states of a bucket, each with how often it was received.
#[derive(Clone, Debug, PartialEq)]
enum Versions {
    /// Mostly it is one.
    One((Version, i64)),
    Several(Vec<(Version, i64)>),
}

impl Default for Versions {
    fn default() -> Versions {
        Versions::Several(Vec::new())
    }
}

impl Versions {
    fn all(&self) -> &[(Version, i64)] {
        match self {
            Versions::One(one) => std::slice::from_ref(one),
            Versions::Several(all) => all,
        }
    }

    /// Counts a version in or out.
    fn count(&mut self, version: Version, diff: i64) {
        let is_it = |known: &Version| known.0 == version.0 && known.1.rank() == version.1.rank();
        match self {
            Versions::One((known, count)) if is_it(known) => *count += diff,
            Versions::One(one) => *self = Versions::Several(vec![*one, (version, diff)]),
            Versions::Several(all) if all.is_empty() => *self = Versions::One((version, diff)),
            Versions::Several(all) => match all.iter_mut().find(|(known, _)| is_it(known)) {
                Some((_, count)) => *count += diff,
                None => all.push((version, diff)),
            },
        }
    }

    /// Without those that are no longer received.
    fn tidied(self) -> Versions {
        match self {
            Versions::One((_, 0)) => Versions::default(),
            Versions::Several(mut all) => {
                all.retain(|(_, count)| *count != 0);
                if let [one] = all.as_slice() {
                    return Versions::One(*one);
                }
                all.shrink_to_fit();
                Versions::Several(all)
            }
            one => one,
        }
    }
}

/// Rows of a day as columns, where all states have the same numbers.
#[derive(Clone, Debug)]
struct VersionColumns {
    /// Where the states of each bucket end; `None` where each bucket has one.
    ends: Option<Vec<u32>>,
    series: Named,
    /// How often each state was received, as the bits of an `i64`.
    received: Whole,
    version: Whole,
    count: Option<Whole>,
    /// Mean, p50, p95, p99, max.
    values: [Option<Vec<Real>>; 5],
}

impl VersionColumns {
    fn state(&self, place: usize) -> (Version, i64) {
        let [mean, p50, p95, p99, max] = self.values.each_ref().map(|values| Some(values.as_ref()?[place]));
        let (version, count) = (self.version.at(place), self.count.as_ref().map(|counts| counts.at(place)));
        let point = MetricPoint { version, count, mean, p50, p95, p99, max, ..MetricPoint::default() };
        ((self.series.at(place), Statistics::of(&point)), self.received.at(place) as i64)
    }
}

impl Pack for Versions {
    type Columns = VersionColumns;

    fn pack<'a>(rows: impl Iterator<Item = &'a Versions> + Clone) -> Option<VersionColumns> {
        let states: Vec<&(Version, i64)> = rows.clone().flat_map(Versions::all).collect();
        let statistics = || states.iter().map(|((_, statistics), _)| statistics);
        let column = |value: fn(&Statistics) -> Option<Real>| all_or_none(statistics().map(value));
        let count = all_or_none(statistics().map(Statistics::count))?;
        let has_several = rows.clone().any(|versions| versions.all().len() != 1);
        let ends = rows.scan(0, |end, versions| {
            *end += versions.all().len() as u32;
            Some(*end)
        });
        Some(VersionColumns {
            ends: has_several.then(|| ends.collect()),
            series: Named::pack(states.iter().map(|((series, _), _)| *series)),
            received: Whole::pack(states.iter().map(|(_, received)| *received as u64)),
            version: Whole::pack(statistics().map(Statistics::version)),
            count: count.map(|counts| Whole::pack(counts.into_iter())),
            values: [
                column(Statistics::mean)?,
                column(Statistics::p50)?,
                column(Statistics::p95)?,
                column(Statistics::p99)?,
                column(Statistics::max)?,
            ],
        })
    }

    fn unpack(columns: &VersionColumns, place: usize) -> Versions {
        let Some(ends) = &columns.ends else { return Versions::One(columns.state(place)) };
        let first = place.checked_sub(1).map_or(0, |before| ends[before] as usize);
        match first..ends[place] as usize {
            states if states.len() == 1 => Versions::One(columns.state(first)),
            states => Versions::Several(states.map(|state| columns.state(state)).collect()),
        }
    }
}

/// Bytes of a kept row, each state of a bucket being one: of closed days six numbers, version, and time or end, and in a
/// day of a look-back of twelve all of it with some room at its end.
pub const ROW_BYTES: u64 = 8 * 6 + 8 + 4 + size_of::<(i64, Versions)>() as u64 / 8;

/// What makes rows versions of one another, apart from the time: application and environment do not.
type Bucket = (&'static SeriesKey, Option<u32>);

/// Rows of every bucket, so that a retraction restores the loser.
#[derive(Debug, Default)]
pub struct Align {
    tracks: Vec<ByTime<Versions>>,
    /// The track of each bucket.
    places: BTreeMap<Bucket, usize>,
    /// The same by the number of the series, where it is known.
    known: Vec<Option<usize>>,
}

/// The sample of the winning row; `None` without rows, or if the winner has neither p95 nor mean. The order that
/// decides is `MetricPoint::rank`, then application and environment, never arrival.
fn winner(at: TimeMs, versions: &Versions) -> Option<Sample> {
    let rank = |(series, statistics): &(SeriesId, Statistics)| {
        let series = series.series();
        (statistics.rank(), &series.application_name, &series.environment)
    };
    let present = versions.all().iter().filter(|(_, n)| *n > 0).map(|(version, _)| version);
    let (series, best) = present.max_by(|a, b| rank(a).cmp(&rank(b)))?;
    Some(Sample { series: *series, at, value: best.value()?, weight: best.count().unwrap_or(1).max(1) })
}

impl Align {
    /// Takes rows in and out (any order, any multiplicity) and returns how the samples change.
    ///
    /// An open bucket is sent again with a higher count; the greatest `(version, count, statistics)` wins.
    ///
    /// ```
    /// use coral_operators::metrics::Align;
    /// use model::metric::MetricPoint;
    /// use model::{real::Real, series::{SeriesId, SeriesRef}, time::TimeMs};
    /// let names = SeriesRef { colony_id: "a", service_id: "s", metric_name: "m", ..SeriesRef::default() };
    /// let open = MetricPoint {
    ///     series: SeriesId::of(names), timestamp: TimeMs(60_000), count: Some(2), mean: Some(Real(1.0)),
    ///     ..MetricPoint::default()
    /// };
    /// let closed = MetricPoint { count: Some(5), mean: Some(Real(3.0)), ..open };
    /// let mut align = Align::default();
    /// align.apply(vec![(closed, 1)]);
    /// assert!(align.apply(vec![(open, 1)]).is_empty(), "an older state of the bucket changes nothing");
    /// let changes = align.apply(vec![(closed, -1)]);
    /// assert_eq!(changes.iter().map(|(s, d)| (s.value.0, *d)).collect::<Vec<_>>(), [(1.0, 1), (3.0, -1)]);
    /// ```
    pub fn apply(&mut self, changes: Vec<(MetricPoint, i64)>) -> Vec<(Sample, i64)> {
        let blocks: Vec<(MetricBlock, i64)> = changes
            .into_iter()
            .map(|(point, diff)| {
                let mut columns = MetricColumns::with_capacity(1);
                columns.push(&point);
                (MetricBlock::whole(0, Arc::new(columns)), diff)
            })
            .collect();
        self.apply_blocks(&blocks)
    }

    /// The same for rows in blocks, each with the sign of its block.
    pub fn apply_blocks(&mut self, blocks: &[(MetricBlock, i64)]) -> Vec<(Sample, i64)> {
        let mut placed: Vec<(usize, TimeMs, MetricRow<'_>, i64)> = blocks
            .iter()
            .flat_map(|(block, diff)| block.rows().map(|row| (row, *diff)))
            .map(|(row, diff)| (self.place(row.series()), row.timestamp(), row, diff))
            .collect();
        placed.sort_by_key(|(place, at, ..)| (*place, *at));
        let mut out = Vec::new();
        for rows in placed.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
            let (place, at, ..) = rows[0];
            let track = &mut self.tracks[place];
            // nearly always: one row of a bucket that is new
            let versions = track.entry(at.0);
            let old = winner(at, versions);
            for (.., row, diff) in rows {
                versions.count((row.series(), *row.statistics()), *diff);
            }
            *versions = std::mem::take(versions).tidied();
            let (new, is_gone) = (winner(at, versions), versions.all().is_empty());
            if old != new {
                out.extend(old.map(|sample| (sample, -1)));
                out.extend(new.map(|sample| (sample, 1)));
            }
            if is_gone {
                track.remove(at.0);
            }
        }
        out.sort_unstable();
        out
    }

    /// The track of a series. Series that differ in application or environment alone share one.
    fn place(&mut self, series: SeriesId) -> usize {
        if let Some(place) = self.known.get(series.index()).copied().flatten() {
            return place;
        }
        let tracks = &mut self.tracks;
        let names = series.series();
        let place = *self.places.entry((&names.key, names.interval_seconds)).or_insert_with(|| {
            tracks.push(ByTime::default());
            tracks.len() - 1
        });
        self.known.resize(self.known.len().max(series.index() + 1), None);
        self.known[series.index()] = Some(place);
        place
    }

    /// Drops rows before `time`. Their samples are not retracted: nothing uses them any more.
    pub fn forget_before(&mut self, time: TimeMs) {
        for track in &mut self.tracks {
            track.forget_before(time.0);
        }
    }

    /// Rows held.
    pub fn len(&self) -> usize {
        self.tracks.iter().flat_map(ByTime::rows).map(|versions| versions.all().len()).sum()
    }

    /// Whether no row is held.
    pub fn is_empty(&self) -> bool {
        self.tracks.iter().all(ByTime::is_empty)
    }
}

#[cfg(test)]
mod tests;
