//! Rows of a range: what may be asked, and how much of it.

use super::*;
use crate::answers::deployments::deployments;
use crate::answers::events::{EventsQuestion, events, events_up_to};
use crate::answers::metrics::{MetricsQuestion, metrics, metrics_up_to};
use crate::answers::range::RangeQuestion;
use model::time::{DAY_MS, HOUR_MS};

fn refused<T: std::fmt::Debug>(answer: Result<T, AnswerError>) -> Refusal {
    match answer.unwrap_err() {
        AnswerError::Refused(refusal) => refusal,
        AnswerError::Store(error) => panic!("{error}"),
    }
}

/// The field that is meant, and what is wrong.
fn said(refusal: &Refusal) -> (&str, &str) {
    (refusal.field.as_deref().unwrap_or_default(), refusal.message.as_str())
}

#[tokio::test]
async fn long_lists_and_long_names_are_refused_at_their_field() {
    let store = store().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let (many, long) = (vec!["latency".to_owned(); 201], "x".repeat(250_000));
    let of_metrics = async |question: MetricsQuestion| refused(metrics(&question, reader.as_ref(), &scope).await);
    let refusal = of_metrics(MetricsQuestion { metric_names: many.clone(), ..MetricsQuestion::default() }).await;
    assert_eq!(said(&refusal), ("metric_names", "201 names are too many"));
    let refusal = of_metrics(MetricsQuestion { metric_names: vec![long.clone()], ..MetricsQuestion::default() }).await;
    assert_eq!(said(&refusal), ("metric_names[0]", "a name of 250000 bytes is too long"));
    let of_events = async |question: EventsQuestion| refused(events(&question, reader.as_ref(), &scope).await);
    let refusal = of_events(EventsQuestion { event_types: many.clone(), ..EventsQuestion::default() }).await;
    assert_eq!(said(&refusal), ("event_types", "201 names are too many"));
    let refusal = of_events(EventsQuestion { severity: Some(long.clone()), ..EventsQuestion::default() }).await;
    assert_eq!(said(&refusal), ("severity", "a name of 250000 bytes is too long"));
    for (filter, field) in [
        (Filter { colonies: many, ..Filter::default() }, "colony_ids"),
        (Filter { colonies: vec![long.clone()], ..Filter::default() }, "colony_ids[0]"),
        (Filter { environment: Some(long.clone()), ..Filter::default() }, "environment"),
        (Filter { application: Some(long.clone()), ..Filter::default() }, "application_name"),
        (Filter { service: Some(long.clone()), ..Filter::default() }, "service_id"),
    ] {
        let refusal = ask_of(Question::Topology(TopologyQuestion { filter }), &scope).await.unwrap_err();
        assert_eq!((refusal.kind, said(&refusal).0), (RefusalKind::Invalid, field));
        assert!(refusal.message.len() < 100 && refusal.hint.len() < 100, "{field}");
    }
    for question in [
        Question::Deployment(DeploymentQuestion { id: long.clone() }),
        Question::Correlation(CorrelationQuestion { id: long.clone() }),
        Question::Deployments(DeploymentsQuestion { status: Some(long.clone()), ..DeploymentsQuestion::default() }),
        Question::Deployments(DeploymentsQuestion { order: Some(long.clone()), ..DeploymentsQuestion::default() }),
        Question::Correlations(CorrelationsQuestion { state: Some(long), ..CorrelationsQuestion::default() }),
    ] {
        let refusal = ask_of(question, &scope).await.unwrap_err();
        assert_eq!(refusal.message, "a name of 250000 bytes is too long");
    }
}

#[tokio::test]
async fn a_range_is_bounded_and_the_field_that_was_sent_is_named() {
    let store = store().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let from = |from: i64| RangeQuestion { from: Some(TimeMs(from)), ..RangeQuestion::default() };
    let to = |to: i64| RangeQuestion { to: Some(TimeMs(to)), ..RangeQuestion::default() };
    let window = |window_ms: i64| RangeQuestion { window_ms: Some(window_ms), ..RangeQuestion::default() };
    for (range, field, message) in [
        (from(-62_167_219_200_000), "start_time", "the time 0000-01-01T00:00:00.000Z is out of range"),
        (to(9_000_000_000_000_000_000), "end_time", "the time 9000000000000000000ms is out of range"),
        (from(0), "start_time", "the range is 20040d11h long"),
        (to(0), "end_time", "the range 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.000Z is empty"),
        (window(60 * DAY_MS), "time_window", "the range is 60d long"),
        (window(i64::MAX), "time_window", "the range is 106751991167d7h long"),
        (window(0), "time_window", "the range is empty"),
    ] {
        let refusal =
            refused(events(&EventsQuestion { range, ..EventsQuestion::default() }, reader.as_ref(), &scope).await);
        assert_eq!(said(&refusal), (field, message));
    }
}

