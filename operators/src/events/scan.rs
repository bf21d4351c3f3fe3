//! All pairs at all instants, updated incrementally: the state machine between onsets and verdicts.
//!
//! Each instant of the walk keeps its rows. At each instant a scan re-evaluates only the pairs with a changed onset
//! inside the span. The span of the current instant grows with `now`, and every e-value with it: the pairs with evidence
//! are evaluated anew, and the few that may get some before a day is over are looked at. Everything is re-evaluated only
//! if a span begins elsewhere, or once a day.

use crate::calls::{Call, Calls};
use crate::events::episodes::Onset;
use crate::events::family::Family;
use crate::events::follow::{ClosedRows, Follow, Present, View};
use crate::events::glance::Logs;
use crate::events::levels::{general, service_of};
use crate::events::params::EventParams;
use crate::events::row::{InstantTotals, PairScan, ScanRow};
use crate::events::span::{Span, instants, origin_search_start, span_at};
use crate::events::sweep::{Sweep, Work, observed};
use crate::events::types::TypeOnsets;
use crate::events::windows::Windows;
use crate::ext::Change;
use crate::heard::Heard;
use crate::shard::Shard;
use crate::tested::Supply;
use model::event::EventTypeKey;
use model::time::{DAY_MS, TimeMs};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

type PairKey = (EventTypeKey, EventTypeKey);

/// The state of one instant.
#[derive(Clone, Debug, Default)]
struct InstantState {
    current: bool,
    /// The observed span of each colony; empty before the first onset.
    spans: BTreeMap<String, Span>,
    /// Types with an onset changed inside the span since the last scan.
    dirty: BTreeSet<EventTypeKey>,
    /// Pairs with evidence.
    rows: BTreeMap<PairKey, PairScan>,
    /// Current instant only: pairs without evidence that had some at an earlier instant.
    remnants: BTreeMap<PairKey, PairScan>,
    totals: Option<InstantTotals>,
    /// Current instant only.
    near: Option<Near>,
}

/// Pairs that may be listed soon.
#[derive(Clone, Debug)]
struct Near {
    /// Up to this instant no other pair is listed while its onsets stay the same.
    until: TimeMs,
    pairs: BTreeSet<PairKey>,
}

/// Scans the pairs whose source belongs to its shard.
///
/// ```
/// use coral_operators::events::{EventParams, EventScan, Onset, ScanRow};
/// use coral_operators::shard::Shard;
/// use model::{event::EventTypeKey, time::TimeMs};
/// let onset = |colony: &str, hour: i64, minute: i64| Onset {
///     key: EventTypeKey { colony_id: colony.into(), service_id: "s".into(), event_type: "deploy".into() },
///     at: TimeMs((hour * 60 + minute) * 60_000),
///     event_id: format!("{colony}-{hour}"),
///     application_name: colony.into(),
///     environment: "production".into(),
/// };
/// let mut scan = EventScan::new(EventParams::default(), Shard::WHOLE);
/// // every 35 hours, and 17 minutes later
/// for i in 1..=12 {
///     scan.apply(vec![(onset("lib", 35 * i, 0), 1), (onset("app", 35 * i, 17), 1)]);
/// }
/// let rows = scan.scan(TimeMs(35 * 13 * 3_600_000));
/// let evidence = rows.iter().filter(|(row, _)| matches!(row, ScanRow::Pair(pair) if pair.detail.is_some())).count();
/// assert_eq!(evidence, 1);
/// // nothing changed, nothing to say
/// assert!(scan.scan(TimeMs(35 * 13 * 3_600_000)).is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct EventScan {
    params: EventParams,
    shard: Shard,
    windows: Windows,
    logs: Logs,
    types: BTreeMap<EventTypeKey, TypeOnsets>,
    /// Types with changes since the last scan.
    changed: BTreeSet<EventTypeKey>,
    calls: Calls,
    /// What came after the closed instants.
    follow: Follow,
    instants: BTreeMap<TimeMs, InstantState>,
    /// Pairs with a row at a closed instant, as of the last scan.
    with_evidence: BTreeSet<PairKey>,
    forgotten_before: TimeMs,
    /// Whether onsets were forgotten since the last scan.
    has_forgotten: bool,
    /// Of the last scan.
    work: Work,
}

