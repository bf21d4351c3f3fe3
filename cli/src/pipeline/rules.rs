//! Rules: the settings of a reef that a reader of its report needs.

use pipelines::config::ReefConfig;
use reef::Rules;

/// The rules of a configuration.
pub(super) fn of(config: &ReefConfig) -> Rules {
    let correlation = &config.correlation;
    Rules {
        correlates: correlation.enabled,
        max_lag_ms: correlation.max_lag_ms,
        min_occurrences: correlation.min_occurrences,
    }
}
