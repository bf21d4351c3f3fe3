//! Correlations and their evidence in the server's response format. Written by [`crate::columns`].

use super::fault::Fault;
use crate::columns::{read_kind, read_state};
use model::pattern::{Correlation, Evidence, PatternKey, Signal};
use model::real::Real;
use model::time::TimeMs;
use serde::Deserialize;

#[derive(clickhouse::Row, Deserialize)]
pub(super) struct CorrelationAnswer {
    source_kind: String,
    source_colony_id: String,
    source_service: String,
    source_signal: String,
    target_kind: String,
    target_colony_id: String,
    target_service: String,
    target_signal: String,
    correlation_type: String,
    source_application: String,
    source_environment: String,
    target_application: String,
    target_environment: String,
    source_timestamp: i64,
    target_timestamp: i64,
    correlation_score: f64,
    coefficient: f64,
    confidence: f64,
    lag_seconds: i32,
    lag_low_seconds: i32,
    lag_high_seconds: i32,
    pattern_description: String,
    occurrence_count: u32,
    first_observed: i64,
    last_observed: i64,
    state: String,
    e_value: f64,
    q_value: f64,
    sample_count: u64,
    explained_by: Option<String>,
    reason: Option<String>,
    chance_level: Option<f64>,
    effective_points: Option<f64>,
    judged_coefficient: Option<f64>,
    part_of: Option<String>,
    open_count: u32,
    open_until: Option<i64>,
    revision: u64,
    updated_at: i64,
}

/// `SELECT` list of [`CorrelationAnswer`].
pub(super) const CORRELATION_SELECTION: &str = "
    source_kind, source_colony_id, source_service, source_signal,
    target_kind, target_colony_id, target_service, target_signal,
    correlation_type, source_application, source_environment, target_application, target_environment,
    source_timestamp, target_timestamp, correlation_score, coefficient, confidence,
    lag_seconds, lag_low_seconds, lag_high_seconds, pattern_description, occurrence_count,
    first_observed, last_observed, state, e_value, q_value, sample_count, explained_by, reason, chance_level,
    effective_points, judged_coefficient, part_of, open_count, open_until, revision, updated_at";

/// A stored correlation, its revision, and when that was written.
pub(super) fn read_correlation(row: CorrelationAnswer) -> Result<(Correlation, u64, TimeMs), Fault> {
    let correlation = Correlation {
        key: PatternKey {
            source: Signal {
                kind: read_kind(&row.source_kind)?,
                colony_id: row.source_colony_id,
                service_id: row.source_service,
                name: row.source_signal,
            },
            target: Signal {
                kind: read_kind(&row.target_kind)?,
                colony_id: row.target_colony_id,
                service_id: row.target_service,
                name: row.target_signal,
            },
        },
        correlation_type: row.correlation_type,
        source_application: row.source_application,
        source_environment: row.source_environment,
        target_application: row.target_application,
        target_environment: row.target_environment,
        source_timestamp: TimeMs(row.source_timestamp),
        target_timestamp: TimeMs(row.target_timestamp),
        correlation_score: Real(row.correlation_score),
        coefficient: Real(row.coefficient),
        confidence: Real(row.confidence),
        lag_seconds: row.lag_seconds,
        lag_low_seconds: row.lag_low_seconds,
        lag_high_seconds: row.lag_high_seconds,
        pattern_description: row.pattern_description,
        occurrence_count: row.occurrence_count,
        first_observed: TimeMs(row.first_observed),
        last_observed: TimeMs(row.last_observed),
        state: read_state(&row.state)?,
        e_value: Real(row.e_value),
        q_value: Real(row.q_value),
        sample_count: row.sample_count,
        explained_by: row.explained_by,
        reason: row.reason,
        chance_level: row.chance_level.map(Real),
        effective_points: row.effective_points.map(Real),
        judged_coefficient: row.judged_coefficient.map(Real),
        part_of: row.part_of,
        open_count: row.open_count,
        open_until: row.open_until.map(TimeMs),
    };
    Ok((correlation, row.revision, TimeMs(row.updated_at)))
}

#[derive(clickhouse::Row, Deserialize)]
pub(super) struct EvidenceAnswer {
    correlation_id: String,
    source_ref: String,
    target_ref: String,
    source_timestamp: i64,
    target_timestamp: i64,
    lag_ms: i64,
    weight: f64,
}

/// `SELECT` list of [`EvidenceAnswer`].
pub(super) const EVIDENCE_SELECTION: &str =
    "correlation_id, source_ref, target_ref, source_timestamp, target_timestamp, lag_ms, weight";

pub(super) fn read_evidence(row: EvidenceAnswer) -> Evidence {
    Evidence {
        correlation_id: row.correlation_id,
        source_ref: row.source_ref,
        target_ref: row.target_ref,
        source_timestamp: TimeMs(row.source_timestamp),
        target_timestamp: TimeMs(row.target_timestamp),
        lag_ms: row.lag_ms,
        weight: Real(row.weight),
    }
}
