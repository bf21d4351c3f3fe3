//! The onsets of one event type, and the part of them that is observed at an instant.

use crate::calls::Partners;
use crate::counts::Counts;
use crate::events::ends::Ends;
use crate::events::episodes::Onset;
use crate::events::lag::{LagPair, lag_law};
use crate::events::levels::is_general;
use crate::events::pair::{ONSETS_MIN, PairResult};
use crate::events::row::{Frequency, Identity, Match, PairDetail, PairScan, WeightedPair};
use crate::events::shown::Shown;
use crate::events::span::Span;
use crate::events::windows::Windows;
use crate::shard::Shard;
use model::event::EventTypeKey;
use model::real::Real;
use model::time::{DAY_MS, TimeMs};
use std::collections::{BTreeMap, BTreeSet};

/// More changed times than this are not inserted one by one.
const CHANGED_MAX: usize = 64;

/// Onsets of one type, by time.
#[derive(Clone, Debug, Default)]
pub struct TypeOnsets {
    /// With insertions minus retractions. One per instant remains after a batch.
    onsets: BTreeMap<TimeMs, Counts<Onset>>,
    /// As of the last [`TypeOnsets::settle`], rising.
    times: Vec<i64>,
    /// Changed since then.
    changed: Vec<TimeMs>,
}

impl TypeOnsets {
    /// Adds `diff` copies.
    pub fn change(&mut self, onset: Onset, diff: i64) {
        let at = onset.at;
        let same_time = self.onsets.entry(at).or_default();
        same_time.change(onset, diff);
        if same_time.is_empty() {
            self.onsets.remove(&at);
        }
        self.changed.push(at);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.onsets.is_empty()
    }

    /// Drops onsets before `limit`.
    pub fn forget_before(&mut self, limit: TimeMs) {
        while let Some(entry) = self.onsets.first_entry().filter(|entry| *entry.key() < limit) {
            self.changed.push(*entry.key());
            entry.remove();
        }
    }

    /// Makes the times agree with the changes.
    pub fn settle(&mut self) {
        if self.changed.len() > CHANGED_MAX {
            self.times = self.onsets.keys().map(|at| at.0).collect();
            self.changed.clear();
        }
        for at in self.changed.drain(..) {
            match (self.times.binary_search(&at.0), self.onsets.contains_key(&at)) {
                (Err(place), true) => self.times.insert(place, at.0),
                (Ok(place), false) => {
                    self.times.remove(place);
                }
                _ => {}
            }
        }
    }

    /// Times of the settled onsets, rising.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// Application and environment, as the last settled onset before `until` states them.
    pub fn identity_before(&self, until: TimeMs) -> Identity {
        identity(self.last_before(until).and_then(|at| self.at(at.0)))
    }

    /// The last settled onset before `until`.
    pub fn last_before(&self, until: TimeMs) -> Option<TimeMs> {
        let place = self.times.partition_point(|at| *at < until.0).checked_sub(1)?;
        self.times.get(place).copied().map(TimeMs)
    }

    /// The first settled onset at or after `from`.
    pub fn first_since(&self, from: TimeMs) -> Option<TimeMs> {
        self.times.get(self.times.partition_point(|at| *at < from.0)).copied().map(TimeMs)
    }

    /// The onset at a settled time.
    pub fn at(&self, time: i64) -> Option<&Onset> {
        self.onsets.get(&TimeMs(time)).and_then(Counts::first)
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
    onsets: &'a TypeOnsets,
}

impl<'a> Observed<'a> {
    /// The settled onsets of `key` in `span`.
    pub fn new(key: &'a EventTypeKey, onsets: &'a TypeOnsets, span: Span, begins_here: bool) -> Observed<'a> {
        let times = &onsets.times[span.observed_range(&onsets.times)];
        Observed { key, times, begins_here, partners: None, onsets }
    }

    /// Whether it has enough onsets to be an end of a pair.
    pub fn is_eligible(&self) -> bool {
        self.times.len() >= ONSETS_MIN
    }

    /// Whether it is a type of a service, and has an onset here.
    pub fn is_seen_service(&self) -> bool {
        !is_general(self.key) && !self.times.is_empty()
    }

