//! What agents may write.

use super::{Running, T0, event, point};
use proto::colony::v1::ingest_service_client::IngestServiceClient;
use proto::colony::v1::{
    ConnectionReport, IngestEventsRequest, IngestMetricsRequest, IngestTopologyRequest, ServiceReport,
};
use proto::convert::{event_to_wire, metric_to_wire, time_to_wire};
use proto::reef::v1;

#[tokio::test]
async fn good_rows_are_stored_and_bad_ones_come_back_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let colony = Running::start(dir.path()).await;
    let mut agent = IngestServiceClient::connect(colony.serving.endpoint()).await.unwrap();

    let good = metric_to_wire(&point("m", 300, 0, 5, 1.0));
    let metrics = vec![
        v1::MetricSummary { p50: Some(9.0), ..good.clone() },
        good.clone(),
        v1::MetricSummary { mean: Some(f64::INFINITY), ..good.clone() },
        v1::MetricSummary { interval_seconds: 100_000, ..good.clone() },
        v1::MetricSummary { interval_seconds: 0, metric_name: "unsaid".into(), ..good },
    ];
    let answer = agent.ingest_metrics(IngestMetricsRequest { metrics }).await.unwrap().into_inner();
    let rejected: Vec<_> = answer.rejected.iter().map(|row| (row.index, row.reason.as_str())).collect();
    assert_eq!(
        (answer.accepted, rejected),
        (2, vec![(0, "percentiles_out_of_order"), (2, "not_finite"), (3, "bad_value")])
    );

    let events = vec![
        event_to_wire(&event(1)),
        v1::Event { event_id: String::new(), ..event_to_wire(&event(2)) },
        v1::Event { severity: "fatal".into(), ..event_to_wire(&event(3)) },
        v1::Event { event_type: "never_heard_of".into(), ..event_to_wire(&event(4)) },
    ];
    for (turn, already_stored) in [(0, 0), (1, 3)] {
        let answer = agent.ingest_events(IngestEventsRequest { events: events.clone() }).await.unwrap().into_inner();
        let rejected: Vec<_> = answer.rejected.iter().map(|row| (row.index, row.reason.as_str())).collect();
        assert_eq!(rejected, [(1, "missing_field")], "turn {turn}");
        assert_eq!((answer.accepted, answer.already_stored), (3, already_stored), "turn {turn}");
    }
    let kinds: Vec<String> = colony
        .serving
        .recorder()
        .store()
        .recent_events(None, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.event_type)
        .collect();
    assert_eq!(kinds, ["never_heard_of", "deploy", "deploy"]);
    drop(agent);
    colony.stop().await;
}

#[tokio::test]
async fn topology_is_reported_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let colony = Running::start(dir.path()).await;
    let mut agent = IngestServiceClient::connect(colony.serving.endpoint()).await.unwrap();
    let service = |id: &str, status: &str| ServiceReport {
        service_id: id.into(),
        status: status.into(),
        agent_id: "a1".into(),
        seen_at: Some(time_to_wire(T0)),
        ..Default::default()
    };
    let call = |to: &str, count| ConnectionReport {
        from_service: "a".into(),
        to_service: to.into(),
        protocol: "http".into(),
        request_count: count,
        observed_at: None,
    };
    let request = IngestTopologyRequest {
        services: vec![service("a", "running"), service("", "running"), service("b", "sleeping")],
        connections: vec![call("b", 3), call("b", 4), call("c", -1)],
    };
    let answer = agent.ingest_topology(request).await.unwrap().into_inner();
    let rejected: Vec<_> = answer.rejected.iter().map(|row| (row.index, row.reason.as_str())).collect();
    assert_eq!(rejected, [(1, "missing_field"), (2, "bad_value"), (5, "bad_value")]);
    assert_eq!(answer.accepted, 3);
    let (services, calls) = colony.serving.recorder().store().topology().await.unwrap();
    assert_eq!((services.len(), services[0].name.as_str(), services[0].app_id.as_str()), (1, "a", "my-shop"));
    assert_eq!((calls.len(), calls[0].connection_count), (1, 7));
    drop(agent);
    colony.stop().await;
}
