//! Queries of a store, and their answers: a document for programs and a page for people.

use crate::pipeline::rules::Known;
use reef::access::Who;
use reef::analysis::{Analysis, AnalysisError, Analyst, AnalyzeQuestion, Asked, Pieces};
use reef::answers::status::{RunFacts, StatusQuestion};
use reef::answers::{self, AnswerError, Refusal};
use reef::sql::{SqlEngine, SqlError, SqlQuestion};
use reef::{Report, Shown, text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sinks::{SinkError, StoreReader};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// The patterns.
    Report {
        /// Explained and weaker candidates too.
        all: bool,
    },
    /// One pattern and the rows behind it.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// A question about the reef, with what its answer is complete to.
    Reef {
        /// The question.
        about: answers::Question,
    },
    /// A question in words.
    Analyze {
        /// The question.
        about: AnalyzeQuestion,
        /// Whether its text is printed as it is made.
        streamed: bool,
    },
    /// A question in SQL.
    Sql {
        /// The question.
        about: SqlQuestion,
    },
    /// A question about the reef, its answer without what a running reef says of itself.
    Plain {
        /// The question.
        about: answers::Question,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The query.
    Found {
        /// For programs: of a question about the reef, the response of the RPC of the same name.
        document: Value,
        /// For people.
        page: String,
    },
    /// No pattern has this id, or several begin like it.
    Unclear {
        /// The ids that begin like it.
        ids: Vec<String>,
    },
    /// The question cannot be answered as it is.
    Refused {
        /// Why, and what to ask instead.
        refusal: Refusal,
    },
    /// Too much has been asked.
    Limited {
        /// Which limit.
        message: String,
        /// When to ask again.
        retry_after_seconds: u64,
    },
    /// A statement was ended, or failed on its rows.
    Ended {
        /// Why, for programs.
        code: String,
        /// Why.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The store did not respond.
    Failed {
        /// Why.
        message: String,
    },
}

/// How long a model may take; shorter than a caller waits.
const MODEL_WAIT: Duration = Duration::from_secs(50);
/// Maximum number of candidates listed without --all.
const CANDIDATES_MAX: usize = reef::report::CANDIDATES_SHOWN_MAX;

impl Question {
    /// The question with what the run that answers it says of itself; only the status shows that.
    pub fn answered_by(self, run: RunFacts) -> Question {
        let status = || answers::Question::Status(StatusQuestion { run: Some(run.clone()) });
        match self {
            Question::Reef { about: answers::Question::Status(_) } => Question::Reef { about: status() },
            Question::Plain { about: answers::Question::Status(_) } => Question::Plain { about: status() },
            other => other,
        }
    }

    /// Whether its answer says by itself that a running reef gave it.
    pub fn is_status(&self) -> bool {
        matches!(self, Question::Reef { about: answers::Question::Status(_) })
    }

    /// Reads the answer from a store.
    pub async fn answer(&self, reader: &Arc<dyn StoreReader>, known: &Known) -> Result<Answer, SinkError> {
        if let Question::Sql { about } = self {
            return selected(&SqlEngine::default(), about, reader, known).await;
        }
        let reader = reader.as_ref();
        match self {
            Question::Report { all } => {
                let most = if *all { usize::MAX } else { CANDIDATES_MAX };
                let report = Report::read(reader, &known.store_name, most).await?.with_rules(known.rules);
                let page = if *all { text::full_report(&report) } else { text::report(&report) };
                Ok(Answer::Found { document: json!({ "report": report }), page })
            }
            Question::Show { id } => Ok(match Shown::read(reader, id).await? {
                Shown::Pattern(traced) => Answer::Found { document: json!(traced), page: text::traced(&traced) },
                Shown::Several(ids) => Answer::Unclear { ids },
            }),
            Question::Analyze { about, streamed } => {
                let analyst = (&Analyst::without_model(), Instant::now());
                analyzed(analyst, (about, *streamed), (reader, known), None).await
            }
            Question::Sql { .. } => unreachable!("answered above"),
            Question::Reef { about } | Question::Plain { about } => match about.answer(reader, &known.scope).await {
                Ok(answer) => {
                    let page = answer.text();
                    Ok(match reef::rpc::document(answer) {
                        Ok(document) => Answer::Found { document, page },
                        Err(error) => Answer::Failed { message: format!("the answer cannot be written: {error}") },
                    })
                }
                Err(AnswerError::Refused(refusal)) => Ok(Answer::Refused { refusal }),
                Err(AnswerError::Store(error)) => Err(error),
            },
        }
    }
}

/// The answer to a statement.
pub async fn selected(
    engine: &SqlEngine,
    about: &SqlQuestion,
    reader: &Arc<dyn StoreReader>,
    known: &Known,
) -> Result<Answer, SinkError> {
    let error = match engine.answer(about, reader, &known.scope).await {
        Ok(answer) => {
            return Ok(match reef::rpc::sql_document(answer) {
                Ok(document) => Answer::Found { document, page: String::new() },
                Err(error) => Answer::Failed { message: format!("the answer cannot be written: {error}") },
            });
        }
        Err(error) => error,
    };
    let (message, hint) = (error.to_string(), error.hint());
    let ended =
        |code: &str| Ok(Answer::Ended { code: code.to_owned(), message: message.clone(), hint: hint.to_owned() });
    match error {
        SqlError::Refused { .. } => Ok(Answer::Refused { refusal: Refusal::invalid(message, hint) }),
        SqlError::Failed { .. } => ended("statement_failed"),
        SqlError::Fault { .. } => ended("fault"),
        SqlError::TimedOut { .. } => ended("timed_out"),
        SqlError::Memory | SqlError::AnswerTooLarge { .. } => ended("too_large"),
        SqlError::Busy => Ok(Answer::Limited { message, retry_after_seconds: 1 }),
        SqlError::Store(error) => Err(error),
    }
}

/// The answer of an analyst to a question that was asked at `since`: what opening the store took is gone from its time.
pub async fn analyzed(
    (analyst, since): (&Analyst, Instant),
    (about, streamed): (&AnalyzeQuestion, bool),
    (reader, known): (&dyn StoreReader, &Known),
    pieces: Option<&Pieces>,
) -> Result<Answer, SinkError> {
    let wait = MODEL_WAIT.saturating_sub(since.elapsed());
    // over the socket, or in this process: the user of this machine
    let who = Who::default();
    let asked = Asked { question: about.clone(), caller: who.caller, role: who.role, streamed, wait };
    match analyst.analyze(&asked, (reader, &known.scope), pieces).await {
        Ok(analysis) => Ok(found(analysis)),
        Err(AnalysisError::Answer(AnswerError::Refused(refusal))) => Ok(Answer::Refused { refusal }),
        Err(AnalysisError::Answer(AnswerError::Store(error))) => Err(error),
        Err(AnalysisError::Limited { message, retry_after }) => {
            Ok(Answer::Limited { message, retry_after_seconds: retry_after.as_secs().max(1) })
        }
    }
}

fn found(analysis: Analysis) -> Answer {
    let page = analysis.page();
    match reef::rpc::analysis_document(analysis) {
        Ok(document) => Answer::Found { document, page },
        Err(error) => Answer::Failed { message: format!("the answer cannot be written: {error}") },
    }
}
