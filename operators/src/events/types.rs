//! The onsets of one event type, and the part of them that is observed at an instant.

use crate::calls::{Partners, are_linked};
use crate::events::ends::Ends;
use crate::events::episodes::Onset;
use crate::events::lag::lag_law_s;
use crate::events::levels::{is_general, weight};
use crate::events::pair::{ONSETS_MIN, PairResult};
use crate::events::row::{Identity, Match, PairDetail, PairScan};
use crate::events::shown::Shown;
use crate::events::span::Span;
use crate::events::windows::Windows;
use crate::shard::Shard;
use model::event::EventTypeKey;
use model::real::Real;
use model::time::{DAY_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

/// Onsets of one type, by time.
#[derive(Clone, Debug, Default)]
pub struct TypeOnsets {
    /// With insertions minus retractions. One per instant remains after a batch.
    onsets: BTreeMap<Onset, i64>,
    /// As of the last [`TypeOnsets::settle`]: times and the onsets themselves, rising.
    times: Vec<i64>,
    settled: Vec<Onset>,
    stale: bool,
}

impl TypeOnsets {
    /// Adds `diff` copies.
    pub fn change(&mut self, onset: Onset, diff: i64) {
        let count = self.onsets.entry(onset.clone()).or_default();
        *count += diff;
        if *count == 0 {
            self.onsets.remove(&onset);
        }
        self.stale = true;
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.onsets.is_empty()
    }

    /// Drops onsets before `limit`.
    pub fn forget_before(&mut self, limit: TimeMs) {
        while let Some(entry) = self.onsets.first_entry().filter(|entry| entry.key().at < limit) {
            entry.remove();
            self.stale = true;
        }
    }

    /// Makes the arrays agree with the changes.
    pub fn settle(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.settled = self.onsets.keys().cloned().collect();
            self.settled.dedup_by_key(|onset| onset.at);
            self.times = self.settled.iter().map(|onset| onset.at.0).collect();
        }
    }

    /// The first settled onset at or after `from`.
    pub fn first_since(&self, from: TimeMs) -> Option<TimeMs> {
        self.times.get(self.times.partition_point(|at| *at < from.0)).copied().map(TimeMs)
    }
}

/// The observed onsets of a type at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The type.
    pub key: &'a EventTypeKey,
    /// Times of its onsets.
    pub times: &'a [i64],
    /// Whether its colony is observed from the begin of the span, not from earlier on.
    pub begins_here: bool,
    /// The services that its service is linked to, as its colony says.
    pub partners: Option<&'a Partners>,
    onsets: &'a [Onset],
}

