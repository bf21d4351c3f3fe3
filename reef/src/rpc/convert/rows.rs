//! Events and metrics of a range of time.

use super::shared::{completeness, large, small, timestamp};
use crate::answers::events::{EventLine, Events};
use crate::answers::metrics::{Metrics, PointSum, SeriesLine};
use crate::rpc::wire;
use buffa::MessageField;
use model::time::TimeMs;

pub(in crate::rpc) fn events(answer: Events) -> wire::QueryEventsResponse {
    let page = answer.events;
    wire::QueryEventsResponse {
        events: page.items.into_iter().map(event).collect(),
        total: small(page.total),
        truncated: page.truncated,
        next_cursor: page.next_cursor.unwrap_or_default(),
        start_time: answer.range.map(|range| timestamp(range.from)).into(),
        end_time: answer.range.map(|range| timestamp(range.to)).into(),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

fn event(line: EventLine) -> wire::ReefEvent {
    let EventLine { event, is_late } = line;
    wire::ReefEvent {
        colony_id: event.colony_id,
        event_id: event.event_id,
        application_name: event.application_name,
        environment: event.environment,
        timestamp: MessageField::some(timestamp(event.timestamp)),
        event_type: event.event_type,
        service_id: event.service_id,
        severity: event.severity.as_str().to_owned(),
        description: event.description,
        metadata: event.metadata.into_iter().collect(),
        is_late,
        ..Default::default()
    }
}

pub(in crate::rpc) fn metrics(answer: Metrics) -> wire::QueryMetricsResponse {
    let page = answer.series;
    wire::QueryMetricsResponse {
        series: page.items.into_iter().map(series).collect(),
        total: small(page.total),
        truncated: page.truncated,
        next_cursor: page.next_cursor.unwrap_or_default(),
        start_time: answer.range.map(|range| timestamp(range.from)).into(),
        end_time: answer.range.map(|range| timestamp(range.to)).into(),
        step_seconds: small(answer.step_ms / 1_000),
        completeness: completeness(answer.completeness),
        ..Default::default()
    }
}

fn series(line: SeriesLine) -> wire::MetricSeries {
    let value = |(at, sum): (TimeMs, PointSum)| wire::MetricValue {
        timestamp: MessageField::some(timestamp(at)),
        value: sum.value,
        low: sum.low,
        high: sum.high,
        max: sum.max,
        sample_count: large(sum.samples),
        bucket_count: small(sum.buckets),
        ..Default::default()
    };
    wire::MetricSeries {
        colony_id: line.colony_id,
        application_name: line.application_name,
        environment: line.environment,
        service_id: line.service_id,
        metric_name: line.metric_name,
        points: line.points.into_iter().map(value).collect(),
        ..Default::default()
    }
}
