//! Dedupe: of all rows with one event's identity, keeps the newest version; a repeat changes nothing.

use crate::events::EventStamp;
use crate::ext::Change;
use model::event::Event;
use model::time::TimeMs;
use std::collections::BTreeMap;

/// Holds the versions of each event, by `(colony_id, event_id)`.
///
/// The greatest `(version, content)` that is present wins, so the result is a function of the set of rows. A version
/// that is taken back restores the next one.
///
/// ```
/// use coral_operators::dedupe::Dedupe;
/// use model::{event::{Event, Severity}, time::TimeMs};
/// let event = |version| Event {
///     colony_id: "shop-staging".into(), event_id: "e1".into(), version,
///     application_name: "shop".into(), environment: "staging".into(), timestamp: TimeMs(7 + version as i64),
///     event_type: "deploy".into(), service_id: "api".into(), severity: Severity::Info,
///     description: String::new(), metadata: Default::default(),
/// };
/// let mut dedupe = Dedupe::default();
/// assert_eq!(dedupe.apply(vec![(event(0), 1)]).len(), 1);
/// assert_eq!(dedupe.apply(vec![(event(0), 1)]).len(), 0, "a repeat");
/// assert_eq!(dedupe.apply(vec![(event(1), 1)]).len(), 2, "the old version goes, the new one comes");
/// ```
#[derive(Debug, Default)]
pub struct Dedupe {
    versions: BTreeMap<(String, String), BTreeMap<(u64, EventStamp), i64>>,
}

impl Dedupe {
    /// Applies the rows of one tick and returns what changed among the winners.
    pub fn apply(&mut self, changes: Vec<Change<Event>>) -> Vec<Change<EventStamp>> {
        let mut touched: BTreeMap<(String, String), Option<EventStamp>> = BTreeMap::new();
        for (event, diff) in changes {
            let identity = (event.colony_id.clone(), event.event_id.clone());
            let versions = self.versions.entry(identity.clone()).or_default();
            touched.entry(identity).or_insert_with(|| winner(versions));
            let version = (event.version, stamp(event));
            let count = versions.entry(version.clone()).or_insert(0);
            *count += diff;
            if *count == 0 {
                versions.remove(&version);
            }
        }
        let mut corrections = Vec::new();
        for (identity, before) in touched {
            let after = self.versions.get(&identity).and_then(winner);
            if before != after {
                corrections.extend(before.map(|stamp| (stamp, -1)));
                corrections.extend(after.map(|stamp| (stamp, 1)));
            }
            if self.versions.get(&identity).is_some_and(BTreeMap::is_empty) {
                self.versions.remove(&identity);
            }
        }
        corrections
    }

    /// Forgets events whose every version happened before `horizon`: they can no longer change a result.
    pub fn forget_before(&mut self, horizon: TimeMs) {
        self.versions.retain(|_, versions| versions.keys().any(|(_, stamp)| stamp.at >= horizon));
    }
}

/// The greatest version that is present (a row taken back before it came counts below zero).
fn winner(versions: &BTreeMap<(u64, EventStamp), i64>) -> Option<EventStamp> {
    versions.iter().rev().find(|(_, count)| **count > 0).map(|((_, stamp), _)| stamp.clone())
}

/// What correlating needs of an event.
fn stamp(event: Event) -> EventStamp {
    EventStamp {
        key: event.type_key(),
        at: event.timestamp,
        event_id: event.event_id,
        application_name: event.application_name,
        environment: event.environment,
    }
}
