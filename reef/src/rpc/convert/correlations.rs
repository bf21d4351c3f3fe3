//! Patterns and the rows behind them.

use super::shared::{completeness, large, small, time, time_if};
use crate::answers::correlations::{Correlations, OneCorrelation};
use crate::answers::revisions::RevisionLine;
use crate::report::PatternLine;
use crate::rpc::wire;
use crate::show::EvidenceLine;
use buffa::MessageField;

pub(in crate::rpc) fn list(answer: Correlations) -> wire::ListCorrelationsResponse {
    let page = answer.correlations;
    wire::ListCorrelationsResponse {
        correlations: page.items.into_iter().map(pattern).collect(),
        total: small(page.total),
        truncated: page.truncated,
        next_cursor: page.next_cursor.unwrap_or_default(),
        state: answer.state,
        others: small(answer.others),
        as_of: time_if(answer.as_of.as_ref()),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

pub(in crate::rpc) fn one(answer: OneCorrelation) -> wire::GetCorrelationResponse {
    wire::GetCorrelationResponse {
        pattern: MessageField::some(pattern(answer.traced.pattern)),
        evidence: answer.traced.evidence.into_iter().map(evidence).collect(),
        revisions: answer.revisions.into_iter().map(revision).collect(),
        revision_count: small(answer.revision_count),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

pub(super) fn pattern(line: PatternLine) -> wire::Correlation {
    wire::Correlation {
        correlation_id: line.correlation_id,
        correlation_type: line.correlation_type,
        source_colony_id: line.source_colony_id,
        source_service: line.source_service,
        source_timestamp: time(&line.source_timestamp),
        target_colony_id: line.target_colony_id,
        target_service: line.target_service,
        target_timestamp: time(&line.target_timestamp),
        correlation_score: line.correlation_score,
        confidence: line.confidence,
        lag_seconds: line.lag_seconds,
        pattern_description: line.pattern_description,
        occurrence_count: small(line.occurrence_count),
        first_observed: time(&line.first_observed),
        last_observed: time(&line.last_observed),
        source_kind: line.source_kind.to_owned(),
        target_kind: line.target_kind.to_owned(),
        source_signal: line.source_signal,
        target_signal: line.target_signal,
        source_application: line.source_application,
        source_environment: line.source_environment,
        target_application: line.target_application,
        target_environment: line.target_environment,
        state: line.state.to_owned(),
        coefficient: line.coefficient,
        e_value: line.e_value,
        q_value: line.q_value,
        lag_low_seconds: line.lag_low_seconds,
        lag_high_seconds: line.lag_high_seconds,
        sample_count: large(line.sample_count),
        explained_by: line.explained_by.unwrap_or_default(),
        reason: line.reason.unwrap_or_default(),
        chance_level: line.chance_level,
        effective_points: line.effective_points,
        judged_coefficient: line.judged_coefficient,
        part_of: line.part_of.unwrap_or_default(),
        open_count: small(line.open_count),
        open_until: time_if(line.open_until.as_ref()),
        ..Default::default()
    }
}

fn evidence(line: EvidenceLine) -> wire::CorrelationEvidence {
    wire::CorrelationEvidence {
        source_ref: line.source_ref,
        target_ref: line.target_ref,
        source_timestamp: time(&line.source_timestamp),
        target_timestamp: time(&line.target_timestamp),
        lag_ms: line.lag_ms,
        weight: line.weight,
        ..Default::default()
    }
}

fn revision(line: RevisionLine) -> wire::CorrelationRevision {
    wire::CorrelationRevision {
        learnt_at: time(&line.learnt_at),
        as_of: time_if(line.as_of.as_ref()),
        is_listed: line.is_listed,
        state: line.state.to_owned(),
        correlation_score: line.correlation_score,
        confidence: line.confidence,
        lag_seconds: line.lag_seconds,
        occurrence_count: small(line.occurrence_count),
        sample_count: large(line.sample_count),
        explained_by: line.explained_by.unwrap_or_default(),
        pattern_description: line.pattern_description,
        old_state: line.old_state.unwrap_or_default().to_owned(),
        old_score: line.old_score,
        old_confidence: line.old_confidence,
        old_lag_seconds: line.old_lag_seconds,
        old_occurrence_count: line.old_occurrence_count.map(small),
        caused_by: line.caused_by,
        caused_count: line.caused_count.map(small),
        ..Default::default()
    }
}
