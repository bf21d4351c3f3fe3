//! Whose the colonies are, and health that is never rounded up.

use super::*;
use crate::answers::fleet::Fleet;

#[tokio::test]
async fn a_colony_without_a_status_is_whose_its_rows_say() {
    let mut store = MemoryStore::new();
    let of = |colony_id: &str, application_name: &str, environment: &str| Event {
        colony_id: colony_id.to_owned(),
        application_name: application_name.to_owned(),
        environment: environment.to_owned(),
        ..event(0, colony_id, "deploy", Severity::Info)
    };
    // ids that look like something else, and like nothing
    let events = vec![of("eu-west-production", "shop", "live"), of("c-17", "shop", "canary-2")];
    store.commit(&commit_of(1, Rows { events, ..Rows::default() })).await.unwrap();
    let scope = Scope { colonies: vec!["my-shop-uat".to_owned()], ..Scope::default() };
    let fleet = Fleet::read(store.reader().as_ref(), &scope).await.unwrap();
    assert_eq!(fleet.identity("eu-west-production"), ("shop", "live"));
    assert_eq!(fleet.identity("c-17"), ("shop", "canary-2"));
    assert_eq!(fleet.identity("my-shop-uat"), ("my-shop", "uat"), "never heard: only its id is known");

    let named = ColonyStatus {
        colony_id: "c-17".to_owned(),
        application_name: "store".to_owned(),
        environment: String::new(),
        ..status("x", "healthy", 20, "")
    };
    store.commit(&commit_of(2, Rows { colonies: vec![named], ..Rows::default() })).await.unwrap();
    let fleet = Fleet::read(store.reader().as_ref(), &scope).await.unwrap();
    assert_eq!(fleet.identity("c-17"), ("store", "canary-2"), "what its status states goes before its rows");
}

#[tokio::test]
async fn nearly_all_is_not_all() {
    let mut store = MemoryStore::new();
    let nearly =
        ColonyStatus { total_services: 2_500, healthy_services: 2_499, ..status("production", "degraded", 0, "") };
    store.commit(&commit_of(1, Rows { colonies: vec![nearly], ..Rows::default() })).await.unwrap();
    let answer =
        Question::Health(HealthQuestion::default()).answer(store.reader().as_ref(), &Scope::default()).await.unwrap();
    assert!(answer.text().contains("  Production:  99% healthy of 2500 services\n"), "{}", answer.text());
    let json = serde_json::to_value(&answer).unwrap();
    assert!((json["environments"][0]["healthy_percent"].as_f64().unwrap() - 99.96).abs() < 1e-9, "{json}");
}
