//! Findings of event patterns from a set of events, from scratch: every instant, every pair, every window, by definition.
//!
//! It follows the text of the method and shares no arithmetic with the operators: factorials come from the gamma
//! function, tails are summed in full, onsets are searched one by one. It shares the types of rows, the list of windows'
//! widths in minutes, and the way a finding is worded.

use crate::events::finding::finding;
use crate::events::row::{Identity, Match, PairDetail, PairScan};
use crate::events::{EventParams, EventStamp};
use libm::lgamma;
use model::event::EventTypeKey;
use model::pattern::{Finding, PatternState};
use model::real::Real;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::PI;

/// One pair at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analysis {
    /// Logarithm of the e-value.
    pub log_e: f64,
    /// Eligible sources.
    pub n: usize,
    /// Hits in the best window.
    pub k: usize,
    /// The best window, minutes.
    pub window_min: (i64, i64),
    /// Chance level in it.
    pub chance: f64,
    /// Certainty factor in it.
    pub score: f64,
}

/// All windows up to `max_lag_min`: start, end and prior weight.
fn windows(max_lag_min: i64) -> Vec<(i64, i64, f64)> {
    let mut widths: Vec<i64> = vec![2, 4, 8, 16, 32, 64, 128];
    widths.retain(|width| *width < max_lag_min);
    widths.push(max_lag_min);
    let mut windows = Vec::new();
    for width in &widths {
        let starts: Vec<i64> = (0..=max_lag_min - width).filter(|start| start % (width / 2).max(1) == 0).collect();
        for start in &starts {
            windows.push((*start, start + width, 1.0 / (widths.len() * starts.len()) as f64));
        }
    }
    windows
}

/// Sources with a target strictly inside the window.
fn hits(sources: &[i64], targets: &[i64], start_ms: i64, end_ms: i64) -> usize {
    let is_hit = |source: &i64| targets.iter().any(|target| *target > source + start_ms && *target < source + end_ms);
    sources.iter().filter(|source| is_hit(source)).count()
}

/// Targets per minute at one minute of the day.
fn seasonal_rate(targets: &[i64], days: f64, minute_factors: &[f64; 60], minute_of_day: i64) -> f64 {
    let in_hour =
        |hour: i64| targets.iter().filter(|at| at.rem_euclid(DAY_MS) / HOUR_MS == hour.rem_euclid(24)).count() as f64;
    let hour = minute_of_day / 60 % 24;
    let smoothed = (in_hour(hour - 1) + 2.0 * in_hour(hour) + in_hour(hour + 1)) / 4.0;
    let mean = targets.len() as f64 / 24.0;
    let hourly = ((smoothed * days + mean * 2.0) / (days + 2.0)) / (60.0 * days);
    hourly * minute_factors[(minute_of_day % 60) as usize]
}

/// Factor by minute of the hour, all 1 unless the schedule test fires.
fn minute_factors(targets: &[i64]) -> [f64; 60] {
    let n = targets.len() as f64;
    let power = |harmonic: f64| {
        let angle = |at: &i64| 2.0 * PI * harmonic * (at.rem_euclid(HOUR_MS) as f64 / MINUTE_MS as f64) / 60.0;
        let real: f64 = targets.iter().map(|at| angle(at).cos()).sum();
        let imaginary: f64 = targets.iter().map(|at| angle(at).sin()).sum();
        (real.powi(2) + imaginary.powi(2)) / n
    };
    let strongest = [1.0, 2.0, 3.0, 4.0, 6.0, 12.0].map(power).into_iter().fold(0.0, f64::max);
    let mut factors = [1.0; 60];
    if strongest > 8.7 {
        let count = |minute: i64| {
            targets.iter().filter(|at| at.rem_euclid(HOUR_MS) / MINUTE_MS == minute.rem_euclid(60)).count() as f64
        };
        let mean = n / 60.0;
        let a = 3.0 * mean / (3.0 + mean);
        for minute in 0..60 {
            let near = (count(minute - 1) + count(minute) + count(minute + 1)) / 3.0;
            let peak = (count(minute) + count(minute).sqrt()).max(near);
            factors[minute as usize] = ((peak + a) / (mean + a)).max(1.0);
        }
    }
    factors
}

