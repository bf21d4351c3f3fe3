//! `MetricScan`: which instants are evaluated, which pairs are computed, and what is recomputed when a sample changes.
//!
//! The instants are the ends of the last seven UTC days and of the last hour (closed instants), and the current minute.
//! The result of a pair at an instant depends only on the samples in that instant's range. A closed instant is therefore
//! computed once, and again only for series that change inside the range. A pair that is strong enough at one instant is
//! measured at the same lag at all the others, so that the verdict can add up the evidence. Every shard has all samples
//! and owns a share of the pairs.

use super::block::Sample;
use super::bounds::Bounds;
use super::follow::Following;
use super::grid::{native, resample};
use super::held::{Held, Place, Seen};
use super::instant::{Followed, Instant, Pair, follow, moved};
use super::instants::{Role, instants};
use super::kinds::is_demand;
use super::memory::{Amount, MetricMemory};
use super::params::MetricParams;
use super::row::{LagWindow, MetricScanRow, MissingRow, PairRow, TestedRow};
use super::screen::Screen;
use super::tracked::{Tracked, stands_for};
use crate::calls::{Call, Calls};
use crate::shard::Shard;
use kernels::Path;
use model::real::Real;
use model::series::SeriesId;
use model::time::{MINUTE_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

/// The samples of all series and the state of the evaluated instants.
#[derive(Debug)]
pub struct MetricScan {
    params: MetricParams,
    shard: Shard,
    path: Path,
    held: Held,
    /// Of the present instant.
    bounds: Bounds,
    instants: BTreeMap<TimeMs, Instant>,
    calls: Calls,
    /// As of the last evaluation.
    followed: Followed,
    screened: u64,
    memory: MetricMemory,
    /// Whether pairs are computed tile by tile, because what is kept otherwise takes more than there is.
    is_streaming: bool,
}

impl MetricScan {
    /// A scan of this shard's share of the pairs.
    ///
    /// # Panics
    /// When the environment names a path of the kernels that this machine does not have.
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
        let path = match Path::chosen() {
            Ok(path) => path,
            Err(no_path) => panic!("{no_path}"),
        };
        let (held, bounds, instants) = (Held::new(shard), Bounds::default(), BTreeMap::new());
        let (calls, followed) = (Calls::default(), Followed::new());
        let workers = params.room.workers.clamp(1, shard.peers);
        let memory = MetricMemory::new(params, workers, shard.peers / workers);
        let (screened, is_streaming) = (0, false);
        MetricScan { params, shard, path, held, bounds, instants, calls, followed, screened, memory, is_streaming }
    }

    /// Takes samples in and out. Of one (series, interval, time) at most one sample is in at a time.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = (Sample, i64), IntoIter: Clone>) {
        let changes = changes.into_iter();
        // out before in: a batch may carry a replacement in any order
        for (sample, _) in changes.clone().filter(|(_, diff)| *diff < 0) {
            self.change(&sample, false);
        }
        for (sample, _) in changes.filter(|(_, diff)| *diff > 0) {
            self.change(&sample, true);
        }
    }

    /// Applies calls between services: they tell what a call carries from what a whole fleet shares.
    pub fn apply_calls(&mut self, changes: Vec<(Call, i64)>) {
        self.calls.apply(changes);
    }

    fn change(&mut self, sample: &Sample, insert: bool) {
        let place = self.held.change(sample, insert);
        self.bounds.change(place, sample.at.0);
        for (at, instant) in self.instants.range_mut(sample.at..) {
            if sample.at.0 > at.0 - self.params.range_ms() {
                instant.changed.insert(place);
            }
        }
    }

    /// Drops samples and calls before `time`. Nothing changes as long as `time` is at most `now - params.keep_ms()`.
    pub fn forget_before(&mut self, time: TimeMs) {
        self.calls.forget_before(time);
        self.held.forget_before(time);
    }

    /// Samples held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no sample is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Pairs that the last evaluation screened, at all instants together: those that it could not rule out before.
    pub fn screened(&self) -> u64 {
        self.screened
    }

    /// Whether the last evaluation went tile by tile.
    pub fn is_streaming(&self) -> bool {
        self.is_streaming
    }

    /// What there is of series, as memory is planned.
    fn amount(&self) -> Amount {
        let mut amount = Amount { series: self.held.count() as u64, ..Amount::default() };
        for (interval, rows) in self.held.lengths() {
            amount.rows += rows;
            if rows >= self.memory.usable_from(interval) {
                amount.usable += 1;
                amount.prepared += self.memory.prepared_of(interval);
            }
        }
        amount
    }

    /// Whether what is kept between looks has room. What has had none needs more of it to be kept again, so that an
    /// amount near the limit does not drop and collect it in turn.
    fn choose(&mut self) {
        let bytes = self.memory.bytes(self.amount());
        let room = self.params.room.bytes;
        let was_streaming = self.is_streaming;
        self.is_streaming = bytes > if was_streaming { room - room / 8 } else { room };
        if self.is_streaming && !was_streaming {
            self.bounds = Bounds::default();
            self.held.forget_slots();
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
            out.extend(rows.into_values().map(|row| (row, -1)));
        }
        self.choose();
        self.screened = 0;
        let (mut touched, mut seen_now) = (BTreeSet::new(), None);
        for at in &wanted {
            let mut instant = self.instants.remove(at).unwrap_or_default();
            if !instant.fresh || !instant.changed.is_empty() {
                let seen = self.update(*at, *at == current, &mut instant);
                seen_now = seen.filter(|_| *at == current);
                touched.insert(*at);
            }
            self.instants.insert(*at, instant);
        }
        let has_other_calls = self.call_again(now);
        let followed = follow(&self.instants);
        let moved = moved(&self.followed, &followed);
        self.followed = followed;
        for at in wanted {
            let mut instant = self.instants.remove(&at).unwrap_or_default();
            let role = Role::of(at, current);
            let is_other = has_other_calls || touched.contains(&at) || instant.role != role;
            if is_other || !moved.is_empty() {
                instant.role = role;
                let only = (!is_other).then_some(&moved);
                let (held, calls, followed, params) = (&self.held, &self.calls, &self.followed, &self.params);
                let known = seen_now.as_deref().filter(|_| role == Role::Current);
                let (is_present, is_streaming) = (role == Role::Current, self.is_streaming);
                let following = Following { held, calls, followed, only, params, at, known, is_present, is_streaming };
                following.measure(&mut instant);
                self.renew(at, only, &mut instant, &mut out);
            }
            self.instants.insert(at, instant);
        }
        out
    }

    /// Pairs of services whose calls count otherwise than before are measured again. Returns whether there are any.
    fn call_again(&mut self, now: TimeMs) -> bool {
        let changed = self.calls.count_since(now - self.params.keep_ms());
        let held = &self.held;
        let is_meant = |place: Place| {
            let key = held.series(place).key;
            changed.contains(&(key.colony_id.clone(), key.service_id.clone()))
        };
        if !changed.is_empty() {
            for instant in self.instants.values_mut() {
                instant.windows.retain(|((a, b), _), _| !is_meant(*a) && !is_meant(*b));
            }
        }
        !changed.is_empty()
    }

    /// Screens an instant, the first time all of it. Returns the series as they are seen from it, where all of them are
    /// in memory.
    fn update(&mut self, at: TimeMs, is_current: bool, instant: &mut Instant) -> Option<Vec<Seen>> {
        let changed = std::mem::take(&mut instant.changed);
        let asked = instant.fresh.then_some(&changed);
        let seen = match (self.is_streaming, is_current) {
            (true, _) => None,
            (false, true) => Some(self.held.see_now(&self.params, at)),
            (false, false) => Some(self.held.see(&self.params, at, |_, _| true)),
        };
        if let Some(seen) = seen.as_deref().filter(|_| is_current) {
            self.bounds.advance(seen, self.held.count(), at.0);
        }
        let screen = Screen { held: &self.held, params: &self.params, path: self.path, changed: asked };
        let (sights, screened) = match &seen {
            Some(seen) => {
                (seen.iter().map(Seen::sight).collect(), screen.run(seen, is_current.then_some(&mut self.bounds)))
            }
            None => {
                let sights = self.held.sights(&self.params, at);
                let screened = screen.stream(&sights, at);
                (sights, screened)
            }
        };
        self.screened += screened.asked;
        // the demand of the fleet is part of what is measured of any pair
        if changed.iter().any(|place| is_demand(&self.held.series(*place).key.metric_name)) {
            instant.windows.clear();
            instant.fleets.clear();
        }
        instant.update(&sights, &changed, screened);
        seen
    }

    /// Makes the rows of an instant, all of them or those of some pairs, and reports what changed.
    fn renew(
        &self,
        at: TimeMs,
        only: Option<&BTreeSet<Pair>>,
        instant: &mut Instant,
        out: &mut Vec<(MetricScanRow, i64)>,
    ) {
        let pairs: BTreeSet<Pair> = match only {
            Some(pairs) => pairs.clone(),
            None => self.followed.keys().chain(instant.rows.keys().flatten()).copied().collect(),
        };
        let rows = pairs.into_iter().map(|pair| (Some(pair), self.row(at, instant, pair)));
        let rows: Vec<_> = rows.chain([(None, Some(self.tested_row(at, instant)))]).collect();
        for (key, new) in rows {
            if instant.rows.get(&key) == new.as_ref() {
                continue;
            }
            out.extend(instant.rows.remove(&key).map(|row| (row, -1)));
            if let Some(row) = new {
                out.push((row.clone(), 1));
                instant.rows.insert(key, row);
            }
        }
    }

    fn row(&self, at: TimeMs, instant: &Instant, pair: Pair) -> Option<MetricScanRow> {
        let (step_ms, lags) = self.followed.get(&pair)?;
        if instant.step_of(pair) == Some(*step_ms) {
            return self.pair_row(at, instant, pair, *step_ms, lags);
        }
        instant.role.is_shown().then(|| self.missing_row(at, pair, *step_ms))
    }

    fn tested_row(&self, at: TimeMs, instant: &Instant) -> MetricScanRow {
        let (pairs, current, shard) = (instant.pairs(), instant.role == Role::Current, self.shard.index as u64);
        MetricScanRow::Tested(TestedRow { at, current, shard, pairs, supply: instant.supply })
    }

    fn pair_row(
        &self,
        at: TimeMs,
        instant: &Instant,
        pair: Pair,
        step_ms: i64,
        lags: &[Tracked],
    ) -> Option<MetricScanRow> {
        let identity_of = |place: Place| Some(identity(instant.latest(place)?));
        let peaks = instant.peaks_of(pair).map_or(&[][..], |result| &result.peaks);
        let lag_window = |one: &Tracked| {
            let measured = instant.windows.get(&(pair, one.lag))?.measured.as_ref()?;
            let peak = peaks.iter().find(|peak| stands_for(one.lag, peak.lag, peak.near));
            let range = peak.map(|peak| if one.lag >= 0 { peak.range } else { (-peak.range.1, -peak.range.0) });
            Some(LagWindow {
                lag_ms: one.lag * step_ms,
                peak: range.map(|(low, high)| (low * step_ms, high * step_ms)),
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
        let target_to = at.floor_to(step_ms);
        let window = self.params.window_slots(step_ms) as i64;
        Some(MetricScanRow::Pair(Box::new(PairRow {
            at,
            first: self.held.series(pair.0).key.clone(),
            second: self.held.series(pair.1).key.clone(),
            first_identity: identity_of(pair.0)?,
            second_identity: identity_of(pair.1)?,
            step_ms,
            target_from: target_to - (window - 1) * step_ms,
            target_to,
            lags,
        })))
    }

    fn missing_row(&self, at: TimeMs, pair: Pair, step_ms: i64) -> MetricScanRow {
        MetricScanRow::Missing(Box::new(MissingRow {
            at,
            first: self.held.series(pair.0).key.clone(),
            second: self.held.series(pair.1).key.clone(),
            first_observed_ms: self.observed_ms(pair.0, at, step_ms),
            second_observed_ms: self.observed_ms(pair.1, at, step_ms),
        }))
    }

    /// For how long a series was observed inside the window, on a grid.
    fn observed_ms(&self, place: Place, at: TimeMs, step_ms: i64) -> i64 {
        let Some((_, _, track)) = native(&self.held.series(place).tracks, &self.params, at.0) else { return 0 };
        let slots = resample(track, step_ms, at.0, self.params.window_slots(step_ms));
        slots.iter().filter(|value| !value.is_nan()).count() as i64 * step_ms
    }
}

/// Application and environment.
fn identity(series: SeriesId) -> (String, String) {
    (series.application_name.clone(), series.environment.clone())
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
        assert_eq!((scan.held.count(), scan.len()), (1, 2));
        let environment = |minute: i64| {
            let kept = scan.held.series(0).tracks[&Some(60)].get(minute * MINUTE_MS);
            kept.map(|kept| kept.series.series().environment.as_str())
        };
        assert_eq!((environment(3), environment(4)), (Some("production"), Some("test")));
        scan.apply(vec![(sample(4, "test").0, -1), (sample(3, "production").0, -1)]);
        assert!(scan.is_empty());
    }

    #[test]
    fn a_series_that_changes_its_environment_for_ever_holds_what_one_of_a_single_environment_holds() {
        let began = 28_800_000;
        let held = |environment: &dyn Fn(i64) -> String| {
            let mut scan = MetricScan::new(MetricParams::default(), Shard::WHOLE);
            for minute in began..began + 600 {
                scan.apply(vec![sample(minute, &environment(minute))]);
                scan.forget_before(TimeMs((minute - 9) * MINUTE_MS));
                if minute % 60 == 0 {
                    scan.scan(TimeMs(minute * MINUTE_MS));
                }
            }
            assert_eq!((scan.len(), scan.held.count()), (10, 1));
            assert_eq!(scan.held.series(0).tracks.len(), 1);
            let instants = scan.instants.values();
            instants.map(|instant| (instant.changed.len(), instant.rows.len())).collect::<Vec<_>>()
        };
        let changing = held(&|minute| format!("ephemeral-{minute}"));
        assert!(changing.iter().all(|(changed, _)| *changed <= 1), "{changing:?}");
        assert_eq!(changing, held(&|_| "production".to_owned()));
    }
}
