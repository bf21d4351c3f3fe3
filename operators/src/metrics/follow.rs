//! What is measured of the followed pairs at an instant.

use super::held::{Held, Place, Seen};
use super::instant::{Followed, Instant, Pair, Window};
use super::kinds::is_demand;
use super::load::{End, Fleet, is_simultaneous};
use super::pair::{Measured, measure};
use super::params::MetricParams;
use super::row::Explained;
use super::tracked::Tracked;
use crate::calls::Calls;
use model::metric::SeriesKey;
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

/// The followed pairs as they are to be measured at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Following<'a> {
    /// The series.
    pub held: &'a Held,
    /// What calls what.
    pub calls: &'a Calls,
    /// All followed pairs.
    pub followed: &'a Followed,
    /// Of which pairs something may be missing; `None`: of all.
    pub only: Option<&'a BTreeSet<Pair>>,
    /// What to look for.
    pub params: &'a MetricParams,
    /// The instant.
    pub at: TimeMs,
    /// All series as they are seen from it, if that is at hand.
    pub known: Option<&'a [Seen]>,
    /// Whether it is the present one, of which nothing is kept for the next look.
    pub is_present: bool,
    /// Whether the values of few series may be in memory at a time.
    pub is_streaming: bool,
}

/// A pair, the step of its grid, a lag in steps, and whether that is taken for simultaneous.
type Missing = (Pair, i64, i64, bool);

impl Following<'_> {
    /// Measures at every lag at which it has not been done yet.
    pub fn measure(&self, instant: &mut Instant) {
        let missing = self.missing(instant);
        if !missing.is_empty() {
            self.measure_all(missing, instant);
        }
    }

    /// What has not been measured; what is no longer followed goes.
    fn missing(&self, instant: &mut Instant) -> Vec<Missing> {
        let windows = &mut instant.windows;
        let mut known = match self.only {
            None => std::mem::take(windows),
            Some(pairs) => {
                let of_pair = |pair: &Pair| windows.range((*pair, i64::MIN)..=(*pair, i64::MAX)).map(|(key, _)| *key);
                let keys: Vec<(Pair, i64)> = pairs.iter().flat_map(of_pair).collect();
                keys.into_iter().filter_map(|key| Some((key, windows.remove(&key)?))).collect()
            }
        };
        let followed: Vec<(&Pair, &(i64, Vec<Tracked>))> = match self.only {
            None => self.followed.iter().collect(),
            Some(pairs) => pairs.iter().filter_map(|pair| self.followed.get_key_value(pair)).collect(),
        };
        let mut missing = Vec::new();
        for (pair, (step_ms, lags)) in followed {
            if instant.step_of(*pair) != Some(*step_ms) {
                continue;
            }
            for one in lags {
                let simultaneous = is_simultaneous(one.lag, one.range);
                match known.remove(&(*pair, one.lag)) {
                    Some(window) if window.simultaneous == simultaneous => {
                        instant.windows.insert((*pair, one.lag), window);
                    }
                    _ => missing.push((*pair, *step_ms, one.lag, simultaneous)),
                }
            }
        }
        missing
    }

    fn measure_all(&self, missing: Vec<Missing>, instant: &mut Instant) {
        // steps on which it matters what the fleet shares; of a closed instant that is kept
        let shared: BTreeSet<i64> =
            missing.iter().filter(|(.., simultaneous)| *simultaneous).map(|(_, step_ms, ..)| *step_ms).collect();
        let mut fleets = std::mem::take(&mut instant.fleets);
        let builds = shared.iter().any(|step_ms| self.is_present || !fleets.contains_key(step_ms));
        if self.is_streaming {
            if builds {
                fleets = self.fleets_one_by_one(shared);
            }
            for part in self.parts(missing) {
                let ends: BTreeSet<Place> = part.iter().flat_map(|((a, b), ..)| [*a, *b]).collect();
                let seen = self.held.see(self.params, self.at, |place, _| ends.contains(&place));
                self.measure_part(part, &seen.iter().collect::<Vec<_>>(), &fleets, instant);
            }
        } else {
            let ends: BTreeSet<Place> = missing.iter().flat_map(|((a, b), ..)| [*a, *b]).collect();
            let is_wanted =
                |place: Place, key: &SeriesKey| ends.contains(&place) || builds && is_demand(&key.metric_name);
            let looked_at =
                if self.known.is_some() { Vec::new() } else { self.held.see(self.params, self.at, is_wanted) };
            let all = self.known.unwrap_or(&looked_at).iter();
            let seen: Vec<&Seen> = all.filter(|seen| is_wanted(seen.place, seen.key)).collect();
            if builds {
                fleets = shared.iter().map(|step_ms| (*step_ms, Fleet::default())).collect();
                seen.iter().for_each(|series| add_demand(&mut fleets, series));
            }
            self.measure_part(missing, &seen, &fleets, instant);
        }
        if !self.is_present {
            fleets.values_mut().for_each(Fleet::forget_modes);
            instant.fleets = fleets;
        }
    }

    /// The demand of the fleet on some steps, the values of one series at a time in memory.
    fn fleets_one_by_one(&self, steps: BTreeSet<i64>) -> BTreeMap<i64, Fleet> {
        let mut fleets: BTreeMap<i64, Fleet> = steps.into_iter().map(|step_ms| (step_ms, Fleet::default())).collect();
        let is_wanted = |_: Place, key: &SeriesKey| is_demand(&key.metric_name);
        self.held.see_each_on(self.params, self.at, (is_wanted, fleets.keys().copied().collect()), |seen| {
            add_demand(&mut fleets, &seen);
        });
        fleets
    }

    /// What is missing in parts whose series are those of two blocks.
    fn parts(&self, mut missing: Vec<Missing>) -> Vec<Vec<Missing>> {
        let tile = self.params.room.tile.max(1);
        let blocks = |((a, b), ..): &Missing| (a / tile, b / tile);
        missing.sort_by_key(blocks);
        missing.chunk_by(|one, next| blocks(one) == blocks(next)).map(<[Missing]>::to_vec).collect()
    }

    fn measure_part(
        &self,
        missing: Vec<Missing>,
        seen: &[&Seen],
        fleets: &BTreeMap<i64, Fleet>,
        instant: &mut Instant,
    ) {
        let Following { calls, params, .. } = *self;
        let by_place: BTreeMap<Place, &Seen> = seen.iter().map(|series| (series.place, *series)).collect();
        for (pair, step_ms, lag, simultaneous) in missing {
            let (Some(a), Some(b)) = (by_place.get(&pair.0), by_place.get(&pair.1)) else { continue };
            let fleet = fleets.get(&step_ms).filter(|_| simultaneous);
            let measured = measure_pair(a, b, step_ms, lag, fleet.map(|fleet| (fleet, calls)), params);
            instant.windows.insert((pair, lag), Window { simultaneous, measured });
        }
    }
}

/// Adds a series that is demand to the fleets of its grids.
fn add_demand(fleets: &mut BTreeMap<i64, Fleet>, series: &Seen) {
    if is_demand(&series.key.metric_name) {
        for (step, prepared) in &series.on {
            fleets.entry(*step).or_default().add(&series.key.colony_id, prepared);
        }
    }
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
    let (x, y) = (a.on.get(&step_ms)?, b.on.get(&step_ms)?);
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
