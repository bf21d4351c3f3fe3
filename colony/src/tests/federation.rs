//! What a reef may ask: summaries, metrics, topology, health, reflection.

use super::{Running, T0, event, point};
use crate::store::{ConnectionRow, ServiceRow, ServiceStatus};
use mesh::Network;
use model::clock::{Clock, SystemClock};
use model::time::DAY_MS;
use proto::convert::{metric_from_wire, time_to_wire};
use proto::reef::v1;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

fn range(from: i64, to: i64) -> v1::GetSummaryRequest {
    v1::GetSummaryRequest {
        start_time: Some(time_to_wire(T0 + from)),
        end_time: Some(time_to_wire(T0 + to)),
        ..Default::default()
    }
}

async fn with_topology(colony: &Running) {
    let service = |id: &str, agent: &str, status| ServiceRow {
        id: id.into(),
        name: id.to_uppercase(),
        app_id: "my-shop".into(),
        version: "v1".into(),
        agent_id: agent.into(),
        labels: Default::default(),
        last_seen: T0,
        status,
    };
    let call = ConnectionRow {
        from_service: "a".into(),
        to_service: "b".into(),
        protocol: "http".into(),
        first_observed: T0,
        last_observed: T0,
        connection_count: 42,
    };
    let services = vec![
        service("a", "agent-1", ServiceStatus::Running),
        service("b", "agent-1", ServiceStatus::Stopped),
        service("c", "agent-2", ServiceStatus::Error),
    ];
    colony.serving.recorder().store().record_topology(services, vec![call]).await.unwrap();
}

#[tokio::test]
async fn a_summary_is_the_range_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let recorder = colony.serving.recorder().clone();
    recorder.events((0..10).map(event).collect()).await.unwrap();
    recorder.metrics(&(0..10).map(|step| point("m", 300, step, 5, step as f64)).collect::<Vec<_>>()).await.unwrap();
    with_topology(&colony).await;

    let answer = colony.client.get_summary(range(2_000, 5_000)).await.unwrap().into_inner();
    assert_eq!(
        (answer.colony_id.as_str(), answer.application_name.as_str(), answer.environment.as_str()),
        ("c1", "my-shop", "production")
    );
    let ids: Vec<&str> = answer.events.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(ids, ["e2", "e3", "e4"]);
    assert!(answer.events.iter().all(|event| event.resume_token.is_empty()));
    assert!(answer.metrics.is_empty());
    let health = answer.health.unwrap();
    assert_eq!((health.overall_status.as_str(), health.total_services, health.agent_count), ("degraded", 3, Some(2)));
    let topology = colony.client.get_topology(v1::GetTopologyRequest {}).await.unwrap().into_inner().topology;
    assert_eq!(answer.topology, topology);
    assert_eq!(topology.unwrap().connections[0].request_count, 42);

    let answer = colony.client.get_summary(range(300_000, 900_000)).await.unwrap().into_inner();
    let points: Vec<_> = answer
        .metrics
        .into_iter()
        .map(|wire| metric_from_wire(&super::identity("c1"), wire, SystemClock.now()).unwrap())
        .collect();
    assert_eq!(points, [point("m", 300, 1, 5, 1.0), point("m", 300, 2, 5, 2.0)]);

    let everything = colony.client.get_summary(v1::GetSummaryRequest::default()).await.unwrap().into_inner();
    assert_eq!((everything.metrics.len(), everything.events.len()), (10, 10));
    colony.stop().await;
}

