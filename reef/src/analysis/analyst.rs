//! The analyst of a reef: answers questions in words for its callers, within their limits, and records each of them.

use super::answer::Analysis;
use super::counted::Counted;
use super::findings::{Found, Named, find, find_with_names};
use super::journal::{self, Journal, Record, new_id, sha256};
use super::limits::{Limits, Most, Reserved, Turn, Use};
use super::providers::{Attempt, Chain, Prices};
use super::question::{AnalyzeQuestion, QUESTION_BYTES_MAX};
use super::recorded;
use super::tail::Tail;
use super::template::{headline, worded};
use super::wording::{Privacy, Worded, Wording, word};
use crate::answers::part::{Listed, Part};
use crate::answers::{AnswerError, Scope};
use model::clock::SharedClock;
use model::error::one_line;
use model::instruments::Registry;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use sinks::analyses::{self, STARTED};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What is left of a caller's time when a model has had its part.
const MARGIN: Duration = Duration::from_secs(1);
/// How much longer than its caller waits a question may take to end, before its process counts as gone.
const END_MARGIN: Duration = Duration::from_secs(5);
/// Longest wait that is recorded.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// Answers questions in words.
pub struct Analyst {
    /// None where nothing is limited or recorded.
    clock: Option<SharedClock>,
    model: Option<Model>,
    limits: Option<Limits>,
    /// Of the journal, where questions are recorded.
    tail: Option<Arc<Tail>>,
    /// Empty where nothing is counted.
    counted: OnceLock<Counted>,
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
    /// The role of the caller.
    pub role: String,
    /// Whether pieces are sent.
    pub streamed: bool,
    /// How long the caller waits.
    pub wait: Duration,
}

