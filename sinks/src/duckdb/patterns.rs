//! Correlations and their evidence as Arrow columns on the way in and as SQL results on the way out.

use super::fault::Cause;
use super::rows::{Columns, text, times, unknown};
use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray, UInt32Array, UInt64Array};
use duckdb::Row;
use model::pattern::{Correlation, Evidence, PatternKey, PatternState, Signal, SignalKind};
use model::real::Real;
use model::time::TimeMs;
use std::sync::Arc;

/// A row of `correlations` as it is written.
pub(super) struct CorrelationRow<'a> {
    pub(super) correlation: &'a Correlation,
    pub(super) revision: u64,
    pub(super) updated_at: TimeMs,
}

fn reals<'a>(values: impl Iterator<Item = &'a Real>) -> Arc<Float64Array> {
    Arc::new(Float64Array::from_iter_values(values.map(|real| real.0)))
}

pub(super) fn correlation_columns(rows: &[CorrelationRow<'_>]) -> Columns {
    let each = || rows.iter().map(|row| row.correlation);
    let ids: Vec<String> = each().map(|row| row.key.correlation_id()).collect();
    let seconds = |of: fn(&Correlation) -> i32| Arc::new(Int32Array::from_iter_values(each().map(of)));
    vec![
        ("correlation_id", text(ids.iter().map(String::as_str))),
        ("correlation_type", text(each().map(|row| row.correlation_type.as_str()))),
        ("source_colony_id", text(each().map(|row| row.key.source.colony_id.as_str()))),
        ("source_service", text(each().map(|row| row.key.source.service_id.as_str()))),
        ("source_timestamp", times(each().map(|row| row.source_timestamp))),
        ("target_colony_id", text(each().map(|row| row.key.target.colony_id.as_str()))),
        ("target_service", text(each().map(|row| row.key.target.service_id.as_str()))),
        ("target_timestamp", times(each().map(|row| row.target_timestamp))),
        ("correlation_score", reals(each().map(|row| &row.correlation_score))),
        ("confidence", reals(each().map(|row| &row.confidence))),
        ("lag_seconds", seconds(|row| row.lag_seconds)),
        ("pattern_description", text(each().map(|row| row.pattern_description.as_str()))),
        ("occurrence_count", Arc::new(UInt32Array::from_iter_values(each().map(|row| row.occurrence_count)))),
        ("first_observed", times(each().map(|row| row.first_observed))),
        ("last_observed", times(each().map(|row| row.last_observed))),
        ("source_kind", text(each().map(|row| row.key.source.kind.as_str()))),
        ("target_kind", text(each().map(|row| row.key.target.kind.as_str()))),
        ("source_signal", text(each().map(|row| row.key.source.name.as_str()))),
        ("target_signal", text(each().map(|row| row.key.target.name.as_str()))),
        ("source_application", text(each().map(|row| row.source_application.as_str()))),
        ("source_environment", text(each().map(|row| row.source_environment.as_str()))),
        ("target_application", text(each().map(|row| row.target_application.as_str()))),
        ("target_environment", text(each().map(|row| row.target_environment.as_str()))),
        ("state", text(each().map(|row| row.state.as_str()))),
        ("coefficient", reals(each().map(|row| &row.coefficient))),
        ("e_value", reals(each().map(|row| &row.e_value))),
        ("q_value", reals(each().map(|row| &row.q_value))),
        ("lag_low_seconds", seconds(|row| row.lag_low_seconds)),
        ("lag_high_seconds", seconds(|row| row.lag_high_seconds)),
        ("sample_count", Arc::new(UInt64Array::from_iter_values(each().map(|row| row.sample_count)))),
        ("explained_by", Arc::new(each().map(|row| row.explained_by.as_deref()).collect::<StringArray>())),
        ("revision", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.revision)))),
        ("updated_at", times(rows.iter().map(|row| row.updated_at))),
    ]
}

