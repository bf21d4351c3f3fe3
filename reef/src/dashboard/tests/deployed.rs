//! Deployments on pages: those of the range, however many came later, and whether they are all.

use super::*;
use model::derived::{DerivedChange, Value};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use sinks::schema::DERIVED;

/// 2024-11-13 12:00, when the newest row happened.
const NOON: TimeMs = TimeMs(1_731_499_200_000);

/// A deployment as the run stores it: colony, id, what is deployed, version, start.
fn deployed([colony_id, id, service, version]: [&str; 4], start: TimeMs) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let value = |column: &str| match column {
        "colony_id" => text(colony_id),
        "deployment_id" => text(id),
        "application_name" => text("shop"),
        "environment" => text("production"),
        "service_id" => text(service),
        "from_version" => text(""),
        "to_version" => text(version),
        "started_at" => Value::Time(start),
        "completed_at" => Value::Time(start + MINUTE_MS),
        "status" => text("success"),
        "kind" => text("deployment"),
        "reported_by" => Value::Texts(vec![id.to_owned()]),
        "issues_detected" | "related_events" | "reported_as" => Value::Texts(Vec::new()),
        _ => Value::Null,
    };
    let table = DERIVED.iter().find(|derived| derived.table.name == "deployment_timeline").unwrap();
    table.table.columns.iter().map(|(column, _)| value(column)).collect()
}

/// A store with these deployments and an event at noon.
async fn with(upserts: Vec<Vec<Value>>) -> MemoryStore {
    let timeline = DerivedChange { table: "deployment_timeline".to_owned(), upserts, removed: Vec::new() };
    let newest = Event { timestamp: NOON, ..happened("shop-production", "newest", 0, "config_change") };
    let rows = Rows { events: vec![newest], ..Rows::default() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived: vec![timeline], ..commit_of(1, rows) }).await.unwrap();
    store
}

/// So many deployments, one every minute before a time.
fn many(count: i64, name: &str, before: TimeMs) -> Vec<Vec<Value>> {
    let row = |number: i64| {
        let id = format!("{name}-{number}");
        deployed(["shop-production", id.as_str(), "web", "v2"], before - (number + 1) * MINUTE_MS)
    };
    (0..count).map(row).collect()
}

#[tokio::test]
async fn an_older_range_has_its_deployments_however_many_came_later() {
    let mut rows = many(1_200, "late", NOON);
    rows.extend(many(3, "early", NOON - 20 * DAY_MS));
    let store = with(rows).await;
    let opened = Opened::over(&store, false).await;
    let range = format!("from={}&to={}", NOON - 21 * DAY_MS, NOON - 19 * DAY_MS);
    let page = opened.get(&format!("/timeline?{range}")).await.body;
    for id in ["early-0", "early-1", "early-2"] {
        assert!(page.contains(&format!("shop-production%2F{id}\"")), "{id}: {page}");
    }
    assert!(!page.contains("late-") && !page.contains("of the range are"), "{page}");
    let data = opened.get(&format!("/data/deployments?{range}")).await.body;
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["deployments"].as_array().unwrap().len(), 3, "{data}");
    assert_ne!(data["truncated"], true, "{data}");
    let between = format!("from={}&to={}", NOON - 18 * DAY_MS, NOON - 17 * DAY_MS);
    let none = opened.get(&format!("/timeline?{between}")).await.body;
    assert!(none.contains("No deployment began in this range.") && none.contains("value=\"1203\""), "{none}");
}

#[tokio::test]
async fn more_deployments_than_are_shown_are_counted() {
    let store = with(many(1_001, "one", NOON)).await;
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/timeline?range=7d").await.body;
    let most = |count: &str, shown: &str, place: &str| {
        format!(
            "The <data value=\"{count}\">{shown}</data> newest of <data value=\"1001\">1001</data> of the range are {place};"
        )
    };
    for words in [most("40", "40", "in the list"), most("1000", "1000", "in the picture")] {
        assert!(page.contains(&words), "{words}: {page}");
    }
    assert!(page.contains("one-999\"") && !page.contains("one-1000\""), "{page}");
    let data = opened.get("/data/deployments?range=7d").await.body;
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["deployments"].as_array().unwrap().len(), 1_000);
    assert_eq!((&data["truncated"], &data["total"]), (&true.into(), &1_001.into()), "{}", data["total"]);
}

#[tokio::test]
async fn no_name_of_a_deployment_turns_text() {
    let rows = vec![deployed(["shop-production", "d-1", HOSTILE, HOSTILE], NOON - DAY_MS)];
    let store = with(rows).await;
    let opened = Opened::over(&store, false).await;
    for path in ["/deployment?id=shop-production/d-1", "/timeline?range=7d", "/services", "/"] {
        let page = opened.get(path).await.body;
        assert!(page.contains("alert()&gt;·"), "{path}: {page}");
        assert_eq!(turned(&page), Vec::<&str>::new(), "{path}");
    }
}
