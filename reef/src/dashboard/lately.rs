//! Lately: answers to questions in words. A record has the text and the evidence of an answer, and not what could be done.

use crate::analysis::Analysis;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers that are kept.
const KEPT_MAX: usize = 32;

/// The newest answers by id.
#[derive(Default)]
pub struct Lately(Mutex<VecDeque<(String, Arc<Analysis>)>>);

impl Lately {
    /// The answer of this id, if it is kept.
    pub fn get(&self, analysis_id: &str) -> Option<Arc<Analysis>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(id, _)| id == analysis_id).map(|(_, one)| Arc::clone(one))
    }

    /// Keeps an answer; the oldest is dropped for it.
    pub fn put(&self, analysis_id: &str, kept: Analysis) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(id, _)| id != analysis_id);
        if all.len() >= KEPT_MAX {
            all.pop_front();
        }
        all.push_back((analysis_id.to_owned(), Arc::new(kept)));
    }
}
