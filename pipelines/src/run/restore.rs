//! Restore: after a restart the engine's windows are rebuilt from stored rows; there is no second checkpoint format.

use super::timeline::{DeploymentEvents, StoredTimeline};
use crate::clock::EventClock;
use crate::engine::{Engine, TickRows};
use crate::error::RunError;
use crate::memory::Memory;
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;
use model::topology::ServiceEdge;
use operators::dataflow::Params;
use operators::deployments::Input;
use sinks::{SinkError, Span, StoreReader, pages};
use std::sync::Arc;

/// Rows read back and fed at once. Two such pages are in memory: one that is read, one that is fed.
const PAGE_ROWS: usize = 10_000;

/// What a restart has made of stored rows.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Rows that were read back.
    pub(crate) rows: u64,
    /// The deployments that were stored; the first evaluation corrects them.
    pub(crate) timeline: StoredTimeline,
}

/// Feeds the rows that can still matter (as far back as the operators require) to a new engine: all events about
/// deployments, other events and metric rows of the look-back, and what is known of deployments whose events are gone.
pub(crate) async fn restore(
    reader: &Arc<dyn StoreReader>,
    engine: &mut Engine,
    params: &Params,
    clock: &EventClock,
    memory: &Memory,
) -> Result<Restored, RunError> {
    feed_calls(engine, calls(reader.as_ref()).await?).await?;
    let mut feed = Feed { engine, memory };
    let mut restored = Restored { rows: 0, timeline: StoredTimeline::read(reader.as_ref()).await? };
    let since = clock.events_now().map(|now| now - params.events.keep_ms());
    let mut older = DeploymentEvents::of(reader.as_ref(), since).await?;
    loop {
        let page = older.next(reader.as_ref()).await?;
        if page.is_empty() {
            break;
        }
        restored.timeline.note(&page);
        let facts = Arc::new(page.into_iter().map(Input::Event).collect());
        feed.take(TickRows { facts, ..TickRows::default() }).await?;
    }
    if let Some(since) = since {
        let mut pages = pages::<Event>(reader, Span::on_time_since(since), PAGE_ROWS);
        while let Some(page) = pages.next().await? {
            restored.rows += page.len() as u64;
            let events: Vec<Event> = page.into_iter().map(|stored| stored.row).collect();
            restored.timeline.note(&events);
            feed.take(Rows { events, ..Rows::default() }.into()).await?;
        }
    }
    if let Some(now) = clock.metrics_now() {
        let mut pages = pages::<MetricPoint>(reader, Span::on_time_since(now - params.metrics.keep_ms()), PAGE_ROWS);
        while let Some(page) = pages.next().await? {
            restored.rows += page.len() as u64;
            let metrics = page.into_iter().map(|stored| stored.row).collect();
            feed.take(Rows { metrics, ..Rows::default() }.into()).await?;
        }
    }
    let facts = Arc::new(restored.timeline.facts(&reader.services().await?));
    feed.take(TickRows { facts, ..TickRows::default() }).await?;
    feed.end().await?;
    Ok(restored)
}

/// The engine and what it is fed: while it works on a page the next one is read.
struct Feed<'a> {
    engine: &'a mut Engine,
    memory: &'a Memory,
}

impl Feed<'_> {
    async fn take(&mut self, rows: TickRows) -> Result<(), RunError> {
        self.end().await?;
        self.engine.submit(rows, None, 0)?;
        Ok(self.memory.check()?)
    }

    /// Waits until the engine has taken everything.
    async fn end(&mut self) -> Result<(), RunError> {
        while self.engine.answer().await?.is_some() {}
        Ok(())
    }
}

/// The calls between services that a store knows, as they were last seen.
pub(crate) async fn calls(reader: &dyn StoreReader) -> Result<Vec<ServiceEdge>, SinkError> {
    Ok(reader.calls().await?.into_iter().map(|call| call.latest).collect())
}

/// Feeds calls between services. They are not written: they are stored already, or belong to another store.
pub(crate) async fn feed_calls(engine: &mut Engine, edges: Vec<ServiceEdge>) -> Result<(), RunError> {
    if !edges.is_empty() {
        engine.tick(Rows { edges, ..Rows::default() }.into(), None).await?;
    }
    Ok(())
}