impl EventScan {
    /// Without onsets.
    pub fn new(params: EventParams, shard: Shard) -> EventScan {
        let windows = Windows::new(params.max_lag_min());
        EventScan {
            params,
            shard,
            windows,
            logs: Logs::default(),
            types: BTreeMap::new(),
            changed: BTreeSet::new(),
            calls: Calls::default(),
            follow: Follow::default(),
            instants: BTreeMap::new(),
            with_evidence: BTreeSet::new(),
            forgotten_before: TimeMs(i64::MIN),
            has_forgotten: false,
            work: Work::default(),
        }
    }

    /// Applies changes of onsets, of all types.
    pub fn apply(&mut self, changes: Vec<(Onset, i64)>) {
        for (onset, diff) in changes {
            if onset.at < self.forgotten_before {
                continue;
            }
            // onsets before a span matter only through its origin, which each scan recomputes
            for (_, state) in self.instants.range_mut((onset.at + 1)..) {
                let is_inside = state.spans.get(&onset.key.colony_id).is_some_and(|span| onset.at >= span.origin);
                if is_inside && !state.dirty.contains(&onset.key) {
                    state.dirty.insert(onset.key.clone());
                    // with another service the whole colony may become a type
                    state.dirty.insert(general(&onset.key));
                }
            }
            self.follow.note(&onset.key, onset.at);
            if !self.changed.contains(&onset.key) {
                self.changed.insert(onset.key.clone());
            }
            self.types.entry(onset.key.clone()).or_default().change(onset, diff);
        }
    }

    /// Applies calls between services: they give pairs more weight.
    pub fn apply_calls(&mut self, changes: Vec<(Call, i64)>) {
        let as_in_types = |call: Call| Call {
            from_service: service_of(&call.from_service),
            to_service: service_of(&call.to_service),
            ..call
        };
        self.calls.apply(changes.into_iter().map(|(call, diff)| (as_in_types(call), diff)));
    }

    /// Applies which colonies were heard of: a target that did not come is a miss only if its colony was.
    pub fn apply_heard(&mut self, changes: Vec<Change<Heard>>) {
        self.follow.apply_heard(changes);
    }

    /// Drops onsets and calls before `limit`; later changes before it are ignored. Harmless for `limit <= now - keep_ms`.
    pub fn forget_before(&mut self, limit: TimeMs) {
        if limit <= self.forgotten_before {
            return;
        }
        self.calls.forget_before(limit);
        self.forgotten_before = limit;
        self.has_forgotten = true;
        self.types.retain(|_, onsets| {
            onsets.forget_before(limit);
            onsets.settle();
            !onsets.is_empty()
        });
    }

    /// Updates all instants and returns the changes since the last scan, sorted.
    pub fn scan(&mut self, now: TimeMs) -> Vec<(ScanRow, i64)> {
        self.work = Work::default();
        let mut changes = Vec::new();
        let wanted = instants(&self.params, now);
        let current = wanted.last().copied();
        let is_wanted = |instant: &TimeMs, state: &InstantState| {
            wanted.binary_search(instant).is_ok() && state.current == (current == Some(*instant))
        };
        let (mut closed_changed, mut left) = (false, None);
        self.instants.retain(|instant, state| {
            let keep = is_wanted(instant, state);
            if !keep {
                closed_changed |= !state.current;
                state.take_back(&mut changes);
                left = Some((*instant, std::mem::take(state))).filter(|(_, state)| state.current).or(left.take());
            }
            keep
        });
        let colonies = self.settle();
        if let (Some((from, state)), Some(to)) = (left, current) {
            self.follow(from, state, to);
        }
        self.weigh_again(now);
        for instant in &wanted {
            let fresh = || InstantState { current: current == Some(*instant), ..InstantState::default() };
            let mut state = self.instants.remove(instant).unwrap_or_else(fresh);
            let touched = self.refresh(*instant, &mut state, colonies.as_ref(), &mut changes);
            if state.current {
                // the last one
                if closed_changed {
                    let closed = self.instants.values().filter(|state| !state.current);
                    self.with_evidence = closed.flat_map(|state| state.rows.keys().cloned()).collect();
                }
                if touched || closed_changed {
                    self.refresh_remnants(&mut state, &mut changes);
                }
            } else {
                closed_changed |= touched;
            }
            state.dirty.clear();
            self.instants.insert(*instant, state);
        }
        let mut changes = consolidated(changes);
        if let Some(known_until) = current {
            let after = self.follow_up(known_until, now, &changes);
            changes.extend(after);
        }
        changes
    }

