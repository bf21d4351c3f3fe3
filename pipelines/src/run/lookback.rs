//! Outside: stored rows that patterns ignore, because they are far after now or before the look-back.

use crate::clock::EventClock;
use crate::config::{ReefConfig, StorageKind};
use crate::open::params;
use crate::progress::{Outside, OutsideRows};
use model::time::{DAY_MS, TimeMs};
use sinks::{SinkError, Span, StoreReader};

/// Counts them. With `is_empty` (no pattern at all) those before the look-back too: they may be the reason.
pub(crate) async fn count(
    config: &ReefConfig,
    reader: &dyn StoreReader,
    clock: &EventClock,
    is_empty: bool,
) -> Result<OutsideRows, SinkError> {
    let params = params::from_config(config);
    let counts_older = is_empty && matches!(config.storage.kind, StorageKind::DuckDb { .. });
    let mut outside = OutsideRows::default();
    if let Some(now) = clock.events_now() {
        let since = now - params.events.keep_ms();
        let (newer, older) = around(reader, clock, (since, now), counts_older).await?;
        outside.events = notable(Outside { now, since, newer: newer.0, older: older.map(|(events, _)| events) });
    }
    if let Some(now) = clock.metrics_now() {
        let since = now - params.metrics.keep_ms();
        let (newer, older) = around(reader, clock, (since, now), counts_older).await?;
        outside.metrics = notable(Outside { now, since, newer: newer.1, older: older.map(|(_, metrics)| metrics) });
    }
    Ok(outside)
}

/// Events and metric rows, both.
type Both = (u64, u64);

/// How many rows lie a day or more after now, and how many before the look-back.
async fn around(
    reader: &dyn StoreReader,
    clock: &EventClock,
    (since, now): (TimeMs, TimeMs),
    counts_older: bool,
) -> Result<(Both, Option<Both>), SinkError> {
    let newer = match clock.newest().is_some_and(|newest| newest >= now + DAY_MS) {
        true => reader.count_in(Span::on_time_since(now + DAY_MS)).await?,
        false => (0, 0),
    };
    let before = Span { from: TimeMs(0), to: Some(since), with_late: false };
    let older = if counts_older { Some(reader.count_in(before).await?) } else { None };
    Ok((newer, older))
}

fn notable(outside: Outside) -> Option<Outside> {
    (outside.newer + outside.older.unwrap_or(0) > 0).then_some(outside)
}
