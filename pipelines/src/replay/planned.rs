//! Planned: what a replay would read and write, without doing it.

use super::ledger::Entry;
use super::{Recording, ReplayError, Request, TimeRange, targets};
use crate::config::ReefConfig;
use crate::open::store;
use model::position::Positions;
use serde::Serialize;
use sinks::Span;
use sinks::duckdb::EarlierVersion;
use std::collections::BTreeMap;

/// What would be read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The range; of a replay that would be resumed its own.
    pub range: TimeRange,
    /// Whether it would resume an earlier call.
    pub is_resumed: bool,
    /// Rows of the range; `None` where they are in topics, which are not counted before they are read.
    pub rows: Option<PlannedRows>,
    /// The store that would be written; `None` for a what-if that keeps nothing.
    pub writes: Option<String>,
}

/// Stored rows of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedRows {
    /// Events.
    pub events: u64,
    /// Metric buckets.
    pub metrics: u64,
    /// How many of both are late: they would become part of the patterns.
    pub late: u64,
}

/// What `request` would do. Nothing is changed.
///
/// # Errors
/// Those that the request itself would end with.
pub async fn planned(config: &ReefConfig, request: &Request) -> Result<Planned, ReplayError> {
    targets::check(config, request)?;
    let entry = Entry::find(request, &positions(config, request).await?);
    let (range, is_resumed) = (entry.range(), entry.is_resumed());
    let writes = match (&request.into, &request.what_if) {
        (Some(path), _) => Some(store::describe(&targets::config_of(config, path))),
        (None, Some(_)) => None,
        (None, None) => Some(store::describe(config)),
    };
    if request.recording == Recording::Kafka {
        return Ok(Planned { range, is_resumed, rows: None, writes });
    }
    let reader = store::open_for_reading(config).await?;
    let all = Span { from: range.from, to: Some(range.to), with_late: true };
    let (events, metrics) = reader.count_in(all).await?;
    let (events_on_time, metrics_on_time) = reader.count_in(Span { with_late: false, ..all }).await?;
    let late = (events + metrics).saturating_sub(events_on_time + metrics_on_time);
    Ok(Planned { range, is_resumed, rows: Some(PlannedRows { events, metrics, late }), writes })
}

/// The positions of the store that would be written; none where there is no store yet, or one of an earlier version beside
/// the reef's.
async fn positions(config: &ReefConfig, request: &Request) -> Result<BTreeMap<String, Positions>, ReplayError> {
    let target = match (&request.into, &request.what_if) {
        (Some(path), _) => {
            targets::check_owner(config, path).await?;
            targets::config_of(config, path)
        }
        (None, Some(_)) => return Ok(BTreeMap::new()),
        (None, None) => config.clone(),
    };
    if !store::has_tables(&target.storage.kind).await? {
        return Ok(BTreeMap::new());
    }
    let reader = match (store::open_for_reading(&target).await, &request.into) {
        // the replay upgrades it; nothing of it can be read before
        (Err(error), Some(_)) if error.cause.as_ref().is_some_and(|cause| cause.is::<EarlierVersion>()) => {
            return Ok(BTreeMap::new());
        }
        (reader, _) => reader?,
    };
    let positions = reader.positions().await?;
    if let Some(path) = &request.into {
        targets::check_positions(&positions, path)?;
    }
    Ok(positions)
}
