//! All pairs at all instants, kept up to date: the state machine between onsets and verdicts.
//!
//! Each instant of the walk keeps its rows. A scan re-evaluates, at each instant, only the pairs of which an onset inside
//! the span changed, and everything where the span itself is new: the current instant moves on with `now`.

use crate::events::background::{TargetRate, moved_counts};
use crate::events::bound::{Bounds, upper_bound};
use crate::events::episodes::Onset;
use crate::events::pair::{ONSETS_MIN, PairScorer};
use crate::events::params::EventParams;
use crate::events::row::{InstantTotals, PairScan, ScanRow};
use crate::events::span::{Span, instants, origin_search_start, span_at};
use crate::events::types::{Observed, TypeOnsets};
use crate::events::windows::HitCounter;
use crate::shard::Shard;
use libm::log;
use model::event::EventTypeKey;
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

type PairKey = (EventTypeKey, EventTypeKey);

/// What is known at one instant.
#[derive(Clone, Debug, Default)]
struct InstantState {
    current: bool,
    /// What is observed of each colony; empty before the first onset.
    spans: BTreeMap<String, Span>,
    /// Types with an onset changed inside the span since the last scan.
    dirty: BTreeSet<EventTypeKey>,
    /// Pairs with evidence of their own.
    rows: BTreeMap<PairKey, PairScan>,
    /// Current instant only: pairs without evidence that had some at an earlier instant.
    remnants: BTreeMap<PairKey, PairScan>,
    totals: Option<InstantTotals>,
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
    scorer: PairScorer,
    bounds: Bounds,
    types: BTreeMap<EventTypeKey, TypeOnsets>,
    instants: BTreeMap<TimeMs, InstantState>,
    forgotten_before: TimeMs,
}

impl EventScan {
    /// Without onsets.
    pub fn new(params: EventParams, shard: Shard) -> EventScan {
        let scorer = PairScorer::new(params.max_lag_min());
        EventScan {
            params,
            shard,
            scorer,
            bounds: Bounds::default(),
            types: BTreeMap::new(),
            instants: BTreeMap::new(),
            forgotten_before: TimeMs(i64::MIN),
        }
    }

    /// Takes in changes of onsets, of all types.
    pub fn apply(&mut self, changes: Vec<(Onset, i64)>) {
        for (onset, diff) in changes {
            if onset.at < self.forgotten_before {
                continue;
            }
            // onsets before a span matter only through its origin, which each scan finds anew
            for (_, state) in self.instants.range_mut((onset.at + 1)..) {
                if state.spans.get(&onset.key.colony_id).is_some_and(|span| onset.at >= span.origin) {
                    state.dirty.insert(onset.key.clone());
                }
            }
            let onsets = self.types.entry(onset.key.clone()).or_default();
            onsets.change(onset, diff);
        }
        self.types.retain(|_, onsets| !onsets.is_empty());
    }

    /// Drops onsets before `limit`; later changes before it are ignored. Harmless for `limit <= now - keep_ms`.
    pub fn forget_before(&mut self, limit: TimeMs) {
        if limit <= self.forgotten_before {
            return;
        }
        self.forgotten_before = limit;
        self.types.retain(|_, onsets| {
            onsets.forget_before(limit);
            !onsets.is_empty()
        });
    }

    /// Brings all instants up to date and returns what changed since the last scan, sorted.
    pub fn scan(&mut self, now: TimeMs) -> Vec<(ScanRow, i64)> {
        let mut changes = Vec::new();
        let wanted = instants(&self.params, now);
        let current = wanted.last().copied();
        let is_wanted = |instant: &TimeMs, state: &InstantState| {
            wanted.binary_search(instant).is_ok() && state.current == (current == Some(*instant))
        };
        self.instants.retain(|instant, state| {
            let keep = is_wanted(instant, state);
            if !keep {
                state.take_back(&mut changes);
            }
            keep
        });
        for onsets in self.types.values_mut() {
            onsets.settle();
        }
        let mut with_evidence = BTreeSet::new();
        for instant in &wanted {
            let fresh = || InstantState { current: current == Some(*instant), ..InstantState::default() };
            let mut state = self.instants.remove(instant).unwrap_or_else(fresh);
            self.refresh(*instant, &mut state, &mut changes);
            if state.current {
                self.refresh_remnants(&mut state, &with_evidence, &mut changes);
            } else {
                with_evidence.extend(state.rows.keys().cloned());
            }
            state.dirty.clear();
            self.instants.insert(*instant, state);
        }
        self.bounds.clear();
        consolidated(changes)
    }

