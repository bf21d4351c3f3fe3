//! A correlation: the relation between two signals, its confidence, and the rows behind it.

use crate::real::Real;
use crate::time::TimeMs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Whether a signal is an event type or a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignalKind {
    /// Onsets of an event type.
    Event,
    /// A metric series.
    Metric,
}

impl SignalKind {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            SignalKind::Event => "event",
            SignalKind::Metric => "metric",
        }
    }
}

/// The service of a signal that represents a whole colony.
pub const ANY_SERVICE: &str = "*";

/// One end of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signal {
    /// Event type or metric.
    pub kind: SignalKind,
    /// Colony.
    pub colony_id: String,
    /// Service, or [`ANY_SERVICE`].
    pub service_id: String,
    /// Event type or metric name.
    pub name: String,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.colony_id, self.service_id, self.name)
    }
}

/// Identity of a pattern: source signal and target signal, in this direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PatternKey {
    /// What comes first.
    pub source: Signal,
    /// What follows.
    pub target: Signal,
}

impl PatternKey {
    /// A stable id: `c-` and the first 20 hexadecimal digits of SHA-256 over the length-prefixed key.
    pub fn correlation_id(&self) -> String {
        let mut hash = Sha256::new();
        for signal in [&self.source, &self.target] {
            for part in [signal.kind.as_str(), &signal.colony_id, &signal.service_id, &signal.name] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        let digest = hash.finalize();
        let hex: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
        format!("c-{hex}")
    }
}

/// A stable id of the prediction that a source event opens: `p-` and the first 20 hexadecimal digits of SHA-256.
///
/// ```
/// use coral_model::pattern::prediction_id;
/// assert_eq!(prediction_id("c-1", "e1"), prediction_id("c-1", "e1"));
/// assert_ne!(prediction_id("c-1", "e1"), prediction_id("c-1e", "1"));
/// ```
pub fn prediction_id(correlation_id: &str, source_event_id: &str) -> String {
    let mut hash = Sha256::new();
    for part in [correlation_id, source_event_id] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let hex: String = hash.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    format!("p-{hex}")
}

/// Life of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatternState {
    /// Seen, not yet beyond chance.
    Candidate,
    /// Beyond chance at the configured false-discovery rate.
    Confirmed,
    /// Was confirmed within the horizon and no longer is.
    Withdrawn,
}

impl PatternState {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            PatternState::Candidate => "candidate",
            PatternState::Confirmed => "confirmed",
            PatternState::Withdrawn => "withdrawn",
        }
    }
}

/// One row of `correlations`, without the columns that belong to the run (`revision`, `updated_at`).
///
/// Everything in here is a function of the set of input rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Correlation {
    /// Source and target.
    pub key: PatternKey,
    /// `deployment_cascade`, `error_propagation`, `latency_correlation`, `event_pattern` or `metric_correlation`.
    pub correlation_type: String,
    /// Application of the source colony.
    pub source_application: String,
    /// Environment of the source colony.
    pub source_environment: String,
    /// Application of the target colony.
    pub target_application: String,
    /// Environment of the target colony.
    pub target_environment: String,
    /// Source side of the latest occurrence (events) or start of the source window (metrics).
    pub source_timestamp: TimeMs,
    /// Target side of the latest occurrence (events) or start of the target window (metrics).
    pub target_timestamp: TimeMs,
    /// Strength, 0..1: certainty factor of event patterns, |r| of metric pairs.
    pub correlation_score: Real,
    /// Pearson's r with its sign for metric pairs; equal to `correlation_score` for event patterns.
    pub coefficient: Real,
    /// `1 - q_value`, 0..1.
    pub confidence: Real,
    /// Typical delay from source to target; 0 means simultaneous, direction unknown.
    pub lag_seconds: i32,
    /// Low end of the lag: first quartile of matched lags, or of the interval around the peak.
    pub lag_low_seconds: i32,
    /// High end of the lag.
    pub lag_high_seconds: i32,
    /// One sentence for people.
    pub pattern_description: String,
    /// Matched occurrences (events) or points in the window (metrics).
    pub occurrence_count: u32,
    /// Source timestamp of the first occurrence in the horizon.
    pub first_observed: TimeMs,
    /// Target timestamp of the last occurrence.
    pub last_observed: TimeMs,
    /// Candidate, confirmed or withdrawn.
    pub state: PatternState,
    /// Evidence against chance: the e-value.
    pub e_value: Real,
    /// Share of chance findings among patterns at least this good.
    pub q_value: Real,
    /// Eligible source onsets (events) or points compared (metrics).
    pub sample_count: u64,
    /// `daily_cycle`, `common_cause:<correlation_id or name>`, `mediator:<name>`, `mirror:<correlation_id>`, `few_points`, `co_moving`; absent
    /// when nothing else explains it.
    pub explained_by: Option<String>,
    /// Why it is not confirmed; absent if it is.
    pub reason: Option<String>,
    /// How often this happens by chance: probability per source (events), a bound on the p-value (metrics); 0..1.
    pub chance_level: Option<Real>,
    /// Independent points of all windows that were judged together (metrics).
    pub effective_points: Option<Real>,
    /// The coefficient over all these windows: of levels without the daily profile where it is known, or of differences,
    /// whichever has more evidence (metrics).
    pub judged_coefficient: Option<Real>,
    /// The id of the more specific pattern that this one follows from.
    pub part_of: Option<String>,
    /// Sources whose time for a target has not passed yet (events).
    pub open_count: u32,
    /// When the last of them will have had its time.
    pub open_until: Option<TimeMs>,
}

/// What a row of evidence counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceRole {
    /// A matched pair that the score counts; of metric pairs the compared windows.
    Match,
    /// A matched pair whose source has not had its time yet: an occurrence that the score does not count so far.
    Early,
    /// A pair that is not matched and only says how long it takes: a part of the law of the lag.
    Lag,
}

impl EvidenceRole {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            EvidenceRole::Match => "match",
            EvidenceRole::Early => "early",
            EvidenceRole::Lag => "lag",
        }
    }
}

/// One row behind a correlation: a source and a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// Whose evidence.
    pub correlation_id: String,
    /// Event id, or `colony/service/metric` of the source series.
    pub source_ref: String,
    /// Event id, or `colony/service/metric` of the target series.
    pub target_ref: String,
    /// When the source happened, or the start of its window.
    pub source_timestamp: TimeMs,
    /// When the target happened, or the start of its window.
    pub target_timestamp: TimeMs,
    /// From source to target.
    pub lag_ms: i64,
    /// Share of the score this row carries.
    pub weight: Real,
    /// What it counts for.
    pub role: EvidenceRole,
    /// Its weight in the law of the lag, relative to the most certain pair: the weighted quartiles of `lag_ms` are the
    /// lag of the pattern and its range. 0 where it is chance.
    pub lag_weight: Real,
}

impl Evidence {
    /// Whether it is a matched pair.
    pub fn is_match(&self) -> bool {
        self.role != EvidenceRole::Lag
    }
}

/// A correlation with the rows behind it: what the dataflow emits, retracts and corrects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// The row.
    pub correlation: Correlation,
    /// Its evidence, sorted.
    pub evidence: Vec<Evidence>,
}
