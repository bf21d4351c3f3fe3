//! Findings of event patterns from a set of events, from scratch: every instant, every pair, every window, by definition.
//!
//! It follows the text of the method and shares no arithmetic with the operators: every lag of every pair is evaluated
//! for every window, units are lists of onsets, products are computed unit by unit. It shares the types of rows, the
//! weights of pairs, the distribution of the lag, and the text of a finding. One pair: [`super::event_pair`].

use crate::calls::Call;
use crate::events::finding::{Judgement, finding, pattern_key};
use crate::events::lag::lag_law;
use crate::events::levels::{is_general, is_more_specific, on_both_levels, service_of, weight};
use crate::events::reason::{Bar, reason};
use crate::events::row::{Frequency, Identity, Match, PairDetail, PairScan, WeightedPair};
use crate::events::windows::Window;
use crate::events::{EventParams, EventStamp};
use crate::reference::event_pair::{Analysis, analyse};
use model::event::EventTypeKey;
use model::pattern::{Finding, PatternState};
use model::real::Real;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

/// The events that begin an episode, by type and time.
pub fn onsets(events: &BTreeSet<EventStamp>, params: &EventParams) -> BTreeMap<EventTypeKey, Vec<EventStamp>> {
    let mut by_type: BTreeMap<EventTypeKey, Vec<EventStamp>> = BTreeMap::new();
    for event in events {
        by_type.entry(event.key.clone()).or_default().push(event.clone());
    }
    for events in by_type.values_mut() {
        events.sort_by(|a, b| (a.at, &a.event_id).cmp(&(b.at, &b.event_id)));
        let mut onsets: Vec<EventStamp> = Vec::new();
        let mut run_from = TimeMs(0);
        let mut previous: Option<TimeMs> = None;
        for event in events.iter() {
            let gap = previous.is_none_or(|previous| event.at - previous >= params.burst_gap_ms);
            if gap {
                run_from = event.at;
            }
            let cell = |at: TimeMs| at.0.div_euclid(params.episode_cap_ms);
            let new_cell = previous.is_some_and(|previous| cell(event.at) != cell(previous));
            if gap || (new_cell && event.at - run_from >= params.episode_cap_ms) {
                onsets.push(event.clone());
            }
            previous = Some(event.at);
        }
        *events = onsets;
    }
    by_type
}

/// Lag pairs, each source in turn taking the first target that is still free.
fn match_in_turn(sources: &[EventStamp], targets: &[EventStamp], start_ms: i64, end_ms: i64) -> Vec<(usize, usize)> {
    let mut free = vec![true; targets.len()];
    let mut matches = Vec::new();
    for (position, source) in sources.iter().enumerate() {
        let fits = |target: &EventStamp| target.at - source.at > start_ms && target.at - source.at <= end_ms;
        if let Some(index) = (0..targets.len()).find(|index| free[*index] && fits(&targets[*index])) {
            free[index] = false;
            matches.push((position, index));
        }
    }
    matches
}

/// The window in which occurrences are counted, and the targets expected in it by chance: half as wide again on both sides
/// where most of what that adds is no chance.
fn shown_window(
    analysis: &Analysis,
    sources: &[EventStamp],
    targets: &[EventStamp],
    max_lag_min: i64,
) -> ((i64, i64), f64) {
    let (start, end) = analysis.window_min;
    let pad = ((end - start) / 2).max(2);
    let wide = ((start - pad).max(0), (end + pad).min(max_lag_min));
    let count =
        |window: (i64, i64)| match_in_turn(sources, targets, window.0 * MINUTE_MS, window.1 * MINUTE_MS).len() as f64;
    let times = (wide.1 - wide.0) as f64 / (end - start) as f64;
    let by_chance = sources.len() as f64 * analysis.expected * (times - 1.0);
    if count(wide) - count((start, end)) > (2.0 + 1e-9) * by_chance {
        (wide, analysis.expected * times)
    } else {
        ((start, end), analysis.expected)
    }
}

/// Whether a call that counts at `now` is between services of these names, in either direction, and shown by the topology
/// of one of the two colonies.
fn calls_link(
    calls: &BTreeSet<Call>,
    now: TimeMs,
    params: &EventParams,
    one: &EventTypeKey,
    other: &EventTypeKey,
) -> bool {
    calls.iter().filter(|call| call.seen_at >= now - params.keep_ms()).any(|call| {
        let (from, to) = (service_of(&call.from_service), service_of(&call.to_service));
        let is_of_them = call.colony_id == one.colony_id || call.colony_id == other.colony_id;
        let ends = (&one.service_id, &other.service_id);
        is_of_them && (ends == (&from, &to) || ends == (&to, &from))
    })
}

