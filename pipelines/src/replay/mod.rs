//! Replay: the same loop over recorded rows: into the live store (repair), into another one, or as a what-if that
//! stores nothing.
//!
//! | file | owns |
//! |---|---|
//! | `request` | the request: task, range, recording, target |
//! | `planned` | what it would read and write, without doing it |
//! | `error` | why a replay cannot be done |
//! | `stored` | the rows of a store as a source, page by page in the order of time |
//! | `kafka` | what of the topics a replay reads, the same in each pass |
//! | `in_range` | filters a recorded source by the range |
//! | `ledger` | the positions of a replay under its own name; what an identical call resumes |
//! | `passes` | one or two runs of the loop, shown as one |
//! | `targets` | which store a replay writes, and that it is the right one |
//!
//! A replay is finite input, so none of its rows is late: rows that a live run only stored become part of the patterns.
//! This repairs late rows. A backfill is a replay of stored rows into their own store.

use crate::clock::EventClock;
use crate::config::ReefConfig;
use crate::memory::Memory;
use crate::open::params;
use crate::open::store;
use crate::progress::{Ended, RunSummary};
use crate::replay::kafka::Fixed;
use crate::run::RunOptions;
pub use error::ReplayError;
use ledger::Entry;
use model::pattern::Correlation;
use model::time::TimeMs;
use passes::{Passes, Run};
pub use planned::{Planned, PlannedRows, planned};
pub use request::{Recording, Request, RequestedTime, Task, TimeRange};
use sinks::findings::FindingsStore;
use sinks::{SinkError, Span, StoreReader, StoreWriter, Watermarks};
use std::path::Path;
use std::sync::Arc;

mod error;
mod in_range;
mod kafka;
pub mod ledger;
mod passes;
mod planned;
mod request;
mod stored;
mod targets;
#[cfg(test)]
mod tests;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The range; of a resumed replay its own.
    pub range: TimeRange,
    /// Whether it resumes an earlier call.
    pub is_resumed: bool,
    /// Whether all rows went through.
    pub ended: Ended,
    /// Rows of the recording in the range, if countable.
    pub rows_in_range: Option<u64>,
    /// Rows read that lie outside the range.
    pub rows_outside: u64,
    /// Rows of the live store that were late and now are on time.
    pub repaired: u64,
    /// The run that wrote, or that had the changed settings; none when the range is empty.
    pub summary: Option<RunSummary>,
    /// Patterns to compare with: live ones, or those of the reef's settings. None if the live store cannot be read.
    pub before: Option<Vec<Correlation>>,
    /// Patterns afterwards.
    pub after: Vec<Correlation>,
    /// First and last time of the stored rows.
    pub reach: Option<(TimeMs, TimeMs)>,
    /// Rows before this time can no longer change the live patterns.
    pub looks_back_to: Option<TimeMs>,
    /// Rows that the other store had before.
    pub into_rows_before: u64,
}

/// Does what `request` says. `options.progress` shows all passes as one; a shutdown ends it after a commit.
///
/// # Errors
/// Nothing is written when the request itself cannot be met; otherwise everything up to the last tick is stored.
pub async fn replay(config: &ReefConfig, request: &Request, options: RunOptions) -> Result<Outcome, ReplayError> {
    targets::check(config, request)?;
    let config = &without_colonies(config);
    match (&request.what_if, &request.into) {
        (None, None) => repair(config, request, options).await,
        (None, Some(path)) => beside(&with_half_the_memory(config), request, path, options).await,
        (Some(changed), None) => what_if((config, &without_colonies(changed)), request, None, options).await,
        (Some(changed), Some(path)) => {
            let changed = with_half_the_memory(&without_colonies(changed));
            what_if((&with_half_the_memory(config), &changed), request, Some(path), options).await
        }
    }
}

/// No colony is dialled, and none is waited for.
fn without_colonies(config: &ReefConfig) -> ReefConfig {
    ReefConfig { colonies: Vec::new(), ..config.clone() }
}