/// `ln P(Bin(trials, p) <= k)`, by summing the shorter of both tails.
fn log_binomial_cdf(k: usize, trials: usize, p: f64) -> f64 {
    let term = |i: usize| {
        lgamma(trials as f64 + 1.0) - lgamma(i as f64 + 1.0) - lgamma((trials - i) as f64 + 1.0)
            + i as f64 * p.ln()
            + (trials - i) as f64 * (-p).ln_1p()
    };
    if (k as f64) < trials as f64 * p {
        let largest = (0..=k).map(term).fold(f64::NEG_INFINITY, f64::max);
        largest + (0..=k).map(|i| (term(i) - largest).exp()).sum::<f64>().ln()
    } else {
        (-(k + 1..=trials).map(|i| term(i).exp()).sum::<f64>()).ln_1p()
    }
}

/// One pair: onsets in `[origin, instant)`, rising; `None` when it is not eligible.
pub fn analyse(sources: &[i64], targets: &[i64], origin: i64, instant: i64, max_lag_min: i64) -> Option<Analysis> {
    let reach = max_lag_min * MINUTE_MS;
    let sources: Vec<i64> =
        sources.iter().copied().filter(|at| at - reach >= origin && at + reach <= instant).collect();
    if sources.len() < 3 || targets.len() < 3 {
        return None;
    }
    let n = sources.len();
    let span_min = (instant - origin) as f64 / MINUTE_MS as f64;
    let days = span_min / 1440.0;
    let lags: Vec<i64> = sources
        .iter()
        .flat_map(|source| targets.iter().map(move |target| target - source))
        .filter(|lag| (-reach..=reach).contains(lag))
        .collect();
    let count_lags = |from_half_min: i64, to_half_min: i64| {
        let (from, to) = (from_half_min * MINUTE_MS / 2, to_half_min * MINUTE_MS / 2);
        lags.iter().filter(|lag| **lag >= from && **lag < to).count() as f64
    };
    let factors = minute_factors(targets);
    let rate: Vec<f64> = (0..1440).map(|minute| seasonal_rate(targets, days, &factors, minute)).collect();

    let mut shares = Vec::new();
    for (start, end, prior) in windows(max_lag_min) {
        let width = (end - start) as f64;
        let (start_ms, end_ms) = (start * MINUTE_MS, end * MINUTE_MS);
        let flat = width * targets.len() as f64 / span_min;
        let expected = |source: &i64| -> f64 {
            let minute = source.rem_euclid(DAY_MS) / MINUTE_MS;
            (start..end).map(|lag| rate[((minute + lag) % 1440) as usize]).sum()
        };
        let seasonal = sources.iter().map(expected).sum::<f64>() / n as f64;
        // in half minutes from here on
        let (a, b, w, l) = (2 * start, 2 * end, 2 * (end - start), 2 * max_lag_min);
        let extent = (4 * w).max(120);
        let (outer_low, outer_high) = ((a - w - extent).max(-l), (b + w + extent).min(l));
        let (inner_low, inner_high) = ((a - w / 2).max(-l), (b + w / 2).min(l));
        let around = count_lags(outer_low, outer_high) - count_lags(inner_low, inner_high);
        let length_min = (((outer_high - outer_low) - (inner_high - inner_low)) as f64 / 2.0).max(1.0);
        let flank = width * (around + 1.0) / (n as f64 * length_min);
        let mirrored = lags.iter().filter(|lag| (-end_ms..=-start_ms).contains(lag)).count() as f64;
        let mut mu = flat.max(1e-12).max(seasonal).max(flank);
        if end - start >= 16 {
            mu = mu.max((mirrored + 1.0) / n as f64);
        }
        let mut chance = 1.0 - (-mu).exp();
        let groups: [&[i64]; 2] = [&[1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13], &[7, 14, 21, 28]];
        for group in groups {
            let (mut total, mut seen) = (0, 0);
            for shift in group.iter().flat_map(|day| [-day * DAY_MS, day * DAY_MS]) {
                let moved: Vec<i64> =
                    sources.iter().map(|at| at + shift).filter(|at| *at >= origin && at + reach <= instant).collect();
                total += hits(&moved, targets, start_ms, end_ms);
                seen += moved.len();
            }
            if seen > 0 {
                chance = chance.max((total as f64 + 1.0) / (seen as f64 + 1.0));
            }
        }
        let p0 = chance.clamp(1e-9, 0.999);
        let k = hits(&sources, targets, start_ms, end_ms);
        let log_beta = lgamma(k as f64 + 1.0) + lgamma((n - k) as f64 + 1.0) - lgamma(n as f64 + 2.0);
        let log_e = log_beta + log_binomial_cdf(k, n + 1, p0) - (n - k + 1) as f64 * (-p0).ln_1p() - k as f64 * p0.ln();
        shares.push((log_e + prior.ln(), k, (start, end), p0));
    }
    let mut best = shares[0];
    for share in &shares {
        if share.0 > best.0 {
            best = *share;
        }
    }
    let (_, k, window_min, chance) = best;
    let log_e = best.0 + shares.iter().map(|share| (share.0 - best.0).exp()).sum::<f64>().ln();
    let score = ((k as f64 / n as f64 - chance) / (1.0 - chance)).max(0.0);
    Some(Analysis { log_e, n, k, window_min, chance, score })
}

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
fn match_in_turn(sources: &[EventStamp], targets: &[EventStamp], start_ms: i64, end_ms: i64) -> Vec<Match> {
    let mut free = vec![true; targets.len()];
    let mut matches = Vec::new();
    for source in sources {
        let fits = |target: &EventStamp| target.at - source.at > start_ms && target.at - source.at < end_ms;
        if let Some(index) = (0..targets.len()).find(|index| free[*index] && fits(&targets[*index])) {
            free[index] = false;
            matches.push(Match {
                source_at: source.at,
                source_event_id: source.event_id.clone(),
                target_at: targets[index].at,
                target_event_id: targets[index].event_id.clone(),
            });
        }
    }
    matches
}