fn pair_scan(
    instant: TimeMs,
    analysis: &Analysis,
    is_linked: bool,
    sources: &[EventStamp],
    targets: &[EventStamp],
    max_lag_min: i64,
) -> PairScan {
    let (window_min, expected) = shown_window(analysis, sources, targets, max_lag_min);
    let (start_ms, end_ms) = (window_min.0 * MINUTE_MS, window_min.1 * MINUTE_MS);
    let matches = match_in_turn(sources, targets, start_ms, end_ms);
    let identity = |events: &[EventStamp]| {
        let last = &events[events.len() - 1];
        Identity { application_name: last.application_name.clone(), environment: last.environment.clone() }
    };
    let (source_identity, target_identity) = (identity(sources), identity(targets));
    let times: Vec<i64> = targets.iter().map(|target| target.at.0).collect();
    let has_passed = |source: &EventStamp| source.at + end_ms <= instant;
    let is_decided =
        |position: usize| has_passed(&sources[position]) || matches.iter().any(|(source, _)| *source == position);
    let decided: Vec<i64> =
        (0..sources.len()).filter(|position| is_decided(*position)).map(|position| sources[position].at.0).collect();
    let open: Vec<TimeMs> =
        (0..sources.len()).filter(|position| !is_decided(*position)).map(|position| sources[position].at).collect();
    let passed: Vec<i64> = sources.iter().filter(|source| has_passed(source)).map(|source| source.at.0).collect();
    let followed = |low_ms: i64, high_ms: i64| {
        let is_hit = |at: &&i64| times.iter().any(|target| target - *at > low_ms && target - *at <= high_ms);
        passed.iter().filter(is_hit).count() as u64
    };
    let matched_passed = matches.iter().filter(|(source, _)| has_passed(&sources[*source])).count();
    let share = if passed.is_empty() { 0.0 } else { matched_passed as f64 / passed.len() as f64 };
    let chance = 1.0 - (-expected).exp();
    let days: BTreeSet<i64> = matches.iter().map(|(source, _)| sources[*source].at.0.div_euclid(DAY_MS)).collect();
    let best = Window { start_min: analysis.window_min.0 as u32, end_min: analysis.window_min.1 as u32, width: 0 };
    let (source, target) = (sources[0].key.clone(), targets[0].key.clone());
    let law = lag_law(&decided, &times, best, max_lag_min as u32, analysis.expected);
    let pair = |source: &EventStamp, target: &EventStamp| Match {
        source_at: source.at,
        source_event_id: source.event_id.clone(),
        target_at: target.at,
        target_event_id: target.event_id.clone(),
    };
    PairScan {
        instant,
        log_e: Real(analysis.log_e),
        weight: weight(
            (&source_identity.application_name, &source.service_id),
            (&target_identity.application_name, &target.service_id),
            is_linked,
        ),
        occurrences: matches.len() as u32,
        days: days.len() as u32,
        frequency: Frequency {
            window_min: (window_min.0 as u32, window_min.1 as u32),
            passed: passed.len() as u64,
            hits: followed(start_ms, end_ms),
            chance: Real(chance),
        },
        source,
        target,
        detail: Some(PairDetail {
            source_identity,
            target_identity,
            source_count: decided.len() as u64,
            hits_reversed: followed(-end_ms, -start_ms),
            open_count: open.len() as u64,
            open_until: open.last().map(|at| *at + end_ms),
            log_prior: Real(analysis.log_prior),
            score: Real(((share - chance) / (1.0 - chance).max(1e-9)).max(0.0)),
            lag_s: law.quartiles_s,
            matches: matches.iter().map(|(source, target)| pair(&sources[*source], &targets[*target])).collect(),
            matched_passed: matched_passed as u64,
            lag_pairs: law
                .pairs
                .iter()
                .flat_map(|of_law| {
                    let source = sources.iter().find(|one| one.at.0 == of_law.source_at);
                    let target = targets.iter().find(|one| one.at.0 == of_law.target_at);
                    let both = source.zip(target);
                    both.map(|(source, target)| WeightedPair {
                        pair: pair(source, target),
                        weight: Real(of_law.weight),
                    })
                })
                .collect(),
        }),
    }
}

pub(super) type PairKey = (EventTypeKey, EventTypeKey);

/// All pairs tested at an instant with their q-values.
pub(super) struct Look {
    pub(super) pairs: BTreeMap<PairKey, (PairScan, f64)>,
    weight_total: u64,
}

