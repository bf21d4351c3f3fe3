//! Predictions: what is about to happen, what became of earlier ones, and how good each pattern is at it.

use super::completeness::Completeness;
use super::expected::{Told, description, percent, probability};
use super::fleet::{Filter, Fleet, Narrowed, Scope};
use super::names;
use super::part::{self, Listed, Part, Place};
use super::range;
use super::refusal::{AnswerError, Refusal};
use super::scores::{Score, score};
use super::services;
use crate::predicted::{self, PatternDay, PredictionLine, PredictionOutcome};
use crate::printable::printable;
use model::pattern::{Correlation, PatternState, SignalKind};
use model::time::{SECOND_MS, TimeMs, format_duration_ms};
use serde::{Deserialize, Serialize};
use sinks::StoreReader;
use std::collections::{BTreeMap, BTreeSet};

/// Over how many days patterns are scored.
const SCORED_DAYS: [i64; 2] = [30, 90];
/// Most patterns whose scores are shown.
const PATTERNS_MAX: usize = 10;
/// Which predictions are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionsQuestion {
    /// `open` (if none is given), `hit`, `miss`, `void`, or `all`.
    pub outcome: Option<String>,
    /// Only those of this pattern: its id, or the beginning of it.
    pub pattern: Option<String>,
    /// Predictions whose target is there.
    #[serde(default)]
    pub filter: Filter,
    /// As the reef knew them then, by its clock; without it as it knows them now.
    #[serde(default)]
    pub as_of: Option<TimeMs>,
    /// Which part of the list.
    #[serde(default)]
    pub part: Part,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Predictions {
    /// The predictions, open ones first, then the newest.
    #[serde(flatten)]
    pub predictions: Listed<Told>,
    /// How many of all are open.
    pub open: usize,
    /// Which outcome was asked for.
    pub outcome: String,
    /// The patterns that predict or have predicted, the best first; at most [`PATTERNS_MAX`].
    pub patterns: Vec<PatternScore>,
    /// How many there are.
    pub pattern_count: usize,
    /// The time that was asked for, RFC 3339: what the reef knew then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// What the answer is complete to, with the colonies at both ends of its predictions and of patterns that may predict.
    pub completeness: Completeness,
}

/// How good a pattern is at predicting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatternScore {
    /// The pattern.
    pub correlation_id: String,
    /// Its source and target; absent if it has predicted nothing yet and is no longer known.
    pub description: Option<String>,
    /// Probability with which it predicts at present; absent if it does not.
    pub probability: Option<f64>,
    /// Why it does not predict at present, although it is confirmed.
    pub muted: Option<String>,
    /// Over 30 and over 90 days.
    pub scores: Vec<Score>,
}

/// A prediction's place in the list: open ones by the end of their time, then the newest first; by id among equals.
type Key = (bool, i64, String);

fn key(line: &PredictionLine) -> Key {
    let id = line.prediction_id.clone();
    match line.outcome {
        PredictionOutcome::Open => (false, line.times.to.0, id),
        _ => (true, -line.times.issued.0, id),
    }
}

