//! Due: which deployments are to be judged, and all deployments by time.

use crate::impact::Line;
use crate::impact::line::AFTER_MS;
use crate::impact::rows;
use crate::impact::windows::{BEFORE_MS, Moment, SEASON_DAYS};
use model::derived::Value;
use model::time::{DAY_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range, RangeInclusive};

/// How long before its start, and after its end, something may matter to a deployment.
const REACH_MS: (i64, i64) = (SEASON_DAYS * DAY_MS + BEFORE_MS.0 + AFTER_MS, 2 * AFTER_MS);

/// A deployment's place in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    start: TimeMs,
    colony_id: String,
    deployment_id: String,
}

impl Id {
    /// That of a deployment.
    pub(super) fn of(line: &Line) -> Id {
        Id { start: line.start, colony_id: line.colony_id.clone(), deployment_id: line.deployment_id.clone() }
    }
}

/// The deployments that are to be judged.
#[derive(Debug, Default)]
pub(super) struct Due {
    ids: BTreeSet<Id>,
    /// The one that was last taken in the order of time.
    taken: Option<Id>,
    /// Whether the next one is the newest.
    is_newest_next: bool,
}

impl Due {
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn add(&mut self, line: &Line) {
        self.ids.insert(Id::of(line));
    }

    pub(super) fn remove(&mut self, line: &Line) {
        self.ids.remove(&Id::of(line));
    }

    pub(super) fn has(&self, line: &Line) -> bool {
        self.ids.contains(&Id::of(line))
    }

    /// Takes out up to `most`, in the order in which they are to be judged.
    pub(super) fn take(&mut self, most: usize) -> Vec<Id> {
        if most >= self.ids.len() {
            return std::mem::take(&mut self.ids).into_iter().collect();
        }
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(id) = self.next_one() else { break };
            self.ids.remove(&id);
            taken.push(id);
        }
        taken
    }

    /// They could not be judged: they are due again.
    pub(super) fn put_back(&mut self, ids: impl IntoIterator<Item = Id>) {
        self.ids.extend(ids);
    }

    /// The next one to judge; it stays due. Every second one is the newest, and those
    /// between follow each other from the oldest to the newest, so that none is passed over indefinitely.
    pub(super) fn next_one(&mut self) -> Option<Id> {
        self.is_newest_next = !self.is_newest_next;
        if !self.is_newest_next {
            return self.ids.last().cloned();
        }
        let after = self.taken.take().map_or(Bound::Unbounded, Bound::Excluded);
        self.taken = self.ids.range::<Id, _>((after, Bound::Unbounded)).next().or(self.ids.first()).cloned();
        self.taken.clone()
    }

    /// From the first to the last start, as text; `none` when there are none.
    pub(super) fn text(&self) -> String {
        match (self.ids.first(), self.ids.last()) {
            (Some(first), Some(last)) => format!("{} {}", first.start, last.start),
            _ => "none".to_owned(),
        }
    }

    /// The span that such a text says.
    pub(super) fn span_of_text(text: &str) -> Option<RangeInclusive<TimeMs>> {
        let (first, last) = text.split_once(' ')?;
        Some(TimeMs::parse_rfc3339(first)?..=TimeMs::parse_rfc3339(last)?)
    }
}

/// A deployment and its row.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) line: Line,
    pub(super) row: Vec<Value>,
}

/// All deployments, by time, by key, and by the events that followed them.
#[derive(Debug, Default)]
pub(super) struct TimelineIndex {
    by_start: BTreeMap<Id, Known>,
    starts: BTreeMap<(String, String), TimeMs>,
    /// By colony and event, those whose rows name it.
    by_event: BTreeMap<String, BTreeMap<String, BTreeSet<Id>>>,
    /// The longest one.
    longest_ms: i64,
}