#[tokio::test]
async fn a_step_is_bounded_by_the_range_and_the_hint_is_one_that_is_taken() {
    let store = store().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let asked = async |step_ms: i64| {
        metrics(&MetricsQuestion { step_ms: Some(step_ms), ..MetricsQuestion::default() }, reader.as_ref(), &scope)
            .await
    };
    for (step_ms, message) in [
        (i64::MAX, "a step of 106751991167d7h is longer than the range"),
        (2 * DAY_MS, "a step of 2d is longer than the range"),
        (999, "a step of 1.0s is too short"),
        (i64::MIN, "a step of 0s is too short"),
    ] {
        assert_eq!(said(&refused(asked(step_ms).await)), ("step", message));
    }
    assert_eq!(refused(asked(1_000).await).hint, "take at least 7m15s, or leave it empty");
    let answer = asked(7 * MINUTE_MS + 15_000).await.unwrap();
    assert!(answer.series.items.iter().all(|line| line.points.len() <= 200));
    assert_eq!(asked(DAY_MS).await.unwrap().step_ms, DAY_MS);
}

#[tokio::test]
async fn points_begin_at_multiples_of_the_step() {
    let store = store().await;
    let question = MetricsQuestion {
        metric_names: vec!["latency".to_owned()],
        range: RangeQuestion { window_ms: Some(8 * HOUR_MS), ..RangeQuestion::default() },
        step_ms: Some(HOUR_MS),
        ..MetricsQuestion::default()
    };
    // the newest row is of 11:59
    let answer = metrics(&question, store.reader().as_ref(), &Scope::default()).await.unwrap();
    let range = answer.range.unwrap();
    assert_eq!((range.from, range.to), (at(-540), at(0)));
    let points: Vec<(TimeMs, u32)> =
        answer.series.items[0].points.iter().map(|(time, sum)| (*time, sum.buckets)).collect();
    let hours: Vec<(TimeMs, u32)> = (0..8).map(|hour| (at(60 * hour - 480), 60)).collect();
    assert_eq!(points, hours);
}

#[tokio::test]
async fn only_rows_that_are_wanted_count_against_the_limit() {
    let store = store().await;
    let (reader, scope) = (store.reader(), Scope::default());
    // 3840 buckets of 8 series
    let of_metrics = async |question: &MetricsQuestion| metrics_up_to(480, question, reader.as_ref(), &scope).await;
    let one = MetricsQuestion {
        filter: Filter { service: Some("api".to_owned()), ..in_environment("production") },
        metric_names: vec!["latency".to_owned()],
        ..MetricsQuestion::default()
    };
    let answer = of_metrics(&one).await.unwrap();
    assert_eq!((answer.series.total, answer.series.items[0].points.len()), (1, 32));
    let fleet = MetricsQuestion { filter: Filter::default(), ..one.clone() };
    let both = metrics(&fleet, reader.as_ref(), &scope).await.unwrap().series;
    assert_eq!((both.total, &both.items[0]), (2, &answer.series.items[0]), "of the fleet it is the same series");
    let refusal = refused(of_metrics(&fleet).await);
    let (field, message) = said(&refusal);
    assert_eq!((field, message), ("", "more than 480 metric buckets of the range are wanted"), "no field was sent");
    let range = RangeQuestion { window_ms: Some(DAY_MS), ..RangeQuestion::default() };
    let refusal = refused(of_metrics(&MetricsQuestion { range, ..fleet }).await);
    assert_eq!(said(&refusal).0, "time_window");

    // 4 events
    let of_events = async |question: &EventsQuestion| events_up_to(1, question, reader.as_ref(), &scope).await;
    let one = EventsQuestion { event_types: vec!["deploy".to_owned()], ..EventsQuestion::default() };
    assert_eq!(of_events(&one).await.unwrap().events.total, 1);
    let refusal = refused(of_events(&EventsQuestion::default()).await);
    assert_eq!(refusal.message, "more than 1 events of the range are wanted");
}

