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
        let Following { held, calls, params, at, known, .. } = *self;
        let ends: BTreeSet<Place> = missing.iter().flat_map(|((a, b), ..)| [*a, *b]).collect();
        // steps on which it matters what the fleet shares; of a closed instant that is kept
        let shared: BTreeSet<i64> =
            missing.iter().filter(|(.., simultaneous)| *simultaneous).map(|(_, step_ms, ..)| *step_ms).collect();
        let is_present = known.is_some();
        let mut fleets = std::mem::take(&mut instant.fleets);
        let builds = shared.iter().any(|step_ms| is_present || !fleets.contains_key(step_ms));
        let is_wanted = |place: Place, key: &SeriesKey| ends.contains(&place) || builds && is_demand(&key.metric_name);
        let looked_at = if is_present { Vec::new() } else { held.see(params, at, is_wanted) };
        let seen: Vec<&Seen> =
            known.unwrap_or(&looked_at).iter().filter(|seen| is_wanted(seen.place, seen.key)).collect();
        if builds {
            fleets = shared.iter().map(|step_ms| (*step_ms, Fleet::default())).collect();
            for series in seen.iter().filter(|series| is_demand(&series.key.metric_name)) {
                for (step, prepared) in &series.on {
                    fleets.entry(*step).or_default().add(&series.key.colony_id, prepared);
                }
            }
        }
        let by_place: BTreeMap<Place, &Seen> = seen.iter().map(|series| (series.place, *series)).collect();
        for (pair, step_ms, lag, simultaneous) in missing {
            let (Some(a), Some(b)) = (by_place.get(&pair.0), by_place.get(&pair.1)) else { continue };
            let fleet = fleets.get(&step_ms).filter(|_| simultaneous);
            let measured = measure_pair(a, b, step_ms, lag, fleet.map(|fleet| (fleet, calls)), params);
            instant.windows.insert((pair, lag), Window { simultaneous, measured });
        }
        if !is_present {
            fleets.values_mut().for_each(Fleet::forget_modes);
            instant.fleets = fleets;
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