/// Where two files are open at a time, each gets half of the memory.
fn with_half_the_memory(config: &ReefConfig) -> ReefConfig {
    let mut config = config.clone();
    config.engine.memory_limit_bytes = Some(Memory::of(config.engine.memory_limit_bytes).limit_bytes / 2);
    config
}

/// The replay as `target` knows it, and what of the recording all passes over it read.
async fn fixed(
    config: &ReefConfig,
    request: &Request,
    target: &dyn StoreReader,
    options: &RunOptions,
) -> Result<(Entry, Fixed), ReplayError> {
    let entry = Entry::find(request, &target.positions().await?);
    let fixed = Fixed::of(config, request.recording, &entry, options).await?;
    Ok((entry.ending_at(fixed.ends()), fixed))
}

/// Into the live store itself.
async fn repair(config: &ReefConfig, request: &Request, options: RunOptions) -> Result<Outcome, ReplayError> {
    let live = store::open_for_run(config, &options.clock).await?;
    let reader = live.reader();
    let (entry, fixed) = fixed(config, request, reader.as_ref(), &options).await?;
    let before = reader.correlations().await?;
    let late_before = reader.totals().await?.late;
    let run = Run { config, recording: request.recording, entry: &entry, fixed: &fixed, is_kept: true };
    let (passed, live) = Passes::new(1, options).run(&run, live, Some(&reader)).await?;
    let outcome = Outcome {
        before: Some(before),
        after: reader.correlations().await?,
        repaired: late_before.saturating_sub(reader.totals().await?.late),
        reach: reach(reader.as_ref()).await?,
        looks_back_to: looks_back_to(config, reader.as_ref()).await?,
        ..Outcome::of(&entry, passed)
    };
    live.close().await?;
    Ok(outcome)
}

/// The live store, only to read. A running reef has its file to itself: a recording of stored rows then cannot be read,
/// one in Kafka can, with no live patterns to compare with.
async fn live_to_read(config: &ReefConfig, recording: Recording) -> Result<Option<Arc<dyn StoreReader>>, SinkError> {
    match (store::open_for_reading(config).await, recording) {
        (Ok(live), _) => Ok(Some(live)),
        (Err(error), Recording::Stored) => Err(error),
        (Err(_), Recording::Kafka) => Ok(None),
    }
}

/// Into another store; the live one is only read.
async fn beside(
    config: &ReefConfig,
    request: &Request,
    path: &Path,
    options: RunOptions,
) -> Result<Outcome, ReplayError> {
    let live = live_to_read(config, request.recording).await?;
    let target = targets::open(config, path, &options.clock).await?;
    into(&targets::config_of(config, path), request, (live, target), options).await
}

/// Into `target`, which is the store of `config`.
async fn into(
    config: &ReefConfig,
    request: &Request,
    (live, target): (Option<Arc<dyn StoreReader>>, Box<dyn StoreWriter>),
    options: RunOptions,
) -> Result<Outcome, ReplayError> {
    let (before, reach) = match &live {
        Some(live) => (Some(live.correlations().await?), reach(live.as_ref()).await?),
        None => (None, None),
    };
    let reader = target.reader();
    let (entry, fixed) = fixed(config, request, reader.as_ref(), &options).await?;
    let into_rows_before = rows_before(reader.as_ref(), &entry).await?;
    let run = Run { config, recording: request.recording, entry: &entry, fixed: &fixed, is_kept: true };
    let (passed, target) = Passes::new(1, options).run(&run, target, live.as_ref()).await?;
    let after = reader.correlations().await?;
    target.close().await?;
    Ok(Outcome { before, after, reach, into_rows_before, ..Outcome::of(&entry, passed) })
}

