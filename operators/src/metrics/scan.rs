//! `MetricScan`: which instants are evaluated, which pairs are computed, and what is recomputed when a sample changes.
//!
//! The instants are the ends of the last seven UTC days (closed instants) and the current minute. The result of a pair
//! at an instant depends only on the samples in that instant's range. A closed instant is therefore computed once, and
//! again only for series that change inside the range. Every shard has all samples and owns a share of the pairs.

use super::block::Sample;
use super::grid::{Kept, Track, native};
use super::kinds::is_demand;
use super::lags::Workspace;
use super::load::{End, Fleet};
use super::pair::{Found, PairResult, correlate};
use super::params::{MetricParams, WALK_MS};
use super::row::{Explained, FoundRow, MetricScanRow};
use super::series::Prepared;
use crate::shard::Shard;
use model::metric::SeriesKey;
use model::real::Real;
use model::series::SeriesId;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

/// Places of two series, of which the first comes first by name.
type Pair = (usize, usize);

/// Samples of one series.
#[derive(Debug)]
struct Series {
    key: &'static SeriesKey,
    tracks: BTreeMap<Option<u32>, Track>,
}

/// The state of one instant.
#[derive(Debug, Default)]
struct Instant {
    pairs: BTreeMap<Pair, PairResult>,
    /// Series whose samples changed inside the range since `pairs` was computed; all of them at first.
    changed: BTreeSet<usize>,
    fresh: bool,
    /// Rows last emitted, sorted.
    rows: Vec<MetricScanRow>,
}

/// A series at an instant, on every grid it is needed on.
struct Seen {
    place: usize,
    key: &'static SeriesKey,
    /// The series of its latest sample.
    latest: SeriesId,
    native_ms: i64,
    on: BTreeMap<i64, Prepared>,
}

/// The samples of all series and the state of the evaluated instants.
#[derive(Debug)]
pub struct MetricScan {
    params: MetricParams,
    shard: Shard,
    series: Vec<Series>,
    /// Places in `series`, in the order of names.
    places: BTreeMap<&'static SeriesKey, usize>,
    /// The same by number. Series that differ in interval, application or environment alone share a place.
    known: Vec<Option<usize>>,
    instants: BTreeMap<TimeMs, Instant>,
}

impl MetricScan {
    /// A scan of this shard's share of the pairs.
    ///
    /// ```
    /// use coral_operators::metrics::{MetricParams, MetricScan, MetricScanRow};
    /// use coral_operators::shard::Shard;
    /// use model::time::TimeMs;
    /// let mut scan = MetricScan::new(MetricParams::default(), Shard::WHOLE);
    /// let rows = scan.scan(TimeMs(1_700_000_000_000));
    /// assert!(rows.iter().all(|(row, diff)| *diff == 1 && matches!(row, MetricScanRow::Tested { .. })));
    /// assert!(scan.scan(TimeMs(1_700_000_000_000)).is_empty(), "nothing changed since");
    /// ```
    pub fn new(params: MetricParams, shard: Shard) -> MetricScan {
        let (series, places, known, instants) = (Vec::new(), BTreeMap::new(), Vec::new(), BTreeMap::new());
        MetricScan { params, shard, series, places, known, instants }
    }

