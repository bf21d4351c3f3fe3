//! What the reef held to be true of a pattern, since when, and which events changed it.

use super::page;
use crate::printable::{printable, shortened};
use crate::text::pattern::{confidence, duration};
use model::pattern::{Correlation, PatternState, SignalKind};
use model::time::TimeMs;
use serde::Serialize;
use sinks::revisions::{Before, Revision, known_at, revisions_of};
use sinks::{SinkError, StoreReader};

/// Most revisions of a pattern in an answer: the newest ones.
pub const REVISIONS_MAX: usize = 20;
/// Events that a line of text names.
const NAMED_MAX: usize = 4;
/// Longest text that names them.
const NAMES_COLUMNS_MAX: usize = 100;

/// One change of what is said of a pattern. Times are RFC 3339; columns of `correlation_revisions`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table's columns; `sinks::revisions` explains them")]
pub struct RevisionLine {
    pub learnt_at: String,
    pub as_of: Option<String>,
    pub is_listed: bool,
    pub state: &'static str,
    pub correlation_score: f64,
    pub confidence: f64,
    pub lag_seconds: i32,
    pub occurrence_count: u32,
    pub sample_count: u64,
    pub explained_by: Option<String>,
    pub pattern_description: String,
    pub old_state: Option<&'static str>,
    pub old_score: Option<f64>,
    pub old_confidence: Option<f64>,
    pub old_lag_seconds: Option<i32>,
    pub old_occurrence_count: Option<u32>,
    pub caused_by: Vec<String>,
    pub caused_count: Option<u32>,
    #[serde(skip)]
    is_of_events: bool,
    #[serde(skip)]
    learnt: TimeMs,
}

/// The newest revisions of a pattern, and how many there are.
pub(super) async fn newest_of(reader: &dyn StoreReader, id: &str) -> Result<(Vec<RevisionLine>, usize), SinkError> {
    let all = revisions_of(reader, id).await?;
    Ok((all.iter().rev().take(REVISIONS_MAX).map(RevisionLine::of).collect(), all.len()))
}

/// The patterns as the reef knew them at a time.
pub(super) async fn patterns_at(reader: &dyn StoreReader, at: TimeMs) -> Result<Vec<Correlation>, SinkError> {
    Ok(known_at(reader, at).await?.into_iter().map(|revision| revision.row).collect())
}

impl RevisionLine {
    fn of(revision: &Revision) -> RevisionLine {
        let Revision { learnt_at, as_of, row, is_listed, before, caused_by, caused_count } = revision;
        let before = before.as_ref();
        RevisionLine {
            learnt_at: learnt_at.to_string(),
            as_of: as_of.map(|time| time.to_string()),
            is_listed: *is_listed,
            state: row.state.as_str(),
            correlation_score: row.correlation_score.0,
            confidence: row.confidence.0,
            lag_seconds: row.lag_seconds,
            occurrence_count: row.occurrence_count,
            sample_count: row.sample_count,
            explained_by: row.explained_by.clone(),
            pattern_description: row.pattern_description.clone(),
            old_state: before.map(|old: &Before| PatternState::as_str(old.state)),
            old_score: before.map(|old| old.score.0),
            old_confidence: before.map(|old| old.confidence.0),
            old_lag_seconds: before.map(|old| old.lag_seconds),
            old_occurrence_count: before.map(|old| old.occurrence_count),
            caused_by: caused_by.clone(),
            caused_count: *caused_count,
            is_of_events: row.key.source.kind == SignalKind::Event,
            learnt: *learnt_at,
        }
    }

    /// `confirmed, 6 of 7, lag 2h13m, confidence 0.9812`.
    fn said(&self) -> String {
        let count = match self.is_of_events {
            true => format!("{} of {}", self.occurrence_count, self.sample_count),
            false => format!("score {:.2}", self.correlation_score),
        };
        let lag = duration(self.lag_seconds);
        format!("{}, {count}, lag {lag}, confidence {}", self.state, confidence(self.confidence))
    }

    /// `; before: candidate, 5 times, confidence 0.9100`.
    fn before(&self) -> String {
        let (Some(state), Some(old)) = (self.old_state, self.old_confidence) else { return String::new() };
        let mut parts = vec![state.to_owned()];
        match (self.is_of_events, self.old_occurrence_count, self.old_score) {
            (true, Some(1), _) => parts.push("1 time".to_owned()),
            (true, Some(count), _) => parts.push(format!("{count} times")),
            (false, _, Some(score)) => parts.push(format!("score {score:.2}")),
            _ => {}
        }
        if let Some(lag) = self.old_lag_seconds.filter(|lag| *lag != self.lag_seconds) {
            parts.push(format!("lag {}", duration(lag)));
        }
        parts.push(format!("confidence {}", confidence(old)));
        format!("; before: {}", parts.join(", "))
    }

    /// Which events changed it.
    fn causes(&self) -> String {
        let Some(count) = self.caused_count else { return "by events that are not known any more".to_owned() };
        match count {
            0 if self.is_of_events => "no event of its own: the chance level has moved".to_owned(),
            0 => String::new(),
            _ => {
                let named = self.caused_by.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
                let named = shortened(&printable(&named), NAMES_COLUMNS_MAX);
                let more = count.saturating_sub(u32::try_from(NAMED_MAX).unwrap_or(u32::MAX));
                if more > 0 { format!("by {named} and {more} more events") } else { format!("by {named}") }
            }
        }
    }

    fn line(&self) -> String {
        let when = page::time(self.learnt);
        let said = if self.is_listed { self.said() } else { "no longer listed".to_owned() };
        let causes = self.causes();
        let causes = if causes.is_empty() { causes } else { format!("{:25}{causes}\n", "") };
        format!("  {when}  {said}{}\n{causes}", self.before())
    }
}

/// The history for people; empty without revisions.
pub(super) fn text(lines: &[RevisionLine], count: usize) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = "\nWhat the reef held to be true, the newest first:\n".to_owned();
    lines.iter().for_each(|line| text.push_str(&line.line()));
    if count > lines.len() {
        text.push_str(&format!("  {} earlier ones are in correlation_revisions\n", count - lines.len()));
    }
    text
}
