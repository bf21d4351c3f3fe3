//! A colony's start and end, as RFD 010 lists them.

use super::{Running, event, identity, inspect, settings};
use crate::config::{NewColony, Places, init, resolve};
use crate::store::TABLES;
use crate::{ColonyError, ColonySettings, Listen, StoreError, serve};
use model::clock::SystemClock;
use std::path::Path;

async fn start_and_stop(storage: &Path) {
    Running::start(storage).await.stop().await;
}

#[tokio::test]
async fn TestColonyStart_InitializesDatabase() {
    let dir = tempfile::tempdir().unwrap();
    let colony = Running::start(dir.path()).await;
    assert!(dir.path().join("c1.duckdb").is_file());
    colony.stop().await;
}

#[tokio::test]
async fn TestColonyStart_DatabaseFilename() {
    let dir = tempfile::tempdir().unwrap();
    let colony = Running::start(dir.path()).await;
    assert_eq!(colony.serving.database(), dir.path().join("c1.duckdb"));
    colony.stop().await;
}

#[tokio::test]
async fn TestColonyStart_SchemaCreated() {
    let dir = tempfile::tempdir().unwrap();
    start_and_stop(dir.path()).await;
    let tables: Vec<String> = inspect(&dir.path().join("c1.duckdb"), "SHOW TABLES");
    assert_eq!(tables.len(), TABLES.len());
    for table in TABLES {
        assert!(!inspect::<String>(&dir.path().join("c1.duckdb"), &format!("DESCRIBE {table}")).is_empty());
    }
}

#[tokio::test]
async fn TestColonyStart_Idempotency() {
    let dir = tempfile::tempdir().unwrap();
    let colony = Running::start(dir.path()).await;
    colony.serving.recorder().events(vec![event(1)]).await.unwrap();
    colony.stop().await;
    let colony = Running::start(dir.path()).await;
    assert_eq!(colony.serving.recorder().store().recent_events(None, 10).await.unwrap().len(), 1);
    colony.stop().await;
}

#[tokio::test]
async fn TestColonyStart_StorageDirectoryCreation() {
    let dir = tempfile::tempdir().unwrap();
    start_and_stop(&dir.path().join("not/there/yet")).await;
    assert!(dir.path().join("not/there/yet/c1.duckdb").is_file());
}

#[tokio::test]
async fn TestColonyStart_EnvironmentOverride() {
    let dir = tempfile::tempdir().unwrap();
    let mut places = Places { home: dir.path().join("home"), project: dir.path().join("project"), storage_path: None };
    let new = NewColony { application_name: "a".into(), environment: "dev".into(), ..NewColony::default() };
    let colony_id = init(&places, &new).unwrap().colony_id;
    places.storage_path = Some(dir.path().join("elsewhere"));
    let resolved = resolve(&places, None).unwrap();
    let settings = ColonySettings {
        identity: identity(&colony_id),
        storage_path: resolved.storage_path,
        retention: resolved.retention,
        clock: SystemClock::shared(),
    };
    serve(settings, Listen::plain("127.0.0.1:0"), async {}).await.unwrap().stopped().await.unwrap();
    assert!(dir.path().join("elsewhere").join(format!("{colony_id}.duckdb")).is_file());
}

#[tokio::test]
async fn TestMultiColony_SameStorageDirectory() {
    let dir = tempfile::tempdir().unwrap();
    let start = |id: &str| serve(settings(dir.path(), id), Listen::plain("127.0.0.1:0"), std::future::pending());
    let (a, b) = (start("colony-a").await.unwrap(), start("colony-b").await.unwrap());
    for number in 0..20 {
        let (to_a, to_b) = tokio::join!(
            a.recorder().events(vec![event(number)]),
            b.recorder().events(vec![event(1_000 + number), event(2_000 + number)])
        );
        assert_eq!((to_a.unwrap().stored, to_b.unwrap().stored), (1, 2));
    }
    a.kill().await;
    b.kill().await;
    let count = |id: &str| inspect::<i64>(&dir.path().join(format!("{id}.duckdb")), "SELECT count(*) FROM events");
    assert_eq!((count("colony-a"), count("colony-b")), (vec![20], vec![40]));
}

#[tokio::test]
async fn storage_that_fails_opens_no_socket() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c1.duckdb"), "no database".repeat(2_000)).unwrap();
    // were the listener opened first, this address would be the error
    let failed = serve(settings(dir.path(), "c1"), Listen::plain("no address at all"), async {}).await;
    assert!(matches!(failed, Err(ColonyError::Store { cause: StoreError::Open { .. }, .. })));
}

#[tokio::test]
async fn a_busy_port_leaves_the_database_free() {
    let dir = tempfile::tempdir().unwrap();
    let taken = Listen::plain("127.0.0.1:0").open().await.unwrap();
    let address = taken.address().unwrap().to_string();
    let failed = serve(settings(dir.path(), "c1"), Listen::plain(&address), async {}).await;
    assert!(matches!(failed, Err(ColonyError::Network { .. })));
    start_and_stop(dir.path()).await;
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let places = Places { home: dir.path().join("home"), project: dir.path().join("project"), storage_path: None };
    let new = NewColony { application_name: "a".into(), environment: "dev".into(), ..NewColony::default() };
    let colony_id = init(&places, &new).unwrap().colony_id;
    let resolved = resolve(&places, None).unwrap();
    let secret = resolved.colony.colony_secret.unwrap();
    let secret = secret.reveal();
    let settings = ColonySettings {
        identity: identity(&colony_id),
        storage_path: resolved.storage_path.clone(),
        retention: resolved.retention,
        clock: SystemClock::shared(),
    };
    serve(settings, Listen::plain("127.0.0.1:0"), async {}).await.unwrap().stopped().await.unwrap();
    let bytes = std::fs::read(resolved.storage_path.join(format!("{colony_id}.duckdb"))).unwrap();
    assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
}
