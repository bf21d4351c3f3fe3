//! Restore: after a restart the engine's windows are rebuilt from stored rows; there is no second checkpoint format.

use crate::clock::EventClock;
use crate::engine::{Engine, TickRows};
use crate::error::RunError;
use crate::memory::Memory;
use operators::dataflow::Params;
use sinks::Store;

/// Rows read back and fed at once.
const PAGE_ROWS: usize = 20_000;

/// Feeds the rows that can still matter (the operators say how far back that is) to a fresh engine.
pub async fn restore(
    store: &mut dyn Store,
    engine: &mut Engine,
    params: &Params,
    clock: &EventClock,
    memory: &Memory,
) -> Result<u64, RunError> {
    let mut restored = 0;
    if let Some(now) = clock.events_now() {
        let from = now - params.events.keep_ms();
        let mut after = None;
        loop {
            let page = store.events_since(from, after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            restored += page.len() as u64;
            engine.tick(TickRows { events: page, metrics: Vec::new() }, None).await?;
            memory.check()?;
        }
    }
    if let Some(now) = clock.metrics_now() {
        let from = now - params.metrics.keep_ms();
        let mut after = None;
        loop {
            let page = store.metrics_since(from, after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            restored += page.len() as u64;
            engine.tick(TickRows { events: Vec::new(), metrics: page }, None).await?;
            memory.check()?;
        }
    }
    Ok(restored)
}
