//! The small tables that describe a fleet are read as they were written.

use super::rows::{START, bucket, edge, event, node};
use super::{Fixture, commit_of};
use crate::{Commit, MetricFilter, Span, StoreWriter, ValuesOf, values};
use model::event::Event;
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeSet;

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

/// Hours with a gap, series that begin within it, a bucket without a value, and late copies with and without one.
pub(super) async fn values_are_those_of_the_rows<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let minutes = |service: &str, from: i64, to: i64| -> Vec<MetricPoint> {
        (from..to).map(|minute| bucket(service, minute * MINUTE_MS)).collect()
    };
    let mut on_time = [minutes("api", 0, 300), minutes("db", 60, 180), minutes("web", 0, 10)].concat();
    on_time.push(MetricPoint { p95: None, mean: None, ..bucket("api", 300 * MINUTE_MS) });
    let rows = Rows { metrics: on_time.into(), ..Rows::default() };
    store.commit(&commit_of(1, rows)).await.unwrap();
    let late = vec![
        MetricPoint { version: 1, p95: Some(Real(77.0)), ..bucket("api", 5 * MINUTE_MS) },
        MetricPoint { version: 1, p95: None, mean: None, ..bucket("api", 6 * MINUTE_MS) },
        MetricPoint { p95: Some(Real(78.0)), ..bucket("api", -5 * MINUTE_MS) },
    ];
    let late = Rows { metrics: late.into(), ..Rows::default() };
    store.commit(&Commit { late: late.into(), ..commit_of(2, Rows::default()) }).await.unwrap();
    let reader = store.reader();
    let hour = |number: i64| START.floor_to(HOUR_MS) + number * HOUR_MS;
    let text = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let own: BTreeSet<String> = text(&["shop-production", "none"]);
    for (services, hours) in [
        (text(&[]), vec![-1, 0, 1, 4, 5]),
        (text(&["api", "db"]), vec![-1, 0, 2]),
        (text(&["db"]), vec![3]),
        (text(&["none"]), vec![0]),
        (text(&[]), Vec::new()),
    ] {
        let hours: BTreeSet<TimeMs> = hours.into_iter().map(hour).collect();
        let wanted = ValuesOf { colonies: own.clone(), services, hours };
        let colonies: Vec<String> = own.iter().cloned().collect();
        let all = reader.metrics_of(&colonies, START - DAY_MS, START + DAY_MS).await.unwrap();
        let found = reader.values_of(&wanted).await.unwrap();
        assert_eq!(found, values::of_points(all, &wanted), "{wanted:?}");
        let is_known = !wanted.services.contains("none") && !wanted.hours.is_empty();
        assert_eq!(!found.is_empty(), is_known && !wanted.hours.contains(&hour(3)), "{wanted:?}");
    }
    let of_nobody = ValuesOf { hours: [hour(0)].into(), ..ValuesOf::default() };
    assert_eq!(reader.values_of(&of_nobody).await.unwrap(), []);
    let first = ValuesOf { colonies: own, services: text(&["api"]), hours: [hour(0)].into() };
    let found = reader.values_of(&first).await.unwrap();
    let at = |minute: i64| {
        let values = found[0].values.iter().find(|(time, _)| *time == START + minute * MINUTE_MS);
        values.map(|(_, value)| *value)
    };
    assert_eq!((at(5), at(6), at(7)), (Some(77.0), None, bucket("api", 7 * MINUTE_MS).value()));
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