    /// The current instant has moved on: what is known of the one before stays known, unless a span begins elsewhere.
    fn follow(&mut self, from: TimeMs, left: InstantState, to: TimeMs) {
        let Some(near) = left.near.filter(|near| from < to && to <= near.until) else { return };
        let mut state = InstantState { current: true, dirty: left.dirty, near: Some(near), ..InstantState::default() };
        self.renew_spans(to, &mut state, None);
        let origins = |spans: &BTreeMap<String, Span>| -> Vec<(String, TimeMs)> {
            spans.iter().map(|(colony_id, span)| (colony_id.clone(), span.origin)).collect()
        };
        if origins(&left.spans) != origins(&state.spans) {
            return;
        }
        for (key, onsets) in &self.types {
            if onsets.first_since(from).is_some_and(|at| at < to) {
                state.dirty.insert(key.clone());
                state.dirty.insert(general(key));
            }
        }
        self.instants.insert(to, state);
    }

    /// Makes the onsets agree with the changes. Returns the colonies that they are of; `None` for all.
    fn settle(&mut self) -> Option<BTreeSet<String>> {
        let mut colonies = BTreeSet::new();
        for key in std::mem::take(&mut self.changed) {
            if let Entry::Occupied(mut onsets) = self.types.entry(key.clone()) {
                onsets.get_mut().settle();
                if onsets.get().is_empty() {
                    onsets.remove();
                }
            }
            colonies.insert(key.colony_id);
        }
        (!std::mem::take(&mut self.has_forgotten)).then_some(colonies)
    }

    /// Updates what came after each closed instant, given the changes of rows; returns its own.
    fn follow_up(&mut self, known_until: TimeMs, now: TimeMs, changes: &[(ScanRow, i64)]) -> Vec<(ScanRow, i64)> {
        let altered = changes.iter().filter_map(|(row, _)| match row {
            ScanRow::Pair(pair) => Some((pair.instant, (pair.source.clone(), pair.target.clone()))),
            ScanRow::Totals(_) | ScanRow::After(_) => None,
        });
        let closed = self.instants.iter().filter(|(_, state)| !state.current);
        let rows: ClosedRows<'_> = closed.map(|(at, state)| (*at, &state.rows)).collect();
        let present = Present { now, known_until };
        let view = View { rows: &rows, types: &self.types, present, params: &self.params };
        self.follow.update(view, altered.collect())
    }

    /// At how many instants of how many pairs, taken together, the last scan looked at what came after.
    pub fn followed(&self) -> usize {
        self.follow.tried()
    }

    /// How many pairs the last scan looked at, each once for every instant.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Pairs get other weights where other calls count than before: those of the services at their ends.
    fn weigh_again(&mut self, now: TimeMs) {
        let changed = self.calls.count_since(now - self.params.keep_ms());
        for (colony_id, service_id) in changed {
            let is_meant = |key: &&EventTypeKey| key.colony_id == colony_id && key.service_id == service_id;
            let types: Vec<&EventTypeKey> = self.types.keys().filter(is_meant).collect();
            for state in self.instants.values_mut() {
                state.dirty.extend(types.iter().copied().cloned());
            }
        }
    }

    /// The observed span of a colony at an instant. A colony is observed from the midnight before its first onset: before
    /// that it is used neither as source nor as target.
    fn span(&self, instant: TimeMs, colony_id: &str) -> Option<Span> {
        let search_start = origin_search_start(&self.params, instant);
        let key =
            EventTypeKey { colony_id: colony_id.to_owned(), service_id: String::new(), event_type: String::new() };
        let of_colony = self.types.range(key..).take_while(|(key, _)| key.colony_id == colony_id);
        let first = of_colony.filter_map(|(_, onsets)| onsets.first_since(search_start)).min();
        span_at(&self.params, instant, first.filter(|at| *at < instant))
    }