/// The same rows twice, with the reef's settings and with changed ones; rows of the second are kept with `into` only.
async fn what_if(
    (config, changed): (&ReefConfig, &ReefConfig),
    request: &Request,
    into: Option<&Path>,
    options: RunOptions,
) -> Result<Outcome, ReplayError> {
    let live = live_to_read(config, request.recording).await?;
    let reach = match &live {
        Some(live) => reach(live.as_ref()).await?,
        None => None,
    };
    let target: Box<dyn StoreWriter> = match into {
        Some(path) => targets::open(changed, path, &options.clock).await?,
        None => Box::new(FindingsStore::new()),
    };
    let reader = target.reader();
    let (entry, fixed) = fixed(config, request, reader.as_ref(), &options).await?;
    let into_rows_before = rows_before(reader.as_ref(), &entry).await?;
    let mut passes = Passes::new(2, options);

    // the result of the reef's own settings is not stored, so this pass always starts over
    let whole = entry.from_the_start();
    let run = Run { config, recording: request.recording, entry: &whole, fixed: &fixed, is_kept: false };
    let (passed, baseline) = passes.run(&run, Box::new(FindingsStore::new()), live.as_ref()).await?;
    let before = Some(baseline.reader().correlations().await?);
    if passed.ended == Ended::Stopped || passed.rows_in_range == Some(0) {
        target.close().await?;
        return Ok(Outcome { before, reach, into_rows_before, ..Outcome::of(&entry, passed) });
    }
    let changed = &into.map_or_else(|| changed.clone(), |path| targets::config_of(changed, path));
    let run =
        Run { config: changed, recording: request.recording, entry: &entry, fixed: &fixed, is_kept: into.is_some() };
    let (passed, target) = passes.run(&run, target, live.as_ref()).await?;
    let after = reader.correlations().await?;
    target.close().await?;
    Ok(Outcome { before, after, reach, into_rows_before, ..Outcome::of(&entry, passed) })
}

impl Outcome {
    fn of(entry: &Entry, passed: passes::Passed) -> Outcome {
        Outcome {
            range: entry.range(),
            is_resumed: entry.is_resumed(),
            ended: passed.ended,
            rows_in_range: passed.rows_in_range,
            rows_outside: passed.rows_outside,
            repaired: 0,
            summary: passed.summary,
            before: None,
            after: Vec::new(),
            reach: None,
            looks_back_to: None,
            into_rows_before: 0,
        }
    }
}

/// Rows that a target had before this replay began; 0 when this replay itself wrote them.
async fn rows_before(target: &dyn StoreReader, entry: &Entry) -> Result<u64, SinkError> {
    if entry.is_resumed() {
        return Ok(0);
    }
    let range = entry.range();
    let (events, metrics) = target.count_in(Span { from: TimeMs(0), to: None, with_late: true }).await?;
    let of_range = target.count_in(Span { from: range.from, to: Some(range.to), with_late: true }).await?;
    Ok((events + metrics).saturating_sub(of_range.0 + of_range.1))
}

/// First and last time of the stored rows.
async fn reach(store: &dyn StoreReader) -> Result<Option<(TimeMs, TimeMs)>, SinkError> {
    let all = Span { from: TimeMs(0), to: None, with_late: true };
    let event = store.events_in(all, None, 1).await?.first().map(|held| held.row.timestamp);
    let metric = store.metrics_in(all, None, 1).await?.first().map(|held| held.row.timestamp);
    let Watermarks { events, metrics } = store.watermarks().await?;
    let newest = events.values().chain(metrics.values()).copied().max();
    Ok(event.into_iter().chain(metric).min().map(|first| (first, newest.unwrap_or(first))))
}

/// Start of the live patterns' look-back, of events or metrics, whichever is earlier.
async fn looks_back_to(config: &ReefConfig, store: &dyn StoreReader) -> Result<Option<TimeMs>, SinkError> {
    let params = params::from_config(config);
    let clock = EventClock::of_store(&params, &store.positions().await?, &store.watermarks().await?);
    let of_events = clock.events_now().map(|now| now - params.events.keep_ms());
    let of_metrics = clock.metrics_now().map(|now| now - params.metrics.keep_ms());
    Ok(of_events.into_iter().chain(of_metrics).min())
}
