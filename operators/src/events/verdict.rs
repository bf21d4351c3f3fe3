//! The walk over instants: which patterns are candidates, confirmed, or withdrawn.
//!
//! At each instant e-BH gives q-values over all pairs that all shards tested there. A pattern is confirmed where its
//! confidence `1 - q` reaches `1 - fdr` with enough occurrences on enough days. It stays confirmed until its confidence
//! falls below `1 - 2 fdr` or its occurrences below the minimum; then it is withdrawn. Only the instants within the
//! horizon count, so the verdict depends on rows and on `now`, not on when it is evaluated.
//!
//! A pair of whole colonies follows from a pair of their services if the more specific pair has at least as much
//! evidence, or if confirmed ones cover nearly all of its occurrences. It then names that pair and is never confirmed
//! in addition.

use crate::events::ebh::q_values;
use crate::events::finding::{Judgement, finding, pattern_key};
use crate::events::levels::{is_general, is_more_specific};
use crate::events::params::EventParams;
use crate::events::reason::{Bar, reason};
use crate::events::row::{Frequency, InstantTotals, Match, PairAfter, PairScan, ScanRow};
use crate::tested::Tested;
use libm::log;
use model::event::EventTypeKey;
use model::pattern::{Finding, PatternState};
use model::real::Real;
use model::time::TimeMs;
use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

type PairKey = (EventTypeKey, EventTypeKey);

/// Share of its occurrences that confirmed, more specific pairs must cover for a pair to follow from them.
const COVERED_MIN: f64 = 0.8;

/// What all shards say about one instant.
#[derive(Clone, Debug, Default)]
struct InstantRows {
    totals: BTreeSet<InstantTotals>,
    pairs: BTreeMap<PairKey, Scanned>,
    after: BTreeMap<PairKey, BTreeSet<PairAfter>>,
    /// Closed instants only: the patterns that passed as confirmed, as of the last refresh.
    stands: BTreeSet<PairKey>,
}

/// The row of a pair at an instant; while changes come in there may be two or none.
#[derive(Clone, Debug, Default)]
struct Scanned {
    rows: BTreeSet<PairScan>,
    /// As of the last refresh.
    judged: Option<Judged>,
}

/// A pattern that passed as confirmed at a closed instant, and what came after.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// How often the target had followed by then.
    pub frequency: &'a Frequency,
    /// What came until the next instant.
    pub after: &'a PairAfter,
}

/// q-value and occurrences of a pair.
#[derive(Clone, Copy, Debug)]
struct Judged {
    q_value: f64,
    occurrences: u32,
    days: u32,
}

/// What a finding follows from, beside the row of its pair.
#[derive(Clone, Debug, PartialEq)]
struct Grounds {
    q_value: f64,
    state: PatternState,
    part_of: Option<PairKey>,
    bar: Bar,
}

/// Turns the scan rows of all shards into findings. Give it all rows of a tick at once: q-values need all pairs.
///
/// ```
/// use coral_operators::events::row::{InstantTotals, PairScan, ScanRow};
/// use coral_operators::events::{EventParams, EventVerdict};
/// use coral_operators::tested::{Supply, Tested};
/// use model::time::TimeMs;
/// let supply = Supply { seen: 9, usable: 8, colonies: 4 };
/// let totals =
///     InstantTotals { instant: TimeMs(0), current: true, shard: 0, eligible_pairs: 56, weight_total: 56, supply };
/// let mut verdict = EventVerdict::new(EventParams::default());
/// // pairs were tested, none had evidence
/// assert!(verdict.apply(vec![(ScanRow::Totals(totals), 1)]).is_empty());
/// assert_eq!(verdict.tested(), Tested { pairs: 56, supply });
/// ```
#[derive(Clone, Debug)]
pub struct EventVerdict {
    params: EventParams,
    instants: BTreeMap<TimeMs, InstantRows>,
    /// The current instant as of the last refresh.
    current_at: Option<TimeMs>,
    /// The closed instants as of the last refresh.
    closed_at: BTreeSet<TimeMs>,
    /// States after them, of the pairs with a row at one of them.
    closed: BTreeMap<PairKey, PatternState>,
    /// Of the pairs with a row at the current instant: the finding, if there is one, and what it follows from.
    known: BTreeMap<PairKey, (Grounds, Option<Finding>)>,
    /// Patterns of which something is different at a closed instant since this was last taken, and the first such instant.
    restood: BTreeMap<PairKey, TimeMs>,
}