#[tokio::test]
async fn a_summary_is_narrowed_to_parts_services_and_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let recorder = colony.serving.recorder().clone();
    recorder.events((0..3).map(event).collect()).await.unwrap();
    recorder.metrics(&[point("m", 300, 0, 5, 1.0), point("n", 300, 0, 5, 1.0)]).await.unwrap();
    with_topology(&colony).await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    for (parts, services, metrics, expected) in [
        (names(&[]), names(&[]), names(&[]), (2, 3, 3)),
        (names(&["metrics"]), names(&[]), names(&[]), (2, 0, 0)),
        (names(&["metrics", "events"]), names(&[]), names(&["m", "x"]), (1, 3, 0)),
        (names(&["events"]), names(&["checkout", "other"]), names(&[]), (0, 3, 0)),
        (names(&["metrics", "events"]), names(&["other' OR 1=1 --"]), names(&[]), (0, 0, 0)),
        (names(&["topology"]), names(&["other"]), names(&[]), (0, 0, 3)),
    ] {
        let request =
            v1::GetSummaryRequest { parts, service_ids: services, metric_names: metrics, ..range(-1_000, 900_000) };
        let answer = colony.client.get_summary(request.clone()).await.unwrap().into_inner();
        let found = (answer.metrics.len(), answer.events.len(), answer.topology.unwrap().services.len());
        assert_eq!(found, expected, "{request:?}");
        assert_eq!(answer.health.unwrap().total_services, 3, "health is always there");
    }
    let unknown = v1::GetSummaryRequest { parts: names(&["everything"]), ..Default::default() };
    assert_eq!(colony.client.get_summary(unknown).await.unwrap_err().code(), Code::InvalidArgument);
    let many = v1::GetSummaryRequest { service_ids: names(&["x"; 101]), ..Default::default() };
    assert_eq!(colony.client.get_summary(many).await.unwrap_err().code(), Code::InvalidArgument);
    colony.stop().await;
}

#[tokio::test]
async fn a_summary_has_the_finest_interval_of_each_series_and_open_buckets_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let recorder = colony.serving.recorder().clone();
    recorder
        .metrics(&[point("both", 300, 0, 5, 1.0), point("both", 3_600, 0, 60, 1.0), point("hourly", 3_600, 0, 60, 2.0)])
        .await
        .unwrap();
    let ask = v1::GetSummaryRequest::default;
    let answer = colony.client.get_summary(ask()).await.unwrap().into_inner();
    let found: Vec<_> = answer.metrics.iter().map(|m| (m.metric_name.as_str(), m.interval_seconds, m.count)).collect();
    assert_eq!(found, [("both", 300, Some(5)), ("hourly", 3_600, Some(60))]);
    recorder.metrics(&[point("both", 300, 0, 9, 3.0)]).await.unwrap();
    let answer = colony.client.get_summary(ask()).await.unwrap().into_inner();
    assert_eq!((answer.metrics[0].count, answer.metrics[0].p95), (Some(9), Some(3.0)));
    colony.stop().await;
}

#[tokio::test]
async fn a_coarser_bucket_is_left_out_only_where_finer_ones_lie_in_it_however_the_range_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let mut points: Vec<_> = (0..10).map(|step| point("m", 3_600, step, 60, 1.0)).collect();
    points.extend((120..130).map(|step| point("m", 300, step, 5, 2.0)));
    // an hour of another series with one finer bucket in it, and one that begins where it ends
    points.extend([point("n", 3_600, 0, 60, 1.0), point("n", 300, 11, 5, 2.0)]);
    points.extend([point("o", 3_600, 0, 60, 1.0), point("o", 300, 12, 5, 2.0)]);
    // each interval gives way to any finer one, at the same start too
    points.extend([point("p", 86_400, 0, 9, 1.0), point("p", 3_600, 23, 9, 1.0), point("p", 900, 92, 9, 1.0)]);
    colony.serving.recorder().metrics(&points).await.unwrap();
    let mut cuts = Vec::new();
    for slice_ms in [DAY_MS, 3_600_000, 1_800_000, 300_000, 7_000_000] {
        let mut found = Vec::new();
        for start in (0..DAY_MS).step_by(slice_ms as usize) {
            let answer = colony.client.get_summary(range(start, (start + slice_ms).min(DAY_MS))).await.unwrap();
            found.extend(answer.into_inner().metrics.into_iter().map(|m| {
                let seconds = m.timestamp.unwrap().seconds - T0.0 / 1_000;
                (m.metric_name, seconds, m.interval_seconds)
            }));
        }
        found.sort();
        cuts.push(found);
    }
    let mut expected: Vec<_> = (0..10).map(|step| ("m".to_owned(), step * 3_600, 3_600)).collect();
    expected.extend((120..130).map(|step| ("m".to_owned(), step * 300, 300)));
    expected.push(("n".into(), 3_300, 300));
    expected.extend([("o".into(), 0, 3_600), ("o".into(), 3_600, 300)]);
    expected.push(("p".into(), 82_800, 900));
    for found in cuts {
        assert_eq!(found, expected);
    }
    colony.stop().await;
}

