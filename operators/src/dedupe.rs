//! Dedupe: keeps the newest version of each event. A repeat changes nothing, and a withdrawn event is absent.

use crate::counts::Counts;
use crate::events::EventStamp;
use crate::events::levels::service_of;
use crate::ext::Change;
use model::event::{Event, EventTypeKey};
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What patterns need of one copy of an event. Texts and metadata, most of its memory, are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventCopy {
    identity: Identity,
    version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Identity {
    colony_id: String,
    event_id: String,
}

/// The fields that distinguish versions of an event and matter to correlation, in the order of [`Event`]: like the
/// store, this operator keeps the greatest row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Version {
    version: u64,
    withdrawn: bool,
    application_name: String,
    environment: String,
    at: TimeMs,
    event_type: String,
    service_id: String,
}

impl EventCopy {
    /// The copy that `event` is.
    pub fn of(event: &Event) -> EventCopy {
        let identity = Identity { colony_id: event.colony_id.clone(), event_id: event.event_id.clone() };
        let version = Version {
            version: event.version,
            withdrawn: event.withdrawn,
            application_name: event.application_name.clone(),
            environment: event.environment.clone(),
            at: event.timestamp,
            event_type: event.event_type.clone(),
            service_id: event.service_id.clone(),
        };
        EventCopy { identity, version }
    }

    /// Colony and id: copies with the same belong together.
    pub fn identity(&self) -> [&str; 2] {
        [&self.identity.colony_id, &self.identity.event_id]
    }
}

/// Holds the versions of each event, by `(colony_id, event_id)`.
///
/// The greatest `(version, content)` that is present wins, so the result is a function of the set of rows. Retracting a
/// version restores the next one. If the winner is withdrawn, there is no stamp.
///
/// ```
/// use coral_operators::dedupe::{Dedupe, EventCopy};
/// use model::{event::{Event, Severity}, time::TimeMs};
/// let event = |version| Event {
///     colony_id: "shop-staging".into(), event_id: "e1".into(), version, withdrawn: false,
///     application_name: "shop".into(), environment: "staging".into(), timestamp: TimeMs(7 + version as i64),
///     event_type: "deploy".into(), service_id: "api".into(), severity: Severity::Info,
///     description: String::new(), metadata: Default::default(),
/// };
/// let mut dedupe = Dedupe::default();
/// let mut corrections = |event: &Event| dedupe.apply(vec![(EventCopy::of(event), 1)]).len();
/// assert_eq!(corrections(&event(0)), 1);
/// assert_eq!(corrections(&event(0)), 0, "a repeat");
/// assert_eq!(corrections(&event(1)), 2, "the old version goes, the new one comes");
/// assert_eq!(corrections(&Event { withdrawn: true, ..event(1) }), 1, "it goes, and nothing comes");
/// assert_eq!(corrections(&event(0)), 0, "an older copy does not rise again");
/// ```
#[derive(Debug, Default)]
pub struct Dedupe {
    versions: BTreeMap<Identity, Counts<Version>>,
    forgotten_before: Option<TimeMs>,
}

impl Dedupe {
    /// Applies the rows of one tick and returns what changed among the winners.
    pub fn apply(&mut self, mut changes: Vec<Change<EventCopy>>) -> Vec<Change<EventStamp>> {
        // those of a tick are sorted already: copies of an event follow one another
        changes.sort_unstable();
        let mut changes = changes.into_iter().peekable();
        let mut corrections = Vec::new();
        while let Some((EventCopy { identity, version }, diff)) = changes.next() {
            let mut versions = self.versions.remove(&identity).unwrap_or_default();
            let before = winner(&identity, &versions);
            versions.change(version, diff);
            while let Some((copy, diff)) = changes.next_if(|(copy, _)| copy.identity == identity) {
                versions.change(copy.version, diff);
            }
            let after = winner(&identity, &versions);
            if before != after {
                corrections.extend(before.map(|stamp| (stamp, -1)));
                corrections.extend(after.map(|stamp| (stamp, 1)));
            }
            if !versions.is_empty() {
                self.versions.insert(identity, versions);
            }
        }
        corrections
    }

