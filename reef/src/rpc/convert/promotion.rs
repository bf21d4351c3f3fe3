//! What is expected of a promotion.

use super::shared::{completeness, small};
use crate::answers::gate::{Expected, Gate, NotJudged};
use crate::rpc::wire;

pub(in crate::rpc) fn assessed(answer: Gate) -> wire::AssessPromotionResponse {
    wire::AssessPromotionResponse {
        verdict: answer.verdict.to_owned(),
        reason: answer.reason,
        expected: answer.expected.into_iter().map(expected).collect(),
        not_judged: answer.not_judged.into_iter().map(not_judged).collect(),
        pairs: small(answer.pairs),
        versions: answer.versions,
        application_name: answer.application_name,
        service_id: answer.service_id,
        version: answer.version,
        from_environment: answer.from_environment,
        to_environment: answer.to_environment,
        deployment_id: answer.deployment_id.unwrap_or_default(),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

fn expected(one: Expected) -> wire::ExpectedChange {
    wire::ExpectedChange {
        metric_name: one.metric_name,
        change_low: one.change_low,
        change: one.change,
        change_high: one.change_high,
        change_so_far: one.change_so_far,
        pairs: small(one.pairs),
        decides: one.decides,
        ..Default::default()
    }
}

fn not_judged(one: NotJudged) -> wire::MetricNotJudged {
    wire::MetricNotJudged { metric_name: one.metric_name, reason: one.reason, ..Default::default() }
}
