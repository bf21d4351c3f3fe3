//! Revisions: what evaluations change in what is said of a pattern, as rows of `correlation_revisions`.
//!
//! A revision is written where a user would act on the change: a pattern is listed, confirmed, withdrawn or no longer
//! listed, an event joins or leaves its evidence, or the strength, lag or explanation of one that is not a mere candidate
//! moves. A candidate of metric series moves with each hour: of it only changes of state are written.

use super::published::Publication;
use model::derived::DerivedChange;
use model::pattern::{Correlation, Evidence, Finding, PatternKey, PatternState, SignalKind};
use model::time::TimeMs;
use operators::dataflow::{Change, Evaluate};
use sinks::StoreReader;
use sinks::revisions::{Before, CAUSES_MAX, REVISIONS, Revision};
use std::collections::{BTreeMap, BTreeSet};

/// A score that has moved by as much has a revision.
const SCORE_STEP: f64 = 0.05;

/// Patterns whose stored evidence is read after a restart; of further ones the causes are not known.
const EVIDENCE_READ_MAX: usize = 200;

/// Source and target of a matched pair.
type Pair = (String, String);

/// What the last revision of each pattern says, and what has changed since.
#[derive(Debug, Default)]
pub(crate) struct Revisions {
    last: BTreeMap<String, Correlation>,
    /// Patterns of an earlier run, whose evidence this engine has never taken back.
    inherited: BTreeSet<String>,
    /// Listed patterns that the store no longer has: their run ended before it wrote that they are gone.
    missing: BTreeSet<String>,
    /// Patterns of which the store says something else than their last revision: the causes of that are not known.
    unexplained: BTreeSet<String>,
    turns: BTreeMap<String, Turn>,
    as_of: Option<Evaluate>,
}

/// What has changed of one pattern.
#[derive(Debug, Default)]
struct Turn {
    /// Pairs that came, with 1, and that went, with -1; others are 0.
    pairs: BTreeMap<Pair, i64>,
    /// The newest row; `None` if it is no longer listed.
    after: Option<Correlation>,
}

impl Turn {
    fn count(&mut self, evidence: &[Evidence], by: i64) {
        for row in evidence.iter().filter(|row| row.is_match()) {
            *self.pairs.entry((row.source_ref.clone(), row.target_ref.clone())).or_default() += by;
        }
    }

    /// The events of pairs that came or went.
    fn causes(&self, key: &PatternKey) -> BTreeSet<String> {
        let moved = self.pairs.iter().filter(|(_, by)| **by != 0).map(|(pair, _)| pair);
        let of = |colony_id: &str, event_id: &str| format!("{colony_id}/{event_id}");
        moved
            .flat_map(|(source, target)| [of(&key.source.colony_id, source), of(&key.target.colony_id, target)])
            .collect()
    }
}

fn has_events(key: &PatternKey) -> bool {
    key.source.kind == SignalKind::Event && key.target.kind == SignalKind::Event
}

impl Revisions {
    /// Starts from the newest revision of each pattern, and from the patterns that an earlier run has stored. These may
    /// differ: a score moves in small steps without a revision, and a run may end after it wrote a pattern and before it
    /// wrote the revision. A replay writes revisions at its end only: where one that was killed `is_resumed`, patterns
    /// without a revision are news.
    pub(crate) fn inherit(newest: Vec<Revision>, stored: Vec<Correlation>, is_resumed: bool) -> Revisions {
        let stored: BTreeMap<String, Correlation> =
            stored.into_iter().map(|row| (row.key.correlation_id(), row)).collect();
        let inherited = stored.keys().cloned().collect();
        if newest.is_empty() && !is_resumed {
            // written by a version without revisions: what it stored is no news
            return Revisions { inherited, last: stored, ..Revisions::default() };
        }
        let listed = newest.into_iter().filter(|revision| revision.is_listed);
        let last: BTreeMap<String, Correlation> =
            listed.map(|revision| (revision.row.key.correlation_id(), revision.row)).collect();
        let missing: BTreeSet<String> = last.keys().filter(|id| !stored.contains_key(*id)).cloned().collect();
        let is_other = |(id, row): &(&String, &Correlation)| {
            stored.get(*id).is_none_or(|one| has_events(&row.key) && one.occurrence_count != row.occurrence_count)
        };
        let unexplained = last.iter().filter(is_other).map(|(id, _)| id.clone()).collect();
        Revisions { last, inherited, missing, unexplained, ..Revisions::default() }
    }

