//! The analyst of a reef: answers questions in words for its callers, within their limits, and records each of them.

use super::answer::Analysis;
use super::findings::{Found, find};
use super::journal::{Journal, Record, new_id, sha256};
use super::limits::{Limits, Most, Reserved};
use super::providers::{Attempt, Chain, Prices};
use super::question::AnalyzeQuestion;
use super::template::{headline, worded};
use super::wording::{Privacy, Worded, word};
use crate::answers::part::{Listed, Part};
use crate::answers::{AnswerError, Scope};
use model::clock::SharedClock;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What is left of a caller's time when a model has had its part.
const MARGIN: Duration = Duration::from_secs(1);

/// Answers questions in words.
pub struct Analyst {
    /// None where nothing is limited or recorded.
    clock: Option<SharedClock>,
    model: Option<Model>,
    limits: Option<Limits>,
    journal: Option<Journal>,
    /// Why there is no model, where one is configured.
    without: Option<String>,
}

/// A model, and how it is used.
pub struct Model {
    /// Who is asked.
    pub chain: Chain,
    /// What may leave.
    pub privacy: Privacy,
    /// What it costs.
    pub prices: Prices,
}

/// A question, and who asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub question: AnalyzeQuestion,
    /// The id of the caller's token, or `local`.
    pub caller: String,
    /// Whether pieces are sent.
    pub streamed: bool,
    /// How long the caller waits.
    pub wait: Duration,
}

/// A piece of an answer that is being made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// What has been done.
    Status(String),
    /// Text of the answer.
    Text(String),
}

/// Where pieces go; nobody may be listening.
pub type Pieces = mpsc::Sender<Piece>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The store, or the question.
    #[error("the question has no answer")]
    Answer(#[source] AnswerError),
    /// The caller, or all of them, have asked too much.
    #[error("{message}")]
    Limited {
        /// Which limit.
        message: String,
        /// When to ask again.
        retry_after: Duration,
    },
}

impl Analyst {
    /// One that words answers by the template, for any number of questions, and records none.
    pub fn without_model() -> Analyst {
        Analyst { clock: None, model: None, limits: None, journal: None, without: None }
    }

    /// One with a model, if there is one; questions are limited, and recorded in a file.
    pub fn new(model: Option<Model>, most: Most, journal: &Path, clock: SharedClock) -> Analyst {
        let (limits, journal) = (Some(Limits::of(most)), Some(Journal::of(journal)));
        Analyst { clock: Some(clock), model, limits, journal, without: None }
    }

    /// The same, with the reason why it has no model.
    pub fn or_without(self, reason: Option<String>) -> Analyst {
        Analyst { without: reason, ..self }
    }

    /// The time by its clock; 1970 where it has none.
    fn now(&self) -> TimeMs {
        self.clock.as_ref().map_or(TimeMs(0), |clock| clock.now())
    }

    /// A part of what is recorded; one analysis with its texts.
    ///
    /// # Errors
    /// When the journal cannot be read, or there is no analysis of this id.
    pub fn recorded(&self, analysis_id: Option<&str>, part: &Part) -> Result<Listed<Record>, AnswerError> {
        match &self.journal {
            Some(journal) => journal.list(analysis_id, part),
            None => Ok(Listed { items: Vec::new(), total: 0, truncated: false, next_cursor: None }),
        }
    }

    /// The answer.
    ///
    /// # Errors
    /// Those of the store, a question that cannot be answered as it is, and a limit that is reached.
    pub async fn analyze(
        &self,
        asked: &Asked,
        (reader, scope): (&dyn StoreReader, &Scope),
        pieces: Option<&Pieces>,
    ) -> Result<Analysis, AnalysisError> {
        let began = self.now();
        let until = Instant::now() + asked.wait;
        asked.question.check().map_err(|refusal| AnalysisError::Answer(refusal.into()))?;
        let turn = self.limits.as_ref().map(|limits| limits.turn(&asked.caller, began)).transpose();
        let _turn = turn.map_err(|(message, retry_after)| AnalysisError::Limited { message, retry_after })?;
        let mut entry = Entry::begin(self, asked, began);
        let found = match find(&asked.question, reader, scope).await {
            Ok(found) => found,
            Err(error) => {
                entry.failed(&error);
                return Err(AnalysisError::Answer(error));
            }
        };
        for done in ["Queried federated metrics", "Reviewed deployment timeline", "Checked correlation patterns"] {
            send(pieces, Piece::Status(done.to_owned())).await;
        }
        entry.record.evidence_ids = found.evidence().map(|one| one.id.clone()).collect();
        let analysis = self.worded(asked, found, (began, until), &mut entry, pieces).await;
        entry.answered(&analysis);
        Ok(analysis)
    }

