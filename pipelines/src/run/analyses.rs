//! Analyses: questions in words that were recorded in the journal and have ended, as rows of `analyses`.
//!
//! The journal says what was asked; the table is a copy of it that is queried, copied and aged like the others. After a
//! restart the whole journal is read again, and what the table has is left out.

use crate::journal::{Journal, Place, Since, follow};
use model::derived::DerivedChange;
use model::error::one_line;
use model::time::TimeMs;
use sinks::analyses::{ANALYSES, IDS_MAX, INTERRUPTED, Record, among};
use sinks::{SinkError, StoreReader};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two looks at the journal.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Most rows of one commit.
const ROWS_MAX: usize = 500;

/// What of the journal is not in the table yet.
#[derive(Debug)]
pub(crate) struct Recorded {
    journal: Journal,
    place: Place,
    /// By id, each in its last state.
    waiting: BTreeMap<String, Record>,
    due_at: Instant,
}

impl Recorded {
    /// Of this file, which may not exist.
    pub(crate) fn of(file: &Path, now: Instant) -> Recorded {
        Recorded { journal: Journal::of(file), place: Place::default(), waiting: BTreeMap::new(), due_at: now }
    }

    /// When the next look is due.
    pub(crate) fn due_at(&self) -> Instant {
        self.due_at
    }

    /// The rows that the table lacks of analyses that have ended by `now`, without those that are older than `keep_ms`. What
    /// cannot be read stays for the next look.
    pub(crate) async fn take(&mut self, stored: &dyn StoreReader, now: TimeMs, keep_ms: i64) -> Option<DerivedChange> {
        self.due_at = Instant::now() + LOOK_EVERY;
        let before = self.place;
        match self.journal.since(&mut self.place) {
            Ok(since) => {
                if let Err(error) = self.note(since, stored).await {
                    tracing::warn!(%error, "analyses are not copied into the store until the next look at their journal");
                    self.place = before;
                    return None;
                }
            }
            Err(error) => {
                tracing::warn!(error = one_line(&error), "the journal of analyses (ai.journal_file) cannot be read");
                self.place = before;
            }
        }
        if let Err(error) = self.journal.expire(now - keep_ms) {
            tracing::warn!(error = one_line(&error), "old analyses stay in their journal (ai.journal_file)");
        }
        let mut upserts = Vec::new();
        self.waiting.retain(|_, record| {
            let known = record.clone().at(now);
            if !known.is_finished() || upserts.len() >= ROWS_MAX {
                return true;
            }
            // the table would delete older ones at once
            if known.asked().is_some_and(|asked| asked >= now - keep_ms) {
                upserts.extend(known.values());
            }
            false
        });
        (!upserts.is_empty()).then(|| DerivedChange { table: ANALYSES.to_owned(), upserts, removed: Vec::new() })
    }

