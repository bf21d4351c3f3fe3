//! Two environments side by side.

use super::shared::{completeness, small, time};
use crate::answers::compare::{Comparison, Difference};
use crate::rpc::wire;

pub(in crate::rpc) fn comparison(answer: Comparison) -> wire::CompareResponse {
    wire::CompareResponse {
        summary: answer.summary,
        differences: answer.differences.into_iter().map(difference).collect(),
        recommendation: answer.recommendation,
        application_name: answer.application_name,
        environment_a: answer.environment_a,
        environment_b: answer.environment_b,
        start_time: time(&answer.from),
        end_time: time(&answer.to),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

fn difference(one: Difference) -> wire::Difference {
    wire::Difference {
        metric_name: one.metric_name,
        value_a: one.value_a,
        value_b: one.value_b,
        percent_change: one.percent_change.unwrap_or_default(),
        has_percent_change: one.percent_change.is_some(),
        significance: one.significance.to_owned(),
        hours: small(one.hours),
        hours_worse: small(one.hours_worse),
        ..Default::default()
    }
}
