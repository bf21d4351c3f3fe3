//! Two services of a colony are deployed at about the same time, and one of them calls the other.

use super::followed::verdict;
use super::*;
use model::topology::ServiceEdge;

/// The service calls `db`.
fn call() -> Rows {
    let edge = ServiceEdge {
        colony_id: "shop-production".to_owned(),
        from_service: "api".to_owned(),
        to_service: "db".to_owned(),
        protocol: "grpc".to_owned(),
        request_count: 9,
        seen_at: at(5, 0),
    };
    Rows { edges: vec![edge], ..Rows::default() }
}

/// Those of the plan, and one of `db` five minutes after `slow`.
fn with_db() -> Vec<Event> {
    let db = Event {
        service_id: "db".to_owned(),
        metadata: [("version".to_owned(), "v-db".to_owned())].into(),
        ..fixtures::event("shop-production", "db", at(4, 905))
    };
    events().into_iter().chain([db]).collect()
}

#[tokio::test]
async fn a_call_that_is_seen_before_the_first_deployment_is_known() {
    let mut impacts = impacts_of(&MemoryStore::new()).await;
    impacts.note(&call());
    assert!(impacts.linked.are_linked("shop-production", "db", "api"));
}

#[tokio::test]
async fn a_deployment_of_a_linked_service_may_be_the_cause() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(with_db(), metrics())]).await;
    assert_eq!(verdict(&store, "slow").await.0, Verdict::Failed, "nothing says that they are linked");
    agree(&store).await;

    // the call is seen later
    let mut impacts = impacts_of(&store).await;
    impacts.note(&call());
    assert_eq!(due(&impacts), format!("{} {}", at(4, 900), at(4, 905)), "both of them and none else");
    impacts.judge(usize::MAX, store.reader().as_ref()).await.unwrap();
    impacts.note(&call());
    assert_eq!(due(&impacts), "none", "it is known");

    drive_with(&store, vec![call()]).await;
    let (pending, reason) = verdict(&store, "slow").await;
    assert_eq!(pending, Verdict::Pending);
    assert!(reason.ends_with(", which may belong to an overlapping deployment: db"), "{reason}");
    agree(&store).await;

    let at_once = MemoryStore::new();
    let Rows { edges, .. } = call();
    drive_with(&at_once, vec![Rows { edges, ..rows_of(with_db(), metrics()) }]).await;
    assert_eq!(stored(&at_once).await, stored(&store).await);
}
