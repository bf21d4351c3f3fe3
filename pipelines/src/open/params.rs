//! Params: converts the correlation settings to the operators' parameters.

use crate::config::{self, ReefConfig, StorageKind};
use crate::memory::{Memory, Origin};
use operators::dataflow::Params;
use operators::events::EventParams;
use operators::metrics::params::Room;
use operators::metrics::{MetricPairs, MetricParams};

/// The operators' parameters for this reef.
pub fn from_config(config: &ReefConfig) -> Params {
    let correlation = &config.correlation;
    Params {
        events: EventParams {
            max_lag_ms: correlation.max_lag_ms,
            horizon_ms: correlation.horizon_ms,
            min_occurrences: correlation.min_occurrences,
            false_discovery_rate: correlation.false_discovery_rate,
            interval_ms: correlation.interval_ms,
            lateness_ms: config.collection.allowed_lateness_ms,
            ..EventParams::default()
        },
        metrics: MetricParams {
            max_lag_ms: correlation.max_lag_ms,
            window_ms: correlation.metric_window_ms,
            threshold: correlation.metric_threshold,
            pairs: match correlation.metric_pairs {
                config::MetricPairs::All => MetricPairs::All,
                config::MetricPairs::SameMetric => MetricPairs::SameMetric,
            },
            false_discovery_rate: correlation.false_discovery_rate,
            room: room(config),
            ..MetricParams::default()
        },
        derived_events: correlation.derived_events,
    }
}

/// What metric pairs may keep in memory.
fn room(config: &ReefConfig) -> Room {
    let memory = Memory::of(config.engine.memory_limit_bytes);
    Room::of(metric_bytes(config, &memory).unwrap_or(u64::MAX), config.engine.workers)
}

/// Bytes that metric pairs may take; `None` where no limit is known.
pub fn metric_bytes(config: &ReefConfig, memory: &Memory) -> Option<u64> {
    // a server takes nothing of this process' memory
    let store_bytes = match &config.storage.kind {
        StorageKind::DuckDb { .. } => memory.store_bytes(),
        StorageKind::ClickHouse { .. } => 0,
    };
    (memory.origin != Origin::Unknown).then(|| memory.windows_bytes(store_bytes))
}