    /// Notes what was appended, without what the table has.
    async fn note(&mut self, since: Since, stored: &dyn StoreReader) -> Result<(), SinkError> {
        let Since { records, is_everything } = since;
        let mut outcomes: BTreeMap<String, String> = BTreeMap::new();
        if is_everything {
            let ids: BTreeSet<&String> = records.iter().map(|record| &record.analysis_id).collect();
            let ids: Vec<String> = ids.into_iter().cloned().collect();
            for ids in ids.chunks(IDS_MAX) {
                let rows = among(stored, ids).await?.into_iter();
                outcomes.extend(rows.map(|row| (row.analysis_id, row.outcome)));
            }
        }
        for record in records {
            let outcome = outcomes.get(&record.analysis_id);
            // one that was given up may have ended after all
            let is_stored = outcome.is_some_and(|outcome| outcome != INTERRUPTED || !record.is_finished());
            if !is_stored {
                follow(&mut self.waiting, record.analysis_id.clone(), record);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::rows::Rows;
    use model::time::{DAY_MS, SECOND_MS};
    use sinks::StoreWriter;
    use sinks::analyses::STARTED;
    use sinks::compliance::commit_of;
    use sinks::memory::MemoryStore;

    const NOON: TimeMs = TimeMs(1_731_499_200_000);

    fn record(id: &str, outcome: &str) -> Record {
        Record {
            analysis_id: id.to_owned(),
            asked_at: NOON.to_string(),
            ends_by: (NOON + 30 * SECOND_MS).to_string(),
            outcome: outcome.to_owned(),
            answer: format!("of {id}"),
            ..Record::default()
        }
    }

    /// A run over a store, and the journal beside it.
    struct Reef {
        folder: tempfile::TempDir,
        store: MemoryStore,
        recorded: Recorded,
    }

    impl Reef {
        fn new() -> Reef {
            let folder = tempfile::tempdir().unwrap();
            let recorded = Recorded::of(&folder.path().join("a.ndjson"), Instant::now());
            Reef { folder, store: MemoryStore::new(), recorded }
        }

        fn append(&self, records: &[Record]) {
            let journal = Journal::of(&self.folder.path().join("a.ndjson"));
            records.iter().for_each(|record| assert!(journal.append(record)));
        }

        fn restart(&mut self) {
            self.recorded = Recorded::of(&self.folder.path().join("a.ndjson"), Instant::now());
        }

        /// Copies; returns the ids of the rows written.
        async fn copy(&mut self, now: TimeMs) -> Vec<String> {
            let reader = self.store.reader();
            let Some(change) = self.recorded.take(reader.as_ref(), now, DAY_MS).await else { return Vec::new() };
            let place = sinks::analyses::analyses().table.columns.iter().position(|(name, _)| *name == "analysis_id");
            let ids = change.upserts.iter().map(|row| match &row[place.unwrap()] {
                model::derived::Value::Text(id) => id.clone(),
                other => panic!("{other:?}"),
            });
            let ids = ids.collect();
            let commit = sinks::Commit { derived: vec![change], ..commit_of(1, Rows::default()) };
            self.store.commit(&commit).await.unwrap();
            ids
        }

        async fn outcome(&self, id: &str) -> String {
            let reader = self.store.reader();
            sinks::analyses::stored(reader.as_ref(), id).await.unwrap().unwrap().outcome
        }
    }

    #[tokio::test]
    async fn what_has_ended_is_copied_once_also_across_restarts() {
        let mut reef = Reef::new();
        assert!(reef.copy(NOON).await.is_empty(), "there is no journal");
        reef.append(&[record("a-1", STARTED), record("a-1", "answered"), record("a-2", STARTED)]);
        assert_eq!(reef.copy(NOON).await, ["a-1"]);
        assert!(reef.copy(NOON).await.is_empty());
        reef.append(&[record("a-2", "failed")]);
        assert_eq!(reef.copy(NOON).await, ["a-2"]);
        reef.append(&[record("a-3", "template")]);
        reef.restart();
        assert_eq!(reef.copy(NOON).await, ["a-3"], "the others are in the table");
        assert_eq!(
            sinks::analyses::stored(reef.store.reader().as_ref(), "a-1").await.unwrap().unwrap().answer,
            "of a-1"
        );
    }

    #[tokio::test]
    async fn one_that_was_given_up_is_interrupted_unless_it_ends_after_all() {
        let mut reef = Reef::new();
        reef.append(&[record("a-1", STARTED)]);
        assert!(reef.copy(NOON + 30 * SECOND_MS).await.is_empty(), "it may still end");
        assert_eq!(reef.copy(NOON + 31 * SECOND_MS).await, ["a-1"]);
        assert_eq!(reef.outcome("a-1").await, INTERRUPTED);
        reef.restart();
        assert!(reef.copy(NOON + 40 * SECOND_MS).await.is_empty(), "it is stored");
        reef.append(&[record("a-1", "answered")]);
        assert_eq!(reef.copy(NOON + 40 * SECOND_MS).await, ["a-1"]);
        assert_eq!(reef.outcome("a-1").await, "answered");
    }

    #[tokio::test]
    async fn what_is_beyond_retention_is_not_copied_and_many_come_in_parts() {
        let mut reef = Reef::new();
        let many: Vec<Record> = (0..ROWS_MAX + 3).map(|n| record(&format!("a-{n:04}"), "template")).collect();
        reef.append(&many);
        assert!(reef.copy(NOON + DAY_MS + 1).await.is_empty());
        reef.restart();
        assert_eq!(reef.copy(NOON).await.len(), ROWS_MAX);
        assert_eq!(reef.copy(NOON).await.len(), 3);
        assert!(reef.copy(NOON).await.is_empty());
    }
}
