//! Analyses as rows of their table: who asked what in words, what it cost, what was sent and answered.

use crate::patterns::Fields;
use crate::schema::{ANALYSES_LISTED, DERIVED, DerivedTable};
use crate::transfer::{Cursor, Page};
use crate::{SinkError, StoreReader};
use model::derived::Value;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};

/// The table.
pub const ANALYSES: &str = "analyses";
/// The outcome of an analysis that has begun and has no end yet.
pub const STARTED: &str = "started";
/// The outcome of one whose process ended before it did.
pub const INTERRUPTED: &str = "interrupted";

/// Most bytes of the evidence of a record: the findings of an answer have a budget, their statements have none.
pub const EVIDENCE_BYTES_MAX: usize = 64 * 1024;

/// Ids that are looked for at once.
pub const IDS_MAX: usize = 1_000;

/// An analysis's place in a list of them: when it was asked, and its id.
pub type Key = (TimeMs, String);

/// An analysis as it is recorded. Times are RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Its key.
    pub analysis_id: String,
    /// When it was asked.
    pub asked_at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Who asked: the id of a token, or `local`.
    pub caller: String,
    /// The role of the caller.
    pub role: String,
    /// The question.
    pub question: String,
    /// `started`, `answered`, `template`, `failed`, `cancelled` or `interrupted`.
    pub outcome: String,
    /// The model that worded it, as `vendor:model`; empty for none.
    pub model_used: String,
    /// Tokens given to models, as they state it.
    pub input_tokens: u32,
    /// Tokens that they wrote.
    pub output_tokens: u32,
    /// Whether some of these are an estimate: a model stated none.
    pub tokens_estimated: bool,
    /// What they cost, in millionths of a US dollar; none where no price is known.
    pub cost_micros: Option<u64>,
    /// Ids of the evidence.
    pub evidence_ids: Vec<String>,
    /// SHA-256 of the answer.
    pub answer_sha256: String,
    /// Sentences of a model that were dropped.
    pub sentences_dropped: u32,
    /// Whether it was streamed.
    pub streamed: bool,
    /// Why it failed, or why no model worded it.
    pub reason: String,
    /// The answer.
    pub answer: String,
    /// What was sent to a model, as it left this process.
    pub sent: String,
    /// The evidence with its values and statements: a list in JSON, of at most [`EVIDENCE_BYTES_MAX`]. Empty where there is
    /// none, before it has ended, where its process ended first, and where a version recorded it that kept the ids alone.
    pub evidence: String,
    /// Of one that has begun: by when it ends, unless its process does.
    pub ends_by: String,
}

/// The table's description.
pub fn analyses() -> &'static DerivedTable {
    let table = DERIVED.iter().find(|derived| derived.table.name == ANALYSES);
    table.unwrap_or_else(|| unreachable!("the schema has a table of analyses"))
}

/// The newest stored analyses before a place in the list, the newest first, at most `limit`, without their texts.
///
/// # Errors
/// Those of the store.
pub async fn newest(reader: &dyn StoreReader, before: Option<&Key>, limit: usize) -> Result<Vec<Record>, SinkError> {
    let before = before.map(|(asked, id)| Cursor(serde_json::json!([asked.0, id]).to_string()));
    Ok(listed(&reader.newest_of(&ANALYSES_LISTED, before.as_ref(), limit).await?))
}

/// How many are stored; `most` stands for more as well.
///
/// # Errors
/// Those of the store.
pub async fn count(reader: &dyn StoreReader, most: u64) -> Result<u64, SinkError> {
    reader.count_of(&ANALYSES_LISTED, most).await
}

/// Those of these ids that are stored, without their texts. At most [`IDS_MAX`] ids are looked for.
///
/// # Errors
/// Those of the store.
pub async fn among(reader: &dyn StoreReader, ids: &[String]) -> Result<Vec<Record>, SinkError> {
    let ids = &ids[..ids.len().min(IDS_MAX)];
    Ok(listed(&reader.rows_with(&ANALYSES_LISTED, ("analysis_id", ids), None, IDS_MAX).await?))
}

fn listed(page: &Page) -> Vec<Record> {
    page.rows().into_iter().filter_map(|row| Record::of_values(&ANALYSES_LISTED, row)).collect()
}

/// The stored analysis of this id, with its texts.
///
/// # Errors
/// Those of the store.
pub async fn stored(reader: &dyn StoreReader, analysis_id: &str) -> Result<Option<Record>, SinkError> {
    let page = reader.rows_with(analyses(), ("analysis_id", &[analysis_id.to_owned()]), None, 1).await?;
    Ok(page.rows().into_iter().find_map(|row| Record::of_values(analyses(), row)))
}

