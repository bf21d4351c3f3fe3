//! Predictions from a set of events, from scratch: every day of every pattern, by definition.
//!
//! It follows the text of the method: cases are tried one after the other against every onset, and evidence is multiplied
//! number by number. It shares with the operator what a pair looks like at an instant (`super::events`) and the
//! columns of rows.

use crate::calls::Call;
use crate::events::levels::{is_general, is_more_specific};
use crate::events::row::{Case, Identity, Outcome, PairAfter, PairScan};
use crate::events::{EventParams, EventStamp};
use crate::heard::Heard;
use crate::predictions::row::{pattern_day, prediction};
use crate::predictions::trial::Muted;
use crate::reference::events::{Look, PairKey, all_onsets, looks, walk};
use model::derived::DerivedRow;
use model::event::EventTypeKey;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

type Onsets = BTreeMap<EventTypeKey, Vec<EventStamp>>;

fn passes(look: &Look, key: &PairKey, params: &EventParams) -> bool {
    look.pairs.get(key).is_some_and(|(pair, q)| {
        *q <= params.false_discovery_rate
            && pair.occurrences >= params.min_occurrences
            && pair.days >= params.min_days
            && pair.log_e.0 > f64::NEG_INFINITY
    })
}

/// Whether a pattern stands by itself at an instant.
fn stands(look: &Look, key: &PairKey, params: &EventParams) -> bool {
    let own = &look.pairs[key].0;
    let is_specific = |other: &&PairKey| is_more_specific(other, key) && passes(look, other, params);
    let specific: Vec<&PairScan> = look.pairs.keys().filter(is_specific).map(|other| &look.pairs[other].0).collect();
    let whole = is_general(&key.0) || is_general(&key.1);
    let shared: u32 = specific.iter().map(|other| other.occurrences).sum();
    let is_part =
        specific.iter().any(|other| other.log_e >= own.log_e) || f64::from(shared) >= 0.8 * f64::from(own.occurrences);
    passes(look, key, params) && !(whole && !specific.is_empty() && is_part)
}

/// What came after an instant.
fn after(
    (instant, until, current): (TimeMs, TimeMs, TimeMs),
    (pair, before): (&PairScan, Option<&PairScan>),
    (onsets, metrics): (&Onsets, &[Heard]),
    params: &EventParams,
    now: TimeMs,
) -> PairAfter {
    let minutes = |minutes: u32| i64::from(minutes) * MINUTE_MS;
    let (start_ms, end_ms) = (minutes(pair.frequency.window_min.0), minutes(pair.frequency.window_min.1));
    let known = |key: &EventTypeKey| onsets[key].iter().filter(|one| one.at < current).collect::<Vec<_>>();
    let (sources, targets) = (known(&pair.source), known(&pair.target));
    let carried_ms = before.map_or(end_ms, |before| end_ms.max(minutes(before.frequency.window_min.1)));
    let heard = |from: TimeMs| {
        let mut by_metrics = metrics.iter().filter(|one| one.colony_id == pair.target.colony_id && one.at < current);
        if by_metrics.any(|one| one.at >= from) {
            return true;
        }
        let of_colony = onsets.iter().filter(|(key, _)| key.colony_id == pair.target.colony_id);
        of_colony.flat_map(|(_, all)| all).any(|one| one.at >= from && one.at < current)
    };
    let mut cases: Vec<Case> = Vec::new();
    for source in sources.iter().filter(|one| one.at >= instant && one.at < until) {
        let is_carried = sources.iter().any(|other| other.at < instant && source.at - other.at < carried_ms);
        let waits = |case: &Case| {
            let ends_at = if let Outcome::Hit { at, .. } = case.outcome { at } else { case.source_at + end_ms };
            source.at < ends_at
        };
        if is_carried || cases.iter().any(waits) {
            continue;
        }
        let follows = |target: &&&EventStamp| target.at - source.at > start_ms && target.at - source.at <= end_ms;
        let outcome = match targets.iter().find(follows) {
            Some(target) => Outcome::Hit { at: target.at, event_id: target.event_id.clone() },
            None if source.at + end_ms + params.lateness_ms > now => Outcome::Open,
            None if heard(source.at + end_ms) => Outcome::Miss,
            None => Outcome::Void,
        };
        cases.push(Case { source_at: source.at, source_event_id: source.event_id.clone(), outcome });
    }
    let identity = |key: &EventTypeKey| {
        let last = onsets[key].iter().rfind(|one| one.at < until && one.at < current);
        let text = |field: fn(&EventStamp) -> &String| last.map(field).cloned().unwrap_or_default();
        Identity { application_name: text(|one| &one.application_name), environment: text(|one| &one.environment) }
    };
    PairAfter {
        instant,
        source: pair.source.clone(),
        target: pair.target.clone(),
        source_identity: identity(&pair.source),
        target_identity: identity(&pair.target),
        cases,
        targets: targets.iter().filter(|one| one.at >= instant && one.at < until).count() as u64,
    }
}