    /// Takes samples in and out. Of one (series, interval, time) at most one sample is in at a time.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = (Sample, i64), IntoIter: Clone>) {
        let changes = changes.into_iter();
        // out before in: a batch may carry a replacement in any order
        for (sample, _) in changes.clone().filter(|(_, diff)| *diff < 0) {
            self.change(sample, false);
        }
        for (sample, _) in changes.filter(|(_, diff)| *diff > 0) {
            self.change(sample, true);
        }
    }

    fn change(&mut self, sample: Sample, insert: bool) {
        let place = self.place(sample.series);
        let (at_ms, interval_seconds) = (sample.at.0, sample.series.interval_seconds);
        let tracks = &mut self.series[place].tracks;
        if insert {
            let kept = Kept { value: sample.value.0, weight: sample.weight, series: sample.series };
            tracks.entry(interval_seconds).or_default().insert(at_ms, kept);
        } else if let Some(track) = tracks.get_mut(&interval_seconds) {
            track.remove(&at_ms);
            if track.is_empty() {
                tracks.remove(&interval_seconds);
            }
        }
        for (at, instant) in self.instants.range_mut(sample.at..) {
            if at_ms > at.0 - self.params.range_ms() {
                instant.changed.insert(place);
            }
        }
    }

    fn place(&mut self, id: SeriesId) -> usize {
        if let Some(place) = self.known.get(id.index()).copied().flatten() {
            return place;
        }
        let (series, key) = (&mut self.series, &id.series().key);
        let place = *self.places.entry(key).or_insert_with(|| {
            series.push(Series { key, tracks: BTreeMap::new() });
            series.len() - 1
        });
        self.known.resize(self.known.len().max(id.index() + 1), None);
        self.known[id.index()] = Some(place);
        place
    }

    /// Drops samples before `time`. Nothing changes as long as `time` is at most `now - params.keep_ms()`.
    pub fn forget_before(&mut self, time: TimeMs) {
        for series in &mut self.series {
            series.tracks.retain(|_, track| {
                if track.first_key_value().is_some_and(|(at, _)| *at < time.0) {
                    *track = track.split_off(&time.0);
                }
                !track.is_empty()
            });
        }
    }

    /// Samples held.
    pub fn len(&self) -> usize {
        self.series.iter().flat_map(|series| series.tracks.values()).map(Track::len).sum()
    }

    /// Whether no sample is held.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.tracks.is_empty())
    }

    /// Evaluates at `now` (the greatest time of an on-time sample) and returns the changes of the rows since the last
    /// evaluation. The rows depend only on the samples and on the minute of `now`.
    pub fn scan(&mut self, now: TimeMs) -> Vec<(MetricScanRow, i64)> {
        let current = now.floor_to(MINUTE_MS) + (MINUTE_MS - 1);
        let mut out = Vec::new();
        let wanted = instants(current);
        let gone: Vec<TimeMs> = self.instants.keys().copied().filter(|at| !wanted.contains(at)).collect();
        for at in gone {
            let rows = self.instants.remove(&at).map(|instant| instant.rows).unwrap_or_default();
            out.extend(rows.into_iter().map(|row| (row, -1)));
        }
        for at in wanted {
            let mut instant = self.instants.remove(&at).unwrap_or_default();
            let is_current = at == current;
            if !instant.fresh || !instant.changed.is_empty() {
                let rows = self.look(at, is_current, &mut instant);
                replace(&mut instant.rows, rows, &mut out);
            } else if let Some(rows) = with_flag(&instant.rows, is_current) {
                replace(&mut instant.rows, rows, &mut out);
            }
            self.instants.insert(at, instant);
        }
        out
    }

    /// The series that can be seen from an instant, in the order of their keys.
    fn see(&self, at: TimeMs) -> Vec<Seen> {
        let natives: Vec<_> = self
            .places
            .values()
            .filter_map(|place| native(&self.series[*place].tracks, &self.params, at.0).map(|found| (*place, found)))
            .collect();
        let steps: BTreeSet<i64> = natives.iter().map(|(_, (step, _, _))| *step).collect();
        let see = |(place, (native_ms, _, track)): (usize, (i64, Option<u32>, &Track))| {
            let latest = track.range(..=at.0).next_back().map(|(_, kept)| kept.series).unwrap_or_default();
            let prepared = |step: &i64| Prepared::new(track, &self.params, *step, at.0).map(|p| (*step, p));
            let (key, on) = (self.series[place].key, steps.range(native_ms..).filter_map(prepared).collect());
            Seen { place, key, latest, native_ms, on }
        };
        natives.into_iter().map(see).collect()
    }

    /// Updates the pairs of an instant and returns its rows, sorted.
    fn look(&self, at: TimeMs, current: bool, instant: &mut Instant) -> Vec<MetricScanRow> {
        let seen = self.see(at);
        let everything = !instant.fresh;
        let changed = std::mem::take(&mut instant.changed);
        instant.fresh = true;
        instant.pairs.retain(|(a, b), _| !changed.contains(a) && !changed.contains(b));
        let mut work = Workspace::default();
        for (index, a) in seen.iter().enumerate() {
            for b in &seen[index + 1..] {
                if !everything && !changed.contains(&a.place) && !changed.contains(&b.place) {
                    continue;
                }
                if !self.params.compares(a.key, b.key) || !self.owns(a.key, b.key) {
                    continue;
                }
                let step_ms = a.native_ms.max(b.native_ms);
                let (Some(x), Some(y)) = (a.on.get(&step_ms), b.on.get(&step_ms)) else { continue };
                if let Some(result) = correlate(x, y, &self.params, &mut work) {
                    instant.pairs.insert((a.place, b.place), result);
                }
            }
        }
        self.rows(at, current, &seen, &instant.pairs)
    }

    fn owns(&self, a: &SeriesKey, b: &SeriesKey) -> bool {
        let parts = [a, b].map(|key| [&*key.colony_id, &*key.service_id, &*key.metric_name]);
        self.shard.owns(&parts.concat())
    }

    fn rows(&self, at: TimeMs, current: bool, seen: &[Seen], pairs: &BTreeMap<Pair, PairResult>) -> Vec<MetricScanRow> {
        let mut fleets: BTreeMap<i64, Fleet> = BTreeMap::new();
        for series in seen.iter().filter(|series| is_demand(&series.key.metric_name)) {
            for (step, prepared) in &series.on {
                fleets.entry(*step).or_default().add(&series.key.colony_id, prepared);
            }
        }
        let by_place: BTreeMap<usize, &Seen> = seen.iter().map(|series| (series.place, series)).collect();
        let mut p_values: Vec<Real> = pairs.values().map(|result| Real(result.p)).collect();
        p_values.sort_unstable();
        let mut rows = vec![MetricScanRow::Tested { at, current, shard: self.shard.index as u64, p_values }];
        for ((a, b), result) in pairs {
            let (Some(a), Some(b)) = (by_place.get(a), by_place.get(b)) else { continue };
            let fleet = fleets.get(&a.native_ms.max(b.native_ms));
            rows.extend(result.found.iter().filter_map(|found| self.found_row(at, a, b, found, fleet)));
        }
        rows.sort_unstable();
        rows
    }

    fn found_row<'a>(
        &self,
        at: TimeMs,
        a: &'a Seen,
        b: &'a Seen,
        found: &Found,
        fleet: Option<&Fleet>,
    ) -> Option<MetricScanRow> {
        let (source, target) = if found.forward { (a, b) } else { (b, a) };
        let step_ms = a.native_ms.max(b.native_ms);
        let end = |seen: &'a Seen| -> Option<End<'a>> {
            let key = seen.key;
            Some(End { colony_id: &key.colony_id, series: seen.on.get(&step_ms)?, demand: is_demand(&key.metric_name) })
        };
        let (x, y) = (end(source)?, end(target)?);
        let shared = fleet.is_some_and(|fleet| fleet.explains(x, y, found));
        let target_to = at.floor_to(step_ms);
        let window = self.params.window_slots(step_ms) as i64;
        Some(MetricScanRow::Found(Box::new(FoundRow {
            at,
            source: source.key.clone(),
            target: target.key.clone(),
            source_identity: identity(source.latest),
            target_identity: identity(target.latest),
            step_ms,
            lag_ms: found.lag as i64 * step_ms,
            lag_low_ms: found.lag_range.0 * step_ms,
            lag_high_ms: found.lag_range.1 * step_ms,
            coefficient: Real(found.r),
            points: found.points as u64,
            effective_points: Real(found.effective),
            judged_coefficient: Real(found.judged_r),
            p_value: Real(found.p),
            target_from: target_to - (window - 1) * step_ms,
            target_to,
            mirror: found.mirror,
            explained: found.explained.or(shared.then_some(Explained::SharedLoad)),
        })))
    }
}

