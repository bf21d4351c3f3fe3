//! Bursts of events become onsets: one per episode (methods, section 2.2, step 0).
//!
//! Per event type, in order of time: an event is an onset if the previous *event* is at least the burst gap away. A run
//! of events without such a gap that is longer than the cap has further onsets: the first event in each cell of a fixed
//! grid with the cap as step. Because the grid is fixed, a run that never ends has the same onsets for any known part
//! of its past, and a restart that reads a bounded past changes nothing.

use crate::counts::Counts;
use crate::events::params::EventParams;
use model::event::EventTypeKey;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What correlating needs of a deduplicated event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventStamp {
    /// Colony, service, type.
    pub key: EventTypeKey,
    /// When it happened.
    pub at: TimeMs,
    /// Unique within the colony.
    pub event_id: String,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony; may be empty.
    pub environment: String,
}

/// The first event of an episode. Of several at the same instant it is the one with the smallest id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Onset {
    /// Colony, service, type.
    pub key: EventTypeKey,
    /// When the episode began.
    pub at: TimeMs,
    /// The event that began it.
    pub event_id: String,
    /// Application of the colony.
    pub application_name: String,
    /// Environment of the colony; may be empty.
    pub environment: String,
}

/// The texts of an event, ordered so that the smallest id comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Texts {
    event_id: String,
    application_name: String,
    environment: String,
}

/// Events and onsets of one type.
#[derive(Clone, Debug, Default)]
struct TypeState {
    /// Events by time, with insertions minus retractions.
    events: BTreeMap<TimeMs, Counts<Texts>>,
    onsets: BTreeMap<TimeMs, Begin>,
}

/// The begin of an episode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Begin {
    texts: Texts,
    /// No gap before it: its run has reached the cap.
    run_on: bool,
}

/// Keeps the onsets of all event types up to date.
///
/// ```
/// use coral_operators::events::{EventParams, EventStamp, Episodes};
/// use model::{event::EventTypeKey, time::TimeMs};
/// let stamp = |minute: i64| EventStamp {
///     key: EventTypeKey { colony_id: "shop".into(), service_id: "cart".into(), event_type: "alert".into() },
///     at: TimeMs(minute * 60_000),
///     event_id: format!("e{minute}"),
///     application_name: "shop".into(),
///     environment: String::new(),
/// };
/// let mut episodes = Episodes::new(EventParams::default());
/// // 0 and 8 are more than five minutes apart …
/// let onsets = episodes.apply(vec![(stamp(0), 1), (stamp(8), 1)]);
/// assert_eq!(onsets.iter().map(|(onset, diff)| (onset.at.0 / 60_000, *diff)).collect::<Vec<_>>(), [(0, 1), (8, 1)]);
/// // … until a late event closes the gap
/// let onsets = episodes.apply(vec![(stamp(4), 1)]);
/// assert_eq!(onsets.iter().map(|(onset, diff)| (onset.at.0 / 60_000, *diff)).collect::<Vec<_>>(), [(8, -1)]);
/// ```
#[derive(Clone, Debug)]
pub struct Episodes {
    params: EventParams,
    types: BTreeMap<EventTypeKey, TypeState>,
    forgotten_before: TimeMs,
}

impl Episodes {
    /// Without events.
    pub fn new(params: EventParams) -> Episodes {
        Episodes { params, types: BTreeMap::new(), forgotten_before: TimeMs(i64::MIN) }
    }

    /// Applies changes of events and returns the changes of onsets, sorted.
    pub fn apply(&mut self, mut changes: Vec<(EventStamp, i64)>) -> Vec<(Onset, i64)> {
        changes.retain(|(stamp, _)| stamp.at >= self.forgotten_before);
        // those of a tick are sorted already: one type after the other, each by time
        changes.sort_unstable();
        let mut changes = changes.into_iter().peekable();
        let mut onsets = Vec::new();
        while let Some((EventStamp { key, at, event_id, application_name, environment }, diff)) = changes.next() {
            let mut state = self.types.remove(&key).unwrap_or_default();
            let mut times = vec![at];
            state.change(at, Texts { event_id, application_name, environment }, diff);
            while let Some((stamp, diff)) = changes.next_if(|(stamp, _)| stamp.key == key) {
                let EventStamp { at, event_id, application_name, environment, .. } = stamp;
                times.push(at);
                state.change(at, Texts { event_id, application_name, environment }, diff);
            }
            times.dedup();
            for at in &times {
                if state.events.get(at).is_some_and(Counts::is_empty) {
                    state.events.remove(at);
                }
            }
            for (at, texts, diff) in state.refresh(&times, &self.params) {
                let Texts { event_id, application_name, environment } = texts;
                onsets.push((Onset { key: key.clone(), at, event_id, application_name, environment }, diff));
            }
            if !state.events.is_empty() {
                self.types.insert(key, state);
            }
        }
        onsets.sort_unstable();
        onsets
    }

