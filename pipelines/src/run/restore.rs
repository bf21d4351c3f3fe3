//! Restore: after a restart the engine's windows are rebuilt from stored rows; there is no second checkpoint format.

use super::derived_events::StoredDerivedEvents;
use super::foretold::StoredPredictions;
use super::timeline::{DeploymentEvents, StoredTimeline};
use crate::clock::EventClock;
use crate::engine::{Engine, TickRows};
use crate::error::RunError;
use crate::evaluated::{DERIVED_EVENTS, Evaluated};
use crate::memory::Memory;
use crate::metric_plan::MetricPlan;
use model::chunks::Metrics;
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;
use model::time::TimeMs;
use model::topology::ServiceEdge;
use operators::dataflow::Params;
use operators::deployments::Input;
use operators::derived_events::state::HISTORY_MS;
use operators::heard::Heard;
use sinks::{SinkError, Span, StoreReader, pages};
use std::collections::BTreeMap;
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
    /// The same of predictions.
    pub(crate) foretold: StoredPredictions,
    /// The derived events that were stored; the first evaluation corrects the newest of them.
    pub(crate) derived_events: StoredDerivedEvents,
}

/// Feeds the rows that can still matter (as far back as the operators require) to a new engine: all events about
/// deployments, other events and metric rows of the look-back, and what is known of deployments whose events are gone.
/// `newest` is the time of the newest metric of each colony; with `keeps_impacts` verdicts and impacts of deployments are
/// kept current.
pub(crate) async fn restore(
    reader: &Arc<dyn StoreReader>,
    engine: &mut Engine,
    (params, keeps_impacts): (&Params, bool),
    (clock, evaluated, newest): (&EventClock, &Evaluated, &BTreeMap<String, TimeMs>),
    (memory, plan): (&Memory, &mut MetricPlan),
) -> Result<Restored, RunError> {
    feed_calls(engine, calls(reader.as_ref()).await?).await?;
    let mut feed = Feed { engine, memory };
    // the metrics of a colony that has been silent for long are not read back
    let heard = Arc::new(newest.iter().map(|(colony_id, newest)| Heard::of(colony_id, *newest)).collect());
    feed.take(TickRows { heard, ..TickRows::default() }).await?;
    let mut restored = Restored {
        rows: 0,
        timeline: StoredTimeline::read(reader.as_ref(), keeps_impacts).await?,
        foretold: StoredPredictions::read(reader.as_ref(), &params.events, clock.events_now()).await?,
        derived_events: StoredDerivedEvents::default(),
    };
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
        let history = if params.derived_events { History::of(evaluated) } else { History::Known(now) };
        let since = metrics_since(history, now, params);
        let mut pages = pages::<MetricPoint>(reader, Span::on_time_since(since), PAGE_ROWS);
        while let Some(page) = pages.next().await? {
            restored.rows += page.len() as u64;
            let metrics: Metrics = page.into_iter().map(|stored| stored.row).collect();
            plan.take(&metrics)?;
            feed.take(Rows { metrics, ..Rows::default() }.into()).await?;
        }
        if params.derived_events {
            let is_known = matches!(history, History::Known(_));
            let events_from = clock.events_now().map(|now| now - params.events.keep_ms());
            let (stored, known) =
                StoredDerivedEvents::read(reader.as_ref(), is_known.then_some(since), events_from).await?;
            restored.derived_events = stored;
            let derived_events = Arc::new(known);
            feed.take(TickRows { derived_events, ..TickRows::default() }).await?;
        }
    }
    let facts = Arc::new(restored.timeline.facts(&reader.services().await?));
    feed.take(TickRows { facts, ..TickRows::default() }).await?;
    feed.end().await?;
    Ok(restored)
}

/// What earlier runs have made of metrics.
#[derive(Clone, Copy)]
enum History {
    /// Nothing: they ended before their first evaluation.
    None,
    /// Derived events as of then.
    Known(TimeMs),
    /// Patterns, and no derived events: those are looked for from now on.
    Begins,
}

/// From when on metric rows can matter.
///
/// What no evaluation has seen may be old: an import was interrupted, or derived events were switched off for long. Of
/// that only the derived events count that patterns still look at, and the history by which these are judged.
fn metrics_since(history: History, now: TimeMs, params: &Params) -> TimeMs {
    let keep_ms = params.metrics.keep_ms();
    let oldest = now - (params.events.keep_ms() + HISTORY_MS).max(keep_ms);
    match history {
        History::None => oldest,
        History::Known(at) => (at.min(now) - keep_ms).max(oldest),
        History::Begins => now - keep_ms,
    }
}

impl History {
    fn of(evaluated: &Evaluated) -> History {
        match (evaluated.at("metrics"), evaluated.at(DERIVED_EVENTS)) {
            (_, Some(at)) => History::Known(at),
            (Some(_), None) => History::Begins,
            (None, None) => History::None,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::DAY_MS;
    use operators::events::EventParams;
    use operators::metrics::MetricParams;

    #[test]
    fn metrics_are_read_back_as_far_as_they_can_matter() {
        let params = Params { events: EventParams::default(), metrics: MetricParams::default(), derived_events: true };
        let now = TimeMs(1_000 * DAY_MS);
        let days = |history: History| (now - metrics_since(history, now, &params)) / DAY_MS;
        assert_eq!(days(History::Begins), 12);
        assert_eq!(days(History::Known(now)), 12);
        assert_eq!(days(History::Known(now - 3 * DAY_MS)), 15);
        assert_eq!([History::None, History::Known(TimeMs(0))].map(days), [79, 79]);
    }
}
