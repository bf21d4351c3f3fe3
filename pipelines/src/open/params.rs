//! Params: converts the correlation settings to the operators' parameters.

use crate::config::{self, ReefConfig};
use operators::dataflow::Params;
use operators::events::EventParams;
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
            ..MetricParams::default()
        },
        derived_events: correlation.derived_events,
    }
}
