//! The record of analyses as it is shown: the journal and the table `analyses` together, the newest first.
//!
//! The journal has what every process has just appended, the table what the run has copied and what the journal no
//! longer holds. Of an analysis that both have, the later state counts. A part of the list reads as many rows as it
//! shows, and of the journal what was appended since the last one.

pub use pipelines::journal::{Journal, Record};

use super::tail::Tail;
use crate::answers::part::{self, Listed, Part, Place};
use crate::answers::{AnswerError, Refusal};
use model::error::one_line;
use model::time::TimeMs;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use sinks::StoreReader;
use sinks::analyses::{self, Key};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Counting ends here: what a part of the list costs does not depend on how long the list is.
pub const TOTAL_MAX: usize = 1_000;

/// A part of the list, without texts.
///
/// # Errors
/// Those of the store, and a limit or a cursor that is none.
pub(super) async fn part_of(
    tail: Option<&Arc<Tail>>,
    reader: &dyn StoreReader,
    part: &Part,
    now: TimeMs,
) -> Result<Listed<Record>, AnswerError> {
    let asked = part::asked("analyses by time", &());
    let (reach, place) = (part.reach()?, part.place::<Key>(&asked)?);
    let before = place.as_ref().map(|place| &place.after);
    // one more says whether there are more
    let wanted = reach.saturating_add(1);
    // the tail first: what a run copies meanwhile is then in both, and not in neither
    let (own, own_count) = match tail {
        Some(tail) => {
            let in_both = tail.forget_stored(reader, now).await?;
            (tail.newest(before, wanted, now), tail.count().saturating_sub(in_both))
        }
        None => (Vec::new(), 0),
    };
    let stored = analyses::newest(reader, before, wanted).await?;
    let stored_count = analyses::count(reader, TOTAL_MAX as u64).await?;
    let mut records = together(stored, own);
    let is_cut = records.len() > reach;
    records.truncate(reach);
    let came = place.map_or(0, |place| place.before);
    let total = usize::try_from(stored_count).unwrap_or(TOTAL_MAX).saturating_add(own_count).min(TOTAL_MAX);
    let remaining = if is_cut { total.saturating_sub(came).max(wanted) } else { records.len() };
    let cursor =
        |last: &Record, before: usize| Place { to: None, before, after: last.key().unwrap_or_default() }.cursor(&asked);
    Ok(Listed::of(part, records, (came, remaining), cursor))
}

/// Rows of the table and what the tail has, each analysis once, the newest first.
fn together(stored: Vec<Record>, own: Vec<Record>) -> Vec<Record> {
    let keyed = |record: Record| Some((record.key()?, record));
    let mut all: BTreeMap<Key, Record> = stored.into_iter().filter_map(keyed).collect();
    for (key, record) in own.into_iter().filter_map(keyed) {
        if all.get(&key).is_none_or(|row| record.is_later_than(row)) {
            all.insert(key, record);
        }
    }
    all.into_values().rev().collect()
}

/// The one with this id, with its texts.
///
/// # Errors
/// Those of the store, a journal that cannot be read, and when there is none.
pub(super) async fn one(
    tail: Option<&Arc<Tail>>,
    reader: &dyn StoreReader,
    analysis_id: &str,
    now: TimeMs,
) -> Result<Record, AnswerError> {
    let own = tail.and_then(|tail| tail.with_id(analysis_id)).map(|record| record.at(now));
    let row = analyses::stored(reader, analysis_id).await?;
    match (own, row) {
        (Some(own), Some(row)) if !own.is_later_than(&row) => Ok(row),
        (None, Some(row)) => Ok(row),
        (Some(own), _) => with_texts(own, tail).await,
        (None, None) => {
            let hint = "list them: leave analysis_id empty";
            Err(Refusal::not_found(format!("there is no analysis {analysis_id:?}"), hint).at("analysis_id").into())
        }
    }
}

/// With the texts that the journal has of it.
async fn with_texts(record: Record, tail: Option<&Arc<Tail>>) -> Result<Record, AnswerError> {
    let Some(tail) = tail.map(Arc::clone) else { return Ok(record) };
    let id = record.analysis_id.clone();
    let state = tokio::task::spawn_blocking(move || tail.journal.last_state(&id)).await;
    let state = state.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| unreadable(&error))?;
    Ok(match state {
        Some(state) => Record { answer: state.answer, sent: state.sent, evidence: state.evidence, ..record },
        None => record,
    })
}

/// That the journal cannot be read; the log has the reason.
pub(super) fn unreadable(error: &io::Error) -> AnswerError {
    tracing::warn!(error = one_line(error), "the journal of analyses cannot be read");
    Refusal::invalid("the journal of analyses cannot be read", "see the reef's log").into()
}

/// One analysis as a list.
pub(super) fn alone(record: Record) -> Listed<Record> {
    Listed { total: 1, items: vec![record], truncated: false, next_cursor: None }
}

/// A key for a new analysis.
pub fn new_id() -> String {
    let mut bytes = [0_u8; 8];
    // without random numbers no token could be checked either
    let _ = SystemRandom::new().fill(&mut bytes);
    format!("a-{}", hex(&bytes))
}

