//! Neighbours that a deployment or an event affects.

use super::shared::{completeness, small, time};
use crate::answers::affected::{Affected, Judged, Relation};
use crate::rpc::wire;

pub(in crate::rpc) fn list(answer: Affected) -> wire::ListAffectedResponse {
    let neighbours = |judged: Vec<Judged>| judged.into_iter().map(neighbour).collect();
    wire::ListAffectedResponse {
        summary: answer.summary,
        kind: answer.kind.to_owned(),
        id: answer.id,
        colony_id: answer.colony_id,
        service_id: answer.service_id,
        started_at: time(&answer.started_at),
        affected: neighbours(answer.affected),
        not_affected: neighbours(answer.not_affected),
        not_known: neighbours(answer.not_known),
        omitted: small(answer.omitted),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

fn neighbour(one: Judged) -> wire::Neighbour {
    let relation = match one.relation {
        Relation::CallsIt => "calls_it",
        Relation::CalledByIt => "called_by_it",
        Relation::Pattern => "pattern",
    };
    wire::Neighbour {
        colony_id: one.colony_id,
        application_name: one.application_name,
        environment: one.environment,
        service_id: one.service_id,
        relation: relation.to_owned(),
        correlation_id: one.correlation_id.unwrap_or_default(),
        lag_seconds: small(one.lag_seconds),
        score: one.score,
        metric_name: one.metric_name.unwrap_or_default(),
        change: one.change,
        change_low: one.change_low,
        change_high: one.change_high,
        visible_from: one.visible_from,
        events: one.events,
        reason: one.reason,
        correlation_score: one.correlation_score,
        ..Default::default()
    }
}
