//! Patterns: the list of them, best first, and one of them with the rows behind it.

use super::completeness::Completeness;
use super::fleet::{Filter, Fleet, Scope};
use super::names;
use super::part::{self, Listed, Part, Place};
use super::range;
use super::refusal::{AnswerError, Refusal};
use super::revisions::{self, RevisionLine};
use super::services;
use crate::report::{PatternLine, better_first};
use crate::show::{Shown, Traced};
use crate::text;
use model::pattern::{Correlation, PatternState, Signal};
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::collections::BTreeSet;

/// Which patterns are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelationsQuestion {
    /// Patterns with an end there.
    #[serde(default)]
    pub filter: Filter,
    /// `confirmed` (if none is given), `candidate`, `withdrawn`, or `all`.
    pub state: Option<String>,
    /// As the reef knew them then, by its clock; without it as it knows them now.
    #[serde(default)]
    pub as_of: Option<TimeMs>,
    /// Which part of the list.
    #[serde(default)]
    pub part: Part,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlations {
    /// The patterns.
    #[serde(flatten)]
    pub correlations: Listed<PatternLine>,
    /// Which state was asked for.
    pub state: String,
    /// How many patterns of other states there are.
    pub others: usize,
    /// The time that was asked for, RFC 3339: what the reef knew then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// What the answer is complete to, with the colonies at both ends of its patterns.
    pub completeness: Completeness,
}

