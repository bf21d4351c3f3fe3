//! The list of colonies, with up to when each is known.

use super::fleet::{Filter, Scope};
use super::health::{Health, HealthQuestion, health};
use super::part::Part;
use super::refusal::AnswerError;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;

/// Which colonies are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColoniesQuestion {
    /// Which.
    #[serde(default)]
    pub filter: Filter,
    /// Which part of the list.
    #[serde(default)]
    pub part: Part,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Colonies {
    /// How they are, by id, with what the answer is complete to.
    #[serde(flatten)]
    pub health: Health,
    /// Which part of them is wanted.
    #[serde(skip)]
    pub part: Part,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown.
pub async fn colonies(
    question: &ColoniesQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Colonies, AnswerError> {
    let health = health(&HealthQuestion { filter: question.filter.clone() }, reader, scope).await?;
    question.part.of(health.colonies.iter().collect())?;
    Ok(Colonies { health, part: question.part.clone() })
}

impl Colonies {
    /// For people.
    pub fn text(&self) -> String {
        self.health.text()
    }
}