impl TimelineIndex {
    pub(super) fn is_empty(&self) -> bool {
        self.by_start.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Known> {
        self.by_start.values()
    }

    pub(super) fn get(&self, id: &Id) -> Option<&Known> {
        self.by_start.get(id)
    }

    /// Whether there is one of this colony and id, at any time.
    pub(super) fn has(&self, key: &(String, String)) -> bool {
        self.starts.contains_key(key)
    }

    /// Adds or replaces one.
    pub(super) fn insert(&mut self, known: Known) {
        let id = Id::of(&known.line);
        let moment = known.line.moment();
        self.longest_ms = self.longest_ms.max(moment.end - moment.start);
        let key = (id.colony_id.clone(), id.deployment_id.clone());
        if let Some(before) = self.starts.insert(key, id.start).filter(|before| *before != id.start) {
            self.take_out(&Id { start: before, ..id.clone() });
        }
        self.take_out(&id);
        for event_id in rows::related_events(&known.row) {
            let of_colony = self.by_event.entry(id.colony_id.clone()).or_default();
            of_colony.entry(event_id.clone()).or_default().insert(id.clone());
        }
        self.by_start.insert(id, known);
    }

    fn take_out(&mut self, id: &Id) -> Option<Known> {
        let known = self.by_start.remove(id)?;
        self.forget_events(id, &known);
        Some(known)
    }

    fn forget_events(&mut self, id: &Id, known: &Known) {
        let Some(of_colony) = self.by_event.get_mut(&id.colony_id) else { return };
        for event_id in rows::related_events(&known.row) {
            let Some(ids) = of_colony.get_mut(event_id) else { continue };
            ids.remove(id);
            if ids.is_empty() {
                of_colony.remove(event_id);
            }
        }
    }

    /// Those whose rows name this event of their colony.
    pub(super) fn naming(&self, colony_id: &str, event_id: &str) -> impl Iterator<Item = &Known> {
        let ids = self.by_event.get(colony_id).and_then(|of_colony| of_colony.get(event_id));
        ids.into_iter().flatten().filter_map(|id| self.by_start.get(id))
    }

    /// Those that something from the first to the last of these times may have followed.
    pub(super) fn followed_within(&self, first: TimeMs, last: TimeMs) -> impl Iterator<Item = &Known> {
        self.between(first - AFTER_MS - self.longest_ms, last)
    }

    /// Takes out the one whose row begins with this key.
    pub(super) fn remove(&mut self, key: &[Value]) -> Option<Known> {
        let [Value::Text(colony_id), Value::Text(deployment_id), ..] = key else { return None };
        let (colony_id, deployment_id) = (colony_id.clone(), deployment_id.clone());
        let start = self.starts.remove(&(colony_id.clone(), deployment_id.clone()))?;
        self.take_out(&Id { start, colony_id, deployment_id })
    }

    /// Those that what happens in a span may matter to.
    pub(super) fn reached_by(&self, span: Range<TimeMs>) -> impl Iterator<Item = &Known> {
        self.between(span.start - REACH_MS.1 - self.longest_ms, span.end + REACH_MS.0)
    }

    /// Those that may matter to one.
    pub(super) fn reaching(&self, moment: Moment) -> impl Iterator<Item = &Known> {
        self.between(moment.start - REACH_MS.0 - self.longest_ms, moment.end + REACH_MS.1)
    }

    fn between(&self, from: TimeMs, to: TimeMs) -> impl Iterator<Item = &Known> {
        let at = |start: TimeMs| Id { start, colony_id: String::new(), deployment_id: String::new() };
        self.by_start.range(at(from)..=at(to + 1)).map(|(_, known)| known)
    }

    /// Takes out those from before `limit`.
    pub(super) fn forget_before(&mut self, limit: TimeMs) -> Vec<Line> {
        let kept =
            self.by_start.split_off(&Id { start: limit, colony_id: String::new(), deployment_id: String::new() });
        let gone = std::mem::replace(&mut self.by_start, kept);
        for (id, known) in &gone {
            self.starts.remove(&(id.colony_id.clone(), id.deployment_id.clone()));
            self.forget_events(id, known);
        }
        gone.into_values().map(|known| known.line).collect()
    }
}
