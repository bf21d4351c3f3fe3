//! Evaluated: the event times that the stored patterns are as of, committed with them.

use model::position::Positions;
use model::time::TimeMs;
use operators::dataflow::Evaluate;
pub use sinks::EVALUATED_NAME;
use std::collections::BTreeMap;

/// The part of derived events.
pub(crate) const DERIVED_EVENTS: &str = "derived_events";

/// As of when the patterns of the next commit hold.
#[derive(Debug, Default)]
pub(crate) struct Evaluated {
    committed: Positions,
    moved: Positions,
}

impl Evaluated {
    /// As an earlier run has left it.
    pub(crate) fn of_store(positions: &BTreeMap<String, Positions>) -> Evaluated {
        Evaluated { committed: positions.get(EVALUATED_NAME).cloned().unwrap_or_default(), moved: Positions::default() }
    }

    /// As of when a part of the results is: `events`, `metrics`, or `derived_events`.
    pub(crate) fn at(&self, part: &str) -> Option<TimeMs> {
        TimeMs::parse_rfc3339(self.committed.0.get(part)?)
    }

    /// Another part of the state.
    pub(crate) fn text(&self, part: &str) -> Option<&str> {
        self.committed.0.get(part).map(String::as_str)
    }

    /// Sets another part of the state.
    pub(crate) fn set(&mut self, part: &str, text: String) {
        self.moved.0.insert(part.to_owned(), text);
    }

    /// An evaluation has ended, of derived events too if they are looked for.
    pub(crate) fn note(&mut self, order: Evaluate, derives: bool) {
        let derived = order.metrics_now.filter(|_| derives);
        for (part, now) in [("events", order.events_now), ("metrics", order.metrics_now), (DERIVED_EVENTS, derived)] {
            let Some(now) = now else { continue };
            self.moved.0.insert(part.to_owned(), now.to_string());
        }
    }

    /// What has changed since it was last taken, to be committed with the patterns.
    pub(crate) fn take_moved(&mut self) -> Positions {
        let mut moved = std::mem::take(&mut self.moved);
        moved.0.retain(|part, time| self.committed.0.get(part) != Some(time));
        self.committed.advance(moved.clone());
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_moved_is_committed() {
        let mut evaluated = Evaluated::of_store(&BTreeMap::new());
        assert_eq!(evaluated.take_moved(), Positions::default());
        let order = Evaluate { events_now: Some(TimeMs(1_700_000_000_000)), metrics_now: None };
        evaluated.note(order, false);
        let moved = evaluated.take_moved();
        assert_eq!(moved.0, BTreeMap::from([("events".to_owned(), "2023-11-14T22:13:20.000Z".to_owned())]));
        evaluated.note(order, false);
        assert_eq!(evaluated.take_moved(), Positions::default());
        let mut resumed = Evaluated::of_store(&BTreeMap::from([(EVALUATED_NAME.to_owned(), moved)]));
        resumed.note(order, false);
        assert_eq!(resumed.take_moved(), Positions::default(), "a run that finds nothing new writes nothing");
    }
}