impl EventVerdict {
    /// Without rows.
    pub fn new(params: EventParams) -> EventVerdict {
        let (instants, closed_at, closed, known, restood) = Default::default();
        EventVerdict { params, instants, current_at: None, closed_at, closed, known, restood }
    }

    /// Applies changes of scan rows and returns the changes of findings, sorted.
    pub fn apply(&mut self, changes: Vec<(ScanRow, i64)>) -> Vec<(Finding, i64)> {
        let mut touched = BTreeSet::new();
        let mut changed: BTreeSet<(&EventTypeKey, &EventTypeKey)> = BTreeSet::new();
        // retractions first: one pair may have an old and a new row
        for insert in [false, true] {
            for (row, _) in changes.iter().filter(|(_, diff)| (*diff > 0) == insert) {
                let instant = self.change(row, insert);
                // what came after an instant changes no q-value there
                if !matches!(row, ScanRow::After(_)) {
                    touched.insert(instant);
                }
                if let ScanRow::Pair(pair) = row {
                    changed.insert((&pair.source, &pair.target));
                }
            }
        }
        for instant in &touched {
            if let Some(rows) = self.instants.get_mut(instant) {
                rows.judge();
            }
            self.stand(*instant);
        }
        self.note_restood(&changes);
        self.instants.retain(|_, rows| !rows.is_empty());
        self.current_at = self.current().map(|(at, _)| at);
        let closed_at: BTreeSet<TimeMs> =
            self.instants.keys().copied().filter(|at| Some(*at) != self.current_at).collect();
        if closed_at != self.closed_at || !closed_at.is_disjoint(&touched) {
            self.closed_at = closed_at;
            self.closed = self.close();
        }
        self.refresh(&changed)
    }

    /// What was tested at the current instant: ordered pairs.
    pub fn tested(&self) -> Tested {
        self.current().map_or(Tested::default(), |(_, rows)| rows.tested())
    }

    fn current(&self) -> Option<(TimeMs, &InstantRows)> {
        let is_current = |rows: &InstantRows| rows.totals.iter().any(|totals| totals.current);
        self.instants.iter().rev().find(|(_, rows)| is_current(rows)).map(|(at, rows)| (*at, rows))
    }

    fn change(&mut self, row: &ScanRow, insert: bool) -> TimeMs {
        match row {
            ScanRow::Totals(totals) => {
                let rows = self.instants.entry(totals.instant).or_default();
                if insert {
                    rows.totals.insert(totals.clone())
                } else {
                    rows.totals.remove(totals)
                };
                totals.instant
            }
            ScanRow::Pair(pair) => {
                let rows = self.instants.entry(pair.instant).or_default();
                let key = (pair.source.clone(), pair.target.clone());
                match rows.pairs.entry(key) {
                    Entry::Vacant(place) if insert => {
                        place.insert(Scanned { rows: BTreeSet::from([pair.clone()]), judged: None });
                    }
                    Entry::Vacant(_) => {}
                    Entry::Occupied(mut place) => {
                        let rows = &mut place.get_mut().rows;
                        if insert {
                            rows.insert(pair.clone())
                        } else {
                            rows.remove(pair)
                        };
                        if rows.is_empty() {
                            place.remove();
                        }
                    }
                }
                pair.instant
            }
            ScanRow::After(after) => {
                let rows = self.instants.entry(after.instant).or_default();
                let key = (after.source.clone(), after.target.clone());
                let same_pair = rows.after.entry(key.clone()).or_default();
                if insert {
                    same_pair.insert(after.clone())
                } else {
                    same_pair.remove(after)
                };
                if same_pair.is_empty() {
                    rows.after.remove(&key);
                }
                after.instant
            }
        }
    }