    /// Notes what an evaluation has changed.
    pub(crate) fn note(&mut self, changes: &[Change<Finding>], as_of: Evaluate) {
        self.as_of = Some(as_of);
        for (finding, diff) in changes.iter().filter(|(finding, _)| has_events(&finding.correlation.key)) {
            let turn = self.turns.entry(finding.correlation.key.correlation_id()).or_default();
            turn.count(&finding.evidence, *diff);
        }
    }

    /// Notes what is written of it.
    pub(crate) fn publish(&mut self, publication: &Publication) {
        // an evaluation that does not list them either
        for id in std::mem::take(&mut self.missing) {
            self.turns.entry(id).or_default();
        }
        for finding in &publication.findings {
            let id = finding.correlation.key.correlation_id();
            self.turns.entry(id).or_default().after = Some(finding.correlation.clone());
        }
        for id in &publication.removed {
            self.turns.entry(id.clone()).or_default().after = None;
        }
    }

    /// The revisions since they were last taken.
    pub(crate) async fn take(&mut self, stored: &dyn StoreReader, learnt_at: TimeMs) -> Option<DerivedChange> {
        let mut rows = Vec::new();
        let mut read = 0;
        for (id, mut turn) in std::mem::take(&mut self.turns) {
            let before = self.last.get(&id);
            let is_inherited = self.inherited.remove(&id);
            let Some(row) = turn.after.as_ref().or(before).cloned() else { continue };
            let is_listed = turn.after.is_some();
            let mut are_causes_known = !self.unexplained.remove(&id);
            // the whole evidence came again: what is stored of it is no news, unless the pattern is
            if is_inherited && before.is_some() {
                if !is_worth_it(before, turn.after.as_ref(), false) {
                    continue;
                }
                if are_causes_known {
                    read += 1;
                    are_causes_known = read <= EVIDENCE_READ_MAX && take_back(&mut turn, stored, &id).await;
                }
            }
            let causes = if are_causes_known { turn.causes(&row.key) } else { BTreeSet::new() };
            if !is_worth_it(before, turn.after.as_ref(), !causes.is_empty()) {
                continue;
            }
            let as_of =
                self.as_of.and_then(|as_of| if has_events(&row.key) { as_of.events_now } else { as_of.metrics_now });
            let count = u32::try_from(causes.len()).unwrap_or(u32::MAX);
            let revision = Revision {
                learnt_at,
                as_of,
                row,
                is_listed,
                before: before.map(Before::of),
                caused_by: causes.into_iter().take(CAUSES_MAX).collect(),
                caused_count: are_causes_known.then_some(count),
            };
            rows.push(revision.values());
            match is_listed {
                true => self.last.insert(id, revision.row),
                false => self.last.remove(&id),
            };
        }
        let is_news = !rows.is_empty();
        is_news.then(|| DerivedChange { table: REVISIONS.to_owned(), upserts: rows, removed: Vec::new() })
    }
}

/// Takes the stored evidence of a pattern from what came; whether the store has given it.
async fn take_back(turn: &mut Turn, stored: &dyn StoreReader, id: &str) -> bool {
    match stored.evidence(id).await {
        Ok(evidence) => {
            turn.count(&evidence, -1);
            true
        }
        Err(error) => {
            tracing::warn!(%error, correlation_id = id, "the revision of a pattern does not name its causes");
            false
        }
    }
}

