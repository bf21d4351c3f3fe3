//! The database file: opening, closing, writing, reading.

use super::{T0, event, inspect, point};
use crate::config::Retention;
use crate::record::Recorder;
use crate::store::{
    ConnectionRow, Insight, InsightKind, InsightStatus, MetricRow, Priority, ServiceRow, ServiceStatus,
};
use crate::summarize::Interval;
use crate::{Store, StoreError};
use model::metric::MetricPoint;
use model::real::Real;
use model::statistics::Statistics;
use model::time::{DAY_MS, HOUR_MS};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn TestNew_ValidPath() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "alex-dev-0977e1").unwrap();
    assert!(store.path().is_file());
}

#[test]
fn TestNew_CreatesDirectory() {
    let dir = tempfile::tempdir().unwrap();
    let storage = dir.path().join("deep").join("storage");
    let store = Store::open(&storage, "c1").unwrap();
    assert_eq!(mode(&storage) & !0o755, 0);
    assert_eq!(mode(store.path()) & !0o644, 0);
}

#[test]
fn TestNew_InvalidPath() {
    // a parent that is a file fails for root too
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("storage"), "c1").unwrap_err();
    assert!(matches!(error, StoreError::Directory { .. }) && error.to_string().contains("file/storage"), "{error}");
}

#[test]
fn TestNew_DatabaseFilename() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "alex-dev-0977e1").unwrap();
    assert_eq!(store.path(), dir.path().join("alex-dev-0977e1.duckdb"));
    for bad in ["", "../elsewhere", ".hidden", "a/b", "a b"] {
        assert!(matches!(Store::open(dir.path(), bad), Err(StoreError::BadColonyId { .. })), "{bad:?}");
    }
}

#[tokio::test]
async fn TestClose() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "c1").unwrap();
    store.insert_events(vec![event(1)]).await.unwrap();
    store.close().unwrap();
    store.close().unwrap();
    assert!(matches!(store.totals().await, Err(StoreError::Closed { .. })));
    assert!(matches!(store.insert_events(vec![event(2)]).await, Err(StoreError::Closed { .. })));
    // nothing is left beside the file, so copying it is a backup
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["c1.duckdb"]);
    assert_eq!(inspect::<i64>(store.path(), "SELECT count(*) FROM events"), [1]);
}

#[tokio::test]
async fn TestPing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "c1").unwrap();
    store.ping(Duration::from_secs(60)).await.unwrap();
    store.close().unwrap();
    assert!(store.ping(Duration::from_secs(60)).await.is_err());
}

#[tokio::test]
async fn in_memory_and_read_only_opens() {
    let store = Store::open_in_memory().unwrap();
    store.insert_events(vec![event(1)]).await.unwrap();
    assert_eq!(store.recent_events(None, 10).await.unwrap().len(), 1);
    store.close().unwrap();

    let dir = tempfile::tempdir().unwrap();
    let path = Store::open(dir.path(), "c1").unwrap().path().to_owned();
    let store = Store::open_read_only(&path).unwrap();
    assert!(store.totals().await.unwrap().rows.iter().all(|(_, rows)| *rows == 0));
    assert!(store.insert_events(vec![event(1)]).await.is_err());
    store.close().unwrap();
}

#[test]
fn a_file_that_is_no_database_is_named_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c1.duckdb");
    std::fs::write(&path, "this is not a database, despite its name".repeat(1_000)).unwrap();
    let error = Store::open(dir.path(), "c1").unwrap_err();
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("start again"), "{text}");
    assert!(std::error::Error::source(&error).is_some());
    std::fs::remove_file(&path).unwrap();
    Store::open(dir.path(), "c1").unwrap();
}

#[tokio::test]
async fn a_write_that_fails_leaves_nothing() {
    let store = Store::open_in_memory().unwrap();
    let failed = store
        .write("fail on purpose", |tx| {
            tx.execute("INSERT INTO events (timestamp, service_id, event_type) VALUES (epoch_ms(0), 's', 't')", [])?;
            tx.execute_batch("SELECT * FROM no_such_table")
        })
        .await;
    assert!(matches!(failed, Err(StoreError::Statement { doing: "fail on purpose", .. })));
    assert!(store.recent_events(None, 1).await.unwrap().is_empty());
    assert_eq!(store.insert_events(vec![event(1)]).await.unwrap().stored, 1);
}

