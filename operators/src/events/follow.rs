//! What came after each closed instant, of the pairs that may be confirmed there; updated incrementally.
//!
//! An update tries again only pairs and instants that something may have changed: the row of the pair there or a step
//! before, an onset within the longest lag of the time after the instant, the hour at which a case is decided, or that the
//! target's colony was heard of. The work does not depend on the length of history.

use crate::events::after::{Period, cases};
use crate::events::params::EventParams;
use crate::events::row::{Outcome, PairAfter, PairScan, ScanRow};
use crate::events::span::step_ms;
use crate::events::types::TypeOnsets;
use crate::ext::Change;
use crate::heard::{Heard, HeardOf};
use model::event::EventTypeKey;
use model::time::{MINUTE_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

type PairKey = (EventTypeKey, EventTypeKey);
/// Onsets by type.
pub type Types = BTreeMap<EventTypeKey, TypeOnsets>;

/// The rows of the closed instants of a walk, by instant.
pub type ClosedRows<'a> = BTreeMap<TimeMs, &'a BTreeMap<PairKey, PairScan>>;

/// What an update looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The rows of the closed instants.
    pub rows: &'a ClosedRows<'a>,
    /// The settled onsets.
    pub types: &'a Types,
    /// As of when.
    pub present: Present,
    /// Limits.
    pub params: &'a EventParams,
}

/// As of when a walk is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// The newest event.
    pub now: TimeMs,
    /// The current instant: onsets from here on are not known.
    pub known_until: TimeMs,
}

/// What a pair still waits for at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wait {
    /// When the first of its open cases is decided.
    due: Option<TimeMs>,
    /// Whether a case is void until the target's colony is heard of.
    is_void: bool,
}

/// What came after the closed instants.
///
/// Memory: a row for each pair and instant of the walk at which the pair has enough occurrences.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    heard: HeardOf,
    after: BTreeMap<TimeMs, BTreeMap<PairKey, PairAfter>>,
    waiting: BTreeMap<(TimeMs, PairKey), Wait>,
    /// First and last changed onset of each type since the last update.
    moved: BTreeMap<EventTypeKey, (TimeMs, TimeMs)>,
    /// As of the last update.
    present: Option<Present>,
    /// When each colony was last heard of by an onset, as of the last update.
    by_onsets: BTreeMap<String, TimeMs>,
    /// The same by onset or metric.
    heard_at: BTreeMap<String, TimeMs>,
    tried: usize,
}

impl Follow {
    /// An onset of a type was added or retracted.
    pub fn note(&mut self, key: &EventTypeKey, at: TimeMs) {
        if let Some((first, last)) = self.moved.get_mut(key) {
            (*first, *last) = (at.min(*first), at.max(*last));
        } else {
            self.moved.insert(key.clone(), (at, at));
        }
    }

    /// Applies which colonies were heard of by their metrics.
    pub fn apply_heard(&mut self, changes: Vec<Change<Heard>>) {
        self.heard.apply(changes);
    }

    /// How many pairs the last update tried, each instant counted.
    pub fn tried(&self) -> usize {
        self.tried
    }

