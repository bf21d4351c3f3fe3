//! Rows that are refused count towards the bounds of a tick, so that a signal is followed among them as among good ones.

use super::*;
use model::reject::{Reject, RejectReason};

/// Rows of one batch.
const AT_ONCE: i64 = 10;

/// Batches of refused rows and of nothing else, as fast as they are taken; its position is their number.
struct Refusing {
    delivered: i64,
    in_all: i64,
}

#[async_trait]
impl Source for Refusing {
    fn name(&self) -> &str {
        "refusing"
    }
    fn is_finite(&self) -> bool {
        true
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        if self.delivered == self.in_all {
            return Ok(None);
        }
        let rejects = (0..AT_ONCE).map(|row| reject(self.delivered * AT_ONCE + row)).collect();
        self.delivered += 1;
        let positions = Positions([("all".to_owned(), self.delivered.to_string())].into());
        Ok(Some(Batch { rejects, positions, ..Batch::default() }))
    }
}

fn reject(number: i64) -> Reject {
    Reject {
        source: "refusing".to_owned(),
        place: format!("all:{number}"),
        colony_id: None,
        reason: RejectReason::Malformed,
        detail: "no record".to_owned(),
        raw: String::new(),
        rejected_at: TimeMs(0),
    }
}

/// A run whose ticks hold two batches, and last as long as they are not full.
async fn ended(store: Faulty, in_all: i64, shutdown: watch::Receiver<bool>) -> RunSummary {
    let mut config = config();
    config.engine.tick_rows_max = 20;
    config.engine.tick_interval_ms = 600_000;
    let options = RunOptions { shutdown, ..options().0 };
    let source = Refusing { delivered: 0, in_all };
    drive(&config, Box::new(store), vec![Box::new(source)], options).await.unwrap().0
}

#[tokio::test]
async fn refused_rows_fill_a_tick() {
    let (_stop, shutdown) = watch::channel(false);
    let inner = MemoryStore::new();
    let summary = ended(Faulty::over(&inner), 30, shutdown).await;
    assert_eq!((summary.ended, summary.progress.rejects), (Ended::InputFinished, 300));
    assert!(summary.progress.ticks >= 15, "300 rows in ticks of at most 20: {}", summary.progress.ticks);
    let tables = inner.tables();
    assert_eq!((tables.rejects.len(), tables.positions["refusing"].0["all"].as_str()), (300, "30"));
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_among_refused_rows_leaves_the_rest_to_the_next_one() {
    let (stop, shutdown) = watch::channel(false);
    let inner = MemoryStore::new();
    let store = Faulty { stop: Some(stop), ..Faulty::over(&inner) };
    let summary = ended(store, 100_000, shutdown).await;
    assert_eq!(summary.ended, Ended::Stopped);
    let tables = inner.tables();
    let rows = tables.rejects.len() as i64;
    assert!((1..=60).contains(&rows), "{rows} rows were taken after the stop");
    assert_eq!(tables.positions["refusing"].0["all"], (rows / AT_ONCE).to_string(), "no row without its position");
}
