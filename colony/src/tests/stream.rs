//! The event stream: order, filters, and positions that survive everything.

use super::{Running, T0, event};
use crate::config::Retention;
use model::event::{Event, Severity};
use proto::reef::v1;
use std::collections::BTreeSet;
use tonic::{Code, Streaming};

fn from(resume_token: &str) -> v1::StreamEventsRequest {
    v1::StreamEventsRequest { resume_token: resume_token.into(), ..Default::default() }
}

async fn open(colony: &mut Running, request: v1::StreamEventsRequest) -> Streaming<v1::Event> {
    colony.client.stream_events(request).await.unwrap().into_inner()
}

async fn take(stream: &mut Streaming<v1::Event>, count: usize) -> Vec<v1::Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.push(stream.message().await.unwrap().unwrap());
    }
    events
}

fn numbers(events: &[v1::Event]) -> Vec<u32> {
    events.iter().map(|event| event.event_id[1..].parse().unwrap()).collect()
}

#[tokio::test]
async fn stored_events_come_first_and_new_ones_as_they_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let recorder = colony.serving.recorder().clone();
    recorder.events((0..100).map(event).collect()).await.unwrap();
    let mut stream = open(&mut colony, from("")).await;
    assert_eq!(numbers(&take(&mut stream, 100).await), (0..100).collect::<Vec<_>>());
    for number in 100..103 {
        recorder.events(vec![event(number), event(number)]).await.unwrap();
        assert_eq!(numbers(&take(&mut stream, 1).await), [number]);
    }
    drop(stream);
    colony.stop().await;
}

#[tokio::test]
async fn a_stream_resumes_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    colony.serving.recorder().events((0..50).map(event).collect()).await.unwrap();
    let mut stream = open(&mut colony, from("")).await;
    let mut seen = take(&mut stream, 20).await;
    let token = seen.last().unwrap().resume_token.clone();
    drop((stream, colony.client));
    colony.serving.kill().await;

    let mut colony = Running::start(dir.path()).await;
    colony.serving.recorder().events((50..60).map(event).collect()).await.unwrap();
    let mut stream = open(&mut colony, from(&token)).await;
    seen.extend(take(&mut stream, 40).await);
    assert_eq!(numbers(&seen), (0..60).collect::<Vec<_>>());
    drop(stream);
    colony.stop().await;
}

#[tokio::test]
async fn a_stopping_colony_ends_its_streams_and_says_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    colony.serving.recorder().events(vec![event(0)]).await.unwrap();
    let mut stream = open(&mut colony, from("")).await;
    take(&mut stream, 1).await;
    let end = tokio::spawn(async move { stream.message().await });
    colony.stop().await;
    let status = end.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_stream_that_panics_ends_with_an_error_for_its_client_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let bad = Event { event_type: "planted-panic".into(), ..event(1) };
    colony.serving.recorder().events(vec![event(0), bad, event(2)]).await.unwrap();
    let mut stream = open(&mut colony, from("")).await;
    assert_eq!(numbers(&take(&mut stream, 1).await), [0]);
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("failed by a bug"), "{status}");
    drop(stream);
    // other streams go on
    let request = v1::StreamEventsRequest { event_types: vec![event(0).event_type], ..from("") };
    let mut stream = open(&mut colony, request).await;
    assert_eq!(numbers(&take(&mut stream, 2).await), [0, 2]);
    drop(stream);
    colony.stop().await;
}

#[tokio::test]
async fn tokens_of_another_database_start_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    colony.serving.recorder().events((0..3).map(event).collect()).await.unwrap();
    let session = colony.serving.recorder().store().session().to_owned();
    for token in [
        "other:2",
        "no token",
        ":",
        &format!("{session}:999"),
        &format!("{session}:-1"),
        &format!("{session}:x"),
        &format!("{session}:2:0"),
    ] {
        let mut stream = open(&mut colony, from(token)).await;
        assert_eq!(numbers(&take(&mut stream, 3).await), [0, 1, 2], "{token}");
    }
    let mut stream = open(&mut colony, from(&format!("{session}:3"))).await;
    assert_eq!(numbers(&take(&mut stream, 1).await), [2]);
    drop(stream);
    colony.stop().await;
}

const TYPES: [&str; 5] = ["deploy", "restart", "crash", "alert", "error_spike"];
const SEVERITIES: [Severity; 4] = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];

