//! `MetricScan`: which instants are looked at, which pairs are computed, and what is recomputed when a sample changes.
//!
//! Looked at are the ends of the last seven UTC days (closed instants) and the present minute. What a pair comes to at an
//! instant depends only on the samples in that instant's range, so a closed instant is computed once and then only for
//! series that change inside the range. Every shard holds all samples and owns a share of the pairs.

use super::align::Sample;
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
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Pair = (Arc<SeriesKey>, Arc<SeriesKey>);

/// Samples of one series.
#[derive(Debug, Default)]
struct Series {
    tracks: BTreeMap<Option<u32>, Track>,
    /// (application, environment) pairs its samples came with.
    identities: Vec<(String, String)>,
}

impl Series {
    /// Drops the identities that no sample has any more.
    fn forget_identities(&mut self) {
        if self.identities.len() < 2 {
            return;
        }
        let samples = || self.tracks.values().flat_map(Track::values);
        let used: BTreeSet<u32> = samples().map(|kept| kept.identity).collect();
        if used.len() == self.identities.len() {
            return;
        }
        let place = |identity: u32| used.range(..identity).count() as u32;
        for kept in self.tracks.values_mut().flat_map(Track::values_mut) {
            kept.identity = place(kept.identity);
        }
        let mut index = 0;
        self.identities.retain(|_| {
            index += 1;
            used.contains(&(index - 1))
        });
    }
}

/// What is known about one instant.
#[derive(Debug, Default)]
struct Instant {
    pairs: BTreeMap<Pair, PairResult>,
    /// Series whose samples changed inside the range since `pairs` was computed; all of them at first.
    changed: BTreeSet<Arc<SeriesKey>>,
    fresh: bool,
    /// Rows last emitted, sorted.
    rows: Vec<MetricScanRow>,
}

/// A series at an instant, on every grid it is needed on.
struct Seen {
    key: Arc<SeriesKey>,
    identity: (String, String),
    native_ms: i64,
    on: BTreeMap<i64, Prepared>,
}

