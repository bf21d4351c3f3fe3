//! Laws that the parts keep for any input: the bound is a bound, the matching is a maximum, episodes are local.

use super::support::stamp;
use crate::events::ends::Ends;
use crate::events::glance::{Logs, glance};
use crate::events::matching::match_one_to_one;
use crate::events::pair::{ONSETS_MIN, evaluate};
use crate::events::screen::{Screen, is_below};
use crate::events::span::Span;
use crate::events::windows::{HitCounter, Windows, cell};
use crate::events::{Episodes, EventParams, EventStamp};
use crate::reference;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Onsets of a source and a target within `days`; some targets follow a source closely.
fn onset_pair(days: i64) -> impl Strategy<Value = (Vec<i64>, Vec<i64>)> {
    let minutes = days * 1440;
    let sources = btree_set(0..minutes, 0..25);
    let followers = vec((any::<prop::sample::Index>(), 1..300_i64, 0..60_000_i64), 0..25);
    let others = btree_set(0..minutes, 0..25);
    (sources, followers, others, any::<bool>()).prop_map(move |(sources, followers, others, same_lag)| {
        let sources: Vec<i64> = sources.into_iter().map(|minute| minute * MINUTE_MS).collect();
        let mut targets: BTreeSet<i64> = others.into_iter().map(|minute| minute * MINUTE_MS + 30_000).collect();
        for (index, minute, ms) in followers {
            if !sources.is_empty() {
                let lag = if same_lag { 17 * MINUTE_MS + ms } else { minute * MINUTE_MS + ms };
                targets.insert((index.get(&sources) + lag).min(minutes * MINUTE_MS - 1));
            }
        }
        (sources, targets.into_iter().collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_pair_agrees_with_the_oracle_for_any_longest_lag((sources, targets) in onset_pair(9), max_lag_min in 1..300u32) {
        let span = Span { origin: TimeMs(0), instant: TimeMs(9 * DAY_MS) };
        let oracle = reference::event_pair::analyse(&sources, &targets, 0, span.instant.0, i64::from(max_lag_min));
        prop_assert_eq!(oracle.is_some(), sources.len().min(targets.len()) >= ONSETS_MIN);
        if let Some(oracle) = oracle {
            let ends = |times: &[i64]| Ends::new(times, span, max_lag_min);
            let found = evaluate(&Windows::new(max_lag_min), &ends(&sources), &ends(&targets), span.length_ms());
            prop_assert!(super::support::close(found.log_e, oracle.log_e), "{found:?} {oracle:?}");
            // two windows may be equally good except for rounding
            let window_min = (i64::from(found.window.start_min), i64::from(found.window.end_min));
            if window_min == oracle.window_min {
                prop_assert!(super::support::close(found.expected, oracle.expected), "{found:?} {oracle:?}");
            }
        }
    }

    #[test]
    fn the_glance_agrees_with_the_oracle((sources, targets) in onset_pair(20), max_lag_min in prop_oneof![Just(240u32), 1..300u32]) {
        let span = Span { origin: TimeMs(0), instant: TimeMs(20 * DAY_MS) };
        let oracle = reference::event_pair::analyse(&sources, &targets, 0, span.instant.0, i64::from(max_lag_min));
        let Some(oracle) = oracle else { return Ok(()) };
        let windows = Windows::new(max_lag_min);
        let mut hits = HitCounter::new(&windows);
        for source in &sources {
            hits.next_source();
            let near = targets.iter().map(|target| target - source).filter(|lag| *lag > 0 && *lag <= windows.max_lag_ms());
            for lag in near {
                hits.add(&windows, cell(lag));
            }
        }
        let found = glance(&windows, &hits, sources.len(), targets.len(), span.length_ms(), &mut Logs::default());
        prop_assert!(super::support::close(found, oracle.glance), "{found} {}", oracle.glance);
        // the screen is the same sum: it dismisses what the quick look dismisses, and nothing else
        let lags: Vec<(u32, i64)> = sources
            .iter()
            .enumerate()
            .flat_map(|(place, source)| targets.iter().map(move |target| (place as u32, target - source)))
            .filter(|(_, lag)| *lag > 0 && *lag <= windows.max_lag_ms())
            .collect();
        let mut screen = Screen::new(&windows, span.length_ms());
        for _ in 0..2 {
            let mean = screen.mean(&lags, (sources.len(), targets.len()));
            prop_assert!(super::support::close(mean.ln(), found), "{mean} {found}");
            prop_assert!(!is_below(mean, found) && is_below(mean, found + 1e-6) || mean == 0.0);
        }
    }

    #[test]
    fn the_matching_is_a_maximum(
        sources in btree_set(0..60_i64, 0..9), targets in btree_set(0..60_i64, 0..9), start in -3..5_i64, width in 1..12_i64
    ) {
        let (sources, targets): (Vec<i64>, Vec<i64>) = (sources.into_iter().collect(), targets.into_iter().collect());
        let pairs = match_one_to_one(&sources, &targets, start, start + width);
        let fits = |s: usize, t: usize| targets[t] - sources[s] > start && targets[t] - sources[s] <= start + width;
        prop_assert!(pairs.iter().all(|(s, t)| fits(*s, *t)));
        prop_assert_eq!(pairs.iter().map(|pair| pair.1).collect::<BTreeSet<_>>().len(), pairs.len());
        // augmenting paths
        let mut owner: Vec<Option<usize>> = vec![None; targets.len()];
        let mut size = 0;
        for source in 0..sources.len() {
            size += usize::from(augment(source, &fits, &mut owner, &mut vec![false; targets.len()]));
        }
        prop_assert_eq!(pairs.len(), size);
    }

    #[test]
    fn episodes_agree_with_a_pass_over_all_events(steps in vec(vec((0..3usize, 0..900_i64, 0..3u8, any::<bool>()), 1..12), 1..12)) {
        let params = EventParams { episode_cap_ms: HOUR_MS, ..EventParams::default() };
        let mut episodes = Episodes::new(params.clone());
        let mut events: BTreeSet<EventStamp> = BTreeSet::new();
        let mut onsets = BTreeMap::new();
        for step in steps {
            let mut changes = Vec::new();
            for (colony, minute, twin, insert) in step {
                // crowded, so that episodes merge, split and reach their cap
                let at = TimeMs((minute / 3) * MINUTE_MS);
                let event = stamp(["a", "b", "c"][colony], "alert", at, &format!("{minute}-{twin}"));
                if insert && events.insert(event.clone()) {
                    changes.push((event, 1));
                } else if !insert {
                    // retracts existing onsets nearby
                    let near = events.range(event..).next().cloned();
                    if let Some(near) = near {
                        events.remove(&near);
                        changes.push((near, -1));
                    }
                }
            }
            for (onset, diff) in episodes.apply(changes) {
                let count = onsets.entry(onset.clone()).or_insert(0);
                *count += diff;
                if *count == 0 {
                    onsets.remove(&onset);
                }
            }
            let expected: BTreeSet<_> = reference::events::onsets(&events, &params)
                .into_values()
                .flatten()
                .map(|event| (event.key, event.at, event.event_id))
                .collect();
            let found: BTreeSet<_> =
                onsets.keys().map(|onset| (onset.key.clone(), onset.at, onset.event_id.clone())).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert!(onsets.values().all(|count| *count == 1));
        }
    }
}

fn augment(
    source: usize,
    fits: &impl Fn(usize, usize) -> bool,
    owner: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for target in 0..owner.len() {
        if fits(source, target) && !tried[target] {
            tried[target] = true;
            if owner[target].is_none_or(|other| augment(other, fits, owner, tried)) {
                owner[target] = Some(source);
                return true;
            }
        }
    }
    false
}

#[test]
fn an_alarm_that_never_stops_is_an_onset_every_four_hours() {
    let mut episodes = Episodes::new(EventParams::default());
    let storm = |minutes: std::ops::Range<i64>| -> Vec<(EventStamp, i64)> {
        minutes.map(|minute| (stamp("a", "alert", TimeMs(minute * MINUTE_MS), &format!("{minute:04}")), 1)).collect()
    };
    let hours = |onsets: Vec<(crate::events::Onset, i64)>| -> Vec<i64> {
        onsets.iter().map(|(onset, diff)| onset.at.0 / HOUR_MS * diff).collect()
    };
    assert_eq!(hours(episodes.apply(storm(0..600))), [0, 4, 8]);
    // forgetting in the middle of an episode does not move the onsets that follow
    episodes.forget_before(TimeMs(9 * HOUR_MS));
    assert_eq!(hours(episodes.apply(storm(600..1000))), [12, 16]);
    // earlier onsets are ignored
    assert!(episodes.apply(storm(0..10).into_iter().map(|(event, _)| (event, -1)).collect()).is_empty());
}

#[test]
fn of_events_at_the_same_instant_the_smallest_id_begins_the_episode() {
    let mut episodes = Episodes::new(EventParams::default());
    let at = |id: &str| stamp("a", "alert", TimeMs(0), id);
    let ids = |onsets: Vec<(crate::events::Onset, i64)>| -> Vec<(String, i64)> {
        onsets.into_iter().map(|(onset, diff)| (onset.event_id, diff)).collect()
    };
    assert_eq!(ids(episodes.apply(vec![(at("m"), 1)])), [("m".into(), 1)]);
    assert_eq!(ids(episodes.apply(vec![(at("z"), 1)])), []);
    assert_eq!(ids(episodes.apply(vec![(at("a"), 1)])), [("a".into(), 1), ("m".into(), -1)]);
    assert_eq!(ids(episodes.apply(vec![(at("a"), -1), (at("m"), -1)])), [("a".into(), -1), ("z".into(), 1)]);
}

#[test]
fn a_run_that_never_ends_has_the_same_onsets_however_much_of_it_is_known() {
    let params = EventParams::default();
    // every three minutes for ten days, starting off the grid
    let run: Vec<(EventStamp, i64)> = (0..4_800)
        .map(|n| (stamp("a", "alert", TimeMs(77 * MINUTE_MS + n * 3 * MINUTE_MS), &format!("{n:05}")), 1))
        .collect();
    let whole = Episodes::new(params.clone()).apply(run.clone());
    assert!(whole.len() > 50, "an onset every four hours: {}", whole.len());
    for from in [1, 1_234, 3_000] {
        let known = Episodes::new(params.clone()).apply(run[from..].to_vec());
        // the start of the known past looks like the start of a run; two caps later this has no effect
        let settled = run[from].0.at + 2 * params.episode_cap_ms;
        let after = |onsets: &[(crate::events::Onset, i64)]| -> Vec<TimeMs> {
            onsets.iter().map(|(onset, _)| onset.at).filter(|at| *at >= settled).collect()
        };
        assert_eq!(after(&known), after(&whole));
    }
}
