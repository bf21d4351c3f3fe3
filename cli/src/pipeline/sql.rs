//! Sql: the engine for statements over a reef, with the colonies and the files that it may read.

use mesh::Network;
use model::clock::SystemClock;
use pipelines::config::ReefConfig;
use pipelines::open::live::LiveColonies;
use reef::sql::SqlEngine;

/// Of the process that runs the reef, whose tunnels it uses. Its commits come first.
pub fn of_a_run(config: &ReefConfig, network: &Network) -> SqlEngine {
    of(config).giving_way().with_colonies(LiveColonies::of(config, network.clone(), SystemClock::shared()))
}

/// Of another process.
pub fn beside_a_run(config: &ReefConfig) -> SqlEngine {
    of(config).with_colonies(LiveColonies::beside_a_run(config, SystemClock::shared()))
}

fn of(config: &ReefConfig) -> SqlEngine {
    SqlEngine::default().with_files(config.api.sql_files.clone())
}
