//! One pass over the pairs with the same start of observation, at one instant.

use crate::calls::Calls;
use crate::events::ends::Ends;
use crate::events::family::Family;
use crate::events::glance::{GLANCE_MIN, Logs, glance};
use crate::events::levels::is_general;
use crate::events::pair::{PairResult, evaluate};
use crate::events::row::PairScan;
use crate::events::screen::{MEAN_MIN, Screen, is_below, is_near, may_come_near};
use crate::events::span::Span;
use crate::events::types::{Observed, TypeOnsets};
use crate::events::windows::{HitCounter, Windows, cell};
use crate::shard::Shard;
use libm::log;
use model::event::EventTypeKey;
use model::real::Real;
use model::time::TimeMs;
use std::collections::BTreeMap;

/// The types whose colonies are observed from the start of `span` or earlier. A whole colony is a type only if at least
/// two of its services have onsets.
pub fn observed<'a>(
    types: &'a BTreeMap<EventTypeKey, TypeOnsets>,
    calls: &'a Calls,
    spans: &BTreeMap<String, Span>,
    span: Span,
) -> Vec<Observed<'a>> {
    let seen: Vec<Observed> = types
        .iter()
        .filter_map(|(key, onsets)| {
            let own = spans.get(&key.colony_id).filter(|own| own.origin <= span.origin)?;
            let mut observed = Observed::new(key, onsets, span, *own == span);
            observed.partners = calls.partners(&key.colony_id, &key.service_id);
            Some(observed)
        })
        .collect();
    let mut services: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in seen.iter().filter(|one| !is_general(one.key) && !one.times.is_empty()) {
        *services.entry((&one.key.colony_id, &one.key.event_type)).or_default() += 1;
    }
    let counts = |one: &Observed| {
        !is_general(one.key)
            || services.get(&(&*one.key.colony_id, &*one.key.event_type)).is_some_and(|count| *count > 1)
    };
    seen.into_iter().filter(counts).collect()
}

/// How many pairs were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Pairs of which the lags were counted.
    pub looked: usize,
    /// Pairs of which all windows were evaluated.
    pub evaluated: usize,
}

impl Work {
    /// Adds what another pass looked at.
    pub fn add(&mut self, other: Work) {
        self.looked += other.looked;
        self.evaluated += other.evaluated;
    }
}

/// Sources are few if there are so many times more targets.
const FEW: usize = 8;

/// One pass over pairs at one instant.
pub struct Sweep<'a> {
    /// Weight times e-value from which a pair is listed.
    pub least_e: f64,
    /// Whether rows come with their detail.
    pub with_detail: bool,
    /// Positions of the ends of pairs that were noted.
    pub near: Vec<(usize, usize)>,
    /// So far.
    pub work: Work,
    /// For the span grown as long as pairs are noted for, with the logarithm of the factor by which it grows.
    grown: Option<(Screen<'a>, f64)>,
    windows: &'a Windows,
    logs: &'a mut Logs,
    shard: Shard,
    span: Span,
    observed: &'a [Observed<'a>],
    family: &'a Family<'a>,
    /// By position, when first needed.
    ends: Vec<Option<Ends>>,
    hits: HitCounter,
    screen: Screen<'a>,
}