    /// Updates which patterns passed as confirmed at a closed instant.
    ///
    /// Each instant is judged by itself: a state that it has from earlier ones would depend on how far back the walk
    /// begins. A pair of whole colonies passes only where it does not follow from pairs of their services.
    fn stand(&mut self, instant: TimeMs) {
        let Some(rows) = self.instants.get_mut(&instant) else { return };
        let is_closed = !rows.totals.iter().any(|totals| totals.current);
        let passing: Vec<(&PairKey, &PairScan)> = rows
            .pairs
            .iter()
            .filter(|(_, scanned)| {
                let passes = |one: Judged| one.passes(self.params.false_discovery_rate, &self.params);
                is_closed && scanned.judged.is_some_and(passes)
            })
            .filter_map(|(key, scanned)| Some((key, scanned.rows.first()?)))
            .collect();
        let specific = Specific::of(passing.iter().copied());
        let stands: BTreeSet<PairKey> = passing
            .iter()
            .filter(|(key, pair)| !is_covered(key, pair, &specific))
            .map(|(key, _)| (*key).clone())
            .collect();
        for key in stands.symmetric_difference(&rows.stands) {
            note_first(&mut self.restood, key, instant);
        }
        rows.stands = stands;
    }

    /// Notes the patterns whose rows are different at an instant where they pass.
    fn note_restood(&mut self, changes: &[(ScanRow, i64)]) {
        for (row, _) in changes {
            let (instant, key) = match row {
                ScanRow::Totals(_) => continue,
                ScanRow::Pair(pair) => (pair.instant, (pair.source.clone(), pair.target.clone())),
                ScanRow::After(after) => (after.instant, (after.source.clone(), after.target.clone())),
            };
            if self.instants.get(&instant).is_some_and(|rows| rows.stands.contains(&key)) {
                note_first(&mut self.restood, &key, instant);
            }
        }
    }

    /// The patterns of which something is different at a closed instant since the last call, and the first such instant.
    pub fn take_restood(&mut self) -> BTreeMap<PairKey, TimeMs> {
        std::mem::take(&mut self.restood)
    }

    /// Where a pattern passed as confirmed at a closed instant, by instant.
    pub fn standing<'a>(&'a self, pattern: &'a PairKey) -> impl Iterator<Item = Standing<'a>> {
        self.instants.values().filter(|rows| rows.stands.contains(pattern)).filter_map(|rows| {
            let pair = rows.pairs.get(pattern)?.rows.first()?;
            Some(Standing { frequency: &pair.frequency, after: rows.after.get(pattern)?.first()? })
        })
    }

    /// Refreshes the findings of the pairs with a row at the current instant, and returns what changed, sorted. Of all of
    /// them the grounds are compared; findings are made where these changed, or the row of the pair.
    fn refresh(&mut self, changed: &BTreeSet<(&EventTypeKey, &EventTypeKey)>) -> Vec<(Finding, i64)> {
        let mut before = std::mem::take(&mut self.known);
        let (mut out, mut known) = (Vec::new(), BTreeMap::new());
        for (key, pair, grounds) in self.current().map(|(_, current)| self.grounds(current)).unwrap_or_default() {
            let old = before.remove_entry(key);
            match old {
                Some((key, (old, finding))) if old == grounds && !changed.contains(&(&key.0, &key.1)) => {
                    known.insert(key, (old, finding));
                }
                old => {
                    let fresh = self.finding(pair, &grounds);
                    let (key, old) = old.map_or_else(|| (key.clone(), None), |(key, (_, finding))| (key, finding));
                    if fresh != old {
                        out.extend(old.map(|finding| (finding, -1)));
                        out.extend(fresh.clone().map(|finding| (finding, 1)));
                    }
                    known.insert(key, (grounds, fresh));
                }
            }
        }
        out.extend(before.into_values().filter_map(|(_, finding)| Some((finding?, -1))));
        self.known = known;
        out.sort_unstable();
        out
    }