impl Record {
    /// When it was asked; none if that is no time.
    pub fn asked(&self) -> Option<TimeMs> {
        TimeMs::parse_rfc3339(&self.asked_at)
    }

    /// Its place in a list; none where its time cannot be read.
    pub fn key(&self) -> Option<Key> {
        Some((self.asked()?, self.analysis_id.clone()))
    }

    /// The same without its texts.
    pub fn without_texts(self) -> Record {
        Record { answer: String::new(), sent: String::new(), evidence: String::new(), ..self }
    }

    /// Whether it has an end.
    pub fn is_finished(&self) -> bool {
        self.outcome != STARTED
    }

    /// Whether it has ended by `now`, or should have.
    pub fn is_over(&self, now: TimeMs) -> bool {
        let ends_by = || TimeMs::parse_rfc3339(&self.ends_by).or(self.asked());
        self.is_finished() || ends_by().is_none_or(|end| end < now)
    }

    /// Whether it has come to an end that a row of the table does not know: its process was taken for gone.
    pub fn is_later_than(&self, row: &Record) -> bool {
        row.outcome == INTERRUPTED && self.is_finished() && self.outcome != INTERRUPTED
    }

    /// As it is known at `now`: one that should have ended by then was interrupted.
    pub fn at(self, now: TimeMs) -> Record {
        if self.is_finished() || !self.is_over(now) {
            return self;
        }
        Record {
            outcome: INTERRUPTED.to_owned(),
            reason: with_reason("its process ended before it was answered", &self.reason),
            cost_micros: if self.sent.is_empty() { Some(0) } else { None },
            ..self
        }
    }

    /// Its row, columns as the table lists them; none where its time cannot be read.
    pub fn values(&self) -> Option<Vec<Value>> {
        let asked = self.asked()?;
        let text = |text: &str| if text.is_empty() { Value::Null } else { Value::Text(text.to_owned()) };
        let (vendor, model) = self.model_used.split_once(':').unwrap_or(("", self.model_used.as_str()));
        let value = |column: &str| match column {
            "asked_at" => Value::Time(asked),
            "analysis_id" => Value::Text(self.analysis_id.clone()),
            "caller" => text(&self.caller),
            "role" => text(&self.role),
            "question" => text(&self.question),
            "outcome" => text(&self.outcome),
            "provider" => text(vendor),
            "model" => text(model),
            "input_tokens" => Value::Count(self.input_tokens.into()),
            "output_tokens" => Value::Count(self.output_tokens.into()),
            "tokens_estimated" => Value::Truth(self.tokens_estimated),
            "cost_micros" => self.cost_micros.map_or(Value::Null, Value::Count),
            "evidence_ids" => Value::Texts(self.evidence_ids.clone()),
            "answer_sha256" => text(&self.answer_sha256),
            "sentences_dropped" => Value::Count(self.sentences_dropped.into()),
            "streamed" => Value::Truth(self.streamed),
            "duration_ms" => Value::Count(self.took_ms),
            "reason" => text(&self.reason),
            "answer" => text(&self.answer),
            "sent" => text(&self.sent),
            "evidence" => text(&self.evidence),
            _ => unreachable!("analyses has a column {column} that is written nowhere"),
        };
        Some(analyses().table.columns.iter().map(|(column, _)| value(column)).collect())
    }

    /// The analysis of a stored row; `None` if its time or its key cannot be read.
    fn of_values(table: &'static DerivedTable, row: Vec<Value>) -> Option<Record> {
        let mut row = Fields { table: &table.table, row };
        let asked_at = row.perhaps_time("asked_at")?.to_string();
        let analysis_id = row.perhaps_text("analysis_id")?;
        let mut text = |column: &str| row.perhaps_text(column).unwrap_or_default();
        let (caller, role, question, outcome) = (text("caller"), text("role"), text("question"), text("outcome"));
        let (provider, model) = (text("provider"), text("model"));
        let (answer_sha256, reason) = (text("answer_sha256"), text("reason"));
        let (answer, sent, evidence) = (text("answer"), text("sent"), text("evidence"));
        let count = |value: Value| if let Value::Count(count) = value { Some(count) } else { None };
        Some(Record {
            analysis_id,
            asked_at,
            took_ms: count(row.take("duration_ms")).unwrap_or(0),
            caller,
            role,
            question,
            outcome,
            model_used: if provider.is_empty() { model } else { format!("{provider}:{model}") },
            input_tokens: row.small_count("input_tokens"),
            output_tokens: row.small_count("output_tokens"),
            tokens_estimated: row.take("tokens_estimated") == Value::Truth(true),
            cost_micros: count(row.take("cost_micros")),
            evidence_ids: if let Value::Texts(ids) = row.take("evidence_ids") { ids } else { Vec::new() },
            answer_sha256,
            sentences_dropped: row.small_count("sentences_dropped"),
            streamed: row.take("streamed") == Value::Truth(true),
            reason,
            answer,
            sent,
            evidence,
            ends_by: String::new(),
        })
    }
}

