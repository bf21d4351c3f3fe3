//! Cursors: parts of a list while rows are stored, cursors of other calls, and names that are too long for a cursor.

use super::client::{Client, here};
use super::limits::{NOON, event, long_event};
use crate::answers::part;
use crate::answers::tests::by_effect::{deploy_newest, judged};
use crate::mcp::cursor::Cursor;
use crate::mcp::fit::RESULT_MAX;
use model::rows::Rows;
use model::time::MINUTE_MS;
use model::topology::{ColonyStatus, ServiceNode};
use serde_json::{Value, json};
use sinks::StoreWriter;
use sinks::compliance::commit_of;
use sinks::memory::MemoryStore;
use std::collections::BTreeMap;
use std::sync::Arc;

async fn client_of(store: &MemoryStore) -> Client {
    Client::of(Arc::new(here(store.reader()))).await
}

fn ids(answer: &Value, field: &str) -> Vec<String> {
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

/// The same arguments with the cursor of an answer.
fn after(answer: &Value, arguments: &Value) -> Value {
    let mut arguments = arguments.clone();
    arguments["cursor"] = answer["next_cursor"].clone();
    arguments
}

fn node(service: &str) -> ServiceNode {
    ServiceNode {
        colony_id: "shop-production".to_owned(),
        service_id: service.to_owned(),
        name: service.to_owned(),
        version: "v1".to_owned(),
        status: "running".to_owned(),
        seen_at: NOON,
    }
}

#[tokio::test]
async fn events_that_are_stored_between_parts_neither_repeat_nor_hide_one() {
    let mut store = MemoryStore::new();
    let events = (0..120).map(long_event).collect();
    store.commit(&commit_of(1, Rows { events, ..Rows::default() })).await.unwrap();
    let client = client_of(&store).await;
    let mut arguments = json!({ "limit": 60, "start": "now-100m" });
    let (mut seen, mut tick) = (Vec::new(), 1);
    loop {
        let answer = client.structured("reef_query_events", arguments.clone()).await;
        assert_eq!(answer["total"], 100, "{answer}");
        seen.extend(ids(&answer, "event_id"));
        if answer["next_cursor"] == "" {
            break;
        }
        arguments = after(&answer, &arguments);
        arguments["limit"] = json!(if tick % 2 == 0 { 60 } else { 7 });
        tick += 1;
        let mut newer = event(0, "newer");
        newer.event_id = format!("newer-{tick}");
        newer.timestamp = NOON + MINUTE_MS * i64::try_from(tick).unwrap();
        store.commit(&commit_of(tick, Rows { events: vec![newer], ..Rows::default() })).await.unwrap();
    }
    // parts end by their limit and by their size
    assert!(tick > 3, "{tick} parts");
    assert_eq!(seen, (0..100).map(|place| format!("e-{place:04}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_new_deployment_and_a_new_service_neither_repeat_nor_hide_one() {
    let mut store = judged().await;
    let client = client_of(&store).await;
    let arguments = json!({ "limit": 2 });
    let first = client.structured("reef_list_deployments", arguments.clone()).await;
    assert_eq!(ids(&first, "deployment_id"), ["new", "fine"]);
    deploy_newest(&mut store).await;
    let next = client.structured("reef_list_deployments", after(&first, &arguments)).await;
    assert_eq!(ids(&next, "deployment_id"), ["early", "slight"]);

    let mut store = MemoryStore::new();
    let nodes = ["b", "d", "f", "h"].map(node).to_vec();
    store.commit(&commit_of(1, Rows { nodes, ..Rows::default() })).await.unwrap();
    let client = client_of(&store).await;
    for (tick, name, new) in [(2, "reef_list_services", "a"), (3, "reef_get_topology", "aa")] {
        let first = client.structured(name, arguments.clone()).await;
        let seen = ids(&first, "service_id");
        store.commit(&commit_of(tick, Rows { nodes: vec![node(new)], ..Rows::default() })).await.unwrap();
        let next = client.structured(name, after(&first, &arguments)).await;
        let all = client.structured(name, json!({})).await;
        let all: Vec<String> = ids(&all, "service_id").into_iter().filter(|id| id != new).collect();
        assert_eq!([seen, ids(&next, "service_id")].concat(), all[..4], "{name}");
    }
}

#[tokio::test]
async fn a_cursor_is_of_one_tool_and_its_arguments() {
    let client = super::client::connect().await;
    let first = client.structured("reef_query_events", json!({ "limit": 1, "severity": "info" })).await;
    let cursor = &first["next_cursor"];
    for (name, arguments) in [
        ("reef_query_events", json!({ "cursor": cursor })),
        ("reef_query_events", json!({ "cursor": cursor, "severity": "info", "reef": "my-reef" })),
        ("reef_list_services", json!({ "cursor": cursor })),
        ("reef_list_deployments", json!({ "cursor": cursor })),
    ] {
        let refusal = client.refusal(name, arguments).await;
        assert!(refusal.starts_with("cursor: the cursor is of another tool or of other arguments; send"), "{refusal}");
    }
    let more =
        client.structured("reef_query_events", json!({ "cursor": cursor, "severity": "info", "limit": 3 })).await;
    assert_eq!(more["items"].as_array().unwrap().len(), 3);
    // one behind the end says so
    let asked = part::asked("reef_list_services", &BTreeMap::<&str, Value>::new());
    let behind = json!({ "cursor": Cursor::text(70, None, &asked) });
    let note = client.structured("reef_list_services", behind).await["notes"][0].to_string();
    assert!(note.contains("the cursor is behind the last of "), "{note}");
}

#[tokio::test]
async fn very_long_names_leave_room_for_items_and_the_cursor_moves() {
    let long = |kind: &str, place: usize| format!("{kind}-{place:03}-{}", "ü\"".repeat(400));
    let colony = |place: usize| ColonyStatus {
        colony_id: long("colony", place),
        application_name: "shop".to_owned(),
        environment: long("environment", place),
        health: "healthy".to_owned(),
        total_services: 1,
        healthy_services: 1,
        degraded_services: 0,
        unhealthy_services: 0,
        agent_count: None,
        last_success_at: Some(NOON),
        complete_to: Some(NOON - (place as i64) * MINUTE_MS * 60),
        last_error: "no answer ".repeat(60),
    };
    let node = |place: usize| ServiceNode {
        colony_id: long("colony", place),
        service_id: long("service", place),
        ..node(&long("name", place))
    };
    let mut store = MemoryStore::new();
    let (colonies, nodes) = ((0..90).map(colony).collect(), (0..90).map(node).collect());
    store.commit(&commit_of(1, Rows { colonies, nodes, ..Rows::default() })).await.unwrap();
    let client = client_of(&store).await;
    for name in ["reef_list_colonies", "reef_get_status", "reef_list_services", "reef_get_topology"] {
        let (mut cursor, mut count) = (String::new(), 0);
        loop {
            let called = client.call(name, json!({ "limit": 200, "cursor": cursor })).await;
            let size = called.value.to_string().len();
            assert!(!called.is_error() && size <= RESULT_MAX, "{name}: {size} bytes");
            let answer = &called.value["structuredContent"];
            let items = answer["items"].as_array().unwrap().len();
            cursor = answer["next_cursor"].as_str().unwrap().to_owned();
            assert!(items > 0, "{name} makes no progress after {count}");
            assert!(answer["complete_to"].as_object().is_some_and(|known| !known.is_empty()), "{name}");
            count += items;
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!(count, 90, "{name}");
    }
}
