//! The operator: events and sightings in, corrections of the timeline out.

use super::deployment::Deployment;
use super::report::Report;
use super::seen::{Seen, Sighting};
use super::timeline::{Earlier, timeline};
use super::words::is_about_deployments;
use crate::counts::Counts;
use crate::ext::Change;
use model::derived::DerivedRow;
use model::event::Event;
use model::time::{DAY_MS, TimeMs};
use model::topology::ServiceNode;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How long deployments are kept in memory: as long as the store keeps them by default.
pub const KEEP_MS: i64 = 730 * DAY_MS;

/// What the timeline is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Input {
    /// An event that is about a deployment, or whose copies may be.
    Event(Event),
    /// A version in the topology of a colony. It is never retracted.
    Seen(Sighting),
    /// What earlier runs have found out. It is never retracted.
    Earlier(Earlier),
}

impl Input {
    /// The event, if the timeline needs it: an amended event may replace a copy that was about a deployment.
    pub fn of_event(event: &Event) -> Option<Input> {
        (is_about_deployments(&event.event_type) || event.is_amended()).then(|| Input::Event(event.clone()))
    }

    /// A service of a topology, if its version is known.
    pub fn of_node(node: &ServiceNode) -> Option<Input> {
        let version = node.version.trim();
        (!version.is_empty()).then(|| Input::seen(&node.colony_id, &node.service_id, version, node.seen_at))
    }

    /// A service that was seen with a version.
    pub fn seen(colony_id: &str, service_id: &str, version: &str, at: TimeMs) -> Input {
        let (colony_id, service_id, version) = (colony_id.to_owned(), service_id.to_owned(), version.to_owned());
        Input::Seen(Sighting { colony_id, service_id, version, at })
    }

    /// Rows of a colony belong together.
    pub fn colony_id(&self) -> &str {
        match self {
            Input::Event(event) => &event.colony_id,
            Input::Seen(sighting) => &sighting.colony_id,
            Input::Earlier(earlier) => &earlier.colony_id,
        }
    }
}

type ServiceKey = (String, String);

/// The deployments of colonies, kept current.
#[derive(Debug, Default)]
pub struct Deployments {
    /// Copies of each event, by `(colony_id, event_id)`.
    copies: BTreeMap<(String, String), Counts<Event>>,
    services: BTreeMap<ServiceKey, Service>,
    /// Services of which something has changed since the last evaluation.
    touched: BTreeSet<ServiceKey>,
}

#[derive(Debug, Default)]
struct Service {
    reports: BTreeSet<Report>,
    seen: Seen,
    earlier: Option<Earlier>,
    rows: BTreeMap<String, Deployment>,
}

impl Deployments {
    /// Applies the rows of one tick.
    pub fn apply(&mut self, mut changes: Vec<Change<Input>>) {
        // those of a tick are sorted already: copies of an event follow one another
        changes.sort_unstable();
        let mut changes = changes.into_iter().peekable();
        while let Some((input, diff)) = changes.next() {
            match input {
                Input::Event(event) => {
                    let mut copies = vec![(event, diff)];
                    while let Some((Input::Event(event), diff)) =
                        changes.next_if(|(next, _)| matches!(next, Input::Event(next) if is_same(next, &copies[0].0)))
                    {
                        copies.push((event, diff));
                    }
                    self.take_copies(copies);
                }
                Input::Seen(sighting) if diff > 0 => {
                    let key = (sighting.colony_id, sighting.service_id);
                    let service = self.services.entry(key.clone()).or_default();
                    if service.seen.add(&sighting.version, sighting.at) {
                        self.touched.insert(key);
                    }
                }
                Input::Earlier(earlier) if diff > 0 => {
                    let key = (earlier.colony_id.clone(), earlier.service_id.clone());
                    let service = self.services.entry(key.clone()).or_default();
                    service.earlier = service.earlier.take().max(Some(earlier));
                    self.touched.insert(key);
                }
                Input::Seen(_) | Input::Earlier(_) => {}
            }
        }
    }