    /// Forgets events whose every version happened before `horizon`: they can no longer change a result.
    pub fn forget_before(&mut self, horizon: TimeMs) {
        if self.forgotten_before >= Some(horizon) {
            return;
        }
        self.forgotten_before = Some(horizon);
        self.versions.retain(|_, versions| versions.iter().any(|(version, _)| version.at >= horizon));
    }
}

/// The greatest version that is present, unless it is withdrawn. A version retracted before it arrived has a negative
/// count.
fn winner(identity: &Identity, versions: &Counts<Version>) -> Option<EventStamp> {
    let (version, _) = versions.iter().rev().find(|(_, count)| *count > 0)?;
    if version.withdrawn {
        return None;
    }
    Some(EventStamp {
        key: EventTypeKey {
            colony_id: identity.colony_id.clone(),
            service_id: service_of(&version.service_id),
            event_type: version.event_type.clone(),
        },
        at: version.at,
        event_id: identity.event_id.clone(),
        application_name: version.application_name.clone(),
        environment: version.environment.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(id: u8, version: u64, withdrawn: bool, minute: i64) -> Event {
        Event {
            version,
            withdrawn,
            event_type: "alert".to_owned(),
            ..fixtures::event("shop-production", &format!("e{id}"), TimeMs(minute * 60_000))
        }
    }

    /// From scratch: the greatest event of each identity that was inserted more often than retracted.
    fn oracle(changes: &[Change<Event>]) -> BTreeMap<String, TimeMs> {
        let mut counts: BTreeMap<Event, i64> = BTreeMap::new();
        for (event, diff) in changes {
            *counts.entry(event.clone()).or_default() += diff;
        }
        // sorted by identity, then version and content: the last one present wins
        let present = counts.into_iter().filter(|(_, count)| *count > 0);
        let last: BTreeMap<String, Event> = present.map(|(event, _)| (event.event_id.clone(), event)).collect();
        let live = last.into_iter().filter(|(_, event)| !event.withdrawn);
        live.map(|(event_id, event)| (event_id, event.timestamp)).collect()
    }

    #[test]
    fn a_service_that_is_called_as_any_service_is_none_of_them() {
        use crate::events::levels::{is_general, on_both_levels};
        let named = Event { service_id: "*".to_owned(), ..event(1, 0, false, 5) };
        let changes = Dedupe::default().apply(vec![(EventCopy::of(&named), 1)]);
        let [own, whole] = on_both_levels(changes[0].0.clone());
        assert!(!is_general(&own.key) && is_general(&whole.key), "{:?}", own.key);
    }

    proptest! {
        #[test]
        fn winners_are_a_function_of_the_set(
            rows in prop::collection::vec((0_u8..4, 0_u64..3, any::<bool>(), 0_i64..5, prop::sample::select(vec![1_i64, 1, 1, -1])), 0..40),
            tick_rows in 1_usize..10,
        ) {
            let changes: Vec<Change<Event>> = rows
                .into_iter()
                .map(|(id, version, withdrawn, minute, diff)| (event(id, version, withdrawn, minute), diff))
                .collect();
            let mut dedupe = Dedupe::default();
            let mut winners: BTreeMap<EventStamp, i64> = BTreeMap::new();
            for tick in changes.chunks(tick_rows) {
                let copies = tick.iter().map(|(event, diff)| (EventCopy::of(event), *diff)).collect();
                for (stamp, diff) in dedupe.apply(copies) {
                    *winners.entry(stamp).or_default() += diff;
                }
            }
            winners.retain(|_, count| *count != 0);
            prop_assert!(winners.values().all(|count| *count == 1));
            let winners: BTreeMap<String, TimeMs> = winners.into_keys().map(|stamp| (stamp.event_id, stamp.at)).collect();
            prop_assert_eq!(winners, oracle(&changes));
        }
    }
}
