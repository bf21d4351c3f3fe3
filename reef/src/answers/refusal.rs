//! Refusals: why a question has no answer, and what to ask instead.

use serde::{Deserialize, Serialize};
use sinks::SinkError;

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// What was named does not exist.
    NotFound,
    /// Several things are named so.
    Ambiguous,
    /// The question itself is wrong.
    Invalid,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Its kind.
    pub kind: RefusalKind,
    /// What is wrong, with the name as it was given.
    pub message: String,
    /// What to ask instead.
    pub hint: String,
    /// Which field of the question is meant, as the RPC calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[source] SinkError),
    /// The question cannot be answered as it is.
    #[error("the question cannot be answered")]
    Refused(#[source] Refusal),
}

impl From<SinkError> for AnswerError {
    fn from(error: SinkError) -> Self {
        AnswerError::Store(error)
    }
}

impl From<Refusal> for AnswerError {
    fn from(refusal: Refusal) -> Self {
        AnswerError::Refused(refusal)
    }
}

impl AnswerError {
    /// The same; a refusal is about a field of the question.
    pub fn at(self, field: &str) -> AnswerError {
        match self {
            AnswerError::Refused(refusal) => AnswerError::Refused(refusal.at(field)),
            AnswerError::Store(_) => self,
        }
    }
}

impl Refusal {
    /// Something that does not exist.
    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal::of(RefusalKind::NotFound, message.into(), hint.into())
    }

    /// Several things that are named so.
    pub fn ambiguous(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal::of(RefusalKind::Ambiguous, message.into(), hint.into())
    }

    /// A question that is wrong.
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal::of(RefusalKind::Invalid, message.into(), hint.into())
    }

    /// The same, about a field of the question.
    pub fn at(self, field: &str) -> Refusal {
        Refusal { field: Some(field.to_owned()), ..self }
    }

    fn of(kind: RefusalKind, message: String, hint: String) -> Refusal {
        Refusal { kind, message, hint, field: None }
    }
}