    /// Updates what came after, given the rows that changed since the last update; returns what changed, sorted.
    pub fn update(&mut self, view: View<'_>, altered: Vec<(TimeMs, PairKey)>) -> Vec<(ScanRow, i64)> {
        let mut changes = Vec::new();
        let left: Vec<TimeMs> = self.after.keys().copied().filter(|at| !view.rows.contains_key(at)).collect();
        for at in left {
            let gone = self.after.remove(&at).into_iter().flat_map(BTreeMap::into_values);
            changes.extend(gone.map(|after| (ScanRow::After(after), -1)));
        }
        self.waiting.retain(|(at, _), _| view.rows.contains_key(at));
        let again = self.tried_again(view, altered);
        self.tried = again.len();
        for (instant, key) in again {
            let place = (instant, key.clone());
            let fresh = view.meant(instant, &key).and_then(|row| {
                let heard = self.heard_at.get(&key.1.colony_id).copied();
                let after = view.after(row, heard)?;
                Some((Wait::of(row, &after, view.params), after))
            });
            let (wait, fresh) = fresh.map_or((None, None), |(wait, after)| (wait, Some(after)));
            if let Some(wait) = wait {
                self.waiting.insert(place, wait);
            } else {
                self.waiting.remove(&place);
            }
            let of_instant = self.after.entry(instant).or_default();
            if of_instant.get(&key) == fresh.as_ref() {
                continue;
            }
            changes.extend(fresh.clone().map(|after| (ScanRow::After(after), 1)));
            let old = match fresh {
                Some(after) => of_instant.insert(key, after),
                None => of_instant.remove(&key),
            };
            changes.extend(old.map(|after| (ScanRow::After(after), -1)));
        }
        changes.sort_unstable();
        changes
    }

    /// The pairs and instants at which something may be different.
    fn tried_again(&mut self, view: View<'_>, altered: Vec<(TimeMs, PairKey)>) -> BTreeSet<(TimeMs, PairKey)> {
        let View { rows, present, .. } = view;
        let before = self.present.replace(present);
        let mut moved = std::mem::take(&mut self.moved);
        if let Some(from) = before.map(|before| before.known_until) {
            view.add_known_since(from, &mut moved);
        }
        let heard_before = self.listen(view, before != Some(present) || !moved.is_empty());
        let is_later =
            before.is_some_and(|before| before.now <= present.now && before.known_until <= present.known_until);
        if !is_later {
            return rows.iter().flat_map(|(at, own)| own.keys().map(|key| (*at, key.clone()))).collect();
        }
        // the row of an instant counts for its own cases and for what was still open a step later
        let step = step_ms(view.params.horizon_ms);
        let of_rows = altered.into_iter().flat_map(|(at, key)| [(at + step, key.clone()), (at, key)]);
        let mut again: BTreeSet<(TimeMs, PairKey)> = of_rows.filter(|(at, _)| rows.contains_key(at)).collect();
        let moved: Vec<(&EventTypeKey, (TimeMs, TimeMs))> =
            moved.iter().map(|(key, ends)| (key, view.reach(key, *ends))).collect();
        let fell: BTreeSet<&str> = heard_before
            .iter()
            .filter(|(colony_id, at)| self.heard_at.get(*colony_id).is_none_or(|now| now < at))
            .map(|(colony_id, _)| colony_id.as_str())
            .collect();
        for (at, own) in rows {
            let is_near = |(from, to): (TimeMs, TimeMs)| from <= *at && *at <= to;
            let near: BTreeSet<&EventTypeKey> =
                moved.iter().filter(|(_, reach)| is_near(*reach)).map(|(key, _)| *key).collect();
            if near.is_empty() && fell.is_empty() {
                continue;
            }
            let is_meant = |(source, target): &&PairKey| {
                near.contains(source) || near.contains(target) || fell.contains(target.colony_id.as_str())
            };
            again.extend(own.keys().filter(is_meant).map(|key| (*at, key.clone())));
        }
        let may_end = |(_, (_, target)): &(TimeMs, PairKey), wait: &Wait| {
            let has_news = heard_before.get(&target.colony_id) != self.heard_at.get(&target.colony_id);
            wait.due.is_some_and(|due| due <= present.now) || wait.is_void && has_news
        };
        let ended = self.waiting.iter().filter(|(place, wait)| may_end(place, wait));
        again.extend(ended.map(|(place, _)| place.clone()));
        again
    }

