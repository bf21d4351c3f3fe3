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

impl Refusal {
    /// Something that does not exist.
    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal { kind: RefusalKind::NotFound, message: message.into(), hint: hint.into() }
    }

    /// Several things that are named so.
    pub fn ambiguous(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal { kind: RefusalKind::Ambiguous, message: message.into(), hint: hint.into() }
    }

    /// A question that is wrong.
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal { kind: RefusalKind::Invalid, message: message.into(), hint: hint.into() }
    }
}
