//! Deployments, what they did and what followed them.

use super::evidence;
use super::shared::{self, completeness, large, small, time};
use crate::answers::deployment::{Deployment, DeploymentImpact, Incident};
use crate::answers::deployments::Deployments;
use crate::impact::MetricImpact;
use crate::rpc::wire;
use buffa::MessageField;

pub(in crate::rpc) fn list(answer: Deployments) -> wire::ListDeploymentsResponse {
    let page = answer.deployments;
    wire::ListDeploymentsResponse {
        deployments: page.items.into_iter().map(shared::deployment).collect(),
        total: small(page.total),
        truncated: page.truncated,
        next_cursor: page.next_cursor.unwrap_or_default(),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

pub(in crate::rpc) fn one(answer: Deployment) -> wire::GetDeploymentResponse {
    wire::GetDeploymentResponse {
        summary: answer.summary,
        deployment: MessageField::some(shared::deployment(answer.deployment)),
        impact: MessageField::some(impact(answer.impact)),
        similar: answer.similar.into_iter().map(shared::deployment).collect(),
        overlapping: answer.overlapping.into_iter().map(shared::deployment).collect(),
        recommendation: answer.recommendation,
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

/// The same as RFD 003 has it.
pub(in crate::rpc) fn analysed(answer: Deployment) -> wire::DeploymentResponse {
    wire::DeploymentResponse {
        evidence: evidence::of_incidents(&answer.impact.incidents),
        summary: answer.summary,
        impact: MessageField::some(impact(answer.impact)),
        recommendation: answer.recommendation,
        deployment: MessageField::some(shared::deployment(answer.deployment)),
        similar: answer.similar.into_iter().map(shared::deployment).collect(),
        overlapping: answer.overlapping.into_iter().map(shared::deployment).collect(),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

fn impact(impact: DeploymentImpact) -> wire::DeploymentImpact {
    wire::DeploymentImpact {
        overall_status: impact.metrics.verdict.as_str().to_owned(),
        verdict_reason: impact.metrics.verdict_reason,
        impact_score: impact.metrics.impact_score,
        look_minutes: impact.metrics.look_minutes.map(small),
        changes: impact.metrics.changes.into_iter().map(change).collect(),
        also_worse_in: impact.also_worse_in,
        incidents: impact.incidents.into_iter().map(incident).collect(),
        incidents_total: small(impact.incidents_total),
        incidents_known_to: time(&impact.incidents_known_to),
        incidents_complete: impact.incidents_complete,
        ..Default::default()
    }
}

fn change(one: MetricImpact) -> wire::MetricChange {
    wire::MetricChange {
        metric_name: one.metric_name,
        before_value: one.before_value,
        after_value: one.after_value,
        percent_change: one.percent_change.unwrap_or_default(),
        has_percent_change: one.percent_change.is_some(),
        significance: one.significance.to_owned(),
        sample_count: large(one.sample_count),
        service_id: one.service_id,
        change: one.change,
        change_low: one.change_low,
        change_high: one.change_high,
        q_value: one.q_value,
        cliffs_delta: one.cliffs_delta,
        effective_points: one.effective_points,
        adjusted_for: one.adjusted_for.into_iter().map(str::to_owned).collect(),
        ..Default::default()
    }
}

fn incident(one: Incident) -> wire::RelatedIncident {
    wire::RelatedIncident {
        occurred_at: time(&one.occurred_at),
        event_id: one.event_id,
        description: one.description,
        correlation_score: one.correlation_score.unwrap_or_default() as f32,
        colony_id: one.colony_id,
        service_id: one.service_id,
        event_type: one.event_type,
        seconds_after: small(one.seconds_after),
        correlation_id: one.correlation_id.unwrap_or_default(),
        derived: one.derived,
        ..Default::default()
    }
}
