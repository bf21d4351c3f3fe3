//! Sources learn which of their positions are stored: never before the commit, never of one that failed, and all in the end.

use super::*;

/// Counts as before, and notes what it hears; it fails when it hears of what is not stored.
struct Acknowledged {
    inner: Counting,
    store: MemoryStore,
    heard: Arc<Mutex<Vec<i64>>>,
    /// Never ends.
    is_live: bool,
}

#[async_trait]
impl Source for Acknowledged {
    fn name(&self) -> &str {
        "counting"
    }
    fn is_finite(&self) -> bool {
        !self.is_live
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        match self.inner.next_batch().await {
            Ok(None) if self.is_live => std::future::pending().await,
            next => next,
        }
    }
    fn is_acknowledged(&self) -> bool {
        true
    }
    fn committed(&mut self, positions: &Positions) {
        let heard = number(positions);
        let stored = self.store.tables().positions.get("counting").map_or(0, number);
        assert!(heard <= stored, "{heard} is told, and {stored} is stored");
        self.heard.lock().unwrap().push(heard);
    }
}

fn number(positions: &Positions) -> i64 {
    positions.0["all"].parse().unwrap()
}

/// What a source of so many rows hears over this store, and how its run ended.
async fn heard(store: Faulty, in_all: i64) -> (Vec<i64>, Result<RunSummary, RunError>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let inner = Counting { delivered: 0, in_all, panics_at: None, description_bytes: 0 };
    let source = Acknowledged { inner, store: store.inner.clone(), heard: Arc::clone(&heard), is_live: false };
    let (options, _controls) = options();
    let driven = drive(&config(), Box::new(store), vec![Box::new(source)], options).await;
    let heard = heard.lock().unwrap().clone();
    (heard, driven.map(|(summary, _)| summary))
}

#[tokio::test]
async fn a_source_hears_of_its_commits_in_order_and_of_the_last_one() {
    let (heard, ended) = heard(Faulty { fails_first: 2, ..Faulty::over(&MemoryStore::new()) }, 30).await;
    assert_eq!(ended.unwrap().progress.events, 30);
    assert!(heard.is_sorted() && heard.last() == Some(&30), "{heard:?}");
}

#[tokio::test]
async fn a_source_never_hears_of_a_commit_that_failed() {
    let (heard, ended) = heard(Faulty { refuses: Some(3), ..Faulty::over(&MemoryStore::new()) }, 30).await;
    assert!(matches!(ended, Err(RunError::Store(_))));
    assert!(heard.iter().all(|position| *position <= 3), "{heard:?}");
    let (never, ended) = self::heard(Faulty { refuses: Some(0), ..Faulty::over(&MemoryStore::new()) }, 30).await;
    assert!(ended.is_err() && never.is_empty(), "{never:?}");
}

/// Who pushes rows waits for the answer before it sends more: it hears while its `next_batch` waits, and of what a stop stores.
#[tokio::test]
async fn a_source_that_waits_hears_and_so_does_one_that_is_stopped() {
    let inner = MemoryStore::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let source = Acknowledged {
        inner: Counting { delivered: 0, in_all: 3, panics_at: None, description_bytes: 0 },
        store: inner.clone(),
        heard: Arc::clone(&heard),
        is_live: true,
    };
    let mut config = config();
    config.engine.tick_rows_max = 2;
    config.engine.tick_interval_ms = 600_000;
    let (options, mut controls) = options();
    let run = drive(&config, Box::new(Faulty::over(&inner)), vec![Box::new(source)], options);
    let stopping = async {
        while heard.lock().unwrap().last() != Some(&2) {
            tokio::task::yield_now().await;
        }
        controls.progress.wait_for(|progress| progress.events == 3).await.unwrap();
        controls.stop.send_replace(true);
    };
    let (ended, ()) = tokio::join!(run, stopping);
    assert_eq!(ended.unwrap().0.ended, Ended::Stopped);
    assert_eq!(*heard.lock().unwrap(), [2, 3], "the third row is stored by the stop");
}
