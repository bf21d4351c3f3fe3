//! Run: from a checked configuration to a finished run: restore, read, tick, correlate, commit, drain.
//!
//! ```text
//! sources ──(bounded queue)── pending rows ── lateness gate ── engine ── commit: rows + findings + positions
//! ```
//! 1. One tick is one commit: the rows, the engine's findings, and the positions after them.
//! 2. A tick is cut when enough rows wait or the oldest has waited long enough; `pace` says when it evaluates.
//! 3. While a tick is written the next one is read; it is written after it (`commits`).
//! 4. The last tick of a run always evaluates, so that the store holds what all rows together say.
//!
//! | file | owns |
//! |---|---|
//! | `options` | what a caller hands to a run, and what it keeps to watch and stop it |
//! | `running` | the state of a run, and its loop: read until the end, drain, summarise |
//! | `tick` | closing a tick: engine, commit, deletion of old rows |
//! | `intake` | sources as tasks, one queue bounded in bytes |
//! | `acknowledge` | sources learn which of their positions are stored |
//! | `amended` | which stored events are amended, and of which the engine may have forgotten the stored copy |
//! | `commits` | the store of a run, which writes one tick while the run reads the next |
//! | `retry` | commits and look-ups repeated after faults that may pass |
//! | `restore` | windows rebuilt from stored rows |
//! | `timeline` | what a restart makes of the stored timeline of deployments |
//! | `foretold` | what a restart makes of stored predictions |
//! | `derived_events` | which derived events are final after a restart |
//! | `impacts` | the impacts of deployments, kept current |
//! | `due` | which deployments are to be judged |
//! | `published` | from changes of findings to what the store writes |
//! | `analyses` | questions in words that were recorded, as rows |
//! | `revisions` | what evaluations change in what is said of a pattern |
//! | `predicted` | what evaluations change in what is said of predictions |
//! | `pace` | when to evaluate |
//! | `retention` | when the store deletes expired rows |
//! | `pending_rejects` | refused rows that wait for the next tick |
//! | `clock_skew` | which services' clocks are ahead of the reader's |
//! | `lookback` | stored rows that lie outside the look-back |
//! | `unconfirmed` | why a run has confirmed nothing of events or of metrics |
//! | `handle` | what a run hands out: a reader of its store, progress, a stop, news of its patterns |

use crate::config::ReefConfig;
use crate::engine::Engine;
use crate::error::RunError;
use crate::open::{inputs, params, store};
use crate::progress::RunSummary;
use handle::Announcer;
pub use handle::RunningReef;
use model::topology::ServiceEdge;
pub use options::{Controls, RunOptions};
use running::{Running, enter};
use sinks::StoreWriter;
use sources::Source;
use tokio::time::Instant;

pub(crate) mod acknowledge;
mod amended;
mod analyses;
mod clock_skew;
mod commits;
mod derived_events;
mod due;
mod foretold;
pub mod handle;
mod impacts;
mod intake;
mod lookback;
mod options;
mod pace;
mod pending_rejects;
mod predicted;
mod published;
pub(crate) mod restore;
mod retention;
pub(crate) mod retry;
mod revisions;
mod running;
#[cfg(test)]
mod tests;
mod tick;
mod timeline;
mod unconfirmed;

/// What differs between a live run, a replay and the leading process of several.
#[derive(Default)]
pub(crate) struct DriveOptions {
    /// An already started engine, whose workers may be those of several processes; otherwise one is started.
    pub(crate) engine: Option<Engine>,
    /// Who gets a reader of the store, and news.
    pub(crate) announcer: Announcer,
    /// The rows are recorded: they do not affect the lateness of live sources, so the gate's stored state stays
    /// unchanged, and nothing is deleted.
    pub(crate) is_recorded: bool,
    /// An earlier call began this replay, and may have been killed before it said what it had found.
    pub(crate) is_resumed: bool,
    /// Each tick waits for the engine's answer to it, so that the order of events does not depend on how long that takes.
    pub(crate) is_in_turns: bool,
    /// Calls between services that the recorded reef knows. They weigh pairs, so that a replay finds what it found.
    pub(crate) calls: Vec<ServiceEdge>,
}

/// Runs a reef until its input ends or it is stopped.
pub async fn run(config: &ReefConfig, options: RunOptions) -> Result<RunSummary, RunError> {
    run_announced(config, options, Announcer::default()).await
}

/// The same for a run that others read beside and hear news of: see [`RunningReef`].
pub async fn run_announced(
    config: &ReefConfig,
    options: RunOptions,
    announcer: Announcer,
) -> Result<RunSummary, RunError> {
    enter("open");
    let store = store::open_for_run(config, &options.clock).await?;
    let positions = store.reader().positions().await?;
    let sources = inputs::build(config, &positions, &options.source_context())?;
    let with = DriveOptions { announcer, ..DriveOptions::default() };
    let (summary, store) = drive_with(config, store, sources, options, with).await?;
    enter("close");
    store.close().await?;
    enter("closed");
    Ok(summary)
}

/// Feeds `sources` through the engine into `store` until they end or the run is stopped.
pub async fn drive(
    config: &ReefConfig,
    store: Box<dyn StoreWriter>,
    sources: Vec<Box<dyn Source>>,
    options: RunOptions,
) -> Result<(RunSummary, Box<dyn StoreWriter>), RunError> {
    drive_with(config, store, sources, options, DriveOptions::default()).await
}

/// The same, in turns: a tick waits for the engine's answer to it. A simulation needs that, so that a seed gives one order
/// of events.
pub async fn drive_in_turns(
    config: &ReefConfig,
    store: Box<dyn StoreWriter>,
    sources: Vec<Box<dyn Source>>,
    options: RunOptions,
) -> Result<(RunSummary, Box<dyn StoreWriter>), RunError> {
    let with = DriveOptions { is_in_turns: true, ..DriveOptions::default() };
    drive_with(config, store, sources, options, with).await
}

/// The same with more to say. Live run, replay and backfill are this one loop.
pub(crate) async fn drive_with(
    config: &ReefConfig,
    store: Box<dyn StoreWriter>,
    sources: Vec<Box<dyn Source>>,
    options: RunOptions,
    with: DriveOptions,
) -> Result<(RunSummary, Box<dyn StoreWriter>), RunError> {
    let engine = match with.engine {
        Some(engine) => engine,
        None => Engine::start(params::from_config(config), config.engine.workers)?,
    };
    let started = Instant::now();
    enter("restore");
    let mut run = Running::restore(config, engine, store, &options, (with.announcer, with.is_resumed)).await?;
    run.is_live = !with.is_recorded;
    run.is_in_turns = with.is_in_turns;
    if run.correlates {
        restore::feed_calls(&mut run.engine, with.calls).await?;
    }
    run.until_the_end(config, sources, &options, started).await
}
