//! Pins the descriptors, and the conversions.
#![allow(clippy::unwrap_used)]

use crate::convert::{
    event_from_wire, event_to_wire, health_from_wire, metric_from_wire, metric_to_wire, time_from_wire, time_to_wire,
    topology_from_wire,
};
use crate::reef::v1;
use model::colony::ColonyIdentity;
use model::reject::RejectReason;
use model::time::TimeMs;
use proptest::prelude::*;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use std::collections::BTreeSet;
use std::path::Path;

const GOLDEN: &str = "src/testdata/descriptors.txt";

fn field_line(message: &str, parent: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let named = |full: &str| {
        let full = full.trim_start_matches('.');
        full.strip_prefix("coral.reef.v1.").or_else(|| full.strip_prefix("coral.colony.v1.")).unwrap_or(full).to_owned()
    };
    let type_of = |field: &FieldDescriptorProto| match field.r#type() {
        Type::Double => "double".to_owned(),
        Type::Float => "float".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Uint32 => "uint32".to_owned(),
        Type::Uint64 => "uint64".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::String => "string".to_owned(),
        Type::Message | Type::Enum => named(field.type_name()),
        other => format!("{other:?}"),
    };
    let entry = parent.nested_type.iter().find(|nested| {
        nested.options.as_ref().is_some_and(|o| o.map_entry())
            && field.type_name().ends_with(&format!(".{}", nested.name()))
    });
    let text = match entry {
        Some(entry) => format!("map<{}, {}>", type_of(&entry.field[0]), type_of(&entry.field[1])),
        None if field.label() == Label::Repeated => format!("repeated {}", type_of(field)),
        None if field.proto3_optional() => format!("optional {}", type_of(field)),
        None => type_of(field),
    };
    format!("{message}.{} = {} {text}", field.name(), field.number())
}

/// One line per method, field and empty message, in the order of the files.
fn descriptor_lines() -> Vec<String> {
    let all: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/all.bin"));
    let set = FileDescriptorSet::decode(all).unwrap();
    let mut lines = Vec::new();
    for file in set.file.iter().filter(|file| file.package().starts_with("coral.")) {
        lines.push(format!("# {} package {}", file.name(), file.package()));
        for service in &file.service {
            for method in &service.method {
                let short = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
                let stream = |yes: bool| if yes { "stream " } else { "" };
                lines.push(format!(
                    "{}.{}({}{}) -> {}{}",
                    service.name(),
                    method.name(),
                    stream(method.client_streaming()),
                    short(method.input_type()),
                    stream(method.server_streaming()),
                    short(method.output_type()),
                ));
            }
        }
        for message in &file.message_type {
            if message.field.is_empty() {
                lines.push(format!("{} (empty)", message.name()));
            }
            lines.extend(message.field.iter().map(|field| field_line(message.name(), message, field)));
        }
    }
    lines
}

#[test]
fn services_messages_fields_and_numbers_are_pinned() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    let actual = descriptor_lines().join("\n") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert_eq!(actual, expected, "the wire contract changed; UPDATE_GOLDEN=1 rewrites {GOLDEN}");
}

