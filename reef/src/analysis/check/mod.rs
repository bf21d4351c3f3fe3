//! The check of a model's text: a sentence is kept only if everything it says follows from the evidence that it cites.
//!
//! | file | owns |
//! |---|---|
//! | `tokens` | numbers, durations, times, percentages, versions in a sentence |
//! | `numbers` | whether a number follows from facts: rounding, unit changes |
//! | `names` | names of a sentence, and whether the evidence has them |
//! | `order` | which of two sides came first |
//! | `known` | the words that a sentence may have beside those of its evidence |
//! | `orders` | parts of a sentence that say what to do |
//! | `sides` | which of two values belongs to which of two names |
//! | `words` | causal words, words of direction, number words, what is refused in any sentence |
//! | `sentence` | one sentence checked |
//!
//! What the check does not understand it drops. Right numbers do not make a true sentence: words of direction are compared
//! with the signs of the evidence; a denial and a cause are dropped. A sentence has words of its evidence and of a list only:
//! another could be a name that nothing has, a cause, or an order.

mod known;
mod names;
mod numbers;
mod order;
mod orders;
mod sentence;
mod sides;
mod tokens;
mod words;

#[cfg(test)]
mod tests;

pub use sentence::{Dropped, check};

use super::evidence::Evidence;
use serde::{Deserialize, Serialize};

/// A sentence as a model writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// The text.
    pub text: String,
    /// Ids of the evidence that it rests on.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// What is left of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Sentences that follow from their evidence, in their order.
    pub kept: Vec<Sentence>,
    /// The others, and why.
    pub dropped: Vec<(String, Dropped)>,
}

/// Fewest sentences that are an answer.
pub const SENTENCES_MIN: usize = 2;
/// Most sentences that are read.
pub const SENTENCES_MAX: usize = 12;

/// Checks each sentence against the evidence that it cites.
pub fn checked(sentences: &[Sentence], evidence: &[&Evidence], known: &[String]) -> Checked {
    let mut result = Checked::default();
    for (place, sentence) in sentences.iter().enumerate() {
        let outcome = if place < SENTENCES_MAX { check(sentence, evidence, known) } else { Err(Dropped::TooMany) };
        let is_repeated = result.kept.iter().any(|kept| kept.text == sentence.text);
        match outcome {
            Ok(()) if is_repeated => result.dropped.push((sentence.text.clone(), Dropped::Repeated)),
            Ok(()) => result.kept.push(sentence.clone()),
            Err(why) => result.dropped.push((sentence.text.clone(), why)),
        }
    }
    result
}

impl Checked {
    /// Whether enough is left, and what was found first is told.
    pub fn is_enough(&self, first: &str) -> bool {
        self.kept.len() >= SENTENCES_MIN
            && self.kept.iter().any(|sentence| sentence.evidence.iter().any(|id| id == first))
    }
}
