//! Dedupe: keeps the newest version of each event. A repeat changes nothing, and a withdrawn event is absent.

use crate::counts::Counts;
use crate::events::EventStamp;
use crate::events::levels::service_of;
use crate::ext::Change;
use model::event::{Event, EventTypeKey};
use model::time::TimeMs;
use std::collections::BTreeMap;

/// Holds the versions of each event, by `(colony_id, event_id)`.
///
/// The greatest `(version, content)` that is present wins, so the result is a function of the set of rows. Retracting a
/// version restores the next one. If the winner is withdrawn, there is no stamp.
///
/// ```
/// use coral_operators::dedupe::Dedupe;
/// use model::{event::{Event, Severity}, time::TimeMs};
/// let event = |version| Event {
///     colony_id: "shop-staging".into(), event_id: "e1".into(), version, withdrawn: false,
///     application_name: "shop".into(), environment: "staging".into(), timestamp: TimeMs(7 + version as i64),
///     event_type: "deploy".into(), service_id: "api".into(), severity: Severity::Info,
///     description: String::new(), metadata: Default::default(),
/// };
/// let mut dedupe = Dedupe::default();
/// assert_eq!(dedupe.apply(vec![(event(0), 1)]).len(), 1);
/// assert_eq!(dedupe.apply(vec![(event(0), 1)]).len(), 0, "a repeat");
/// assert_eq!(dedupe.apply(vec![(event(1), 1)]).len(), 2, "the old version goes, the new one comes");
/// let taken_back = Event { withdrawn: true, ..event(1) };
/// assert_eq!(dedupe.apply(vec![(taken_back, 1)]).len(), 1, "it goes, and nothing comes");
/// assert_eq!(dedupe.apply(vec![(event(0), 1)]).len(), 0, "an older copy does not rise again");
/// ```
#[derive(Debug, Default)]
pub struct Dedupe {
    versions: BTreeMap<(String, String), Counts<Version>>,
}

impl Dedupe {
    /// Applies the rows of one tick and returns what changed among the winners.
    pub fn apply(&mut self, changes: Vec<Change<Event>>) -> Vec<Change<EventStamp>> {
        let mut touched: BTreeMap<(String, String), Option<EventStamp>> = BTreeMap::new();
        for (event, diff) in changes {
            let identity = (event.colony_id.clone(), event.event_id.clone());
            let versions = self.versions.entry(identity.clone()).or_default();
            touched.entry(identity).or_insert_with_key(|identity| winner(identity, versions));
            versions.change(Version::of(event), diff);
        }
        let mut corrections = Vec::new();
        for (identity, before) in touched {
            let after = self.versions.get(&identity).and_then(|versions| winner(&identity, versions));
            if before != after {
                corrections.extend(before.map(|stamp| (stamp, -1)));
                corrections.extend(after.map(|stamp| (stamp, 1)));
            }
            if self.versions.get(&identity).is_some_and(Counts::is_empty) {
                self.versions.remove(&identity);
            }
        }
        corrections
    }

    /// Forgets events whose every version happened before `horizon`: they can no longer change a result.
    pub fn forget_before(&mut self, horizon: TimeMs) {
        self.versions.retain(|_, versions| versions.iter().any(|(version, _)| version.at >= horizon));
    }
}

/// The fields that distinguish versions of an event and matter to correlation, in the order of [`Event`]: like the
/// store, this operator keeps the greatest row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    version: u64,
    withdrawn: bool,
    application_name: String,
    environment: String,
    at: TimeMs,
    event_type: String,
    service_id: String,
}

impl Version {
    fn of(event: Event) -> Version {
        Version {
            version: event.version,
            withdrawn: event.withdrawn,
            application_name: event.application_name,
            environment: event.environment,
            at: event.timestamp,
            event_type: event.event_type,
            service_id: event.service_id,
        }
    }
}

/// The greatest version that is present, unless it is withdrawn. A version retracted before it arrived has a negative
/// count.
fn winner((colony_id, event_id): &(String, String), versions: &Counts<Version>) -> Option<EventStamp> {
    let (version, _) = versions.iter().rev().find(|(_, count)| *count > 0)?;
    if version.withdrawn {
        return None;
    }
    Some(EventStamp {
        key: EventTypeKey {
            colony_id: colony_id.clone(),
            service_id: service_of(&version.service_id),
            event_type: version.event_type.clone(),
        },
        at: version.at,
        event_id: event_id.clone(),
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
        let changes = Dedupe::default().apply(vec![(named, 1)]);
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
                for (stamp, diff) in dedupe.apply(tick.to_vec()) {
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