/// A question that may be answered. It counts as one of those that are answered at once until it is dropped.
pub struct Admitted {
    began: TimeMs,
    _turn: Option<Turn>,
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
        let counted = OnceLock::new();
        Analyst { clock: None, model: None, limits: None, tail: None, counted, without: None }
    }

    /// One that words answers by the template, for any number of questions, and records them in a file.
    pub fn recording(journal: &Path, clock: SharedClock) -> Analyst {
        let tail = Some(Arc::new(Tail::of(Journal::of(journal))));
        Analyst { clock: Some(clock), tail, ..Analyst::without_model() }
    }

    /// One with a model, if there is one; questions are limited, and recorded in a file. What the file has of this hour and
    /// day counts.
    pub fn new(model: Option<Model>, most: Most, journal: &Path, clock: SharedClock) -> Analyst {
        let (limits, journal, now) = (Limits::of(most), Journal::of(journal), clock.now());
        // as they were written: of one that was interrupted the estimate counts
        match journal.asked_since(Limits::counted_from(now)) {
            Ok(records) => limits.resume(&records, now),
            Err(error) => tracing::warn!(error = one_line(&error), "what was asked before is not counted"),
        }
        let (limits, tail) = (Some(limits), Some(Arc::new(Tail::of(journal))));
        Analyst { clock: Some(clock), model, limits, tail, ..Analyst::without_model() }
    }

    /// The same, with the reason why it has no model.
    pub fn or_without(self, reason: Option<String>) -> Analyst {
        Analyst { without: reason, ..self }
    }

    /// Counts from now on in this registry, unless it counts in another one.
    pub fn count_in(&self, registry: &Registry) {
        let _ = self.counted.get_or_init(|| Counted::of(registry));
    }

    fn count(&self, outcome: &str) {
        if let Some(counted) = self.counted.get() {
            counted.ended(outcome);
        }
    }

    /// The time by its clock; 1970 where it has none.
    fn now(&self) -> TimeMs {
        self.clock.as_ref().map_or(TimeMs(0), |clock| clock.now())
    }

    /// The tail of the journal, with what was appended to it; none where nothing is recorded.
    async fn followed(&self) -> io::Result<Option<&Arc<Tail>>> {
        let Some(tail) = &self.tail else { return Ok(None) };
        let following = Arc::clone(tail);
        // the first time it may be a file of several megabytes
        let read = tokio::task::spawn_blocking(move || following.follow()).await;
        read.unwrap_or_else(|error| Err(io::Error::other(error)))?;
        Ok(Some(tail))
    }

    /// A part of all that is recorded, in the journal and in the store, the newest first; one analysis with its texts.
    ///
    /// # Errors
    /// Those of the store, when the journal cannot be read, or there is no analysis of this id.
    pub async fn listed(
        &self,
        reader: &dyn StoreReader,
        analysis_id: Option<&str>,
        part: &Part,
    ) -> Result<Listed<Record>, AnswerError> {
        let (tail, now) = (self.followed().await.map_err(|error| journal::unreadable(&error))?, self.now());
        Ok(match analysis_id {
            None => journal::part_of(tail, reader, part, now).await?,
            Some(id) => journal::alone(journal::one(tail, reader, id, now).await?),
        })
    }

    /// Changes whenever a question is asked or ends, by whatever process; empty where none is recorded.
    pub async fn mark(&self) -> String {
        match self.followed().await {
            Ok(Some(tail)) => tail.mark(self.now()),
            Ok(None) => String::new(),
            // a page that asks for the list says so
            Err(_) => "unknown".to_owned(),
        }
    }

    /// What the journal has, the newest first, with texts.
    #[cfg(test)]
    pub(crate) fn recorded(&self) -> Vec<Record> {
        let Some(tail) = &self.tail else { return Vec::new() };
        let all = tail.journal.asked_since(TimeMs(0)).unwrap_or_default().into_iter();
        let states = all.filter_map(|one| tail.journal.last_state(&one.analysis_id).ok().flatten());
        states.map(|record| record.at(self.now())).collect()
    }

    /// Admits a question; one that is none is recorded.
    ///
    /// # Errors
    /// A limit that is reached, and a question without words or with too many.
    pub fn admit(&self, asked: &Asked) -> Result<Admitted, AnalysisError> {
        let began = self.now();
        let turn = self.limits.as_ref().map(|limits| limits.turn(&asked.caller, began)).transpose();
        let turn = turn.map_err(|(message, retry_after)| {
            // not recorded: a caller beyond its limit would fill the journal
            self.count("limited");
            AnalysisError::Limited { message, retry_after }
        })?;
        asked.question.check().map_err(|refusal| {
            let error = AnswerError::from(refusal);
            Entry::begin(self, asked, began).failed(&error);
            AnalysisError::Answer(error)
        })?;
        Ok(Admitted { began, _turn: turn })
    }

    /// The answer.
    ///
    /// # Errors
    /// Those of the store, a question that cannot be answered as it is, and a limit that is reached.
    pub async fn analyze(
        &self,
        asked: &Asked,
        from: (&dyn StoreReader, &Scope),
        pieces: Option<&Pieces>,
    ) -> Result<Analysis, AnalysisError> {
        self.answer(self.admit(asked)?, asked, from, pieces).await
    }

    /// The answer to a question that was admitted.
    ///
    /// # Errors
    /// Those of the store, and a question that cannot be answered as it is.
    pub async fn answer(
        &self,
        admitted: Admitted,
        asked: &Asked,
        (reader, scope): (&dyn StoreReader, &Scope),
        pieces: Option<&Pieces>,
    ) -> Result<Analysis, AnalysisError> {
        let Admitted { began, _turn } = admitted;
        let until = Instant::now() + asked.wait;
        let mut entry = Entry::begin(self, asked, began);
        let (found, names) = match self.found(&asked.question, reader, scope).await {
            Ok(both) => both,
            Err(error) => {
                entry.failed(&error);
                return Err(AnalysisError::Answer(error));
            }
        };
        for done in ["Queried federated metrics", "Reviewed deployment timeline", "Checked correlation patterns"] {
            send(pieces, Piece::Status(done.to_owned())).await;
        }
        entry.record.evidence_ids = found.evidence().map(|one| one.id.clone()).collect();
        entry.evidence = recorded::written(found.evidence());
        let analysis = self.worded(asked, (found, &names), (began, until), &mut entry, pieces).await;
        entry.answered(&analysis);
        Ok(analysis)
    }

    /// What is found, with the names that matter to a model. Without one they are not looked for: that costs a read of
    /// all rows.
    async fn found(
        &self,
        question: &AnalyzeQuestion,
        reader: &dyn StoreReader,
        scope: &Scope,
    ) -> Result<(Found, Vec<Named>), AnswerError> {
        match self.model {
            Some(_) => find_with_names(question, reader, scope).await,
            None => Ok((find(question, reader, scope).await?, Vec::new())),
        }
    }

    /// The answer in words: those of a model where there is one and it passes the check.
    async fn worded(
        &self,
        asked: &Asked,
        (found, names): (Found, &[Named]),
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
            let found = (&analysis.found, names);
            let wording = word(&model.chain, model.privacy, found, &asked.question.question, wait);
            let worded = self.ask(model, wording, entry, pieces).await;
            self.take(worded, model, &mut analysis, began);
        }
        if let Some(rest) = analysis.text.strip_prefix(&first).filter(|rest| !rest.is_empty()) {
            send(pieces, Piece::Text(rest.to_owned())).await;
        }
        analysis
    }

    /// Asks a model within the limits; nothing leaves that is not recorded.
    async fn ask(&self, model: &Model, wording: Wording<'_>, entry: &mut Entry<'_>, pieces: Option<&Pieces>) -> Worded {
        let (tries, now) = (wording.estimates(), entry.began);
        let reserved = match self.reserved(&tries, &model.prices, now) {
            Ok(reserved) => reserved,
            Err(reason) => return Worded { reason, ..Worded::default() },
        };
        let worded = if entry.asks(wording.sent(), &tries, &model.prices) {
            if !tries.is_empty() {
                send(pieces, Piece::Status(format!("Asking {}", model.chain.name()))).await;
            }
            let may_begin = || reserved.as_ref().is_none_or(Reserved::begin);
            wording.answered(&may_begin).await
        } else {
            let reason = "what a model would be sent cannot be recorded (ai.journal_file)".to_owned();
            Worded { reason, ..Worded::default() }
        };
        if worded.replied.attempts.is_empty() {
            entry.record.sent.clear();
        }
        if let Some(counted) = self.counted.get() {
            counted.tries(&worded.replied.attempts, &model.prices, now);
        }
        let (input, output) = worded.replied.tokens();
        let cost = model.prices.cost(&worded.replied.attempts, now).unwrap_or(0);
        if let Some(reserved) = reserved {
            reserved.settle(Use { tokens: u64::from(input) + u64::from(output), cost_micros: cost });
        }
        worded
    }

    /// Counts the most that one of these tries may use, or says why no model may be asked.
    fn reserved(&self, tries: &[Attempt], prices: &Prices, now: TimeMs) -> Result<Option<Reserved<'_>>, String> {
        let Some(limits) = &self.limits else { return Ok(None) };
        let mut most = Use::default();
        for one in tries {
            match prices.cost(std::slice::from_ref(one), now) {
                Some(cost) => most.cost_micros = most.cost_micros.max(cost),
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
            most.tokens = used.max(most.tokens);
        }
        limits.reserve(most, now).map(Some)
    }

    /// Puts what a model wrote into the answer.
    fn take(&self, worded: Worded, model: &Model, analysis: &mut Analysis, now: TimeMs) {
        let (input, output) = worded.replied.tokens();
        let cost = model.prices.cost(&worded.replied.attempts, now);
        let metadata = &mut analysis.metadata;
        (metadata.input_tokens, metadata.output_tokens, metadata.cost_micros) = (input, output, cost);
        metadata.tokens_estimated = worded.replied.is_estimated();
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

/// A record that is written before anything is sent, and at the end, also when its question is dropped before it is answered.
struct Entry<'a> {
    analyst: &'a Analyst,
    began: TimeMs,
    record: Record,
    /// As it is recorded at the end; before that the record has its ids.
    evidence: String,
}

