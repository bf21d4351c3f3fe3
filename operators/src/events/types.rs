//! The onsets of one event type, and the part of them that is observed at an instant.

use crate::events::background::count_hits_between;
use crate::events::episodes::Onset;
use crate::events::matching::match_one_to_one;
use crate::events::pair::PairResult;
use crate::events::row::{Identity, Match, PairDetail, PairScan};
use crate::events::span::Span;
use crate::shard::Shard;
use model::event::EventTypeKey;
use model::real::Real;
use model::time::TimeMs;
use std::collections::BTreeMap;

/// Onsets of one type, by time.
#[derive(Clone, Debug, Default)]
pub struct TypeOnsets {
    /// With how often each was inserted less how often taken back. One per instant is left after a batch.
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

/// What is observed of a type at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The type.
    pub key: &'a EventTypeKey,
    /// Times of its onsets.
    pub times: &'a [i64],
    /// Of these, the ones whose windows, and mirrored windows, are observed.
    pub eligible: &'a [i64],
    /// Whether its colony is observed from the begin of the span, not from earlier on.
    pub begins_here: bool,
    onsets: &'a [Onset],
}

impl<'a> Observed<'a> {
    /// The settled onsets of `key` in `span`.
    pub fn new(
        key: &'a EventTypeKey,
        onsets: &'a TypeOnsets,
        span: Span,
        begins_here: bool,
        max_lag_ms: i64,
    ) -> Observed<'a> {
        let range = span.observed_range(&onsets.times);
        let times = &onsets.times[range.clone()];
        let eligible = span.eligible(times, max_lag_ms);
        Observed { key, times, eligible, begins_here, onsets: &onsets.settled[range] }
    }

    /// Whether the pair of this source with `target` is between two colonies and observed from the begin of this span.
    pub fn makes_pair_here(&self, target: &Observed) -> bool {
        self.key.colony_id != target.key.colony_id && (self.begins_here || target.begins_here)
    }

    /// Whether pairs with this source are scanned by `shard`.
    pub fn belongs_to(&self, shard: Shard) -> bool {
        shard.owns(&[&self.key.colony_id, &self.key.service_id, &self.key.event_type])
    }

    fn identity(&self) -> Identity {
        let text = |field: fn(&Onset) -> &String| self.onsets.last().map(field).cloned().unwrap_or_default();
        Identity {
            application_name: text(|onset| &onset.application_name),
            environment: text(|onset| &onset.environment),
        }
    }

    /// The row of the pair with this source. Occurrences are matched among all observed onsets, not only eligible
    /// sources, so that an occurrence counts as soon as it is seen.
    pub fn pair_row(&self, target: &Observed, result: &PairResult, span: Span, with_detail: bool) -> PairScan {
        let (start_ms, end_ms) = (result.window.start_ms(), result.window.end_ms());
        let matches = match_one_to_one(self.times, target.times, start_ms, end_ms);
        let detail = || PairDetail {
            source_identity: self.identity(),
            target_identity: target.identity(),
            source_count: result.source_count as u64,
            hits: result.hits as u64,
            hits_reversed: count_hits_between(self.eligible, target.times, -end_ms, -start_ms) as u64,
            window_min: (result.window.start_min, result.window.end_min),
            chance: Real(result.chance),
            score: Real(result.score),
            matches: matches.iter().map(|&(s, t)| matched(&self.onsets[s], &target.onsets[t])).collect(),
        };
        PairScan {
            instant: span.instant,
            source: self.key.clone(),
            target: target.key.clone(),
            log_e: Real(result.log_e),
            occurrences: u32::try_from(matches.len()).unwrap_or(u32::MAX),
            detail: with_detail.then(detail),
        }
    }
}

fn matched(source: &Onset, target: &Onset) -> Match {
    Match {
        source_at: source.at,
        source_event_id: source.event_id.clone(),
        target_at: target.at,
        target_event_id: target.event_id.clone(),
    }
}