    /// The pairs with a row at the current instant, and what their findings follow from.
    fn grounds<'a>(&self, current: &'a InstantRows) -> Vec<(&'a PairKey, &'a PairScan, Grounds)> {
        let judged = || {
            let of_pair =
                |(key, scanned): (&'a PairKey, &'a Scanned)| Some((key, scanned.rows.first()?, scanned.judged?));
            current.pairs.iter().filter_map(of_pair)
        };
        let rate = self.params.false_discovery_rate;
        let declared = judged().filter(|(_, _, one)| one.q_value <= rate).count();
        let bar = Bar { weight_total: current.weight_total(), declared };
        let states: BTreeMap<&PairKey, PatternState> = judged()
            .map(|(key, _, one)| {
                let closed = self.closed.get(key).copied().unwrap_or(PatternState::Candidate);
                (key, self.next_state(closed, Some(&one)))
            })
            .collect();
        let specific = Specific::of(judged().map(|(key, pair, _)| (key, pair)));
        judged()
            .map(|(key, pair, one)| {
                let part_of = follows_from(key, pair, &specific, &states).cloned();
                let state = if part_of.is_some() { PatternState::Candidate } else { states[key] };
                (key, pair, Grounds { q_value: one.q_value, state, part_of, bar })
            })
            .collect()
    }

    fn finding(&self, pair: &PairScan, grounds: &Grounds) -> Option<Finding> {
        let Grounds { q_value, state, part_of, bar } = grounds.clone();
        // a candidate must be eligible by itself; a confirmed pattern is shown as long as any of its rows remain
        let has_evidence = pair.log_e.0 >= 0.0 && pair.occurrences >= self.params.min_occurrences;
        if state == PatternState::Candidate && !has_evidence {
            return None;
        }
        let why = match (&part_of, state) {
            (Some(_), _) => Some("follows from a more specific pattern".to_owned()),
            (None, PatternState::Confirmed) => None,
            (None, _) => Some(reason(pair, pair.detail.as_ref()?, bar, &self.params)),
        };
        let part_of = part_of.map(|(source, target)| pattern_key(&source, &target).correlation_id());
        finding(pair, Judgement { q_value, state, reason: why, part_of })
    }

    /// The states of pairs after all closed instants in order.
    fn close(&self) -> BTreeMap<PairKey, PatternState> {
        let closed: Vec<&InstantRows> =
            self.instants.iter().filter(|(at, _)| self.closed_at.contains(at)).map(|(_, rows)| rows).collect();
        let pairs: BTreeSet<&PairKey> = closed.iter().flat_map(|rows| rows.pairs.keys()).collect();
        let state = |pair: &PairKey| {
            let judged = |rows: &&InstantRows| rows.pairs.get(pair).and_then(|scanned| scanned.judged);
            closed.iter().map(judged).fold(PatternState::Candidate, |state, one| self.next_state(state, one.as_ref()))
        };
        pairs.into_iter().map(|pair| (pair.clone(), state(pair))).collect()
    }

    /// The state of a pair after one more instant.
    fn next_state(&self, state: PatternState, judged: Option<&Judged>) -> PatternState {
        let rate = self.params.false_discovery_rate;
        let holds = |limit: f64| judged.is_some_and(|one| one.passes(limit, &self.params));
        match state {
            PatternState::Confirmed if holds(2.0 * rate) => PatternState::Confirmed,
            _ if holds(rate) => PatternState::Confirmed,
            PatternState::Confirmed => PatternState::Withdrawn,
            other => other,
        }
    }
}

impl Judged {
    /// Whether its q-value is at most `limit`, with enough occurrences on enough days.
    fn passes(self, limit: f64, params: &EventParams) -> bool {
        self.q_value <= limit && self.occurrences >= params.min_occurrences && self.days >= params.min_days
    }
}

impl InstantRows {
    fn is_empty(&self) -> bool {
        self.totals.is_empty() && self.pairs.is_empty() && self.after.is_empty()
    }

    fn tested(&self) -> Tested {
        let supply = self.totals.iter().map(|totals| totals.supply).max().unwrap_or_default();
        Tested { pairs: self.totals.iter().map(|totals| totals.eligible_pairs).sum(), supply }
    }

    fn weight_total(&self) -> u64 {
        self.totals.iter().map(|totals| totals.weight_total).sum()
    }

    /// Recomputes the q-values.
    fn judge(&mut self) {
        let weighted =
            |scanned: &Scanned| scanned.rows.first().map(|pair| Real(pair.log_e.0 + log(f64::from(pair.weight))));
        let mut ranked: Vec<(Real, usize)> =
            self.pairs.values().enumerate().filter_map(|(place, scanned)| Some((weighted(scanned)?, place))).collect();
        // pairs of equal evidence in the order of their names
        ranked.sort_by_key(|ranked| Reverse(ranked.0));
        let log_weighted: Vec<f64> = ranked.iter().map(|(weighted, _)| weighted.0).collect();
        let mut q_by_place = vec![1.0; self.pairs.len()];
        for ((_, place), q_value) in ranked.iter().zip(q_values(&log_weighted, self.weight_total())) {
            q_by_place[*place] = q_value;
        }
        for (scanned, q_value) in self.pairs.values_mut().zip(q_by_place) {
            let judged = |pair: &PairScan| Judged { q_value, occurrences: pair.occurrences, days: pair.days };
            scanned.judged = scanned.rows.first().map(judged);
        }
    }
}