fn is_worth_it(before: Option<&Correlation>, after: Option<&Correlation>, has_causes: bool) -> bool {
    let (before, after) = match (before, after) {
        (None, None) => return false,
        (Some(before), Some(after)) => (before, after),
        _ => return true,
    };
    let counts = has_events(&after.key) && before.occurrence_count != after.occurrence_count;
    let moved = before.lag_seconds != after.lag_seconds
        || before.explained_by != after.explained_by
        || (before.correlation_score.0 - after.correlation_score.0).abs() >= SCORE_STEP;
    before.state != after.state || has_causes || counts || (after.state != PatternState::Candidate && moved)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::run::published::Published;
    use model::real::Real;
    use sinks::StoreWriter;
    use sinks::compliance::commit_of;
    use sinks::compliance::rows::{START, finding};
    use sinks::memory::MemoryStore;

    const AS_OF: Evaluate = Evaluate { events_now: Some(START), metrics_now: None };

    /// What an evaluation changes, from what is written of it.
    async fn taken(
        revisions: &mut Revisions,
        published: &mut Published,
        store: &MemoryStore,
        changes: &[Change<Finding>],
        learnt_at: TimeMs,
    ) -> Vec<Revision> {
        revisions.note(changes, AS_OF);
        revisions.publish(&published.apply(changes.to_vec()));
        let change = revisions.take(store.reader().as_ref(), learnt_at).await;
        let rows = change.map(|change| change.upserts).unwrap_or_default();
        rows.iter().map(|row| Revision::of_values(row).unwrap()).collect()
    }

    fn confirmed(pairs: &[(&str, &str)]) -> Finding {
        finding("deploy", 0.7, pairs)
    }

    #[tokio::test]
    async fn a_pattern_is_listed_grows_by_named_events_and_goes() {
        let (mut revisions, mut published, store) = (Revisions::default(), Published::default(), MemoryStore::new());
        let first = confirmed(&[("d1", "e1"), ("d2", "e2")]);
        let all = taken(&mut revisions, &mut published, &store, &[(first.clone(), 1)], TimeMs(1)).await;
        let [listed] = all.as_slice() else { panic!("{all:?}") };
        assert!(listed.before.is_none() && listed.as_of == Some(START) && listed.learnt_at == TimeMs(1));
        assert_eq!((listed.caused_count, listed.caused_by.len()), (Some(4), 4));

        let grown = confirmed(&[("d1", "e1"), ("d2", "e2"), ("d3", "e3")]);
        let changes = [(first, -1), (grown.clone(), 1)];
        let all = taken(&mut revisions, &mut published, &store, &changes, TimeMs(2)).await;
        let [counted] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!(counted.caused_by, ["shop-production/d3", "shop-production/e3"]);
        let before = counted.before.as_ref().map(|before| before.occurrence_count);
        assert_eq!((before, counted.row.occurrence_count), (Some(2), 3));

        let all = taken(&mut revisions, &mut published, &store, &[(grown, -1)], TimeMs(3)).await;
        let [gone] = all.as_slice() else { panic!("{all:?}") };
        assert!(!gone.is_listed && gone.before.is_some() && gone.caused_count == Some(6));
        assert!(taken(&mut revisions, &mut published, &store, &[], TimeMs(4)).await.is_empty());
    }

    #[tokio::test]
    async fn small_steps_add_up_to_a_revision_and_a_candidate_of_metrics_only_changes_its_state() {
        let (mut revisions, mut published, store) = (Revisions::default(), Published::default(), MemoryStore::new());
        let scored = |score: f64| finding("deploy", score, &[("d1", "e1")]);
        taken(&mut revisions, &mut published, &store, &[(scored(0.70), 1)], TimeMs(1)).await;
        let steps = [(0.70, 0.72, 0), (0.72, 0.74, 0), (0.74, 0.76, 1), (0.76, 0.78, 0)];
        for (from, to, expected) in steps {
            let changes = [(scored(from), -1), (scored(to), 1)];
            let all = taken(&mut revisions, &mut published, &store, &changes, TimeMs(2)).await;
            assert_eq!(all.len(), expected, "{from} to {to}");
        }
        let metric = |score: f64, lag_seconds: i32, state: PatternState| {
            let mut finding = finding("load", score, &[]);
            (finding.correlation.key.source.kind, finding.correlation.key.target.kind) =
                (SignalKind::Metric, SignalKind::Metric);
            (finding.correlation.lag_seconds, finding.correlation.state) = (lag_seconds, state);
            finding.correlation.correlation_score = Real(score);
            finding
        };
        let states = [
            (metric(0.80, 0, PatternState::Candidate), 1),
            (metric(0.90, 60, PatternState::Candidate), 0),
            (metric(0.90, 60, PatternState::Confirmed), 1),
            (metric(0.91, 60, PatternState::Confirmed), 0),
            (metric(0.91, 120, PatternState::Confirmed), 1),
        ];
        let mut before: Option<Finding> = None;
        for (finding, expected) in states {
            let mut changes = vec![(finding.clone(), 1)];
            changes.extend(before.replace(finding).map(|before| (before, -1)));
            let all = taken(&mut revisions, &mut published, &store, &changes, TimeMs(3)).await;
            assert_eq!(all.len(), expected, "{changes:?}");
            assert!(all.iter().all(|revision| revision.as_of.is_none() && revision.caused_count == Some(0)));
        }
    }

    #[tokio::test]
    async fn after_a_restart_only_what_differs_from_the_store_is_news() {
        let mut store = MemoryStore::new();
        let kept = finding("kept", 0.7, &[("k1", "e1")]);
        let grows = finding("grows", 0.7, &[("g1", "e1")]);
        let gone = finding("gone", 0.7, &[("h1", "e1")]);
        let mut commit = commit_of(1, Default::default());
        commit.findings = vec![kept.clone(), grows, gone];
        store.commit(&commit).await.unwrap();
        let stored = store.reader();
        let newest = sinks::revisions::newest(stored.as_ref()).await.unwrap();
        let mut revisions = Revisions::inherit(newest, stored.correlations().await.unwrap(), false);
        let mut published = Published::inherit(stored.published().await.unwrap());
        let grown = finding("grows", 0.7, &[("g1", "e1"), ("g2", "e2")]);
        let changes = [(kept.clone(), 1), (grown, 1)];
        let all = taken(&mut revisions, &mut published, &store, &changes, TimeMs(9)).await;
        let mut found: Vec<(&str, Option<u32>, bool)> = all
            .iter()
            .map(|revision| (revision.row.key.source.name.as_str(), revision.caused_count, revision.is_listed))
            .collect();
        found.sort();
        assert_eq!(found, [("gone", Some(2), false), ("grows", Some(2), true)]);
        let grows = all.iter().find(|revision| revision.is_listed).unwrap();
        assert_eq!(grows.caused_by, ["shop-production/e2", "shop-production/g2"]);
        // from here on the engine takes back itself what it has said
        let more = finding("kept", 0.7, &[("k1", "e1"), ("k2", "e2")]);
        let all = taken(&mut revisions, &mut published, &store, &[(kept, -1), (more, 1)], TimeMs(10)).await;
        assert_eq!(all[0].caused_by, ["shop-production/e2", "shop-production/k2"]);
    }

    /// As after a run that ended between its patterns and its revisions, which are not written together in ClickHouse.
    #[tokio::test]
    async fn what_an_interrupted_run_has_not_said_is_said_by_the_next_one() {
        let mut store = MemoryStore::new();
        let of = |name: &str, score: f64, pairs: &[(&str, &str)]| finding(name, score, pairs);
        let said = [of("gone", 0.7, &[("h1", "e1")]), of("grown", 0.7, &[("g1", "e1")]), of("moved", 0.7, &[])];
        let mut commit = commit_of(1, Default::default());
        let revised = |finding: Finding| Revision {
            learnt_at: TimeMs(1),
            as_of: Some(START),
            row: finding.correlation,
            is_listed: true,
            before: None,
            caused_by: Vec::new(),
            caused_count: Some(0),
        };
        let upserts = said.into_iter().map(|finding| revised(finding).values()).collect();
        commit.derived.push(DerivedChange { table: REVISIONS.to_owned(), upserts, removed: Vec::new() });
        // less than what makes a revision
        let moved = of("moved", 0.74, &[]);
        let (new, grown) = (of("new", 0.7, &[("n1", "e1")]), of("grown", 0.7, &[("g1", "e1"), ("g2", "e2")]));
        commit.findings = vec![moved.clone(), grown.clone(), new.clone()];
        store.commit(&commit).await.unwrap();

        let stored = store.reader();
        let newest = sinks::revisions::newest(stored.as_ref()).await.unwrap();
        let mut revisions = Revisions::inherit(newest, stored.correlations().await.unwrap(), false);
        let mut published = Published::inherit(stored.published().await.unwrap());
        let changes = [(moved.clone(), 1), (grown, 1), (new, 1)];
        let all = taken(&mut revisions, &mut published, &store, &changes, TimeMs(9)).await;
        let mut found: Vec<(&str, Option<u32>, bool)> = all
            .iter()
            .map(|revision| (revision.row.key.source.name.as_str(), revision.caused_count, revision.is_listed))
            .collect();
        found.sort();
        assert_eq!(found, [("gone", None, false), ("grown", None, true), ("new", Some(2), true)]);
        // the score is compared with what was said, not with what was stored
        let changes = [(moved, -1), (of("moved", 0.76, &[]), 1)];
        assert_eq!(taken(&mut revisions, &mut published, &store, &changes, TimeMs(10)).await.len(), 1);
    }
}
