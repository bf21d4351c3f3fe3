//! The operator: derived events of a type that their service does not report itself go to patterns.
//!
//! A service that sends such events has its own thresholds. Beside them derived ones would be a second onset of the same
//! incident some minutes apart, and patterns would count it twice. Memory: the events of these types, as far back as
//! patterns look.

use super::kinds::Kind;
use crate::events::EventStamp;
use crate::ext::Change;
use model::event::EventTypeKey;
use model::time::{DAY_MS, TimeMs};
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// A service that has sent an event of a type within so long before or after reports that type itself.
pub const REPORTS_MS: i64 = 7 * DAY_MS;

/// An event of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stamp {
    /// From its colony.
    Reported(EventStamp),
    /// From a metric.
    Derived(EventStamp),
}

impl Stamp {
    /// Colony, service and type.
    pub fn key(&self) -> &EventTypeKey {
        let (Stamp::Reported(stamp) | Stamp::Derived(stamp)) = self;
        &stamp.key
    }
}

/// Passes on what is reported, and what is derived where nothing is reported.
///
/// ```
/// use coral_operators::derived_events::unreported::{Stamp, Unreported};
/// use coral_operators::events::EventStamp;
/// use model::{event::EventTypeKey, time::{DAY_MS, TimeMs}};
/// let stamp = |id: &str, day: i64| EventStamp {
///     key: EventTypeKey { colony_id: "shop".into(), service_id: "api".into(), event_type: "error_spike".into() },
///     at: TimeMs(day * DAY_MS),
///     event_id: id.into(),
///     application_name: "shop".into(),
///     environment: String::new(),
/// };
/// let mut unreported = Unreported::default();
/// let (near, far) = (stamp("derived:1", 3), stamp("derived:2", 30));
/// let derived = vec![(Stamp::Derived(near.clone()), 1), (Stamp::Derived(far), 1)];
/// assert_eq!(unreported.apply(derived).len(), 2);
/// let reported = stamp("e1", 5);
/// let changes = unreported.apply(vec![(Stamp::Reported(reported.clone()), 1)]);
/// assert_eq!(changes, [(reported.clone(), 1), (near.clone(), -1)]);
/// // it is withdrawn
/// assert_eq!(unreported.apply(vec![(Stamp::Reported(reported.clone()), -1)]), [(reported, -1), (near, 1)]);
/// ```
#[derive(Debug, Default)]
pub struct Unreported {
    types: BTreeMap<EventTypeKey, OfType>,
}

#[derive(Debug, Default)]
struct OfType {
    /// Times of reported events, insertions minus retractions.
    reported: BTreeMap<TimeMs, i64>,
    derived: BTreeMap<(TimeMs, EventStamp), i64>,
    /// Derived ones that have been passed on.
    passed: BTreeSet<EventStamp>,
}

impl Unreported {
    /// Applies the events of one tick and returns what changed among those that are passed on.
    pub fn apply(&mut self, changes: Vec<Change<Stamp>>) -> Vec<Change<EventStamp>> {
        let (mut corrections, mut touched) = (Vec::new(), BTreeSet::new());
        for (stamp, diff) in changes {
            if Kind::of_name(&stamp.key().event_type).is_some() {
                touched.insert(stamp.key().clone());
                let of_type = self.types.entry(stamp.key().clone()).or_default();
                match &stamp {
                    Stamp::Reported(stamp) => change(&mut of_type.reported, stamp.at, diff),
                    Stamp::Derived(stamp) => change(&mut of_type.derived, (stamp.at, stamp.clone()), diff),
                }
            }
            if let Stamp::Reported(stamp) = stamp {
                corrections.push((stamp, diff));
            }
        }
        for key in touched {
            let Some(of_type) = self.types.get_mut(&key) else { continue };
            let now = of_type.unreported();
            corrections.extend(of_type.passed.difference(&now).map(|stamp| (stamp.clone(), -1)));
            corrections.extend(now.difference(&of_type.passed).map(|stamp| (stamp.clone(), 1)));
            of_type.passed = now;
        }
        corrections
    }

    /// Forgets events from before `limit`.
    pub fn forget_before(&mut self, limit: TimeMs) {
        self.types.retain(|_, of_type| {
            of_type.reported.retain(|at, _| *at >= limit);
            of_type.derived.retain(|(at, _), _| *at >= limit);
            of_type.passed.retain(|stamp| stamp.at >= limit);
            !of_type.reported.is_empty() || !of_type.derived.is_empty()
        });
    }
}

impl OfType {
    fn unreported(&self) -> BTreeSet<EventStamp> {
        let is_reported =
            |at: TimeMs| self.reported.range(at - REPORTS_MS..=at + REPORTS_MS).any(|(_, count)| *count > 0);
        let present = self.derived.iter().filter(|(_, count)| **count > 0).map(|((_, stamp), _)| stamp);
        present.filter(|stamp| !is_reported(stamp.at)).cloned().collect()
    }
}

fn change<T: Ord>(counts: &mut BTreeMap<T, i64>, thing: T, diff: i64) {
    match counts.entry(thing) {
        Entry::Occupied(mut known) => {
            *known.get_mut() += diff;
            if *known.get() == 0 {
                known.remove();
            }
        }
        Entry::Vacant(place) => {
            place.insert(diff);
        }
    }
}
