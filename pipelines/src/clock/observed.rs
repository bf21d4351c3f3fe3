//! Observed: up to when all events of live colonies have been read, so that time passes where no row comes.
//!
//! A colony that was read up to a time counts up to then, less the allowed lateness, in steps of the interval at which
//! the current instant moves. Time passes up to the colony that is furthest behind: a target of one that cannot be
//! reached is not counted as missing. A colony that was never read to its end, or is not configured any more, holds up no
//! other: one that can never be reached would hold up all others. What a removed one has said stays known.
//!
//! Only time that the reef has lived through counts. What a colony held long before it was first read is an import, and
//! ends with its newest row, as in a file.

use model::time::TimeMs;
use operators::events::EventParams;
use operators::heard::Heard;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The time in which a colony was read. The stored form is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Observed {
    /// When it was first read to its end.
    since: TimeMs,
    /// Up to when all of its events are known.
    until: TimeMs,
    /// Whether it was not configured any more when the last run began; until it is read again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_removed: bool,
}

impl Observed {
    /// Whether it was read in the time before `limit`.
    fn counts(self, limit: TimeMs) -> bool {
        self.since <= limit
    }
}

/// The live colonies that were read to their end.
#[derive(Clone, Debug)]
pub(super) struct ObservedColonies {
    step_ms: i64,
    lateness_ms: i64,
    by_colony: BTreeMap<String, Observed>,
    /// What [`take_heard`](ObservedColonies::take_heard) has returned so far.
    told: BTreeMap<String, TimeMs>,
}

impl ObservedColonies {
    /// None yet.
    pub(super) fn new(params: &EventParams) -> ObservedColonies {
        ObservedColonies {
            step_ms: params.interval_ms.max(1),
            lateness_ms: params.lateness_ms,
            by_colony: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_colony.is_empty()
    }

    /// All events of a colony up to `read_to` have been read.
    pub(super) fn note(&mut self, colony_id: &str, read_to: TimeMs) {
        let until = (read_to - self.lateness_ms).floor_to(self.step_ms);
        self.add(colony_id, Observed { since: until, until, is_removed: false });
    }

    fn add(&mut self, colony_id: &str, observed: Observed) {
        let known = self.by_colony.entry(colony_id.to_owned()).or_insert(observed);
        known.until = known.until.max(observed.until);
        known.is_removed &= observed.is_removed;
    }

    /// Up to when all colonies that count before `limit` were read; `limit` at most, and `None` without any. Where all of them
    /// are removed, time stays where the last one has left it.
    pub(super) fn reached(&self, limit: TimeMs) -> Option<TimeMs> {
        let counted = || self.by_colony.values().filter(move |observed| observed.counts(limit));
        let read = counted().filter(|observed| !observed.is_removed).map(|observed| observed.until).min();
        Some(read.or_else(|| counted().map(|observed| observed.until).max())?.min(limit))
    }

    /// Up to when a colony was read, if it counts before `limit`.
    pub(super) fn heard_to(&self, colony_id: &str, limit: TimeMs) -> Option<TimeMs> {
        self.by_colony.get(colony_id).filter(|observed| observed.counts(limit)).map(|observed| observed.until)
    }

    /// Which of them were read further than when this was last asked: they were heard of, also if nothing came.
    pub(super) fn take_heard(&mut self, limit: TimeMs) -> Vec<Heard> {
        let mut heard = Vec::new();
        for (colony_id, observed) in self.by_colony.iter().filter(|(_, observed)| observed.counts(limit)) {
            if self.told.get(colony_id).is_none_or(|told| *told < observed.until) {
                self.told.insert(colony_id.clone(), observed.until);
                heard.push(Heard::of(colony_id, observed.until));
            }
        }
        heard
    }

    /// Notes which of them are not configured any more. One that is configured again counts once it is read: time does not
    /// pass backwards.
    pub(super) fn remove_unless(&mut self, is_configured: impl Fn(&str) -> bool) {
        for (colony_id, observed) in &mut self.by_colony {
            observed.is_removed |= !is_configured(colony_id);
        }
    }

    /// The form that is committed.
    pub(super) fn text(&self) -> String {
        serde_json::json!(self.by_colony).to_string()
    }

    /// Adds what was committed, as it was known at `limit`.
    pub(super) fn read(&mut self, text: &str, limit: TimeMs) {
        let Ok(read) = serde_json::from_str::<BTreeMap<String, Observed>>(text) else { return };
        for (colony_id, observed) in read.into_iter().filter(|(_, observed)| observed.since <= limit) {
            self.add(&colony_id, Observed { until: observed.until.min(limit), ..observed });
        }
    }
}