/// What happened, and what was being done.
pub fn with_reason(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what} ({reason})") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::StoreWriter;
    use crate::compliance::commit_of;
    use crate::memory::MemoryStore;
    use model::derived::DerivedChange;
    use model::rows::Rows;

    fn record(number: u32) -> Record {
        Record {
            analysis_id: format!("a-{number}"),
            asked_at: format!("2024-11-13T12:00:{number:02}.000Z"),
            took_ms: 1_234,
            caller: "t1".to_owned(),
            role: "analyst".to_owned(),
            question: "why?".to_owned(),
            outcome: "answered".to_owned(),
            model_used: "openai-compatible:small:8b".to_owned(),
            input_tokens: 10,
            output_tokens: 5,
            tokens_estimated: true,
            cost_micros: Some(7),
            evidence_ids: vec!["E1".to_owned(), "E2".to_owned()],
            answer_sha256: "00".to_owned(),
            sentences_dropped: 1,
            streamed: true,
            reason: String::new(),
            answer: "Finding".to_owned(),
            sent: "rules".to_owned(),
            evidence: r#"[{"id":"E1"}]"#.to_owned(),
            ends_by: String::new(),
        }
    }

    #[tokio::test]
    async fn a_row_is_read_as_it_was_written_and_a_list_leaves_texts_out() {
        let bare = Record {
            analysis_id: "a-2".to_owned(),
            asked_at: "2024-11-13T12:00:02.000Z".to_owned(),
            outcome: "failed".to_owned(),
            ..Record::default()
        };
        let mut store = MemoryStore::new();
        let upserts = [record(1), bare.clone()].iter().map(|one| one.values().unwrap()).collect();
        let change = DerivedChange { table: ANALYSES.to_owned(), upserts, removed: Vec::new() };
        store.commit(&crate::Commit { derived: vec![change], ..commit_of(1, Rows::default()) }).await.unwrap();
        let reader = store.reader();
        assert_eq!(stored(reader.as_ref(), "a-1").await.unwrap(), Some(record(1)));
        assert_eq!(stored(reader.as_ref(), "a-2").await.unwrap(), Some(bare.clone()));
        assert_eq!(stored(reader.as_ref(), "a-3").await.unwrap(), None);
        let short = record(1).without_texts();
        assert_eq!(newest(reader.as_ref(), None, 10).await.unwrap(), [bare.clone(), short.clone()]);
        assert_eq!(newest(reader.as_ref(), None, 1).await.unwrap(), std::slice::from_ref(&bare));
        assert_eq!(newest(reader.as_ref(), bare.key().as_ref(), 10).await.unwrap(), [short]);
        let ids = ["a-3", "a-2"].map(str::to_owned);
        assert_eq!(among(reader.as_ref(), &ids).await.unwrap(), [bare]);
        assert_eq!((count(reader.as_ref(), 1).await.unwrap(), count(reader.as_ref(), 9).await.unwrap()), (1, 2));
        assert_eq!(Record::default().values(), None, "without a time it is no row");
    }

    #[test]
    fn one_that_should_have_ended_was_interrupted() {
        let started = Record {
            outcome: STARTED.to_owned(),
            ends_by: "2024-11-13T12:00:30.000Z".to_owned(),
            cost_micros: Some(0),
            sent: String::new(),
            ..record(1)
        };
        let at = |text: &str| TimeMs::parse_rfc3339(text).unwrap();
        assert_eq!(started.clone().at(at("2024-11-13T12:00:30Z")), started);
        let over = started.clone().at(at("2024-11-13T12:00:31Z"));
        assert_eq!((over.outcome.as_str(), over.cost_micros), (INTERRUPTED, Some(0)));
        let sent = Record { sent: "rules".to_owned(), ..started }.at(at("2024-11-14T00:00:00Z"));
        assert_eq!(sent.cost_micros, None, "what a model was paid is not known");
        assert_eq!(record(1).at(at("2025-01-01T00:00:00Z")), record(1));
    }
}