#[tokio::test]
async fn events_are_stored_once_in_the_order_given() {
    let store = Store::open_in_memory().unwrap();
    let written = store.insert_events(vec![event(3), event(1), event(3)]).await.unwrap();
    assert_eq!((written.stored, written.already_stored), (2, 1));
    let written = store.insert_events(vec![event(1), event(2)]).await.unwrap();
    assert_eq!((written.stored, written.already_stored), (1, 1));
    let rows = store.events_after(0, 10).await.unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| row.details.event_id.as_str()).collect();
    assert_eq!(ids, ["e3", "e1", "e2"]);
    assert!(rows.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(rows[1].details.metadata["version"], "1");
}

#[tokio::test]
async fn an_amended_or_withdrawn_event_is_one_more_row() {
    let store = Store::open_in_memory().unwrap();
    let amended = model::event::Event { version: 1, ..event(1) };
    let withdrawn = model::event::Event { version: 1, withdrawn: true, ..event(1) };
    store.insert_events(vec![event(1), amended.clone()]).await.unwrap();
    let written = store.insert_events(vec![withdrawn, amended, event(1)]).await.unwrap();
    assert_eq!((written.stored, written.already_stored), (1, 2));
    let rows = store.events_after(0, 10).await.unwrap();
    let states: Vec<(u64, bool)> = rows.iter().map(|row| (row.details.version, row.details.withdrawn)).collect();
    assert_eq!(states, [(0, false), (1, false), (1, true)]);
}

#[tokio::test]
async fn an_event_id_past_32_bits_and_rows_of_other_writers_are_fine() {
    let store = Store::open_in_memory().unwrap();
    store
        .write("insert by hand", |tx| {
            tx.execute_batch(
                "INSERT INTO events VALUES (3000000000, TIMESTAMP '2023-08-31 00:00:01', 's', 'connection', 'no JSON', NULL);
                 INSERT INTO events (timestamp, service_id, event_type) VALUES (TIMESTAMP '2023-08-31 00:00:02', 's', 'crash')",
            )
        })
        .await
        .unwrap();
    let rows = store.recent_events(Some("s"), 10).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[1].details.event_id.as_str(), rows[1].details.description.as_str()),
        ("row-3000000000", "no JSON")
    );
}

fn row(count: u64, mean: f64) -> MetricRow {
    let statistics =
        Statistics::of(&MetricPoint { count: Some(count), mean: Some(Real(mean)), ..MetricPoint::default() });
    MetricRow {
        timestamp: T0,
        service_id: "s".into(),
        metric_name: "m".into(),
        interval: Interval::Minutes5,
        statistics,
    }
}

#[tokio::test]
async fn the_greater_version_of_a_bucket_stays_whatever_the_order() {
    let versions = [row(1, 9.0), row(3, 1.0), row(3, 2.0), row(5_000_000_000, 0.5), row(2, 7.0)];
    for turn in 0..versions.len() {
        let store = Store::open_in_memory().unwrap();
        let mut versions = versions.clone();
        versions.rotate_left(turn);
        store.upsert_metrics(versions[..2].to_vec()).await.unwrap();
        for version in &versions[2..] {
            store.upsert_metrics(vec![version.clone()]).await.unwrap();
        }
        assert_eq!(store.series("s", "m", (None, None)).await.unwrap(), [row(5_000_000_000, 0.5)]);
    }
}

#[tokio::test]
async fn fine_points_make_five_minute_buckets_and_coarse_ones_stay_as_they_are() {
    let recorder = Recorder::new(Store::open_in_memory().unwrap());
    for step in 0..10 {
        recorder.metrics(&[point("fine", 60, step, 10, step as f64)]).await.unwrap();
    }
    recorder.metrics(&[point("coarse", 900, 1, 7, 3.0), point("odd", 600, 1, 7, 3.0)]).await.unwrap();
    let fine = recorder.store().series("checkout", "fine", (None, None)).await.unwrap();
    let p95: Vec<_> =
        fine.iter().map(|row| (row.timestamp - T0, row.statistics.p95(), row.statistics.count())).collect();
    assert_eq!(p95, [(0, Some(Real(2.0)), Some(50)), (300_000, Some(Real(7.0)), Some(50))]);
    assert_eq!(fine[1].statistics.max(), Some(Real(9.0)));
    let coarse = recorder.store().series("checkout", "coarse", (None, None)).await.unwrap();
    assert_eq!((coarse[0].interval, coarse[0].timestamp), (Interval::Minutes15, T0 + 900_000));
    let odd = recorder.store().series("checkout", "odd", (None, None)).await.unwrap();
    assert_eq!((odd[0].interval, odd[0].timestamp), (Interval::Minutes15, T0));
    let refused = recorder.metrics(&[point("slow", 90_000, 0, 1, 1.0)]).await.unwrap();
    assert_eq!(refused.len(), 1);
}