fn pair_scan(
    instant: TimeMs,
    analysis: &Analysis,
    sources: &[EventStamp],
    targets: &[EventStamp],
    eligible: &[i64],
) -> PairScan {
    let (start_ms, end_ms) = (analysis.window_min.0 * MINUTE_MS, analysis.window_min.1 * MINUTE_MS);
    let matches = match_in_turn(sources, targets, start_ms, end_ms);
    let identity = |events: &[EventStamp]| {
        let last = &events[events.len() - 1];
        Identity { application_name: last.application_name.clone(), environment: last.environment.clone() }
    };
    let times: Vec<i64> = targets.iter().map(|target| target.at.0).collect();
    PairScan {
        instant,
        source: sources[0].key.clone(),
        target: targets[0].key.clone(),
        log_e: Real(analysis.log_e),
        occurrences: matches.len() as u32,
        detail: Some(PairDetail {
            source_identity: identity(sources),
            target_identity: identity(targets),
            source_count: analysis.n as u64,
            hits: analysis.k as u64,
            hits_reversed: hits(eligible, &times, -end_ms, -start_ms) as u64,
            window_min: (analysis.window_min.0 as u32, analysis.window_min.1 as u32),
            chance: Real(analysis.chance),
            score: Real(analysis.score),
            matches,
        }),
    }
}

