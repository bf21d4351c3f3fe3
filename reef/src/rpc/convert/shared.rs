//! What messages of all families have in common.

use crate::answers::completeness::{ColonyCompleteness, Completeness};
use crate::answers::part::{Listed, Part};
use crate::answers::{DeploymentLine, Refusal};
use crate::rpc::wire;
use buffa::{Inline, MessageField};
use buffa_types::google::protobuf::Timestamp;
use model::time::TimeMs;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message in a message.
pub(in crate::rpc) type Field<M> = MessageField<M, Inline<M>>;
/// A time in a message.
pub(in crate::rpc) type Time = Field<Timestamp>;

/// A time as answers write it; absent where it is none.
pub(in crate::rpc) fn time(text: &str) -> Time {
    TimeMs::parse_rfc3339(text).map(timestamp).into()
}

/// The same of a time that may be absent.
pub(in crate::rpc) fn time_if(text: Option<&String>) -> Time {
    text.and_then(|text| TimeMs::parse_rfc3339(text)).map(timestamp).into()
}

pub(in crate::rpc) fn timestamp(time: TimeMs) -> Timestamp {
    let nanos = time.0.rem_euclid(1_000) as i32 * 1_000_000;
    Timestamp { seconds: time.0.div_euclid(1_000), nanos, ..Default::default() }
}

/// A count; beyond 32 bits the greatest.
pub(in crate::rpc) fn small(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

/// The same for 64 bits.
pub(in crate::rpc) fn large(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

pub(in crate::rpc) fn completeness(answer: Completeness) -> Field<wire::Completeness> {
    let colonies = answer.colonies.into_iter().map(colony).collect();
    MessageField::some(wire::Completeness { complete: answer.complete, colonies, ..Default::default() })
}

fn colony(colony: ColonyCompleteness) -> wire::ColonyCompleteness {
    wire::ColonyCompleteness {
        complete_to: time_if(colony.complete_to.as_ref()),
        colony_id: colony.colony_id,
        state: colony.state.to_owned(),
        reason: colony.reason,
        ..Default::default()
    }
}

pub(in crate::rpc) fn deployment(line: DeploymentLine) -> wire::Deployment {
    wire::Deployment {
        started_at: time(&line.started_at),
        completed_at: time_if(line.completed_at.as_ref()),
        duration_seconds: line.duration_seconds.map(small),
        colony_id: line.colony_id,
        deployment_id: line.deployment_id,
        application_name: line.application_name,
        environment: line.environment,
        service_id: line.service_id,
        from_version: line.from_version,
        to_version: line.to_version,
        status: line.status,
        kind: line.kind,
        reported_by: line.reported_by,
        reported_as: line.reported_as,
        verdict: line.verdict.unwrap_or_default(),
        verdict_reason: line.verdict_reason.unwrap_or_default(),
        ..Default::default()
    }
}

/// The part of a list that is wanted, which is in the order of `key`, of the question that was asked; without one all of it.
pub(in crate::rpc) fn listed<T, K: Ord + Serialize + DeserializeOwned>(
    all: Vec<T>,
    part: Option<(&Part, &str)>,
    key: impl Fn(&T) -> K,
) -> Result<Listed<T>, Refusal> {
    match part {
        Some((part, asked)) => part.after(all, asked, key),
        None => Ok(Listed { total: all.len(), items: all, truncated: false, next_cursor: None }),
    }
}