    /// What is observed of each colony at an instant. A colony is observed from the midnight before its first onset: a
    /// colony that came later than others says nothing about the time before, neither as source nor as target.
    fn spans(&self, instant: TimeMs) -> BTreeMap<String, Span> {
        let search_start = origin_search_start(&self.params, instant);
        let mut first: BTreeMap<&str, TimeMs> = BTreeMap::new();
        for (key, onsets) in &self.types {
            if let Some(at) = onsets.first_since(search_start).filter(|at| *at < instant) {
                first.entry(&key.colony_id).and_modify(|first| *first = at.min(*first)).or_insert(at);
            }
        }
        let span = |at: TimeMs| span_at(&self.params, instant, Some(at));
        first.into_iter().filter_map(|(colony_id, at)| Some((colony_id.to_owned(), span(at)?))).collect()
    }

    /// Brings the rows and totals of one instant up to date.
    fn refresh(&mut self, instant: TimeMs, state: &mut InstantState, changes: &mut Vec<(ScanRow, i64)>) {
        let spans = self.spans(instant);
        let renewed = spans != state.spans;
        if !renewed && state.dirty.is_empty() && state.totals.is_some() {
            return;
        }
        if renewed {
            state.take_back(changes);
            state.spans = spans;
        } else {
            let touched = |pair: &PairKey| state.dirty.contains(&pair.0) || state.dirty.contains(&pair.1);
            take_back_where(&mut state.rows, touched, changes);
        }
        let max_lag_ms = self.scorer.windows.max_lag_ms();
        let least_e = self.least_e(state.current);
        let mut eligible = 0;
        // a pair is observed from where both of its colonies are: one pass for each such begin
        let begins: BTreeSet<Span> = state.spans.values().copied().collect();
        for span in begins {
            let observed: Vec<Observed> = self
                .types
                .iter()
                .filter_map(|(key, onsets)| {
                    let own = state.spans.get(&key.colony_id).filter(|own| own.origin <= span.origin)?;
                    Some(Observed::new(key, onsets, span, *own == span, max_lag_ms))
                })
                .collect();
            eligible += eligible_pairs(&observed, self.shard);
            let is_dirty = |index: usize| renewed || state.dirty.contains(observed[index].key);
            // pairs of a changed source, then pairs of a changed target with another source
            let (dirty, clean): (Vec<usize>, Vec<usize>) = (0..observed.len()).partition(|index| is_dirty(*index));
            let all: Vec<usize> = (0..observed.len()).collect();
            let mut sweep =
                Sweep { scorer: &mut self.scorer, bounds: &mut self.bounds, shard: self.shard, span, least_e };
            let mut found = sweep.run(&observed, &dirty, &all, state.current);
            found.extend(sweep.run(&observed, &clean, &dirty, state.current));
            for row in found {
                changes.push((ScanRow::Pair(row.clone()), 1));
                state.rows.insert((row.source.clone(), row.target.clone()), row);
            }
        }
        self.set_totals(instant, state, eligible, changes);
    }

    /// Below this e-value a pair is not listed.
    ///
    /// Now: 1, since a lower one has a q-value of 1 and changes no other. Earlier: a verdict there only asks whether q is
    /// at most `2 fdr`, and e-values below `1 / (2 fdr)` are never in such a place nor change who is (see [`crate::events::ebh`]).
    fn least_e(&self, current: bool) -> f64 {
        if current { 1.0 } else { (1.0 / (2.0 * self.params.false_discovery_rate)).max(1.0) }
    }

    fn set_totals(
        &self,
        instant: TimeMs,
        state: &mut InstantState,
        eligible_pairs: u64,
        changes: &mut Vec<(ScanRow, i64)>,
    ) {
        let totals = InstantTotals { instant, current: state.current, shard: self.shard.index as u64, eligible_pairs };
        if state.totals.as_ref() == Some(&totals) {
            return;
        }
        if let Some(old) = state.totals.replace(totals.clone()) {
            changes.push((ScanRow::Totals(old), -1));
        }
        changes.push((ScanRow::Totals(totals), 1));
    }

    /// At the current instant: what remains of pairs that had evidence earlier.
    fn refresh_remnants(
        &mut self,
        state: &mut InstantState,
        with_evidence: &BTreeSet<PairKey>,
        changes: &mut Vec<(ScanRow, i64)>,
    ) {
        let gone = |pair: &PairKey| {
            state.dirty.contains(&pair.0)
                || state.dirty.contains(&pair.1)
                || state.rows.contains_key(pair)
                || !with_evidence.contains(pair)
        };
        take_back_where(&mut state.remnants, gone, changes);
        let max_lag_ms = self.scorer.windows.max_lag_ms();
        for pair in with_evidence {
            if state.rows.contains_key(pair) || state.remnants.contains_key(pair) {
                continue;
            }
            let (Some(source), Some(target)) = (self.types.get(&pair.0), self.types.get(&pair.1)) else { continue };
            let of_colony = |key: &EventTypeKey| state.spans.get(&key.colony_id).copied();
            let (Some(of_source), Some(of_target)) = (of_colony(&pair.0), of_colony(&pair.1)) else { continue };
            let span = of_source.max(of_target);
            let source = Observed::new(&pair.0, source, span, of_source == span, max_lag_ms);
            let target = Observed::new(&pair.1, target, span, of_target == span, max_lag_ms);
            let rate = TargetRate::learn(target.times, span, self.scorer.windows.max_lag_min);
            if let Some(result) = self.scorer.evaluate(source.times, target.times, &rate, span) {
                let row = source.pair_row(&target, &result, span, true);
                changes.push((ScanRow::Pair(row.clone()), 1));
                state.remnants.insert(pair.clone(), row);
            }
        }
    }
}