/// What [`read_correlation`] reads, in its order.
pub(super) const CORRELATION_SELECTION: &str = "
    source_kind, source_colony_id, source_service, source_signal,
    target_kind, target_colony_id, target_service, target_signal,
    correlation_type, source_application, source_environment, target_application, target_environment,
    epoch_ms(source_timestamp), epoch_ms(target_timestamp), correlation_score, coefficient, confidence,
    lag_seconds, lag_low_seconds, lag_high_seconds, pattern_description, occurrence_count,
    epoch_ms(first_observed), epoch_ms(last_observed), state, e_value, q_value, sample_count, explained_by, revision";

/// A stored correlation and its revision.
pub(super) fn read_correlation(row: &Row<'_>) -> Result<(Correlation, u64), Cause> {
    let real = |index: usize| row.get::<_, f64>(index).map(Real);
    let time = |index: usize| row.get::<_, i64>(index).map(TimeMs);
    let correlation = Correlation {
        key: PatternKey { source: read_signal(row, 0)?, target: read_signal(row, 4)? },
        correlation_type: row.get(8)?,
        source_application: row.get(9)?,
        source_environment: row.get(10)?,
        target_application: row.get(11)?,
        target_environment: row.get(12)?,
        source_timestamp: time(13)?,
        target_timestamp: time(14)?,
        correlation_score: real(15)?,
        coefficient: real(16)?,
        confidence: real(17)?,
        lag_seconds: row.get(18)?,
        lag_low_seconds: row.get(19)?,
        lag_high_seconds: row.get(20)?,
        pattern_description: row.get(21)?,
        occurrence_count: row.get(22)?,
        first_observed: time(23)?,
        last_observed: time(24)?,
        state: read_state(&row.get::<_, String>(25)?)?,
        e_value: real(26)?,
        q_value: real(27)?,
        sample_count: row.get(28)?,
        explained_by: row.get(29)?,
    };
    Ok((correlation, row.get(30)?))
}

fn read_signal(row: &Row<'_>, first: usize) -> Result<Signal, Cause> {
    let kind: String = row.get(first)?;
    let kind = [SignalKind::Event, SignalKind::Metric]
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| unknown("source_kind or target_kind", &kind))?;
    Ok(Signal { kind, colony_id: row.get(first + 1)?, service_id: row.get(first + 2)?, name: row.get(first + 3)? })
}

fn read_state(text: &str) -> Result<PatternState, Cause> {
    [PatternState::Candidate, PatternState::Confirmed, PatternState::Withdrawn]
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| unknown("state", text))
}

pub(super) fn evidence_columns(rows: &[&Evidence]) -> Columns {
    let each = || rows.iter().copied();
    vec![
        ("correlation_id", text(each().map(|row| row.correlation_id.as_str()))),
        ("source_ref", text(each().map(|row| row.source_ref.as_str()))),
        ("target_ref", text(each().map(|row| row.target_ref.as_str()))),
        ("source_timestamp", times(each().map(|row| row.source_timestamp))),
        ("target_timestamp", times(each().map(|row| row.target_timestamp))),
        ("lag_ms", Arc::new(Int64Array::from_iter_values(each().map(|row| row.lag_ms)))),
        ("weight", reals(each().map(|row| &row.weight))),
    ]
}

/// What [`read_evidence`] reads, in its order.
pub(super) const EVIDENCE_SELECTION: &str = "correlation_id, source_ref, target_ref, epoch_ms(source_timestamp),
    epoch_ms(target_timestamp), lag_ms, weight";

pub(super) fn read_evidence(row: &Row<'_>) -> Result<Evidence, Cause> {
    Ok(Evidence {
        correlation_id: row.get(0)?,
        source_ref: row.get(1)?,
        target_ref: row.get(2)?,
        source_timestamp: TimeMs(row.get(3)?),
        target_timestamp: TimeMs(row.get(4)?),
        lag_ms: row.get(5)?,
        weight: Real(row.get(6)?),
    })
}
