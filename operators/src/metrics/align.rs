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
#[derive(Clone, Debug)]
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

/// Rows of a day as columns, where each bucket has one state, with the same numbers as the others.
#[derive(Clone, Debug)]
struct VersionColumns {
    series: Named,
    version: Whole,
    count: Option<Whole>,
    /// Mean, p50, p95, p99, max.
    values: [Option<Vec<Real>>; 5],
}

impl Pack for Versions {
    type Columns = VersionColumns;

    fn pack<'a>(rows: impl Iterator<Item = &'a Versions> + Clone) -> Option<VersionColumns> {
        let one = |versions: &'a Versions| if let Versions::One((one, 1)) = versions { Some(one) } else { None };
        let rows: Vec<&Version> = rows.map(one).collect::<Option<_>>()?;
        let statistics = || rows.iter().map(|(_, statistics)| statistics);
        let column = |value: fn(&Statistics) -> Option<Real>| all_or_none(statistics().map(value));
        let count = all_or_none(statistics().map(Statistics::count))?;
        Some(VersionColumns {
            series: Named::pack(rows.iter().map(|(series, _)| *series)),
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
        let [mean, p50, p95, p99, max] = columns.values.each_ref().map(|values| Some(values.as_ref()?[place]));
        let (version, count) = (columns.version.at(place), columns.count.as_ref().map(|counts| counts.at(place)));
        let point = MetricPoint { version, count, mean, p50, p95, p99, max, ..MetricPoint::default() };
        Versions::One(((columns.series.at(place), Statistics::of(&point)), 1))
    }
}

/// Bytes of a kept row: of closed days six numbers, version and time, and in a day of a look-back of twelve all of it with
/// some room at its end.
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
mod tests {
    use super::*;
    use model::series::SeriesRef;
    use model::time::MINUTE_MS;

    #[test]
    fn a_series_that_changes_its_application_and_environment_for_ever_holds_no_more_than_its_rows() {
        let mut align = Align::default();
        for minute in 0..600 {
            let (application, environment) = (format!("app-{}", minute % 7), format!("ephemeral-{minute}"));
            let names = SeriesRef {
                colony_id: "c",
                service_id: "s",
                metric_name: "m",
                application_name: &application,
                environment: &environment,
                interval_seconds: Some(60),
            };
            let timestamp = TimeMs(minute * MINUTE_MS);
            let point =
                MetricPoint { series: SeriesId::of(names), timestamp, mean: Some(Real(1.0)), ..MetricPoint::default() };
            assert_eq!(align.apply(vec![(point, 1)]).len(), 1);
            align.forget_before(TimeMs((minute - 9) * MINUTE_MS));
            assert!(align.len() <= 10);
        }
        assert_eq!((align.len(), align.tracks.len(), align.places.len()), (10, 1, 1));
        assert_eq!(align.tracks[0].len(), 10);
        align.forget_before(TimeMs(600 * MINUTE_MS));
        assert!(align.is_empty());
    }
}