#[tokio::test]
async fn bad_ranges_are_refused_and_big_ones_cut_down() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    assert_eq!(colony.client.get_summary(range(5, 4)).await.unwrap_err().code(), Code::InvalidArgument);
    let far = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
    let request = v1::GetSummaryRequest { start_time: Some(far), ..Default::default() };
    assert_eq!(colony.client.get_summary(request).await.unwrap_err().code(), Code::InvalidArgument);

    let recorder = colony.serving.recorder().clone();
    for page in 0..5 {
        recorder.events((page * 4_001..(page + 1) * 4_001).map(event).collect()).await.unwrap();
    }
    let refused = colony.client.get_summary(range(0, DAY_MS)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("shorter"));
    let half = colony.client.get_summary(range(0, 10_000_000)).await.unwrap().into_inner();
    assert_eq!(half.events.len(), 10_000);
    colony.stop().await;
}

async fn metrics(colony: &mut Running, resolution: &str) -> Result<(String, Vec<f64>), Code> {
    let request = v1::GetMetricsRequest {
        service_id: "checkout".into(),
        metric_name: "m".into(),
        start_time: Some(time_to_wire(T0)),
        end_time: Some(time_to_wire(T0 + DAY_MS)),
        resolution: resolution.into(),
    };
    let answer = colony.client.get_metrics(request).await.map_err(|status| status.code())?.into_inner();
    assert!(answer.points.iter().all(|point| point.labels["statistic"] == "p95"));
    Ok((answer.resolution, answer.points.iter().map(|point| point.value).collect()))
}

#[tokio::test]
async fn metrics_come_at_the_resolution_asked_or_the_nearest_coarser_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let points: Vec<_> = (0..13).map(|step| point("m", 300, step, 5, step as f64)).collect();
    colony.serving.recorder().metrics(&points).await.unwrap();
    let all: Vec<f64> = (0..13).map(f64::from).collect();
    for resolution in ["1s", "10s", "1m", "5m", ""] {
        assert_eq!(metrics(&mut colony, resolution).await, Ok(("5m".into(), all.clone())), "{resolution}");
    }
    assert_eq!(metrics(&mut colony, "15m").await, Ok(("15m".into(), vec![1.0, 4.0, 7.0, 10.0, 12.0])));
    assert_eq!(metrics(&mut colony, "1h").await, Ok(("1h".into(), vec![5.5, 12.0])));
    for bad in ["7s", "1 m", "2h", "60"] {
        assert_eq!(metrics(&mut colony, bad).await, Err(Code::InvalidArgument), "{bad}");
    }
    // a stored coarser resolution is preferred to an aggregated one
    colony.serving.recorder().metrics(&[point("m", 3_600, 0, 60, 99.0)]).await.unwrap();
    assert_eq!(metrics(&mut colony, "15m").await, Ok(("1h".into(), vec![99.0])));
    let nameless = v1::GetMetricsRequest { service_id: "s".into(), ..Default::default() };
    assert_eq!(colony.client.get_metrics(nameless).await.unwrap_err().code(), Code::InvalidArgument);
    let unknown = v1::GetMetricsRequest { service_id: "s".into(), metric_name: "?".into(), ..Default::default() };
    assert!(colony.client.get_metrics(unknown).await.unwrap().into_inner().points.is_empty());
    colony.stop().await;
}

#[tokio::test]
async fn health_and_reflection_answer() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request, server_reflection_response};
    let dir = tempfile::tempdir().unwrap();
    let colony = Running::start(dir.path()).await;
    let mut health = HealthClient::new(Network::plain().dial_plain(&colony.serving.endpoint()).await.unwrap());
    for service in ["", "coral.reef.v1.ColonyFederation", "coral.colony.v1.IngestService"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.into() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving);
    }
    let mut reflection =
        ServerReflectionClient::new(Network::plain().dial_plain(&colony.serving.endpoint()).await.unwrap());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for service in ["coral.reef.v1.ColonyFederation", "coral.colony.v1.IngestService", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|name| name == service), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.ends_with("ReefLLM")), "a colony lists what a reef serves: {names:?}");
    drop((health, reflection, answers));
    colony.stop().await;
}
