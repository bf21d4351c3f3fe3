//! Which stored events are amended or withdrawn, and of which of them the engine may have forgotten the stored copy.
//!
//! An older copy of such an event must not count. The engine sees to that while it has the newer one, which is as long as
//! that is within the look-back. After that the store is queried, which waits for the commit in progress: so only for
//! events that need it.

use model::event::Event;
use model::time::TimeMs;
use sinks::AmendedEvent;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Most events that are known one by one, some 150 bytes each. With more the store is queried for all.
pub(crate) const KNOWN_MAX: usize = 100_000;

/// The amended and withdrawn events of a store, while it is written by one run.
#[derive(Debug)]
pub(crate) struct Amended {
    /// By colony and id: the newest time of a copy that the engine was fed, with which it has all stored copies. `None` for
    /// an event of which it was fed no copy that is stored. Nothing at all when there are too many.
    known: Option<HashMap<String, HashMap<String, Option<TimeMs>>>>,
    count: usize,
    /// The engine may have forgotten what is older.
    forgotten_before: Option<TimeMs>,
    keep_ms: i64,
}

impl Amended {
    /// Those that a store lists. The engine was fed events up to `keep_ms` before `now`, and keeps events for so long.
    pub(crate) fn of_store(listed: Option<Vec<AmendedEvent>>, now: Option<TimeMs>, keep_ms: i64) -> Amended {
        let forgotten_before = now.map(|now| now - keep_ms);
        let mut amended = Amended { known: Some(HashMap::new()), count: 0, forgotten_before, keep_ms };
        match listed {
            Some(events) => {
                for AmendedEvent { colony_id, event_id, timestamp } in events {
                    let is_fed = forgotten_before.is_some_and(|limit| timestamp >= limit);
                    amended.set(&colony_id, &event_id, is_fed.then_some(timestamp));
                }
            }
            None => amended.known = None,
        }
        amended
    }

    /// The engine evaluates with this as now for events, and forgets what is older than its look-back.
    pub(crate) fn evaluates(&mut self, now: TimeMs) {
        self.forgotten_before = self.forgotten_before.max(Some(now - self.keep_ms));
    }

    /// The engine was fed these events, which are on time, and their stored newer copies.
    pub(crate) fn note(&mut self, events: &[Event]) {
        for event in events.iter().filter(|event| event.is_amended()) {
            self.set(&event.colony_id, &event.event_id, Some(event.timestamp));
        }
    }

    /// Those of `events` of which a newer copy may be stored that the engine does not have.
    pub(crate) fn may_be_forgotten<'a>(&self, events: &'a [Event]) -> Cow<'a, [Event]> {
        match &self.known {
            None => Cow::Borrowed(events),
            Some(known) if known.is_empty() => Cow::Borrowed(&[]),
            Some(_) => Cow::Owned(events.iter().filter(|event| self.is_forgotten(event)).cloned().collect()),
        }
    }

    fn is_forgotten(&self, event: &Event) -> bool {
        let known = self.known.as_ref().and_then(|known| known.get(&event.colony_id)?.get(&event.event_id));
        known.is_some_and(|fed| fed.is_none() || *fed < self.forgotten_before)
    }

    fn set(&mut self, colony_id: &str, event_id: &str, fed: Option<TimeMs>) {
        let Some(known) = &mut self.known else { return };
        let event = known.entry(colony_id.to_owned()).or_default().entry(event_id.to_owned());
        self.count += usize::from(matches!(event, Entry::Vacant(_)));
        let newest = event.or_default();
        *newest = (*newest).max(fed);
        if self.count > KNOWN_MAX {
            self.known = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::DAY_MS;

    const KEEP_MS: i64 = 10 * DAY_MS;

    fn day(day: i64) -> TimeMs {
        TimeMs(day * DAY_MS)
    }

    fn event(id: &str, version: u64, at: TimeMs) -> Event {
        Event { version, ..fixtures::event("shop", id, at) }
    }

    fn listed(id: &str, at: TimeMs) -> AmendedEvent {
        AmendedEvent { colony_id: "shop".to_owned(), event_id: id.to_owned(), timestamp: at }
    }

    fn asked(amended: &Amended, events: &[Event]) -> Vec<String> {
        amended.may_be_forgotten(events).iter().map(|event| event.event_id.clone()).collect()
    }

    #[test]
    fn the_store_is_queried_for_what_the_engine_has_forgotten() {
        let stored = vec![listed("old", day(80)), listed("recent", day(95))];
        let mut amended = Amended::of_store(Some(stored), Some(day(100)), KEEP_MS);
        let copies = ["new", "old", "recent", "plain"].map(|id| event(id, 0, day(100)));
        assert_eq!(asked(&amended, &copies), ["old"], "the others are not stored, or within the look-back");
        // the query is followed by a copy on time, with which the engine was fed the stored one
        amended.note(&[event("old", 1, day(100)), event("new", 3, day(99)), event("plain", 0, day(100))]);
        assert!(asked(&amended, &copies).is_empty());
        amended.evaluates(day(106));
        assert_eq!(asked(&amended, &copies), ["recent"]);
        amended.evaluates(day(101));
        assert_eq!(asked(&amended, &copies), ["recent"], "nothing is remembered again when now goes back");
        amended.evaluates(day(111));
        assert_eq!(asked(&amended, &copies), ["new", "old", "recent"], "events without versions have no newer copy");
    }

    #[test]
    fn without_a_list_or_a_time_the_store_is_queried() {
        let copies = [event("a", 0, day(100)), event("b", 0, day(100))];
        assert_eq!(asked(&Amended::of_store(None, Some(day(100)), KEEP_MS), &copies), ["a", "b"]);
        let mut amended = Amended::of_store(Some(vec![listed("a", day(100))]), None, KEEP_MS);
        assert_eq!(asked(&amended, &copies), ["a"], "nothing was fed again");
        for number in 0..KNOWN_MAX {
            amended.note(&[event(&format!("n{number}"), 1, day(100))]);
        }
        assert_eq!(asked(&amended, &copies), ["a", "b"], "too many to know one by one");
    }
}
