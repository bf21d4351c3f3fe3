//! Asking: who answers the questions of tools: the reef of this process, or whatever a command reaches.

use crate::access::Who;
use crate::analysis::{AnalysisError, Analyst, AnalyzeQuestion, Asked};
use crate::answers::names::near_hint;
use crate::answers::status::StatusQuestion;
use crate::answers::{AnswerError, Question, Refusal, Scope};
use crate::reading::{Doors, Reading};
use crate::rpc;
use crate::sql::{SqlEngine, SqlError, SqlQuestion};
use model::error::one_line;
use serde_json::Value;
use sinks::StoreReader;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a model may take; shorter than a call.
const MODEL_WAIT: Duration = Duration::from_secs(50);

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The response of the RPC of the same name, as JSON.
    pub document: Value,
    /// The same for people.
    pub text: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The question cannot be answered as it is.
    #[error("the question cannot be answered as it is")]
    Refused(#[source] Refusal),
    /// Nothing answers now.
    #[error("{message}")]
    Failed {
        /// What has failed.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Unanswered::Refused(refusal)
    }
}

/// An answer that is awaited.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Told, Unanswered>> + Send + 'a>>;

/// Answers questions about reefs.
pub trait Asks: Send + Sync + 'static {
    /// Asks the reef of this name; without one, the usual one.
    fn ask<'a>(&'a self, reef: Option<&'a str>, question: Question) -> Asking<'a>;

    /// Asks the same reef a question in words, for a caller.
    fn analyze<'a>(&'a self, reef: Option<&'a str>, question: AnalyzeQuestion, who: &'a Who) -> Asking<'a>;

    /// Asks the same reef in SQL; the rows of the document are in Arrow's format ([`crate::rpc::sql_document`]).
    fn select<'a>(&'a self, reef: Option<&'a str>, question: SqlQuestion) -> Asking<'a>;
}

/// The reef of this process, or the store that it has opened.
pub struct Here {
    reading: Reading,
    scope: Scope,
    doors: Doors,
    opened: Instant,
    analyst: Arc<Analyst>,
    sql: SqlEngine,
}

impl Here {
    /// What a reef answers from now on at `doors`.
    pub fn new(reading: Reading, scope: Scope, doors: impl Into<Doors>) -> Here {
        let (opened, analyst) = (Instant::now(), Arc::new(Analyst::without_model()));
        Here { reading, scope, doors: doors.into(), opened, analyst, sql: SqlEngine::default() }
    }

    /// The same; questions in words are answered by this analyst.
    pub fn with_analyst(self, analyst: Arc<Analyst>) -> Here {
        Here { analyst, ..self }
    }

    /// The same; statements are run by this engine.
    pub fn with_sql(self, sql: SqlEngine) -> Here {
        Here { sql, ..self }
    }

    async fn selected(&self, reef: Option<&str>, question: SqlQuestion) -> Result<Told, Unanswered> {
        let reader = self.reader(reef).await?;
        let answer = self.sql.answer(&question, &reader, &self.scope).await.map_err(|error| match error {
            SqlError::Refused { message, hint } => Refusal::invalid(message, hint).at("sql").into(),
            other => Unanswered::Failed { message: other.to_string(), hint: other.hint().to_owned() },
        })?;
        let document = rpc::sql_document(answer).map_err(|error| unwritten(&error))?;
        Ok(Told { document, text: String::new() })
    }

    /// The store's reader; fails for another reef, and once the run is over.
    async fn reader(&self, reef: Option<&str>) -> Result<Arc<dyn StoreReader>, Unanswered> {
        if let Some(other) = reef.filter(|reef| !reef.eq_ignore_ascii_case(&self.scope.reef_id)) {
            return Err(self.unknown_reef(other).into());
        }
        self.reading.reader().await.ok_or_else(|| Unanswered::Failed {
            message: "the store is closed: the run has ended".to_owned(),
            hint: "start the reef again: coral reef start".to_owned(),
        })
    }

    async fn analyzed(&self, reef: Option<&str>, question: AnalyzeQuestion, who: &Who) -> Result<Told, Unanswered> {
        let began = Instant::now();
        let reader = self.reader(reef).await?;
        // what the store took is gone from the time of the question
        let wait = MODEL_WAIT.saturating_sub(began.elapsed());
        let asked = Asked { question, caller: who.caller.clone(), role: who.role.clone(), streamed: false, wait };
        let analysis = self.analyst.analyze(&asked, (reader.as_ref(), &self.scope), None).await;
        let analysis = analysis.map_err(|error| match error {
            AnalysisError::Answer(error) => unanswered(error),
            AnalysisError::Limited { message, retry_after } => {
                Unanswered::Failed { message, hint: format!("ask again in {} s", retry_after.as_secs().max(1)) }
            }
        })?;
        let text = analysis.answer();
        let document = rpc::analysis_document(analysis).map_err(|error| unwritten(&error))?;
        Ok(Told { document, text })
    }

    async fn answer(&self, reef: Option<&str>, question: Question) -> Result<Told, Unanswered> {
        let reader = self.reader(reef).await?;
        let question = match question {
            Question::Status(_) => {
                Question::Status(StatusQuestion { run: self.reading.run_facts(self.opened, &self.doors) })
            }
            other => other,
        };
        let answer = question.answer(reader.as_ref(), &self.scope).await.map_err(unanswered)?;
        let text = answer.text();
        let document = rpc::document(answer).map_err(|error| unwritten(&error))?;
        Ok(Told { document, text })
    }

    fn unknown_reef(&self, given: &str) -> Refusal {
        let known = BTreeSet::from([self.scope.reef_id.clone()]);
        let hint = near_hint("reef", &given.to_lowercase(), &known);
        Refusal::not_found(format!("there is no reef {given:?} here"), format!("{hint}; or leave it out")).at("reef")
    }
}

impl Asks for Here {
    fn ask<'a>(&'a self, reef: Option<&'a str>, question: Question) -> Asking<'a> {
        Box::pin(self.answer(reef, question))
    }

    fn analyze<'a>(&'a self, reef: Option<&'a str>, question: AnalyzeQuestion, who: &'a Who) -> Asking<'a> {
        Box::pin(self.analyzed(reef, question, who))
    }

    fn select<'a>(&'a self, reef: Option<&'a str>, question: SqlQuestion) -> Asking<'a> {
        Box::pin(self.selected(reef, question))
    }
}

fn unanswered(error: AnswerError) -> Unanswered {
    match error {
        AnswerError::Refused(refusal) => Unanswered::Refused(refusal),
        AnswerError::Store(error) => {
            tracing::warn!(error = one_line(&error), "a tool got no answer: the store could not be read");
            Unanswered::Failed {
                message: format!("the store could not be read: {}", one_line(&error)),
                hint: "try again in a moment".to_owned(),
            }
        }
    }
}

fn unwritten(error: &serde_json::Error) -> Unanswered {
    Unanswered::Failed {
        message: format!("the answer cannot be written: {error}"),
        hint: "report this as a fault".to_owned(),
    }
}
