//! Reading beside a writer: complete commits, many readers, and a clean end.

use super::rows::{START, event, finding};
use super::{Fixture, commit_of};
use crate::{Commit, Span, StoreReader, StoreWriter, pages};
use model::event::Event;
use model::position::Positions;
use model::rows::Rows;
use model::time::TimeMs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const TICKS: u64 = 12;
const EVENTS: u64 = 50;

/// Tick `tick`: its events, a pattern whose evidence grows by a row with each tick, and a position that names the tick.
fn commit(tick: u64) -> Commit {
    let first = tick * EVENTS;
    let events = (first..first + EVENTS).map(|n| event(&format!("e{n:05}"), n as i64 * 1_000)).collect();
    let ids: Vec<(String, String)> = (0..=tick).map(|n| (format!("a{n}"), format!("b{n}"))).collect();
    let pairs: Vec<(&str, &str)> = ids.iter().map(|(source, target)| (&**source, &**target)).collect();
    let position = Positions([("part".to_owned(), tick.to_string())].into());
    Commit {
        findings: vec![finding("grows", 0.5, &pairs)],
        positions: vec![("files".into(), position)],
        ..commit_of(tick, Rows { events, ..Rows::default() })
    }
}

/// The tick that the stored position names; how many have been committed.
async fn committed(reader: &dyn StoreReader) -> u64 {
    let positions = reader.positions().await.unwrap();
    positions.get("files").map_or(0, |positions| positions.0["part"].parse::<u64>().unwrap() + 1)
}

/// Reads until stopped; returns the number of reads.
async fn watch(reader: Arc<dyn StoreReader>, is_over: &AtomicBool) -> u64 {
    let (mut times, mut before) = (0, 0);
    while !is_over.load(Ordering::Relaxed) {
        let ticks = committed(reader.as_ref()).await;
        assert!(ticks >= before, "what was committed stays: {before} ticks, then {ticks}");
        let totals = reader.totals().await.unwrap();
        let events = totals.rows["federated_events"];
        assert!(events >= ticks * EVENTS, "positions never come before their rows: {ticks} ticks, {events} events");
        assert_eq!(events % EVENTS, 0, "rows of a commit are seen together");
        let correlations = reader.correlations().await.unwrap();
        assert!(ticks == 0 || correlations.len() == 1);
        if let Some(correlation) = correlations.first() {
            // read later, so it may be of a later tick; never of an earlier one, and never partial
            let evidence = reader.evidence(&correlation.key.correlation_id()).await.unwrap();
            assert!(evidence.len() as u32 >= correlation.occurrence_count, "a pattern comes with its evidence");
            assert!(evidence.iter().all(|row| row.weight == evidence[0].weight), "evidence of one commit");
        }
        (times, before) = (times + 1, ticks);
        tokio::task::yield_now().await;
    }
    times
}

pub(super) async fn readers_see_whole_commits_while_commits_continue<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let readers = [store.reader(), store.reader(), store.reader()];
    let is_over = AtomicBool::new(false);
    let write = async {
        for tick in 0..TICKS {
            store.commit(&commit(tick)).await.unwrap();
            let reader = store.reader();
            assert_eq!(committed(reader.as_ref()).await, tick + 1, "a commit that has ended is seen");
            tokio::task::yield_now().await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let [first, second, third] = readers.map(|reader| watch(reader, &is_over));
    let ((), first, second, third) = tokio::join!(write, first, second, third);
    assert!(first > 0 && second > 0 && third > 0, "all have read in the meantime: {first} {second} {third}");
    fixture.close(store).await;
}

pub(super) async fn pages_hold_what_was_stored_when_reading_began<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    for tick in 0..2 {
        store.commit(&commit(tick)).await.unwrap();
    }
    let reader = store.reader();
    let mut pages = pages::<Event>(&reader, Span::on_time_since(TimeMs(0)), 7);
    let (mut read, mut tick) = (Vec::new(), 2);
    while let Some(page) = pages.next().await.unwrap() {
        read.extend(page.into_iter().map(|stored| stored.row.event_id));
        if tick < TICKS {
            store.commit(&commit(tick)).await.unwrap();
            tick += 1;
        }
    }
    let expected: Vec<String> = (0..tick * EVENTS).map(|n| format!("e{n:05}")).collect();
    assert_eq!(read, expected, "each row once and in order; later rows lie after the page at hand");
    assert_eq!(pages.next().await.unwrap(), None, "the end stays the end");
    fixture.close(store).await;
}

pub(super) async fn many_readers_get_the_same_answer_at_once<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    store.commit(&commit(0)).await.unwrap();
    let reader = store.reader();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let reader = Arc::clone(&reader);
        tasks.spawn(async move {
            let events = reader.events_in(Span::on_time_since(START), None, 1_000).await.unwrap();
            (events.len() as u64, reader.totals().await.unwrap().rows["correlation_evidence"])
        });
    }
    for answer in tasks.join_all().await {
        assert_eq!(answer, (EVENTS, 1));
    }
    fixture.close(store).await;
}

pub(super) async fn a_reader_of_a_closed_store_says_so<F: Fixture>(fixture: &F) {
    for is_dropped in [false, true] {
        let mut store = fixture.open().await;
        store.commit(&commit(0)).await.unwrap();
        let reader = store.reader();
        assert_eq!(reader.correlations().await.unwrap().len(), 1);
        match is_dropped {
            true => drop(store),
            false => fixture.close(store).await,
        }
        let answers = [
            reader.positions().await.map(drop),
            reader.watermarks().await.map(drop),
            reader.events_in(Span::on_time_since(START), None, 1).await.map(drop),
            reader.metrics_in(Span::on_time_since(START), None, 1).await.map(drop),
            reader.count_in(Span::on_time_since(START)).await.map(drop),
            reader.correlations().await.map(drop),
            reader.published().await.map(drop),
            reader.evidence("c-0").await.map(drop),
            reader.colony_status().await.map(drop),
            reader.totals().await.map(drop),
        ];
        for answer in answers {
            let error = answer.unwrap_err();
            assert!(error.to_string().contains("closed") && error.doing.starts_with("cannot "), "{error}");
        }
    }
    // and nothing of the closed one is in the way of the next
    let store = fixture.open().await;
    assert_eq!(store.reader().correlations().await.unwrap().len(), 1);
    fixture.close(store).await;
}