#[tokio::test]
async fn points_of_an_interval_that_is_not_kept_lose_nothing() {
    let recorder = Recorder::new(Store::open_in_memory().unwrap());
    // the means are half of the p95: 0, 1, 2, …
    let points = |name, seconds, steps| (0..steps).map(move |n| point(name, seconds, n, n as u64 + 1, 2.0 * n as f64));
    let given: Vec<_> = points("10m", 600, 6).chain(points("30m", 1_800, 4)).chain(points("6h", 21_600, 8)).collect();
    for turn in 0..2 {
        if turn == 0 {
            recorder.metrics(&given).await.unwrap();
        } else {
            // again, one by one and backwards: nothing counts twice
            for point in given.iter().rev() {
                recorder.metrics(std::slice::from_ref(point)).await.unwrap();
            }
        }
        let expected = [
            ("10m", Interval::Minutes15, 900_000, vec![(3, 2.0 / 3.0), (3, 2.0), (9, 32.0 / 9.0), (6, 5.0)]),
            ("30m", Interval::Hour1, HOUR_MS, vec![(3, 2.0 / 3.0), (7, 18.0 / 7.0)]),
            ("6h", Interval::Day1, DAY_MS, vec![(10, 2.0), (26, 148.0 / 26.0)]),
        ];
        for (name, interval, step_ms, buckets) in expected {
            let found = recorder.store().series("checkout", name, (None, None)).await.unwrap();
            assert!(found.iter().all(|row| row.interval == interval), "{name}");
            let found: Vec<_> =
                found.iter().map(|row| (row.timestamp, row.statistics.count(), row.statistics.mean())).collect();
            let expected: Vec<_> = (0_i64..)
                .zip(buckets)
                .map(|(n, (count, mean))| (T0 + n * step_ms, Some(count), Some(Real(mean))))
                .collect();
            assert_eq!(found, expected, "{name}, turn {turn}");
        }
    }
}

#[tokio::test]
async fn services_follow_the_newest_report_and_connections_add_up() {
    let store = Store::open_in_memory().unwrap();
    let service = |seconds: i64, status| ServiceRow {
        id: "checkout".into(),
        name: "Checkout".into(),
        app_id: "my-shop".into(),
        version: format!("v{seconds}"),
        agent_id: "a1".into(),
        labels: [("team".to_owned(), "blue".to_owned())].into(),
        last_seen: T0 + seconds * 1_000,
        status,
    };
    let call = |seconds: i64, count| ConnectionRow {
        from_service: "checkout".into(),
        to_service: "payments".into(),
        protocol: "grpc".into(),
        first_observed: T0 + seconds * 1_000,
        last_observed: T0 + seconds * 1_000,
        connection_count: count,
    };
    let newer = vec![service(5, ServiceStatus::Running), service(9, ServiceStatus::Error)];
    store.record_topology(newer, vec![call(5, 3), call(9, 4)]).await.unwrap();
    store.record_topology(vec![service(7, ServiceStatus::Stopped)], vec![call(7, 2)]).await.unwrap();
    let (services, calls) = store.topology().await.unwrap();
    assert_eq!(services, [service(9, ServiceStatus::Error)]);
    assert_eq!(calls, [ConnectionRow { first_observed: T0 + 5_000, last_observed: T0 + 9_000, ..call(0, 9) }]);
}

