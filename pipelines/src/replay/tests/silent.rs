//! Time that passed without rows passes again in a backfill, and in a replay into another store.

use super::*;

/// These batches.
struct Delivered(VecDeque<Batch>);

#[async_trait]
impl Source for Delivered {
    fn name(&self) -> &str {
        "delivered"
    }
    fn is_finite(&self) -> bool {
        true
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        Ok(self.0.pop_front())
    }
}

/// Events of 24 days, a last deploy that nothing follows, and `silence` of both colonies after it.
async fn record_with(config: &ReefConfig, silence: &[Batch]) {
    let mut events = days(0..24).events;
    events.push(event("shop", "deploy", 48, START + 24 * DAY_MS));
    let rows = Batch { rows: Rows { events, ..Rows::default() }, ..Batch::default() };
    let batches: VecDeque<Batch> = std::iter::once(rows).chain(silence.iter().cloned()).collect();
    let store = store::open(config).await.unwrap();
    let (options, _controls) = options();
    let (_, store) = drive(config, store, vec![Box::new(Delivered(batches))], options).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn time_that_passed_without_rows_passes_again() {
    let folder = tempfile::tempdir().unwrap();
    let read_to = START + 24 * DAY_MS + 20 * HOUR_MS;
    let silence = ["shop-production", "pay-production"]
        .map(|colony_id| Batch { observed_to: Some((colony_id.to_owned(), read_to)), ..Batch::default() });
    let (live, unread) = (config(folder.path(), "live"), config(folder.path(), "unread"));
    record_with(&live, &silence).await;
    record_with(&unread, &[]).await;
    let expected = state(&live).await;
    let open = |patterns: &[Correlation]| patterns.iter().map(|pattern| pattern.open_count).sum::<u32>();
    assert!(open(&expected.0) == 0 && open(&state(&unread).await.0) > 0, "the last deploy has had its time");

    replayed(&live, &request(Task::Backfill)).await;
    assert_eq!(state(&live).await, expected);
    let into = folder.path().join("into.duckdb");
    let outcome = replayed(&live, &Request { into: Some(into.clone()), ..request(Task::Replay) }).await;
    assert_eq!(outcome.after, expected.0);
    assert_eq!(state(&targets::config_of(&live, &into)).await, expected);
    // of a range that ends before, no later silence is known
    let end = START + 24 * DAY_MS + HOUR_MS;
    let range = TimeRange { from: START, to: end };
    let words = (START.to_string(), end.to_string());
    let early = folder.path().join("early.duckdb");
    let outcome = replayed(&live, &Request { range, words, into: Some(early), ..request(Task::Replay) }).await;
    assert!(open(&outcome.after) > 0);
}
