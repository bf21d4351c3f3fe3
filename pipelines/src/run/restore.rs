//! Restore: after a restart the engine's windows are rebuilt from stored rows; there is no second checkpoint format.

use super::timeline::{DeploymentEvents, StoredTimeline};
use crate::clock::EventClock;
use crate::engine::{Engine, TickRows};
use crate::error::RunError;
use crate::memory::Memory;
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;
use operators::dataflow::Params;
use operators::deployments::Input;
use sinks::{Span, StoreReader, pages};
use std::sync::Arc;

/// Rows read back and fed at once.
const PAGE_ROWS: usize = 20_000;

/// What a restart has made of stored rows.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Rows that were read back.
    pub(crate) rows: u64,
    /// The deployments that were stored; the first evaluation corrects them.
    pub(crate) timeline: StoredTimeline,
}

/// Feeds the rows that can still matter (as far back as the operators require) to a new engine.
pub(crate) async fn restore(
    reader: &Arc<dyn StoreReader>,
    engine: &mut Engine,
    params: &Params,
    clock: &EventClock,
    memory: &Memory,
) -> Result<Restored, RunError> {
    let timeline = deployments(reader.as_ref(), engine, memory).await?;
    let mut restored = Restored { rows: 0, timeline };
    if let Some(now) = clock.events_now() {
        let mut pages = pages::<Event>(reader, Span::on_time_since(now - params.events.keep_ms()), PAGE_ROWS);
        while let Some(page) = pages.next().await? {
            restored.rows += page.len() as u64;
            let events = page.into_iter().map(|stored| stored.row).collect();
            engine.tick(Rows { events, ..Rows::default() }.into(), None).await?;
            memory.check()?;
        }
    }
    if let Some(now) = clock.metrics_now() {
        let mut pages = pages::<MetricPoint>(reader, Span::on_time_since(now - params.metrics.keep_ms()), PAGE_ROWS);
        while let Some(page) = pages.next().await? {
            restored.rows += page.len() as u64;
            let metrics = page.into_iter().map(|stored| stored.row).collect();
            engine.tick(Rows { metrics, ..Rows::default() }.into(), None).await?;
            memory.check()?;
        }
    }
    Ok(restored)
}

/// Feeds all events about deployments, and what is known of deployments whose events are gone.
async fn deployments(
    reader: &dyn StoreReader,
    engine: &mut Engine,
    memory: &Memory,
) -> Result<StoredTimeline, RunError> {
    let mut timeline = StoredTimeline::read(reader).await?;
    let mut events = DeploymentEvents::of(reader).await?;
    loop {
        let page = events.next(reader).await?;
        if page.is_empty() {
            break;
        }
        timeline.note(&page);
        let facts = Arc::new(page.into_iter().map(Input::Event).collect());
        engine.tick(TickRows { facts, ..TickRows::default() }, None).await?;
        memory.check()?;
    }
    let facts = Arc::new(timeline.facts(&reader.services().await?));
    engine.tick(TickRows { facts, ..TickRows::default() }, None).await?;
    Ok(timeline)
}
