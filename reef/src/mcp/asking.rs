//! Asking: who answers the questions of tools: the reef of this process, or whatever a command reaches.

use crate::answers::names::near_hint;
use crate::answers::status::StatusQuestion;
use crate::answers::{AnswerError, Question, Refusal, Scope};
use crate::reading::Reading;
use crate::rpc;
use model::error::one_line;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Instant;

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
}

/// The reef of this process, or the store that it has opened.
pub struct Here {
    reading: Reading,
    scope: Scope,
    address: SocketAddr,
    opened: Instant,
}

impl Here {
    /// What a reef answers from now on at `address`.
    pub fn new(reading: Reading, scope: Scope, address: SocketAddr) -> Here {
        Here { reading, scope, address, opened: Instant::now() }
    }

    async fn answer(&self, reef: Option<&str>, question: Question) -> Result<Told, Unanswered> {
        if let Some(other) = reef.filter(|reef| !reef.eq_ignore_ascii_case(&self.scope.reef_id)) {
            return Err(self.unknown_reef(other).into());
        }
        let question = match question {
            Question::Status(_) => {
                Question::Status(StatusQuestion { run: self.reading.run_facts(self.opened, self.address) })
            }
            other => other,
        };
        let closed = || Unanswered::Failed {
            message: "the store is closed: the run has ended".to_owned(),
            hint: "start the reef again: coral reef start".to_owned(),
        };
        let reader = self.reading.reader().await.ok_or_else(closed)?;
        let answer = question.answer(reader.as_ref(), &self.scope).await.map_err(|error| match error {
            AnswerError::Refused(refusal) => Unanswered::Refused(refusal),
            AnswerError::Store(error) => {
                tracing::warn!(error = one_line(&error), "a tool got no answer: the store could not be read");
                Unanswered::Failed {
                    message: format!("the store could not be read: {}", one_line(&error)),
                    hint: "try again in a moment".to_owned(),
                }
            }
        })?;
        let text = answer.text();
        let document = rpc::document(answer).map_err(|error| Unanswered::Failed {
            message: format!("the answer cannot be written: {error}"),
            hint: "report this as a fault".to_owned(),
        })?;
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
}
