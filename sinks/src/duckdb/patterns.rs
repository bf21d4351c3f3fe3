//! Correlations and their evidence as DuckDB's SQL results give them. How they are written: [`crate::columns`].

use super::fault::Cause;
use crate::columns::{read_kind, read_state};
use duckdb::Row;
use model::pattern::{Correlation, Evidence, PatternKey, Signal};
use model::real::Real;
use model::time::TimeMs;

/// What [`read_correlation`] reads, in its order.
pub(super) const CORRELATION_SELECTION: &str = "
    source_kind, source_colony_id, source_service, source_signal,
    target_kind, target_colony_id, target_service, target_signal,
    correlation_type, source_application, source_environment, target_application, target_environment,
    epoch_ms(source_timestamp), epoch_ms(target_timestamp), correlation_score, coefficient, confidence,
    lag_seconds, lag_low_seconds, lag_high_seconds, pattern_description, occurrence_count,
    epoch_ms(first_observed), epoch_ms(last_observed), state, e_value, q_value, sample_count, explained_by,
    reason, chance_level, effective_points, judged_coefficient, part_of, coalesce(open_count, 0), epoch_ms(open_until),
    revision";

/// A stored correlation and its revision.
pub(super) fn read_correlation(row: &Row<'_>) -> Result<(Correlation, u64), Cause> {
    let real = |index: usize| row.get::<_, f64>(index).map(Real);
    let perhaps = |index: usize| row.get::<_, Option<f64>>(index).map(|value| value.map(Real));
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
        reason: row.get(30)?,
        chance_level: perhaps(31)?,
        effective_points: perhaps(32)?,
        judged_coefficient: perhaps(33)?,
        part_of: row.get(34)?,
        open_count: row.get(35)?,
        open_until: row.get::<_, Option<i64>>(36)?.map(TimeMs),
    };
    Ok((correlation, row.get(37)?))
}

fn read_signal(row: &Row<'_>, first: usize) -> Result<Signal, Cause> {
    let kind = read_kind(&row.get::<_, String>(first)?)?;
    Ok(Signal { kind, colony_id: row.get(first + 1)?, service_id: row.get(first + 2)?, name: row.get(first + 3)? })
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
