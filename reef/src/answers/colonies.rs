//! The list of colonies, with up to when each is known.

use super::fleet::{Filter, Scope};
use super::health::{ColonyHealth, Health, HealthQuestion, health};
use super::part::{self, Listed, Part};
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
    /// The part of them that is wanted.
    #[serde(skip)]
    pub listed: Listed<ColonyHealth>,
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
    let asked = part::asked("colonies", &question.filter);
    let listed = question.part.after(health.colonies.clone(), &asked, |colony| colony.colony_id.clone())?;
    Ok(Colonies { health, listed })
}

impl Colonies {
    /// For people.
    pub fn text(&self) -> String {
        self.health.text()
    }
}
