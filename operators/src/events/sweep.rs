//! One pass over the pairs with the same start of observation, at one instant.

use crate::calls::Calls;
use crate::events::ends::Ends;
use crate::events::glance::{GLANCE_MIN, Logs, glance};
use crate::events::levels::is_general;
use crate::events::pair::evaluate;
use crate::events::row::PairScan;
use crate::events::span::Span;
use crate::events::types::{Observed, TypeOnsets};
use crate::events::windows::{HitCounter, Windows, cell};
use crate::shard::Shard;
use libm::log;
use model::event::EventTypeKey;
use model::real::Real;
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

/// Number and sum of weights of the eligible ordered pairs of different colonies that are observed from the start of
/// this pass and whose source belongs to the shard.
pub fn eligible_pairs(observed: &[Observed], shard: Shard) -> (u64, u64) {
    let eligible: Vec<&Observed> = observed.iter().filter(|one| one.is_eligible()).collect();
    let (mut pairs, mut weights) = (0, 0);
    for source in eligible.iter().filter(|one| one.belongs_to(shard)) {
        for target in eligible.iter().filter(|target| source.makes_pair_here(target)) {
            pairs += 1;
            weights += u64::from(source.weight_with(target));
        }
    }
    (pairs, weights)
}

/// One pass over pairs at one instant.
pub struct Sweep<'a> {
    /// Weight times e-value from which a pair is listed.
    pub least_e: f64,
    /// Whether rows come with their detail.
    pub with_detail: bool,
    windows: &'a Windows,
    logs: &'a mut Logs,
    shard: Shard,
    span: Span,
    observed: &'a [Observed<'a>],
    /// By position, when first needed.
    ends: Vec<Option<Ends>>,
    hits: HitCounter,
}

impl<'a> Sweep<'a> {
    /// Over the pairs observed in `span`.
    pub fn new(
        windows: &'a Windows,
        logs: &'a mut Logs,
        shard: Shard,
        span: Span,
        observed: &'a [Observed<'a>],
    ) -> Sweep<'a> {
        let (ends, hits) = (vec![None; observed.len()], HitCounter::new(windows));
        Sweep { least_e: 1.0, with_detail: true, windows, logs, shard, span, observed, ends, hits }
    }

    /// The pairs of `sources` and `targets` (positions in the observed types) with weight times e-value of at least
    /// `least_e`.
    ///
    /// All targets of a source are found in one sweep over their onsets merged by time; a pair that never co-occurs
    /// costs nothing.
    pub fn run(&mut self, sources: &[usize], targets: &[usize]) -> Vec<PairScan> {
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
                    if source.makes_pair_here(&observed[target]) {
                        if lags[target].is_empty() {
                            met.push(target);
                        }
                        lags[target].push((position as u32, target_at - at));
                    }
                }
            }
            met.sort_unstable();
            for index in met {
                let least = log(self.least_e / f64::from(source.weight_with(&observed[index])));
                let bound = self.glance(source_index, index, &lags[index]);
                lags[index].clear();
                if bound >= least.max(GLANCE_MIN) {
                    found.extend(Some(self.row(source_index, index)).filter(|row| row.log_e.0 >= least));
                }
            }
        }
        found
    }

    /// The row of one pair, with any evidence; `None` if it is no longer eligible.
    pub fn remnant(&mut self, pair: &(EventTypeKey, EventTypeKey)) -> Option<PairScan> {
        let observed = self.observed;
        let end = |key: &EventTypeKey| observed.iter().position(|one| one.key == key && one.is_eligible());
        let (source, target) = (end(&pair.0)?, end(&pair.1)?);
        let mut lags = Vec::new();
        for (position, at) in observed[source].times.iter().enumerate() {
            let targets = observed[target].times;
            let after = &targets[targets.partition_point(|next| next <= at)..];
            let near = after.iter().map(|next| next - at).take_while(|lag| *lag <= self.windows.max_lag_ms());
            lags.extend(near.map(|lag| (position as u32, lag)));
        }
        let bound = self.glance(source, target, &lags);
        let mut row = self.row(source, target);
        if bound < GLANCE_MIN {
            row.log_e = Real(f64::NEG_INFINITY);
        }
        Some(row)
    }

    /// The pre-check of a pair with these lags, ordered by source, then ascending.
    fn glance(&mut self, source: usize, target: usize, lags: &[(u32, i64)]) -> f64 {
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

    fn row(&mut self, source: usize, target: usize) -> PairScan {
        let ends = |index: usize| self.observed[index].ends(self.span, self.windows.max_lag_min);
        let of_source = self.ends[source].take().unwrap_or_else(|| ends(source));
        let of_target = self.ends[target].take().unwrap_or_else(|| ends(target));
        let result = evaluate(self.windows, &of_source, &of_target, self.span.length_ms());
        self.ends[source] = Some(of_source);
        self.ends[target] = Some(of_target);
        let (source, target) = (&self.observed[source], &self.observed[target]);
        source.pair_row(target, &result, self.windows, self.span, self.with_detail)
    }
}