    /// Drops events before `limit`. Nothing is retracted, and later changes before it are ignored.
    ///
    /// An episode that spans the limit is kept from its onset on, so that the onsets after it stay the same.
    pub fn forget_before(&mut self, limit: TimeMs) {
        if limit <= self.forgotten_before {
            return;
        }
        self.forgotten_before = limit;
        let burst_gap_ms = self.params.burst_gap_ms;
        self.types.retain(|_, state| {
            let keep_from = state.onsets.range(..limit).next_back().map_or(limit, |(at, _)| *at);
            state.events = state.events.split_off(&keep_from);
            state.onsets = state.onsets.split_off(&keep_from);
            state.events.last_key_value().is_some_and(|(at, _)| *at + burst_gap_ms > limit)
        });
    }
}

impl TypeState {
    fn change(&mut self, at: TimeMs, texts: Texts, diff: i64) {
        self.events.entry(at).or_default().change(texts, diff);
    }

    /// Recomputes the onsets around the changed `times` (rising) and returns what changed.
    fn refresh(&mut self, times: &[TimeMs], params: &EventParams) -> Vec<(TimeMs, Texts, i64)> {
        let mut changes = Vec::new();
        let mut next = 0;
        while next < times.len() {
            // an onset before the change still begins its episode
            let begin = self.onsets.range(..times[next]).next_back().map_or(times[next], |(at, _)| *at);
            let (end, fresh) = self.walk(begin, &times[next..], params);
            let stale: Vec<TimeMs> = match end {
                Some(end) => self.onsets.range(begin..end),
                None => self.onsets.range(begin..),
            }
            .map(|(at, _)| *at)
            .collect();
            for at in stale {
                if let Some(begin) = self.onsets.remove(&at) {
                    changes.push((at, begin.texts, -1));
                }
            }
            for (at, begin) in fresh {
                changes.push((at, begin.texts.clone(), 1));
                self.onsets.insert(at, begin);
            }
            next = end.map_or(times.len(), |end| times.partition_point(|at| *at < end));
        }
        cancel(changes)
    }

    /// Onsets from `begin` up to the first unchanged one without changes after it in this stretch. Returns that end
    /// (`None`: to the last event) and the onsets before it.
    fn walk(&self, begin: TimeMs, changed: &[TimeMs], params: &EventParams) -> (Option<TimeMs>, Vec<(TimeMs, Begin)>) {
        let cap_ms = params.episode_cap_ms.max(1);
        let mut fresh: Vec<(TimeMs, Begin)> = Vec::new();
        let mut previous: Option<TimeMs> = None;
        // where the run without gaps began; of a run that has lasted to the cap no more than that matters
        let begin_runs_on = self.onsets.get(&begin).is_some_and(|onset| onset.run_on);
        let mut run_from = if begin_runs_on { begin - cap_ms } else { begin };
        let mut passed = 0;
        for (&at, same_time) in self.events.range(begin..) {
            while passed < changed.len() && changed[passed] < at {
                passed += 1;
            }
            let joined = match previous {
                Some(previous) => at - previous < params.burst_gap_ms,
                None => begin_runs_on && at == begin,
            };
            let run_on = joined
                && previous
                    .is_none_or(|previous| at - run_from >= cap_ms && at.floor_to(cap_ms) != previous.floor_to(cap_ms));
            previous = Some(at);
            if joined && !run_on {
                continue;
            }
            if !joined {
                run_from = at;
            }
            // what follows an onset depends on the past only by whether its run has reached the cap
            let unchanged_here = changed.get(passed).is_none_or(|change| *change != at);
            let is_as_before = self.onsets.get(&at).is_some_and(|onset| onset.run_on == run_on);
            if passed > 0 && unchanged_here && is_as_before {
                return (Some(at), fresh);
            }
            if let Some(texts) = same_time.first() {
                fresh.push((at, Begin { texts: texts.clone(), run_on }));
            }
        }
        (None, fresh)
    }
}

/// Cancels equal removals and insertions.
fn cancel(mut changes: Vec<(TimeMs, Texts, i64)>) -> Vec<(TimeMs, Texts, i64)> {
    changes.sort_unstable();
    let mut net: Vec<(TimeMs, Texts, i64)> = Vec::new();
    for (at, texts, diff) in changes {
        match net.last_mut() {
            Some(last) if last.0 == at && last.1 == texts => last.2 += diff,
            _ => net.push((at, texts, diff)),
        }
    }
    net.retain(|change| change.2 != 0);
    net
}