impl InstantState {
    /// Retracts everything this instant said.
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

/// Eligible ordered pairs of different colonies that are observed from the begin of this pass and whose source belongs
/// to the shard.
fn eligible_pairs(observed: &[Observed], shard: Shard) -> u64 {
    // targets by colony; of those whose own begin this is
    let mut targets: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    for one in observed.iter().filter(|one| one.times.len() >= ONSETS_MIN) {
        targets.entry(&one.key.colony_id).or_insert((0, one.begins_here)).0 += 1;
    }
    let sources = observed.iter().filter(|one| one.eligible.len() >= ONSETS_MIN && one.belongs_to(shard));
    let of_source = |source: &Observed| -> u64 {
        let others = targets.iter().filter(|(colony_id, _)| **colony_id != source.key.colony_id);
        others.filter(|(_, (_, begins_here))| source.begins_here || *begins_here).map(|(_, (count, _))| count).sum()
    };
    sources.map(of_source).sum()
}

/// One pass over pairs at one instant.
struct Sweep<'a> {
    scorer: &'a mut PairScorer,
    bounds: &'a mut Bounds,
    shard: Shard,
    span: Span,
    least_e: f64,
}

impl Sweep<'_> {
    /// The pairs of `sources` and `targets` (positions in `observed`) with an e-value of at least `least_e`.
    ///
    /// All targets of a source are found in one sweep over their onsets merged by time; a pair that never co-occurs
    /// costs nothing, since its e-value is `1 / (n + 1)`.
    fn run(&mut self, observed: &[Observed], sources: &[usize], targets: &[usize], current: bool) -> Vec<PairScan> {
        let max_lag_ms = self.scorer.windows.max_lag_ms();
        let is_target = |index: &&usize| observed[**index].times.len() >= ONSETS_MIN;
        let mut merged: Vec<(i64, usize)> = targets
            .iter()
            .filter(is_target)
            .flat_map(|index| observed[*index].times.iter().map(|at| (*at, *index)))
            .collect();
        merged.sort_unstable();
        let mut rates: Vec<Option<TargetRate>> = vec![None; observed.len()];
        let mut lags: Vec<Vec<(u32, i64)>> = vec![Vec::new(); observed.len()];
        let mut hits = HitCounter::new(&self.scorer.windows);
        let log_least_e = log(self.least_e);
        let mut found = Vec::new();
        for source in sources.iter().map(|index| &observed[*index]) {
            if source.eligible.len() < ONSETS_MIN || !source.belongs_to(self.shard) {
                continue;
            }
            let mut met = Vec::new();
            let mut first = 0;
            for (position, at) in source.eligible.iter().enumerate() {
                while first < merged.len() && merged[first].0 <= *at {
                    first += 1;
                }
                for &(target_at, target) in merged[first..].iter().take_while(|(next, _)| next - at < max_lag_ms) {
                    if source.makes_pair_here(&observed[target]) {
                        if lags[target].is_empty() {
                            met.push(target);
                        }
                        lags[target].push((position as u32, target_at - at));
                    }
                }
            }
            met.sort_unstable();
            let moved = moved_counts(source.eligible, self.span, max_lag_ms);
            let mut bound_rows = BTreeMap::new();
            for index in met {
                let target = &observed[index];
                let count = target.times.len();
                let rows = bound_rows.entry(count).or_insert_with(|| {
                    self.bounds.rows(&self.scorer.windows, source.eligible.len(), count, moved, self.span)
                });
                let bound = upper_bound(&self.scorer.windows, rows, &lags[index], &mut hits);
                lags[index].clear();
                if bound < self.least_e {
                    continue;
                }
                let max_lag_min = self.scorer.windows.max_lag_min;
                let rate = rates[index].get_or_insert_with(|| TargetRate::learn(target.times, self.span, max_lag_min));
                let result = self.scorer.evaluate(source.times, target.times, rate, self.span);
                if let Some(result) = result.filter(|result| result.log_e >= log_least_e) {
                    found.push(source.pair_row(target, &result, self.span, current));
                }
            }
        }
        found
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