/// The pairs of an instant that may be more specific than a pair of whole colonies: those of the same colonies and event
/// types.
struct Specific<'a>(BTreeMap<[&'a str; 4], Vec<(&'a PairKey, &'a PairScan)>>);

impl<'a> Specific<'a> {
    fn of(pairs: impl Iterator<Item = (&'a PairKey, &'a PairScan)>) -> Specific<'a> {
        let mut by_types: BTreeMap<[&str; 4], Vec<(&PairKey, &PairScan)>> = BTreeMap::new();
        for (key, pair) in pairs {
            by_types.entry(Specific::types(key)).or_default().push((key, pair));
        }
        Specific(by_types)
    }

    fn types(key: &PairKey) -> [&str; 4] {
        [&key.0.colony_id, &key.0.event_type, &key.1.colony_id, &key.1.event_type]
    }

    /// In the order of their names.
    fn than(&self, whole: &PairKey) -> Vec<(&'a PairKey, &'a PairScan)> {
        let of_types = self.0.get(&Specific::types(whole)).into_iter().flatten();
        of_types.filter(|(other, _)| is_more_specific(other, whole)).copied().collect()
    }
}

fn note_first(places: &mut BTreeMap<PairKey, TimeMs>, key: &PairKey, instant: TimeMs) {
    if let Some(first) = places.get_mut(key) {
        *first = instant.min(*first);
    } else {
        places.insert(key.clone(), instant);
    }
}

/// Whether a pair of whole colonies follows from pairs of their services: one of them has at least as much evidence, or
/// those that pass have nearly as many occurrences.
fn is_covered(key: &PairKey, pair: &PairScan, passing: &Specific) -> bool {
    if !is_general(&key.0) && !is_general(&key.1) {
        return false;
    }
    let specific = passing.than(key);
    let occurrences: u64 = specific.iter().map(|(_, other)| u64::from(other.occurrences)).sum();
    specific.iter().any(|(_, other)| other.log_e >= pair.log_e)
        || occurrences as f64 >= COVERED_MIN * f64::from(pair.occurrences)
}

/// The more specific pair that a pair of whole colonies follows from, if there is one.
fn follows_from<'a>(
    key: &PairKey,
    pair: &PairScan,
    specific: &Specific<'a>,
    states: &BTreeMap<&PairKey, PatternState>,
) -> Option<&'a PairKey> {
    if !is_general(&key.0) && !is_general(&key.1) {
        return None;
    }
    let is_confirmed = |one: &PairKey| states.get(one) == Some(&PatternState::Confirmed);
    let specific = specific.than(key);
    let (best, best_pair) = specific.iter().max_by(|a, b| a.1.log_e.cmp(&b.1.log_e).then_with(|| b.0.cmp(a.0)))?;
    if best_pair.log_e >= pair.log_e && (is_confirmed(best) || !is_confirmed(key)) {
        return Some(best);
    }
    let confirmed: Vec<&(&PairKey, &PairScan)> = specific.iter().filter(|(other, _)| is_confirmed(other)).collect();
    let strongest = confirmed.iter().max_by(|a, b| a.1.log_e.cmp(&b.1.log_e).then_with(|| b.0.cmp(a.0)))?;
    let covered: BTreeSet<(&str, &str)> = confirmed
        .iter()
        .filter_map(|(_, pair)| pair.detail.as_ref())
        .flat_map(|detail| event_ids(&detail.matches))
        .collect();
    let own = &pair.detail.as_ref()?.matches;
    let shared = event_ids(own).filter(|ids| covered.contains(ids)).count();
    (shared as f64 >= COVERED_MIN * own.len() as f64).then_some(strongest.0)
}

fn event_ids(matches: &[Match]) -> impl Iterator<Item = (&str, &str)> {
    matches.iter().map(|one| (one.source_event_id.as_str(), one.target_event_id.as_str()))
}
