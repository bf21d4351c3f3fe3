//! Rules: what a reader of a reef needs beside its store: settings, expected colonies.

use pipelines::config::ReefConfig;
use pipelines::open::store;
use reef::Rules;
use reef::answers::Scope;

/// What an answer needs beside the store.
#[derive(Clone, Debug)]
pub struct Known {
    /// The store, for people.
    pub store_name: String,
    /// The settings that decide what counts.
    pub rules: Rules,
    /// The reef and the colonies that it expects.
    pub scope: Scope,
}

/// The rules of a configuration.
pub(super) fn of(config: &ReefConfig) -> Rules {
    let correlation = &config.correlation;
    Rules {
        correlates: correlation.enabled,
        max_lag_ms: correlation.max_lag_ms,
        min_occurrences: correlation.min_occurrences,
    }
}

/// What answers need beside the store.
pub(super) fn known(config: &ReefConfig) -> Known {
    let colonies = config.colonies.iter().map(|colony| colony.colony_id.clone()).collect();
    let scope = Scope { reef_id: config.reef_id.clone(), colonies, metrics: config.metrics.clone() };
    Known { store_name: store::describe(config), rules: of(config), scope }
}