    /// Whether pairs with this source are scanned by `shard`.
    pub fn belongs_to(&self, shard: Shard) -> bool {
        shard.owns(&[&self.key.colony_id, &self.key.service_id, &self.key.event_type])
    }

    /// Its onsets as an end of pairs.
    pub fn ends(&self, span: Span, max_lag_min: u32) -> Ends {
        Ends::new(self.times, span, max_lag_min)
    }

    /// Application, as its latest onset states it.
    pub fn application_name(&self) -> &'a str {
        self.last().map_or("", |onset| &onset.application_name)
    }

    fn last(&self) -> Option<&'a Onset> {
        self.onsets.at(*self.times.last()?)
    }

    fn identity(&self) -> Identity {
        identity(self.last())
    }

    /// The row of the pair with this source.
    pub fn pair_row(
        &self,
        target: &Observed,
        result: &PairResult,
        windows: &Windows,
        span: Span,
        (weight, with_detail): (u32, bool),
    ) -> PairScan {
        let shown = Shown::around(self.times, target.times, result.window, result.expected, windows.max_lag_min);
        let matches = &shown.matches;
        let days: BTreeSet<i64> = matches.iter().map(|(source, _)| self.times[*source].div_euclid(DAY_MS)).collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let passed = &self.times[..self.passed(&shown, span)];
        let frequency = Frequency {
            window_min: (shown.start_min, shown.end_min),
            passed: passed.len() as u64,
            hits: count_hits(passed, target.times, shown.start_ms(), shown.end_ms()) as u64,
            chance: Real(shown.chance()),
        };
        PairScan {
            instant: span.instant,
            source: self.key.clone(),
            target: target.key.clone(),
            log_e: Real(result.log_e),
            weight,
            occurrences: count(matches.len()),
            days: count(days.len()),
            frequency,
            detail: with_detail.then(|| self.detail(target, result, windows, span, &shown)),
        }
    }

    /// How many sources have had their window.
    fn passed(&self, shown: &Shown, span: Span) -> usize {
        self.times.partition_point(|at| at + shown.end_ms() <= span.instant.0)
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
        let passed = self.passed(shown, span);
        let hits_passed = matches.iter().filter(|(source, _)| *source < passed).count();
        let is_matched = |source: &usize| matches.iter().any(|(matched, _)| matched == source);
        let (early, open): (Vec<usize>, Vec<usize>) = (passed..self.times.len()).partition(is_matched);
        let decided: Vec<i64> = (0..passed).chain(early).map(|source| self.times[source]).collect();
        let share = if passed == 0 { 0.0 } else { hits_passed as f64 / passed as f64 };
        let law = lag_law(&decided, target.times, result.window, windows.max_lag_min, result.expected);
        let pair_at =
            |source_at: i64, target_at: i64| Some(matched(self.onsets.at(source_at)?, target.onsets.at(target_at)?));
        let weighed = |pair: &LagPair| {
            Some(WeightedPair { pair: pair_at(pair.source_at, pair.target_at)?, weight: Real(pair.weight) })
        };
        PairDetail {
            source_identity: self.identity(),
            target_identity: target.identity(),
            source_count: decided.len() as u64,
            hits_reversed: count_hits(&self.times[..passed], target.times, -end_ms, -start_ms) as u64,
            open_count: open.len() as u64,
            open_until: open.last().map(|source| TimeMs(self.times[*source] + end_ms)),
            log_prior: Real(windows.log_prior(result.window)),
            score: Real(((share - chance) / (1.0 - chance).max(1e-9)).max(0.0)),
            lag_s: law.quartiles_s,
            matches: matches.iter().filter_map(|&(s, t)| pair_at(self.times[s], target.times[t])).collect(),
            matched_passed: hits_passed as u64,
            lag_pairs: law.pairs.iter().filter_map(weighed).collect(),
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

fn identity(onset: Option<&Onset>) -> Identity {
    let text = |field: fn(&Onset) -> &String| onset.map(field).cloned().unwrap_or_default();
    Identity { application_name: text(|onset| &onset.application_name), environment: text(|onset| &onset.environment) }
}

fn matched(source: &Onset, target: &Onset) -> Match {
    Match {
        source_at: source.at,
        source_event_id: source.event_id.clone(),
        target_at: target.at,
        target_event_id: target.event_id.clone(),
    }
}
