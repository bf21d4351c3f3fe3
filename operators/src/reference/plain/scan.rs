//! The scan of metric pairs in plain f64: every pair at every lag, computed again for every minute.
//!
//! Instants, pairs and rows are those of `metrics::scan`, which must give the same; see there what they mean.

use super::lags::{PlainSeries, Workspace, correlate};
use crate::calls::{Call, Calls};
use crate::metrics::block::Sample;
use crate::metrics::grid::{Kept, Track, native, resample};
use crate::metrics::instants::{instants, last_hour};
use crate::metrics::kinds::is_demand;
use crate::metrics::load::{End, Fleet, is_simultaneous};
use crate::metrics::pair::{Measured, PairResult, measure};
use crate::metrics::params::MetricParams;
use crate::metrics::row::{Explained, LagWindow, MetricScanRow, MissingRow, PairRow, TestedRow};
use crate::metrics::tracked::{Tracked, stands_for, tracked};
use crate::shard::Shard;
use crate::tested::Supply;
use model::metric::SeriesKey;
use model::real::Real;
use model::series::SeriesId;
use model::time::{MINUTE_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

/// Places of two series, of which the first comes first by name.
type Pair = (usize, usize);

/// The lags at which pairs are followed, and the step of their grid.
type Followed = BTreeMap<Pair, (i64, Vec<Tracked>)>;

/// Samples of one series.
#[derive(Debug)]
struct Series {
    key: &'static SeriesKey,
    tracks: BTreeMap<Option<u32>, Track>,
}

/// A pair measured at a lag.
#[derive(Debug)]
struct Window {
    /// Whether the lag was taken for simultaneous.
    simultaneous: bool,
    measured: Option<Measured>,
}

/// The state of one instant.
#[derive(Debug, Default)]
struct Instant {
    pairs: BTreeMap<Pair, PairResult>,
    /// The series of the latest sample of each.
    latest: BTreeMap<usize, SeriesId>,
    /// The followed pairs, each lag measured once.
    windows: BTreeMap<(Pair, i64), Window>,
    /// Series whose samples changed inside the range since `pairs` was computed; all of them at first.
    changed: BTreeSet<usize>,
    fresh: bool,
    /// Whether it was the present one, and whether findings could be as of it, when the rows were made.
    was: (bool, bool),
    /// What there is at it.
    supply: Supply,
    /// Rows last emitted, sorted.
    rows: Vec<MetricScanRow>,
}

/// A series at an instant, on every grid it is needed on.
struct Seen {
    place: usize,
    key: &'static SeriesKey,
    latest: SeriesId,
    native_ms: i64,
    on: BTreeMap<i64, PlainSeries>,
}

/// The samples of all series and the state of the evaluated instants.
#[derive(Debug)]
pub struct PlainScan {
    params: MetricParams,
    shard: Shard,
    series: Vec<Series>,
    /// Places in `series`, in the order of names.
    places: BTreeMap<&'static SeriesKey, usize>,
    /// The same by number. Series that differ in interval, application or environment alone share a place.
    known: Vec<Option<usize>>,
    instants: BTreeMap<TimeMs, Instant>,
    calls: Calls,
    /// As of the last evaluation.
    followed: Followed,
}

impl PlainScan {
    /// A scan of this shard's share of the pairs.
    pub fn new(params: MetricParams, shard: Shard) -> PlainScan {
        let (series, places, known, instants) = (Vec::new(), BTreeMap::new(), Vec::new(), BTreeMap::new());
        let (calls, followed) = (Calls::default(), Followed::new());
        PlainScan { params, shard, series, places, known, instants, calls, followed }
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

    /// Applies calls between services: they tell what a call carries from what a whole fleet shares.
    pub fn apply_calls(&mut self, changes: Vec<(Call, i64)>) {
        self.calls.apply(changes);
    }

    fn change(&mut self, sample: Sample, insert: bool) {
        let place = self.place(sample.series);
        let (at_ms, interval_seconds) = (sample.at.0, sample.series.interval_seconds);
        let tracks = &mut self.series[place].tracks;
        if insert {
            let kept = Kept { value: sample.value.0, weight: sample.weight, series: sample.series };
            tracks.entry(interval_seconds).or_default().insert(at_ms, kept);
        } else if let Some(track) = tracks.get_mut(&interval_seconds) {
            track.remove(at_ms);
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

    /// Drops samples and calls before `time`. Nothing changes as long as `time` is at most `now - params.keep_ms()`.
    pub fn forget_before(&mut self, time: TimeMs) {
        self.calls.forget_before(time);
        for series in &mut self.series {
            series.tracks.retain(|_, track| {
                track.forget_before(time.0);
                !track.is_empty()
            });
        }
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
        let mut touched = BTreeSet::new();
        for at in &wanted {
            let mut instant = self.instants.remove(at).unwrap_or_default();
            if !instant.fresh || !instant.changed.is_empty() {
                self.update(*at, &mut instant);
                touched.insert(*at);
            }
            self.instants.insert(*at, instant);
        }
        let has_other_calls = self.call_again(now);
        let followed = follow(&self.instants);
        let all_as_before = followed == self.followed && !has_other_calls;
        self.followed = followed;
        for at in wanted {
            let mut instant = self.instants.remove(&at).unwrap_or_default();
            let is = (at == current, at == current || at == last_hour(current));
            if !all_as_before || touched.contains(&at) || instant.was != is {
                instant.was = is;
                self.measure_followed(at, &mut instant);
                let rows = self.rows(at, is, &instant);
                replace(&mut instant.rows, rows, &mut out);
            }
            self.instants.insert(at, instant);
        }
        out
    }

    /// Pairs of services whose calls count otherwise than before are measured again. Returns whether there are any.
    fn call_again(&mut self, now: TimeMs) -> bool {
        let changed = self.calls.count_since(now - self.params.keep_ms());
        let series = &self.series;
        let is_meant = |place: usize| {
            let key = series[place].key;
            changed.contains(&(key.colony_id.clone(), key.service_id.clone()))
        };
        if !changed.is_empty() {
            for instant in self.instants.values_mut() {
                instant.windows.retain(|((a, b), _), _| !is_meant(*a) && !is_meant(*b));
            }
        }
        !changed.is_empty()
    }

    /// The series that can be seen from an instant, in the order of their keys; of these, those that are `wanted`.
    fn see(&self, at: TimeMs, wanted: impl Fn(usize, &SeriesKey) -> bool) -> Vec<Seen> {
        let natives: Vec<_> = self
            .places
            .iter()
            .filter(|(key, place)| wanted(**place, key))
            .filter_map(|(_, place)| {
                native(&self.series[*place].tracks, &self.params, at.0).map(|found| (*place, found))
            })
            .collect();
        let steps: BTreeSet<i64> = natives.iter().map(|(_, (step, _, _))| *step).collect();
        let see = |(place, (native_ms, _, track)): (usize, (i64, Option<u32>, &Track))| {
            let latest = track.last_until(at.0).map(|(_, kept)| kept.series).unwrap_or_default();
            let prepared = |step: &i64| PlainSeries::new(track, &self.params, *step, at.0).map(|p| (*step, p));
            let (key, on) = (self.series[place].key, steps.range(native_ms..).filter_map(prepared).collect());
            Seen { place, key, latest, native_ms, on }
        };
        natives.into_iter().map(see).collect()
    }

    /// Updates the pairs of an instant.
    fn update(&self, at: TimeMs, instant: &mut Instant) {
        let seen = self.see(at, |_, _| true);
        let everything = !instant.fresh;
        let changed = std::mem::take(&mut instant.changed);
        instant.fresh = true;
        instant.pairs.retain(|(a, b), _| !changed.contains(a) && !changed.contains(b));
        // the demand of the fleet is part of what is measured of any pair
        if changed.iter().any(|place| is_demand(&self.series[*place].key.metric_name)) {
            instant.windows.clear();
        }
        instant.windows.retain(|((a, b), _), _| !changed.contains(a) && !changed.contains(b));
        let of_series = |series: &Seen| (series.key.colony_id.as_str(), series.on.contains_key(&series.native_ms));
        instant.supply = Supply::of(seen.iter().map(of_series));
        instant.latest = seen.iter().map(|series| (series.place, series.latest)).collect();
        let mut work = Workspace::default();
        for (index, a) in seen.iter().enumerate() {
            for b in &seen[index + 1..] {
                if !self.params.compares(a.key, b.key) || !self.owns(a.key, b.key) {
                    continue;
                }
                if !everything && !changed.contains(&a.place) && !changed.contains(&b.place) {
                    continue;
                }
                let step_ms = a.native_ms.max(b.native_ms);
                let (Some(x), Some(y)) = (a.on.get(&step_ms), b.on.get(&step_ms)) else { continue };
                if let Some(result) = correlate(x, y, &self.params, &mut work) {
                    instant.pairs.insert((a.place, b.place), PairResult { step_ms, ..result });
                }
            }
        }
    }

    fn owns(&self, a: &SeriesKey, b: &SeriesKey) -> bool {
        let parts = [a, b].map(|key| [&*key.colony_id, &*key.service_id, &*key.metric_name]);
        self.shard.owns(&parts.concat())
    }

    /// Measures the followed pairs at an instant at every lag at which it has not been done yet.
    fn measure_followed(&self, at: TimeMs, instant: &mut Instant) {
        let mut missing: Vec<(Pair, i64, i64, bool)> = Vec::new();
        let mut kept = BTreeMap::new();
        for (pair, (step_ms, lags)) in &self.followed {
            if instant.pairs.get(pair).is_none_or(|result| result.step_ms != *step_ms) {
                continue;
            }
            for one in lags {
                let simultaneous = is_simultaneous(one.lag, one.range);
                match instant.windows.remove(&(*pair, one.lag)) {
                    Some(window) if window.simultaneous == simultaneous => {
                        kept.insert((*pair, one.lag), window);
                    }
                    _ => missing.push((*pair, *step_ms, one.lag, simultaneous)),
                }
            }
        }
        instant.windows = kept;
        if missing.is_empty() {
            return;
        }
        let ends: BTreeSet<usize> = missing.iter().flat_map(|((a, b), ..)| [*a, *b]).collect();
        let any_simultaneous = missing.iter().any(|(.., simultaneous)| *simultaneous);
        let seen = self.see(at, |place, key| ends.contains(&place) || any_simultaneous && is_demand(&key.metric_name));
        let mut fleets: BTreeMap<i64, Fleet> = BTreeMap::new();
        for series in seen.iter().filter(|series| is_demand(&series.key.metric_name)) {
            for (step, prepared) in &series.on {
                fleets.entry(*step).or_default().add(&series.key.colony_id, &prepared.prepared);
            }
        }
        let by_place: BTreeMap<usize, &Seen> = seen.iter().map(|series| (series.place, series)).collect();
        for (pair, step_ms, lag, simultaneous) in missing {
            let (Some(a), Some(b)) = (by_place.get(&pair.0), by_place.get(&pair.1)) else { continue };
            let fleet = fleets.get(&step_ms).filter(|_| simultaneous);
            let measured = measure_pair(a, b, step_ms, lag, fleet.map(|fleet| (fleet, &self.calls)), &self.params);
            instant.windows.insert((pair, lag), Window { simultaneous, measured });
        }
    }

    fn rows(&self, at: TimeMs, (current, is_shown): (bool, bool), instant: &Instant) -> Vec<MetricScanRow> {
        let mut rows = Vec::new();
        for (pair, (step_ms, lags)) in &self.followed {
            match instant.pairs.get(pair).filter(|result| result.step_ms == *step_ms) {
                Some(result) => rows.extend(self.pair_row(at, instant, *pair, result, lags)),
                None if is_shown => rows.push(self.missing_row(at, *pair, *step_ms)),
                None => {}
            }
        }
        let pairs = instant.pairs.len() as u64;
        let shard = self.shard.index as u64;
        rows.push(MetricScanRow::Tested(TestedRow { at, current, shard, pairs, supply: instant.supply }));
        rows.sort_unstable();
        rows
    }

    fn pair_row(
        &self,
        at: TimeMs,
        instant: &Instant,
        pair: Pair,
        result: &PairResult,
        lags: &[Tracked],
    ) -> Option<MetricScanRow> {
        let identity_of = |place: usize| Some(identity(*instant.latest.get(&place)?));
        let lag_window = |one: &Tracked| {
            let measured = instant.windows.get(&(pair, one.lag))?.measured.as_ref()?;
            let peak = result.peaks.iter().find(|peak| stands_for(one.lag, peak.lag, peak.near));
            let range = peak.map(|peak| if one.lag >= 0 { peak.range } else { (-peak.range.1, -peak.range.0) });
            Some(LagWindow {
                lag_ms: one.lag * result.step_ms,
                peak: range.map(|(low, high)| (low * result.step_ms, high * result.step_ms)),
                coefficient: Real(measured.r),
                points: measured.points as u64,
                level: measured.level,
                differences: measured.differences,
                drifts: measured.drifts,
                explained: measured.explained,
            })
        };
        let lags: Vec<LagWindow> = lags.iter().filter_map(lag_window).collect();
        if lags.is_empty() {
            return None;
        }
        let target_to = at.floor_to(result.step_ms);
        let window = self.params.window_slots(result.step_ms) as i64;
        Some(MetricScanRow::Pair(Box::new(PairRow {
            at,
            first: self.series[pair.0].key.clone(),
            second: self.series[pair.1].key.clone(),
            first_identity: identity_of(pair.0)?,
            second_identity: identity_of(pair.1)?,
            step_ms: result.step_ms,
            target_from: target_to - (window - 1) * result.step_ms,
            target_to,
            lags,
        })))
    }

    fn missing_row(&self, at: TimeMs, pair: Pair, step_ms: i64) -> MetricScanRow {
        MetricScanRow::Missing(Box::new(MissingRow {
            at,
            first: self.series[pair.0].key.clone(),
            second: self.series[pair.1].key.clone(),
            first_observed_ms: self.observed_ms(pair.0, at, step_ms),
            second_observed_ms: self.observed_ms(pair.1, at, step_ms),
        }))
    }

    /// For how long a series was observed inside the window, on a grid.
    fn observed_ms(&self, place: usize, at: TimeMs, step_ms: i64) -> i64 {
        let Some((_, _, track)) = native(&self.series[place].tracks, &self.params, at.0) else { return 0 };
        let slots = resample(track, step_ms, at.0, self.params.window_slots(step_ms));
        slots.iter().filter(|value| !value.is_nan()).count() as i64 * step_ms
    }
}

/// The lags at which each pair is followed: on the grid of the latest instant at which it could be computed.
fn follow(instants: &BTreeMap<TimeMs, Instant>) -> Followed {
    let strong: BTreeSet<Pair> = instants
        .values()
        .flat_map(|instant| &instant.pairs)
        .filter(|(_, result)| !result.peaks.is_empty())
        .map(|(pair, _)| *pair)
        .collect();
    let followed = strong.into_iter().filter_map(|pair| {
        let results: Vec<&PairResult> = instants.values().filter_map(|instant| instant.pairs.get(&pair)).collect();
        let step_ms = results.last()?.step_ms;
        let lags = tracked(results.into_iter().filter(|result| result.step_ms == step_ms));
        (!lags.is_empty()).then_some((pair, (step_ms, lags)))
    });
    followed.collect()
}

/// A pair at one lag (in steps), with what its fleet says about it.
fn measure_pair(
    a: &Seen,
    b: &Seen,
    step_ms: i64,
    lag: i64,
    fleet: Option<(&Fleet, &Calls)>,
    params: &MetricParams,
) -> Option<Measured> {
    let (x, y) = (&a.on.get(&step_ms)?.prepared, &b.on.get(&step_ms)?.prepared);
    let mut measured = measure(x, y, lag, params)?;
    let Some((fleet, calls)) = fleet.filter(|_| measured.explained.is_none() && measured.r.abs() >= params.leave())
    else {
        return Some(measured);
    };
    let end = |seen: &'static SeriesKey, series| End {
        colony_id: &seen.colony_id,
        service: (&seen.service_id, calls.partners(&seen.colony_id, &seen.service_id)),
        series,
        demand: is_demand(&seen.metric_name),
    };
    let (first, second) = (end(a.key, x), end(b.key, y));
    let (source, target) = if lag >= 0 { (first, second) } else { (second, first) };
    if fleet.explains(source, target, lag.unsigned_abs() as usize, measured.clamped_r) {
        measured.explained = Some(Explained::SharedLoad);
    }
    Some(measured)
}

/// Application and environment.
fn identity(series: SeriesId) -> (String, String) {
    (series.application_name.clone(), series.environment.clone())
}

/// Puts `new` in the place of `old`, both sorted, and reports what changed.
fn replace(old: &mut Vec<MetricScanRow>, new: Vec<MetricScanRow>, out: &mut Vec<(MetricScanRow, i64)>) {
    let before = std::mem::replace(old, new);
    out.extend(before.iter().filter(|row| old.binary_search(row).is_err()).map(|row| (row.clone(), -1)));
    out.extend(old.iter().filter(|row| before.binary_search(row).is_err()).map(|row| (row.clone(), 1)));
}