fn next(limit: usize, cursor: Option<&String>) -> Part {
    Part { limit: Some(limit), cursor: cursor.cloned(), skip: 0 }
}

#[tokio::test]
async fn a_page_continues_after_the_last_event_in_the_range_of_the_first() {
    let mut store = store().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let page = async |limit: usize, cursor: Option<&String>| {
        let question = EventsQuestion { part: next(limit, cursor), ..EventsQuestion::default() };
        events(&question, reader.as_ref(), &scope).await.unwrap()
    };
    let ids = |answer: &crate::answers::events::Events| -> Vec<String> {
        answer.events.items.iter().map(|line| line.event.event_id.clone()).collect()
    };
    let first = page(2, None).await;
    assert_eq!((ids(&first), first.events.total), (vec!["note".to_owned(), "spike-2".to_owned()], 4));
    let cursor = first.events.next_cursor.clone().unwrap();
    let end = format!("\nMore: --cursor {cursor}, or --limit up to 200\n{COMPLETE}");
    assert!(first.text().ends_with(&end), "{}", first.text());
    // one that is newer than the cursor, and one that moves the end of the range
    let later = vec![event(-40, "newer", "alert", Severity::Error), event(60, "newest", "alert", Severity::Error)];
    store.commit(&commit_of(2, Rows { events: later, ..Rows::default() })).await.unwrap();
    let second = page(1, first.events.next_cursor.as_ref()).await;
    assert_eq!((ids(&second), second.events.total), (vec!["spike-1".to_owned()], 4));
    assert!(second.events.truncated);
    assert_eq!(second.range, first.range);
    let third = page(200, second.events.next_cursor.as_ref()).await;
    assert_eq!((ids(&third), third.events.truncated), (vec!["e-3".to_owned()], false));
    assert_eq!(page(200, None).await.events.total, 6);

    let severity = Some("error".to_owned());
    let part = next(2, first.events.next_cursor.as_ref());
    let other = EventsQuestion { severity, part: part.clone(), ..EventsQuestion::default() };
    let refusal = refused(events(&other, reader.as_ref(), &scope).await);
    assert_eq!(said(&refusal), ("cursor", "the cursor is of another question"));
    let other = DeploymentsQuestion { part, ..DeploymentsQuestion::default() };
    let refusal = refused(deployments(&other, reader.as_ref(), &scope).await);
    assert_eq!(said(&refusal), ("cursor", "the cursor is of another question"));
    let long = "5b".repeat(100_000);
    for wrong in ["2", "zz", "6", long.as_str()] {
        let part = Part { cursor: Some(wrong.to_owned()), ..Part::default() };
        let refusal =
            refused(events(&EventsQuestion { part, ..EventsQuestion::default() }, reader.as_ref(), &scope).await);
        assert!(said(&refusal).0 == "cursor" && refusal.message.len() < 100, "{refusal:?}");
    }
}

#[tokio::test]
async fn a_page_of_deployments_continues_after_the_last_one() {
    let mut store = store().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let page = async |limit: usize, cursor: Option<&String>| {
        let question = DeploymentsQuestion { part: next(limit, cursor), ..DeploymentsQuestion::default() };
        deployments(&question, reader.as_ref(), &scope).await.unwrap().deployments
    };
    let ids = |page: &crate::answers::part::Listed<crate::answers::DeploymentLine>| -> Vec<String> {
        page.items.iter().map(|line| line.deployment_id.clone()).collect()
    };
    let first = page(2, None).await;
    assert_eq!(ids(&first), ["e-4", "e-3"]);
    let newer = ("production", "e-5", "api", "v2.1.0", "v2.2.0", -10, None, "running", "deployment");
    let timeline =
        DerivedChange { table: "deployment_timeline".to_owned(), upserts: vec![deployed(newer)], removed: Vec::new() };
    store.commit(&Commit { derived: vec![timeline], ..commit_of(2, Rows::default()) }).await.unwrap();
    let second = page(200, first.next_cursor.as_ref()).await;
    assert_eq!((ids(&second), second.total, second.truncated), (vec!["e-2".to_owned(), "e-1".to_owned()], 4, false));
    assert_eq!(page(200, None).await.total, 5);
}