/// The samples of all series and the state of the instants that are looked at.
#[derive(Debug)]
pub struct MetricScan {
    params: MetricParams,
    shard: Shard,
    series: BTreeMap<Arc<SeriesKey>, Series>,
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
        MetricScan { params, shard, series: BTreeMap::new(), instants: BTreeMap::new() }
    }

    /// Takes samples in and out. Of one (series, interval, time) at most one sample is in at a time.
    pub fn apply(&mut self, changes: Vec<(Sample, i64)>) {
        // out before in: a batch may carry a replacement in any order
        let (gone, come): (Vec<_>, Vec<_>) =
            changes.into_iter().filter(|(_, diff)| *diff != 0).partition(|(_, diff)| *diff < 0);
        for (sample, _) in gone {
            self.change(sample, false);
        }
        for (sample, _) in come {
            self.change(sample, true);
        }
    }

    fn change(&mut self, sample: Sample, insert: bool) {
        let key = match self.series.get_key_value(&sample.series) {
            Some((key, _)) => key.clone(),
            None if insert => Arc::new(sample.series.clone()),
            None => return,
        };
        let at_ms = sample.at.0;
        let series = self.series.entry(key.clone()).or_default();
        if insert {
            let identity = (sample.application_name, sample.environment);
            let index = series.identities.iter().position(|known| *known == identity).unwrap_or_else(|| {
                series.identities.push(identity);
                series.identities.len() - 1
            });
            let kept = Kept { value: sample.value.0, weight: sample.weight, identity: index as u32 };
            series.tracks.entry(sample.interval_seconds).or_default().insert(at_ms, kept);
        } else if let Some(track) = series.tracks.get_mut(&sample.interval_seconds) {
            track.remove(&at_ms);
            if track.is_empty() {
                series.tracks.remove(&sample.interval_seconds);
            }
        }
        if series.tracks.is_empty() {
            self.series.remove(&key);
        }
        for (at, instant) in self.instants.range_mut(sample.at..) {
            if at_ms > at.0 - self.params.range_ms() {
                instant.changed.insert(key.clone());
            }
        }
    }

    /// Drops samples before `time`. Nothing changes as long as `time` is at most `now - params.keep_ms()`.
    pub fn forget_before(&mut self, time: TimeMs) {
        self.series.retain(|_, series| {
            series.tracks.retain(|_, track| {
                if track.first_key_value().is_some_and(|(at, _)| *at < time.0) {
                    *track = track.split_off(&time.0);
                }
                !track.is_empty()
            });
            series.forget_identities();
            !series.tracks.is_empty()
        });
    }

    /// Samples held.
    pub fn len(&self) -> usize {
        self.series.values().flat_map(|series| series.tracks.values()).map(Track::len).sum()
    }

    /// Whether no sample is held.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Looks from `now` (the greatest time of an on-time sample) and returns how the rows changed since the last look.
    /// The rows depend on the samples and on the minute of `now` alone.
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
            .series
            .iter()
            .filter_map(|(key, series)| native(&series.tracks, &self.params, at.0).map(|found| (key, series, found)))
            .collect();
        let steps: BTreeSet<i64> = natives.iter().map(|(_, _, (step, _, _))| *step).collect();
        let see = |(key, series, (native_ms, _, track)): (&Arc<SeriesKey>, &Series, (i64, Option<u32>, &Track))| {
            let latest = track.range(..=at.0).next_back().map_or(0, |(_, kept)| kept.identity as usize);
            let prepared = |step: &i64| Prepared::new(track, &self.params, *step, at.0).map(|p| (*step, p));
            Seen {
                key: key.clone(),
                identity: series.identities.get(latest).cloned().unwrap_or_default(),
                native_ms,
                on: steps.range(native_ms..).filter_map(prepared).collect(),
            }
        };
        natives.into_iter().map(see).collect()
    }

    /// Brings the pairs of an instant up to date and returns its rows, sorted.
    fn look(&self, at: TimeMs, current: bool, instant: &mut Instant) -> Vec<MetricScanRow> {
        let seen = self.see(at);
        let everything = !instant.fresh;
        let changed = std::mem::take(&mut instant.changed);
        instant.fresh = true;
        instant.pairs.retain(|(a, b), _| !changed.contains(a) && !changed.contains(b));
        let mut work = Workspace::default();
        for (index, a) in seen.iter().enumerate() {
            for b in &seen[index + 1..] {
                if !everything && !changed.contains(&a.key) && !changed.contains(&b.key) {
                    continue;
                }
                if !self.params.compares(&a.key, &b.key) || !self.owns(&a.key, &b.key) {
                    continue;
                }
                let step_ms = a.native_ms.max(b.native_ms);
                let (Some(x), Some(y)) = (a.on.get(&step_ms), b.on.get(&step_ms)) else { continue };
                if let Some(result) = correlate(x, y, &self.params, &mut work) {
                    instant.pairs.insert((a.key.clone(), b.key.clone()), result);
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
        let by_key: BTreeMap<&Arc<SeriesKey>, &Seen> = seen.iter().map(|series| (&series.key, series)).collect();
        let mut p_values: Vec<Real> = pairs.values().map(|result| Real(result.p)).collect();
        p_values.sort_unstable();
        let mut rows = vec![MetricScanRow::Tested { at, current, shard: self.shard.index as u64, p_values }];
        for ((a, b), result) in pairs {
            let (Some(a), Some(b)) = (by_key.get(a), by_key.get(b)) else { continue };
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
            let key = &seen.key;
            Some(End { colony_id: &key.colony_id, series: seen.on.get(&step_ms)?, demand: is_demand(&key.metric_name) })
        };
        let (x, y) = (end(source)?, end(target)?);
        let shared = fleet.is_some_and(|fleet| fleet.explains(x, y, found));
        let target_to = at.floor_to(step_ms);
        let window = self.params.window_slots(step_ms) as i64;
        Some(MetricScanRow::Found(Box::new(FoundRow {
            at,
            source: (*source.key).clone(),
            target: (*target.key).clone(),
            source_identity: source.identity.clone(),
            target_identity: target.identity.clone(),
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sample(minute: i64, environment: &str) -> (Sample, i64) {
        let sample = Sample {
            series: SeriesKey { colony_id: "c".into(), service_id: "s".into(), metric_name: "m".into() },
            application_name: "shop".to_owned(),
            environment: environment.to_owned(),
            interval_seconds: Some(60),
            at: TimeMs(minute * MINUTE_MS),
            value: Real(1.0),
            weight: 1,
        };
        (sample, 1)
    }

    #[test]
    fn identities_go_with_the_last_sample_that_has_them() {
        let mut scan = MetricScan::new(MetricParams::default(), Shard::WHOLE);
        scan.apply(vec![sample(1, "staging"), sample(2, "test"), sample(3, "production"), sample(4, "test")]);
        scan.forget_before(TimeMs(3 * MINUTE_MS));
        let series = scan.series.values().next().unwrap();
        assert_eq!(series.identities.len(), 2);
        let environment = |minute: i64| {
            let kept = series.tracks[&Some(60)][&(minute * MINUTE_MS)];
            series.identities[kept.identity as usize].1.as_str()
        };
        assert_eq!((environment(3), environment(4)), ("production", "test"));
    }
}