/// All pairs tested at an instant with their q-values.
fn pairs_at(
    instant: TimeMs,
    onsets: &BTreeMap<EventTypeKey, Vec<EventStamp>>,
    params: &EventParams,
) -> BTreeMap<(EventTypeKey, EventTypeKey), (PairScan, f64)> {
    let max_lag_min = (params.max_lag_ms / MINUTE_MS).max(1);
    let begin = instant - params.horizon_ms;
    let known_from = begin.floor_to(DAY_MS) - 7 * DAY_MS;
    // a colony is observed from the midnight before its first onset
    let observed_from = |colony_id: &str| -> Option<TimeMs> {
        let of_colony = onsets.iter().filter(|(key, _)| key.colony_id == colony_id).flat_map(|(_, all)| all);
        let known = of_colony.map(|onset| onset.at).filter(|at| *at >= known_from && *at < instant);
        known.min().map(|first| first.max(begin).floor_to(DAY_MS))
    };
    let reach = max_lag_min * MINUTE_MS;
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
            let (seen_sources, seen_targets) = (seen(source), seen(target));
            let times = |seen: &[EventStamp]| -> Vec<i64> { seen.iter().map(|one| one.at.0).collect() };
            let (sources, targets) = (times(&seen_sources), times(&seen_targets));
            if let Some(analysis) = analyse(&sources, &targets, origin.0, instant.0, max_lag_min) {
                let eligible: Vec<i64> =
                    sources.iter().copied().filter(|at| at - reach >= origin.0 && at + reach <= instant.0).collect();
                pairs.push(pair_scan(instant, &analysis, &seen_sources, &seen_targets, &eligible));
            }
        }
    }
    let log_e: Vec<f64> = pairs.iter().map(|pair| pair.log_e.0).collect();
    let count = pairs.len() as f64;
    let q_value = |own: f64| {
        // the least K / (s E) over all ranks s whose e-value is no greater
        let rank = |other: f64| log_e.iter().filter(|value| **value >= other).count() as f64;
        let candidates = log_e.iter().filter(|other| **other <= own);
        candidates.map(|other| (count.ln() - rank(*other).ln() - other).exp()).fold(1.0, f64::min)
    };
    pairs
        .iter()
        .map(|pair| ((pair.source.clone(), pair.target.clone()), (pair.clone(), q_value(pair.log_e.0))))
        .collect()
}

/// All findings for a set of events, sorted.
pub fn findings(events: &BTreeSet<EventStamp>, params: &EventParams, now: TimeMs) -> Vec<Finding> {
    let onsets = onsets(events, params);
    let current = now.floor_to(params.interval_ms);
    let step_days = ((params.horizon_ms as f64 / (30 * DAY_MS) as f64).ceil() as i64).max(1);
    let first_day = (current - params.horizon_ms).0.div_euclid(DAY_MS);
    let mut walk: Vec<TimeMs> = (first_day..=current.0.div_euclid(DAY_MS))
        .filter(|day| day.rem_euclid(step_days) == 0)
        .map(|day| TimeMs(day * DAY_MS))
        .filter(|instant| *instant > current - params.horizon_ms && *instant < current)
        .collect();
    walk.push(current);
    let looks: Vec<_> = walk.into_iter().map(|instant| pairs_at(instant, &onsets, params)).collect();

    let rate = params.false_discovery_rate;
    let mut found = Vec::new();
    let Some(last) = looks.last() else { return found };
    for (key, (pair, q_value)) in last {
        let mut confirmed = false;
        let mut was_confirmed = false;
        for look in &looks {
            let (q, enough) =
                look.get(key).map_or((1.0, false), |(pair, q)| (*q, pair.occurrences >= params.min_occurrences));
            confirmed = enough && (q <= rate || confirmed && q <= 2.0 * rate);
            was_confirmed |= confirmed;
        }
        let state = match (confirmed, was_confirmed) {
            (true, _) => PatternState::Confirmed,
            (false, true) => PatternState::Withdrawn,
            (false, false) => PatternState::Candidate,
        };
        let stands = pair.log_e.0 >= 0.0 && pair.occurrences >= params.min_occurrences;
        if state != PatternState::Candidate || stands {
            found.extend(finding(pair, *q_value, state));
        }
    }
    found.sort();
    found
}
