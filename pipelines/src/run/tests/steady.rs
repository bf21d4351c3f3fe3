//! What a live run writes of metric pairs: nothing in a minute in which no verdict changes; and what it ends with is what
//! a run over everything and a run that was stopped in between end with. More series than fit are refused.

use super::*;
use model::pattern::{Correlation, PatternState};
use std::collections::VecDeque;
use std::time::Duration;

/// A midnight.
const START: TimeMs = TimeMs(1_731_456_000_000);
/// Minutes of the history; it ends within an hour.
const FIRST: i64 = 24 * 60 + 2 * 60 + 11;
const MINUTES: i64 = FIRST + 4;

/// A store in memory that notes how many correlations each commit changes.
struct Noting {
    inner: MemoryStore,
    changed: Arc<Mutex<Vec<usize>>>,
}

#[async_trait]
impl StoreWriter for Noting {
    fn reader(&self) -> Arc<dyn StoreReader> {
        self.inner.reader()
    }
    async fn commit(&mut self, commit: &Commit) -> Result<sinks::Outcome, SinkError> {
        self.changed.lock().unwrap().push(commit.findings.len() + commit.removed.len());
        self.inner.commit(commit).await
    }
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        self.inner.newer_events(events).await
    }
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Each batch once what the engine says of the one before it is stored; until then one event again and again, so that
/// there are commits.
struct Answered {
    store: MemoryStore,
    batches: VecDeque<(TimeMs, Rows)>,
    last: Option<TimeMs>,
}

impl Answered {
    fn is_answered(&self) -> bool {
        let tables = self.store.tables();
        let evaluated = tables.positions.get(EVALUATED_NAME).and_then(|at| at.0.get("metrics"));
        self.last.is_none_or(|last| evaluated == Some(&last.to_string()))
    }
}

#[async_trait]
impl Source for Answered {
    fn name(&self) -> &str {
        "answered"
    }
    fn is_finite(&self) -> bool {
        true
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        if !self.is_answered() {
            // the engine needs the processors
            tokio::time::sleep(Duration::from_millis(1)).await;
            let rows = Rows { events: vec![event(1)], ..Rows::default() };
            return Ok(Some(Batch { rows, ..Batch::default() }));
        }
        let Some((at, rows)) = self.batches.pop_front() else { return Ok(None) };
        self.last = Some(at);
        let positions = Positions([("left".to_owned(), self.batches.len().to_string())].into());
        Ok(Some(Batch { rows, positions, ..Batch::default() }))
    }
}

fn at(minute: i64) -> TimeMs {
    START + minute * MINUTE_MS
}

/// Noise, and nearly the same three minutes later elsewhere.
fn minutes(wanted: std::ops::Range<i64>) -> Rows {
    let mut random = fixtures::random::Random(5);
    let mut rows = Rows::default();
    let driver: Vec<f64> = (0..MINUTES + 3).map(|_| random.normal(50.0, 10.0)).collect();
    for minute in 0..MINUTES {
        let values =
            [driver[minute as usize + 3] + random.normal(0.0, 1.0), driver[minute as usize] + random.normal(0.0, 1.0)];
        for (colony, value) in ["shop-staging", "shop-production"].into_iter().zip(values) {
            let series = SeriesRef { interval_seconds: Some(60), ..fixtures::series(colony, "api", "queue_length") };
            if wanted.contains(&minute) {
                rows.metrics.extend([fixtures::point(series, at(minute), value)]);
            }
        }
    }
    rows
}

fn settings() -> ReefConfig {
    let text = "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n[engine]\nworkers = 2\n\
                [correlation]\nmetric_window = \"4h\"\nmax_lag = \"20m\"\n";
    parse(text, Format::Toml, Path::new("reef.toml")).unwrap()
}

/// Live over these batches; returns how many correlations each commit changed.
async fn live(store: &MemoryStore, batches: Vec<(TimeMs, Rows)>) -> Vec<usize> {
    let (options, _controls) = options();
    let changed = Arc::new(Mutex::new(Vec::new()));
    let writer = Noting { inner: store.clone(), changed: Arc::clone(&changed) };
    let source = Answered { store: store.clone(), batches: batches.into(), last: None };
    drive(&settings(), Box::new(writer), vec![Box::new(source)], options).await.unwrap();
    let changed = changed.lock().unwrap();
    changed.clone()
}

async fn stored(store: &MemoryStore) -> Vec<Correlation> {
    store.reader().correlations().await.unwrap()
}

fn each(minutes_of: std::ops::Range<i64>) -> impl Iterator<Item = (TimeMs, Rows)> {
    minutes_of.map(|minute| (at(minute), minutes(minute..minute + 1)))
}

#[tokio::test]
async fn minutes_that_change_no_verdict_write_no_correlation_and_end_as_a_run_over_everything() {
    let by_minute = MemoryStore::new();
    let first = (at(FIRST - 1), minutes(0..FIRST));
    let changed = live(&by_minute, std::iter::once(first).chain(each(FIRST..MINUTES)).collect()).await;
    let expected = stored(&by_minute).await;
    assert!(expected.iter().any(|row| row.state == PatternState::Confirmed && row.lag_seconds == 180), "{expected:#?}");
    // the first evaluation lists them; after it four minutes were evaluated and stored, each by itself
    let writing: Vec<usize> = changed.iter().copied().filter(|changed| *changed > 0).collect();
    assert_eq!(writing, [expected.len()], "{changed:?}");
    assert!(changed.len() > 4, "{changed:?}");

    let at_once = MemoryStore::new();
    live(&at_once, vec![(at(MINUTES - 1), minutes(0..MINUTES))]).await;
    assert_eq!(stored(&at_once).await, expected);

    let restarted = MemoryStore::new();
    live(&restarted, vec![(at(FIRST - 1), minutes(0..FIRST))]).await;
    live(&restarted, each(FIRST..MINUTES).collect()).await;
    assert_eq!(stored(&restarted).await, expected);
}

/// A row of each of so many series.
fn series(numbers: std::ops::Range<usize>) -> Rows {
    let point = |number: usize| {
        let metric = format!("gauge_{number}");
        let series = SeriesRef { interval_seconds: Some(60), ..fixtures::series("shop-staging", "api", &metric) };
        fixtures::point(series, START, 1.0)
    };
    Rows { metrics: numbers.map(point).collect(), ..Rows::default() }
}

/// Batches of a source that could have more.
struct Endless(Batches);

#[async_trait]
impl Source for Endless {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn is_finite(&self) -> bool {
        false
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        self.0.next_batch().await
    }
}

#[tokio::test]
async fn more_series_than_fit_are_refused_and_what_came_before_is_stored() {
    let mut config = settings();
    // more than all tests of this process use
    config.engine.memory_limit_bytes = Some(4 << 30);
    config.engine.tick_rows_max = 1;
    let store = MemoryStore::new();
    let batches = [series(0..10), series(10..30_000)];
    let source = Endless(Batches(batches.into()));
    let (options, _controls) = options();
    let driven = drive(&config, Box::new(store.clone()), vec![Box::new(source)], options).await;
    let error = driven.map(|(summary, _)| summary).unwrap_err();
    let RunError::Series(refused) = &error else { panic!("{error:?}") };
    assert_eq!(refused.series, 30_000);
    assert!((10..30_000).contains(&refused.fits), "{error}");
    assert_eq!(store.tables().metrics.len(), 10, "the rows before, and no other");
}
