//! Lately: answers to questions in words with their evidence. A record has the ids of its evidence, and not the evidence.

use super::asked::{Asked, Problem};
use crate::analysis::journal::Record;
use crate::analysis::{Analysis, AnalyzeQuestion, find};
use crate::answers::AnswerError;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers that are kept.
const KEPT_MAX: usize = 32;

/// An answer with its evidence.
pub struct Kept {
    /// The answer.
    pub analysis: Analysis,
    /// Whether its evidence was found again after the answer: the store may have changed.
    pub is_again: bool,
}

/// The newest answers by id.
#[derive(Default)]
pub struct Lately(Mutex<VecDeque<(String, Arc<Kept>)>>);

impl Lately {
    /// The answer of this id, if it is kept.
    pub fn get(&self, analysis_id: &str) -> Option<Arc<Kept>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(id, _)| id == analysis_id).map(|(_, one)| Arc::clone(one))
    }

    /// Keeps an answer; the oldest is dropped for it.
    pub fn put(&self, analysis_id: &str, kept: Kept) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(id, _)| id != analysis_id);
        if all.len() >= KEPT_MAX {
            all.pop_front();
        }
        all.push_back((analysis_id.to_owned(), Arc::new(kept)));
    }
}

/// The evidence of a record, found again in the store as it is now, and not kept: it would push out that of answers, and
/// the store goes on. `None` where the record has none, or the question cannot be answered any more.
pub async fn again(record: &Record, asked: &Asked) -> Result<Option<Kept>, Problem> {
    if record.evidence_ids.is_empty() {
        return Ok(None);
    }
    let question = AnalyzeQuestion { question: record.question.clone(), patterns: true, ..AnalyzeQuestion::default() };
    let found = match find(&question, asked.reader.as_ref(), asked.scope()).await {
        Ok(found) => found,
        Err(AnswerError::Refused(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Kept { analysis: Analysis::of_template(found, String::new()), is_again: true }))
}
