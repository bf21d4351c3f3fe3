//! The question: words, and what narrows it.

use crate::answers::Refusal;
use serde::{Deserialize, Serialize};

/// Longest question, in bytes.
pub const QUESTION_BYTES_MAX: usize = 2_000;

/// A question in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyzeQuestion {
    /// The words.
    pub question: String,
    /// Only these colonies; empty for all.
    #[serde(default)]
    pub colonies: Vec<String>,
    /// How far to look back, whatever the words say.
    #[serde(default)]
    pub window_ms: Option<i64>,
    /// Whether patterns are used.
    #[serde(default)]
    pub patterns: bool,
}

impl AnalyzeQuestion {
    /// Fails for a question without words, or with too many.
    ///
    /// # Errors
    /// Why.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.question.trim().is_empty() {
            let hint = "ask in words, for example: why is production slower than staging?";
            return Err(Refusal::invalid("no question is asked", hint).at("question"));
        }
        if self.question.len() > QUESTION_BYTES_MAX {
            let message = format!("a question of {} bytes is too long", self.question.len());
            return Err(Refusal::invalid(message, format!("ask in at most {QUESTION_BYTES_MAX} bytes")).at("question"));
        }
        Ok(())
    }
}
