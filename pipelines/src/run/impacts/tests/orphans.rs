//! Impacts whose deployment is gone, and batches of deployments that are judged together.

use super::*;

async fn impact_rows(store: &MemoryStore) -> usize {
    stored(store).await[1].len()
}

/// A run that was killed after a deployment was deleted, and before the rows of its impact were.
#[tokio::test]
async fn impacts_without_their_deployment_are_deleted_by_the_next_run() {
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let [_, impacts] = stored(&store).await;
    let mut orphan = impacts.into_iter().find(|row| row[1] == Value::Text("slow".into())).unwrap();
    orphan[1] = Value::Text("deleted".into());
    let derived = vec![DerivedChange { table: rows::TABLE.to_owned(), upserts: vec![orphan], removed: Vec::new() }];
    store.commit(&Commit { derived, ..sinks::compliance::commit_of(99, Rows::default()) }).await.unwrap();
    assert_eq!(impact_rows(&store).await, 17);
    let impacts = impacts_of(&store).await;
    assert!(!impacts.is_behind(), "there is nothing to judge");
    assert!(impacts.reads_to_follow(&[]));
    drive_with(&store, Vec::new()).await;
    assert_eq!(impact_rows(&store).await, 16);
    assert!(!impacts_of(&store).await.reads_to_follow(&[]));
    agree(&store).await;
}

/// Where the timeline is empty, nothing is judged, but rows are still deleted.
#[tokio::test]
async fn the_last_deployment_leaves_no_impact() {
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let [timeline, _] = stored(&store).await;
    let removed = timeline.iter().map(|row| row[..2].to_vec()).collect();
    let change = DerivedChange { table: TIMELINE.to_owned(), upserts: Vec::new(), removed };
    let mut impacts = impacts_of(&store).await;
    let mut changes = vec![change];
    assert!(impacts.reads_to_follow(&changes));
    impacts.follow(&mut changes, store.reader().as_ref()).await.unwrap();
    store.commit(&Commit { derived: changes, ..sinks::compliance::commit_of(99, Rows::default()) }).await.unwrap();
    assert_eq!(stored(&store).await.map(|rows| rows.len()), [0, 0]);
    assert!(impacts.is_empty() && !impacts.reads_to_follow(&[]));
}

/// One at a time, a few at a time, and all at once.
#[tokio::test]
async fn the_length_of_a_batch_changes_no_impact() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let reader = store.reader();
    for most in [1, 3, usize::MAX] {
        let mut impacts = impacts_of(&store).await;
        let known: Vec<Known> = impacts.timeline.all().cloned().collect();
        for mut known in known {
            impacts.due.add(&known.line);
            rows::set_verdict(&mut known.row, None);
            impacts.timeline.insert(known);
        }
        let mut verdicts = Vec::new();
        while impacts.is_behind() {
            for change in impacts.judge(most, reader.as_ref()).await.unwrap() {
                assert_eq!(change.table, TIMELINE, "rows of metrics are stored already");
                verdicts.extend(change.upserts);
            }
        }
        verdicts.sort();
        assert_eq!(verdicts, stored(&store).await[0]);
    }
}

#[tokio::test]
async fn what_was_taken_out_is_due_again_if_it_cannot_be_judged() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let mut impacts = impacts_of(&store).await;
    let lines: Vec<Line> = impacts.timeline.all().map(|known| known.line.clone()).collect();
    lines.iter().for_each(|line| impacts.due.add(line));
    let before = due(&impacts);
    let first = impacts.due.take(3);
    assert_eq!((first.len(), impacts.due.len()), (3, lines.len() - 3));
    assert_eq!((&first[0], &first[1]), (&Id::of(&lines[0]), &Id::of(&lines[7])), "the oldest, then the newest");
    impacts.due.put_back(first);
    assert_eq!(due(&impacts), before);
    assert_eq!(impacts.due.take(usize::MAX).len(), lines.len());
    assert!(impacts.due.is_empty());
}
