//! The record of analyses as it is shown: the journal and the table `analyses` together, the newest first.
//!
//! The journal has what every process has just appended, the table what the run has copied and what the journal no longer
//! holds. Of an analysis that both have, the later state counts.

pub use pipelines::journal::{Journal, Record};

use crate::answers::part::{self, Listed, Part};
use crate::answers::{AnswerError, Refusal};
use model::error::one_line;
use model::time::TimeMs;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use sinks::StoreReader;
use sinks::analyses::{self, INTERRUPTED};
use std::collections::BTreeMap;
use std::io;

/// The record of a file, as it is known at `now`.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn of_file(journal: &Journal, now: TimeMs) -> Result<Vec<Record>, AnswerError> {
    Ok(written(journal)?.into_iter().map(|record| record.at(now)).collect())
}

/// The record of a file, as it was written, the newest first.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn written(journal: &Journal) -> Result<Vec<Record>, AnswerError> {
    let failed = |error: io::Error| {
        tracing::warn!(error = one_line(&error), "the journal of analyses cannot be read");
        Refusal::invalid("the journal of analyses cannot be read", "see the reef's log")
    };
    Ok(journal.records().map_err(failed)?)
}

/// The same with the rows of the table.
pub(super) fn together(stored: Vec<Record>, of_file: Vec<Record>) -> Vec<Record> {
    let key = |record: &Record| (record.asked_at.clone(), record.analysis_id.clone());
    let mut all: BTreeMap<(String, String), Record> = stored.into_iter().map(|one| (key(&one), one)).collect();
    for record in of_file {
        // the row of one that was given up is older than its end, and that of one that ended is not
        let is_later = all.get(&key(&record)).is_none_or(|row| row.outcome == INTERRUPTED || is_ended(&record));
        if is_later {
            all.insert(key(&record), record);
        }
    }
    all.into_values().rev().collect()
}

fn is_ended(record: &Record) -> bool {
    record.is_finished() && record.outcome != INTERRUPTED
}

/// A part of the list, without texts.
///
/// # Errors
/// When the limit or the cursor is not one.
pub(super) fn part_of(records: Vec<Record>, part: &Part) -> Result<Listed<Record>, Refusal> {
    let short = records.into_iter().map(|record| Record { answer: String::new(), sent: String::new(), ..record });
    // the newest first; a list that grows has its parts where they were
    let place = |record: &Record| (record.asked().map_or(0, |asked| -asked.0), record.analysis_id.clone());
    let mut short: Vec<Record> = short.collect();
    short.sort_by_cached_key(place);
    part.after(short, &part::asked("analyses", &()), place)
}

/// The one with this id, or one that begins so.
///
/// # Errors
/// When there is none.
pub(super) fn one_of(records: Vec<Record>, id: &str) -> Result<Record, Refusal> {
    let found = records.into_iter().find(|record| record.analysis_id.starts_with(id));
    found.ok_or_else(|| {
        let hint = "list them: leave analysis_id empty";
        Refusal::not_found(format!("there is no analysis {id:?}"), hint).at("analysis_id")
    })
}

/// One analysis as a list.
pub(super) fn alone(record: Record) -> Listed<Record> {
    Listed { total: 1, items: vec![record], truncated: false, next_cursor: None }
}

/// With the texts that the table has of it, where the journal has none.
pub(super) async fn with_texts(record: Record, reader: &dyn StoreReader) -> Result<Record, AnswerError> {
    if !record.answer.is_empty() || !record.sent.is_empty() {
        return Ok(record);
    }
    let stored = analyses::stored(reader, &record.analysis_id).await.map_err(AnswerError::Store)?;
    Ok(match stored {
        Some(row) => Record { answer: row.answer, sent: row.sent, ..record },
        None => record,
    })
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

    fn record(second: u32, outcome: &str, answer: &str) -> Record {
        Record {
            analysis_id: format!("a-{second}"),
            asked_at: format!("2024-11-13T12:00:{second:02}.000Z"),
            outcome: outcome.to_owned(),
            answer: answer.to_owned(),
            ..Record::default()
        }
    }

    #[test]
    fn of_one_that_both_have_the_later_state_counts() {
        let table = vec![
            record(1, "answered", ""),
            record(2, INTERRUPTED, ""),
            record(3, "answered", ""),
            record(4, INTERRUPTED, ""),
        ];
        let file = vec![
            record(5, "started", ""),
            record(4, INTERRUPTED, "text"),
            record(3, INTERRUPTED, "text"),
            record(2, "failed", "text"),
        ];
        let all: Vec<(String, String, String)> =
            together(table, file).into_iter().map(|one| (one.analysis_id, one.outcome, one.answer)).collect();
        let expected = [
            ("a-5", "started", ""),
            ("a-4", INTERRUPTED, "text"),
            ("a-3", "answered", ""),
            ("a-2", "failed", "text"),
            ("a-1", "answered", ""),
        ];
        let expected = expected.map(|(id, outcome, answer)| (id.to_owned(), outcome.to_owned(), answer.to_owned()));
        assert_eq!(all, expected);
    }

    #[test]
    fn a_part_has_no_texts_and_stays_where_it_was() {
        let records = |from: u32| (from..4).rev().map(|n| record(n, "answered", "text")).collect::<Vec<_>>();
        let part = |cursor: Option<String>| Part { limit: Some(2), cursor, skip: 0 };
        let first = part_of(records(1), &part(None)).unwrap();
        let ids = |list: &Listed<Record>| list.items.iter().map(|one| one.analysis_id.clone()).collect::<Vec<_>>();
        assert_eq!(
            (ids(&first), first.total, first.items[0].answer.as_str()),
            (vec!["a-3".into(), "a-2".into()], 3, "")
        );
        let mut grown = records(1);
        grown.insert(0, record(9, "answered", ""));
        let rest = part_of(grown, &part(first.next_cursor)).unwrap();
        assert_eq!((ids(&rest), rest.truncated), (vec!["a-1".to_owned()], false));
        assert_eq!(one_of(records(1), "a-2").unwrap().answer, "text");
        assert!(one_of(records(1), "a-9").is_err());
    }
}
