//! Restore: after a restart the engine's windows are rebuilt from stored rows; there is no second checkpoint format.

use crate::clock::EventClock;
use crate::engine::Engine;
use crate::error::RunError;
use crate::memory::Memory;
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;
use operators::dataflow::Params;
use sinks::{Span, StoreReader, pages};
use std::sync::Arc;

/// Rows read back and fed at once.
const PAGE_ROWS: usize = 20_000;

/// Feeds the rows that can still matter (as far back as the operators require) to a new engine.
pub async fn restore(
    reader: &Arc<dyn StoreReader>,
    engine: &mut Engine,
    params: &Params,
    clock: &EventClock,
    memory: &Memory,
) -> Result<u64, RunError> {
    let mut restored = 0;
    if let Some(now) = clock.events_now() {
        let mut pages = pages::<Event>(reader, Span::on_time_since(now - params.events.keep_ms()), PAGE_ROWS);
        while let Some(page) = pages.next().await? {
            restored += page.len() as u64;
            let events = page.into_iter().map(|stored| stored.row).collect();
            engine.tick(Rows { events, ..Rows::default() }.into(), None).await?;
            memory.check()?;
        }
    }
    if let Some(now) = clock.metrics_now() {
        let mut pages = pages::<MetricPoint>(reader, Span::on_time_since(now - params.metrics.keep_ms()), PAGE_ROWS);
        while let Some(page) = pages.next().await? {
            restored += page.len() as u64;
            let metrics = page.into_iter().map(|stored| stored.row).collect();
            engine.tick(Rows { metrics, ..Rows::default() }.into(), None).await?;
            memory.check()?;
        }
    }
    Ok(restored)
}