    /// Applies changes of the copies of one event.
    fn take_copies(&mut self, changes: Vec<Change<Event>>) {
        let Some((first, _)) = changes.first() else { return };
        let identity = (first.colony_id.clone(), first.event_id.clone());
        let mut copies = self.copies.remove(&identity).unwrap_or_default();
        let before = winner(&copies).cloned();
        for (event, diff) in changes {
            copies.change(event, diff);
        }
        let after = winner(&copies);
        if before.as_ref() != after {
            if let Some((key, report)) = before.as_ref().and_then(reported) {
                self.services.entry(key.clone()).or_default().reports.remove(&report);
                self.touched.insert(key);
            }
            if let Some((key, report)) = after.and_then(reported) {
                self.services.entry(key.clone()).or_default().reports.insert(report);
                self.touched.insert(key);
            }
        }
        if !copies.is_empty() {
            self.copies.insert(identity, copies);
        }
    }

    /// Computes the deployments of services of which something has changed, and returns what changed in the timeline.
    pub fn evaluate(&mut self) -> Vec<Change<DerivedRow>> {
        let touched = std::mem::take(&mut self.touched);
        touched.iter().flat_map(|key| self.recompute(key)).collect()
    }

    fn recompute(&mut self, key: &ServiceKey) -> Vec<Change<DerivedRow>> {
        let Some(service) = self.services.get_mut(key) else { return Vec::new() };
        let (colony_id, service_id) = key;
        let rows = timeline(service_id, &service.reports, &service.seen, service.earlier.as_ref());
        let mut corrections = Vec::new();
        for (id, row) in &service.rows {
            if rows.get(id) != Some(row) {
                corrections.push((row.row(colony_id, service_id), -1));
            }
        }
        for (id, row) in &rows {
            if service.rows.get(id) != Some(row) {
                corrections.push((row.row(colony_id, service_id), 1));
            }
        }
        service.rows = rows;
        if service.reports.is_empty() && service.seen.is_empty() && service.earlier.is_none() {
            self.services.remove(key);
        }
        corrections
    }

    /// Forgets events from before `now` that can no longer change a deployment: others after `keep_ms`, deployments
    /// after [`KEEP_MS`]. Rows of forgotten deployments stay as they are.
    pub fn forget(&mut self, now: TimeMs, keep_ms: i64) {
        let (others, horizon) = (now - keep_ms, now - KEEP_MS.max(keep_ms));
        self.copies.retain(|_, copies| {
            copies.iter().any(|(event, _)| {
                event.timestamp >= if is_about_deployments(&event.event_type) { horizon } else { others }
            })
        });
        for ((colony_id, service_id), service) in &mut self.services {
            service.forget_before(horizon, colony_id, service_id);
        }
    }
}

impl Service {
    fn forget_before(&mut self, horizon: TimeMs, colony_id: &str, service_id: &str) {
        if self.rows.values().all(|row| row.started_at >= horizon) {
            return;
        }
        let gone: Vec<Deployment> = self.rows.values().filter(|row| row.started_at < horizon).cloned().collect();
        let mut earlier = Earlier::of((colony_id, service_id), horizon, &gone, self.earlier.take());
        self.rows.retain(|_, row| row.started_at >= horizon);
        self.reports.retain(|report| report.began_at() >= horizon);
        let kept: BTreeSet<&String> = self.reports.iter().map(|report| &report.event_id).collect();
        earlier.reported_by.retain(|event_id| kept.contains(event_id));
        self.earlier = Some(earlier);
        self.seen.forget_before(horizon);
    }
}

/// Whether both are copies of one event.
fn is_same(one: &Event, other: &Event) -> bool {
    one.colony_id == other.colony_id && one.event_id == other.event_id
}

/// The greatest copy that is present, unless it is withdrawn.
fn winner(copies: &Counts<Event>) -> Option<&Event> {
    let (event, _) = copies.iter().rev().find(|(_, count)| *count > 0)?;
    (!event.withdrawn).then_some(event)
}

/// What an event says about a deployment, and of which service.
fn reported(event: &Event) -> Option<(ServiceKey, Report)> {
    Some(((event.colony_id.clone(), event.service_id.clone()), Report::of(event)?))
}