#[tokio::test]
async fn filters_let_through_exactly_what_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let mut all: Vec<Event> = Vec::new();
    for event_type in TYPES {
        for severity in SEVERITIES {
            let number = all.len() as u32;
            all.push(Event { event_type: event_type.into(), severity, ..event(number) });
        }
    }
    // one per type that every severity lets through: it marks the end
    for (index, event_type) in TYPES.into_iter().enumerate() {
        let marker = event(900 + index as u32);
        all.push(Event { event_type: event_type.into(), severity: Severity::Critical, ..marker });
    }
    colony.serving.recorder().events(all.clone()).await.unwrap();
    for min_severity in SEVERITIES {
        for event_type in TYPES {
            let request = v1::StreamEventsRequest {
                event_types: vec![event_type.into()],
                min_severity: min_severity.as_str().into(),
                resume_token: String::new(),
            };
            let lets_through = |event: &&Event| event.event_type == event_type && event.severity >= min_severity;
            let expected: Vec<&str> = all.iter().filter(lets_through).map(|event| event.event_id.as_str()).collect();
            let mut stream = open(&mut colony, request).await;
            let found = take(&mut stream, expected.len()).await;
            assert_eq!(found.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>(), expected);
        }
    }
    let request = v1::StreamEventsRequest { min_severity: "fatal".into(), ..Default::default() };
    assert_eq!(colony.client.stream_events(request).await.unwrap_err().code(), Code::InvalidArgument);
    colony.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_reconnects_during_ten_thousand_events_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let recorder = colony.serving.recorder().clone();
    let writer = tokio::spawn(async move {
        for page in 0..100 {
            recorder.events((page * 100..(page + 1) * 100).map(event).collect()).await.unwrap();
        }
    });
    let mut seen = Vec::new();
    let mut token = String::new();
    for round in 0..=20 {
        let mut stream = open(&mut colony, from(&token)).await;
        let count = if round < 20 { 37 + round * 11 } else { 10_000 - seen.len() };
        seen.extend(numbers(
            &take(&mut stream, count)
                .await
                .into_iter()
                .inspect(|event| token.clone_from(&event.resume_token))
                .collect::<Vec<_>>(),
        ));
    }
    writer.await.unwrap();
    assert_eq!(seen, (0..10_000).collect::<Vec<_>>());
    colony.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_delays_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let recorder = colony.serving.recorder().clone();
    let idle = open(&mut colony, from("")).await;
    let big = |number| Event { description: "x".repeat(60_000), ..event(number) };
    for page in 0..10 {
        recorder.events((page * 20..(page + 1) * 20).map(big).collect()).await.unwrap();
    }
    let mut other =
        proto::reef::v1::colony_federation_client::ColonyFederationClient::connect(colony.serving.endpoint())
            .await
            .unwrap();
    let mut stream = other.stream_events(from("")).await.unwrap().into_inner();
    let ids: BTreeSet<u32> = numbers(&take(&mut stream, 200).await).into_iter().collect();
    assert_eq!(ids.len(), 200);
    assert_eq!(stream_time(&mut colony).await, T0.0 / 1_000);
    drop((idle, stream, other));
    colony.stop().await;
}

/// Time of the first event, requested by another call on the connection of the idle stream.
async fn stream_time(colony: &mut Running) -> i64 {
    let request = v1::GetSummaryRequest { end_time: Some(proto::convert::time_to_wire(T0 + 1)), ..Default::default() };
    colony.client.get_summary(request).await.unwrap().into_inner().events[0].timestamp.unwrap().seconds
}

#[tokio::test]
async fn a_restored_database_that_has_gone_on_sends_its_whole_history_again() {
    let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let record = async |folder: &std::path::Path, numbers: std::ops::Range<u32>, in_all: usize| {
        let mut colony = Running::start(folder).await;
        colony.serving.recorder().events(numbers.map(event).collect()).await.unwrap();
        let mut stream = open(&mut colony, from("")).await;
        let token = take(&mut stream, in_all).await.pop().unwrap().resume_token;
        drop(stream);
        colony.stop().await;
        token
    };
    record(dir.path(), 0..10, 10).await;
    // the nightly backup; then the day continues, and the reef has read everything
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), backup.path().join(file.file_name())).unwrap();
    }
    let token = record(dir.path(), 10..15, 15).await;
    // restored, other events have come
    record(backup.path(), 20..30, 20).await;

    let mut colony = Running::start(backup.path()).await;
    let mut stream = open(&mut colony, from(&token)).await;
    let events = take(&mut stream, 20).await;
    assert_eq!(numbers(&events), (0..10).chain(20..30).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event.resent == Some(true) && event.backlog == Some(true)));
    colony.serving.recorder().events(vec![event(40)]).await.unwrap();
    let live = take(&mut stream, 1).await.remove(0);
    assert_eq!((live.resent, live.backlog), (None, None));
    // the new position is one of this history
    let mut stream = open(&mut colony, from(&events[18].resume_token)).await;
    let rest = take(&mut stream, 2).await;
    assert_eq!((numbers(&rest), rest[0].resent, rest[0].backlog), (vec![29, 40], None, Some(true)));
    drop(stream);
    colony.stop().await;
}

#[tokio::test]
async fn a_position_whose_event_has_expired_is_still_a_position() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    let store = colony.serving.recorder().store().clone();
    // old history that was imported last
    colony.serving.recorder().events(vec![event(1_000), event(1_001), event(0)]).await.unwrap();
    let mut stream = open(&mut colony, from("")).await;
    let token = take(&mut stream, 3).await.pop().unwrap().resume_token;
    let retention = Retention { events_ms: Some(0), ..Retention::default() };
    assert_eq!(store.delete_expired(retention, T0 + 500_000).await.unwrap(), 1);
    let mut stream = open(&mut colony, from(&token)).await;
    colony.serving.recorder().events(vec![event(1_002)]).await.unwrap();
    let next = take(&mut stream, 1).await;
    assert_eq!((numbers(&next), next[0].resent), (vec![1_002], None));
    drop(stream);
    colony.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_again_when_the_last_event_has_expired_and_the_colony_was_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let mut colony = Running::start(dir.path()).await;
    // the last one to be stored is the oldest
    let numbers_stored = [600, 601, 602, 1];
    colony.serving.recorder().events(numbers_stored.into_iter().map(event).collect()).await.unwrap();
    let mut stream = open(&mut colony, from("")).await;
    let token = take(&mut stream, 4).await[3].resume_token.clone();
    drop((stream, colony.client));
    let retention = Retention { events_ms: Some(0), ..Retention::default() };
    let store = colony.serving.recorder().store().clone();
    assert_eq!(store.delete_expired(retention, T0 + 500_000).await.unwrap(), 1);
    drop(store);
    colony.serving.kill().await;

    let mut colony = Running::start(dir.path()).await;
    let mut stream = open(&mut colony, from(&token)).await;
    colony.serving.recorder().events(vec![event(700)]).await.unwrap();
    let next = take(&mut stream, 1).await;
    assert_eq!((numbers(&next), next[0].resent), (vec![700], None));
    drop(stream);
    colony.stop().await;
}
