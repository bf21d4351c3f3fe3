//! Calls: which services call which, as the topologies of colonies say, and which pairs of services that links.
//!
//! A call belongs to one colony, while pairs are between two. The services of a pair are linked where the colony of either
//! says that one of them calls the other: a failure goes from the called to the caller, load from the caller to the
//! called. A call counts for as long as it was last seen within the look-back, so that which calls count is a function of
//! the rows, also where a store has deleted old ones.

use model::time::TimeMs;
use model::topology::ServiceEdge;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A call between two services of a colony.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call {
    /// The colony whose topology shows it.
    pub colony_id: String,
    /// The caller.
    pub from_service: String,
    /// The called.
    pub to_service: String,
    /// When it was seen.
    pub seen_at: TimeMs,
}

impl Call {
    /// The call of a topology; `None` where a service has no name, or calls itself.
    pub fn of_edge(edge: &ServiceEdge) -> Option<Call> {
        let ServiceEdge { colony_id, from_service, to_service, seen_at, .. } = edge.clone();
        let is_named = !from_service.is_empty() && !to_service.is_empty();
        (is_named && from_service != to_service).then_some(Call { colony_id, from_service, to_service, seen_at })
    }
}

/// The other ends of the calls of one service.
pub type Partners = BTreeSet<String>;

/// The calls of all colonies.
///
/// ```
/// use coral_operators::calls::{Call, Calls, are_linked};
/// use model::time::TimeMs;
/// let call = |to: &str, at: i64| Call {
///     colony_id: "shop".into(), from_service: "cart".into(), to_service: to.into(), seen_at: TimeMs(at),
/// };
/// let mut calls = Calls::default();
/// calls.apply([(call("pay", 5), 1), (call("mail", 1), 1)]);
/// // seen since 3; two services of shop have got a partner
/// assert_eq!(calls.count_since(TimeMs(3)).len(), 2);
/// let linked = |service: &str, other: &str| {
///     are_linked((service, calls.partners("shop", service)), (other, calls.partners("bank", other)))
/// };
/// assert!(linked("cart", "pay") && linked("pay", "cart") && !linked("cart", "mail"));
/// assert!(calls.count_since(TimeMs(3)).is_empty(), "nothing has changed since");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// When each was last seen, by colony and ends.
    seen: BTreeMap<(String, String, String), TimeMs>,
    /// Of the calls that count: by colony, then service.
    partners: BTreeMap<String, BTreeMap<String, Partners>>,
    /// Since when calls count.
    since: Option<TimeMs>,
    /// No call that counts was last seen before this.
    oldest: Option<TimeMs>,
    /// Whether other calls may count than did, for the same `since`.
    is_changed: bool,
}

impl Calls {
    /// Adds calls that were seen. They are never retracted.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = (Call, i64)>) {
        for (call, _) in changes.into_iter().filter(|(_, diff)| *diff > 0) {
            let Call { colony_id, from_service, to_service, seen_at } = call;
            let since = self.since;
            let seen = self.seen.entry((colony_id, from_service, to_service)).or_insert_with(|| {
                self.is_changed = true;
                seen_at
            });
            // one that counts already still counts
            self.is_changed |= since.is_none_or(|since| *seen < since);
            *seen = seen_at.max(*seen);
        }
    }

    /// Drops calls that were last seen before `limit`.
    pub fn forget_before(&mut self, limit: TimeMs) {
        let counts = self.since.is_none_or(|since| since < limit);
        let before = self.seen.len();
        self.seen.retain(|_, seen_at| *seen_at >= limit);
        self.is_changed |= counts && self.seen.len() < before;
    }

    /// From now on the calls seen since `since` count. Returns the services whose partners this changes, with their
    /// colonies.
    pub fn count_since(&mut self, since: TimeMs) -> BTreeSet<(String, String)> {
        let is_later = self.since.is_some_and(|before| before <= since);
        if !self.is_changed && is_later && self.oldest.is_none_or(|oldest| oldest >= since) {
            self.since = Some(since);
            return BTreeSet::new();
        }
        self.is_changed = false;
        self.since = Some(since);
        self.oldest = self.seen.values().copied().filter(|seen_at| *seen_at >= since).min();
        let mut partners: BTreeMap<String, BTreeMap<String, Partners>> = BTreeMap::new();
        for ((colony_id, from, to), _) in self.seen.iter().filter(|(_, seen_at)| **seen_at >= since) {
            let of_colony = partners.entry(colony_id.clone()).or_default();
            of_colony.entry(from.clone()).or_default().insert(to.clone());
            of_colony.entry(to.clone()).or_default().insert(from.clone());
        }
        let before = std::mem::replace(&mut self.partners, partners);
        let services = before.iter().chain(&self.partners).flat_map(|(colony_id, of_colony)| {
            of_colony.keys().map(move |service| (colony_id.as_str(), service.as_str()))
        });
        let of_before = |colony_id: &str, service: &str| before.get(colony_id).and_then(|all| all.get(service));
        services
            .filter(|(colony_id, service)| of_before(colony_id, service) != self.partners(colony_id, service))
            .map(|(colony_id, service)| (colony_id.to_owned(), service.to_owned()))
            .collect()
    }

    /// The services that this service calls or that call it, as its own colony says.
    pub fn partners(&self, colony_id: &str, service: &str) -> Option<&Partners> {
        self.partners.get(colony_id)?.get(service)
    }
}

/// Whether two services are linked by a call that the colony of either shows. Each comes with its partners.
pub fn are_linked(one: (&str, Option<&Partners>), other: (&str, Option<&Partners>)) -> bool {
    one.1.is_some_and(|partners| partners.contains(other.0)) || other.1.is_some_and(|partners| partners.contains(one.0))
}