impl<'a> Observed<'a> {
    /// The settled onsets of `key` in `span`.
    pub fn new(key: &'a EventTypeKey, onsets: &'a TypeOnsets, span: Span, begins_here: bool) -> Observed<'a> {
        let range = span.observed_range(&onsets.times);
        let times = &onsets.times[range.clone()];
        Observed { key, times, begins_here, partners: None, onsets: &onsets.settled[range] }
    }

    /// Whether it has enough onsets to be an end of a pair.
    pub fn is_eligible(&self) -> bool {
        self.times.len() >= ONSETS_MIN
    }

    /// Whether it is a type of a service, and has an onset here.
    pub fn is_seen_service(&self) -> bool {
        !is_general(self.key) && !self.times.is_empty()
    }

    /// Whether the pair of this source with `target` is between two colonies and observed from the begin of this span.
    pub fn makes_pair_here(&self, target: &Observed) -> bool {
        self.key.colony_id != target.key.colony_id && (self.begins_here || target.begins_here)
    }

    /// Whether pairs with this source are scanned by `shard`.
    pub fn belongs_to(&self, shard: Shard) -> bool {
        shard.owns(&[&self.key.colony_id, &self.key.service_id, &self.key.event_type])
    }

    /// Its onsets as an end of pairs.
    pub fn ends(&self, span: Span, max_lag_min: u32) -> Ends {
        Ends::new(self.times, span, max_lag_min)
    }

    /// Application, as its latest onset states it, and service.
    fn names(&self) -> (&'a str, &'a str) {
        (self.onsets.last().map_or("", |onset| &onset.application_name), &self.key.service_id)
    }

    /// Prior weight of the pair with this source.
    pub fn weight_with(&self, target: &Observed) -> u32 {
        let is_linked = are_linked((&self.key.service_id, self.partners), (&target.key.service_id, target.partners));
        weight(self.names(), target.names(), is_linked)
    }

    fn identity(&self) -> Identity {
        let text = |field: fn(&Onset) -> &String| self.onsets.last().map(field).cloned().unwrap_or_default();
        Identity {
            application_name: text(|onset| &onset.application_name),
            environment: text(|onset| &onset.environment),
        }
    }

    /// The row of the pair with this source.
    pub fn pair_row(
        &self,
        target: &Observed,
        result: &PairResult,
        windows: &Windows,
        span: Span,
        with_detail: bool,
    ) -> PairScan {
        let shown = Shown::around(self.times, target.times, result.window, result.expected, windows.max_lag_min);
        let matches = &shown.matches;
        let days: BTreeSet<i64> = matches.iter().map(|(source, _)| self.times[*source].div_euclid(DAY_MS)).collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        PairScan {
            instant: span.instant,
            source: self.key.clone(),
            target: target.key.clone(),
            log_e: Real(result.log_e),
            weight: self.weight_with(target),
            occurrences: count(matches.len()),
            days: count(days.len()),
            detail: with_detail.then(|| self.detail(target, result, windows, span, &shown)),
        }
    }

    /// A source is decided once its window has passed or it has its target, so that hits are shown at once. The score
    /// counts only sources whose window has passed, which depends only on the clock.
    fn detail(
        &self,
        target: &Observed,
        result: &PairResult,
        windows: &Windows,
        span: Span,
        shown: &Shown,
    ) -> PairDetail {
        let (matches, chance) = (&shown.matches, shown.chance());
        let (start_ms, end_ms) = (shown.start_ms(), shown.end_ms());
        let passed = self.times.partition_point(|at| at + end_ms <= span.instant.0);
        let hits_passed = matches.iter().filter(|(source, _)| *source < passed).count();
        let is_matched = |source: &usize| matches.iter().any(|(matched, _)| matched == source);
        let (early, open): (Vec<usize>, Vec<usize>) = (passed..self.times.len()).partition(is_matched);
        let decided: Vec<i64> = (0..passed).chain(early).map(|source| self.times[source]).collect();
        let share = if passed == 0 { 0.0 } else { hits_passed as f64 / passed as f64 };
        PairDetail {
            source_identity: self.identity(),
            target_identity: target.identity(),
            source_count: decided.len() as u64,
            hits: count_hits(&self.times[..passed], target.times, start_ms, end_ms) as u64,
            hits_reversed: count_hits(&self.times[..passed], target.times, -end_ms, -start_ms) as u64,
            open_count: open.len() as u64,
            open_until: open.last().map(|source| TimeMs(self.times[*source] + end_ms)),
            window_min: (shown.start_min, shown.end_min),
            log_prior: Real(windows.log_prior(result.window)),
            chance: Real(chance),
            score: Real(((share - chance) / (1.0 - chance).max(1e-9)).max(0.0)),
            lag_s: lag_law_s(&decided, target.times, result.window, windows.max_lag_min, result.expected),
            matches: matches.iter().map(|&(s, t)| matched(&self.onsets[s], &target.onsets[t])).collect(),
        }
    }
}

/// How many sources have a target at a lag in `(start_ms, end_ms]`; lags may be negative. Times must rise.
fn count_hits(sources: &[i64], targets: &[i64], start_ms: i64, end_ms: i64) -> usize {
    let is_hit = |source: &&i64| {
        let next = targets.partition_point(|target| target - **source <= start_ms);
        targets.get(next).is_some_and(|target| target - **source <= end_ms)
    };
    sources.iter().filter(is_hit).count()
}

fn matched(source: &Onset, target: &Onset) -> Match {
    Match {
        source_at: source.at,
        source_event_id: source.event_id.clone(),
        target_at: target.at,
        target_event_id: target.event_id.clone(),
    }
}
