//! Predictions and how good they were.

use super::shared::{completeness, small, time, time_if};
use crate::answers::expected::Told;
use crate::answers::predictions::{PatternScore, Predictions};
use crate::answers::scores::Score;
use crate::rpc::wire;

pub(in crate::rpc) fn list(answer: Predictions) -> wire::ListPredictionsResponse {
    let page = answer.predictions;
    wire::ListPredictionsResponse {
        predictions: page.items.into_iter().map(prediction).collect(),
        total: small(page.total),
        truncated: page.truncated,
        next_cursor: page.next_cursor.unwrap_or_default(),
        completeness: completeness(answer.completeness),
        outcome: answer.outcome,
        open: small(answer.open),
        patterns: answer.patterns.into_iter().map(pattern).collect(),
        pattern_count: small(answer.pattern_count),
        as_of: time_if(answer.as_of.as_ref()),
        ..Default::default()
    }
}

pub(super) fn prediction(Told { summary, line }: Told) -> wire::Prediction {
    wire::Prediction {
        prediction_id: line.prediction_id,
        correlation_id: line.correlation_id,
        source_colony_id: line.source_colony_id,
        source_event_id: line.source_event_id,
        target_colony_id: line.target_colony_id,
        target_service: line.target_service,
        target_signal: line.target_signal,
        issued_at: time(&line.issued_at),
        expected_from: time(&line.expected_from),
        expected_to: time(&line.expected_to),
        expires_at: time(&line.expires_at),
        probability: line.probability,
        outcome: line.outcome.as_str().to_owned(),
        matched_event_id: line.matched_event_id.unwrap_or_default(),
        resolved_at: time_if(line.resolved_at.as_ref()),
        source_service: line.source_service,
        source_signal: line.source_signal,
        source_application: line.source_application,
        source_environment: line.source_environment,
        target_application: line.target_application,
        target_environment: line.target_environment,
        chance_level: line.chance_level,
        summary,
        ..Default::default()
    }
}

fn pattern(pattern: PatternScore) -> wire::PatternScore {
    wire::PatternScore {
        correlation_id: pattern.correlation_id,
        description: pattern.description.unwrap_or_default(),
        probability: pattern.probability,
        muted: pattern.muted.unwrap_or_default(),
        scores: pattern.scores.into_iter().map(score).collect(),
        ..Default::default()
    }
}

fn score(score: Score) -> wire::PredictionScore {
    wire::PredictionScore {
        days: small(score.days),
        open: small(score.record.open),
        hits: small(score.record.hits),
        misses: small(score.record.misses),
        voids: small(score.record.voids),
        precision: score.precision,
        precision_low: score.precision_low,
        precision_high: score.precision_high,
        target_count: small(score.target_count),
        recall: score.recall,
        brier_score: score.brier_score,
        skill: score.skill,
        lead_seconds_median: score.lead_seconds_median.map(small),
        ..Default::default()
    }
}