fn look_at(
    (instant, current): (TimeMs, bool),
    onsets: &BTreeMap<EventTypeKey, Vec<EventStamp>>,
    params: &EventParams,
    are_linked: &dyn Fn(&EventTypeKey, &EventTypeKey) -> bool,
) -> Look {
    let max_lag_min = (params.max_lag_ms / MINUTE_MS).max(1);
    let begin = instant - params.horizon_ms;
    let known_from = begin.floor_to(DAY_MS) - 7 * DAY_MS;
    // a colony is observed from the midnight before its first onset
    let observed_from = |colony_id: &str| -> Option<TimeMs> {
        let of_colony = onsets.iter().filter(|(key, _)| key.colony_id == colony_id).flat_map(|(_, all)| all);
        let known = of_colony.map(|onset| onset.at).filter(|at| *at >= known_from && *at < instant);
        known.min().map(|first| first.max(begin).floor_to(DAY_MS))
    };
    let least_e = if current { 1.0 } else { 1.0 / (2.0 * params.false_discovery_rate) };
    let mut pairs = Vec::new();
    for source in onsets.keys() {
        for target in onsets.keys().filter(|target| target.colony_id != source.colony_id) {
            let (Some(of_source), Some(of_target)) =
                (observed_from(&source.colony_id), observed_from(&target.colony_id))
            else {
                continue;
            };
            let origin = of_source.max(of_target);
            let seen = |key: &EventTypeKey| -> Vec<EventStamp> {
                onsets[key].iter().filter(|one| one.at >= origin && one.at < instant).cloned().collect()
            };
            // a colony as a whole counts where two of its services do
            let counts = |key: &EventTypeKey| {
                let is_service = |other: &&EventTypeKey| {
                    !is_general(other) && other.colony_id == key.colony_id && other.event_type == key.event_type
                };
                !is_general(key) || onsets.keys().filter(is_service).filter(|other| !seen(other).is_empty()).count() > 1
            };
            if !counts(source) || !counts(target) {
                continue;
            }
            let (seen_sources, seen_targets) = (seen(source), seen(target));
            let times = |seen: &[EventStamp]| -> Vec<i64> { seen.iter().map(|one| one.at.0).collect() };
            let (sources, targets) = (times(&seen_sources), times(&seen_targets));
            if let Some(analysis) = analyse(&sources, &targets, origin.0, instant.0, max_lag_min) {
                let is_linked = are_linked(source, target);
                let mut pair = pair_scan(instant, &analysis, is_linked, &seen_sources, &seen_targets, max_lag_min);
                let least = (least_e / f64::from(pair.weight)).ln();
                if analysis.glance < least.max(1.0) || analysis.log_e < least && !current {
                    pair.log_e = Real(f64::NEG_INFINITY);
                }
                pairs.push(pair);
            }
        }
    }
    let weighted = |pair: &PairScan| pair.log_e.0 + f64::from(pair.weight).ln();
    let log_e: Vec<f64> = pairs.iter().map(weighted).collect();
    let weight_total: u64 = pairs.iter().map(|pair| u64::from(pair.weight)).sum();
    let q_value = |own: f64| {
        // the least K / (s w E) over all ranks s whose weighted e-value is no greater
        let rank = |other: f64| log_e.iter().filter(|value| **value >= other).count() as f64;
        let candidates = log_e.iter().filter(|other| **other <= own);
        candidates.map(|other| ((weight_total as f64).ln() - rank(*other).ln() - other).exp()).fold(1.0, f64::min)
    };
    let judged =
        pairs.iter().map(|pair| ((pair.source.clone(), pair.target.clone()), (pair.clone(), q_value(weighted(pair)))));
    Look { pairs: judged.collect(), weight_total }
}

fn state_of(key: &PairKey, looks: &[Look], params: &EventParams) -> PatternState {
    let rate = params.false_discovery_rate;
    let (mut confirmed, mut was_confirmed) = (false, false);
    for look in looks {
        let (q, enough) = look.pairs.get(key).map_or((1.0, false), |(pair, q)| {
            (*q, pair.occurrences >= params.min_occurrences && pair.days >= params.min_days)
        });
        confirmed = enough && (q <= rate || confirmed && q <= 2.0 * rate);
        was_confirmed |= confirmed;
    }
    match (confirmed, was_confirmed) {
        (true, _) => PatternState::Confirmed,
        (false, true) => PatternState::Withdrawn,
        (false, false) => PatternState::Candidate,
    }
}