/// Over how many steps of the walk a pattern is tried: half of the horizon, or as many as leave time to decide what is
/// no longer kept current. Negative if not even that is left.
fn trial_steps(params: &EventParams) -> i64 {
    let step = ((params.horizon_ms as f64 / (30 * DAY_MS) as f64).ceil() as i64).max(1) * DAY_MS;
    let decided_ms = params.max_lag_ms.max(MINUTE_MS) + params.lateness_ms + params.interval_ms;
    let left = (params.horizon_ms - decided_ms).div_euclid(step) - 2;
    left.min(params.horizon_ms / 2 / step)
}

/// Why a pattern with this row does not predict, after these days.
fn muted(pair: &PairScan, days: &[(PairScan, PairAfter)], params: &EventParams) -> Option<Muted> {
    let instant = pair.instant;
    let stated = |pair: &PairScan| (pair.frequency.hits as f64 + 0.5) / (pair.frequency.passed as f64 + 1.0);
    let floor = f64::max(2.0 * pair.frequency.chance.0, 0.25);
    if stated(pair) < floor {
        return Some(Muted::BelowFloor { probability: stated(pair), floor });
    }
    let step = ((params.horizon_ms as f64 / (30 * DAY_MS) as f64).ceil() as i64).max(1) * DAY_MS;
    let back_ms = trial_steps(params) * step;
    let mut decided: Vec<(f64, bool)> = Vec::new();
    for (row, after) in days.iter().filter(|(row, _)| row.instant >= instant - back_ms && row.instant < instant) {
        for case in &after.cases {
            let expires_at = case.source_at + i64::from(row.frequency.window_min.1) * MINUTE_MS + params.lateness_ms;
            match case.outcome {
                Outcome::Hit { at, .. } if at < instant => decided.push((stated(row), true)),
                Outcome::Miss if expires_at <= instant => decided.push((stated(row), false)),
                _ => {}
            }
        }
    }
    // from which case on it may have stopped: each as likely
    let since = |start: usize| -> f64 {
        let of_share = |share: f64| -> f64 {
            let factor = |(p, is_hit): &(f64, bool)| {
                if *is_hit { share } else { (1.0 - share * p / 2.0) / (1.0 - p / 2.0) }
            };
            decided[start..].iter().map(factor).product()
        };
        [0.0, 0.125, 0.25, 0.5].map(of_share).iter().sum::<f64>() / 4.0
    };
    let evidence: Vec<f64> = (0..decided.len()).map(since).collect();
    if evidence.iter().sum::<f64>() < 20.0 * decided.len() as f64 || decided.is_empty() {
        return None;
    }
    let best = (0..decided.len()).max_by(|a, b| evidence[*a].total_cmp(&evidence[*b]))?;
    let hits = decided[best..].iter().filter(|(_, is_hit)| *is_hit).count() as u32;
    Some(Muted::Stopped { cases: (decided.len() - best) as u32, hits })
}

/// All predictions, and all patterns by the day, of the time that is kept current; sorted.
pub fn predictions(
    events: &BTreeSet<EventStamp>,
    (calls, heard): (&BTreeSet<Call>, &[Heard]),
    params: &EventParams,
    now: TimeMs,
) -> Vec<DerivedRow> {
    let onsets = all_onsets(events, params);
    let instants = walk(params, now);
    let looks = looks(&onsets, calls, params, now);
    let current = instants[instants.len() - 1];
    let step = ((params.horizon_ms as f64 / (30 * DAY_MS) as f64).ceil() as i64).max(1) * DAY_MS;
    if trial_steps(params) < 0 {
        return Vec::new();
    }
    let since = instants[0] + trial_steps(params) * step + step;
    let keys: BTreeSet<&PairKey> = looks.iter().flat_map(|look| look.pairs.keys()).collect();
    let mut rows = Vec::new();
    for key in keys {
        let mut days: Vec<(PairScan, PairAfter)> = Vec::new();
        for place in 0..instants.len() - 1 {
            if !looks[place].pairs.contains_key(key) || !stands(&looks[place], key, params) {
                continue;
            }
            let pair = &looks[place].pairs[key].0;
            let before = place.checked_sub(1).and_then(|place| looks[place].pairs.get(key)).map(|(pair, _)| pair);
            let before = before.filter(|pair| pair.log_e.0 > f64::NEG_INFINITY);
            let after =
                after((instants[place], instants[place + 1], current), (pair, before), (&onsets, heard), params, now);
            if pair.instant >= since {
                let muted = muted(pair, &days, params);
                rows.push(pattern_day(&after, &pair.frequency, muted));
                if muted.is_none() {
                    let own = after.cases.iter();
                    rows.extend(own.map(|case| prediction(&after, &pair.frequency, case, params.lateness_ms)));
                }
            }
            days.push((pair.clone(), after));
        }
    }
    rows.sort();
    rows
}
