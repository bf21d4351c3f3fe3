//! Live: the configured colonies, asked for rows outside a run's sources.

use super::network::route;
use crate::config::ReefConfig;
use mesh::{Network, Route};
use model::clock::SharedClock;
use model::error::one_line;
use std::collections::BTreeMap;

pub use sources::colony::ask::{AskedColony, AskedRange, NotAnswered, RowSlices, RowsOf, SentRows};

/// The colonies of a reef, as they are reached.
#[derive(Clone)]
pub struct LiveColonies {
    network: Network,
    clock: SharedClock,
    routes: BTreeMap<String, Result<Route, NotAnswered>>,
}

impl LiveColonies {
    /// Those of a configuration, over the network of its run.
    pub fn of(config: &ReefConfig, network: Network, clock: SharedClock) -> LiveColonies {
        let found = |colony| route(colony).map_err(|error| NotAnswered(one_line(&error)));
        let routes = config.colonies.iter().map(|colony| (colony.colony_id.clone(), found(colony))).collect();
        LiveColonies { network, clock, routes }
    }

    /// The same for a process that is not the run: a tunnel of its own would end that of the run.
    pub fn beside_a_run(config: &ReefConfig, clock: SharedClock) -> LiveColonies {
        let mut colonies = LiveColonies::of(config, Network::plain(), clock);
        for route in colonies.routes.values_mut() {
            if matches!(route, Ok(Route::Mesh(_))) {
                let why = "it is in a mesh, which only the running reef has joined: ask that by RPC".to_owned();
                *route = Err(NotAnswered(why));
            }
        }
        colonies
    }

    /// Their ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.routes.keys().map(String::as_str)
    }

    /// The clock that rows are checked against.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Connects to a colony.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn reach(&self, colony_id: &str) -> Result<AskedColony, NotAnswered> {
        let unknown = || NotAnswered("it is not configured".to_owned());
        let route = self.routes.get(colony_id).cloned().unwrap_or_else(|| Err(unknown()))?;
        AskedColony::reach(&self.network, (colony_id, &route), self.clock.clone()).await
    }
}
