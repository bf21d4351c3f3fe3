//! The small tables that describe a fleet are read as they were written.

use super::rows::{START, bucket, edge, event, node};
use super::{Fixture, commit_of};
use crate::{Commit, MetricFilter, Span, StoreWriter};
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{HOUR_MS, MINUTE_MS};

pub(super) async fn services_calls_and_hours_are_read<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let metrics = (0..180).map(|minute| bucket("api", minute * MINUTE_MS)).collect();
    let rows = Rows { metrics, nodes: vec![node(7)], edges: vec![edge(7)], ..Rows::default() };
    store.commit(&commit_of(1, rows)).await.unwrap();
    let earlier = Rows { nodes: vec![node(2)], edges: vec![edge(2)], ..Rows::default() };
    store.commit(&commit_of(2, earlier)).await.unwrap();
    let reader = store.reader();

    let services = reader.services().await.unwrap();
    assert_eq!((services.len(), services[0].first_seen_at), (1, START + 2 * MINUTE_MS));
    assert_eq!(services[0].latest, node(7));
    let calls = reader.calls().await.unwrap();
    assert_eq!((calls.len(), calls[0].first_seen_at), (1, START + 2 * MINUTE_MS));
    assert_eq!(calls[0].latest, edge(7));

    let all = reader.hours(START - HOUR_MS, START + 5 * HOUR_MS).await.unwrap();
    assert!(all.len() >= 3 && all.is_sorted_by_key(|(key, _)| key.hour), "{all:?}");
    assert_eq!(all.iter().map(|(_, summary)| summary.points).sum::<u64>(), 180);
    let some = reader.hours(all[1].0.hour, all[2].0.hour).await.unwrap();
    assert_eq!(some, all[1..2], "the first hour counts, the last does not");

    let colonies = ["shop-production".to_owned(), "none".to_owned()];
    let metrics = reader.metrics_of(&colonies, START + MINUTE_MS, START + 4 * MINUTE_MS).await.unwrap();
    let minutes: Vec<i64> = metrics.iter().map(|point| (point.timestamp - START) / MINUTE_MS).collect();
    assert_eq!((minutes, metrics[0]), (vec![1, 2, 3], bucket("api", MINUTE_MS)));
    assert!(reader.metrics_of(&[], START, START + HOUR_MS).await.unwrap().is_empty());
    fixture.close(store).await;
}

/// By colony, service and metric, each alone and together, with late copies.
pub(super) async fn buckets_are_read_by_their_names<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let of = |service: &str, metric: &str, minute: i64| {
        let bucket = bucket(service, minute * MINUTE_MS);
        let names = SeriesRef { metric_name: metric, ..bucket.series.names() };
        MetricPoint { series: SeriesId::of(names), ..bucket }
    };
    let services = ["api", "it's", "web"];
    let all = |minutes: std::ops::Range<i64>| -> Vec<MetricPoint> {
        let names =
            services.iter().flat_map(|service| ["latency", "error % \"rate\""].map(|metric| (*service, metric)));
        names.flat_map(|(service, metric)| minutes.clone().map(move |minute| of(service, metric, minute))).collect()
    };
    store.commit(&commit_of(1, Rows { metrics: all(0..5).into(), ..Rows::default() })).await.unwrap();
    let late = Rows { metrics: all(5..6).into(), ..Rows::default() };
    store.commit(&Commit { late: late.into(), ..commit_of(2, Rows::default()) }).await.unwrap();
    let reader = store.reader();
    let colony = |id: &str| Some(vec![id.to_owned()]);
    let service = Some("it's".to_owned());
    let metric_names = vec!["error % \"rate\"".to_owned()];
    let filters = [
        (MetricFilter::default(), 30),
        (MetricFilter { service: service.clone(), ..MetricFilter::default() }, 10),
        (MetricFilter { metric_names: metric_names.clone(), ..MetricFilter::default() }, 15),
        (
            MetricFilter {
                colonies: colony("shop-production"),
                metric_names: metric_names.clone(),
                ..MetricFilter::default()
            },
            15,
        ),
        (MetricFilter { colonies: colony("shop-production"), service: service.clone(), metric_names }, 5),
        (MetricFilter { colonies: colony("none"), service, ..MetricFilter::default() }, 0),
        (MetricFilter { colonies: Some(Vec::new()), ..MetricFilter::default() }, 0),
    ];
    let (from, to) = (START + MINUTE_MS, START + 6 * MINUTE_MS);
    let whole = reader.metrics_in(Span { from, to: Some(to), with_late: true }, None, 1_000).await.unwrap();
    for (filter, count) in filters {
        let found = reader.metrics_where(&filter, from, to).await.unwrap();
        let expected: Vec<MetricPoint> =
            whole.iter().map(|stored| stored.row).filter(|row| filter.takes(row)).collect();
        assert_eq!(found.len(), count, "{filter:?}");
        assert_eq!(found, expected, "{filter:?}");
    }
    fixture.close(store).await;
}

pub(super) async fn colonies_are_named_as_their_newest_rows_name_them<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let of = |colony_id: &str, event_id: &str, minute: i64, application_name: &str| Event {
        colony_id: colony_id.to_owned(),
        application_name: application_name.to_owned(),
        environment: "live".to_owned(),
        ..event(event_id, minute * MINUTE_MS)
    };
    let events = vec![
        // its buckets are older and count before
        of("shop-production", "a", 9, "renamed"),
        of("blue", "b", 1, "old"),
        of("blue", "c", 2, "at-once-1"),
        of("blue", "d", 2, "at-once-2"),
    ];
    let rows = Rows { events, metrics: vec![bucket("api", 0)].into(), ..Rows::default() };
    let late = Rows { events: vec![of("blue", "late", 3, "late")], ..Rows::default() };
    store.commit(&Commit { late: late.into(), ..commit_of(1, rows) }).await.unwrap();
    let found = store.reader().identities().await.unwrap();
    let names: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|(id, named)| (id.as_str(), named.application_name.as_str(), named.environment.as_str()))
        .collect();
    assert_eq!(names, [("blue", "at-once-2", "live"), ("shop-production", "shop", "production")]);
    fixture.close(store).await;
}

pub(super) async fn events_of_some_types_are_read<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let of_type = |event_id: &str, minute: i64, event_type: &str| Event {
        event_type: event_type.to_owned(),
        ..event(event_id, minute * MINUTE_MS)
    };
    let events =
        vec![of_type("c", 3, "deploy"), of_type("a", 1, "it's"), of_type("b", 2, "alert"), of_type("d", 3, "deploy")];
    let late = Rows { events: vec![of_type("late", 0, "never")], ..Rows::default() };
    let commit = Commit { late: late.into(), ..commit_of(1, Rows { events, ..Rows::default() }) };
    store.commit(&commit).await.unwrap();
    let reader = store.reader();
    assert_eq!(reader.event_types().await.unwrap(), ["alert", "deploy", "it's"], "late ones do not count");
    let types = ["it's".to_owned(), "deploy".to_owned(), "none".to_owned()];
    for page_rows in [1, 2, 9] {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = reader.events_of(&types, after.as_ref(), page_rows).await.unwrap();
            assert!(page.len() <= page_rows);
            after = page.last().cloned();
            ids.extend(page.into_iter().map(|event| event.event_id));
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids, ["a", "c", "d"]);
    }
    assert!(reader.events_of(&[], None, 9).await.unwrap().is_empty());
    fixture.close(store).await;
}
