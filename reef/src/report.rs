//! The content of a store, ranked: confirmed patterns, the best candidates, and row counts.

use model::pattern::{Correlation, PatternState};
use model::position::Positions;
use model::time::TimeMs;
use serde::{Serialize, Serializer};
use sinks::{EVALUATED_NAME, SinkError, StoreReader, Watermarks};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Most candidates in the table at the end.
pub const CANDIDATES_SHOWN_MAX: usize = 20;

/// The patterns and totals of a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// All confirmed patterns, best first.
    pub confirmed: Vec<PatternLine>,
    /// The best candidates, best first.
    pub candidates: Vec<PatternLine>,
    /// All that were confirmed within the horizon and no longer are, best first.
    pub withdrawn: Vec<PatternLine>,
    /// How many patterns there are of each state, shown or not.
    pub counts: PatternCounts,
    /// How many of the candidates something simpler explains, by its kind (`daily_cycle`, `common_cause`, …).
    pub explained: BTreeMap<String, u64>,
    /// As of which event times they hold.
    pub as_of: AsOf,
    /// Rows behind them.
    pub totals: ReportTotals,
    /// Where everything is stored, for people.
    pub store: String,
    /// The settings that decide what counts, where they are known.
    pub rules: Option<Rules>,
}

/// The settings of a reef that a reader needs to understand why something is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// Whether rows are correlated at all.
    pub correlates: bool,
    /// Largest lag that is evaluated.
    pub max_lag_ms: i64,
    /// Fewest occurrences of a pattern.
    pub min_occurrences: u32,
}

/// Patterns by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PatternCounts {
    /// Beyond chance.
    pub confirmed: u64,
    /// Seen, not beyond chance.
    pub candidates: u64,
    /// Once confirmed, no longer.
    pub withdrawn: u64,
}

/// The event times that the patterns are as of: those of the newest evaluation that has finished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AsOf {
    /// Of event patterns, RFC 3339 when serialised; `None` before the first evaluation.
    #[serde(serialize_with = "rfc_3339")]
    pub events: Option<TimeMs>,
    /// Of metric patterns, the same.
    #[serde(serialize_with = "rfc_3339")]
    pub metrics: Option<TimeMs>,
    /// Whether newer rows are stored that the patterns do not include.
    pub is_behind: bool,
}

impl AsOf {
    /// What a run has committed, compared with the newest rows on time.
    fn of(positions: &BTreeMap<String, Positions>, newest: &Watermarks) -> AsOf {
        let evaluated = positions.get(EVALUATED_NAME);
        let at = |part: &str| TimeMs::parse_rfc3339(evaluated?.0.get(part)?);
        let (events, metrics) = (at("events"), at("metrics"));
        // the slower of two colonies limits what metrics can be compared on
        let mut of_colonies: Vec<TimeMs> = newest.metrics.values().copied().collect();
        of_colonies.sort_unstable_by(|a, b| b.cmp(a));
        let comparable = of_colonies.get(1).or(of_colonies.first()).copied();
        let is_older = |evaluated: Option<TimeMs>, newest: Option<TimeMs>| evaluated.is_some() && evaluated < newest;
        let is_behind = is_older(events, newest.events.values().max().copied()) || is_older(metrics, comparable);
        AsOf { events, metrics, is_behind }
    }
}

/// Rows in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReportTotals {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Refused rows by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Rows beyond the allowed lateness.
    pub late: u64,
    /// Colonies that have rows on time.
    pub colonies: Vec<String>,
    /// Time of the newest event on time, RFC 3339 when serialised.
    #[serde(serialize_with = "rfc_3339")]
    pub newest_event: Option<TimeMs>,
}

impl ReportTotals {
    /// Rows of a table.
    pub(crate) fn rows_of(&self, table: &str) -> u64 {
        self.rows.get(table).copied().unwrap_or(0)
    }
}