/// Answers from a store.
///
/// # Errors
/// Those of the store, and a question that names something unknown.
pub async fn predictions(
    question: &PredictionsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Predictions, AnswerError> {
    let most = (question.part.reach()?, PATTERNS_MAX);
    some(question, most, reader, scope).await
}

/// The same with all predictions and all patterns: what is chosen among them must not depend on the parts of a list.
///
/// # Errors
/// The same.
pub(crate) async fn all_predictions(
    question: &PredictionsQuestion,
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Predictions, AnswerError> {
    some(question, (usize::MAX, usize::MAX), reader, scope).await
}

/// At most so many predictions and patterns.
async fn some(
    question: &PredictionsQuestion,
    (most, patterns_max): (usize, usize),
    reader: &dyn StoreReader,
    scope: &Scope,
) -> Result<Predictions, AnswerError> {
    let asked = part::asked("predictions", &PredictionsQuestion { part: Part::default(), ..question.clone() });
    let place = question.part.place::<Key>(&asked)?;
    let fleet = Fleet::read(reader, scope).await?;
    let filter = question.filter.resolved(&fleet)?;
    let (outcome, wanted) = outcome(question.outcome.as_deref())?;
    range::check_as_of(question.as_of)?;
    let (mut lines, mut days) = match question.as_of {
        // days of patterns have no history
        Some(at) => (predicted::predictions_at(reader, at).await?, Vec::new()),
        None => (predicted::predictions(reader).await?, predicted::days(reader).await?),
    };
    let mut patterns = reader.correlations().await?;
    let targets = patterns.iter().map(|row| &row.key.target.service_id);
    let targets = targets.chain(lines.iter().map(|line| &line.target_service)).cloned();
    let named_by = "prediction, no pattern and no topology";
    let filter = services::resolved(filter, (named_by, targets.collect()), reader).await?;
    let described: BTreeMap<String, String> = patterns
        .iter()
        .map(|row| (row.key.correlation_id(), format!("{} -> {}", row.key.source, row.key.target)))
        .collect();
    // as of the newest prediction of the reef: now comes from the rows
    let newest = lines.iter().map(|line| line.times.issued).chain(days.iter().map(|day| day.day)).max();
    let last_day = days.iter().map(|day| day.day).max();
    if let Some(id) = question.pattern.as_deref().map(str::trim).filter(|id| !id.is_empty()) {
        let predicted = lines.iter().map(|line| &line.correlation_id);
        let known = predicted.chain(days.iter().map(|day| &day.correlation_id)).chain(described.keys());
        let id = one_pattern(id, known.collect())?;
        lines.retain(|line| line.correlation_id == id);
        days.retain(|day| day.correlation_id == id);
        patterns.retain(|row| row.key.correlation_id() == id);
    }
    lines.retain(|line| {
        filter.takes_colony(&line.target_colony_id, &line.target_application, &line.target_environment)
            && filter.takes_service(&line.target_service)
    });
    if question.filter != Filter::default() {
        let ids: BTreeSet<&String> = lines.iter().map(|line| &line.correlation_id).collect();
        days.retain(|day| ids.contains(&day.correlation_id));
    }
    let ends = ends(&lines, &patterns, &filter);
    let mut scored = scores(&lines, &days, &described, (newest, last_day));
    let pattern_count = scored.len();
    scored.truncate(patterns_max);
    let open = lines.iter().filter(|line| line.outcome == PredictionOutcome::Open).count();
    lines.retain(|line| wanted.is_none_or(|wanted| line.outcome == wanted));
    lines.retain(|line| place.as_ref().is_none_or(|place| key(line) > place.after));
    lines.sort_by_cached_key(key);
    let counts = (place.map_or(0, |place| place.before), lines.len());
    lines.truncate(most);
    let told = lines.into_iter().map(Told::of).collect();
    let cursor = |told: &Told, before: usize| Place { to: None, before, after: key(&told.line) }.cursor(&asked);
    let completeness = Completeness::of(&fleet, |id, colony| {
        filter.takes_colony(id, &colony.application_name, &colony.environment) || ends.contains(id)
    });
    let predictions = Listed::of(&question.part, told, counts, cursor);
    let as_of = question.as_of.map(|at| at.to_string());
    Ok(Predictions { predictions, open, outcome, patterns: scored, pattern_count, as_of, completeness })
}

/// The colonies at both ends of these predictions, and of confirmed patterns with their target there: where the source is
/// behind, a prediction may be missing.
fn ends(lines: &[PredictionLine], patterns: &[Correlation], filter: &Narrowed) -> BTreeSet<String> {
    let may_predict = |row: &&Correlation| {
        let target = &row.key.target;
        row.state == PatternState::Confirmed
            && row.key.source.kind == SignalKind::Event
            && filter.takes_colony(&target.colony_id, &row.target_application, &row.target_environment)
            && filter.takes_service(&target.service_id)
    };
    let of_lines = lines.iter().flat_map(|line| [&line.source_colony_id, &line.target_colony_id]);
    let of_patterns = patterns.iter().filter(may_predict);
    let of_patterns = of_patterns.flat_map(|row| [&row.key.source.colony_id, &row.key.target.colony_id]);
    of_lines.chain(of_patterns).cloned().collect()
}

/// The outcome that is wanted; `None` for all.
fn outcome(given: Option<&str>) -> Result<(String, Option<PredictionOutcome>), Refusal> {
    let name = given.unwrap_or(PredictionOutcome::Open.as_str()).trim().to_lowercase();
    let wanted = PredictionOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == name);
    if wanted.is_none() && name != "all" {
        names::check(&name).map_err(|refusal| refusal.at("outcome"))?;
        let hint = format!("one of: {}, all", PredictionOutcome::ALL.map(PredictionOutcome::as_str).join(", "));
        return Err(Refusal::invalid(format!("no prediction has the outcome {name:?}"), hint).at("outcome"));
    }
    Ok((name, wanted))
}

/// The pattern with this id, or with one that begins so.
fn one_pattern(id: &str, known: BTreeSet<&String>) -> Result<String, Refusal> {
    names::check(id).map_err(|refusal| refusal.at("correlation_id"))?;
    let fits = |whole: &&&String| whole.starts_with(id) || whole.trim_start_matches("c-").starts_with(id);
    match known.iter().filter(fits).collect::<Vec<_>>().as_slice() {
        [one] => Ok((**one).clone()),
        [] => {
            let known: BTreeSet<String> = known.into_iter().cloned().collect();
            let near = names::near_hint("pattern", &id.to_lowercase(), &known);
            let hint = format!("{near}; list them: coral reef correlations");
            Err(Refusal::not_found(format!("there is no pattern {id:?}"), hint).at("correlation_id"))
        }
        several => {
            let names: Vec<&str> = several.iter().take(10).map(|id| id.as_str()).collect();
            let hint = format!("give more of the id: {}", names.join(", "));
            Err(Refusal::ambiguous(format!("several patterns begin with {id:?}"), hint).at("correlation_id"))
        }
    }
}

/// The patterns of these predictions and days.
fn scores(
    lines: &[PredictionLine],
    days: &[PatternDay],
    described: &BTreeMap<String, String>,
    (newest, last_day): (Option<TimeMs>, Option<TimeMs>),
) -> Vec<PatternScore> {
    let Some(newest) = newest else { return Vec::new() };
    let mut of: BTreeMap<&String, (Vec<&PredictionLine>, Vec<&PatternDay>)> = BTreeMap::new();
    lines.iter().for_each(|line| of.entry(&line.correlation_id).or_default().0.push(line));
    days.iter().for_each(|day| of.entry(&day.correlation_id).or_default().1.push(day));
    let of_pattern = |(id, (own, own_days)): (&String, (Vec<&PredictionLine>, Vec<&PatternDay>))| {
        let today = own_days.iter().find(|day| Some(day.day) == last_day);
        PatternScore {
            correlation_id: id.clone(),
            description: own.first().map(|line| description(line)).or_else(|| described.get(id).cloned()),
            probability: today.filter(|day| day.muted.is_none()).map(|day| day.probability),
            muted: today.and_then(|day| day.muted.clone()),
            scores: SCORED_DAYS.map(|days| score(&own, &own_days, newest, days)).to_vec(),
        }
    };
    let mut patterns: Vec<PatternScore> = of.into_iter().map(of_pattern).collect();
    let skill = |one: &PatternScore| one.scores.first().and_then(|score| score.skill).unwrap_or(f64::NEG_INFINITY);
    patterns.sort_by(|a, b| skill(b).total_cmp(&skill(a)).then_with(|| a.correlation_id.cmp(&b.correlation_id)));
    patterns
}

impl PatternScore {
    /// Its id, how good it was, and what it does at present.
    fn line(&self, is_now: bool) -> String {
        let state = match (&self.muted, self.probability) {
            (Some(muted), _) => format!("muted: {muted}"),
            (None, Some(share)) => format!("predicts with {}", probability(share)),
            (None, None) if is_now => "not confirmed at present".to_owned(),
            (None, None) => String::new(),
        };
        let good = self.scores.first().map(goodness).unwrap_or_default();
        let cells = [self.correlation_id.clone()].into_iter().chain(good).chain([state]);
        cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" · ")
    }
}