#[test]
fn everything_of_rfd_003_is_there() {
    let lines: BTreeSet<String> = descriptor_lines().iter().map(|line| line.replace(" optional ", " ")).collect();
    let seed = include_str!("testdata/rfd003.txt");
    let missing: Vec<&str> = seed.lines().filter(|line| !lines.contains(*line)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(seed.lines().count(), 115);
}

fn colony() -> ColonyIdentity {
    ColonyIdentity {
        colony_id: "my-shop-production-a3f2e1".into(),
        application_name: "my-shop".into(),
        environment: "production".into(),
    }
}

const NOW: TimeMs = TimeMs(1_700_000_000_000);

fn summary() -> v1::MetricSummary {
    v1::MetricSummary {
        service_id: "checkout".into(),
        metric_name: "latency_ms".into(),
        timestamp: Some(time_to_wire(TimeMs(1_690_000_000_000))),
        p50: Some(1.0),
        p95: Some(2.0),
        p99: Some(3.0),
        mean: Some(1.2),
        max: Some(4.0),
        count: Some(10),
        interval_seconds: 300,
        version: Some(2),
    }
}

fn event() -> v1::Event {
    v1::Event {
        event_id: "e1".into(),
        timestamp: Some(time_to_wire(TimeMs(1_690_000_000_123))),
        event_type: "kind_of_tomorrow".into(),
        service_id: "checkout".into(),
        severity: "warning".into(),
        metadata: [("version".to_owned(), "2.1.0".to_owned())].into(),
        description: "d".into(),
        resume_token: String::new(),
        version: Some(3),
        withdrawn: Some(true),
        backlog: None,
        resent: None,
    }
}

#[test]
fn rows_survive_the_round_trip_and_unknown_kinds_are_kept() {
    let point = metric_from_wire(&colony(), summary(), NOW).unwrap();
    assert_eq!(metric_to_wire(&point), summary());
    let row = event_from_wire(&colony(), event(), NOW).unwrap();
    assert_eq!(row.event_type, "kind_of_tomorrow");
    assert_eq!(event_to_wire(&row), event());
}

#[test]
fn an_absent_statistic_is_not_zero() {
    let wire = v1::MetricSummary { p50: None, p95: None, p99: None, max: Some(0.0), count: None, ..summary() };
    let decoded = v1::MetricSummary::decode(wire.encode_to_vec().as_slice()).unwrap();
    let point = metric_from_wire(&colony(), decoded, NOW).unwrap();
    assert_eq!((point.p95, point.max.map(|v| v.0), point.count), (None, Some(0.0), None));
}

#[test]
fn faults_are_named() {
    let metric = |wire| metric_from_wire(&colony(), wire, NOW).unwrap_err().0;
    assert_eq!(metric(v1::MetricSummary { p50: Some(2.5), ..summary() }), RejectReason::PercentilesOutOfOrder);
    assert_eq!(metric(v1::MetricSummary { mean: Some(f64::NAN), ..summary() }), RejectReason::NotFinite);
    assert_eq!(metric(v1::MetricSummary { count: Some(-1), ..summary() }), RejectReason::BadValue);
    assert_eq!(metric(v1::MetricSummary { timestamp: None, ..summary() }), RejectReason::MissingField);
    let nowhere = ColonyIdentity { colony_id: String::new(), ..colony() };
    assert_eq!(metric_from_wire(&nowhere, summary(), NOW).unwrap_err().0, RejectReason::MissingField);
    let far = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    assert_eq!(metric(v1::MetricSummary { timestamp: far, ..summary() }), RejectReason::BadTimestamp);

    let of_event = |wire| event_from_wire(&colony(), wire, NOW).unwrap_err().0;
    assert_eq!(of_event(v1::Event { event_id: String::new(), ..event() }), RejectReason::MissingField);
    assert_eq!(of_event(v1::Event { description: "x".repeat(1 << 17), ..event() }), RejectReason::Oversized);
    let tomorrow = Some(time_to_wire(NOW + 2 * model::time::DAY_MS));
    assert_eq!(of_event(v1::Event { timestamp: tomorrow, ..event() }), RejectReason::FarFuture);
}

#[test]
fn severities_are_the_words_of_files() {
    let read = |word: &str| event_from_wire(&colony(), v1::Event { severity: word.into(), ..event() }, NOW).unwrap();
    assert_eq!(read("Error").severity, model::event::Severity::Error);
    assert_eq!(read("fatal").severity, model::event::Severity::Critical);
    let unknown = read("P1");
    assert_eq!((unknown.severity, unknown.metadata["severity"].as_str()), (model::event::Severity::Info, "P1"));
}

#[test]
fn topology_and_health_are_checked() {
    let node = |id: &str| v1::ServiceNode { service_id: id.into(), ..Default::default() };
    let edge = |to: &str, n| v1::ServiceConnection {
        from_service: "a".into(),
        to_service: to.into(),
        protocol: "http".into(),
        request_count: n,
    };
    let wire = v1::TopologySummary {
        services: vec![node("a"), node("")],
        connections: vec![edge("b", 3), edge("", 1), edge("c", -1)],
    };
    let (nodes, edges, faults) = topology_from_wire("c1", wire, NOW);
    assert_eq!((nodes.len(), edges.len(), faults.len()), (1, 1, 3));
    assert_eq!(edges[0].request_count, 3);

    let wire = v1::HealthSummary {
        overall_status: "degraded".into(),
        total_services: 3,
        healthy_services: 2,
        degraded_services: 1,
        unhealthy_services: 0,
        agent_count: Some(7),
    };
    let (status, fault) = health_from_wire(&colony(), &wire);
    assert_eq!((status.health.as_str(), status.agent_count, fault), ("degraded", Some(7), None));
    let (_, fault) = health_from_wire(&colony(), &v1::HealthSummary { total_services: 4, ..wire });
    assert_eq!(fault.unwrap().0, RejectReason::BadValue);
}

proptest! {
    #[test]
    fn any_time_survives(ms in -4_000_000_000_000_i64..4_000_000_000_000) {
        prop_assert_eq!(time_from_wire(&time_to_wire(TimeMs(ms))), Some(TimeMs(ms)));
    }

    #[test]
    fn accepted_percentiles_are_ordered_and_finite(values in proptest::collection::vec(proptest::option::of(proptest::num::f64::ANY), 5)) {
        let wire = v1::MetricSummary {
            p50: values[0], p95: values[1], p99: values[2], max: values[3], mean: values[4], ..summary()
        };
        if let Ok(point) = metric_from_wire(&colony(), wire, NOW) {
            let present: Vec<f64> = [point.p50, point.p95, point.p99, point.max].into_iter().flatten().map(|v| v.0).collect();
            prop_assert!(present.iter().all(|v| v.is_finite()));
            prop_assert!(present.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }
}