    /// Updates the spans of an instant, of which those of some colonies may be others; of all for `None`. Returns whether
    /// there are others.
    fn renew_spans(&self, instant: TimeMs, state: &mut InstantState, colonies: Option<&BTreeSet<String>>) -> bool {
        let Some(colonies) = colonies.filter(|_| state.totals.is_some()) else {
            let all: BTreeSet<&str> = self.types.keys().map(|key| &*key.colony_id).collect();
            let span = |colony_id: &str| Some((colony_id.to_owned(), self.span(instant, colony_id)?));
            let spans = all.into_iter().filter_map(span).collect();
            return std::mem::replace(&mut state.spans, spans) != state.spans;
        };
        let mut renewed = false;
        for colony_id in colonies {
            let before = match self.span(instant, colony_id) {
                Some(span) => state.spans.insert(colony_id.clone(), span),
                None => state.spans.remove(colony_id),
            };
            renewed |= before != state.spans.get(colony_id).copied();
        }
        renewed
    }

    /// Updates the rows and totals of one instant; whether there was anything to update.
    fn refresh(
        &mut self,
        instant: TimeMs,
        state: &mut InstantState,
        colonies: Option<&BTreeSet<String>>,
        changes: &mut Vec<(ScanRow, i64)>,
    ) -> bool {
        let renewed = self.renew_spans(instant, state, colonies);
        if !renewed && state.dirty.is_empty() && state.totals.is_some() {
            return false;
        }
        // the current instant has moved on: there are no rows yet
        let has_moved = state.totals.is_none() && !renewed;
        if renewed {
            state.take_back(changes);
            state.near = state.current.then(|| Near { until: instant + DAY_MS, pairs: BTreeSet::new() });
        } else {
            let touched = |pair: &PairKey| state.dirty.contains(&pair.0) || state.dirty.contains(&pair.1);
            take_back_where(&mut state.rows, touched, changes);
            if let Some(near) = &mut state.near {
                near.pairs.retain(|pair| !touched(pair));
            }
        }
        let near = if has_moved { state.near_by_span() } else { BTreeMap::new() };
        let least_e = self.least_e(state.current);
        let mut totals = (0, 0);
        let mut types: BTreeMap<&EventTypeKey, bool> = BTreeMap::new();
        // a pair is observed while both of its colonies are: one pass per start
        let begins: BTreeSet<Span> = state.spans.values().copied().collect();
        for span in begins {
            let observed = observed(&self.types, &self.calls, &state.spans, span);
            let family = Family::new(&observed);
            let (pairs, weights) = family.eligible_pairs(self.shard);
            totals = (totals.0 + pairs, totals.1 + weights);
            let of_services = observed.iter().filter(|one| one.begins_here && one.is_seen_service());
            types.extend(of_services.map(|one| (one.key, one.is_eligible())));
            let is_dirty = |index: usize| renewed || state.dirty.contains(observed[index].key);
            // pairs of a changed source, then pairs of a changed target with another source
            let (dirty, clean): (Vec<usize>, Vec<usize>) = (0..observed.len()).partition(|index| is_dirty(*index));
            let all: Vec<usize> = (0..observed.len()).collect();
            let mut sweep = Sweep::new(&self.windows, &mut self.logs, self.shard, span, (&observed, &family));
            sweep.least_e = least_e;
            sweep.with_detail = state.current;
            if let Some(near) = &state.near {
                sweep.note_near(near.until);
            }
            let mut found = sweep.run(&dirty, &all);
            found.extend(sweep.run(&clean, &dirty));
            for pair in near.get(&span).into_iter().flatten() {
                found.extend(sweep.look_again(pair));
            }
            if let Some(near) = &mut state.near {
                let keys =
                    |(source, target): (usize, usize)| (observed[source].key.clone(), observed[target].key.clone());
                near.pairs.extend(sweep.near.drain(..).map(keys));
            }
            self.work.add(sweep.work);
            for row in found {
                changes.push((ScanRow::Pair(row.clone()), 1));
                state.rows.insert((row.source.clone(), row.target.clone()), row);
            }
        }
        let supply = Supply::of(types.into_iter().map(|(key, is_eligible)| (key.colony_id.as_str(), is_eligible)));
        self.set_totals(instant, state, (totals.0, totals.1, supply), changes);
        true
    }

    /// Below this, weight times e-value, a pair is not listed.
    ///
    /// Now: 1, since a lower one has a q-value of 1 and changes no other. Earlier: a verdict there only asks whether q is
    /// at most `2 fdr`, and values below `1 / (2 fdr)` are never in such a place nor change who is (see [`crate::events::ebh`]).
    fn least_e(&self, current: bool) -> f64 {
        if current { 1.0 } else { (1.0 / (2.0 * self.params.false_discovery_rate)).max(1.0) }
    }