    /// Updates when each colony was last heard of, and returns when it was before.
    fn listen(&mut self, view: View<'_>, has_onsets: bool) -> BTreeMap<String, TimeMs> {
        let until = view.present.known_until;
        if has_onsets {
            self.by_onsets.clear();
            for (key, onsets) in view.types {
                let Some(at) = onsets.last_before(until) else { continue };
                if let Some(last) = self.by_onsets.get_mut(&key.colony_id) {
                    *last = at.max(*last);
                } else {
                    self.by_onsets.insert(key.colony_id.clone(), at);
                }
            }
        }
        let mut heard_at = self.by_onsets.clone();
        for (colony_id, at) in self.heard.all(until) {
            heard_at.entry(colony_id.to_owned()).and_modify(|last| *last = at.max(*last)).or_insert(at);
        }
        std::mem::replace(&mut self.heard_at, heard_at)
    }
}

impl View<'_> {
    /// Adds the onsets that were not known at `from`.
    fn add_known_since(&self, from: TimeMs, moved: &mut BTreeMap<EventTypeKey, (TimeMs, TimeMs)>) {
        for (key, onsets) in self.types {
            let first = onsets.first_since(from).filter(|at| *at < self.present.known_until);
            let Some((first, last)) = first.zip(onsets.last_before(self.present.known_until)) else { continue };
            let ends = moved.entry(key.clone()).or_insert((first, last));
            *ends = (first.min(ends.0), last.max(ends.1));
        }
    }

    /// The first and last instant that may depend on the onsets of a type between two times.
    fn reach(&self, key: &EventTypeKey, (first, last): (TimeMs, TimeMs)) -> (TimeMs, TimeMs) {
        // the names of a type's application and environment are those of its last onset
        let next = self.types.get(key).and_then(|onsets| onsets.first_since(last + 1)).unwrap_or(TimeMs(i64::MAX));
        let (lag_ms, step) = (i64::from(self.params.max_lag_min()) * MINUTE_MS, step_ms(self.params.horizon_ms));
        (first - lag_ms - step, next.max(last + lag_ms))
    }

    fn row(&self, instant: TimeMs, key: &PairKey) -> Option<&PairScan> {
        self.rows.get(&instant).and_then(|own| own.get(key))
    }

    /// The row of a pair that may be confirmed at an instant.
    fn meant(&self, instant: TimeMs, key: &PairKey) -> Option<&PairScan> {
        let params = self.params;
        self.row(instant, key).filter(|row| row.occurrences >= params.min_occurrences && row.days >= params.min_days)
    }

    /// What came after the instant of a row; `heard` is when the target's colony was heard of last.
    fn after(&self, row: &PairScan, heard: Option<TimeMs>) -> Option<PairAfter> {
        let Present { now, known_until } = self.present;
        let key = (row.source.clone(), row.target.clone());
        let (sources, targets) = (self.types.get(&key.0)?, self.types.get(&key.1)?);
        let step = step_ms(self.params.horizon_ms);
        let until = known_until.min(row.instant + step);
        let period = Period { from: row.instant, until, known_until, now, lateness_ms: self.params.lateness_ms };
        // a case of the step before has its window
        let before = self.row(row.instant - step, &key);
        let carried_ms = before.map_or(0, |row| i64::from(row.frequency.window_min.1) * MINUTE_MS);
        let (cases, count) = cases(sources, targets, row.frequency.window_min, carried_ms, heard, period);
        Some(PairAfter {
            instant: row.instant,
            source_identity: sources.identity_before(until),
            target_identity: targets.identity_before(until),
            source: key.0,
            target: key.1,
            cases,
            targets: count,
        })
    }
}

impl Wait {
    /// What is left to wait for after these cases.
    fn of(row: &PairScan, after: &PairAfter, params: &EventParams) -> Option<Wait> {
        let end_ms = i64::from(row.frequency.window_min.1) * MINUTE_MS;
        let open = after.cases.iter().filter(|case| case.outcome == Outcome::Open);
        let due = open.map(|case| case.source_at + end_ms + params.lateness_ms).min();
        let is_void = after.cases.iter().any(|case| case.outcome == Outcome::Void);
        (due.is_some() || is_void).then_some(Wait { due, is_void })
    }
}
