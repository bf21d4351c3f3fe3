//! The tail of the journal: analyses that the table may lack, each in its last state. A process reads each line once.

use model::time::TimeMs;
use pipelines::journal::{Journal, Place, Record, follow};
use sinks::analyses::{self, IDS_MAX, Key};
use sinks::{SinkError, StoreReader};
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Analyses that are kept. Only where no run copies them can there be as many; the oldest are dropped.
const KEPT_MAX: usize = 50_000;

/// A journal, and what of it the table may lack.
pub(super) struct Tail {
    /// The journal.
    pub journal: Journal,
    /// Held while the journal is read.
    reading: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How far the journal was read.
    place: Place,
    /// Those that have ended without their texts.
    kept: BTreeMap<Key, Record>,
    /// The last one that was looked for in the table; none to begin with the first.
    looked_to: Option<Key>,
    /// Whether some of them were never looked for there.
    is_unknown: bool,
}

impl Tail {
    /// Of a journal, of which nothing was read.
    pub fn of(journal: Journal) -> Tail {
        Tail { journal, reading: Mutex::default(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was appended since it was called last. Blocks.
    pub fn follow(&self) -> io::Result<()> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = self.state().place;
        let since = self.journal.since(&mut place)?;
        let mut state = self.state();
        state.place = place;
        if since.is_everything {
            *state = State { place, is_unknown: true, ..State::default() };
        }
        for record in since.records {
            if let Some(key) = record.key() {
                // of one that is interrupted, what was sent says whether its cost is known
                let record = if record.is_finished() { record.without_texts() } else { record };
                follow(&mut state.kept, key, record);
            }
        }
        while state.kept.len() > KEPT_MAX {
            state.kept.pop_first();
        }
        Ok(())
    }

    /// Forgets those that the table has; returns how many of the others it has in an earlier state. After the journal
    /// was read from its begin all are looked for, later some at a time.
    pub async fn forget_stored(&self, reader: &dyn StoreReader, now: TimeMs) -> Result<usize, SinkError> {
        let mut in_both = 0;
        loop {
            let (ids, is_enough) = self.state().next_ids(now);
            if ids.is_empty() {
                return Ok(in_both);
            }
            let rows = analyses::among(reader, &ids).await?;
            in_both += self.state().forget(rows);
            if is_enough {
                return Ok(in_both);
            }
        }
    }

    /// Those before a place in the list, the newest first, as they are known at `now`, without their texts.
    pub fn newest(&self, before: Option<&Key>, limit: usize, now: TimeMs) -> Vec<Record> {
        let to = before.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let state = self.state();
        let earlier = state.kept.range((Bound::Unbounded, to)).rev().take(limit);
        earlier.map(|(_, record)| record.clone().at(now).without_texts()).collect()
    }

    /// The one with this id as it was written, if it has ended without its texts.
    pub fn with_id(&self, analysis_id: &str) -> Option<Record> {
        self.state().kept.values().find(|record| record.analysis_id == analysis_id).cloned()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.state().kept.len()
    }

    /// Changes whenever an analysis begins or ends, also by being interrupted.
    pub fn mark(&self, now: TimeMs) -> String {
        let state = self.state();
        let running: Vec<&str> =
            state.kept.values().filter(|one| !one.is_over(now)).map(|one| one.analysis_id.as_str()).collect();
        format!("{:?} {running:?}", state.place)
    }
}

impl State {
    /// Ids that are looked for next, of analyses that have ended: others are not in the table. And whether that is
    /// enough.
    fn next_ids(&mut self, now: TimeMs) -> (Vec<String>, bool) {
        let from = self.looked_to.take().map_or(Bound::Unbounded, Bound::Excluded);
        let ended = self.kept.range((from, Bound::Unbounded)).filter(|(_, record)| record.is_over(now));
        let keys: Vec<Key> = ended.take(IDS_MAX).map(|(key, _)| key.clone()).collect();
        if keys.len() < IDS_MAX {
            self.is_unknown = false;
        } else {
            self.looked_to = keys.last().cloned();
        }
        (keys.into_iter().map(|(_, id)| id).collect(), !self.is_unknown)
    }

    fn forget(&mut self, rows: Vec<Record>) -> usize {
        let mut in_both = 0;
        for row in rows {
            let Some(key) = row.key() else { continue };
            match self.kept.get(&key) {
                Some(own) if own.is_later_than(&row) => in_both += 1,
                Some(_) => drop(self.kept.remove(&key)),
                None => {}
            }
        }
        in_both
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::derived::DerivedChange;
    use model::rows::Rows;
    use model::time::SECOND_MS;
    use sinks::analyses::{ANALYSES, INTERRUPTED};
    use sinks::compliance::commit_of;
    use sinks::memory::MemoryStore;
    use sinks::{Commit, StoreWriter};

    /// 2024-11-13 12:00.
    const NOON: TimeMs = TimeMs(1_731_499_200_000);

    fn record(number: usize, outcome: &str) -> Record {
        Record {
            analysis_id: format!("a-{number:05}"),
            asked_at: (NOON + number as i64).to_string(),
            ends_by: (NOON + 30 * SECOND_MS).to_string(),
            outcome: outcome.to_owned(),
            ..Record::default()
        }
    }

    fn tail() -> (tempfile::TempDir, Tail) {
        let folder = tempfile::tempdir().unwrap();
        let tail = Tail::of(Journal::of(&folder.path().join("a.ndjson")));
        (folder, tail)
    }

    fn append(tail: &Tail, records: impl IntoIterator<Item = Record>) {
        records.into_iter().for_each(|record| assert!(tail.journal.append(&record)));
        tail.follow().unwrap();
    }

    async fn store(store: &mut MemoryStore, records: impl IntoIterator<Item = Record>) {
        let upserts = records.into_iter().map(|record| record.values().unwrap()).collect();
        let change = DerivedChange { table: ANALYSES.to_owned(), upserts, removed: Vec::new() };
        store.commit(&Commit { derived: vec![change], ..commit_of(1, Rows::default()) }).await.unwrap();
    }

    #[test]
    fn the_mark_changes_when_an_analysis_begins_ends_or_should_have_ended() {
        let (_folder, tail) = tail();
        let mut marks = vec![tail.mark(NOON)];
        append(&tail, [record(1, "started")]);
        marks.push(tail.mark(NOON));
        tail.follow().unwrap();
        assert_eq!(tail.mark(NOON + SECOND_MS), marks[1], "nothing has changed");
        marks.push(tail.mark(NOON + 31 * SECOND_MS));
        append(&tail, [record(1, "answered")]);
        marks.push(tail.mark(NOON + 31 * SECOND_MS));
        let different: std::collections::BTreeSet<&String> = marks.iter().collect();
        assert_eq!(different.len(), 4, "{marks:?}");
    }

    #[test]
    fn what_was_sent_of_an_interrupted_one_may_have_cost_anything() {
        let (_folder, tail) = tail();
        let started = Record { cost_micros: Some(5), ..record(1, "started") };
        append(&tail, [Record { sent: "rules".to_owned(), ..started.clone() }, record(2, "started")]);
        append(&tail, [Record { analysis_id: "a-00003".to_owned(), ..started }]);
        let later = NOON + 31 * SECOND_MS;
        let costs: Vec<(String, Option<u64>, String)> =
            tail.newest(None, 9, later).into_iter().map(|one| (one.outcome, one.cost_micros, one.sent)).collect();
        let interrupted = |cost: Option<u64>| (INTERRUPTED.to_owned(), cost, String::new());
        assert_eq!(costs, [interrupted(Some(0)), interrupted(Some(0)), interrupted(None)]);
        assert_eq!(tail.newest(None, 1, NOON)[0].outcome, "started");
    }

    #[tokio::test]
    async fn what_the_table_has_is_forgotten_and_what_still_runs_is_not_looked_for() {
        let (_folder, tail) = tail();
        let mut rows = MemoryStore::new();
        let reader = rows.reader();
        let many = || (1..2 * IDS_MAX + 3).map(|number| record(number, "answered"));
        store(&mut rows, many()).await;
        append(&tail, many().chain([record(9_998, "failed"), record(9_999, "started")]));
        assert_eq!(tail.forget_stored(reader.as_ref(), NOON).await.unwrap(), 0);
        let left = |now: TimeMs| -> Vec<(String, String)> {
            tail.newest(None, 9, now).into_iter().map(|one| (one.analysis_id, one.outcome)).collect()
        };
        let [failed, running] =
            [("a-09998", "failed"), ("a-09999", "started")].map(|(id, outcome)| (id.to_owned(), outcome.to_owned()));
        assert_eq!((left(NOON), tail.count()), (vec![running, failed.clone()], 2));
        // a run gives it up, and it ends after all
        let later = NOON + 31 * SECOND_MS;
        store(&mut rows, [record(9_999, INTERRUPTED)]).await;
        append(&tail, [record(9_999, "answered")]);
        assert_eq!(tail.forget_stored(reader.as_ref(), later).await.unwrap(), 1, "the row is of an earlier state");
        assert_eq!(left(later), [("a-09999".to_owned(), "answered".to_owned()), failed]);
        store(&mut rows, [record(9_998, "failed"), record(9_999, "answered")]).await;
        assert_eq!(tail.forget_stored(reader.as_ref(), later).await.unwrap(), 0);
        assert_eq!(tail.count(), 0);
    }

    #[tokio::test]
    async fn a_journal_that_no_run_copies_is_looked_for_in_parts() {
        let (_folder, tail) = tail();
        let (mut rows, count) = (MemoryStore::new(), 2 * IDS_MAX + 3);
        let reader = rows.reader();
        append(&tail, (0..count).map(|number| record(number, "answered")));
        assert_eq!(tail.forget_stored(reader.as_ref(), NOON).await.unwrap(), 0, "all are looked for");
        store(&mut rows, (0..count).map(|number| record(number, "answered"))).await;
        let mut left = Vec::new();
        for _ in 0..3 {
            tail.forget_stored(reader.as_ref(), NOON).await.unwrap();
            left.push(tail.count());
        }
        assert_eq!(left, [IDS_MAX + 3, 3, 0]);
        assert!(tail.with_id("a-00001").is_none());
    }
}
