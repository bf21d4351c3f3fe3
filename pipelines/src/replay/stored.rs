//! Stored: recorded rows of a store as sources, page by page in time order.

use crate::config::ReefConfig;
use crate::replay::kafka::Fixed;
use crate::replay::ledger::Entry;
use crate::replay::{Recording, ReplayError, TimeRange};
use async_trait::async_trait;
use model::clock::SharedClock;
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::position::Positions;
use model::series::{Series, SeriesId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sinks::{Paged, Pages, SinkError, Span, StoreReader, pages};
use sources::{Batch, Source, SourceError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Rows read at once from each table.
const PAGE_ROWS: usize = 10_000;
/// Rows of a batch.
const BATCH_ROWS: usize = 2_000;
/// Name of the source, which is part of the names of its positions.
const STORED: &str = "stored";

/// The part of its positions that counts the rows before them, for progress.
const ROWS: &str = "rows";

/// The sources of a recording, each at the position of `entry`. `reader` reads the reef's own store; `fixed` determines
/// which records of the topics are read.
///
/// # Errors
/// When the recording cannot be opened, or the reef has none of this kind.
pub(crate) async fn recorded_sources(
    config: &ReefConfig,
    recording: Recording,
    reader: Option<&Arc<dyn StoreReader>>,
    entry: &Entry,
    fixed: &Fixed,
    clock: &SharedClock,
) -> Result<Vec<Box<dyn Source>>, ReplayError> {
    match (recording, reader) {
        (Recording::Stored, Some(reader)) => {
            let source = StoredRows::open(Arc::clone(reader), entry.range(), &entry.of_source(STORED)).await?;
            Ok(vec![Box::new(source)])
        }
        (Recording::Stored, None) => Ok(Vec::new()),
        (Recording::Kafka, _) => fixed.sources(config, entry, clock),
    }
}

/// The rows of a store within a range, late ones too: events and metric buckets in one order of time.
pub struct StoredRows {
    events: Lane<Event>,
    metrics: Lane<MetricPoint>,
    rows_done: u64,
    rows_in_all: u64,
}

/// One table, read ahead by a page.
struct Lane<R> {
    page: VecDeque<R>,
    pages: Pages<R>,
    is_read: bool,
}

/// A row that is identified by its position in the order of pages.
trait Placed: Sized {
    const PART: &'static str;
    fn place(&self) -> String;
    /// A row at this place; the rest of it is empty.
    fn at(place: &str) -> Option<Self>;
}

impl StoredRows {
    /// The rows of `range`, from `positions` on. Both tables are counted, for progress.
    ///
    /// # Errors
    /// Those of the store, and a position that this program did not write.
    pub async fn open(
        reader: Arc<dyn StoreReader>,
        range: TimeRange,
        positions: &Positions,
    ) -> Result<StoredRows, ReplayError> {
        let span = Span { from: range.from, to: Some(range.to), with_late: true };
        let events = Lane::after(positions, pages(&reader, span, PAGE_ROWS))?;
        let metrics = Lane::after(positions, pages(&reader, span, PAGE_ROWS))?;
        let (all_events, all_metrics) = reader.count_in(span).await?;
        let rows_done = positions.0.get(ROWS).and_then(|rows| rows.parse().ok()).unwrap_or(0);
        Ok(StoredRows { events, metrics, rows_done, rows_in_all: all_events + all_metrics })
    }

    async fn fill(&mut self) -> Result<(), SinkError> {
        self.events.fill().await?;
        self.metrics.fill().await
    }
}

#[async_trait]
impl Source for StoredRows {
    fn name(&self) -> &str {
        STORED
    }

    fn is_finite(&self) -> bool {
        true
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        self.fill().await.map_err(|cause| SourceError::Recorded { cause: Box::new(cause) })?;
        let mut batch = Batch::default();
        // the earlier one, until a batch is full or a table needs its next page
        while batch.rows.len() < BATCH_ROWS && !self.events.is_starved() && !self.metrics.is_starved() {
            let (event, bucket) = (self.events.page.front(), self.metrics.page.front());
            let event_first = match (event, bucket) {
                (Some(event), Some(bucket)) => event.timestamp <= bucket.timestamp,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if event_first {
                batch.rows.events.extend(self.events.page.pop_front());
            } else {
                batch.rows.metrics.extend(self.metrics.page.pop_front());
            }
        }
        if batch.rows.is_empty() {
            return Ok(None);
        }
        self.rows_done += batch.rows.len() as u64;
        let places = [
            (Event::PART, batch.rows.events.last().map(Placed::place)),
            (MetricPoint::PART, batch.rows.metrics.last().map(|row| row.place())),
        ];
        batch.positions.0.insert(ROWS.to_owned(), self.rows_done.to_string());
        batch.positions.0.extend(places.into_iter().filter_map(|(part, place)| Some((part.to_owned(), place?))));
        Ok(Some(batch))
    }

    fn progress_rows(&self) -> Option<(u64, u64)> {
        Some((self.rows_done.min(self.rows_in_all), self.rows_in_all))
    }
}

impl<R: Placed + Paged> Lane<R> {
    /// The rows of `pages` after the committed position.
    fn after(positions: &Positions, pages: Pages<R>) -> Result<Lane<R>, ReplayError> {
        let read_to = positions
            .0
            .get(R::PART)
            .map(|place| R::at(place).ok_or_else(|| ReplayError::Position { part: R::PART, position: place.clone() }));
        Ok(Lane { page: VecDeque::new(), pages: pages.after(read_to.transpose()?), is_read: false })
    }

    /// Whether the next row is not known.
    fn is_starved(&self) -> bool {
        self.page.is_empty() && !self.is_read
    }

    async fn fill(&mut self) -> Result<(), SinkError> {
        if self.is_starved() {
            match self.pages.next().await? {
                Some(page) => self.page.extend(page.into_iter().map(|stored| stored.row)),
                None => self.is_read = true,
            }
        }
        Ok(())
    }
}

impl Placed for Event {
    const PART: &'static str = "events";

    fn place(&self) -> String {
        written(&(self.timestamp, &self.colony_id, &self.event_id))
    }

    fn at(place: &str) -> Option<Event> {
        let (timestamp, colony_id, event_id) = read(place)?;
        Some(Event {
            colony_id,
            event_id,
            version: 0,
            withdrawn: false,
            application_name: String::new(),
            environment: String::new(),
            timestamp,
            event_type: String::new(),
            service_id: String::new(),
            severity: Severity::default(),
            description: String::new(),
            metadata: BTreeMap::new(),
        })
    }
}

impl Placed for MetricPoint {
    const PART: &'static str = "metrics";

    fn place(&self) -> String {
        let Series { key, interval_seconds, application_name, environment } = self.series.series();
        written(&(self.timestamp, key, interval_seconds, application_name, environment))
    }

    fn at(place: &str) -> Option<MetricPoint> {
        let (timestamp, key, interval_seconds, application_name, environment) = read(place)?;
        let series = Series { key, interval_seconds, application_name, environment };
        Some(MetricPoint { series: SeriesId::of(series.names()), timestamp, ..MetricPoint::default() })
    }
}

/// JSON: ids may hold any character.
fn written(place: &impl Serialize) -> String {
    serde_json::to_string(place).unwrap_or_default()
}

fn read<T: DeserializeOwned>(place: &str) -> Option<T> {
    serde_json::from_str(place).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::rows::Rows;
    use model::time::{MINUTE_MS, TimeMs};
    use sinks::compliance::commit_of;
    use sinks::compliance::rows::{START, bucket, event};
    use sinks::memory::MemoryStore;
    use sinks::{Commit, StoreWriter};
    use sources::compliance::{Harness, Scenario, check, next};

    struct Over(MemoryStore, TimeRange);

    #[async_trait]
    impl Harness for Over {
        async fn build(&self, positions: &Positions) -> Box<dyn Source> {
            Box::new(StoredRows::open(self.0.reader(), self.1, positions).await.unwrap())
        }
    }

    /// Events and buckets side by side, several in one millisecond, some of them late, with odd names.
    async fn store() -> MemoryStore {
        let events = (0..2_500).map(|i| event(&format!("e\"/..{i}"), i / 3 * MINUTE_MS)).collect();
        let metrics = (0..3_000).map(|i| bucket(&format!("svc {}", i % 4), i / 4 * MINUTE_MS)).collect();
        let late = Rows { events: vec![event("late", MINUTE_MS)], ..Rows::default() };
        let mut store = MemoryStore::new();
        let rows = Rows { events, metrics, ..Rows::default() };
        store.commit(&Commit { late: late.into(), ..commit_of(1, rows) }).await.unwrap();
        store
    }

    fn minutes(from: i64, to: i64) -> TimeRange {
        TimeRange { from: START + from * MINUTE_MS, to: START + to * MINUTE_MS }
    }

    #[tokio::test]
    async fn it_keeps_the_contract_of_a_source() {
        let scenario = Scenario { rows: 5_501, rejects: 0, can_fail: false };
        check(&Over(store().await, minutes(0, 10_000)), &scenario).await;
    }

    #[tokio::test]
    async fn rows_of_the_range_come_in_the_order_of_time_and_are_counted() {
        let over = Over(store().await, minutes(1, 700));
        let mut source = over.build(&Positions::default()).await;
        let (mut last, mut rows, mut done) = (START, 0, 0);
        while let Some(batch) = next(source.as_mut()).await {
            let times = batch.rows.events.iter().map(|row| row.timestamp);
            let times: Vec<TimeMs> = times.chain(batch.rows.metrics.iter().map(|row| row.timestamp)).collect();
            assert!(times.iter().all(|time| *time >= last), "batches follow one another in time");
            last = times.iter().copied().max().unwrap();
            rows += times.len() as u64;
            assert!(times.len() <= BATCH_ROWS);
            let (now_done, in_all) = source.progress_rows().unwrap();
            assert!(now_done > done && now_done <= in_all);
            (done, _) = (now_done, in_all);
        }
        assert_eq!((rows, source.progress_rows()), (699 * 7 + 1, Some((rows, rows))));
        assert_eq!(last, START + 699 * MINUTE_MS, "the end is exclusive");
    }

    #[tokio::test]
    async fn a_position_of_another_program_is_refused() {
        let positions = Positions(BTreeMap::from([("events".to_owned(), "17".to_owned())]));
        let opened = StoredRows::open(MemoryStore::new().reader(), minutes(0, 1), &positions).await;
        let error = opened.err().unwrap().to_string();
        assert!(error.contains("\"17\""), "{error}");
    }
}