#[tokio::test]
async fn expired_rows_go_and_open_insights_stay() {
    let store = Store::open_in_memory().unwrap();
    let insight = |title: &str| Insight {
        created_at: T0,
        kind: InsightKind::Anomaly,
        priority: Priority::High,
        title: title.into(),
        summary: "latency doubled".into(),
        details: [("metric".to_owned(), "latency_ms".to_owned())].into(),
        affected_services: vec!["checkout".into()],
        confidence: Some(0.9),
        expires_at: None,
    };
    store.insert_events(vec![event(1)]).await.unwrap();
    store.upsert_metrics(vec![row(1, 1.0)]).await.unwrap();
    let open = store.insert_insight(insight("open")).await.unwrap();
    let done = store.insert_insight(insight("done")).await.unwrap();
    assert_eq!(store.active_insights(T0).await.unwrap(), [(done, insight("done")), (open, insight("open"))]);
    assert!(store.set_insight_status(done, InsightStatus::Resolved, T0).await.unwrap());
    assert!(!store.set_insight_status(999, InsightStatus::Resolved, T0).await.unwrap());

    let retention = Retention {
        metric_summaries_ms: Some(30 * DAY_MS),
        events_ms: Some(90 * DAY_MS),
        insights_ms: Some(7 * DAY_MS),
    };
    let mut deleted = Vec::new();
    for days in [6, 8, 31, 91, 400] {
        deleted.push(store.delete_expired(retention, T0 + days * DAY_MS + HOUR_MS).await.unwrap());
    }
    assert_eq!(deleted, [0, 1, 1, 1, 0]);
    assert_eq!(store.active_insights(T0).await.unwrap(), [(open, insight("open"))]);
    assert_eq!(store.delete_expired(Retention::default(), T0 + 999 * DAY_MS).await.unwrap(), 0);
}

#[tokio::test]
async fn statements_in_names_stay_data() {
    let store = Store::open_in_memory().unwrap();
    let evil = "x'; DROP TABLE events; --";
    let mut bad = event(1);
    (bad.service_id, bad.event_type, bad.event_id) = (evil.into(), evil.into(), evil.into());
    (bad.description, bad.metadata) = (evil.into(), [(evil.to_owned(), evil.to_owned())].into());
    store.insert_events(vec![bad.clone()]).await.unwrap();
    store.insert_events(vec![bad]).await.unwrap();
    store
        .upsert_metrics(vec![MetricRow { service_id: evil.into(), metric_name: evil.into(), ..row(1, 1.0) }])
        .await
        .unwrap();
    let rows = store.recent_events(Some(evil), 10).await.unwrap();
    assert_eq!((rows.len(), rows[0].details.event_id.as_str()), (1, evil));
    assert_eq!(store.series(evil, evil, (None, None)).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_parallel_reads_beside_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "c1").unwrap();
    store.insert_events((0..100).map(event).collect()).await.unwrap();
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        reads.spawn(async move { store.events_after(0, 100).await.unwrap().len() });
    }
    for number in 100..120 {
        store.insert_events(vec![event(number)]).await.unwrap();
    }
    let lengths = reads.join_all().await;
    assert_eq!(lengths, [100; 50]);
}

/// Runs itself again in a child process with another time zone, and compares the files.
#[test]
fn times_are_utc_in_any_zone() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (dir, is_child) = match std::env::var_os("COLONY_TEST_ZONE_DIR") {
        Some(dir) => (std::path::PathBuf::from(dir), true),
        None => (tempfile::tempdir().unwrap().keep(), false),
    };
    if is_child {
        let store = Store::open(&dir, "c1").unwrap();
        runtime.block_on(async {
            store.insert_events(vec![event(1)]).await.unwrap();
            store.upsert_metrics(vec![row(1, 1.0)]).await.unwrap();
            assert_eq!(store.recent_events(None, 1).await.unwrap()[0].timestamp, event(1).timestamp);
            let found = store.series("s", "m", (Some(T0), Some(T0 + 1))).await.unwrap();
            assert_eq!(found, [row(1, 1.0)]);
        });
        return store.close().unwrap();
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["times_are_utc_in_any_zone", "--nocapture"])
        .env("TZ", "America/New_York")
        .env("COLONY_TEST_ZONE_DIR", &dir)
        .status()
        .unwrap();
    assert!(status.success());
    let path = dir.join("c1.duckdb");
    let times =
        "SELECT timestamp::VARCHAR FROM events UNION ALL SELECT timestamp::VARCHAR FROM metric_summaries ORDER BY 1";
    assert_eq!(inspect::<String>(&path, times), ["2023-08-31 00:00:00", "2023-08-31 00:00:01"]);
    std::fs::remove_dir_all(dir).unwrap();
}