/// Which pattern is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelationQuestion {
    /// Its id, or the beginning of it.
    pub id: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneCorrelation {
    /// The pattern and the rows behind it.
    #[serde(flatten)]
    pub traced: Traced,
    /// What the reef held to be true of it, the newest first.
    pub revisions: Vec<RevisionLine>,
    /// How many of them there are in all.
    pub revision_count: usize,
    /// What the answer is complete to: the colonies at its two ends.
    pub completeness: Completeness,
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown.
pub async fn correlations(
    question: &CorrelationsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Correlations, AnswerError> {
    some(question, question.part.reach()?, reader, scope).await
}

/// The same with all patterns: what is chosen among them must not depend on the parts of a list.
///
/// # Errors
/// The same.
pub(crate) async fn all_correlations(
    question: &CorrelationsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Correlations, AnswerError> {
    some(question, usize::MAX, reader, scope).await
}

/// At most so many patterns.
async fn some(
    question: &CorrelationsQuestion,
    most: usize,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Correlations, AnswerError> {
    let asked = part::asked("correlations", &CorrelationsQuestion { part: Part::default(), ..question.clone() });
    let place = question.part.place::<String>(&asked)?;
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let state = question.state.as_deref().unwrap_or(PatternState::Confirmed.as_str()).to_lowercase();
    let states = [PatternState::Confirmed, PatternState::Candidate, PatternState::Withdrawn].map(PatternState::as_str);
    if state != "all" && !states.contains(&state.as_str()) {
        names::check(&state).map_err(|refusal| refusal.at("state"))?;
        let hint = format!("one of: {}, all", states.join(", "));
        return Err(Refusal::invalid(format!("no pattern has the state {state:?}"), hint).at("state").into());
    }
    range::check_as_of(question.as_of)?;
    let mut rows = match question.as_of {
        Some(at) => revisions::patterns_at(reader, at).await?,
        None => reader.correlations().await?,
    };
    let ends = rows.iter().flat_map(|row| [row.key.source.service_id.clone(), row.key.target.service_id.clone()]);
    let filter = services::resolved(filter, ("pattern and no topology", ends.collect()), reader).await?;
    rows.retain(|row| {
        let end = |signal: &Signal, application: &str, environment: &str| {
            filter.takes_colony(&signal.colony_id, application, environment) && filter.takes_service(&signal.service_id)
        };
        end(&row.key.source, &row.source_application, &row.source_environment)
            || end(&row.key.target, &row.target_application, &row.target_environment)
    });
    let all = rows.len();
    rows.retain(|row| state == "all" || row.state.as_str() == state);
    let rank =
        |row: &Correlation| [PatternState::Confirmed, PatternState::Withdrawn].iter().position(|one| *one == row.state);
    rows.sort_by(|a, b| rank(a).unwrap_or(2).cmp(&rank(b).unwrap_or(2)).then_with(|| better_first(a, b)));
    let others = all - rows.len();
    let mut lines: Vec<PatternLine> = rows.iter().map(PatternLine::of).collect();
    let before = place.as_ref().map_or(0, |place| place.before);
    // scores change: the pattern may have moved, or be gone
    let known = place.and_then(|place| lines.iter().position(|line| line.correlation_id == place.after));
    lines.drain(..known.map_or(before, |known| known + 1).min(lines.len()));
    let counts = (before, lines.len());
    lines.truncate(most);
    let cursor = |line: &PatternLine, before: usize| {
        Place { to: None, before, after: line.correlation_id.clone() }.cursor(&asked)
    };
    let ends = rows.iter().flat_map(|row| [row.key.source.colony_id.as_str(), row.key.target.colony_id.as_str()]);
    let ends: BTreeSet<&str> = ends.collect();
    let completeness = Completeness::of(&fleet, |id, colony| {
        filter.takes_colony(id, &colony.application_name, &colony.environment) || ends.contains(id)
    });
    Ok(Correlations {
        correlations: Listed::of(&question.part, lines, counts, cursor),
        state,
        others,
        as_of: question.as_of.map(|at| at.to_string()),
        completeness,
    })
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and an id that names none or several patterns.
pub async fn correlation(
    question: &CorrelationQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<OneCorrelation, AnswerError> {
    let id = question.id.trim();
    names::check(id).map_err(|refusal| refusal.at("correlation_id"))?;
    match Shown::read(reader, id).await? {
        Shown::Pattern(traced) => {
            let ends = [traced.pattern.source_colony_id.clone(), traced.pattern.target_colony_id.clone()];
            let fleet = Fleet::read(reader, scope).await?;
            let completeness = Completeness::of(&fleet, |id, _| ends.iter().any(|end| end == id));
            let (revisions, revision_count) = revisions::newest_of(reader, &traced.pattern.correlation_id).await?;
            Ok(OneCorrelation { traced: *traced, revisions, revision_count, completeness })
        }
        Shown::Several(ids) if ids.is_empty() => {
            let hint = "its id may have changed with the settings, or it was a candidate that no longer exists; list them: \
                        coral reef correlations --state all";
            Err(Refusal::not_found(format!("there is no pattern {id:?}"), hint).at("correlation_id").into())
        }
        Shown::Several(ids) => {
            let hint = format!("give more of the id: {}", ids.join(", "));
            Err(Refusal::ambiguous(format!("several patterns begin with {id:?}"), hint).at("correlation_id").into())
        }
    }
}

impl Correlations {
    /// For people.
    pub fn text(&self) -> String {
        let Listed { items, total, next_cursor, .. } = &self.correlations;
        let state = if self.state == "all" { String::new() } else { format!("{} ", self.state) };
        let then = self.as_of.as_ref().map(|at| format!(", as the reef knew them at {at}")).unwrap_or_default();
        let mut text = match total {
            0 => format!("No {state}pattern{then}.\n"),
            1 => format!("1 {state}pattern{then}:\n\n"),
            many => format!("{many} {state}patterns, best first{then}:\n\n"),
        };
        items.iter().for_each(|line| text.push_str(&text::pattern::block(line)));
        if let Some(cursor) = next_cursor {
            text.push_str(&format!("\nMore: --cursor {cursor}, or --limit up to {}\n", part::LIMIT_MAX));
        }
        if self.others > 0 {
            text.push_str(&format!("\n{} of other states: --state all\n", self.others));
        }
        if !items.is_empty() {
            text.push_str("\nThe rows behind one of them: coral reef correlation <id>\n");
        }
        text.push_str(&format!("{}\n", self.completeness.line()));
        text
    }
}

impl OneCorrelation {
    /// For people.
    pub fn text(&self) -> String {
        let history = revisions::text(&self.revisions, self.revision_count);
        format!("{}\n{history}{}\n", text::traced(&self.traced).trim_end(), self.completeness.line())
    }
}