impl<'a> Entry<'a> {
    fn begin(analyst: &'a Analyst, asked: &Asked, began: TimeMs) -> Entry<'a> {
        let wait = (asked.wait + END_MARGIN).min(WAIT_MAX);
        let ends_by = began + i64::try_from(wait.as_millis()).unwrap_or(0);
        let record = Record {
            analysis_id: if analyst.tail.is_some() { new_id() } else { String::new() },
            asked_at: began.to_string(),
            ends_by: ends_by.to_string(),
            caller: asked.caller.clone(),
            role: asked.role.clone(),
            question: shown_of(&asked.question.question),
            outcome: STARTED.to_owned(),
            streamed: asked.streamed,
            cost_micros: Some(0),
            ..Record::default()
        };
        let entry = Entry { analyst, began, record, evidence: String::new() };
        entry.append();
        entry
    }

    /// Whether the record is written; true where none is kept.
    fn append(&self) -> bool {
        self.analyst.tail.as_ref().is_none_or(|tail| tail.journal.append(&self.record))
    }

    /// Records what is about to be sent, and what that may cost; false where that is not possible. `tries` is empty where
    /// nobody is asked.
    fn asks(&mut self, sent: String, tries: &[Attempt], prices: &Prices) -> bool {
        let Some(first) = tries.first() else { return true };
        self.record.sent = sent;
        let names: Vec<&str> = tries.iter().map(|one| one.provider.as_str()).collect();
        self.record.reason = format!("asking {}", names.join(", else "));
        (self.record.input_tokens, self.record.output_tokens) =
            (first.input_tokens.unwrap_or(0), first.output_tokens.unwrap_or(0));
        self.record.tokens_estimated = true;
        self.record.cost_micros = prices.cost(std::slice::from_ref(first), self.began);
        self.append()
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
        record.tokens_estimated = metadata.tokens_estimated;
        record.cost_micros = metadata.cost_micros;
        record.sentences_dropped = metadata.sentences_dropped;
        record.reason.clone_from(&metadata.template_reason);
        record.answer = analysis.answer();
        record.answer_sha256 = sha256(&record.answer);
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let took_ms = self.analyst.now() - self.began;
        self.record.took_ms = u64::try_from(took_ms).unwrap_or(0);
        self.record.evidence = std::mem::take(&mut self.evidence);
        if self.record.outcome == STARTED && std::thread::panicking() {
            self.record.outcome = "failed".to_owned();
            self.record.reason =
                analyses::with_reason("a fault in the reef; its log has the details", &self.record.reason);
        } else if self.record.outcome == STARTED {
            self.record.outcome = "cancelled".to_owned();
            self.record.reason = analyses::with_reason("the caller no longer waited", &self.record.reason);
        }
        self.append();
        self.analyst.count(&self.record.outcome);
    }
}

/// As much of a question as one may have.
fn shown_of(question: &str) -> String {
    match question.len() {
        ..=QUESTION_BYTES_MAX => question.to_owned(),
        _ => format!("{}… (cut)", &question[..question.floor_char_boundary(QUESTION_BYTES_MAX)]),
    }
}

async fn send(pieces: Option<&Pieces>, piece: Piece) {
    if let Some(pieces) = pieces {
        // a caller that has gone is noticed by the one who reads the pieces
        let _ = pieces.send(piece).await;
    }
}