/// Application and environment.
fn identity(series: SeriesId) -> (String, String) {
    (series.application_name.clone(), series.environment.clone())
}

/// The last milliseconds of the UTC days that ended in the last seven days, then the present one.
pub fn instants(current: TimeMs) -> BTreeSet<TimeMs> {
    let last_midnight = current.floor_to(DAY_MS);
    let closed = (0..=WALK_MS / DAY_MS).map(|day| last_midnight - day * DAY_MS - 1_i64);
    closed.filter(|at| *at >= current - WALK_MS).chain(std::iter::once(current)).collect()
}

/// The rows with the flag set as it should be; `None` when it is.
fn with_flag(rows: &[MetricScanRow], wanted: bool) -> Option<Vec<MetricScanRow>> {
    let wrong = |row: &MetricScanRow| matches!(row, MetricScanRow::Tested { current, .. } if *current != wanted);
    rows.iter().any(wrong).then(|| {
        let mut rows = rows.to_vec();
        for row in &mut rows {
            if let MetricScanRow::Tested { current, .. } = row {
                *current = wanted;
            }
        }
        rows.sort_unstable();
        rows
    })
}

/// Puts `new` in the place of `old`, both sorted, and reports what changed.
fn replace(old: &mut Vec<MetricScanRow>, new: Vec<MetricScanRow>, out: &mut Vec<(MetricScanRow, i64)>) {
    let before = std::mem::replace(old, new);
    out.extend(before.iter().filter(|row| old.binary_search(row).is_err()).map(|row| (row.clone(), -1)));
    out.extend(old.iter().filter(|row| before.binary_search(row).is_err()).map(|row| (row.clone(), 1)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::series::SeriesRef;

    fn sample(minute: i64, environment: &str) -> (Sample, i64) {
        let names = SeriesRef {
            colony_id: "c",
            service_id: "s",
            metric_name: "m",
            application_name: "shop",
            environment,
            interval_seconds: Some(60),
        };
        let at = TimeMs(minute * MINUTE_MS);
        (Sample { series: SeriesId::of(names), at, value: Real(1.0), weight: 1 }, 1)
    }

    #[test]
    fn a_colony_that_has_changed_its_environment_is_one_series_that_says_the_latest() {
        let mut scan = MetricScan::new(MetricParams::default(), Shard::WHOLE);
        scan.apply(vec![sample(1, "staging"), sample(2, "test"), sample(3, "production"), sample(4, "test")]);
        scan.forget_before(TimeMs(3 * MINUTE_MS));
        assert_eq!((scan.series.len(), scan.len()), (1, 2));
        let environment = |minute: i64| {
            let kept = scan.series[0].tracks[&Some(60)][&(minute * MINUTE_MS)];
            kept.series.series().environment.as_str()
        };
        assert_eq!((environment(3), environment(4)), ("production", "test"));
        scan.apply(vec![(sample(4, "test").0, -1), (sample(3, "production").0, -1)]);
        assert!(scan.is_empty());
    }
}