#[tokio::test]
async fn a_page_of_series_continues_after_the_last_one() {
    let scope = Scope::default();
    for (filter, series) in [(Filter::default(), 8), (in_environment("production"), 4)] {
        let mut store = store().await;
        let reader = store.reader();
        let page = async |limit: usize, cursor: Option<&String>| {
            let question =
                MetricsQuestion { filter: filter.clone(), part: next(limit, cursor), ..MetricsQuestion::default() };
            metrics(&question, reader.as_ref(), &scope).await.unwrap()
        };
        let (whole, first) = (page(200, None).await, page(3, None).await);
        assert_eq!((first.series.total, first.series.truncated), (series, true));
        let cursor = first.series.next_cursor.clone().unwrap();
        let end = format!("\nMore: --cursor {cursor}, or --limit up to 200\nComplete to 2024-11-13 12:00:00 UTC for ");
        assert!(first.text().contains(&end) && !whole.text().contains("More: "), "{}", first.text());
        // a series that sorts first, and a later end
        let mut points = metric("production", "aaa", 1.0);
        points.truncate(1);
        points[0].timestamp = at(60);
        store.commit(&commit_of(2, Rows { metrics: points.into(), ..Rows::default() })).await.unwrap();
        let second = page(200, first.series.next_cursor.as_ref()).await;
        assert_eq!((second.series.total, second.series.truncated), (series, false));
        assert_eq!(second.series.items, whole.series.items[3..]);
        assert_eq!(second.range, first.range);
    }
}

#[tokio::test]
async fn an_unknown_service_or_event_type_is_refused_with_near_names() {
    let store = store().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let of = |service: &str| Filter { service: Some(service.to_owned()), ..Filter::default() };
    let near = |refusal: Refusal, field: &str, hint: &str| {
        let field = Some(field.to_owned());
        assert_eq!((refusal.kind, refusal.field, refusal.hint.as_str()), (RefusalKind::NotFound, field, hint));
    };
    let of_events = async |question: EventsQuestion| events(&question, reader.as_ref(), &scope).await;
    let api = "did you mean \"api\"?";
    near(
        refused(of_events(EventsQuestion { filter: of("apii"), ..EventsQuestion::default() }).await),
        "service_id",
        api,
    );
    let event_types = vec!["alert".to_owned(), "deplooy".to_owned()];
    let refusal = refused(of_events(EventsQuestion { event_types, ..EventsQuestion::default() }).await);
    near(refusal, "event_types[1]", "did you mean \"deploy\"?");
    let of_metrics = async |question: MetricsQuestion| metrics(&question, reader.as_ref(), &scope).await;
    let unknown = MetricsQuestion { filter: of("apii"), ..MetricsQuestion::default() };
    near(refused(of_metrics(unknown).await), "service_id", api);

    // in the topology, or in other hours
    let none = EventsQuestion { filter: of("payment-processor"), ..EventsQuestion::default() };
    assert_eq!(of_events(none).await.unwrap().events.total, 0);
    let none = MetricsQuestion { filter: of("payment-processor"), ..MetricsQuestion::default() };
    assert_eq!(of_metrics(none).await.unwrap().series.total, 0);
    let range = RangeQuestion { from: Some(at(-20)), ..RangeQuestion::default() };
    let none = EventsQuestion { event_types: vec!["deploy".to_owned()], range, ..EventsQuestion::default() };
    assert_eq!(of_events(none).await.unwrap().events.total, 0);

    let asked = |filter: Filter| {
        [
            Question::Topology(TopologyQuestion { filter: filter.clone() }),
            Question::Versions(VersionsQuestion { filter: filter.clone(), ..VersionsQuestion::default() }),
            Question::Deployments(DeploymentsQuestion { filter: filter.clone(), ..DeploymentsQuestion::default() }),
            Question::Correlations(CorrelationsQuestion { filter, ..CorrelationsQuestion::default() }),
        ]
    };
    for question in asked(of("apii")) {
        near(ask_of(question, &scope).await.unwrap_err(), "service_id", api);
    }
    for (question, whole) in asked(of("Api")).into_iter().zip(asked(of("api"))) {
        assert_eq!(ask_of(question, &scope).await.unwrap(), ask_of(whole, &scope).await.unwrap());
    }
}
