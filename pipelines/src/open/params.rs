//! Params: converts the correlation settings to the operators' parameters.

use crate::config::{self, ReefConfig, StorageKind};
use crate::memory::{Memory, Origin};
use operators::dataflow::Params;
use operators::events::EventParams;
use operators::metrics::memory::MetricMemory;
use operators::metrics::params::Room;
use operators::metrics::{MetricPairs, MetricParams};

/// The operators' parameters for this reef.
pub fn from_config(config: &ReefConfig) -> Params {
    let correlation = &config.correlation;
    let metrics = MetricParams {
        max_lag_ms: correlation.max_lag_ms,
        window_ms: correlation.metric_window_ms,
        threshold: correlation.metric_threshold,
        pairs: match correlation.metric_pairs {
            config::MetricPairs::All => MetricPairs::All,
            config::MetricPairs::SameMetric => MetricPairs::SameMetric,
        },
        false_discovery_rate: correlation.false_discovery_rate,
        ..MetricParams::default()
    };
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
        metrics: MetricParams { room: room(config, metrics), ..metrics },
        derived_events: correlation.derived_events,
    }
}

/// What metric pairs may keep in memory.
fn room(config: &ReefConfig, metrics: MetricParams) -> Room {
    let engine = &config.engine;
    let bytes = metric_bytes(config, &Memory::of(engine.memory_limit_bytes)).unwrap_or(u64::MAX);
    MetricMemory::new(metrics, engine.workers, engine.hosts.len()).room(bytes)
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