    /// The answer in words: those of a model where there is one and it passes the check.
    async fn worded(
        &self,
        asked: &Asked,
        found: Found,
        (began, until): (TimeMs, Instant),
        entry: &mut Entry<'_>,
        pieces: Option<&Pieces>,
    ) -> Analysis {
        let template = worded(&found);
        // what is known goes out first, whatever a model takes
        let first = found.findings.first().map_or_else(|| template.clone(), headline);
        send(pieces, Piece::Text(first.clone())).await;
        let mut analysis = Analysis::of_template(found, template);
        analysis.metadata.analyzed_at = Some(began);
        if let Some(reason) = &self.without {
            analysis.metadata.template_reason.clone_from(reason);
        }
        analysis.metadata.analysis_id.clone_from(&entry.record.analysis_id);
        if let Some(model) = &self.model {
            let wait = until.saturating_duration_since(Instant::now()).saturating_sub(MARGIN);
            let worded = {
                let wording = word(&model.chain, model.privacy, &analysis.found, &asked.question.question, wait);
                match self.reserved(&wording.estimates(), &model.prices, began) {
                    Err(reason) => Worded { reason, ..Worded::default() },
                    Ok(reserved) => {
                        send(pieces, Piece::Status(format!("Asking {}", model.chain.name()))).await;
                        entry.record.sent = wording.sent();
                        let worded = wording.answered().await;
                        if worded.replied.attempts.is_empty() {
                            entry.record.sent.clear();
                        }
                        let (input, output) = worded.replied.tokens();
                        let cost = model.prices.cost(&worded.replied.attempts, began).unwrap_or(0);
                        if let Some(reserved) = reserved {
                            reserved.settle(u64::from(input) + u64::from(output), cost);
                        }
                        worded
                    }
                }
            };
            self.take(worded, model, &mut analysis, began);
        }
        if let Some(rest) = analysis.text.strip_prefix(&first).filter(|rest| !rest.is_empty()) {
            send(pieces, Piece::Text(rest.to_owned())).await;
        }
        analysis
    }

    /// Counts the most that one of these tries may use, or says why no model may be asked.
    fn reserved(&self, tries: &[Attempt], prices: &Prices, now: TimeMs) -> Result<Option<Reserved<'_>>, String> {
        let Some(limits) = &self.limits else { return Ok(None) };
        let (mut tokens, mut cost_micros) = (0, 0);
        for one in tries {
            match prices.cost(std::slice::from_ref(one), now) {
                Some(cost) => cost_micros = cost_micros.max(cost),
                None if limits.has_cost() => {
                    return Err(format!(
                        "no price of {} is known (ai.llm.prices), and what may be spent is limited \
                         (ai.limits.cost_cents_per_day)",
                        one.provider
                    ));
                }
                None => {}
            }
            let used = u64::from(one.input_tokens.unwrap_or(0)) + u64::from(one.output_tokens.unwrap_or(0));
            tokens = used.max(tokens);
        }
        limits.reserve(tokens, cost_micros, now).map(Some)
    }

    /// Puts what a model wrote into the answer.
    fn take(&self, worded: Worded, model: &Model, analysis: &mut Analysis, now: TimeMs) {
        let (input, output) = worded.replied.tokens();
        let cost = model.prices.cost(&worded.replied.attempts, now);
        let metadata = &mut analysis.metadata;
        (metadata.input_tokens, metadata.output_tokens, metadata.cost_micros) = (input, output, cost);
        metadata.sentences_dropped = u32::try_from(worded.dropped.len()).unwrap_or(u32::MAX);
        for (text, why) in &worded.dropped {
            tracing::info!(reason = why.as_str(), length = text.len(), "a sentence of a model is dropped");
        }
        match worded.text(&analysis.found) {
            Some((text, confidence)) => {
                analysis.text = text;
                metadata.confidence = confidence;
                metadata.model_used = worded.model;
                metadata.template_reason.clear();
            }
            None => metadata.template_reason = worded.reason,
        }
    }
}

/// A record that is written also when its question is dropped before it is answered.
struct Entry<'a> {
    analyst: &'a Analyst,
    began: TimeMs,
    record: Record,
}

impl<'a> Entry<'a> {
    fn begin(analyst: &'a Analyst, asked: &Asked, began: TimeMs) -> Entry<'a> {
        let record = Record {
            analysis_id: if analyst.journal.is_some() { new_id() } else { String::new() },
            asked_at: began.to_string(),
            caller: asked.caller.clone(),
            question: asked.question.question.clone(),
            outcome: "cancelled".to_owned(),
            streamed: asked.streamed,
            cost_micros: Some(0),
            reason: "the caller no longer waited".to_owned(),
            ..Record::default()
        };
        Entry { analyst, began, record }
    }

    fn failed(&mut self, error: &AnswerError) {
        self.record.outcome = "failed".to_owned();
        self.record.reason = model::error::one_line(error);
    }

    fn answered(&mut self, analysis: &Analysis) {
        let metadata = &analysis.metadata;
        let record = &mut self.record;
        record.outcome = if metadata.model_used.is_empty() { "template" } else { "answered" }.to_owned();
        record.model_used.clone_from(&metadata.model_used);
        (record.input_tokens, record.output_tokens) = (metadata.input_tokens, metadata.output_tokens);
        record.cost_micros = metadata.cost_micros;
        record.sentences_dropped = metadata.sentences_dropped;
        record.reason.clone_from(&metadata.template_reason);
        record.answer = analysis.answer();
        record.answer_sha256 = sha256(&record.answer);
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(journal) = &self.analyst.journal {
            let took_ms = self.analyst.now() - self.began;
            self.record.took_ms = u64::try_from(took_ms).unwrap_or(0);
            journal.append(&self.record);
        }
    }
}

async fn send(pieces: Option<&Pieces>, piece: Piece) {
    if let Some(pieces) = pieces {
        // a caller that has gone is noticed by the one who reads the pieces
        let _ = pieces.send(piece).await;
    }
}