/// How many came true, how many targets were announced, skill, lead time.
fn goodness(score: &Score) -> [String; 4] {
    let decided = score.record.hits + score.record.misses;
    let came = match (score.precision, score.precision_low, score.precision_high) {
        (Some(share), Some(low), Some(high)) => format!(
            "{} of {decided} came true, {} ({:.0} to {})",
            score.record.hits,
            percent(share),
            low * 100.0,
            percent(high)
        ),
        _ => "none decided".to_owned(),
    };
    let recall = score
        .recall
        .map_or(String::new(), |recall| format!("announced {} of {} targets", percent(recall), score.target_count));
    let skill = score.skill.map_or(String::new(), |skill| format!("skill {skill:.2}"));
    let lead = score
        .lead_seconds_median
        .map_or(String::new(), |seconds| format!("{} ahead", format_duration_ms(seconds * SECOND_MS)));
    [came, recall, skill, lead]
}

impl Predictions {
    /// For people.
    pub fn text(&self) -> String {
        let Listed { items, next_cursor, .. } = &self.predictions;
        let (open, closed): (Vec<&Told>, Vec<&Told>) =
            items.iter().partition(|told| told.line.outcome == PredictionOutcome::Open);
        let then = self.as_of.as_ref().map(|at| format!(", as the reef knew them at {at}")).unwrap_or_default();
        let mut text = match self.open {
            0 => format!("No open prediction{then}.\n"),
            open if ["hit", "miss", "void"].contains(&self.outcome.as_str()) => {
                format!("{open} open{then}: --outcome open\n")
            }
            1 => format!("1 open prediction{then}:\n\n"),
            many => format!("{many} open predictions, the next one first{then}:\n\n"),
        };
        open.iter().for_each(|told| text.push_str(&format!("  … {}\n", told.summary)));
        if !closed.is_empty() {
            text.push_str("\nEarlier ones, the newest first:\n\n");
        }
        for told in closed {
            let sign = match told.line.outcome {
                PredictionOutcome::Hit => "✓",
                PredictionOutcome::Miss => "✗",
                PredictionOutcome::Open | PredictionOutcome::Void => "–",
            };
            text.push_str(&format!("  {sign} {}\n", told.summary));
        }
        if let Some(cursor) = next_cursor {
            text.push_str(&format!("\nMore: --cursor {cursor}, or --limit up to {}\n", part::LIMIT_MAX));
        }
        if self.patterns.is_empty() && self.as_of.is_some() {
            text.push_str("\nNo pattern had predicted anything by then, as far as its history is stored.\n");
        } else if self.patterns.is_empty() {
            text.push_str("\nNo pattern predicts yet: it must be confirmed at the end of a day (UTC) first.\n");
        } else {
            text.push_str(&format!("\nPatterns, over {} days (over {}: --json):\n\n", SCORED_DAYS[0], SCORED_DAYS[1]));
        }
        for pattern in &self.patterns {
            let description = pattern.description.as_deref().unwrap_or("of an earlier time");
            text.push_str(&format!(
                "  {}\n    {}\n",
                printable(description),
                printable(&pattern.line(self.as_of.is_none()))
            ));
        }
        if self.pattern_count > self.patterns.len() {
            text.push_str(&format!("\n{} more patterns: --pattern ID\n", self.pattern_count - self.patterns.len()));
        }
        if !self.patterns.is_empty() {
            text.push_str("\nThe rows behind a pattern: coral reef correlation <id>\n");
        }
        text.push_str(&format!("\n{}\n", self.completeness.line()));
        text
    }
}