    fn set_totals(
        &self,
        instant: TimeMs,
        state: &mut InstantState,
        (eligible_pairs, weight_total, supply): (u64, u64, Supply),
        changes: &mut Vec<(ScanRow, i64)>,
    ) {
        let (current, shard) = (state.current, self.shard.index as u64);
        let totals = InstantTotals { instant, current, shard, eligible_pairs, weight_total, supply };
        if state.totals.as_ref() == Some(&totals) {
            return;
        }
        if let Some(old) = state.totals.replace(totals.clone()) {
            changes.push((ScanRow::Totals(old), -1));
        }
        changes.push((ScanRow::Totals(totals), 1));
    }

    /// At the current instant: what remains of pairs that had evidence earlier.
    fn refresh_remnants(&mut self, state: &mut InstantState, changes: &mut Vec<(ScanRow, i64)>) {
        let with_evidence = &self.with_evidence;
        let gone = |pair: &PairKey| {
            state.dirty.contains(&pair.0)
                || state.dirty.contains(&pair.1)
                || state.rows.contains_key(pair)
                || !with_evidence.contains(pair)
        };
        take_back_where(&mut state.remnants, gone, changes);
        let mut missing: BTreeMap<Span, Vec<&PairKey>> = BTreeMap::new();
        for pair in with_evidence {
            if state.rows.contains_key(pair) || state.remnants.contains_key(pair) {
                continue;
            }
            if let Some(span) = state.span_of(pair) {
                missing.entry(span).or_default().push(pair);
            }
        }
        for (span, pairs) in missing {
            let observed = observed(&self.types, &self.calls, &state.spans, span);
            let family = Family::new(&observed);
            let mut sweep = Sweep::new(&self.windows, &mut self.logs, self.shard, span, (&observed, &family));
            for pair in pairs {
                let Some(row) = sweep.remnant(pair) else { continue };
                changes.push((ScanRow::Pair(row.clone()), 1));
                state.remnants.insert(pair.clone(), row);
            }
            self.work.add(sweep.work);
        }
    }
}

impl InstantState {
    /// The span in which a pair is observed.
    fn span_of(&self, pair: &PairKey) -> Option<Span> {
        let of_colony = |key: &EventTypeKey| self.spans.get(&key.colony_id).copied();
        Some(of_colony(&pair.0)?.max(of_colony(&pair.1)?))
    }

    /// The pairs that may be listed soon.
    fn near_by_span(&self) -> BTreeMap<Span, Vec<PairKey>> {
        let mut pairs: BTreeMap<Span, Vec<PairKey>> = BTreeMap::new();
        for pair in self.near.iter().flat_map(|near| &near.pairs) {
            if let Some(span) = self.span_of(pair) {
                pairs.entry(span).or_default().push(pair.clone());
            }
        }
        pairs
    }

    /// Retracts all rows of this instant.
    fn take_back(&mut self, changes: &mut Vec<(ScanRow, i64)>) {
        take_back_where(&mut self.rows, |_| true, changes);
        take_back_where(&mut self.remnants, |_| true, changes);
        changes.extend(self.totals.take().map(|totals| (ScanRow::Totals(totals), -1)));
    }
}

fn take_back_where(
    rows: &mut BTreeMap<PairKey, PairScan>,
    condition: impl Fn(&PairKey) -> bool,
    changes: &mut Vec<(ScanRow, i64)>,
) {
    for (_, row) in rows.extract_if(.., |pair, _| condition(pair)) {
        changes.push((ScanRow::Pair(row), -1));
    }
}

/// Sorted changes without those that cancel.
fn consolidated(mut changes: Vec<(ScanRow, i64)>) -> Vec<(ScanRow, i64)> {
    changes.sort_unstable();
    let mut net: Vec<(ScanRow, i64)> = Vec::with_capacity(changes.len());
    for (row, diff) in changes {
        match net.last_mut() {
            Some(last) if last.0 == row => last.1 += diff,
            _ => net.push((row, diff)),
        }
    }
    net.retain(|(_, diff)| *diff != 0);
    net
}