impl<'a> Sweep<'a> {
    /// Over the pairs observed in `span`.
    pub fn new(
        windows: &'a Windows,
        logs: &'a mut Logs,
        shard: Shard,
        span: Span,
        (observed, family): (&'a [Observed<'a>], &'a Family<'a>),
    ) -> Sweep<'a> {
        let (ends, hits) = (vec![None; observed.len()], HitCounter::new(windows));
        let screen = Screen::new(windows, span.length_ms());
        let (near, grown) = (Vec::new(), None);
        Sweep {
            least_e: 1.0,
            with_detail: true,
            near,
            work: Work::default(),
            grown,
            windows,
            logs,
            shard,
            span,
            observed,
            family,
            ends,
            hits,
            screen,
        }
    }

    /// The pairs of `sources` and `targets` (positions in the observed types) with weight times e-value of at least
    /// `least_e`.
    ///
    /// All targets of a source are found in one sweep over their onsets merged by time; a pair that never co-occurs
    /// costs nothing.
    pub fn run(&mut self, sources: &[usize], targets: &[usize]) -> Vec<PairScan> {
        if sources.len() * FEW <= targets.len() {
            return self.run_few(sources, targets);
        }
        let observed = self.observed;
        let max_lag_ms = self.windows.max_lag_ms();
        let mut merged: Vec<(i64, usize)> = targets
            .iter()
            .filter(|index| observed[**index].is_eligible())
            .flat_map(|index| observed[*index].times.iter().map(|at| (*at, *index)))
            .collect();
        merged.sort_unstable();
        let mut lags: Vec<Vec<(u32, i64)>> = vec![Vec::new(); observed.len()];
        let mut found = Vec::new();
        for (source_index, source) in sources.iter().map(|index| (*index, &observed[*index])) {
            if !source.is_eligible() || !source.belongs_to(self.shard) {
                continue;
            }
            let mut met = Vec::new();
            let mut first = 0;
            for (position, at) in source.times.iter().enumerate() {
                while first < merged.len() && merged[first].0 <= *at {
                    first += 1;
                }
                for &(target_at, target) in merged[first..].iter().take_while(|(next, _)| next - at <= max_lag_ms) {
                    if self.family.makes_pair_here(source_index, target) {
                        if lags[target].is_empty() {
                            met.push(target);
                        }
                        lags[target].push((position as u32, target_at - at));
                    }
                }
            }
            met.sort_unstable();
            for index in met {
                found.extend(self.look_and_note((source_index, index), &lags[index]));
                lags[index].clear();
            }
        }
        found
    }

    /// The same, pair by pair: for few sources that is less than to merge all targets.
    fn run_few(&mut self, sources: &[usize], targets: &[usize]) -> Vec<PairScan> {
        let observed = self.observed;
        let mut found = Vec::new();
        for source in sources.iter().copied().filter(|source| observed[*source].is_eligible()) {
            if !observed[source].belongs_to(self.shard) {
                continue;
            }
            for target in targets.iter().copied().filter(|target| observed[*target].is_eligible()) {
                if self.family.makes_pair_here(source, target) {
                    let lags = self.lags(source, target);
                    found.extend(self.look_and_note((source, target), &lags));
                }
            }
        }
        found
    }

    /// The row of a pair with these lags, if it is listed. Notes it if it may be listed soon.
    fn look_and_note(&mut self, pair: (usize, usize), lags: &[(u32, i64)]) -> Option<PairScan> {
        self.work.looked += 1;
        let mean = self.mean(pair, lags);
        let counts = (self.observed[pair.0].times.len(), self.observed[pair.1].times.len());
        if let Some((screen, log_growth)) = &mut self.grown
            && may_come_near(mean, lags.len(), *log_growth)
            && (is_near(mean) || is_near(screen.mean(lags, counts)))
        {
            self.near.push(pair);
        }
        self.look(pair, lags, mean)
    }

    /// From now on pairs are noted that may be listed up to this instant while their onsets stay the same.
    pub fn note_near(&mut self, until: TimeMs) {
        let (length_ms, grown_ms) = (self.span.length_ms(), until - self.span.origin);
        self.grown = Some((Screen::new(self.windows, grown_ms), log(grown_ms as f64 / length_ms as f64)));
    }

    /// The row of one pair, if it is listed.
    pub fn look_again(&mut self, pair: &(EventTypeKey, EventTypeKey)) -> Option<PairScan> {
        let (source, target) = self.places(pair)?;
        self.work.looked += 1;
        let lags = self.lags(source, target);
        let mean = self.mean((source, target), &lags);
        self.look((source, target), &lags, mean)
    }

    fn mean(&mut self, (source, target): (usize, usize), lags: &[(u32, i64)]) -> f64 {
        self.screen.mean(lags, (self.observed[source].times.len(), self.observed[target].times.len()))
    }

    /// The row of a pair with these lags, if it is listed.
    fn look(&mut self, (source, target): (usize, usize), lags: &[(u32, i64)], mean: f64) -> Option<PairScan> {
        if mean < MEAN_MIN {
            return None;
        }
        let weight = self.family.weight(source, target);
        let least = log(self.least_e / f64::from(weight));
        if is_below(mean, least.max(GLANCE_MIN)) {
            return None;
        }
        if self.glance((source, target), lags) < least.max(GLANCE_MIN) {
            return None;
        }
        let result = self.evaluate(source, target);
        (result.log_e >= least).then(|| self.row((source, target), &result, weight))
    }

    /// The row of one pair, with any evidence; `None` if it is no longer eligible.
    pub fn remnant(&mut self, pair: &(EventTypeKey, EventTypeKey)) -> Option<PairScan> {
        let (source, target) = self.places(pair)?;
        self.work.looked += 1;
        let lags = self.lags(source, target);
        let bound = self.glance((source, target), &lags);
        let result = self.evaluate(source, target);
        let mut row = self.row((source, target), &result, self.family.weight(source, target));
        if bound < GLANCE_MIN {
            row.log_e = Real(f64::NEG_INFINITY);
        }
        Some(row)
    }

    /// Positions of the ends of a pair, if they are eligible. Types come in the order of their keys.
    fn places(&self, pair: &(EventTypeKey, EventTypeKey)) -> Option<(usize, usize)> {
        let place = |key: &EventTypeKey| self.observed.binary_search_by(|one| one.key.cmp(key)).ok();
        let end = |key: &EventTypeKey| place(key).filter(|index| self.observed[*index].is_eligible());
        Some((end(&pair.0)?, end(&pair.1)?))
    }

    /// The lags of a pair, ordered by source, then ascending.
    fn lags(&self, source: usize, target: usize) -> Vec<(u32, i64)> {
        let (sources, targets) = (self.observed[source].times, self.observed[target].times);
        let mut lags = Vec::new();
        let mut first = 0;
        for (position, at) in sources.iter().enumerate() {
            while first < targets.len() && targets[first] <= *at {
                first += 1;
            }
            let near = targets[first..].iter().map(|next| next - at);
            lags.extend(near.take_while(|lag| *lag <= self.windows.max_lag_ms()).map(|lag| (position as u32, lag)));
        }
        lags
    }

    /// The pre-check of a pair with these lags, ordered by source, then ascending.
    fn glance(&mut self, (source, target): (usize, usize), lags: &[(u32, i64)]) -> f64 {
        self.hits.clear();
        let mut present = None;
        for &(source, lag_ms) in lags {
            if present != Some(source) {
                present = Some(source);
                self.hits.next_source();
            }
            self.hits.add(self.windows, cell(lag_ms));
        }
        let (n, targets) = (self.observed[source].times.len(), self.observed[target].times.len());
        glance(self.windows, &self.hits, n, targets, self.span.length_ms(), self.logs)
    }

    fn evaluate(&mut self, source: usize, target: usize) -> PairResult {
        self.work.evaluated += 1;
        let ends = |index: usize| self.observed[index].ends(self.span, self.windows.max_lag_min);
        let of_source = self.ends[source].take().unwrap_or_else(|| ends(source));
        let of_target = self.ends[target].take().unwrap_or_else(|| ends(target));
        let result = evaluate(self.windows, &of_source, &of_target, self.span.length_ms());
        self.ends[source] = Some(of_source);
        self.ends[target] = Some(of_target);
        result
    }

    fn row(&self, (source, target): (usize, usize), result: &PairResult, weight: u32) -> PairScan {
        let (source, target) = (&self.observed[source], &self.observed[target]);
        source.pair_row(target, result, self.windows, self.span, (weight, self.with_detail))
    }
}