/// The more specific pair that a pair of whole colonies follows from.
fn follows_from<'a>(
    key: &PairKey,
    last: &'a Look,
    listed: &BTreeSet<&PairKey>,
    states: &BTreeMap<PairKey, PatternState>,
) -> Option<&'a PairKey> {
    let confirmed = |one: &PairKey| states[one] == PatternState::Confirmed;
    let own = &last.pairs[key].0;
    let mut specific: Vec<(&PairKey, &PairScan)> = last
        .pairs
        .iter()
        .filter(|(other, _)| listed.contains(other) && is_more_specific(other, key))
        .map(|(other, (pair, _))| (other, pair))
        .collect();
    specific.sort_by(|a, b| b.1.log_e.cmp(&a.1.log_e).then_with(|| a.0.cmp(b.0)));
    let (best, best_pair) = specific.first()?;
    if best_pair.log_e >= own.log_e && (confirmed(best) || !confirmed(key)) {
        return Some(best);
    }
    let ids = |pair: &PairScan| -> Vec<(String, String)> {
        let matches = pair.detail.iter().flat_map(|detail| &detail.matches);
        matches.map(|one| (one.source_event_id.clone(), one.target_event_id.clone())).collect()
    };
    let holding: Vec<&(&PairKey, &PairScan)> = specific.iter().filter(|(other, _)| confirmed(other)).collect();
    let covered: Vec<(String, String)> = holding.iter().flat_map(|(_, pair)| ids(pair)).collect();
    let shared = ids(own).iter().filter(|one| covered.contains(one)).count();
    let (first, _) = holding.first()?;
    (shared as f64 >= 0.8 * ids(own).len() as f64).then_some(*first)
}

/// The onsets of types of services and of whole colonies.
pub(super) fn all_onsets(
    events: &BTreeSet<EventStamp>,
    params: &EventParams,
) -> BTreeMap<EventTypeKey, Vec<EventStamp>> {
    onsets(&events.iter().cloned().flat_map(on_both_levels).collect(), params)
}

/// The closed instants and, last, the current one.
pub(super) fn walk(params: &EventParams, now: TimeMs) -> Vec<TimeMs> {
    let current = now.floor_to(params.interval_ms) + params.interval_ms;
    let step_days = ((params.horizon_ms as f64 / (30 * DAY_MS) as f64).ceil() as i64).max(1);
    let first_day = (current - params.horizon_ms).0.div_euclid(DAY_MS);
    let mut walk: Vec<TimeMs> = (first_day..=current.0.div_euclid(DAY_MS))
        .filter(|day| day.rem_euclid(step_days) == 0)
        .map(|day| TimeMs(day * DAY_MS))
        .filter(|instant| *instant > current - params.horizon_ms && *instant < current)
        .collect();
    walk.push(current);
    walk
}

/// What is seen at each instant of the walk.
pub(super) fn looks(
    onsets: &BTreeMap<EventTypeKey, Vec<EventStamp>>,
    calls: &BTreeSet<Call>,
    params: &EventParams,
    now: TimeMs,
) -> Vec<Look> {
    let are_linked = |one: &EventTypeKey, other: &EventTypeKey| calls_link(calls, now, params, one, other);
    let walk = walk(params, now);
    let last = walk.last().copied();
    walk.into_iter().map(|instant| look_at((instant, Some(instant) == last), onsets, params, &are_linked)).collect()
}

/// All findings for a set of events and of calls, sorted.
pub fn findings(
    events: &BTreeSet<EventStamp>,
    calls: &BTreeSet<Call>,
    params: &EventParams,
    now: TimeMs,
) -> Vec<Finding> {
    let looks = looks(&all_onsets(events, params), calls, params, now);
    let Some(last) = looks.last() else { return Vec::new() };
    let states: BTreeMap<PairKey, PatternState> =
        last.pairs.keys().map(|key| (key.clone(), state_of(key, &looks, params))).collect();
    // a pair is known now if it has evidence now or had some before
    let had_some = |key: &PairKey| {
        let earlier = &looks[..looks.len() - 1];
        earlier.iter().filter_map(|look| look.pairs.get(key)).any(|(pair, _)| pair.log_e.0 > f64::NEG_INFINITY)
    };
    let has_some = |pair: &PairScan| pair.log_e.0 >= -f64::from(pair.weight).ln();
    let listed: BTreeSet<&PairKey> =
        last.pairs.iter().filter(|(key, (pair, _))| has_some(pair) || had_some(key)).map(|(key, _)| key).collect();
    let rate = params.false_discovery_rate;
    let declared = last.pairs.values().filter(|(_, q)| *q <= rate).count();
    let bar = Bar { weight_total: last.weight_total, declared };
    let mut found = Vec::new();
    for (key, (pair, q_value)) in &last.pairs {
        let part_of = follows_from(key, last, &listed, &states);
        let state = if part_of.is_some() { PatternState::Candidate } else { states[key] };
        let stands = pair.log_e.0 >= 0.0 && pair.occurrences >= params.min_occurrences;
        let Some(detail) = pair.detail.as_ref().filter(|_| state != PatternState::Candidate || stands) else {
            continue;
        };
        let why = match (part_of, state) {
            (Some(_), _) => Some("follows from a more specific pattern".to_owned()),
            (None, PatternState::Confirmed) => None,
            (None, _) => Some(reason(pair, detail, bar, params)),
        };
        let part_of = part_of.map(|(source, target)| pattern_key(source, target).correlation_id());
        found.extend(finding(pair, Judgement { q_value: *q_value, state, reason: why, part_of }));
    }
    found.sort();
    found
}
