//! Stored impacts after a run that keeps none.

use super::*;
use crate::run::tests::drive_as;

#[tokio::test]
async fn a_run_that_keeps_no_impacts_deletes_them_and_a_later_one_that_does_judges_again() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(followed::with_incidents(), metrics())]).await;
    let expected = stored(&store).await;
    assert!(expected[0].iter().all(|row| Stored::of_row(row).is_some()) && !expected[1].is_empty());
    drive_as(&store, Vec::new(), "deployment_impact = false").await;
    let [timeline, impacts] = stored(&store).await;
    assert_eq!((timeline.len(), impacts.len()), (expected[0].len(), 0));
    for row in &timeline {
        assert!(Stored::of_row(row).is_none() && rows::related_events(row).is_empty(), "{row:?}");
    }
    drive_with(&store, Vec::new()).await;
    assert_eq!(stored(&store).await, expected);
}