fn rfc_3339<S: Serializer>(time: &Option<TimeMs>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// One correlation, its columns named as in the table `correlations`. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table's columns; `model::pattern::Correlation` explains them")]
pub struct PatternLine {
    pub correlation_id: String,
    pub correlation_type: String,
    pub source_colony_id: String,
    pub source_service: String,
    pub source_timestamp: String,
    pub target_colony_id: String,
    pub target_service: String,
    pub target_timestamp: String,
    pub correlation_score: f64,
    pub confidence: f64,
    pub lag_seconds: i32,
    pub pattern_description: String,
    pub occurrence_count: u32,
    pub first_observed: String,
    pub last_observed: String,
    pub source_kind: &'static str,
    pub target_kind: &'static str,
    pub source_signal: String,
    pub target_signal: String,
    pub source_application: String,
    pub source_environment: String,
    pub target_application: String,
    pub target_environment: String,
    pub state: &'static str,
    pub coefficient: f64,
    pub e_value: f64,
    pub q_value: f64,
    pub lag_low_seconds: i32,
    pub lag_high_seconds: i32,
    pub sample_count: u64,
    pub explained_by: Option<String>,
    pub reason: Option<String>,
    pub chance_level: Option<f64>,
    pub effective_points: Option<f64>,
    pub judged_coefficient: Option<f64>,
    pub part_of: Option<String>,
    pub open_count: u32,
    pub open_until: Option<String>,
}

impl Report {
    /// Reads `store` and ranks its patterns; at most `most_candidates` candidates are listed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(
        reader: &dyn StoreReader,
        store_name: impl Into<String>,
        most_candidates: usize,
    ) -> Result<Report, SinkError> {
        let correlations = reader.correlations().await?;
        let totals = reader.totals().await?;
        let newest = reader.watermarks().await?;
        let as_of = AsOf::of(&reader.positions().await?, &newest);
        let Watermarks { events, metrics } = newest;
        let count = |state: PatternState| correlations.iter().filter(|row| row.state == state).count() as u64;
        let counts = PatternCounts {
            confirmed: count(PatternState::Confirmed),
            candidates: count(PatternState::Candidate),
            withdrawn: count(PatternState::Withdrawn),
        };
        Ok(Report {
            confirmed: ranked(&correlations, PatternState::Confirmed, usize::MAX),
            candidates: ranked(&correlations, PatternState::Candidate, most_candidates),
            withdrawn: ranked(&correlations, PatternState::Withdrawn, usize::MAX),
            counts,
            explained: explained(&correlations),
            as_of,
            totals: ReportTotals {
                rows: totals.rows,
                rejects: totals.rejects,
                late: totals.late,
                colonies: events.keys().chain(metrics.keys()).cloned().collect::<BTreeSet<_>>().into_iter().collect(),
                newest_event: events.values().max().copied(),
            },
            store: store_name.into(),
            rules: None,
        })
    }

    /// The same with the settings under which it was computed.
    pub fn with_rules(self, rules: Rules) -> Report {
        Report { rules: Some(rules), ..self }
    }
}

/// Candidates by the kind of what explains them.
fn explained(correlations: &[Correlation]) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for row in correlations.iter().filter(|row| row.state == PatternState::Candidate) {
        let part_of = row.part_of.is_some().then_some("part_of");
        if let Some(explanation) = row.explained_by.as_deref().or(part_of) {
            let kind = explanation.split(':').next().unwrap_or_default();
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
    }
    kinds
}

fn ranked(correlations: &[Correlation], state: PatternState, most: usize) -> Vec<PatternLine> {
    let mut of_state: Vec<&Correlation> = correlations.iter().filter(|row| row.state == state).collect();
    of_state.sort_by(|a, b| better_first(a, b));
    of_state.into_iter().take(most).map(PatternLine::of).collect()
}

/// Whether something else explains it, or it follows from a more specific pattern.
fn stands_behind(row: &Correlation) -> bool {
    row.explained_by.is_some() || row.part_of.is_some()
}

/// Patterns without another explanation are first; then by lowest chance level, most evidence, and strength. The key
/// breaks ties, so that the order is the same everywhere.
pub(crate) fn better_first(a: &Correlation, b: &Correlation) -> Ordering {
    (stands_behind(a).cmp(&stands_behind(b)))
        .then(a.q_value.cmp(&b.q_value))
        .then(b.e_value.cmp(&a.e_value))
        .then(b.correlation_score.cmp(&a.correlation_score))
        .then_with(|| a.key.cmp(&b.key))
}

impl PatternLine {
    /// The columns of `row`.
    pub fn of(row: &Correlation) -> PatternLine {
        let (source, target) = (row.key.source.clone(), row.key.target.clone());
        PatternLine {
            correlation_id: row.key.correlation_id(),
            correlation_type: row.correlation_type.clone(),
            source_colony_id: source.colony_id,
            source_service: source.service_id,
            source_timestamp: row.source_timestamp.to_string(),
            target_colony_id: target.colony_id,
            target_service: target.service_id,
            target_timestamp: row.target_timestamp.to_string(),
            correlation_score: row.correlation_score.0,
            confidence: row.confidence.0,
            lag_seconds: row.lag_seconds,
            pattern_description: row.pattern_description.clone(),
            occurrence_count: row.occurrence_count,
            first_observed: row.first_observed.to_string(),
            last_observed: row.last_observed.to_string(),
            source_kind: source.kind.as_str(),
            target_kind: target.kind.as_str(),
            source_signal: source.name,
            target_signal: target.name,
            source_application: row.source_application.clone(),
            source_environment: row.source_environment.clone(),
            target_application: row.target_application.clone(),
            target_environment: row.target_environment.clone(),
            state: row.state.as_str(),
            coefficient: row.coefficient.0,
            e_value: row.e_value.0,
            q_value: row.q_value.0,
            lag_low_seconds: row.lag_low_seconds,
            lag_high_seconds: row.lag_high_seconds,
            sample_count: row.sample_count,
            explained_by: row.explained_by.clone(),
            reason: row.reason.clone(),
            chance_level: row.chance_level.map(|real| real.0),
            effective_points: row.effective_points.map(|real| real.0),
            judged_coefficient: row.judged_coefficient.map(|real| real.0),
            part_of: row.part_of.clone(),
            open_count: row.open_count,
            open_until: row.open_until.map(|at| at.to_string()),
        }
    }
}
