//! A colony as a live source: summaries pulled on an interval, events streamed as they happen.
//!
//! | file | owns |
//! |---|---|
//! | `config` | configuration of a colony's endpoint and requests |
//! | `fault` | why an exchange failed |
//! | `dial`, `link` | the line to it: connection, pauses, identity, outages, its state |
//! | `outage_log` | what has been logged of an outage, so that it is logged once |
//! | `slices` | which time range is requested next |
//! | `remembered` | which rows were delivered already |
//! | `summaries` | the source of metrics, health, topology (and events) by GetSummary |
//! | `ask` | questions outside a source |
//! | `events` | the source of events by StreamEvents |

pub mod ask;
mod config;
mod dial;
mod events;
mod fault;
mod link;
mod outage_log;
mod remembered;
mod slices;
mod summaries;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

pub use crate::backoff::BackoffConfig;
pub use config::ColonySourceConfig;
pub use events::ColonyEvents;
pub use outage_log::OutageLog;
pub use summaries::ColonySummaries;

/// The most rows of one kind in a batch.
pub const BATCH_ROWS_MAX: usize = 4_096;
