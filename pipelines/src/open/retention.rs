//! Retention: how long the store of this reef keeps its rows.

use crate::config::ReefConfig;
use crate::open::params;
use sinks::retention::Retention;

/// How long this reef keeps its rows: as configured, but at least as long as the engine looks back, because a restart
/// rebuilds its windows from stored rows.
pub fn of(config: &ReefConfig) -> Retention {
    let keep = config.storage.retention;
    let params = params::from_config(config);
    Retention {
        metrics_ms: keep.aggregated_metrics_ms.max(params.metrics.keep_ms()),
        events_ms: keep.events_ms.max(params.events.keep_ms()),
        correlations_ms: keep.correlations_ms,
        deployments_ms: keep.deployment_timeline_ms,
    }
}