/// SHA-256 of a text, in hexadecimal digits.
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::derived::DerivedChange;
    use model::rows::Rows;
    use model::time::{DAY_MS, SECOND_MS};
    use sinks::analyses::INTERRUPTED;
    use sinks::compliance::commit_of;
    use sinks::memory::MemoryStore;
    use sinks::{Commit, StoreWriter};

    /// 2024-11-13 12:00.
    const NOON: TimeMs = TimeMs(1_731_499_200_000);

    fn record(number: u32, outcome: &str) -> Record {
        Record {
            analysis_id: format!("a-{number:04}"),
            asked_at: (NOON - DAY_MS + i64::from(number) * SECOND_MS).to_string(),
            outcome: outcome.to_owned(),
            answer: "text".to_owned(),
            evidence: "[]".to_owned(),
            ..Record::default()
        }
    }

    #[test]
    fn of_one_that_both_have_the_later_state_counts() {
        let table = vec![record(4, INTERRUPTED), record(3, "answered"), record(2, INTERRUPTED), record(1, "answered")];
        let own = vec![record(5, "started"), record(4, INTERRUPTED), record(3, INTERRUPTED), record(2, "failed")];
        let all: Vec<(String, String)> =
            together(table, own).into_iter().map(|one| (one.analysis_id, one.outcome)).collect();
        let expected = [
            ("a-0005", "started"),
            ("a-0004", INTERRUPTED),
            ("a-0003", "answered"),
            ("a-0002", "failed"),
            ("a-0001", "answered"),
        ];
        assert_eq!(all, expected.map(|(id, outcome)| (id.to_owned(), outcome.to_owned())));
    }

    /// A store that has the first ones of these, a journal that has the others, and some of both.
    struct Recorded {
        folder: tempfile::TempDir,
        store: MemoryStore,
        tail: Arc<Tail>,
    }

    impl Recorded {
        fn new() -> Recorded {
            let folder = tempfile::tempdir().unwrap();
            let tail = Arc::new(Tail::of(Journal::of(&folder.path().join("a.ndjson"))));
            Recorded { folder, store: MemoryStore::new(), tail }
        }

        async fn store(&mut self, numbers: std::ops::Range<u32>) {
            let upserts = numbers.map(|number| record(number, "answered").values().unwrap()).collect();
            let change = DerivedChange { table: analyses::ANALYSES.to_owned(), upserts, removed: Vec::new() };
            self.store.commit(&Commit { derived: vec![change], ..commit_of(1, Rows::default()) }).await.unwrap();
        }

        /// As another process does it.
        fn append(&self, record: &Record) {
            assert!(Journal::of(&self.folder.path().join("a.ndjson")).append(record));
        }

        async fn part(&self, limit: usize, cursor: Option<String>) -> Listed<Record> {
            self.tail.follow().unwrap();
            let part = Part { limit: Some(limit), cursor, skip: 0 };
            part_of(Some(&self.tail), self.store.reader().as_ref(), &part, NOON).await.unwrap()
        }
    }

    fn numbers(list: &Listed<Record>) -> Vec<u32> {
        list.items.iter().map(|one| one.analysis_id[2..].parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_part_has_each_analysis_once_and_stays_where_it_was() {
        let mut recorded = Recorded::new();
        recorded.store(1..6).await;
        // 4 and 5 were copied, 6 and 7 not yet
        (4..8).for_each(|number| recorded.append(&record(number, "answered")));
        let first = recorded.part(3, None).await;
        assert_eq!((numbers(&first), first.total, first.truncated), (vec![7, 6, 5], 7, true));
        assert!(first.items.iter().all(|one| one.answer.is_empty() && one.evidence.is_empty()), "a list has no texts");
        recorded.append(&record(9, "answered"));
        recorded.store(6..8).await;
        let rest = recorded.part(3, first.next_cursor).await;
        assert_eq!((numbers(&rest), rest.total, rest.truncated), (vec![4, 3, 2], 8, true));
        let last = recorded.part(3, rest.next_cursor).await;
        assert_eq!((numbers(&last), last.truncated, last.next_cursor), (vec![1], false, None));
        assert_eq!(recorded.tail.count(), 1, "the others are in the table");
        let wrong = Part { cursor: Some("00".to_owned()), ..Part::default() };
        let refused = part_of(Some(&recorded.tail), recorded.store.reader().as_ref(), &wrong, NOON).await;
        assert!(matches!(refused, Err(AnswerError::Refused(_))));
    }

    #[tokio::test]
    async fn a_long_record_is_shown_in_parts_and_counted_up_to_a_limit() {
        let mut recorded = Recorded::new();
        let most = TOTAL_MAX as u32;
        recorded.store(1..most + 1).await;
        let (mut seen, mut cursor) = (Vec::new(), None);
        recorded.append(&record(most + 1, "answered"));
        loop {
            let part = recorded.part(200, cursor).await;
            seen.extend(numbers(&part));
            assert!(part.total >= seen.len() && part.total >= TOTAL_MAX, "{}", part.total);
            cursor = part.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..most + 2).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn one_is_found_wherever_it_is_with_its_texts() {
        let mut recorded = Recorded::new();
        recorded.store(1..3).await;
        recorded.append(&Record { answer: "of the journal".to_owned(), ..record(2, "answered") });
        recorded.append(&record(3, "started"));
        recorded.append(&Record { answer: "of the journal".to_owned(), ..record(4, "answered") });
        recorded.part(1, None).await;
        let reader = recorded.store.reader();
        let found = async |id: &str| one(Some(&recorded.tail), reader.as_ref(), id, NOON).await;
        for (id, answer, outcome) in [
            ("a-0001", "text", "answered"),
            ("a-0002", "text", "answered"),
            // it should have ended
            ("a-0003", "text", INTERRUPTED),
            ("a-0004", "of the journal", "answered"),
        ] {
            let one = found(id).await.unwrap();
            assert_eq!((one.answer.as_str(), one.outcome.as_str()), (answer, outcome), "{id}");
            assert_eq!(one.evidence, "[]", "{id}");
        }
        assert!(matches!(found("a-00").await, Err(AnswerError::Refused(_))), "a part of an id is none");
    }
}
